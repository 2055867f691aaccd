"""The check `diff`: the rows that a module's query gives now against those of its destination, by aggregates of both databases.

Compared are the number of rows and, of each column, the number of NULLs; of whole numbers and decimals also the least, the
greatest and the sum, of floats, dates and timestamps the least and the greatest. What one of the databases does not keep exactly,
a decimal in SQLite say, is compared by its NULLs alone. Each side reads its rows where it has them, and none of them travels.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from pipekit_engine.common.names import find_name
from pipekit_engine.common.text import counted
from pipekit_engine.databases.connections import ModuleConnections
from pipekit_engine.planning.planner import Planner
from pipekit_engine.sql.text import as_subquery

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from pipekit_engine.common.columns import Column
    from pipekit_engine.common.partitions import PartitionRange
    from pipekit_engine.databases.connections import Connections
    from pipekit_engine.databases.dialects import Dialect
    from pipekit_engine.jrunner.client import Session
    from pipekit_engine.models import Module

#: Columns that one query asks about: databases limit the length of a select list.
_AT_ONCE = 60
_WHOLE = frozenset({"int16", "int32", "int64"})
#: A column of one of these on both sides is compared by its least and greatest value.
_ORDERED = ({"float32"}, {"float64"}, {"date"}, {"timestamp"})
#: Sums of whole numbers in the widest decimal that all kinds of database have.
_SUM_TYPE = "DECIMAL(31, 0)"
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d(?::\d\d)?)(?:\.(\d+))?)?")


@dataclass
class Comparison:
    """What was found. `differences` name columns and what differs of them, never a value."""

    rows_source: int
    rows_destination: int
    columns: int
    sql: str
    differences: list[str] = field(default_factory=list)

    @property
    def message(self) -> str:
        """The result in words."""
        if self.rows_source != self.rows_destination:
            return f"{counted(self.rows_source, 'row')} in the source, {self.rows_destination:,} in the destination"
        if self.differences:
            return f"{counted(self.rows_source, 'row')} on both sides, and other values: {'; '.join(self.differences)}"
        return f"{counted(self.rows_source, 'row')} on both sides, alike in {counted(self.columns, 'column')}"


def compare_module(
    module: Module,
    session: Session,
    connections: Connections,
    *,
    partition: PartitionRange | None,
    staging_schema: str | None,
    cancel: threading.Event | None = None,
) -> Comparison:
    """Compare now. Watermarks stand at their defaults: the query then gives all rows. `partition` is the one that is compared.

    Raises what a dry run raises.
    """
    ends = ModuleConnections(
        connections, session, module, application_name=f"pipekit check {module.name}", cancel=cancel
    )
    try:
        defaults = {mark.name: mark.default for mark in module.watermarks if mark.default is not None}
        planner = Planner(ends, staging_schema=staging_schema, overrides=defaults, partition=partition)
        plan = planner.plan(planner.resolve_watermarks())
        source, dest = ends.source, ends.dest
        query = as_subquery(plan.source_sql, source.dialect.capabilities.syntax)
        given = {item.name: item for item in session.describe(source.handle, sql=plan.source_sql, cancel=cancel)}
        there = {item.name: item for item in session.describe(dest.handle, table=plan.dest_table, cancel=cancel)}
        where = f" WHERE {plan.checks.partition.where}" if plan.checks.partition is not None else ""
        pairs = [
            (given[name], there[found])
            for item in plan.columns
            if (name := find_name(item.source, given)) and (found := find_name(item.dest, there))
        ]
        loose = source.dialect.times_are_text or dest.dialect.times_are_text
        ways = [_ways(one, other, loose=loose) for one, other in pairs]
        left = _ask(session, source.handle, source.dialect, f"({query}) q", [one for one, _ in pairs], ways, cancel)
        right = _ask(
            session, dest.handle, dest.dialect, f"{plan.dest_table}{where}", [other for _, other in pairs], ways, cancel
        )
        comparison = Comparison(left.rows, right.rows, len(pairs), right.sql)
        for (_, other), asked, one_side, other_side in zip(pairs, ways, left.answers, right.answers, strict=True):
            unlike = [way for way, a, b in zip(asked, one_side, other_side, strict=True) if differ(way, a, b)]
            if unlike:
                comparison.differences.append(f"{other.name} ({', '.join(unlike)})")
        return comparison
    finally:
        ends.give_back()


def _ways(source: Column, dest: Column, *, loose: bool) -> tuple[str, ...]:
    """What is compared of a column."""
    families = {source.family, dest.family}
    if families <= _WHOLE or (families <= _WHOLE | {"decimal"} and not loose):
        return "NULLs", "least", "greatest", "sum"
    if families in _ORDERED:
        return "NULLs", "least", "greatest"
    return ("NULLs",)


_SQL: dict[str, Callable[[str, Column], str]] = {
    "NULLs": lambda name, _: f"SUM(CASE WHEN {name} IS NULL THEN 1 ELSE 0 END)",
    "least": lambda name, _: f"MIN({name})",
    "greatest": lambda name, _: f"MAX({name})",
    "sum": lambda name, column: f"SUM(CAST({name} AS {_SUM_TYPE}))" if column.family in _WHOLE else f"SUM({name})",
}


@dataclass
class _Side:
    rows: int
    answers: list[tuple[str | None, ...]]
    sql: str


def _ask(
    session: Session,
    handle: str,
    dialect: Dialect,
    rows: str,
    columns: Sequence[Column],
    ways: Sequence[tuple[str, ...]],
    cancel: threading.Event | None,
) -> _Side:
    """The answers of one side, column by column; `rows` is what stands after FROM."""
    count, answers, first_sql = 0, [], ""
    for start in range(0, max(len(columns), 1), _AT_ONCE):
        part = list(zip(columns[start : start + _AT_ONCE], ways[start : start + _AT_ONCE], strict=True))
        asked = [_SQL[way](dialect.quote_identifier(column.name), column) for column, own in part for way in own]
        sql = f"SELECT {', '.join(['COUNT(*)', *asked])} FROM {rows}"
        (row,) = session.query(handle, sql, limit=False, cancel=cancel).rows
        if not first_sql:
            count, first_sql = int(row[0] or 0), sql
        values = iter(row[1:])
        answers += [tuple(next(values) for _ in own) for _, own in part]
    return _Side(count, answers, first_sql)


def differ(way: str, one: str | None, other: str | None) -> bool:
    """Whether two answers, as the databases write them, are not the same."""
    if way == "NULLs":
        return int(one or 0) != int(other or 0)
    if one is None or other is None:
        return one is not other
    return one != other and _comparable(one) != _comparable(other)


def _comparable(text: str) -> Decimal | str:
    """A value as both databases write it: a number, or a moment without zeros at its end."""
    try:
        return Decimal(text)
    except InvalidOperation:
        moment = _MOMENT.fullmatch(text.strip())
        if moment is None:
            return text
        day, clock, fraction = moment.groups()
        clock = clock or "00:00:00"
        return f"{day} {clock if len(clock) > 5 else clock + ':00'}.{(fraction or '').rstrip('0')}"
