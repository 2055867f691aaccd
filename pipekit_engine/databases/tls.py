"""A connection's `tls` in the words of its driver. jrunner makes the files that a driver wants of certificates and keys."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pipekit_engine.databases.dialects import get_dialect
from pipekit_engine.databases.driver_settings import written_settings
from pipekit_engine.errors import ConfigurationError
from pipekit_engine.jrunner.protocol import TlsRequest, TlsVariant

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pipekit_engine.databases.dialects.base.ways_in import TlsSettings, WaysIn
    from pipekit_engine.models import Connection, Driver, Tls


def ways_in(driver: Driver) -> WaysIn | None:
    """What is known of the driver that a record names; None for one of which nothing is known."""
    dialect = get_dialect(driver.kind)
    class_name = driver.class_name or (dialect.driver.class_name if dialect.driver else None)
    return dialect.ways_in.get(class_name or "")


def tls_problem(connection: Connection, driver: Driver) -> tuple[str | None, str] | None:
    """What of a connection's `tls` its driver cannot do: the field (None: all of it) and what to do. None for what it can."""
    tls = connection.tls
    if tls is None:
        return None
    ways = ways_in(driver)
    if ways is None or not ways.tls:
        return None, (
            f"what driver {driver.name!r} calls its settings for TLS is not known; leave `tls` out and give them under `options`"
        )
    if tls.mode not in ways.modes:
        return "mode", f"{tls.mode} is no mode of driver {driver.name!r}; it has {', '.join(ways.modes)}"
    if ways.tls_url and tls.mode != "disable" and not re.search(ways.tls_url[0], connection.jdbc_url, re.IGNORECASE):
        return None, f"the jdbc_url must be one for TLS: {ways.tls_url[1]}"
    if tls.ca is not None and not any(each.ca for each in ways.tls):
        return "ca", f"driver {driver.name!r} trusts the authorities of the Java runtime only; leave `ca` out"
    if tls.cert is not None and not any(each.key for each in ways.tls):
        return "cert", f"driver {driver.name!r} sends no certificate of its own; leave `cert` and `key` out"
    twice = sorted(name for name, _ in written_settings(connection) if name.lower() in ways.names)
    if twice:
        return None, f"{', '.join(twice)} is set by `tls`; leave it out of `jdbc_url` and `options`"
    if tls.mode == "verify-full" and connection.tunnel and not (ways.socket_factory or ways.host_name):
        return "mode", (
            f"through a tunnel, driver {driver.name!r} would look for the tunnel's end in the certificate, not for the "
            "database's name; take verify-ca"
        )
    return None


def tls_request(connection: Connection, driver: Driver, folder: Path) -> TlsRequest | None:
    """What jrunner is told about a connection's encryption. Raises ConfigurationError for what the driver cannot do."""
    tls, ways = connection.tls, ways_in(driver)
    if tls is None:
        return None
    if problem := tls_problem(connection, driver):
        field = f"tls.{problem[0]}" if problem[0] else "tls"
        raise ConfigurationError(f"Connection {connection.name!r} is not opened: {field}: {problem[1]}.")
    assert ways is not None
    return TlsRequest(
        tuple(_variant(each, tls) for each in ways.tls if tls.mode in each.modes),
        *(None if path is None else str(_path(path, folder)) for path in (tls.ca, tls.cert, tls.key)),
    )


def _variant(settings: TlsSettings, tls: Tls) -> TlsVariant:
    files: Mapping[str, str] = {**(settings.ca if tls.verifies else {}), **(settings.key if tls.cert else {})}
    return TlsVariant(settings.modes[tls.mode], files, settings.untold)


def _path(path: str, folder: Path) -> Path:
    return folder / type(folder)(path).expanduser()


#: What drivers and Java say, and what it means. `{mode}` and `{ca}` are those of the connection.
_COMPLAINTS = (
    (
        r"NotAfter|NotBefore|certificate.{0,20} expired",
        "tls: the server's certificate is not valid today: expired, or a clock is wrong.",
    ),
    (
        r"certification path|trust anchor|PKIX|certificate_unknown|signature check failed",
        "tls.ca: the server's certificate is signed by none of the authorities in {ca}.",
    ),
    (
        r"could not be verified by hostname|SubjectAltName|subject alternative|identity verification|doesn't correspond to"
        r"|failed to validate the server name|does not match the CN",
        "tls.mode {mode}: the server's certificate is for another name than the one in the jdbc_url.",
    ),
    (
        r"does not support SSL|ssl not enabled|SSL Connection required, but not provided|not support encryption",
        "tls.mode {mode}: the server speaks no TLS; with mode disable nothing is encrypted.",
    ),
    (
        r"bad_certificate|certificate_required|client certificate|handshake_failure",
        "tls.cert: does the server want a certificate of ours, and trust the one that signed it?",
    ),
)


def tls_hint(said: str, tls: Tls | None) -> str:
    """What of `tls` an error of opening is about, beginning with a line break; empty where nothing tells."""
    if tls is None:
        return ""
    for pattern, meaning in _COMPLAINTS:
        if re.search(pattern, said, re.IGNORECASE | re.DOTALL):
            return "\n" + meaning.format(
                mode=tls.mode, ca=tls.ca or "the Java runtime's trust store, as tls.ca is empty"
            )
    return ""
