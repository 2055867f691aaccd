"""Where the columns of a query come from, as far as its text tells it for sure.

Understood: `SELECT ... FROM` tables and joins, with or without aliases, plain columns, `*` and `t.*`. An expression has no
origin, and neither has anything of a query with set operations, or of a subquery: no answer is better than a wrong one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipekit_engine.drivers.names import TableName, split_name
from pipekit_engine.drivers.remarks import TableRemarks
from pipekit_engine.errors import ConfigurationError
from pipekit_engine.sqltext import spans

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipekit_engine.drivers import Dialect
    from pipekit_engine.drivers.introspection import Catalog

#: A name, a number, or one other character; in SQL Server and SQLite a name may stand in brackets.
_TOKEN = re.compile(r"[^\W\d][\w$#@]*|\d[\w.]*|\S")
_BRACKETED_TOKEN = re.compile(r"\[(?:[^\]]|\]\])*\]|" + _TOKEN.pattern)
_WORD = re.compile(r"[^\W\d][\w$#@]*|[\"`\[].*", re.DOTALL)
#: Words that end the list of tables.
_CLAUSES = frozenset(
    [
        "WHERE",
        "GROUP",
        "HAVING",
        "ORDER",
        "LIMIT",
        "OFFSET",
        "FETCH",
        "FOR",
        "WINDOW",
        "QUALIFY",
        "OPTION",
        "CONNECT",
        "START",
    ]
)
_SET_OPERATIONS = frozenset(["UNION", "INTERSECT", "EXCEPT", "MINUS"])
_JOINS = frozenset(["JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "NATURAL", "OUTER", "STRAIGHT_JOIN", "APPLY"])
#: Words after a table that are no alias of it.
_NO_ALIAS = (
    _CLAUSES | _JOINS | frozenset(["ON", "USING", "WITH", "PARTITION", "SAMPLE", "TABLESAMPLE", "AS", "USE", "FORCE"])
)


@dataclass(frozen=True)
class Origin:
    """A column of a table, in the database's own spelling."""

    table: TableName
    column: str


@dataclass(frozen=True)
class Trace:
    """The one table that a query reads (None: several, or not known), and the origins of its columns by their names."""

    table: TableName | None = None
    columns: Mapping[str, Origin] = field(default_factory=dict)


def trace_query(sql: str, dialect: Dialect, columns: Sequence[str]) -> Trace:
    """The origins of a query's `columns` (the names in its description)."""
    tokens = list(_tokens(sql, _BRACKETED_TOKEN if dialect.kind in ("sqlserver", "sqlite") else _TOKEN))
    parts = _clauses(tokens)
    if parts is None:
        return Trace()
    items, tables = parts
    sources, complete = _sources(tables, dialect)
    found: dict[str, Origin] = {}
    stars: list[TableName] = []
    for item in items:
        _read_item(item, dialect, sources, complete, found, stars)
    named = {name.casefold(): origin for name, origin in found.items()}
    origins: dict[str, Origin] = {}
    for column in columns:
        origin = found.get(column) or named.get(column.casefold())
        if origin is None and len(stars) == 1 and column.casefold() not in {_label(item) for item in items}:
            origin = Origin(stars[0], column)
        if origin is not None:
            origins[column] = origin
    only = next(iter(sources.values())) if len(sources) == 1 and complete else None
    return Trace(only, origins)


def _tokens(sql: str, pattern: re.Pattern[str]) -> Iterator[str]:
    """Words, quoted names, and single characters; literals as one token; comments are gone."""
    name = ""
    for span in spans(sql):
        if span.kind == "name" and (not name or name[-1] == span.text[0]):
            # A doubled quote in a name is read as the end of one and the beginning of another.
            name += span.text
            continue
        if name:
            yield name
            name = ""
        if span.kind == "code":
            yield from pattern.findall(span.text)
        elif span.kind == "name":
            name = span.text
        elif span.kind == "string":
            yield span.text
    if name:
        yield name


def _clauses(tokens: list[str]) -> tuple[list[list[str]], list[str]] | None:
    """The items of the select list, and the tokens between FROM and the next clause; None for any other kind of query."""
    if not tokens or tokens[0].upper() != "SELECT":
        return None
    items: list[list[str]] = [[]]
    tables: list[str] = []
    depth, place = 0, "items"
    for lexeme in tokens[1:]:
        word = lexeme.upper()
        if lexeme == ";" and depth == 0:
            break
        if depth == 0 and word in _SET_OPERATIONS:
            return None
        if depth == 0 and place == "items" and word == "FROM":
            place = "tables"
            continue
        if depth == 0 and place == "tables" and word in _CLAUSES:
            place = "rest"
        depth += (lexeme == "(") - (lexeme == ")")
        if place == "items":
            if lexeme == "," and depth == 0:
                items.append([])
            else:
                items[-1].append(lexeme)
        elif place == "tables":
            tables.append(lexeme)
    items[0] = _without_prefix(items[0])
    return (items, tables) if tables else None


def _without_prefix(item: list[str]) -> list[str]:
    """The first item without DISTINCT, ALL, TOP n or TOP (n)."""
    if item and item[0].upper() in ("DISTINCT", "ALL"):
        item = item[1:]
    if len(item) > 2 and item[0].upper() == "TOP":
        item = item[item.index(")") + 1 :] if item[1] == "(" and ")" in item else item[2:]
    return item


def _sources(tokens: list[str], dialect: Dialect) -> tuple[dict[str, TableName], bool]:
    """Tables by alias or name; whether every source is a table."""
    sources: dict[str, TableName] = {}
    complete, wanted, depth, at = True, True, 0, 0
    while at < len(tokens):
        lexeme = tokens[at]
        word = lexeme.upper()
        if depth == 0 and wanted and _WORD.fullmatch(lexeme) and word not in _JOINS | {"LATERAL", "ONLY"}:
            name, at = _dotted(tokens, at)
            wanted = False
            if at < len(tokens) and tokens[at] == "(":
                complete = False
                continue
            alias = None
            if at < len(tokens) and tokens[at].upper() == "AS":
                at += 1
            if at < len(tokens) and _WORD.fullmatch(tokens[at]) and tokens[at].upper() not in _NO_ALIAS:
                alias, at = tokens[at], at + 1
            try:
                table = dialect.table_name(name)
            except ConfigurationError:
                complete = False
                continue
            known_as = _name(alias, dialect) if alias else table.name
            complete = complete and known_as not in sources
            sources[known_as] = table
            continue
        if depth == 0 and (lexeme == "," or word in ("JOIN", "STRAIGHT_JOIN", "APPLY")):
            wanted = True
        elif lexeme == "(" and wanted and depth == 0:
            # A subquery, or joins in parentheses.
            wanted, complete = False, False
        depth += (lexeme == "(") - (lexeme == ")")
        at += 1
    return sources, complete


def _dotted(tokens: list[str], at: int) -> tuple[str, int]:
    """A name of parts with dots between, from `at` on, and where it ends."""
    name = tokens[at]
    at += 1
    # SYSTEM.NAME and LIBRARY/NAME: the slash is DB2 for i's older way.
    while at + 1 < len(tokens) and tokens[at] in "./" and _WORD.fullmatch(tokens[at + 1]):
        name += "." + tokens[at + 1]
        at += 2
    return name, at


def _name(text: str, dialect: Dialect) -> str:
    """An identifier as the database reads it."""
    part = split_name(text)[0]
    return part.text if part.quoted else dialect.fold(part.text)


def _read_item(
    item: list[str],
    dialect: Dialect,
    sources: Mapping[str, TableName],
    complete: bool,
    found: dict[str, Origin],
    stars: list[TableName],
) -> None:
    if not item or not (_WORD.fullmatch(item[0]) or item[0] == "*"):
        return
    by_alias = {name.casefold(): table for name, table in sources.items()}
    only = next(iter(sources.values())) if len(sources) == 1 and complete else None
    if item == ["*"]:
        if only is not None:
            stars.append(only)
        return
    path, at = [item[0]], 1
    while at + 1 < len(item) and item[at] == ".":
        path.append(item[at + 1])
        at += 2
    table = only if len(path) == 1 else by_alias.get(_safe_name(path[-2], dialect).casefold())
    if table is None:
        return
    if path[-1] == "*" and at == len(item):
        stars.append(table)
        return
    rest = item[at:]
    if rest and rest[0].upper() == "AS":
        rest = rest[1:]
    if not _WORD.fullmatch(path[-1]) or len(rest) > 1 or (rest and not _WORD.fullmatch(rest[0])):
        return
    column = _safe_name(path[-1], dialect)
    found[_safe_name(rest[0], dialect) if rest else column] = Origin(table, column)


def _safe_name(text: str, dialect: Dialect) -> str:
    try:
        return _name(text, dialect)
    except ConfigurationError:
        return text


def _label(item: list[str]) -> str:
    """The name that an item gives its column, as far as it is written, for comparison."""
    return item[-1].strip('"`[]').casefold() if item else ""


def find_remarks(dialect: Dialect, catalog: Catalog, sql: str, columns: Sequence[str]) -> TableRemarks:
    """The remarks on what a query reads: on its columns by their names in the query, and on its table if it is one.

    Raises what the session raises when the database cannot be asked.
    """
    trace = trace_query(sql, dialect, columns)
    tables = {origin.table: None for origin in trace.columns.values()} | ({trace.table: None} if trace.table else {})
    known = {table: dialect.get_remarks(catalog, table) for table in tables}
    texts = {name: known[origin.table].columns.get(origin.column) for name, origin in trace.columns.items()}
    return TableRemarks(
        known[trace.table].table if trace.table else None, {name: text for name, text in texts.items() if text}
    )
