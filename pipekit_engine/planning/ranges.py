"""How a query's rows are divided into ranges of a key: for loads that can go on, and for several readers side by side.

A load that can go on keeps each range in staging when the run breaks off. What is staged and how far it goes is written in one
transaction of the destination, so both are true whatever dies. The next run reads behind the last range that is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipekit_engine.planning.columns import key_columns_of_source
from pipekit_engine.sql.subqueries import divide_query
from pipekit_engine.sql.tokens import tokens

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pipekit_engine.common.columns import Column
    from pipekit_engine.databases.dialects import Dialect
    from pipekit_engine.databases.dialects.base.ranges import KeyLiteral
    from pipekit_engine.databases.names import TableName
    from pipekit_engine.planning.columns import PlannedColumn
    from pipekit_engine.sql.syntax import SqlSyntax

#: Words of queries that may give other rows, or other keys, each time they are asked: no range of those means the same twice.
_FICKLE = ("LIMIT", "OFFSET", "FETCH", "TOP", "TABLESAMPLE", "SAMPLE", "ROWNUM", "OVER", "NEXTVAL")
_FICKLE_FUNCTIONS = ("RANDOM", "RAND", "NEWID", "UUID", "GEN_RANDOM_UUID", "UUID_GENERATE_V4", "SYS_GUID", "RANDOMBLOB")

#: A bound: what its columns are compared with, as SQL.
Bound = tuple[str, ...]


@dataclass(frozen=True)
class KeyRanges:
    """A query's rows in ranges of `rows` by the order of a key, each between two bounds, the upper one included.

    `names` are the key's columns, `columns` the same in SQL, `values` those of a bound, which `literals` write. `row_behind` ends
    the query for a bound.
    """

    rows: int
    names: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[str, ...]
    literals: tuple[KeyLiteral, ...]
    with_clause: str
    inner: str
    row_behind: str

    def literal(self, values: Sequence[str | None]) -> Bound | None:
        """A bound as SQL; None for one that is not safely written."""
        written = [
            None if value is None else literal.write(value)
            for literal, value in zip(self.literals, values, strict=True)
        ]
        return None if None in written else tuple(text for text in written if text is not None)

    def bound_sql(self, after: Bound | None) -> str:
        """A query for the bound of the range behind `after` (None: of the first one); no row: that is the last."""
        return (
            f"{self.with_clause}SELECT {', '.join(self.values)} FROM ({self.inner}\n) q WHERE {self._between(after, None)} "
            f"ORDER BY {', '.join(self.columns)} {self.row_behind}"
        )

    def rows_sql(self, after: Bound | None, upto: Bound | None) -> str:
        """The query's rows of a range between two bounds; None: it has no end there."""
        return self._rows_sql(self._between(after, upto))

    @property
    def rest_sql(self) -> str:
        """The query's rows that are in none of the ranges."""
        return self._rows_sql(" OR ".join(f"{column} IS NULL" for column in self.columns))

    def _rows_sql(self, condition: str) -> str:
        return f"{self.with_clause}SELECT * FROM ({self.inner}\n) q WHERE {condition}"

    def _between(self, after: Bound | None, upto: Bound | None) -> str:
        ends = [self._compared(sign, end) for sign, end in ((">", after), ("<=", upto)) if end is not None]
        if not ends or len(self.columns) > 1:  # a row with a NULL compares by the columns before it
            ends += [f"{column} IS NOT NULL" for column in self.columns]
        return " AND ".join(ends)

    def _compared(self, sign: str, end: Bound) -> str:
        """The key against a bound. The first column is compared by itself, too: some databases seek no row value in an index."""
        if len(self.columns) == 1:
            return f"{self.columns[0]} {sign} {end[0]}"
        row = f"({', '.join(self.columns)}) {sign} ({', '.join(end)})"
        return f"{row} AND {self.columns[0]} {sign[0]}= {end[0]}"


def divide_by_key(
    source: Dialect,
    source_sql: str,
    columns: Sequence[Column],
    rows: int,
    *,
    table_columns: Collection[str] | None,
) -> KeyRanges | str:
    """The query in ranges of `rows` by these of its columns, or why it cannot be read so.

    `table_columns` are those that are known to be copied from a table (None: nobody asked). Only the first of several columns
    counts where the database does not compare row values.
    """
    known = source.capabilities
    if reason := _fickle(source_sql, known.syntax):
        return reason
    if not known.compares_rows:
        columns = columns[:1]
    literals = []
    for column in columns:
        literal = source.key_literal(column)
        if literal is None:
            return (
                f"column {column.name} is of type {column.type_name}, whose values are not known to be written in SQL"
            )
        if source.typed_cells and column.name not in (table_columns or ()):
            return f"column {column.name} is not known to be a table's own, and {source.label} compares each cell by its own type"
        literals.append(literal)
    names = [source.quote_identifier(column.name) for column in columns]
    with_clause, inner = divide_query(source_sql, known.syntax, ordered=known.ordered_subqueries)
    return KeyRanges(
        rows,
        tuple(column.name for column in columns),
        tuple(names),
        tuple(map(source.bound_value_sql, names)),
        tuple(literals),
        with_clause,
        inner,
        known.row_behind.format(rows - 1),
    )


def _fickle(sql: str, syntax: SqlSyntax) -> str | None:
    """Why a query may give other rows each time; None if nothing of that is seen."""
    found = tokens(sql, syntax)
    for token, following in zip(found, (*found[1:], None), strict=True):
        if token.is_word(*_FICKLE) or (
            token.is_word(*_FICKLE_FUNCTIONS) and following is not None and following.text == "("
        ):
            return f"the query says {token.text}, so it may give other rows each time"
    return None


@dataclass(frozen=True)
class RangedStaging:
    """How a module's rows are read in ranges, and the table in which each range that is staged is written down.

    `table` has a row for what staging was begun with, one for each range, and one for the indexes that follow.
    """

    keys: KeyRanges
    table: str

    @property
    def rows(self) -> int:
        """The rows of a range."""
        return self.keys.rows

    @property
    def column(self) -> str:
        """The source's column by which the ranges are told apart, in SQL."""
        return self.keys.columns[0]

    def bound_sql(self, after: str | None) -> str:
        """A query for the value up to which the range behind `after` (a literal; None: the first) goes; no row: it is the end."""
        return self.keys.bound_sql(_bound(after))

    def rows_sql(self, after: str | None, upto: str | None) -> str:
        """The source's rows of a range between two literals; None: it has no end there."""
        return self.keys.rows_sql(_bound(after), _bound(upto))

    @property
    def rest_sql(self) -> str:
        """The source's rows that are in none of the ranges."""
        return self.keys.rest_sql

    def literal(self, value: str) -> str | None:
        """A bound as SQL; None for one that is not safely written."""
        found = self.keys.literal([value])
        return None if found is None else found[0]

    def mark_sql(self, number: int, state: str, rows: str = "0") -> str:
        """Writes down a state: `state` is of plain characters, without a quote."""
        return f"INSERT INTO {self.table} VALUES ({number}, '{state}', {rows})"

    @property
    def marks_sql(self) -> str:
        """All that is written down, in its order."""
        return f"SELECT n, state, row_count FROM {self.table} ORDER BY n"


def _bound(literal: str | None) -> Bound | None:
    return None if literal is None else (literal,)


def plan_ranges(
    rows: int,
    source: Dialect,
    dest: Dialect,
    marks: TableName,
    *,
    columns: Sequence[PlannedColumn],
    key: Sequence[str],
    source_columns: Sequence[Column],
    source_sql: str,
    table_columns: Collection[str] | None,
    in_one_transaction: bool,
) -> tuple[RangedStaging | None, str]:
    """The ranges of `rows` rows for a module that asks for them, or None and why there are none.

    `table_columns` are those of the query that are known to be copied from a table. `marks` is the table that holds how far
    staging goes; `in_one_transaction` says that the session writes its rows and what goes with them together.
    """
    if not in_one_transaction:
        return None, "an external jrunner has a transaction of its own"
    if not dest.capabilities.loads_directly:
        return None, f"a destination of kind {dest.kind} is staged in one piece"
    by = key_columns_of_source(columns, key[:1], source_columns)
    found = divide_by_key(source, source_sql, by, rows, table_columns=table_columns)
    return (None, found) if isinstance(found, str) else (RangedStaging(found, dest.table_sql(marks)), "")
