"""The agent: it listens on a Unix socket of its user's, and forks a process for each command that it is handed.

Each command runs in a process of its own, which has imported everything already: nothing of one is seen by another, secrets
and definitions are read anew, and what it leaves in memory goes with it. The runs of an agent that is killed go on to their end,
except for those in a JVM that they borrowed, which ends with the agent: their end is written down as any lost jrunner's is.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import struct
import sys
import time
from contextlib import suppress
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from pipekit_engine.agent import client
from pipekit_engine.agent.warm import WarmProcess, WarmProcesses
from pipekit_engine.errors import ConfigurationError
from pipekit_engine.jrunner import lending

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pipekit_engine.config import Config

#: Commands at work side by side; further ones are done by their own processes.
MOST_COMMANDS = 64
#: Seconds that a client has for each thing it says before its command begins.
_SAY_S = 5.0
#: How often files are looked at for a pipekit that was replaced.
_LOOK_S = 1.0
_LONGEST_REQUEST = 16 << 20
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


class Agent:
    """A listening agent. `serve` returns after SIGTERM or SIGINT, or once another pipekit stands where this one did."""

    def __init__(self, config: Config, main: Callable[[], None]) -> None:
        self._main = main
        self._path = path_for(config)
        self._warm = WarmProcesses(config)
        self._commands: dict[int, tuple[socket.socket, WarmProcess | None]] = {}
        self._files = _program()
        self._stamp = _stamp(self._files)
        self._listener = _listen(self._path)
        self._file = os.stat(self._path)

    def serve(self) -> None:
        """Serve until it is told to stop; commands at work are waited for."""
        for name in _WARM.split():
            with suppress(ImportError):
                import_module(name)
        reader, writer = os.pipe()
        for end in (reader, writer):
            os.set_blocking(end, False)
        stopped = False

        def stop(*_: object) -> None:
            nonlocal stopped
            stopped = True

        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        gc.collect()
        gc.freeze()  # what is shared with the children stays shared
        try:
            while not stopped and self._is_current():
                self._warm.keep_ready()
                listening: list[Any] = [self._listener, reader]
                waiting, _, _ = select.select(listening, [], [], _LOOK_S)
                if reader in waiting:
                    with suppress(BlockingIOError):
                        os.read(reader, 4096)
                self._reap()
                if self._listener in waiting:
                    self._take()
            self._leave()
            while self._commands:
                select.select([reader], [], [], _LOOK_S)
                with suppress(BlockingIOError):
                    os.read(reader, 4096)
                self._reap()
        finally:
            self._leave()
            self._warm.end()

    def _is_current(self) -> bool:
        """Whether this agent still is what its clients look for: its code and its socket are in their place."""
        with suppress(OSError):
            return os.path.samestat(self._file, os.stat(self._path)) and _stamp(self._files) == self._stamp
        return False

    def _leave(self) -> None:
        """Take no more commands."""
        self._listener.close()
        with suppress(OSError):
            if os.path.samestat(self._file, os.stat(self._path)):
                os.unlink(self._path)

    def _take(self) -> None:
        """Fork a process for a client that has come."""
        connection, _ = self._listener.accept()
        _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid != os.getuid() or len(self._commands) >= MOST_COMMANDS or not self._is_current():
            connection.close()
            return
        warm = self._warm.take()
        lent = warm.lend() if warm is not None else None
        pid = os.fork()
        if pid == 0:
            self._work(connection, lent)
        self._commands[pid] = (connection, warm)
        if lent is not None:
            os.close(lent.pidfd)

    def _work(self, connection: socket.socket, lent: lending.LentProcess | None) -> NoReturn:
        """In the child: the command, to its end."""
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setsid()
            self._listener.close()
            for other, _ in self._commands.values():
                other.close()
            for item in self._warm.all:
                if lent is None or item.process.pid != lent.pid:
                    item.forget()
            lending.lend(lent)
            run_for(connection, self._main)
        finally:
            os._exit(0 if lent is None or lent.returned else 1)

    def _reap(self) -> None:
        """See off the children that have ended."""
        for pid, (connection, warm) in list(self._commands.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended:
                continue
            del self._commands[pid]
            if os.WIFSIGNALED(status):
                with suppress(OSError):
                    connection.sendall(json.dumps({"signal": os.WTERMSIG(status)}).encode() + b"\n")
            connection.close()
            if warm is not None:
                self._warm.give_back(warm, usable=status == 0)


def _listen(path: str) -> socket.socket:
    """A socket that listens there, for this user alone. Raises ConfigurationError where another agent listens, or none can."""
    listener = socket.socket(socket.AF_UNIX)
    umask = os.umask(0o177)
    reachable, folder = client.within_reach(path)
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(reachable)
            except ConnectionRefusedError:
                os.unlink(path)  # what an agent that was killed left
            except FileNotFoundError:
                pass
            else:
                raise ConfigurationError(f"An agent listens on {path} already: `pipekit agent stop` ends it.")
        listener.bind(reachable)
        listener.listen(MOST_COMMANDS)
    except OSError as error:
        listener.close()
        raise ConfigurationError(f"The agent cannot listen on {path}: {error.strerror or error}.") from None
    finally:
        os.umask(umask)
        if folder >= 0:
            os.close(folder)
    return listener


def listening(path: str) -> int | None:
    """The process id of the agent that listens there; None where none of this user's does."""
    with socket.socket(socket.AF_UNIX) as probe:
        reachable, folder = client.within_reach(path) if os.path.exists(path) else (path, -1)
        try:
            probe.connect(reachable)
        except OSError:
            return None
        finally:
            if folder >= 0:
                os.close(folder)
        pid, uid, _ = struct.unpack("3i", probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(pid) if uid == os.getuid() else None


def _program() -> list[Path]:
    """The files of pipekit's program."""
    return [path for path in Path(__file__).resolve().parents[1].rglob("*") if path.suffix in (".py", ".jar")]


def _stamp(files: Sequence[Path]) -> list[int]:
    """Changes when a file does. Raises OSError for one that is gone."""
    return [os.stat(path).st_mtime_ns for path in files]


def run_for(connection: socket.socket, main: Callable[[], None]) -> None:
    """Run the command of a client, as if it ran in the client's own process, and tell it how that ended."""
    connection.settimeout(_SAY_S)
    try:
        request = _receive(connection)
        if any(request[name] != value for name, value in json.loads(json.dumps(client.identity())).items()):
            return
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
    _become(request)
    _pass_on_signals(connection, bytes(signals))
    status = _status_of(main)
    with suppress(OSError):
        connection.sendall(json.dumps({"status": status}).encode() + b"\n")


def _receive(connection: socket.socket) -> dict[str, Any]:
    """The client's request; its files take the place of the standard ones. Raises OSError and ValueError."""
    text, files = b"", list[int]()
    while not text.endswith(b"\n"):
        part, got, _, _ = socket.recv_fds(connection, 1 << 16, 3)
        if not part or len(text) > _LONGEST_REQUEST:
            raise ValueError("no request")
        text, files = text + part, files + got
    request = json.loads(text)
    if len(files) != 3 or not isinstance(request, dict):
        raise ValueError("no request of a client's")
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    return request


def _become(request: dict[str, Any]) -> None:
    """Take over what the client's process has: arguments, environment, umask, streams, and how it takes signals."""
    sys.argv = ["pipekit", *request["arguments"]]
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    os.umask(request["umask"])
    for heard in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(heard, signal.SIG_IGN if heard in request["ignored"] else signal.SIG_DFL)
    if signal.SIGINT not in request["ignored"]:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        encoding, errors = request["streams"][number]
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


def _status_of(main: Callable[[], None]) -> int:
    """Run the command; the exit status that an interpreter of its own would have."""
    import atexit
    import traceback

    status = 0
    try:
        main()
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        traceback.print_exc()
        status = 130
    except BaseException:
        traceback.print_exc()
        status = 1
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            status = status or 120
    return status & 0xFF
