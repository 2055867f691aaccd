"""Asking the run server (`run_server`) for the process of a Dagster run, and following that process.

How the two talk:

1. here: one JSON line, with the open file that takes the process's output.
2. there: one JSON line, the forked process's `ProcessName`, or the end of the connection: then the run gets a process of its own.
3. here: `g`. Only now the run begins there; who has given up waiting does not say it, so that no run begins twice.
4. there: a JSON line, the exit status, negative for the signal that ended the process. The end of the connection without one says
   that the server has ended. The process has not: it goes on by itself.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pipekit_engine.agent import client
from pipekit_engine.common.processes import ProcessName

if TYPE_CHECKING:
    import socket

#: Seconds that the server has to fork a process; one that is too busy is done without.
_FORK_S = 2.0
#: Seconds between two looks at a process whose server has ended.
_LOOK_S = 0.5


def socket_path(home: str) -> str:
    """Where the run server of a DAGSTER_HOME listens."""
    return str(Path(home) / "serve" / "runs.sock")


class ForkedProcess:
    """The process of a run, as `subprocess.Popen` shows one: `wait`, for one thread, and `send_signal`."""

    def __init__(self, connection: socket.socket, name: ProcessName) -> None:
        self.name = name
        self._connection = connection

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.name.pid

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it lives."""
        if self.name.alive():
            with suppress(ProcessLookupError):
                os.kill(self.name.pid, number)

    def wait(self) -> int | None:
        """Wait for its end; its exit status, negative for a signal, None where nobody has seen it."""
        answer = b""
        with suppress(OSError), self._connection:
            answer = client.read_line(self._connection)
        if answer.endswith(b"\n"):
            return int(json.loads(answer)["status"])
        while self.name.alive():
            time.sleep(_LOOK_S)
        return None


def fork_process(home: str, run_id: str, output: IO[bytes]) -> ForkedProcess | None:
    """A process of the run server's that executes a run with this process's environment; None where there is none to be had."""
    path = socket_path(home)
    if sys.platform != "linux" or not os.path.exists(path):
        return None
    try:
        connection = client.reach(path, _FORK_S)
    except OSError:
        return None
    try:
        environment = {**os.environ, "DAGSTER_HOME": home}
        client.ask(connection, {"run_id": run_id, "environment": environment}, [output.fileno()])
        name = ProcessName.parse(client.read_line(connection).decode())
        if name is not None:
            connection.sendall(b"g")
            connection.settimeout(None)
            return ForkedProcess(connection, name)
    except (OSError, ValueError):
        pass
    connection.close()
    return None
