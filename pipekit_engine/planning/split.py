"""How a module's source is read over several connections: in many ranges, each taken by the reader that is free."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pipekit_engine.common.names import find_name
from pipekit_engine.errors import ConfigurationError, NotFoundError
from pipekit_engine.jrunner.protocol import SplitRequest
from pipekit_engine.planning.ranges import divide_by_key
from pipekit_engine.sql.one_table import read_one_table

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pipekit_engine.common.columns import Column
    from pipekit_engine.databases.dialects import Dialect
    from pipekit_engine.databases.dialects.base.ranges import KeyLiteral
    from pipekit_engine.jrunner.protocol import Pieces
    from pipekit_engine.models import Module
    from pipekit_engine.planning.ranges import Bound, KeyRanges
    from pipekit_engine.sql.one_table import OneTable

#: Rows of a range. So many take a reader some tenths of a second, and the ranges of a large table are many times the readers: who
#: has quick ones takes more of them. A table of no more rows than this is read over one connection.
ROWS_PER_RANGE = 50_000
#: Stands for the value of a bound where the SQL around it is asked for; no SQL holds it.
_MARK = re.compile("\0([0-9]+)\0")


class Ranges(Protocol):
    """Ranges of a query's rows, and the query for the bound of the next one."""

    @property
    def literals(self) -> Sequence[KeyLiteral]:
        """How the values of a bound are written."""

    @property
    def rest_sql(self) -> str | None:
        """The rows that are in none of the ranges; None: there are none."""

    def bound_sql(self, after: Bound | None) -> str:
        """A query for the bound of the range behind `after`; no row: that is the last."""

    def rows_sql(self, after: Bound | None, upto: Bound | None) -> str:
        """The rows of a range; None: it has no end there."""


@dataclass(frozen=True)
class PlaceRanges:
    """The rows of a query of one table in ranges by where they are kept, `rows` in each, or so many blocks as the kind says."""

    source: Dialect
    query: OneTable
    rows: int
    #: Each row has a place.
    rest_sql: None = None

    @property
    def literals(self) -> list[KeyLiteral]:
        """How a place is written."""
        return [self.source.place_literal()]

    def bound_sql(self, after: Bound | None) -> str:
        """A query for the place up to which the range behind `after` goes."""
        return self.source.place_bound_sql(self.query, after[0] if after else None, self.rows)

    def rows_sql(self, after: Bound | None, upto: Bound | None) -> str:
        """The rows of a range; None: it has no end there."""
        place = f"{self.query.name}.{self.source.row_place}"
        ends = [f"{place} {sign} {end[0]}" for sign, end in ((">", after), ("<=", upto)) if end is not None]
        return self.query.where(" AND ".join(ends))


@dataclass(frozen=True)
class PlannedSplit:
    """A source that is read over `lanes` connections; `by` says in what kind of ranges."""

    lanes: int
    by: str
    ranges: Ranges
    #: The query's columns that want an index at the source.
    names: tuple[str, ...] = ()

    @property
    def request(self) -> SplitRequest:
        """What jrunner is asked for."""
        width = len(self.ranges.literals)
        after, upto = (tuple(f"\0{index + part * width}\0" for index in range(width)) for part in (0, 1))
        rest = self.ranges.rest_sql
        return SplitRequest(
            lanes=self.lanes,
            literals=[(literal.form, literal.pattern) for literal in self.ranges.literals],
            first_bound=pieces(self.ranges.bound_sql(None)),
            next_bound=pieces(self.ranges.bound_sql(after)),
            first=pieces(self.ranges.rows_sql(None, upto)),
            middle=pieces(self.ranges.rows_sql(after, upto)),
            last=pieces(self.ranges.rows_sql(after, None)),
            rest=None if rest is None else pieces(rest),
        )

    @property
    def script(self) -> list[str]:
        """The statements of a range, for people."""
        some = tuple("..." for _ in self.ranges.literals)
        return [self.ranges.bound_sql(some), self.ranges.rows_sql(some, some)]


def pieces(sql: str) -> Pieces:
    """SQL with marks as the texts around them, and their numbers."""
    parts = _MARK.split(sql)
    return [int(part) if index % 2 else part for index, part in enumerate(parts)]


def plan_split(
    module: Module,
    source: Dialect,
    *,
    source_columns: Sequence[Column],
    source_sql: str,
    table_columns: Collection[str] | None,
    keys: Sequence[tuple[str, Sequence[Column]]],
) -> tuple[PlannedSplit | None, str]:
    """How the source of a module with `parallel` is read over several connections; None where one reads it, and why.

    `table_columns` is that of `divide_by_key`. `keys` are those of which the first is taken that can be, where the module names
    none: what they are, and the query's columns. Raises ConfigurationError where the module names one that cannot be.
    """
    if reads_places(module, source, source_columns):
        query = read_one_table(source_sql, source.capabilities.syntax)
        if query is None:
            raise ConfigurationError(f"module {module.name}: split_by: {no_places(source)}")
        return PlannedSplit(
            module.parallel, f"ranges of {source.row_place}", PlaceRanges(source, query, ROWS_PER_RANGE)
        ), ""
    if module.split_by:
        columns = [_column(module, name, source_columns) for name in module.split_by]
        found = divide_by_key(source, source_sql, columns, ROWS_PER_RANGE, table_columns=table_columns)
        if isinstance(found, str):
            raise ConfigurationError(
                f"module {module.name}: split_by: {found}. Name another key, or leave split_by out."
            )
        return _by_key(module, found, ""), ""
    why = "there is no key to read ranges of; name one by split_by"
    for what, key in keys:
        found = divide_by_key(source, source_sql, key, ROWS_PER_RANGE, table_columns=table_columns)
        if not isinstance(found, str):
            return _by_key(module, found, f", {what}"), ""
        why = f"of {what}, {found}"
    return None, why


def reads_places(module: Module, source: Dialect, source_columns: Sequence[Column]) -> bool:
    """Whether `split_by` means where the rows are kept, not a column of the query."""
    return [name.lower() for name in module.split_by] == [source.row_place] and find_name(
        source.row_place, [column.name for column in source_columns]
    ) is None


def no_places(source: Dialect) -> str:
    """What is said of a query whose rows are not surely those of one table."""
    return (
        f"{source.row_place} is for a query of the form SELECT ... FROM one_table [alias] [WHERE ...], without functions that "
        "may be aggregates. Name a key instead."
    )


def _by_key(module: Module, ranges: KeyRanges, what: str) -> PlannedSplit:
    return PlannedSplit(
        module.parallel, f"ranges of {ranges.rows:,} rows by {', '.join(ranges.names)}{what}", ranges, ranges.names
    )


def _column(module: Module, name: str, columns: Sequence[Column]) -> Column:
    by_name = {column.name: column for column in columns}
    found = find_name(name, by_name)
    if found is None:
        raise ConfigurationError(f"module {module.name}: split_by: {NotFoundError('query column', name, by_name)}")
    return by_name[found]
