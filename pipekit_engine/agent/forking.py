"""A server that forks a process for each client of its Unix socket, and what such a process takes over from its client.

The server has one thread, and no descriptor but its socket and pipes, so that a fork shares nothing that two processes
must not share. It listens for its own user alone, and ends once another pipekit stands where its program did.
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
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipekit_engine.agent import client
from pipekit_engine.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: Processes at work side by side; further clients are sent away.
MOST_AT_WORK = 64
#: Seconds that a client has for each thing it says before its work begins.
SAY_S = 5.0
#: How often files are looked at for a pipekit that was replaced.
_LOOK_S = 1.0
_LONGEST_REQUEST = 16 << 20


def warm_up() -> None:
    """Do once what each fork would do by itself: import every kind of database, and build every model."""
    from pydantic import BaseModel

    from pipekit_engine.databases.dialects import catalogue

    catalogue()
    pending: list[type[BaseModel]] = [BaseModel]
    while pending:
        for model in pending.pop().__subclasses__():
            if model.__module__.startswith("pipekit_engine."):
                model.model_rebuild()
                pending.append(model)


class ForkServer:
    """The server; `work` is what a forked process does for its client. What it imports is imported after it was made."""

    #: Whether `serve` waits for the processes at work before it returns; those of one that does not go on without it.
    waits = True

    def __init__(self, path: str, packages: Sequence[Path]) -> None:
        self._path = path
        self._files = [file for package in packages for file in package.rglob("*") if file.suffix in (".py", ".jar")]
        self._stamp = _stamp(self._files)
        self._clients: dict[int, socket.socket] = {}
        self._stopped = False

    def listen(self) -> None:
        """Take clients from now on. Raises ConfigurationError where another server listens, or none can."""
        self._listener = listen(self._path)
        self._file = os.stat(self._path)
        self._pipe = os.pipe()

    def work(self, connection: socket.socket) -> int:
        """In the forked process: all that it does; its exit status."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Called before each wait for a client."""

    def take(self, connection: socket.socket) -> None:
        """Fork a process for a client that has come."""
        self.fork(connection, self.work)

    def ended(self, pid: int, status: int) -> dict[str, int] | None:
        """What the client is told of the end of its process; the status is negative for the signal that ended it."""
        return {"status": status}

    def stop(self, *_: object) -> None:
        """Have `serve` return."""
        self._stopped = True

    def serve(self) -> None:
        """Serve until SIGTERM or SIGINT, or until another pipekit stands where this one did. It listens already."""
        reader, writer = self._pipe
        for end in self._pipe:
            os.set_blocking(end, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.stop)
        gc.collect()
        gc.freeze()  # what is shared with the children stays shared
        try:
            while not self._stopped and self._is_current():
                self.prepare()
                waiting = self._wait(self._listener, reader)
                if self._listener in waiting:
                    self._accept()
            self._leave()
            while self.waits and self._clients:
                self._wait(reader)
        finally:
            self._leave()

    def _wait(self, *listening: Any) -> list[Any]:
        waiting, _, _ = select.select(listening, [], [], _LOOK_S)
        with suppress(BlockingIOError):
            os.read(self._pipe[0], 4096)
        self._reap()
        return waiting

    def _is_current(self) -> bool:
        """Whether this server still is what its clients look for: its code and its socket are in their place."""
        with suppress(OSError):
            return os.path.samestat(self._file, os.stat(self._path)) and _stamp(self._files) == self._stamp
        return False

    def _leave(self) -> None:
        """Take no more clients."""
        self._listener.close()
        with suppress(OSError):
            if os.path.samestat(self._file, os.stat(self._path)):
                os.unlink(self._path)

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid != os.getuid() or len(self._clients) >= MOST_AT_WORK or not self._is_current():
            connection.close()
            return
        self.take(connection)

    def fork(self, connection: socket.socket, work: Callable[[socket.socket], int]) -> int:
        """The id of a process that was forked to work for a client; it leads a session of its own."""
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                os.setsid()
                self._listener.close()
                for end in self._pipe:
                    os.close(end)
                for other in self._clients.values():
                    other.close()
                connection.settimeout(SAY_S)
                status = work(connection)
            finally:
                os._exit(status)
        self._clients[pid] = connection
        return pid

    def _reap(self) -> None:
        """See off the processes that have ended."""
        for pid, connection in list(self._clients.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended:
                continue
            del self._clients[pid]
            said = self.ended(pid, os.waitstatus_to_exitcode(status))
            if said is not None:
                with suppress(OSError):
                    connection.sendall(json.dumps(said).encode() + b"\n")
            connection.close()


def listen(path: str) -> socket.socket:
    """A socket that listens there, for this user alone. Raises ConfigurationError where another server listens, or none can."""
    listener = socket.socket(socket.AF_UNIX)
    umask = os.umask(0o177)
    reachable, folder = client.within_reach(path)
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(reachable)
            except ConnectionRefusedError:
                os.unlink(path)  # what a server that was killed left
            except FileNotFoundError:
                pass
            else:
                raise ConfigurationError(f"An agent listens on {path} already: `pipekit agent stop` ends it.")
        listener.bind(reachable)
        listener.listen(MOST_AT_WORK)
    except OSError as error:
        listener.close()
        raise ConfigurationError(f"The agent cannot listen on {path}: {error.strerror or error}.") from None
    finally:
        os.umask(umask)
        if folder >= 0:
            os.close(folder)
    return listener


def listening(path: str) -> int | None:
    """The process id of the server that listens there; None where none of this user's does."""
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


def _stamp(files: Sequence[Path]) -> list[int]:
    """Changes when a file does. Raises OSError for one that is gone."""
    return [os.stat(path).st_mtime_ns for path in files]


def receive(connection: socket.socket, count: int) -> tuple[dict[str, Any], list[int]]:
    """A client's request with its `count` open files. Raises OSError, and ValueError where another process is wanted."""
    text, files = b"", list[int]()
    while not text.endswith(b"\n"):
        part, got, _, _ = socket.recv_fds(connection, 1 << 16, count)
        if not part or len(text) > _LONGEST_REQUEST:
            raise ValueError("no request")
        text, files = text + part, files + got
    request = json.loads(text)
    if len(files) != count or not isinstance(request, dict):
        raise ValueError("no request of a client's")
    ours = json.loads(json.dumps(client.identity()))
    if any(request.get(name) != value for name, value in ours.items()):
        raise ValueError("the client's interpreter is another one")
    return request, files


def become(request: dict[str, Any]) -> None:
    """Take over what the client's process has: environment, time zone, umask, and how it takes signals."""
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    os.umask(request["umask"])
    for heard in client.PASSED_ON:
        signal.signal(heard, signal.SIG_IGN if heard in request["ignored"] else signal.SIG_DFL)
    if signal.SIGINT not in request["ignored"]:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def status_of(main: Callable[[], None]) -> int:
    """Run a program to its end; the exit status that an interpreter of its own would have."""
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
    # As an interpreter ends: it waits for the threads, then calls what was registered.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            status = status or 120
    return status & 0xFF
