"""Loads that can go on: the source is read in ranges of a key, each of which stays in staging when the run breaks off.

What is staged and how far it goes is written in one transaction of the destination, so both are true whatever dies. The next run
reads behind the last range that is there. Any value does as a bound: all that it decides is how many rows a range has.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipekit_engine.sql.subqueries import divide_query
from pipekit_engine.sql.tokens import tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipekit_engine.common.columns import Column
    from pipekit_engine.databases.dialects import Dialect
    from pipekit_engine.databases.names import TableName
    from pipekit_engine.models import Module
    from pipekit_engine.planning.columns import PlannedColumn

#: Families by their values: as SQL writes them, where a text holds nothing that one session reads otherwise than another.
_NUMBERS = frozenset({"int16", "int32", "int64", "decimal"})
_TEXTS = frozenset({"text", "uuid"})
_TIMES = frozenset({"date", "timestamp", "timestamptz"})
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_PLAIN = re.compile(r"[^\\\x00-\x1f\x7f]*")
#: Words of queries that may give other rows, or other keys, each time they are asked: no range of those means the same twice.
_FICKLE = (
    "LIMIT", "OFFSET", "FETCH", "TOP", "TABLESAMPLE", "SAMPLE", "ROWNUM", "OVER", "RANDOM", "RAND", "NEWID", "UUID",
    "GEN_RANDOM_UUID", "NEXTVAL",
)  # fmt: skip
#: The table of what is staged, as (name, type). Its key keeps a run that lost its lock from adding a range twice.
MARK_COLUMNS = (("n", "INTEGER PRIMARY KEY"), ("state", "TEXT"), ("row_count", "BIGINT"))


@dataclass(frozen=True)
class RangedStaging:
    """How a module's rows are read in ranges, and the table in which each range that is staged is written down.

    `rows` is the number of rows in a range, `column` the quoted name of the source's column by which they are told apart, and
    `form` how its values are written. `table` has a row for what staging was begun with, one for each range, and one for the
    indexes that follow. `row_behind` ends the query for a bound.
    """

    rows: int
    column: str
    form: str
    table: str
    with_clause: str
    inner: str
    row_behind: str

    def bound_sql(self, after: str | None) -> str:
        """A query for the value up to which the range behind `after` (a literal; None: the first) goes; no row: it is the end."""
        behind = "" if after is None else f" WHERE {self.column} > {after}"
        return f"{self.with_clause}SELECT {self.column} FROM ({self.inner}\n) q{behind} ORDER BY {self.column} {self.row_behind}"

    def rows_sql(self, after: str | None, upto: str | None) -> str:
        """The source's rows of a range between two literals; None: it has no end there."""
        ends = [f"{self.column} {sign} {end}" for sign, end in ((">", after), ("<=", upto)) if end is not None]
        return self._rows_sql(" AND ".join(ends) or f"{self.column} IS NOT NULL")

    @property
    def rows_without_value_sql(self) -> str:
        """The source's rows that are in none of the ranges."""
        return self._rows_sql(f"{self.column} IS NULL")

    def _rows_sql(self, condition: str) -> str:
        return f"{self.with_clause}SELECT * FROM ({self.inner}\n) q WHERE {condition}"

    def literal(self, value: str) -> str | None:
        """A bound as SQL; None for one that is not safely written."""
        known = _NUMBER if self.form == "{}" else _PLAIN
        return self.form.replace("{}", value.replace("'", "''")) if known.fullmatch(value) else None

    def mark_sql(self, number: int, state: str, rows: str = "0") -> str:
        """Writes down a state: `state` is of plain characters, without a quote."""
        return f"INSERT INTO {self.table} VALUES ({number}, '{state}', {rows})"

    @property
    def marks_sql(self) -> str:
        """All that is written down, in its order."""
        return f"SELECT n, state, row_count FROM {self.table} ORDER BY n"


def plan_ranges(
    module: Module,
    source: Dialect,
    dest: Dialect,
    marks: TableName,
    *,
    columns: Sequence[PlannedColumn],
    key: Sequence[str],
    source_columns: Sequence[Column],
    source_sql: str,
    in_one_transaction: bool,
) -> tuple[RangedStaging | None, str]:
    """The ranges of a module that asks for them, or None and why there are none.

    `marks` is the table that holds how far staging goes; `in_one_transaction` says that the session writes its rows and what goes
    with them together.
    """
    if module.resume_every is None:
        return None, ""
    (name,) = [column.source for column in columns if column.dest == key[0]]
    (described,) = [column for column in source_columns if column.name == name]
    form = "{}" if described.family in _NUMBERS else "'{}'" if described.family in _TEXTS else None
    if described.family in _TIMES:
        form = source.time_literal(described, "{}")

    def reasons() -> Iterator[tuple[object, str]]:
        yield not in_one_transaction, "an external jrunner has a transaction of its own"
        yield not dest.capabilities.loads_directly, f"a destination of kind {dest.kind} is staged in one piece"
        asked = tokens(source_sql, source.capabilities.syntax)
        fickle = next((token.text for token in asked if token.is_word(*_FICKLE)), None)
        yield fickle, f"the query says {fickle}, so it may give other rows each time"
        yield (
            form is None,
            f"key column {name} is of type {described.type_name}, whose values are not known to be written in SQL",
        )

    for applies, why in reasons():
        if applies:
            return None, why
    assert form is not None, "one of the reasons"
    known = source.capabilities
    with_clause, inner = divide_query(source_sql, known.syntax, ordered=known.ordered_subqueries)
    return RangedStaging(
        module.resume_every,
        source.quote_identifier(name),
        form,
        dest.table_sql(marks),
        with_clause,
        inner,
        known.row_behind.format(module.resume_every - 1),
    ), ""
