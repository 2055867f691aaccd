"""Of which column a query asks for the greatest value: what a watermark's resolver mostly does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipekit_engine.sql.parsing import parse
from pipekit_engine.sql.query import ColumnOrigin, read_query

if TYPE_CHECKING:
    from pipekit_engine.sql.syntax import SqlSyntax


def greatest_columns(sql: str, syntax: SqlSyntax) -> tuple[ColumnOrigin, ...]:
    """The columns that stand in a `max(column)` of a query on one table; empty when it cannot be read, or reads several."""
    query, tree = read_query(sql, syntax), parse(sql, syntax)
    if tree is None or len(query.tables) != 1:
        return ()
    from sqlglot import exp

    columns = (node.this for node in tree.find_all(exp.Max))
    found = (ColumnOrigin(query.tables[0], column.name) for column in columns if isinstance(column, exp.Column))
    return tuple(dict.fromkeys(found))
