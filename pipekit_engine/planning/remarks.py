"""The remarks of a source on what a query reads, for the comments of a new destination and of new columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipekit_engine.databases.names import TableName, quoted_name
from pipekit_engine.databases.remarks import TableRemarks
from pipekit_engine.errors import ConfigurationError
from pipekit_engine.sql.query import read_query

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipekit_engine.databases.dialects import Dialect
    from pipekit_engine.databases.introspection import Catalog

#: A join of more tables is not asked which of them has a column: every one costs a question.
_MAX_TABLES = 12


def find_remarks(dialect: Dialect, catalog: Catalog, sql: str, columns: Sequence[str]) -> TableRemarks:
    """The remarks on what a query reads: on its columns by their names in the query, and on its table if it is one.

    Only a column that is a table's own has a remark; an expression has none, whatever it is computed from. A column of a join
    that is written without its table belongs to the only one of the tables that has it.
    Raises what the session raises when the database cannot be asked.
    """
    query = read_query(sql, dialect.capabilities.syntax)
    only = _table(dialect, query.sources[0]) if len(query.sources) == 1 else None
    candidates = find_origins(dialect, sql, columns)
    wanted = dict.fromkeys(table for tables, _ in candidates.values() for table in tables) | (
        {only: None} if only else {}
    )
    known = {table: dialect.get_remarks(catalog, table) for table in wanted}
    texts: dict[str, str] = {}
    for name, (tables, column) in candidates.items():
        having = [known[table] for table in tables if len(tables) == 1 or column in known[table].names]
        if len(having) == 1 and (text := having[0].columns.get(column)):
            texts[name] = text
    return TableRemarks(known[only].table if only else None, texts)


def find_origins(dialect: Dialect, sql: str, columns: Sequence[str]) -> dict[str, tuple[list[TableName], str]]:
    """The tables that a query's column may be copied from, and its name there, by its name in the query.

    A column that is written without its table belongs to the only one of them that has it. One that is not known to be copied
    is left out.
    """
    query = read_query(sql, dialect.capabilities.syntax)
    found: dict[str, tuple[list[TableName], str]] = {}
    for name in columns:
        lineage = query.column(name)
        origins = (lineage.among or lineage.inputs * lineage.copied) if lineage else ()
        named = [table for origin in origins if (table := _table(dialect, origin.table))]
        if named and len(named) == len(origins) <= _MAX_TABLES:
            found[name] = (named, origins[0].column)
    return found


def _table(dialect: Dialect, parts: Sequence[str]) -> TableName | None:
    """A table of a query as the dialect names it; None when it cannot."""
    try:
        return dialect.table_name(quoted_name(parts))
    except ConfigurationError:
        return None
