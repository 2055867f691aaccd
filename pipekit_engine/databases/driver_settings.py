"""Settings of JDBC drivers that do more than connect: run SQL or a class of one's choice, read or write files, change rows.

A definition may come from a pull request, an import or a form; with such a setting it would be a program. All kinds' settings
are looked for in every connection, for any driver may be registered under any kind.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from pipekit_engine.databases.dialects import get_dialect, kinds
from pipekit_engine.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from pipekit_engine.models import Connection

#: `name=`, wherever a driver could look for one: `?a=1&b=2`, `;a=1`, `address=(a=1)(b=2)`, `(a=1,b=2)`.
_SETTING = re.compile(r"(?<![\w.])([^\W\d][\w.]*)\s*=")
#: Look-ups by name in a directory, whatever the driver.
_ANY_URL = {"jndi": r"\b(?:jndi|rmi|iiop|corba(?:name|loc)?):"}


def refuse_risky_settings(connection: Connection, allowed: Collection[str]) -> None:
    """Raise ConfigurationError for a URL or option that is risky or changes rows, unless its name is in `allowed`."""
    permitted = {_folded(name) for name in allowed}
    for name, place in _risky(connection):
        if _folded(name) not in permitted:
            raise ConfigurationError(
                f"Connection {connection.name!r} is not opened: {name} in its {place} lets a driver run code or use files that "
                "the definition chooses. Leave it out; if it is meant, the configuration must allow it: "
                f"allowed_driver_settings: [{name}]"
            )
    wrong = {key: why for kind in kinds() for key, why in get_dialect(kind).wrong_settings.items()}
    for name, place in written_settings(connection):
        if (why := wrong.get(_folded(name))) and _folded(name) not in permitted:
            raise ConfigurationError(
                f"Connection {connection.name!r} is not opened: leave {name} out of its {place}. With it rows change: {why}."
            )


def written_settings(connection: Connection) -> Iterator[tuple[str, str]]:
    """The names of a connection's settings, each with the field that it stands in."""
    yield from ((name.strip(), "options") for name in connection.options)
    yield from ((match[1], "jdbc_url") for match in _SETTING.finditer(_plain_url(connection)))


def _plain_url(connection: Connection) -> str:
    """The URL as drivers read it: H2 takes a backslash before any letter, and others a percent sign for it."""
    url = connection.jdbc_url.replace("\\", "")
    while url != (decoded := unquote(url)):
        url = decoded
    return url


def _risky(connection: Connection) -> Iterator[tuple[str, str]]:
    dialects = [get_dialect(kind) for kind in kinds()]
    names = {name for dialect in dialects for name in dialect.risky_settings}
    url = _plain_url(connection)
    for name, place in written_settings(connection):
        # Some take a setting with a prefix before it.
        if {_folded(name), _folded(name).rpartition(".")[2]} & names:
            yield name, place
    patterns = dict(_ANY_URL)
    for dialect in dialects:
        patterns.update(dialect.risky_urls)
    for name, pattern in patterns.items():
        if re.search(pattern, url, re.IGNORECASE):
            yield name, "jdbc_url"


def _folded(name: str) -> str:
    """As Java compares without case: a dotless i and a long s are an I and an S to it, a Kelvin sign a k."""
    return name.upper().lower()
