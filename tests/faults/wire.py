"""A proxy that reads the requests on the wire, and stands still at the one that a test names."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Literal

from tests.servers.proxy import BLOCK, HOST, reset

Side = Literal["before", "after"]
Pump = Callable[[socket.socket, socket.socket], None]


class Protocol(ABC):
    """One connection's messages from client to server, and the SQL in them."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def messages(self, block: bytes) -> Iterator[tuple[bytes, str | None]]:
        """The messages that are whole now, each with its SQL text if it has one."""
        self._buffer += block
        while size := self._size(self._buffer):
            if len(self._buffer) < size:
                return
            message = bytes(self._buffer[:size])
            del self._buffer[:size]
            yield message, self._sql(message)

    @abstractmethod
    def _size(self, data: bytes) -> int:
        """How long the message at the beginning of `data` is; 0 if its head is not there yet."""

    @abstractmethod
    def _sql(self, message: bytes) -> str | None: ...


class PostgreSQLProtocol(Protocol):
    """Messages of version 3: a start without a type, then a type, a length that counts itself, and a body."""

    _TO_COME = frozenset({80877103, 80877104})  #: asked for TLS or GSSAPI: the real start follows.

    def __init__(self) -> None:
        super().__init__()
        self._started = False

    def _size(self, data: bytes) -> int:
        head = 1 if self._started else 0
        return head + struct.unpack_from("!I", data, head)[0] if len(data) >= head + 4 else 0

    def _sql(self, message: bytes) -> str | None:
        if not self._started:
            self._started = struct.unpack_from("!I", message, 4)[0] not in self._TO_COME
            return None
        if message[:1] == b"Q":
            return message[5:].rstrip(b"\0").decode("utf-8", "replace")
        if message[:1] == b"P":
            return message[5:].split(b"\0", 2)[1].decode("utf-8", "replace")
        return None


class MariaDBProtocol(Protocol):
    """Packets: three bytes of length, a number that is 0 for a command, and a body that begins with the command."""

    _WITH_SQL = frozenset({3, 0x16})  #: COM_QUERY, COM_STMT_PREPARE

    def _size(self, data: bytes) -> int:
        return 4 + int.from_bytes(data[:3], "little") if len(data) >= 4 else 0

    def _sql(self, message: bytes) -> str | None:
        if len(message) > 4 and message[3] == 0 and message[4] in self._WITH_SQL:
            return message[5:].decode("utf-8", "replace")
        return None


PROTOCOLS: dict[str, type[Protocol]] = {"postgresql": PostgreSQLProtocol, "mariadb": MariaDBProtocol}


class HoldingProxy:
    """Forwards a port on loopback to a database; a context manager.

    After `arm(pattern, side)` the next request whose SQL matches is held `before` it reaches the server, or its answer is
    held `after` the server gave it: `held` is set, and that connection stands still until `release()`, or until
    `release(drop=True)` resets it. `silence()` keeps all connections and forwards nothing; `cut()` resets all; `mend()`
    ends both.
    """

    host = HOST

    def __init__(self, kind: str, target_port: int) -> None:
        self._protocol = PROTOCOLS[kind]
        self._target_port = target_port
        self.held = threading.Event()
        self._lock = threading.Lock()
        self._armed: tuple[re.Pattern[str], Side] | None = None
        self._answers_held: set[socket.socket] = set()
        self._released = threading.Event()
        self._dropped = False
        self._flowing = threading.Event()
        self._flowing.set()
        self._is_cut = False
        self._sockets: set[socket.socket] = set()
        self._listener = socket.create_server((HOST, 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name="holding-proxy", daemon=True).start()

    def arm(self, pattern: str, side: Side) -> None:
        """Hold the next request that matches. Letter case does not count."""
        self.held.clear()
        self._released.clear()
        self._dropped = False
        with self._lock:
            self._armed = (re.compile(pattern, re.IGNORECASE | re.DOTALL), side)

    def disarm(self) -> None:
        """Hold nothing."""
        with self._lock:
            self._armed = None
            self._answers_held.clear()

    def release(self, *, drop: bool = False) -> None:
        """Let the held connection go on, or reset it."""
        self.disarm()
        self._dropped = drop
        self._released.set()

    def cut(self) -> None:
        """Reset all connections; new ones are reset at once until `mend`."""
        with self._lock:
            self._is_cut = True
            ends, self._sockets = self._sockets, set()
        for end in ends:
            reset(end)

    def silence(self) -> None:
        """Forward nothing more, and leave every connection open."""
        self._flowing.clear()

    def mend(self) -> None:
        """Forward and accept again."""
        with self._lock:
            self._is_cut = False
        self._flowing.set()

    def __enter__(self) -> HoldingProxy:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self.cut()
        self.release(drop=True)
        self._flowing.set()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection((HOST, self._target_port), timeout=10)
            except OSError:
                reset(client)
                continue
            server.settimeout(None)
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                if not self._is_cut:
                    self._sockets |= {client, server}
            if client not in self._sockets:
                reset(client)
                reset(server)
                continue
            threading.Thread(target=self._run, args=(self._upward, client, server), daemon=True).start()
            threading.Thread(target=self._run, args=(self._downward, server, client), daemon=True).start()

    def _run(self, pump: Pump, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            pump(source, sink)
        with self._lock:
            self._sockets -= {source, sink}
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _upward(self, client: socket.socket, server: socket.socket) -> None:
        protocol = self._protocol()
        while block := client.recv(BLOCK):
            for message, sql in protocol.messages(block):
                if sql is not None and self._matches(sql, server):
                    self._hold()
                self._flowing.wait()
                server.sendall(message)

    def _downward(self, server: socket.socket, client: socket.socket) -> None:
        while block := server.recv(BLOCK):
            with self._lock:
                hold = server in self._answers_held
                self._answers_held.discard(server)
            if hold:
                self._hold()
            self._flowing.wait()
            client.sendall(block)

    def _matches(self, sql: str, server: socket.socket) -> bool:
        """Whether the request is to be held now; that its answer is to be held is noted for its server's connection."""
        with self._lock:
            if self._armed is None or not self._armed[0].search(sql):
                return False
            side, self._armed = self._armed[1], None
            if side == "after":
                self._answers_held.add(server)
            return side == "before"

    def _hold(self) -> None:
        self.held.set()
        self._released.wait()
        if self._dropped:
            raise OSError("dropped")
