"""The kinds of databases that pipekit knows, each a `Dialect` of data first and code second."""

from __future__ import annotations

from fnmatch import fnmatch
from typing import TYPE_CHECKING, ClassVar

from pipekit_engine.databases.dialects.base import Dialect, JdbcDefaults
from pipekit_engine.databases.dialects.capabilities import Capabilities
from pipekit_engine.databases.dialects.db2 import DB2
from pipekit_engine.databases.dialects.embedded import H2, HSQLDB, Derby
from pipekit_engine.databases.dialects.mysql import MariaDB, MySQL
from pipekit_engine.databases.dialects.oracle import Oracle
from pipekit_engine.databases.dialects.postgresql import PostgreSQL
from pipekit_engine.databases.dialects.sqlite import SQLite
from pipekit_engine.databases.dialects.sqlserver import SQLServer
from pipekit_engine.databases.introspection import BrowseField, Catalog, ColumnInfo, Key, TableInfo
from pipekit_engine.databases.type_mapping import MappedType, decimal
from pipekit_engine.errors import NotFoundError, RuntimeMissing
from pipekit_engine.models import Driver

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = [
    "BrowseField", "Capabilities", "Catalog", "ColumnInfo", "Dialect", "Key", "MappedType", "TableInfo", "builtin_drivers",
    "find_jars", "get_dialect", "kinds",
]  # fmt: skip


class Generic(Dialect):
    """Any other JDBC database: standard SQL, names exactly as written, nothing asked that only some catalogues answer."""

    kind = "generic"
    label = "a JDBC database"
    jdbc = JdbcDefaults(None, (), "jdbc:…")
    types: ClassVar = {
        **H2.types,
        "decimal": decimal("NUMERIC({precision},{scale})", max_precision=38),
        "uuid": "CHAR(36)",
        "json": "CHARACTER LARGE OBJECT",
    }
    capabilities = Capabilities(
        reads_plain_names=False,
        drop_if_exists=False,
        row_values=False,
        window_functions=False,
        missing_table_states=frozenset({"42S02", "42P01"}),
    )

    def is_kin(self, other: Dialect) -> bool:
        """Two such databases need have nothing in common."""
        return False

    def schema_exists_sql(self, schema: str) -> None:
        """Nobody knows where to ask; the staging schema has to be there."""
        return


_DIALECTS: dict[str, Dialect] = {
    dialect.kind: dialect
    for dialect in (
        SQLite(), PostgreSQL(), MariaDB(), MySQL(), SQLServer(), Oracle(), DB2(), H2(), Derby(), HSQLDB(), Generic()
    )
}  # fmt: skip


def kinds() -> tuple[str, ...]:
    """Every known kind."""
    return tuple(_DIALECTS)


def get_dialect(kind: str) -> Dialect:
    """The dialect of a kind. Raises NotFoundError naming the nearest one."""
    try:
        return _DIALECTS[kind]
    except KeyError:
        raise NotFoundError("driver kind", kind, _DIALECTS) from None


def builtin_drivers() -> list[Driver]:
    """A driver record for every kind, to be registered by `pipekit init`; jars are looked for when a connection is opened."""
    return [
        Driver(name=kind, kind=kind, class_name=dialect.jdbc.class_name, url_template=dialect.jdbc.url_template)
        for kind, dialect in _DIALECTS.items()
    ]


def find_jars(driver: Driver, folders: Iterable[Path]) -> list[Path]:
    """The driver's jar: the registered one, or the first in the folders whose name fits the kind.

    Raises RuntimeMissing saying which file is wanted and where it was looked for.
    """
    folders = list(folders)
    wanted = [driver.jar] if driver.jar else list(get_dialect(driver.kind).jdbc.jars)
    if driver.jar and "/" in driver.jar:
        from pathlib import Path

        if Path(driver.jar).is_file():
            return [Path(driver.jar)]
        raise RuntimeMissing(
            f"The jar of driver {driver.name!r} is not there: {driver.jar}. Put it there or register another."
        )
    for folder in folders:
        names = sorted((path for path in folder.glob("*.jar")), reverse=True) if folder.is_dir() else []
        for pattern in wanted:
            for path in names:
                if fnmatch(path.name, pattern):
                    return [path]
    searched = ", ".join(str(folder) for folder in folders) or "no folder (see `jars` in the config)"
    if not wanted:
        raise RuntimeMissing(f"Driver {driver.name!r} has no jar: register one with `pipekit drivers register`.")
    raise RuntimeMissing(
        f"No JDBC jar for driver {driver.name!r}: looked for {' or '.join(wanted)} in {searched}. "
        f"Get it with `pipekit drivers install {driver.kind}`, put the jar into one of these folders, or register it with "
        "`pipekit drivers register`."
    )
