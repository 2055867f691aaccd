"""Of which column a query asks for the greatest value: what a watermark's resolver mostly does.

A plain `SELECT max(column) FROM table` is told from its tokens: a parser is imported for other texts only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipekit_engine.sql.parsing import parse
from pipekit_engine.sql.query import ColumnOrigin, read_query
from pipekit_engine.sql.tokens import strip_parentheses, tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipekit_engine.sql.syntax import SqlSyntax
    from pipekit_engine.sql.tokens import Token

_AGGREGATES = ("MAX", "MIN", "COUNT", "SUM", "AVG")
#: Functions that give one value for one row, and so leave the single row of an aggregate a single one.
_OF_ONE_ROW = ("COALESCE", "CAST", "NVL", "IFNULL", "ISNULL", "NULLIF", "GREATEST", "LEAST", "TO_CHAR")
#: What makes more rows of an aggregate, or reads more than one table.
_MORE = ("SELECT", "OVER", "GROUP", "UNION", "INTERSECT", "EXCEPT", "MINUS", "JOIN", "INTO", "FROM")


def greatest_columns(sql: str, syntax: SqlSyntax) -> tuple[ColumnOrigin, ...]:
    """The columns that stand in a `max(column)` of a query on one table; empty when it cannot be read, or reads several."""
    plain = _plain(_tokens(sql, syntax), syntax)
    if plain is not None:
        return plain
    query, tree = read_query(sql, syntax), parse(sql, syntax)
    if tree is None or len(query.tables) != 1:
        return ()
    from sqlglot import exp

    columns = (node.this for node in tree.find_all(exp.Max))
    found = (ColumnOrigin(query.tables[0], column.name) for column in columns if isinstance(column, exp.Column))
    return tuple(dict.fromkeys(found))


def gives_one_row(sql: str, syntax: SqlSyntax) -> bool:
    """Whether a query gives one row at most whatever its table holds: aggregates of all rows, and nothing beside them.

    False where the text does not show it.
    """
    return _is_one_row(_tokens(sql, syntax))


def _is_one_row(found: Sequence[Token]) -> bool:
    if not found or not found[0].is_word("SELECT"):
        return False
    listed, rest = _divided(found)
    counted = False
    for position, token in enumerate(listed):
        if token.is_word(*_MORE) or token.text == "[":
            return False
        if token.text != "(":
            continue
        function = listed[position - 1] if position else token
        if function.is_word(*_AGGREGATES):
            if any(item.text == "," for item in _within(listed, position)):
                return False  # of several columns in one row, as SQLite has it
            counted = True
        elif function.kind in ("word", "name") and not function.is_word(*_OF_ONE_ROW, "DECIMAL", "NUMERIC", "VARCHAR"):
            return False  # it may give a set of rows
    return counted and not any(token.depth == 0 and token.is_word(*_MORE[2:-1]) for token in rest[1:])


def _plain(found: Sequence[Token], syntax: SqlSyntax) -> tuple[ColumnOrigin, ...] | None:
    """The answer for `SELECT max(column) ... FROM table [WHERE ...]`; None for any other text."""
    if not _is_one_row(found):
        return None
    listed, rest = _divided(found)
    end = next((place for place, token in enumerate(rest) if token.is_word("WHERE")), len(rest))
    table = _name(rest[1:end], syntax)
    if table is None or any(token.is_word(*_MORE) for token in rest[1:]):
        return None
    columns = []
    for position, token in enumerate(listed):
        if token.is_word("MAX"):
            column = _name(_within(listed, position + 1), syntax)
            if column is None:
                return None
            columns.append(ColumnOrigin(table, column[-1]))
    return tuple(dict.fromkeys(columns))


def _tokens(sql: str, syntax: SqlSyntax) -> list[Token]:
    found = list(tokens(sql, syntax))
    while found and found[-1].text == ";":
        found.pop()
    return strip_parentheses(found)


def _divided(found: Sequence[Token]) -> tuple[Sequence[Token], Sequence[Token]]:
    """What stands between SELECT and FROM, and what from there on."""
    end = next((place for place, token in enumerate(found) if token.depth == 0 and token.is_word("FROM")), len(found))
    return found[1:end], found[end:]


def _within(found: Sequence[Token], opening: int) -> Sequence[Token]:
    """What stands in the parentheses that open at a place; empty where none do."""
    if opening >= len(found) or found[opening].text != "(":
        return ()
    depth = found[opening].depth
    end = next((place for place in range(opening + 1, len(found)) if found[place].depth == depth), len(found))
    return [token for token in found[opening + 1 : end] if token.depth == depth + 1]


def _name(found: Sequence[Token], syntax: SqlSyntax) -> tuple[str, ...] | None:
    """The parts of a name, as the database folds them; None for anything else."""
    parts = [token.text if token.kind == "name" else syntax.fold(token.text) for token in found[::2]]
    names = all(token.kind == "name" or (token.kind == "word" and token.text[0].isalpha()) for token in found[::2])
    dots = all(token.kind == "punctuation" and token.text == "." for token in found[1::2])
    return tuple(parts) if names and dots and len(found) % 2 == 1 else None
