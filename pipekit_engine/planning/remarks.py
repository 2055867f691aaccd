"""Where the columns of a query come from, as far as its text tells it for sure.

Understood: `SELECT ... FROM` tables and joins, with or without aliases, plain columns, `*` and `t.*`. An expression has no
origin, and neither has anything of a query with set operations, or of a subquery: no answer is better than a wrong one. A column
of a join that is written without its table belongs to the only one of the tables that has it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipekit_engine.databases.names import TableName, split_name
from pipekit_engine.databases.remarks import TableRemarks
from pipekit_engine.errors import ConfigurationError
from pipekit_engine.sql.text import spans

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipekit_engine.databases.dialects import Dialect
    from pipekit_engine.databases.introspection import Catalog

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
#: A join of more tables is not asked which of them has a column: every one costs a question.
_MAX_TABLES = 12
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
    """What a query's text tells: the origins of its columns by their names, and the tables that it reads.

    `tables` is empty when a source is anything but a table. `open` names columns that come from one of the tables, by the
    names that they have there: which one, the tables themselves must tell.
    """

    tables: tuple[TableName, ...] = ()
    columns: Mapping[str, Origin] = field(default_factory=dict)
    open: Mapping[str, str] = field(default_factory=dict)

    @property
    def table(self) -> TableName | None:
        """The one table that the query reads, if it is one."""
        return self.tables[0] if len(self.tables) == 1 else None


@dataclass
class _Select:
    """A select list being read. `named` holds an item's table (None: to be found) and column by the item's name."""

    dialect: Dialect
    sources: Mapping[str, TableName]
    complete: bool
    named: dict[str, tuple[TableName | None, str]] = field(default_factory=dict)
    stars: list[TableName] = field(default_factory=list)
    star: bool = False

    def read(self, item: list[str]) -> None:
        """Take in one item; an expression tells nothing."""
        if item == ["*"]:
            self.star = self.complete
            return
        if not item or not _WORD.fullmatch(item[0]):
            return
        path, at = [item[0]], 1
        while at + 1 < len(item) and item[at] == ".":
            path.append(item[at + 1])
            at += 2
        table = self._table(path[:-1])
        if table is None and (len(path) > 1 or not self.complete):
            return
        if path[-1] == "*" and at == len(item) and table is not None:
            self.stars.append(table)
            return
        rest = item[at:]
        if rest and rest[0].upper() == "AS":
            rest = rest[1:]
        if not _WORD.fullmatch(path[-1]) or len(rest) > 1 or (rest and not _WORD.fullmatch(rest[0])):
            return
        column = _name(path[-1], self.dialect)
        self.named[_name(rest[0], self.dialect) if rest else column] = (table, column)

    def _table(self, path: list[str]) -> TableName | None:
        """The table that a qualifier means; without one, the only table."""
        if not path:
            return next(iter(self.sources.values())) if self.complete and len(self.sources) == 1 else None
        wanted = _name(path[-1], self.dialect).casefold()
        return next((table for name, table in self.sources.items() if name.casefold() == wanted), None)


def trace_query(sql: str, dialect: Dialect, columns: Sequence[str]) -> Trace:
    """The origins of a query's `columns` (the names in its description)."""
    parts = _clauses(
        list(_tokens(sql, dialect, _BRACKETED_TOKEN if dialect.capabilities.syntax.brackets == "names" else _TOKEN))
    )
    if parts is None:
        return Trace()
    items, from_clause = parts
    select = _Select(dialect, *_sources(from_clause, dialect))
    for item in items:
        select.read(item)
    if select.star and len(select.sources) == 1:
        select.stars += select.sources.values()
    origins: dict[str, Origin] = {}
    unknown: dict[str, str] = {}
    by_folded = {name.casefold(): source for name, source in select.named.items()}
    labels = {item[-1].strip('"`[]').casefold() for item in items if item}
    for name in columns:
        table, column = select.named.get(name) or by_folded.get(name.casefold()) or (None, "")
        if not column and name.casefold() not in labels and (select.stars or select.star):
            # One of those behind a star.
            column = name
            table = select.stars[0] if len(select.stars) == 1 else None
            if table is None and not select.star:
                continue
        if table is not None:
            origins[name] = Origin(table, column)
        elif column:
            unknown[name] = column
    return Trace(tuple(select.sources.values()) if select.complete else (), origins, unknown)


def _tokens(sql: str, dialect: Dialect, pattern: re.Pattern[str]) -> Iterator[str]:
    """Words, quoted names, and single characters; literals as one token; comments are gone."""
    name = ""
    for span in spans(sql, dialect.capabilities.syntax):
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
    repeated: set[str] = set()
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
            if known_as in sources:
                # s1.t and s2.t: which of them `t` means is not worth guessing.
                repeated.add(known_as)
            sources[known_as] = table
            continue
        if depth == 0 and (lexeme == "," or word in ("JOIN", "STRAIGHT_JOIN", "APPLY")):
            wanted = True
        elif lexeme == "(" and wanted and depth == 0:
            # A subquery, or joins in parentheses.
            wanted, complete = False, False
        depth += (lexeme == "(") - (lexeme == ")")
        at += 1
    known = {name: table for name, table in sources.items() if name not in repeated}
    return known, complete and not repeated


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
    try:
        part = split_name(text)[0]
    except ConfigurationError:
        return text
    return part.text if part.quoted else dialect.fold(part.text)


def find_remarks(dialect: Dialect, catalog: Catalog, sql: str, columns: Sequence[str]) -> TableRemarks:
    """The remarks on what a query reads: on its columns by their names in the query, and on its table if it is one.

    Raises what the session raises when the database cannot be asked.
    """
    trace = trace_query(sql, dialect, columns)
    wanted = {origin.table: None for origin in trace.columns.values()} | ({trace.table: None} if trace.table else {})
    if trace.open and len(trace.tables) <= _MAX_TABLES:
        wanted |= dict.fromkeys(trace.tables)
    known = {table: dialect.get_remarks(catalog, table) for table in wanted}
    origins = dict(trace.columns)
    for name, column in trace.open.items():
        having = [table for table in trace.tables if table in known and column in known[table].names]
        if len(having) == 1:
            origins[name] = Origin(having[0], column)
    texts = {name: known[origin.table].columns.get(origin.column) for name, origin in origins.items()}
    return TableRemarks(
        known[trace.table].table if trace.table else None, {name: text for name, text in texts.items() if text}
    )
