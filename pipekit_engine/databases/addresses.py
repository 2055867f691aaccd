"""The host and port in a JDBC URL, and the URL with others in their place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipekit_engine.databases.dialects import get_dialect
from pipekit_engine.errors import ConfigurationError

if TYPE_CHECKING:
    from pipekit_engine.models import Connection, Driver

_ADDRESS = re.compile(
    r"(?P<before>jdbc:[a-z0-9:]+:(?:@?(?:tcps?:)?//|@))(?P<host>\[[0-9a-f:.%]+\]|[^\s/:;?,@\\()\[\]]+)(?::(?P<port>\d+))?"
    r"(?P<after>(?:(?<=\d):[\w.$#]+)?(?:[/;?].*)?)",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True)
class Address:
    """Where a JDBC URL leads. `host` is without the brackets of an IPv6 address."""

    host: str
    port: int
    before: str
    after: str

    @classmethod
    def of(cls, url: str, default_port: str | None) -> Address:
        """The one host of a URL. Raises ConfigurationError for several, for none, and for a port that nothing tells."""
        match = _ADDRESS.fullmatch(url)
        if match is None:
            raise ConfigurationError("a tunnel leads to one host: the jdbc_url must name one, as in //host:port/")
        port = match["port"] or default_port
        if port is None:
            raise ConfigurationError("the jdbc_url must name the port: a tunnel leads to one")
        return cls(match["host"].strip("[]"), int(port), match["before"], match["after"])

    def url(self, host: str, port: int) -> str:
        """The URL with another address."""
        named = f"[{host}]" if ":" in host else host
        return f"{self.before}{named}:{port}{self.after}"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def tunnel_address(connection: Connection, driver: Driver) -> Address:
    """Where a connection's tunnel leads. Raises ConfigurationError for a URL that a tunnel cannot lead to."""
    known = [item for item in get_dialect(driver.kind).drivers if item.class_name == driver.class_name]
    try:
        return Address.of(connection.jdbc_url, known[0].default_port if known else None)
    except ConfigurationError as error:
        raise ConfigurationError(f"Connection {connection.name!r}: tunnel: {error}.") from None
