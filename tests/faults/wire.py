"""A proxy that reads the requests on the wire, and stands still at the one that a test names."""

from __future__ import annotations

import re
import socket
import struct
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Literal

from tests.servers.proxy import CuttableProxy

Side = Literal["before", "after"]


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
        #: Texts of statements that the server keeps under a name: drivers send what they repeat by that alone.
        self._kept: dict[bytes, str] = {}

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
            name, sql = message[5:].split(b"\0", 2)[:2]
            self._kept[name] = sql.decode("utf-8", "replace")
            return self._kept[name]
        if message[:1] == b"B":
            name = message[5:].split(b"\0", 2)[1]
            return self._kept.get(name) if name else None
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


class HoldingProxy(CuttableProxy):
    """A proxy to a database of `kind` that can hold one request.

    After `arm(pattern, side)` the next request whose SQL matches is held `before` it reaches the server, or its answer is
    held `after` the server gave it: `held` is set, and that connection stands still until `release()`, or until
    `release(drop=True)` ends it.
    """

    def __init__(self, kind: str, target_port: int) -> None:
        self._kind = kind
        self.held = threading.Event()
        self._holding = threading.Lock()
        self._armed: tuple[re.Pattern[str], Side] | None = None
        self._protocols: dict[tuple[socket.socket, ...], Protocol] = {}
        self._answers_held: set[tuple[socket.socket, ...]] = set()
        self._released = threading.Event()
        self._dropped = False
        super().__init__(target_port)

    def arm(self, pattern: str, side: Side) -> None:
        """Hold the next request that matches. Letter case does not count."""
        self.held.clear()
        self._released.clear()
        self._dropped = False
        with self._holding:
            self._armed = (re.compile(pattern, re.IGNORECASE | re.DOTALL), side)

    def disarm(self) -> None:
        """Hold nothing."""
        with self._holding:
            self._armed = None
            self._answers_held.clear()

    def release(self, *, drop: bool = False) -> None:
        """Let the held connection go on, or end it."""
        self.disarm()
        self._dropped = drop
        self._released.set()

    def close(self) -> None:
        self.release(drop=True)
        super().close()

    def _pass(self, block: bytes, sink: socket.socket, pair: tuple[socket.socket, ...], upward: bool) -> None:
        if not upward:
            with self._holding:
                hold = pair in self._answers_held
                self._answers_held.discard(pair)
            if hold:
                self._hold()
            super()._pass(block, sink, pair, upward)
            return
        protocol = self._protocols.setdefault(pair, PROTOCOLS[self._kind]())
        for message, sql in protocol.messages(block):
            if sql is not None and self._matches(sql, pair):
                self._hold()
            super()._pass(message, sink, pair, upward)

    def _matches(self, sql: str, pair: tuple[socket.socket, ...]) -> bool:
        """Whether the request is to be held now; that its answer is to be held is noted for its connection."""
        with self._holding:
            if self._armed is None or not self._armed[0].search(sql):
                return False
            side, self._armed = self._armed[1], None
            if side == "after":
                self._answers_held.add(pair)
            return side == "before"

    def _hold(self) -> None:
        self.held.set()
        self._released.wait()
        if self._dropped:
            raise OSError("dropped")
