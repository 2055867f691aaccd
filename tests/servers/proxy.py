"""A TCP proxy that can be cut, stalled and mended: the network as it is on a bad night."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time

HOST = "127.0.0.1"
BLOCK = 65536


class CuttableProxy:
    """Forwards `port` on loopback to `target_port`; a context manager.

    `cut()` resets every connection and refuses new ones; `stall()` keeps connections open and forwards nothing, as when
    a cable is pulled, or nothing one way only; `slow(seconds)` forwards each block that much later; `mend()` ends all of
    these; `cut_after(n)` cuts once n more bytes went from client to server.
    """

    host = HOST

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.bytes_to_server = 0  #: since the start, over all connections
        self.connections = 0  #: how many were accepted
        self._lock = threading.Lock()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        #: To the server (True), and back.
        self._flowing = {True: threading.Event(), False: threading.Event()}
        self._delay_s = 0.0
        self._closed = False
        self._is_cut = False
        self._limit: int | None = None
        self._flow()
        self._listener = socket.create_server((HOST, 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name="proxy-accept", daemon=True).start()

    def cut(self) -> None:
        """Reset all connections; new ones are reset at once until `mend`."""
        with self._lock:
            self._is_cut = True
            self._limit = None
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            for end in pair:
                _reset(end)

    def cut_after(self, bytes_to_server: int) -> None:
        """Cut as soon as this many more bytes have gone to the server."""
        with self._lock:
            self._limit = self.bytes_to_server + bytes_to_server

    def stall(self, *, to_server: bool = True, to_client: bool = True) -> None:
        """Forward nothing more, both ways or one way, and leave every connection open."""
        for upward, stalled in ((True, to_server), (False, to_client)):
            if stalled:
                self._flowing[upward].clear()

    def slow(self, seconds: float) -> None:
        """Forward each block that much later."""
        self._delay_s = seconds

    def _flow(self) -> None:
        self._delay_s = 0.0
        for way in self._flowing.values():
            way.set()

    def mend(self) -> None:
        """Forward and accept again."""
        with self._lock:
            self._is_cut = False
            self._limit = None
        self._flow()

    def close(self) -> None:
        """Cut, and stop listening."""
        self._closed = True
        self._listener.close()
        self.cut()
        self._flow()

    def __enter__(self) -> CuttableProxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            if self._is_cut:
                _reset(client)
                continue
            try:
                server = socket.create_connection((HOST, self.target_port), timeout=10)
            except OSError:
                _reset(client)
                continue
            server.settimeout(None)
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pair = (client, server)
            with self._lock:
                cut = self._is_cut  # it may have come while the server was being connected
                if not cut:
                    self._pairs.add(pair)
            if cut:
                _reset(client)
                _reset(server)
                continue
            for source, sink, upward in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pump, args=(source, sink, pair, upward), daemon=True).start()

    def _pass(self, block: bytes, sink: socket.socket, pair: tuple[socket.socket, ...], upward: bool) -> None:
        """Send on what came. OSError ends the connection."""
        self._flowing[upward].wait()
        if self._delay_s:
            time.sleep(self._delay_s)
        sink.sendall(block)

    def _pump(self, source: socket.socket, sink: socket.socket, pair: tuple[socket.socket, ...], upward: bool) -> None:
        try:
            while block := source.recv(BLOCK):
                self._pass(block, sink, pair, upward)
                if upward:
                    with self._lock:
                        self.bytes_to_server += len(block)
                        over = self._limit is not None and self.bytes_to_server >= self._limit
                    if over:
                        self.cut()
                        return
            self._flowing[upward].wait()
            sink.shutdown(socket.SHUT_WR)
            if upward:
                return
        except OSError:
            pass
        with self._lock:
            self._pairs.discard(pair)
        for end in pair:
            # The thread of the other direction, blocked in recv, would hold the socket open.
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def _reset(end: socket.socket) -> None:
    """Close with RST rather than FIN: what a crashed host or a firewall sends."""
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # A thread blocked in recv would hold the socket open: this wakes it, and sends nothing.
        end.shutdown(socket.SHUT_RD)
    with contextlib.suppress(OSError):
        end.close()
