"""The kinds of databases that pipekit knows: a file and a line here for each.

A kind's file is imported when the kind is first asked for: a run imports those that it uses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipekit_engine.databases.dialects.base.capabilities import Capabilities
from pipekit_engine.databases.dialects.base.dialect import Dialect
from pipekit_engine.databases.dialects.base.jdbc import JdbcDriver
from pipekit_engine.databases.dialects.base.types import MappedType
from pipekit_engine.databases.introspection import BrowseField, Catalog, ColumnInfo, Key, TableInfo
from pipekit_engine.errors import NotFoundError, RuntimeMissing
from pipekit_engine.models import Driver
from pipekit_engine.security import redact

if TYPE_CHECKING:
    from collections.abc import Iterable

    USUAL_SCHEMAS: frozenset[str]

    from pipekit_engine.jrunner.protocol import OpenResult

__all__ = [
    "GENERIC", "USUAL_SCHEMAS", "BrowseField", "Capabilities", "Catalog", "ColumnInfo", "Dialect", "JdbcDriver", "Key",
    "MappedType", "TableInfo", "builtin_drivers", "catalogue", "driver_for", "driver_record", "find_jars", "get_dialect",
    "kind_of_client", "kind_of_url", "kinds", "known_driver", "too_old",
]  # fmt: skip

#: The class of each kind, in the file of that name, and how the URLs of its databases begin.
_LINES: dict[str, tuple[str, ...]] = {
    "sqlite": ("SQLite", "jdbc:sqlite:"),
    "postgresql": ("PostgreSQL", "jdbc:postgresql:"),
    "mariadb": ("MariaDB", "jdbc:mariadb:"),
    "mysql": ("MySQL", "jdbc:mysql:"),
    "sqlserver": ("SQLServer", "jdbc:sqlserver:", "jdbc:jtds:"),
    "oracle": ("Oracle", "jdbc:oracle:"),
    "db2": ("DB2", "jdbc:as400:", "jdbc:db2:"),
    "h2": ("H2", "jdbc:h2:"),
    "derby": ("Derby", "jdbc:derby:"),
    "hsqldb": ("HSQLDB", "jdbc:hsqldb:"),
    "duckdb": ("DuckDB", "jdbc:duckdb:"),
    "generic": ("Generic", "jdbc:firebirdsql:"),
}
#: The kind of a database that no other kind is for.
GENERIC = "generic"


class _Dialects(Mapping[str, Dialect]):
    """The dialect of each kind, made when it is first asked for."""

    def __getitem__(self, kind: str) -> Dialect:
        return _dialect(kind, _LINES[kind][0])

    def __iter__(self) -> Iterator[str]:
        return iter(_LINES)

    def __len__(self) -> int:
        return len(_LINES)


@cache
def _dialect(kind: str, name: str) -> Dialect:
    made: Dialect = getattr(import_module(f"{__name__}.{kind}"), name)()
    return made


_DIALECTS = _Dialects()


def __getattr__(name: str) -> Any:
    if name != "USUAL_SCHEMAS":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    #: What the usual schema is called in any kind.
    return frozenset().union(*(dialect.usual_schemas for dialect in _DIALECTS.values()))


def catalogue() -> list[tuple[Dialect, JdbcDriver]]:
    """Every driver that is pinned, with the kind that it serves: what `drivers install` fetches and the tests load."""
    return [item for dialect in _DIALECTS.values() for item in _drivers_of(dialect)]


def _drivers_of(dialect: Dialect) -> list[tuple[Dialect, JdbcDriver]]:
    return [(dialect, driver) for driver in (*dialect.drivers, *dialect.other_drivers)]


def _url_form(kind: str) -> redact.UrlForm:
    dialect = get_dialect(kind)
    return redact.UrlForm(dialect.url_is_path, dialect.login_redaction())


for _kind, (_, *_prefixes) in _LINES.items():
    for _prefix in _prefixes:
        redact.know_url(_prefix, partial(_url_form, _kind))


def kinds() -> tuple[str, ...]:
    """Every known kind."""
    return tuple(_DIALECTS)


def get_dialect(kind: str) -> Dialect:
    """The dialect of a kind. Raises NotFoundError naming the nearest one."""
    try:
        return _DIALECTS[kind]
    except KeyError:
        raise NotFoundError("driver kind", kind, _DIALECTS) from None


def kind_of_url(url: str) -> str:
    """The kind whose driver takes a JDBC URL; `GENERIC` for one that none is known to take."""
    lowered = url.lower()
    return next((kind for kind, (_, *prefixes) in _LINES.items() if lowered.startswith(tuple(prefixes))), GENERIC)


def known_driver(name: str) -> tuple[Dialect, JdbcDriver]:
    """The driver of a kind, or one by its artifact's name (`jtds`). Raises NotFoundError."""
    dialect = _DIALECTS.get(name)
    if dialect is not None and dialect.driver is not None:
        return dialect, dialect.driver
    found = {driver.artifact: (dialect, driver) for dialect, driver in catalogue()}
    if name in found:
        return found[name]
    raise NotFoundError(
        "driver with a known jar", name, [*(kind for kind in kinds() if get_dialect(kind).drivers), *found]
    )


def kind_of_client(program: str) -> str | None:
    """The kind that a command-line client such as `psql` logs in to."""
    return next((kind for kind, dialect in _DIALECTS.items() if program in dialect.clients), None)


def builtin_drivers() -> list[Driver]:
    """A driver record for every kind, to be registered by `pipekit init`; jars are looked for when a connection is opened."""
    return [
        Driver(
            name=kind,
            kind=kind,
            class_name=dialect.driver.class_name if dialect.driver else None,
            url_template=dialect.url_template,
        )
        for kind, dialect in _DIALECTS.items()
    ]


def driver_record(name: str) -> Driver:
    """The record by which a kind's driver, or one by its artifact's name, is registered. Raises NotFoundError."""
    if name in _DIALECTS:
        return next(driver for driver in builtin_drivers() if driver.name == name)
    dialect, known = known_driver(name)
    return Driver(name=name, kind=dialect.kind, class_name=known.class_name, url_template=known.url)


def driver_for(driver: Driver, url: str) -> Driver:
    """The record to open a URL with: where the kind has another driver for such URLs, that one's class, and its jar."""
    first, *others = get_dialect(driver.kind).drivers or (None,)
    other = next((item for item in others if item and url.lower().startswith(item.url_prefix)), None)
    if other is None or first is None or driver.class_name not in (None, first.class_name):
        return driver
    jar = driver.jar if driver.jar and other.is_file(Path(driver.jar).name) else None
    return driver.model_copy(update={"class_name": other.class_name, "jar": jar})


def too_old(opened: OpenResult, dialect: Dialect) -> str | None:
    """Why a driver must not be used, by what it told of itself when it was opened, and the fix; None for one that may.

    It is the one of the connection's kind, or calls itself as another one does.
    """
    own = _drivers_of(dialect)
    for dialect, driver in own if any(driver.is_named(opened.driver) for _, driver in own) else catalogue():
        version = opened.product_version if driver.is_database else opened.driver_version
        if why := driver.too_old(opened.driver, version):
            newer = f"pipekit drivers install {dialect.kind} --version {driver.version}"
            return f"{why}. Get a newer one: `{newer}`."
    return None


def find_jars(driver: Driver, folders: Iterable[Path]) -> list[Path]:
    """The driver's jar: the registered one, or the first in the folders whose name fits the kind.

    Raises RuntimeMissing saying which file is wanted and where it was looked for.
    """
    folders = list(folders)
    dialect = get_dialect(driver.kind)
    # The jar of another driver of the kind holds no such class.
    of_class = [item for item in (*dialect.drivers, *dialect.other_drivers) if item.class_name == driver.class_name]
    known = [pattern for item in of_class or dialect.drivers for pattern in item.files]
    install = of_class[0].artifact if of_class and of_class[0] is not dialect.driver else driver.kind
    wanted = [driver.jar] if driver.jar else known
    if driver.jar and "/" in driver.jar:
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
        f"Get it with `pipekit drivers install {install}`, put the jar into one of these folders, or register it with "
        "`pipekit drivers register`."
    )
