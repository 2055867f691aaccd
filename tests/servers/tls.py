"""Servers with a certificate and nothing behind it: how far a driver of a database that is not here comes with its TLS."""

from __future__ import annotations

import socket
import ssl
import struct

from tests.servers.certificates import Pair
from tests.servers.rogue import RogueServer, RogueTDS, receive


class TlsServer(RogueServer):
    """Shakes hands, and hangs up at the first message. `asked`: how many clients trusted it."""

    def __init__(self, pair: Pair) -> None:
        super().__init__("")
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(pair.cert, pair.key)

    def talk(self, client: socket.socket) -> None:
        with self.context.wrap_socket(client, server_side=True) as wrapped:
            # With TLS 1.3 a client that refuses the certificate says so behind the handshake.
            if wrapped.recv(65536):
                self.asked += 1


class TlsTDS(TlsServer):
    """SQL Server's protocol, TLS 1.2 inside its packets (MS-TDS, 2.2.6.5), up to a login, which it refuses.

    `asked`: how many clients came so far.
    """

    def __init__(self, pair: Pair) -> None:
        super().__init__(pair)
        self.context.maximum_version = ssl.TLSVersion.TLSv1_2

    def talk(self, client: socket.socket) -> None:
        RogueTDS._message(client)
        # PRELOGIN: version, and encryption for all that follows.
        options = struct.pack(">BHHBHHB", 0, 11, 6, 1, 17, 1, 0xFF)
        self._packet(client, 4, options + bytes([16, 0, 0x10, 0, 0, 0]) + b"\x01")
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.context.wrap_bio(incoming, outgoing, server_side=True)
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush(client, outgoing)
                incoming.write(self._content(client))
                continue
            self._flush(client, outgoing)
            break
        # From here on packets stand in TLS, not TLS in packets.
        while True:
            try:
                if tls.read(65536):
                    break
            except ssl.SSLWantReadError:
                incoming.write(client.recv(65536) or self._end())
        self.asked += 1
        said, name = ("Login failed for user 'u'.".encode("utf-16-le"), "tds".encode("utf-16-le"))
        error = (
            struct.pack("<iBBH", 18456, 1, 14, len(said) // 2) + said + bytes([3]) + name + b"\0" + struct.pack("<i", 1)
        )
        done = b"\xfd" + struct.pack("<HHQ", 2, 0, 0)
        content = b"\xaa" + struct.pack("<H", len(error)) + error + done
        tls.write(struct.pack(">BBHHBB", 4, 1, len(content) + 8, 0, 1, 0) + content)
        client.sendall(outgoing.read())
        client.recv(65536)

    def _flush(self, client: socket.socket, outgoing: ssl.MemoryBIO) -> None:
        if content := outgoing.read():
            self._packet(client, 0x12, content)

    @staticmethod
    def _content(client: socket.socket) -> bytes:
        head = receive(client, 8)
        return receive(client, struct.unpack(">H", head[2:4])[0] - 8)

    @staticmethod
    def _packet(client: socket.socket, kind: int, content: bytes) -> None:
        client.sendall(struct.pack(">BBHHBB", kind, 1, len(content) + 8, 0, 1, 0) + content)

    @staticmethod
    def _end() -> bytes:
        raise EOFError
