"""A JVM that is started before anything else is imported: taken by the session that wants just this one, else ended."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from pipekit_engine.config import Config
from pipekit_engine.jrunner import starting
from pipekit_engine.jrunner.start import start_own_session


def test_the_first_session_that_wants_it_takes_it(java: str, tmp_path: Path) -> None:
    config = Config(path=tmp_path / "pipekit.yaml")
    starting.start_early(tmp_path)
    started = starting._started
    assert started is not None
    assert starting.take_started(Config(path=tmp_path / "pipekit.yaml", jrunner={"heap": "128m"})) is None
    with start_own_session(config) as session, start_own_session(config) as other:
        assert session.pid == started.process.pid != other.pid
        assert session.close() == other.close() == []
    assert not started.temporary.path.exists()


def test_one_that_nobody_took_ends_with_the_command(java: str, tmp_path: Path) -> None:
    """The configuration cannot be read: the command ends before it wants any session."""
    (tmp_path / "pipekit.yaml").write_text("no: such key\n")
    code = (
        "import atexit\nfrom pipekit_engine.cli.entry import main\nfrom pipekit_engine.jrunner import starting\n"
        "started = starting.start_process\n"
        "def start(*args, **options):\n"
        "    process = started(*args, **options)\n"
        "    atexit.register(lambda: print('pid', process.pid, args[1].path))\n"
        "    return process\n"
        "starting.start_process = start\nmain()"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PIPEKIT_CONFIG"}
    told = subprocess.run(
        [sys.executable, "-c", code, "run", "m"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 2, told.stderr
    _, pid, folder = told.stdout.split()
    assert not Path(f"/proc/{pid}").exists()
    assert not Path(folder).exists()
