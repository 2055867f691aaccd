"""Makes a connection's record from what a person types: an address or a JDBC URL, a user, the name of a secret."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from pipekit_engine.databases.dialects import GENERIC, get_dialect, kind_of_url
from pipekit_engine.databases.urls import url_holds_secret
from pipekit_engine.errors import ConfigurationError
from pipekit_engine.models import Connection
from pipekit_engine.wizard.draft import refused

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from pipekit_engine.models import Driver

_ADDRESS = re.compile(r"(?P<host>\[[^\]]+\]|[^:/\\\s]+(?:\\[^:/\s]+)?)(?::(?P<port>\d+))?(?:/(?P<database>\S*))?")


def jdbc_url(kind: str, address: str) -> str:
    """A JDBC URL for `host:port/database` or a file's path, or the URL itself when one was given.

    Raises ConfigurationError for an address that this kind cannot have.
    """
    address = address.strip()
    if address.startswith("jdbc:"):
        return address
    template = get_dialect(kind).url_template
    if "HOST" not in template:
        if not address or "path" not in template:
            raise ConfigurationError(f"Give the whole JDBC URL, such as {template}")
        return template[: template.index("/path")] + address
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise ConfigurationError(
            f"{address!r} is no address: give host:port/database, or a JDBC URL such as {template}"
        )
    url = re.sub(
        r"HOST(:\d+)?",
        lambda found: match["host"] + (f":{match['port']}" if match["port"] else found[1] or ""),
        template,
    )
    word = next((word for word in ("DATABASE", "SERVICE", "LIBRARY") if word in url), None)
    if word is not None and match["database"]:
        url = url.replace(word, match["database"])
    elif word == "LIBRARY":
        url = url.removesuffix("/LIBRARY")
    elif word is not None:
        raise ConfigurationError(f"{address!r} lacks the {word.lower()}: give host:port/{word.lower()}, or a JDBC URL.")
    return url


def address_hint(kind: str) -> str:
    """What to type for a database of this kind."""
    template = get_dialect(kind).url_template
    if "HOST" not in template:
        return "path of the file, or a JDBC URL" if "path" in template else "JDBC URL"
    word = next((word for word in ("DATABASE", "SERVICE", "LIBRARY") if word in template), "")
    port = ":port" if re.search(r":\d+", template) else ""
    return f"host{port}/{word.lower()}, or a JDBC URL".replace("/,", ",")


def driver_of(url: str, drivers: Iterable[Driver]) -> str:
    """Name of the registered driver for a URL. Raises ConfigurationError."""
    known = [driver for driver in drivers if driver.kind != GENERIC]
    for driver in known:
        prefix = re.match(r"jdbc:[a-z0-9]+:", driver.url_template or get_dialect(driver.kind).url_template)
        if prefix and url.startswith(prefix.group()):
            return driver.name
    for driver in known:
        if driver.kind == kind_of_url(url):
            return driver.name
    raise ConfigurationError(
        f"No registered driver is known for {url.split('/', 1)[0]!r}: name one, see `pipekit drivers list`."
    )


def secret_name(connection: str) -> str:
    """The usual name of a connection's password: SHOP_PASSWORD."""
    name = re.sub(r"[^A-Za-z0-9]+", "_", connection).strip("_").upper() or "DB"
    return f"{'DB_' if name[0].isdigit() else ''}{name}_PASSWORD"


def make_connection(
    name: str,
    driver: str,
    url: str,
    user: str | None,
    password: str | None,
    taken: Collection[str] = (),
    tls: Mapping[str, str] | None = None,
    tunnel: Mapping[str, Any] | None = None,
) -> Connection:
    """The record. `password` is a `$VAR` reference. Raises ConfigurationError naming what is wrong; never repeats a secret."""
    if name in taken:
        raise ConfigurationError(f"There is a connection {name} already.")
    if url.startswith("jdbc:") and url_holds_secret(url):
        raise ConfigurationError(
            f"The URL of {name} holds a password. Give user and password apart from it: the password goes into the secrets."
        )
    try:
        fields = {
            "name": name,
            "driver": driver,
            "jdbc_url": url,
            "username": user or None,
            "password": password or None,
        }
        return Connection.model_validate({**fields, "tls": tls, "tunnel": tunnel})
    except ValidationError as error:
        raise refused(f"connection {name}", error) from None


def database_of(url: str) -> str | None:
    """The database or file that a URL names, for a connection's name and as the schema to begin with."""
    match = re.match(r"jdbc:[a-z0-9]+:(?:thin:@)?//[^/;?]+/([^/;?]+)", url) or re.search(r";databaseName=([^;]+)", url)
    return match[1] if match else None


def missing_file(connection: Connection, folder: Path) -> str | None:
    """The database file that a connection names and that is not there: opening it would make an empty one."""
    file = get_dialect(kind_of_url(connection.jdbc_url)).database_file(connection.jdbc_url)
    return file if file and not (folder / file).exists() else None
