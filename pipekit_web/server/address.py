"""The address that `pipekit serve` listens on: who can reach it, and whether it may be used."""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING

from pipekit_engine.errors import ConfigurationError
from pipekit_web.server.auth import Users, users_file

if TYPE_CHECKING:
    from pipekit_engine.config import Config


def check_address(config: Config, host: str, port: int) -> None:
    """Refuse an address outside of this machine without a password, and a port that is taken. Raises ConfigurationError."""
    users = Users(users_file(config)).all()
    if not users and not is_loopback(host):
        raise ConfigurationError(
            f"pipekit serve would be open to everyone who can reach {host}. Set a password first:"
            " `pipekit set-password USER`; or serve this machine only: `pipekit serve --host 127.0.0.1`."
        )
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            pass
    except OSError as error:
        raise ConfigurationError(
            f"Cannot listen on {host} port {port}: {error.strerror or error}. Try `--port`."
        ) from None


def client_network(client: str) -> str:
    """Whose connections and failed logins count together: an address, or the network that one host has by itself in IPv6."""
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return client
    if address.version == 4 or address.ipv4_mapped:
        return client
    return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))


def is_loopback(host: str) -> bool:
    """Whether a server bound to this address can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
