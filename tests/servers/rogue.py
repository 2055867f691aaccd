"""Servers that a source should not be: each speaks enough of its protocol to ask the client for a file."""

from __future__ import annotations

import socket
import struct
import threading
import time
from random import Random
from types import TracebackType


class RogueServer:
    """Takes connections on a free port; `sent` is what clients sent that could be a file, `asked` how often one was asked for.

    `file` is the path that is asked for. `polite` answers that many statements of a connection as a server would first.
    """

    def __init__(self, file: str, *, polite: int = 0) -> None:
        self.file, self.polite = file, polite
        self.sent = b""
        self.asked = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> RogueServer:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(client,), daemon=True).start()

    def _talk(self, client: socket.socket) -> None:
        with client:
            client.settimeout(10)
            try:
                self.talk(client)
            except (OSError, EOFError):
                return

    def talk(self, client: socket.socket) -> None:
        raise NotImplementedError


def receive(client: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = client.recv(count - len(data))
        if not more:
            raise EOFError
        data += more
    return data


class RogueMySQL(RogueServer):
    """Asks for a file in answer to statements (LOCAL INFILE), which the protocol lets a server do at any time.

    `statements`: those that were answered as a server would.
    """

    def __init__(self, file: str, *, polite: int = 0) -> None:
        super().__init__(file, polite=polite)
        self.statements: list[str] = []

    def talk(self, client: socket.socket) -> None:
        capabilities = 0x00FFF7FF & ~0x00000800 & ~0x00000020  # neither TLS nor compression
        greeting = b"\x0a8.0.36\0" + struct.pack("<I", 7) + b"abcdefgh\0" + struct.pack("<H", capabilities & 0xFFFF)
        greeting += b"\x2d" + struct.pack("<HH", 2, capabilities >> 16) + bytes([21]) + bytes(10)
        self._send(client, 0, greeting + b"ijklmnopqrst\0mysql_native_password\0")
        number, _ = self._packet(client)
        self._send(client, number + 1, b"\0\0\0\x02\0\0\0")
        polite = self.polite
        while True:
            number, command = self._packet(client)
            if command[:1] == b"\x01":
                return
            if command[:1] != b"\x03":
                self._send(client, number + 1, b"\0\0\0\x02\0\0\0")
            elif polite > 0:
                polite -= 1
                self.statements.append(command[1:].decode(errors="replace"))
                self._answer(client, command[1:].decode(errors="replace"))
            else:
                self.asked += 1
                self._send(client, number + 1, b"\xfb" + self.file.encode())
                while True:
                    number, content = self._packet(client)
                    if not content:
                        break
                    self.sent += content
                self._send(client, number + 1, b"\0\0\0\x02\0\0\0")

    def _answer(self, client: socket.socket, sql: str) -> None:
        """A row with what drivers ask for when they connect; OK to anything else."""
        names = [part.split()[-1].strip("`").replace("@@", "").split(".")[-1] for part in sql.split(",")]
        values = {"auto_increment_increment": "1", "max_allowed_packet": "16777216", "lower_case_table_names": "0",
                  "net_write_timeout": "60", "interactive_timeout": "60", "wait_timeout": "60", "net_buffer_length": "16384",
                  "time_zone": "+00:00", "system_time_zone": "UTC", "sql_mode": "", "transaction_isolation": "REPEATABLE-READ",
                  "tx_isolation": "REPEATABLE-READ", "performance_schema": "0", "license": "GPL", "init_connect": ""}  # fmt: skip
        if not sql.lstrip("/*").strip().upper().find("SELECT") >= 0 or "@@" not in sql:
            self._send(client, 1, b"\0\0\0\x02\0\0\0")
            return
        self._send(client, 1, bytes([len(names)]))
        number = 2
        for name in names:
            text = name.encode()
            field = b"\x03def\0\0\0" + bytes([len(text)]) + text + bytes([len(text)]) + text
            self._send(client, number, field + b"\x0c" + struct.pack("<HIBHBH", 45, 255, 0xFD, 0, 0, 0))
            number += 1
        self._send(client, number, b"\xfe\0\0\x02\0")
        row = b"".join(
            bytes([len(value)]) + value.encode() for value in (values.get(name, "utf8mb4") for name in names)
        )
        self._send(client, number + 1, row)
        self._send(client, number + 2, b"\xfe\0\0\x02\0")

    @staticmethod
    def _send(client: socket.socket, number: int, content: bytes) -> None:
        client.sendall(struct.pack("<I", len(content))[:3] + bytes([number % 256]) + content)

    @staticmethod
    def _packet(client: socket.socket) -> tuple[int, bytes]:
        head = receive(client, 4)
        return head[3], receive(client, int.from_bytes(head[:3], "little"))


class RoguePostgreSQL(RogueServer):
    """Asks for rows of COPY FROM STDIN in answer to each statement, which is all that the protocol knows of."""

    def talk(self, client: socket.socket) -> None:
        while True:
            length = struct.unpack(">I", receive(client, 4))[0]
            start = receive(client, length - 4)
            if start[:4] not in (struct.pack(">I", 80877103), struct.pack(">I", 80877104)):
                break
            client.sendall(b"N")
        client.sendall(b"R" + struct.pack(">II", 8, 0))
        for name, value in (("server_version", "15.0"), ("client_encoding", "UTF8"), ("standard_conforming_strings", "on"),
                            ("integer_datetimes", "on"), ("DateStyle", "ISO"), ("TimeZone", "UTC")):  # fmt: skip
            parameter = name.encode() + b"\0" + value.encode() + b"\0"
            client.sendall(b"S" + struct.pack(">I", len(parameter) + 4) + parameter)
        client.sendall(b"K" + struct.pack(">III", 12, 1, 2) + b"Z" + struct.pack(">I", 5) + b"I")
        while True:
            kind = receive(client, 1)
            content = receive(client, struct.unpack(">I", receive(client, 4))[0] - 4)
            if kind == b"X":
                return
            if kind in (b"d", b"f"):
                self.sent += content if kind == b"d" else b""
            if kind in (b"Q", b"S"):
                self.asked += 1
                client.sendall(b"G" + struct.pack(">IbH", 7, 0, 0))


class Silent(RogueServer):
    """Takes what it is sent, and says nothing."""

    def talk(self, client: socket.socket) -> None:
        client.settimeout(60)
        while client.recv(65536):
            pass


class Garbage(RogueServer):
    """Answers each message with bytes that mean nothing, the same ones for the same number."""

    def __init__(self, file: str, *, seed: int = 0, speaks_first: bool = False) -> None:
        super().__init__(file)
        self._random = Random(seed)
        self._speaks_first = speaks_first

    def talk(self, client: socket.socket) -> None:
        if self._speaks_first:
            client.sendall(self._random.randbytes(100))
        while said := client.recv(65536):
            self.sent += said
            client.sendall(self._random.randbytes(self._random.choice([1, 8, 100, 5000])))


class Endless(RogueServer):
    """Answers with one message that never ends."""

    def talk(self, client: socket.socket) -> None:
        self.sent += client.recv(65536)
        while True:
            client.sendall(bytes(range(256)) * 16)
            time.sleep(0.01)


class Echo(RogueServer):
    """Sends back what it is sent."""

    def talk(self, client: socket.socket) -> None:
        while said := client.recv(65536):
            self.sent += said
            client.sendall(said)


class HttpServer(RogueServer):
    """What an HTTP server answers to whoever speaks something else to it."""

    def talk(self, client: socket.socket) -> None:
        self.sent += client.recv(65536)
        body = b"<html><body><h1>Bad Request</h1></body></html>"
        head = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(body)
        client.sendall(head + body)


class HangsUp(RogueServer):
    """Ends each connection at the first message."""

    def talk(self, client: socket.socket) -> None:
        self.sent += client.recv(65536)


class RogueTDS(RogueServer):
    """Takes any login, and sends the client to itself for the next one (routing), without end. `asked`: how many it took."""

    def talk(self, client: socket.socket) -> None:
        while True:
            kind = self._message(client)
            if kind == 0x12:  # PRELOGIN: version, and no encryption
                options = struct.pack(">BHHBHHB", 0, 11, 6, 1, 17, 1, 0xFF)
                self._reply(client, options + bytes([16, 0, 0x10, 0, 0, 0]) + b"\x02")
            elif kind == 0x10:  # LOGIN7
                self.asked += 1
                host = "127.0.0.1".encode("utf-16-le")
                route = struct.pack("<BHH", 0, self.port, len(host) // 2) + host
                change = struct.pack("<BH", 20, len(route)) + route + b"\0\0"
                name = "rogue".encode("utf-16-le")
                ack = b"\x01\x74\0\0\x04" + bytes([len(name) // 2]) + name + b"\x10\0\0\0"
                done = b"\xfd" + struct.pack("<HHQ", 0, 0, 0)
                self._reply(
                    client,
                    b"\xad"
                    + struct.pack("<H", len(ack))
                    + ack
                    + b"\xe3"
                    + struct.pack("<H", len(change))
                    + change
                    + done,
                )
            else:
                self._reply(client, b"\xd1" * 50)  # a row, of no known columns

    @staticmethod
    def _message(client: socket.socket) -> int:
        while True:
            head = receive(client, 8)
            receive(client, struct.unpack(">H", head[2:4])[0] - 8)
            if head[1] & 1:
                return head[0]

    @staticmethod
    def _reply(client: socket.socket, content: bytes) -> None:
        client.sendall(struct.pack(">BBHHBB", 4, 1, len(content) + 8, 0, 1, 0) + content)


class RogueTNS(RogueServer):
    """Asks for each packet of Oracle's protocol once more (RESEND), without end. `asked`: how often."""

    def talk(self, client: socket.socket) -> None:
        while client.recv(65536):
            self.asked += 1
            client.sendall(struct.pack(">HHBBH", 8, 0, 11, 0, 0))


class RogueDRDA(RogueServer):
    """Wants, of DB2's protocol, another way to log in than the one that the client proposes, without end. `asked`: how often.

    Whatever else the client sends is answered by the attributes of a server.
    """

    _ACCSEC, _ACCSECRD, _EXCSATRD, _SECMEC = 0x106D, 0x14AC, 0x1443, 0x11A2
    _USER_ONLY, _USER_AND_PASSWORD, _ENCRYPTED = 4, 3, 9

    def talk(self, client: socket.socket) -> None:
        while True:
            head = receive(client, 10)  # length, 0xD0, format, correlation; the object's own length and code point
            number, code = struct.unpack(">H", head[4:6])[0], struct.unpack(">H", head[8:10])[0]
            body = receive(client, struct.unpack(">H", head[:2])[0] - 10)
            if code != self._ACCSEC:
                self._reply(client, number, head[3], self._EXCSATRD, b"")
                continue
            self.asked += 1
            proposed = body[body.index(struct.pack(">H", self._SECMEC)) + 3]
            other = self._USER_ONLY if proposed != self._USER_ONLY else self._USER_AND_PASSWORD
            other = self._ENCRYPTED if self.asked % 3 == 0 else other
            self._reply(client, number, head[3], self._ACCSECRD, struct.pack(">HHH", 6, self._SECMEC, other))

    @staticmethod
    def _reply(client: socket.socket, number: int, request: int, code: int, content: bytes) -> None:
        chained = request & 0x50  # as the request was: more of it follows, under another number or the same
        inner = struct.pack(">HH", len(content) + 4, code) + content
        client.sendall(struct.pack(">HBBH", len(inner) + 6, 0xD0, chained | 2, number) + inner)
