"""What `pipekit doctor` looks at: everything a run needs, each with the fix when it is not as it should be."""

from __future__ import annotations

import shutil
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipekit_engine.common.text import first_line, other_lines
from pipekit_engine.databases.dialects import find_jars, get_dialect
from pipekit_engine.engine import Engine
from pipekit_engine.errors import PipekitError, RuntimeMissing
from pipekit_engine.jrunner.external import ExternalProgram
from pipekit_engine.jrunner.locate import find_jar, find_java
from pipekit_engine.records.certificates import standing
from pipekit_engine.security.providers import providers
from pipekit_engine.security.secrets import Secrets
from pipekit_engine.store import Store
from pipekit_engine.store.snapshot import sqlite_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pipekit_engine.config import Config
    from pipekit_engine.models import Connection, Definitions, Driver
    from pipekit_engine.records.certificates import Certificate


#: Bytes free below which the state's disk is a problem, and below which it is worth knowing.
DISK_SPARE, DISK_LOW = 200_000_000, 2_000_000_000


@dataclass(frozen=True)
class Check:
    """One thing looked at. `ok` is None for something worth knowing that is no fault; `fix` says what to do."""

    name: str
    ok: bool | None
    detail: str
    fix: str | None = None


def run_checks(config: Config) -> list[Check]:
    """Look at configuration, Java, secrets, the state store, drivers, connections (with a real login) and locks.

    Never raises for what it finds. Locks of dead processes are released, as the next run would do; a check says which.
    """
    checks = [_config(config), *_java(config), _secrets_file(config), *_secrets_elsewhere(config)]
    try:
        store = Store.open(config.database_url)
    except PipekitError as error:
        return [*checks, Check("state store", False, first_line(error), other_lines(error) or "Run `pipekit init`.")]
    store.close()
    with Engine(config) as engine:
        checks.append(Check("state store", True, engine.store.where))
        checks += _disk(config)
        definitions, broken = engine.store.definitions.load_checked()
        checks += [
            Check(f"{item.kind.removesuffix('s')} {item.name}", False, item.problem, "Mend it and `pipekit apply` it.")
            for item in broken
        ]
        checks += _connections(engine, definitions)
        checks += _locks(engine)
    return checks


def _config(config: Config) -> Check:
    if config.path is None:
        return Check("config", None, "no configuration file; the defaults stand", "`pipekit init` writes one.")
    return Check("config", True, str(config.path))


def _java(config: Config) -> Iterator[Check]:
    try:
        java = find_java(config.jrunner.java)
        yield Check("java", True, f"{java.path}, version {java.version}")
    except RuntimeMissing as error:
        yield Check(
            "java", False, first_line(error), other_lines(error) or "Install a Java runtime, version 11 or newer."
        )
    try:
        yield Check("jrunner", True, str(find_jar()))
    except RuntimeMissing as error:
        yield Check(
            "jrunner", False, first_line(error), other_lines(error) or "Install pipekit where a JDK is, or build it."
        )
    if config.jrunner.command:
        yield _external_jrunner(config.jrunner.command)


def _external_jrunner(command: str) -> Check:
    try:
        limits = ExternalProgram.find(command).limits
    except PipekitError as error:
        return Check("external jrunner", False, first_line(error), other_lines(error) or "Mend `jrunner: command`.")
    return Check(
        "external jrunner",
        None,
        f"{command}: {'; '.join(limits)}",
        "Leave `jrunner: command` out to use pipekit's own.",
    )


def _secrets_file(config: Config) -> Check:
    path = config.secrets_file
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return Check(
            "secrets", None, f"{path} does not exist", "`pipekit secrets set KEY` makes it when one is needed."
        )
    except OSError as error:
        return Check("secrets", False, f"{path}: {error.strerror}", "Run pipekit as a user who may read it.")
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        return Check("secrets", False, f"{path} can be read by everybody", f"chmod o-rwx {path}")
    if mode & stat.S_IWGRP:
        return Check("secrets", False, f"{path} can be written by its group", f"chmod g-w {path}")
    try:
        keys = Secrets.load(path).keys()
    except PipekitError as error:
        return Check(
            "secrets", False, first_line(error), other_lines(error) or "Mend the file, or set the secret anew."
        )
    return Check("secrets", True, f"{path}, {len(keys)} set")


def _secrets_elsewhere(config: Config) -> Iterator[Check]:
    """The places of `secrets_from`. Nothing is asked of them here: the logins below ask for what they need."""
    for other in providers(config.secrets_from, config.folder):
        problem, names = other.problem(), other.names()
        detail = f"{other.label} {problem}" if problem else other.label
        if problem is None and names is not None:
            detail += f", {len(names)} there"
        fix = "Mend `secrets_from` in the configuration, or what it names." if problem else None
        yield Check("secrets from", problem is None, detail, fix)


def _disk(config: Config) -> Iterator[Check]:
    """Free space for the state and for Dagster's files beside it: on a full disk no run can even be written down."""
    path = sqlite_file(config.database_url)
    folder = path.parent if path is not None else config.folder
    usage = shutil.disk_usage(folder)
    detail = f"{usage.free / 1e9:,.1f} GB of {usage.total / 1e9:,.1f} GB free in {folder}"
    if usage.free < DISK_SPARE:
        yield Check(
            "disk", False, detail, "Free some space, or keep fewer runs: `pipekit runs prune --older-than 90d`."
        )
    elif usage.free < DISK_LOW:
        yield Check("disk", None, detail, "It will be full some day: `retention: {runs: 90d}` keeps the state small.")
    else:
        yield Check("disk", True, detail)


def _connections(engine: Engine, definitions: Definitions) -> Iterator[Check]:
    missing: set[str] = set()
    for name in sorted({item.driver for item in definitions.connections.values()}):
        driver = definitions.drivers.get(name)
        if driver is None:
            continue
        try:
            yield Check(f"driver {name}", True, str(find_jars(driver, engine.config.jar_folders)[0]))
        except RuntimeMissing as error:
            missing.add(name)
            yield Check(
                f"driver {name}", False, str(error), "`pipekit drivers install KIND`, or `pipekit drivers register`."
            )
    certificates = engine.store.certificates.all()
    for connection in definitions.connections.values():
        if connection.driver not in missing:
            yield from _login(engine, connection, definitions.drivers.get(connection.driver), certificates)


def _login(
    engine: Engine, connection: Connection, driver: Driver | None, certificates: Mapping[str, Certificate]
) -> Iterator[Check]:
    name = f"connection {connection.name}"
    try:
        opened = engine.test_connection(connection.name)
    except PipekitError as error:
        yield Check(name, False, str(error), "Check jdbc_url, username and the secret of its password.")
        return
    yield Check(name, True, f"{opened.product} {opened.product_version}".strip())
    certificate = certificates.get(connection.name)
    here = driver is not None and get_dialect(driver.kind).certified_here
    known = standing(certificate, certified_here=here)
    met = f"{opened.product} {opened.product_version}, {opened.driver} {opened.driver_version}"
    if known is None and certificate is not None and certificate.met != met:
        known = f"certified with {certificate.met}; since then it has become {met}"
    if known is not None:
        fix = f"`pipekit connections certify {connection.name} --schema SCRATCH` tries it in an empty schema."
        yield Check(f"certificate of {connection.name}", None, known, fix)


def _locks(engine: Engine) -> Iterator[Check]:
    released = engine.recover()
    for run in released:
        yield Check(f"lock of {run.module}", None, f"released: run {run.id} was {run.error}", "Run the module again.")
    for lease in engine.store.leases.all():
        yield Check(f"lock of {lease.what} {lease.name}", True, f"held by {lease.describe()}, which is alive")
    if not released:
        yield Check("stale locks", True, "none")
