"""What a driver's settings for encryption and tunnels are called: data of a kind, which `databases/tls.py` makes settings of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class TlsSettings:
    """The settings of some versions of a driver for a connection's `tls`."""

    #: Mode -> settings. A mode that is not there is one that the driver does not have.
    modes: Mapping[str, Mapping[str, str]]
    #: Setting -> what it takes of the authorities that are trusted: `ca-pem` (path), `ca-store` (path of a PKCS12 store),
    #: `ca-url` (that as a URL), `ca-type`, `ca-password`. Empty: the driver trusts those of the Java runtime.
    ca: Mapping[str, str] = field(default_factory=dict)
    #: The same of our own certificate and key: `key-store`, `key-url`, `key-type`, `key-password`. Empty: it sends none.
    key: Mapping[str, str] = field(default_factory=dict)
    #: The driver takes these settings, and does not tell them when it is asked which it knows.
    untold: bool = False


@dataclass(frozen=True)
class WaysIn:
    """How a driver is led to a database by TLS and through a tunnel."""

    #: The newer versions of the driver first: the first whose settings it knows is taken.
    tls: tuple[TlsSettings, ...] = ()
    #: What must stand in the URL for encryption, as a pattern, and how that is told.
    tls_url: tuple[str, str] | None = None
    #: The setting that takes a class of sockets: the URL keeps the database's own name through a tunnel.
    socket_factory: str | None = None
    #: The setting that names the host whose certificate is wanted, where the URL names the tunnel's end.
    host_name: str | None = None
    #: What was tried on a real server, told in the docs.
    verified: str = "that the driver has the settings"

    @property
    def modes(self) -> tuple[str, ...]:
        """The modes of `tls` that some version of the driver has."""
        return tuple(self.tls[0].modes) if self.tls else ()

    @property
    def names(self) -> frozenset[str]:
        """All settings that are made of `tls`, in lower case."""
        found = [name for each in self.tls for part in (*each.modes.values(), each.ca, each.key) for name in part]
        return frozenset(name.lower() for name in found)
