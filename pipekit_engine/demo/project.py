"""The demo's folder: configuration, definitions, databases and Dagster's storage, all under `.demo/`.

It is a pipekit project like any other, so that after the demo `PIPEKIT_CONFIG=.demo/pipekit.yaml pipekit ...` works on it.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from pipekit_engine.common.files import take_or_refuse
from pipekit_engine.demo.compare import Row, duckdb_rows, postgresql_rows, sqlite_rows
from pipekit_engine.errors import ConfigurationError

PASSWORD_KEY = "DEMO_WAREHOUSE_PASSWORD"  # noqa: S105 - a name, not a password
URL_VARIABLE = "PIPEKIT_DEMO_PG_URL"
SCHEMA = "pipekit_demo"
CLUSTER = "postgresql"
STAGING = "pipekit_demo_staging"
#: In a checkout they lie where definitions lie; a wheel carries a copy of them beside this file.
DEFINITIONS = next(
    (
        path
        for path in (Path(__file__).with_name("demo.yaml"), Path(__file__).parents[2] / "definitions" / "demo.yaml")
        if path.exists()
    ),
    Path("definitions/demo.yaml"),
)


@dataclass(frozen=True)
class Warehouse:
    """A destination that is ready: how pipekit reaches it, and how the check reads it."""

    title: str
    connection: dict[str, Any]
    password: str | None
    rows: Callable[[str], Iterator[Row]]
    lasting: bool = True  #: false for a server that ends with the demo


@dataclass(frozen=True)
class Project:
    """Where the demo keeps what."""

    folder: Path

    @property
    def source(self) -> Path:
        return self.folder / "ops.sqlite"

    @property
    def config(self) -> Path:
        return self.folder / "pipekit.yaml"

    @property
    def definitions(self) -> Path:
        return self.folder / "definitions"

    @property
    def dagster_home(self) -> Path:
        return self.folder / "dagster"

    @property
    def settings(self) -> Path:
        """What `--serve` must know later: the destination's kind."""
        return self.folder / "demo.json"

    def environment(self) -> dict[str, str]:
        """Return the environment in which pipekit and Dagster work on this project."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PIPEKIT_", "DAGSTER_"))}
        return {**kept, "PIPEKIT_CONFIG": str(self.config), "DAGSTER_HOME": str(self.dagster_home)}

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other demos, and `pipekit serve`, off this folder while a block runs.

        Raises ConfigurationError when one of them is at work in it.
        """
        with ExitStack() as stack:
            # The second is what `pipekit serve` locks: looked at only where it has been.
            for path, create in ((self.settings, True), (self.dagster_home / "serve" / "lock", False)):
                if not create and not path.exists():
                    continue
                file = stack.enter_context(path.open("a"))
                take_or_refuse(file, f"Another demo, or `pipekit serve`, is at work in {self.folder}: stop it first.")
                if not create:
                    fcntl.flock(file, fcntl.LOCK_UN)
            yield

    def clear(self) -> None:
        """Remove what an earlier demo left, except a PostgreSQL cluster, which is used again."""
        for entry in self.folder.iterdir():
            if entry == self.settings or entry.name == CLUSTER:
                continue
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def claim(self) -> None:
        """Make the folder. Raises ConfigurationError when it is there and holds something that is not a demo."""
        if self.folder.exists() and any(self.folder.iterdir()) and not self.settings.exists():
            raise ConfigurationError(f"{self.folder} is not empty and holds no demo; name another with --folder.")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.settings.touch()

    def write(self, dest: str, warehouse: Warehouse) -> None:
        """Write configuration, secrets and definitions."""
        from pipekit_engine.security.secrets import Secrets

        self.settings.write_text(json.dumps({"dest": dest}), "utf-8")
        self.config.write_text(
            f"# Written by the demo.\ndatabase: pipekit.db\nsecrets: secrets.env\nstaging_schema: {STAGING}\njars:\n"
            + "".join(f"  - {json.dumps(folder)}\n" for folder in _jar_folders()),
            "utf-8",
        )
        if warehouse.password is not None:
            Secrets.load(self.folder / "secrets.env").set(PASSWORD_KEY, warehouse.password)
        self.definitions.mkdir(exist_ok=True)
        if not (self.definitions / "demo.yaml").exists():  # `--serve` keeps what was edited there
            if not DEFINITIONS.exists():
                raise ConfigurationError(f"The demo's definitions ({DEFINITIONS}) are not there: install pipekit anew.")
            shutil.copy(DEFINITIONS, self.definitions)
        connections = {
            "ops": {"driver": "sqlite", "jdbc_url": f"jdbc:sqlite:{self.source}"},
            "warehouse": warehouse.connection,
        }
        # JSON is YAML too, and needs no quoting rules of our own.
        (self.definitions / "connections.yaml").write_text(
            "# Written by the demo: where its databases are.\n"
            + json.dumps({"connections": connections}, indent=2)
            + "\n",
            "utf-8",
        )
        self.dagster_home.mkdir(exist_ok=True)


def _jar_folders() -> list[str]:
    """Return the folders named by PIPEKIT_JARS, the one that the set-up script fills, and Debian's."""
    import sys

    folder = Path(sys.prefix) / "share" / "pipekit" / "jars"
    named = filter(None, os.environ.get("PIPEKIT_JARS", "").split(os.pathsep))
    return [*named, *([str(folder)] if folder.is_dir() else []), "/usr/share/java"]


def postgresql_folder(folder: Path) -> Path:
    """Return where the demo's own PostgreSQL cluster lies.

    Under the demo's folder; when root runs the demo in a folder that no other user may enter (such as /root), the server,
    which must not be root, gets a folder in /var/tmp instead.
    """
    if os.geteuid() == 0 and not all(_may_enter(parent) for parent in [folder.resolve(), *folder.resolve().parents]):
        from hashlib import sha256

        return Path("/var/tmp") / f"pipekit-demo-{sha256(str(folder.resolve()).encode()).hexdigest()[:12]}"  # noqa: S108
    return folder / CLUSTER


def _may_enter(folder: Path) -> bool:
    return not folder.exists() or bool(folder.stat().st_mode & stat.S_IXOTH)


@contextmanager
def _sqlite(project: Project, *, fresh: bool) -> Iterator[Warehouse]:
    path = project.folder / "warehouse.sqlite"
    if fresh:
        path.unlink(missing_ok=True)
    yield Warehouse("an SQLite file", {"driver": "sqlite", "jdbc_url": f"jdbc:sqlite:{path}"}, None, sqlite_rows(path))


@contextmanager
def _duckdb(project: Project, *, fresh: bool) -> Iterator[Warehouse]:
    """A file; its driver is the one that the project's jar folders hold. Raises RuntimeMissing without one."""
    from pipekit_engine.config import BUNDLED_JARS
    from pipekit_engine.databases.dialects import driver_record, find_jars

    path = project.folder / "warehouse.duckdb"
    if fresh:
        for file in (path, path.with_name(f"{path.name}.wal")):
            file.unlink(missing_ok=True)
    jars = find_jars(driver_record("duckdb"), [*map(Path, _jar_folders()), BUNDLED_JARS])
    yield Warehouse(
        "a DuckDB file", {"driver": "duckdb", "jdbc_url": f"jdbc:duckdb:{path}"}, None, duckdb_rows(path, jars)
    )


@contextmanager
def _postgresql(project: Project, *, fresh: bool) -> Iterator[Warehouse]:
    """The server that PIPEKIT_DEMO_PG_URL names, or one of the demo's own that ends with the demo."""
    url = os.environ.get(URL_VARIABLE)
    if url:
        yield _in_schema(url, fresh=fresh)
        return
    from pipekit_engine.demo.local_postgresql import LocalPostgreSQL
    from pipekit_engine.demo.local_server import ServerUnavailable

    folder = postgresql_folder(project.folder)
    link = project.folder / CLUSTER
    if folder != link and not link.is_symlink():
        link.symlink_to(folder)  # `make clean` finds the cluster by it
    try:
        server = LocalPostgreSQL(folder)
    except ServerUnavailable as error:
        raise ConfigurationError(f"{error}. Or name a server of yours: {URL_VARIABLE}=postgresql://...") from None
    with server:
        url = f"postgresql://{server.user}:{quote(server.password)}@{server.host}:{server.port}/postgres"
        yield replace(_in_schema(url, fresh=fresh), lasting=False)


def _in_schema(url: str, *, fresh: bool) -> Warehouse:
    """A PostgreSQL database in which the demo owns one schema, made anew when `fresh`."""
    import psycopg

    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres") or not parts.hostname or not parts.path.strip("/"):
        raise ConfigurationError(f"{URL_VARIABLE} must look like postgresql://user:password@host:5432/database")
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=15) as connection:
            if fresh:
                connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
                connection.execute(f"DROP SCHEMA IF EXISTS {STAGING} CASCADE")
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
    except psycopg.Error as error:
        raise ConfigurationError(f"The demo's PostgreSQL did not take the login: {error}") from None
    connection_record: dict[str, Any] = {
        "driver": "postgresql",
        "jdbc_url": f"jdbc:postgresql://{parts.hostname}:{parts.port or 5432}{parts.path}",
        "options": {"currentSchema": SCHEMA},
    }
    if parts.username:
        connection_record["username"] = unquote(parts.username)
    if parts.password:
        connection_record["password"] = f"${PASSWORD_KEY}"
    separator = "&" if parts.query else "?"
    return Warehouse(
        f"PostgreSQL, schema {SCHEMA}",
        connection_record,
        unquote(parts.password) if parts.password else None,
        postgresql_rows(f"{url}{separator}options={quote(f'-c search_path={SCHEMA}')}"),
    )


def warehouse(dest: str, project: Project, *, fresh: bool = True) -> AbstractContextManager[Warehouse]:
    """Open the destination `dest` (sqlite, duckdb or postgresql): emptied when `fresh`, running until the context ends."""
    if dest not in WAREHOUSES:
        raise ConfigurationError(f"the demo's destination is {' or '.join(WAREHOUSES)}, not {dest!r}")
    return WAREHOUSES[dest](project, fresh=fresh)


#: The demo's destinations.
WAREHOUSES = {"sqlite": _sqlite, "duckdb": _duckdb, "postgresql": _postgresql}
