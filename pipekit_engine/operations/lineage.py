"""Tables of queries and destinations, one however it is written: asset keys in Dagster, and what leads to what on the pages.

A name is read as its database reads it: `Orders` of PostgreSQL is `orders`, of Oracle `ORDERS`. Where letter case tells no two
tables apart, it is lower case. Runs do not depend on any of this.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipekit_engine.databases.dialects import builtin_drivers, get_dialect
from pipekit_engine.databases.names import split_name
from pipekit_engine.errors import ConfigurationError, NotFoundError
from pipekit_engine.sql.query import read_query
from pipekit_engine.sql.syntax import UNKNOWN

if TYPE_CHECKING:
    from pipekit_engine.models import Definitions, Module
    from pipekit_engine.sql.syntax import SqlSyntax

_BUILTIN = {driver.name: driver for driver in builtin_drivers()}


def connection_syntax(connection: str, definitions: Definitions) -> SqlSyntax:
    """How SQL is written on a connection; `UNKNOWN` when it or its driver is not defined."""
    found = definitions.connections.get(connection)
    driver = (definitions.drivers.get(found.driver) or _BUILTIN.get(found.driver)) if found else None
    try:
        return get_dialect(driver.kind).capabilities.syntax if driver else UNKNOWN
    except NotFoundError:
        return UNKNOWN


def table_parts(name: str, syntax: SqlSyntax) -> tuple[str, ...]:
    """The parts of a table's name as a person writes it: `sales."Order Lines"` is `("sales", "Order Lines")`."""
    try:
        parts = tuple(part.text if part.quoted else syntax.fold(part.text) for part in split_name(name))
    except ConfigurationError:
        parts = tuple(name.split("."))  # a run will refuse it; the code location loads all the same
    return comparable(parts, syntax)


def comparable(parts: tuple[str, ...], syntax: SqlSyntax) -> tuple[str, ...]:
    """The same parts for all spellings of one table."""
    return tuple(part.lower() for part in parts) if syntax.any_case else parts


def source_tables(sql: str, syntax: SqlSyntax) -> list[tuple[str, ...]]:
    """The tables that a query reads, each as the parts of its name, in order; none when it cannot be read for sure.

    >>> source_tables("WITH x AS (SELECT 1 FROM a) SELECT * FROM x JOIN sales.orders o ON o.id = x.id", UNKNOWN)
    [('a',), ('sales', 'orders')]
    """
    return list(dict.fromkeys(comparable(parts, syntax) for parts in read_query(sql, syntax).tables))


@dataclass(frozen=True)
class LinkedTable:
    """A table that a module reads or writes; without `parts`, what a query reads that cannot be told: the connection as a whole.

    `modules` are the others at this table: those that fill one that is read, those that read the one that is written.
    """

    connection: str
    parts: tuple[str, ...]
    modules: tuple[str, ...]

    @property
    def label(self) -> str:
        """The name for a person."""
        return ".".join(self.parts)


@dataclass(frozen=True)
class ModuleLineage:
    """What a module reads and writes. `beside` are the other modules that write its table."""

    reads: tuple[LinkedTable, ...]
    writes: LinkedTable
    beside: tuple[str, ...]


def module_lineage(module: Module, definitions: Definitions) -> ModuleLineage:
    """The tables at both ends of a module, and the modules behind them, by name: as the assets of Dagster are linked."""
    modules = sorted(definitions.modules.values(), key=lambda item: item.name)
    written: dict[tuple[str, ...], list[str]] = {}
    for other in modules:
        written.setdefault(_dest(other, definitions), []).append(other.name)
    dest = _dest(module, definitions)
    reads = [
        LinkedTable(module.source, parts, tuple(written.get((module.source, *parts), ())))
        for parts in source_tables(module.query, connection_syntax(module.source, definitions)) or [()]
        if (module.source, *parts) != dest
    ]
    readers = tuple(other.name for other in modules if other.name != module.name and _reads(other, dest, definitions))
    beside = tuple(name for name in written.get(dest, ()) if name != module.name)
    return ModuleLineage(tuple(reads), LinkedTable(module.dest, dest[1:], readers), beside)


def _dest(module: Module, definitions: Definitions) -> tuple[str, ...]:
    return (module.dest, *table_parts(module.dest_table, connection_syntax(module.dest, definitions)))


def _reads(module: Module, table: tuple[str, ...], definitions: Definitions) -> bool:
    # Most queries need not be parsed to tell that they do not: a name without quotes in it stands in them as it is.
    last = table[-1].casefold()
    if module.source != table[0] or ('"' not in last and last not in module.query.casefold()):
        return False
    return table[1:] in source_tables(module.query, connection_syntax(module.source, definitions))
