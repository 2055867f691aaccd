"""Ports for servers that a test starts, stops, and starts again."""

from __future__ import annotations

import os
import secrets
import socket

#: Below the ports that the system gives to outgoing connections and to whoever asks for any.
_FIRST, _EACH, _PARTS = 12_000, 2_000, 10
_given: set[int] = set()


def lasting_port(count: int = 1) -> int:
    """The first of `count` neighbouring loopback ports that stay free until a server takes them, and between two starts.

    Each worker of pytest-xdist draws from a part of its own, and draws no port twice.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = _FIRST + worker % _PARTS * _EACH
    while True:
        port = first + secrets.randbelow(_EACH - count)
        ports = set(range(port, port + count))
        if not ports & _given and all(_is_free(each) for each in ports):
            _given.update(ports)
            return port


def _is_free(port: int) -> bool:
    try:
        with socket.create_server(("127.0.0.1", port)):
            return True
    except OSError:
        return False
