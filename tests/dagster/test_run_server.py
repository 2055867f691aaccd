"""The run server: what its processes share with it and with each other, and what becomes of them when it ends."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from pipekit_dagster import run_client
from pipekit_dagster.run_client import ForkedProcess, fork_process, socket_path
from tests.dagster.project import Project
from tests.waiting import LIMIT, wait_until

pytestmark = [
    pytest.mark.daemon,
    pytest.mark.skipif(sys.platform != "linux", reason="the run server is for Linux"),
]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project that this process finds as the daemon of `pipekit serve` does."""
    made = Project(tmp_path)
    (made.home / "serve").mkdir(mode=0o700)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PIPEKIT_CONFIG", str(made.config_file))
    monkeypatch.setenv("DAGSTER_HOME", str(made.home))
    monkeypatch.setattr(run_client, "_FORK_S", LIMIT)
    return made


@contextmanager
def run_server(project: Project) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-m", "pipekit_dagster.run_server"]) as process:
        try:
            wait_until(Path(socket_path(str(project.home))).exists, "the run server", 2 * LIMIT)
            yield process
        finally:
            process.kill()


@contextmanager
def held(project: Project, run_id: str) -> Iterator[tuple[ForkedProcess, int]]:
    """The process of a run that does not exist, which cannot say so yet: its output is a full pipe, whose other end is given."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(4096))
    os.set_blocking(writer, True)
    with os.fdopen(writer, "wb", buffering=0) as output, os.fdopen(reader, "rb"):
        process = fork_process(str(project.home), run_id, output)
        assert process is not None
        try:
            yield process, reader
        finally:
            process.send_signal(signal.SIGKILL)


def said(reader: int, process: ForkedProcess) -> bytes:
    """Everything that a held process says to its end."""
    found = b""
    os.set_blocking(reader, False)
    while process.name.alive():
        with suppress(BlockingIOError):
            found += os.read(reader, 65536)
    with suppress(BlockingIOError):
        found += os.read(reader, 1 << 20)
    return found


def opened(pid: int) -> set[str]:
    found = set()
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            found.add(os.readlink(file))
    return found


def test_processes_of_runs_share_nothing_and_outlive_their_server(project: Project) -> None:
    with run_server(project) as server:
        assert stat.S_IMODE(os.stat(socket_path(str(project.home))).st_mode) == 0o600
        assert len(list(Path(f"/proc/{server.pid}/task").iterdir())) == 1
        assert not [file for file in opened(server.pid) if str(project.folder) in file]
        with held(project, "first") as (first, first_end), held(project, "second") as (second, second_end):
            # Each is a session of its own, and sees the end of neither the server's pipes nor the other's.
            for process in (first, second):
                assert os.getsid(process.name.pid) == process.name.pid
                wait_until(
                    lambda pid=process.name.pid: any("dagster/history" in file for file in opened(pid)),
                    "the run's own look into Dagster's storage",
                )
            ours = {
                file for file in opened(first.name.pid) & opened(second.name.pid) if file.startswith(("pipe", "socket"))
            }
            assert not ours & opened(server.pid)
            second.send_signal(signal.SIGKILL)
            assert second.wait() == -signal.SIGKILL
            assert b"Run first was not found" in said(first_end, first)
            assert first.wait() == 1
            del second_end
        with held(project, "orphan") as (orphan, end):
            server.kill()
            server.wait()
            assert orphan.name.alive()
            assert b"Run orphan was not found" in said(end, orphan)
            assert orphan.wait() is None


def test_a_process_of_ones_own_is_used_where_the_server_is_not_to_be_had(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with (tmp_path / "output").open("wb") as output:
        assert fork_process(str(project.home), "none", output) is None
        with run_server(project) as server:
            # Another interpreter's settings, another folder: what that server has imported may not be what is meant here.
            with monkeypatch.context() as patch:
                patch.setenv("PYTHONHASHSEED", "1")
                assert fork_process(str(project.home), "none", output) is None
            with monkeypatch.context() as patch:
                patch.chdir(project.home)
                assert fork_process(str(project.home), "none", output) is None
            server.send_signal(signal.SIGSTOP)
            with monkeypatch.context() as patch:
                patch.setattr(run_client, "_FORK_S", 0.5)
                assert fork_process(str(project.home), "none", output) is None
            server.send_signal(signal.SIGCONT)
            # What was given up is not begun later.
            process = fork_process(str(project.home), "none", output)
            assert process is not None
            assert process.wait() == 1
            server.terminate()
            assert server.wait(LIMIT) == 0
            assert not Path(socket_path(str(project.home))).exists()
    assert (tmp_path / "output").read_text().count("Run none was not found") == 1
