"""The agent: it listens on a Unix socket of its user's, and forks a process for each command that it is handed.

Each command runs in a process of its own, which has imported everything already: nothing of one is seen by another, secrets
and definitions are read anew, and what it leaves in memory goes with it. The runs of an agent that is killed go on to their end,
except for those in a JVM that they borrowed, which ends with the agent: their end is written down as any lost jrunner's is.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from contextlib import suppress
from functools import partial
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING

from pipekit_engine.agent import client
from pipekit_engine.agent.forking import ForkServer, become, receive, status_of, warm_up
from pipekit_engine.agent.warm import WarmProcess, WarmProcesses
from pipekit_engine.jrunner import lending

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipekit_engine.config import Config

#: What commands import when they need it.
_WARM = """
    psycopg yaml dotenv.parser croniter rich.live rich.table rich.syntax rich.markup
    pipekit_engine.cli.main pipekit_engine.cli.output pipekit_engine.cli.progress pipekit_engine.engine
    pipekit_engine.cli.running pipekit_engine.cli.runs pipekit_engine.cli.definitions
    pipekit_engine.security.secrets pipekit_engine.jrunner.external zoneinfo
"""


def path_for(config: Config) -> str:
    """The socket of a project's agent."""
    return client.socket_path(str(config.folder), config.database)


class Agent(ForkServer):
    """A listening agent; `serve` waits for the commands at work. Raises ConfigurationError where another listens, or none can."""

    def __init__(self, config: Config, main: Callable[[], None]) -> None:
        self._main = main
        self._warm = WarmProcesses(config)
        self._borrowers: dict[int, WarmProcess] = {}
        super().__init__(path_for(config), [Path(__file__).resolve().parents[1]])
        self.listen()

    def serve(self) -> None:
        """Serve until SIGTERM or SIGINT, or until another pipekit stands where this one did."""
        for name in _WARM.split():
            with suppress(ImportError):
                import_module(name)
        warm_up()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            super().serve()
        finally:
            self._warm.end()

    def prepare(self) -> None:
        """Have JVMs ready."""
        self._warm.keep_ready()

    def take(self, connection: socket.socket) -> None:
        """Fork a process for a command, and lend it a JVM if one is ready."""
        warm = self._warm.take()
        lent = warm.lend() if warm is not None else None
        pid = self.fork(connection, partial(self._run, lent))
        if warm is not None and lent is not None:
            self._borrowers[pid] = warm
            os.close(lent.pidfd)

    def ended(self, pid: int, status: int) -> dict[str, int] | None:
        """Take the JVM back. How its command ended the process has told itself, unless a signal ended it."""
        warm = self._borrowers.pop(pid, None)
        if warm is not None:
            self._warm.give_back(warm, usable=status == 0)
        return {"signal": -status} if status < 0 else None

    def _run(self, lent: lending.LentProcess | None, connection: socket.socket) -> int:
        """In the forked process: the command, to its end. The exit status says whether the JVM can be lent again."""
        for item in self._warm.all:
            if lent is None or item.process.pid != lent.pid:
                item.forget()
        lending.lend(lent)
        run_for(connection, self._main)
        return 0 if lent is None or lent.returned else 1


def run_for(connection: socket.socket, main: Callable[[], None]) -> None:
    """Run the command of a client, as if it ran in the client's own process, and tell it how that ended."""
    try:
        request, files = receive(connection, 3)
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        os.chdir(request["folder"])
        connection.sendall(b"+")
        signals = bytearray()
        while (said := connection.recv(1)) != b"g":
            if not said:
                return
            signals += said
    except (OSError, ValueError, KeyError, TypeError):
        return
    connection.settimeout(None)
    become(request)
    sys.argv = ["pipekit", *request["arguments"]]
    _open_streams(request["streams"])
    _pass_on_signals(connection, bytes(signals))
    status = status_of(main)
    # The client goes once it knows the status, which `_pass_on_signals` takes for SIGTERM: a JVM would not be given back.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with suppress(OSError):
        connection.sendall(json.dumps({"status": status}).encode() + b"\n")


def _open_streams(streams: list[tuple[str, str]]) -> None:
    """The standard streams as the client's process has them: encoding, and what becomes of characters that it lacks."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        encoding, errors = streams[number]
        stream = open(number, mode, encoding=encoding, errors=errors, closefd=False)  # noqa: SIM115
        assert isinstance(stream, TextIOWrapper)
        if name == "stderr":
            stream.reconfigure(line_buffering=True)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _pass_on_signals(connection: socket.socket, first: bytes) -> None:
    """Send this process what its client gets; the client's end counts as SIGTERM, which nobody ignores as `nohup` does SIGHUP."""
    from threading import Thread

    def listen() -> None:
        for number in first:
            os.kill(os.getpid(), number)
        while True:
            try:
                said = connection.recv(1)
            except OSError:
                return
            os.kill(os.getpid(), said[0] if said else signal.SIGTERM)
            if not said:
                return

    Thread(target=listen, name="client", daemon=True).start()
