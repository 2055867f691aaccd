"""`pipekit agent`: commands that are handed to it look, end and fail as if they ran by themselves."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import ClassVar

import pytest

from pipekit_engine.agent import forking
from pipekit_engine.common.processes import ProcessName
from tests.cli.conftest import TIMEOUT_S, Done, Project, Started
from tests.waiting import wait_until

ENTRY = [sys.executable, "-m", "pipekit_engine.cli.entry"]
#: The entry point, which tells in the end whether the command itself was imported.
TELLING = (
    "import atexit, sys\nfrom pipekit_engine.cli.entry import main\n"
    "atexit.register(lambda: print('here:', 'typer' in sys.modules, file=sys.stderr))\nmain()"
)


@contextmanager
def agent(project: Project) -> Iterator[subprocess.Popen[str]]:
    """An agent of the project, with a JVM that is ready."""
    with subprocess.Popen(
        [*ENTRY, "agent"], cwd=project.folder, env=project.environment(), stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            assert "Listening on" in process.stderr.readline()
            # It is warm once it has answered.
            wait_until(lambda: handed(project, "modules")[1], "an answer of the agent")
            yield process
        finally:
            process.kill()


def handed(project: Project, *arguments: str, **environment: str) -> tuple[Done, bool]:
    """How a command ended, and whether an agent ran it."""
    done = subprocess.run(
        [sys.executable, "-c", TELLING, *arguments],
        cwd=project.folder,
        env=project.environment(**environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    err, _, here = done.stderr.rpartition("here: ")
    assert "Traceback" not in err, err
    return Done(done.returncode, done.stdout, err), here.strip() == "False"


class Handed(Started):
    """A command in the background, by its entry point."""

    program: ClassVar[list[str]] = ENTRY


def run_of(project: Project, module: str) -> dict[str, object]:
    """The newest run of a module."""
    found: dict[str, object] = project.look("runs", "list", module, "--json").json[0]
    return found


def test_commands_look_as_if_they_ran_here(project: Project) -> None:
    with agent(project) as process:
        socket = project.folder / "pipekit.db.agent"
        assert stat.S_IMODE(socket.stat().st_mode) == 0o600
        for arguments in (["modules"], ["groups", "--json"], ["run", "nope"], ["run", "--nonsense"], ["runs", "show"]):
            done, by_agent = handed(project, *arguments)
            assert by_agent, arguments
            here = project.look(*arguments)
            assert (done.status, done.out, done.err) == (here.status, here.out, here.err), arguments
        done, by_agent = handed(project, "run", "copy")
        assert by_agent
        assert done.status == 0, done.err
        assert done.out.startswith("success  copy")
        assert "committed: 50 inserted" in done.err
        assert handed(project, "run", "broken")[0].status == 1
        # The environment is the caller's, and what the agent's own interpreter cannot be is done here.
        config = project.write("elsewhere.yaml", f"database: {project.folder}/none.db\n")
        done, _ = handed(project, "modules", PIPEKIT_CONFIG=str(config))
        assert done.status == 2
        assert "none.db" in done.err
        done, by_agent = handed(project, "modules", PYTHONHASHSEED="1")
        assert done.status == 0
        assert not by_agent
        assert not handed(project, "--no-agent", "modules")[1]
        # Definitions are read anew, and so is the destination's file.
        (project.folder / "dw.db").unlink()
        done, by_agent = handed(project, "run", "copy")
        assert by_agent
        assert done.status == 0, done.err
        assert project.rows("SELECT count(*) FROM copy") == [(50,)]
        with Handed(project, ["agent", "status"]) as status:
            assert f"process {process.pid}" in status.end().err
        with Handed(project, ["agent"]) as second:
            assert "listens on" in second.end().err
        assert handed(project, "agent", "stop")[0].status == 0
        assert process.wait(TIMEOUT_S) == 0
        assert not socket.exists()
        assert handed(project, "agent", "status")[0].status == 1


def test_signals_and_ends_reach_the_run(project: Project) -> None:
    with agent(project):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            with Handed(project, ["run", "endless"]) as command:
                command.wait_for_run()
                command.send(number)
                if number == signal.SIGKILL:
                    command.process.wait(TIMEOUT_S)
                else:
                    assert command.end().status == 130
            wait_until(lambda: run_of(project, "endless")["status"] == "cancelled", f"the end by {number.name}")
        # Who reads nothing keeps nobody from working.
        with Handed(project, ["run", "copy"]) as command:
            wait_until(lambda: bool(project.look("runs", "list", "copy", "--json").json), "the run")
            command.send(signal.SIGSTOP)
            wait_until(lambda: run_of(project, "copy")["status"] == "success", "the end of the run")
            command.send(signal.SIGCONT)
            assert command.end().status == 0
        with Handed(project, ["run", "endless"]) as command:
            command.wait_for_run()
            kill_child(project, signal.SIGKILL)
            done = command.end()
        assert done.status == 1
        assert run_of(project, "endless")["status"] == "error"
        assert handed(project, "run", "copy")[0].status == 0


def test_a_jvm_is_kept_after_each_command(project: Project) -> None:
    """That a client goes, once it knows how its command ended, ends nothing."""
    with agent(project) as process:
        assert handed(project, "run", "copy")[0].status == 0
        before = _jvms_of(process.pid)
        for _ in range(8):
            assert handed(project, "run", "copy")[1]
            assert handed(project, "modules")[1]
            assert before <= _jvms_of(process.pid)
    assert before


def _jvms_of(pid: int) -> set[str]:
    found = set()
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with suppress(OSError):  # a command that ends
            if "java" in os.readlink(f"/proc/{child}/exe"):
                found.add(child)
    return found


@pytest.mark.slow
def test_an_agent_that_is_killed(project: Project) -> None:
    with agent(project) as process, Handed(project, ["run", "endless"]) as command:
        command.wait_for_run()
        process.kill()
        # Its JVM went with it, which cancels what it does: the run has ended, and says so.
        assert command.end().status in (1, 130)
    assert run_of(project, "endless")["status"] in ("error", "cancelled")
    assert (project.folder / "pipekit.db.agent").exists()
    done, by_agent = handed(project, "run", "copy")
    assert done.status == 0
    assert not by_agent
    with agent(project):
        assert handed(project, "modules")[1]
        # The process of a command that is killed is what any dead engine is.
        with Handed(project, ["run", "endless"]) as command:
            command.wait_for_run()
            owner = the_lock(project)[0]
            os.kill(owner.pid, signal.SIGKILL)
            assert command.end().status == -signal.SIGKILL
        assert handed(project, "run", "endless", "--dry-run")[0].status == 0
        assert run_of(project, "endless")["status"] == "dry_run"


@pytest.mark.slow
def test_fifty_at_once(project: Project) -> None:
    with agent(project):
        commands = [Handed(project, ["run", "copy"]) for _ in range(20)]
        commands += [Handed(project, ["modules", "--json"]) for _ in range(30)]
        for command in commands:
            command.__enter__()
        ends = [command.end().status for command in commands]
    assert ends.count(0) + ends.count(3) == 50
    assert set(ends[20:]) == {0}
    assert 0 in ends[:20]
    assert project.rows("SELECT count(*) FROM copy") == [(50,)]


def test_a_path_that_a_socket_cannot_take(tmp_path: Path) -> None:
    path = tmp_path / ("a" * 60) / ("b" * 60) / "pipekit.db.agent"
    path.parent.mkdir(parents=True)
    with closing(forking.listen(str(path))):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert forking.listening(str(path)) == os.getpid()
        with pytest.raises(Exception, match="listens on"):
            forking.listen(str(path))


def the_lock(project: Project) -> tuple[ProcessName, ProcessName]:
    """Who holds the lock of module endless, and its jrunner."""
    import sqlite3

    with closing(sqlite3.connect(project.folder / "pipekit.db")) as store:
        row = store.execute("SELECT running_owner, running_child FROM module WHERE name = 'endless'").fetchone()
    owner, child = map(ProcessName.parse, row)
    assert owner is not None
    assert child is not None
    return owner, child


def kill_child(project: Project, number: signal.Signals) -> None:
    """Send a signal to the jrunner of the run of module endless."""
    os.kill(the_lock(project)[1].pid, number)
