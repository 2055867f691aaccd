"""What the source's catalogue says of a query's columns, for the columns of a new table: exact types, and which are never NULL.

A description of a query tells neither an enum's labels nor, for sure, that a column of a join is never NULL. A column that is
copied from a table has what the table says; of any other nothing is claimed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipekit_engine.planning.remarks import find_origins
from pipekit_engine.sql.query import read_query

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipekit_engine.common.columns import Column
    from pipekit_engine.databases.dialects import Dialect
    from pipekit_engine.databases.introspection import Catalog
    from pipekit_engine.databases.names import TableName


@dataclass(frozen=True)
class SourceColumns:
    """Of columns of a query, by their names in it: which are never NULL; between databases of one kind, their types.

    `unknown_types` are those of the source that the destination lacks.
    """

    never_null: frozenset[str] = frozenset()
    types: Mapping[str, str] = field(default_factory=dict)
    unknown_types: Mapping[str, str] = field(default_factory=dict)


def ask_source_columns(
    source: tuple[Dialect, Catalog], dest: tuple[Dialect, Catalog], sql: str, columns: Sequence[Column]
) -> SourceColumns:
    """Ask both databases. Raises JRunnerError only if a connection fails."""
    never_null = _never_null(*source, sql, columns)
    if source[0].kind != dest[0].kind:
        return SourceColumns(never_null)
    types = _table_types(*source, sql, columns)
    asked = {
        column.name: name
        for column in columns
        if column.name not in types and (name := dest[0].type_to_ask_for(column))
    }
    rows = dest[1].ask(dest[0].known_types_sql(sorted(set(asked.values())))) if asked else []
    known = {row[0] for row in rows or ()}
    types.update({column: name for column, name in asked.items() if name in known})
    return SourceColumns(never_null, types, {column: name for column, name in asked.items() if name not in known})


def table_columns(dialect: Dialect, catalog: Catalog, sql: str, columns: Sequence[str]) -> frozenset[str]:
    """Those of a query's columns that are copied from a table, no view. Raises JRunnerError only if a connection fails."""
    found = set()
    kinds: dict[TableName, list[str]] = {}
    for name, (tables, _) in find_origins(dialect, sql, columns).items():
        for table in tables:
            if table not in kinds:
                listed = dialect.list_tables(catalog, table.schema, table.catalog, table=table.name)
                kinds[table] = [item.kind for item in listed]
        if len(tables) == 1 and kinds[tables[0]] == ["table"]:
            found.add(name)
    return frozenset(found)


def _never_null(dialect: Dialect, catalog: Catalog, sql: str, columns: Sequence[Column]) -> frozenset[str]:
    """Columns that are NOT NULL in the one table that the query reads: no view, no join, no group.

    Drivers call a column NOT NULL though an outer join fills it up.
    """
    promised = [column.name for column in columns if not column.nullable]
    query = read_query(sql, dialect.capabilities.syntax)
    if not promised or len(query.sources) != 1 or query.grouped:
        return frozenset()
    origins = find_origins(dialect, sql, promised)
    tables = {table for named, _ in origins.values() for table in named}
    if len(tables) != 1:
        return frozenset()
    [table] = tables
    found = dialect.list_tables(catalog, table.schema, table.catalog, table=table.name)
    return frozenset(origins) if len(found) == 1 and found[0].kind == "table" else frozenset()


def _table_types(dialect: Dialect, catalog: Catalog, sql: str, columns: Sequence[Column]) -> dict[str, str]:
    """Types by the catalogue of columns that are copied from one table."""
    types: dict[str, str] = {}
    origins = find_origins(dialect, sql, [column.name for column in columns])
    known = {}
    for name, (tables, column) in origins.items():
        if len(tables) != 1:
            continue
        if tables[0] not in known:
            rows = catalog.ask(dialect.exact_types_sql(tables[0])) or []
            known[tables[0]] = {row[0]: exact for row in rows if (exact := dialect.exact_type(row))}
        if column in known[tables[0]]:
            types[name] = known[tables[0]][column]
    return types
