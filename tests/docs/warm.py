"""`pipekit` without its start: a process that has imported everything, and a forked child for each command.

The pages run some ninety commands; half a second of imports before each would be most of the time. The command itself is the
real one, in a process of its own, in the folder, with the environment, arguments and open files of whoever called it.
`serve` is not run here: it replaces itself by others.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import NoReturn

#: What commands import when they need it.
_WARM = """
    alembic.command croniter dotenv.parser pydantic prompt_toolkit yaml
    rich.live rich.syntax rich.table sqlalchemy.dialects.sqlite
    pipekit_engine.operations.backup pipekit_engine.cli.main pipekit_engine.cli.output pipekit_engine.cli.progress
    pipekit_engine.definitions.apply pipekit_engine.definitions.export pipekit_engine.operations.doctor pipekit_engine.engine
    pipekit_engine.jrunner.archive pipekit_engine.lint pipekit_engine.security.secrets pipekit_engine.operations.support_bundle
"""
#: Sends arguments, folder, environment and the three open files, and ends as the child does.
_CLIENT = """\
#!{python} -ISs
import array, json, os, socket, sys
if sys.argv[1:2] == ["serve"]:
    os.execv({real!r}, [{real!r}, *sys.argv[1:]])
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    said = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode() + b"\\n"
    fds = array.array("i", [0, 1, 2])
    sent = server.sendmsg([said], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
    server.sendall(said[sent:])
    status = server.recv(1)
sys.exit(status[0] if status else 70)
"""


@contextmanager
def warm_command(folder: Path) -> Iterator[Path]:
    """A folder for the PATH that holds such a `pipekit`."""
    address = str(folder / "warm.sock")
    command = folder / "pipekit"
    real = Path(sys.executable).parent / "pipekit"
    command.write_text(_CLIENT.format(python=sys.executable, real=str(real), address=address), encoding="utf-8")
    command.chmod(0o755)
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen([sys.executable, "-m", "tests.docs.warm", address], cwd=root) as server:
        try:
            until = time.monotonic() + 240
            while not Path(address).exists():
                assert server.poll() is None, "the warm process did not come up"
                assert time.monotonic() < until, "the warm process did not come up"
                time.sleep(0.02)
            yield folder
        finally:
            server.terminate()


def main(address: str) -> NoReturn:
    """Serve until told to end."""
    for name in _WARM.split():
        import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children here
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address + ".new")
        listening.listen()
        os.rename(address + ".new", address)
        while True:
            caller, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                _run(caller)
            caller.close()


def _run(caller: socket.socket) -> NoReturn:
    """In the child: become what the caller asked for, and tell it the exit status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    status = 1
    try:
        said, files, _, _ = socket.recv_fds(caller, 1 << 16, 3)
        while not said.endswith(b"\n"):
            said += caller.recv(1 << 16)
        arguments, folder, environment = json.loads(said)
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        # What the old streams know of their files is of the warm process's.
        sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
        sys.stderr = os.fdopen(2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        time.tzset()
        sys.argv = ["pipekit", *arguments]
        from pipekit_engine.cli.main import main as pipekit

        pipekit()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        caller.sendall(bytes([status & 255]))
        os._exit(status & 255)


if __name__ == "__main__":
    main(sys.argv[1])
