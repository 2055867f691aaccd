"""Connections, secrets, drivers: what belongs to the machine and its databases."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipekit_engine.databases.dialects import find_jars
from pipekit_engine.databases.jars.install import Request, install
from pipekit_engine.databases.urls import redact_url
from pipekit_engine.definitions.export import to_yaml
from pipekit_engine.errors import PipekitError
from pipekit_engine.models import Connection, Definitions, Driver
from pipekit_engine.operations.driver_use import use_installed
from pipekit_engine.operations.figures import seconds
from pipekit_engine.operations.secret_use import SecretUse, secret_uses
from pipekit_engine.security.redact import STARS, is_secret_name
from pipekit_engine.security.secrets import Secrets, reference_key

if TYPE_CHECKING:
    from pipekit_engine.config import Config
    from pipekit_engine.engine import Engine
    from pipekit_engine.store import Store


@dataclass(frozen=True)
class ConnectionRow:
    """A connection without anything secret, and the modules at either end of it."""

    connection: Connection
    url: str
    reads: list[str]
    writes: list[str]


@dataclass(frozen=True)
class ConnectionPage:
    """All of one connection."""

    row: ConnectionRow
    yaml: str
    secrets: list[SecretUse]


@dataclass(frozen=True)
class Answered:
    """How a test of a connection went."""

    ok: bool
    text: str


@dataclass(frozen=True)
class DriverRow:
    """A driver and the jars that it would use; none where `missing` says what is wanted."""

    driver: Driver
    jars: list[str]
    missing: str


def without_secrets(connection: Connection) -> Connection:
    """A connection as it may be shown: what somebody wrote in clear into its URL or options is stars."""
    options = {
        key: STARS if is_secret_name(key) and reference_key(value) is None else value
        for key, value in connection.options.items()
    }
    return connection.model_copy(update={"jdbc_url": redact_url(connection.jdbc_url), "options": options})


def connection_rows(definitions: Definitions) -> list[ConnectionRow]:
    """All connections."""
    modules = definitions.modules.values()
    return [
        ConnectionRow(
            item,
            redact_url(item.jdbc_url),
            [module.name for module in modules if module.source == item.name],
            [module.name for module in modules if module.dest == item.name],
        )
        for item in definitions.connections.values()
    ]


def connection_page(store: Store, config: Config, name: str) -> ConnectionPage:
    """One connection. Raises NotFoundError, ConfigurationError for a broken row."""
    connection = store.definitions.connection(name)
    row = next(
        row for row in connection_rows(store.definitions.load_checked()[0]) if row.connection.name == connection.name
    )
    shown = {name: without_secrets(connection)}
    yaml = to_yaml(Definitions.model_construct(None, connections=shown), ["connections"])
    uses = secret_uses(Secrets.of(config), [connection], ask=False)
    return ConnectionPage(row, yaml, [use for use in uses if use.connections])


def try_connection(engine: Engine, name: str) -> Answered:
    """Log in for real. Raises NotFoundError."""
    engine.store.definitions.connection(name)
    started = time.monotonic()
    try:
        answer = engine.test_connection(name)
    except PipekitError as error:
        return Answered(False, str(error))
    took = seconds(time.monotonic() - started)
    product, driver = f"{answer.product} {answer.product_version}", f"{answer.driver} {answer.driver_version}"
    return Answered(True, f"{product}, {driver}, in {took}")


def driver_rows(definitions: Definitions, config: Config) -> list[DriverRow]:
    """All drivers, with the jars that are there."""
    return [driver_row(driver, config) for driver in definitions.drivers.values()]


def driver_row(driver: Driver, config: Config) -> DriverRow:
    """One driver, with the jars that are there."""
    try:
        return DriverRow(driver, [str(jar) for jar in find_jars(driver, config.jar_folders)], "")
    except PipekitError as error:
        return DriverRow(driver, [], str(error))


def install_jar(store: Store, config: Config, name: str, by: str) -> Answered:
    """Get the tested jar of a driver, and register it. Raises NotFoundError."""
    driver = store.definitions.driver(name)
    try:
        installed = install(Request(driver.kind), config)
        use = use_installed(config, name, installed, by=by)
    except PipekitError as error:
        return Answered(False, str(error))
    return Answered(True, f"{installed.path}: {installed.checked}. {use}")
