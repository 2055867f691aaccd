"""Tables of queries and destinations as parts of asset keys, so that one table gives one asset however it is written.

A name is read as its database reads it: `Orders` of PostgreSQL is `orders`, of Oracle `ORDERS`. Where letter case tells no two
tables apart, it is lower case. Runs do not depend on any of this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipekit_engine.databases.dialects import builtin_drivers, get_dialect
from pipekit_engine.databases.names import split_name
from pipekit_engine.errors import ConfigurationError, NotFoundError
from pipekit_engine.sql.query import read_query
from pipekit_engine.sql.syntax import UNKNOWN

if TYPE_CHECKING:
    from pipekit_engine.models import Definitions
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
