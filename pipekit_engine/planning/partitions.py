"""A run's partition in SQL: its bounds as the source reads them, and its rows as the destination finds them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from pipekit_engine.common.names import find_name
from pipekit_engine.common.partitions import PARTITION_END, PARTITION_START
from pipekit_engine.errors import ConfigurationError, NotFoundError
from pipekit_engine.models import ResolvedWatermark

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipekit_engine.common.columns import Column
    from pipekit_engine.common.partitions import Partition, PartitionRange, Point
    from pipekit_engine.databases.dialects import Dialect
    from pipekit_engine.models import Module
    from pipekit_engine.planning.columns import PlannedColumn

_NUMBERS = frozenset({"int16", "int32", "int64", "decimal"})
_TIMES = frozenset({"date", "timestamp", "timestamptz", "text"})
#: An expression of a database whose values have types, and not its columns.
_UNKNOWN = frozenset({"any", "other"})
#: The type that a module gives to a column of a new table, as jrunner would sort it.
_GIVEN = (
    (re.compile(r"timestamptz|with time zone|datetimeoffset", re.IGNORECASE), "timestamptz"),
    (re.compile(r"timestamp|datetime", re.IGNORECASE), "timestamp"),
    (re.compile(r"date", re.IGNORECASE), "date"),
    (re.compile(r"char|text|clob", re.IGNORECASE), "text"),
)


@dataclass(frozen=True)
class PartitionRows:
    """The rows of a partition. `where` is their condition in the destination and in staging, `column` its name there."""

    item: PartitionRange
    column: str
    where: str
    #: Queries that count staged rows which the partition does not have, and those of them that are in none.
    outside: str
    nulls: str
    #: The bounds for a person.
    bounds: tuple[str, str]


def bound_values(partition: Partition, item: PartitionRange, *, family: str, day: bool) -> dict[str, ResolvedWatermark]:
    """What stands for `{partition_start}` and `{partition_end}`, compared with a column of that family.

    `day`: midnight is written as the day alone, which compares rightly with texts, dates and, in most databases, timestamps.
    """

    def text(point: Point) -> ResolvedWatermark:
        return ResolvedWatermark(value=_text(partition, point, family, day=day), origin="partition")

    return {PARTITION_START: text(item.start), PARTITION_END: text(item.end)}


def partition_family(module: Module, columns: Sequence[Column]) -> str:
    """The family of the partition's column in the source. Raises ConfigurationError for a column that cannot be divided so."""
    partition = module.partition
    assert partition is not None, "the module has a partition"
    by_name = {column.name: column for column in columns}
    name = find_name(partition.column, by_name)
    if name is None:
        raise ConfigurationError(
            f"module {module.name}: partition: {NotFoundError('query column', partition.column, by_name)}"
        )
    column = by_name[name]
    wanted = _NUMBERS if partition.by == "number" else _TIMES
    if column.family not in wanted | _UNKNOWN:
        kinds = "a whole number" if partition.by == "number" else "a date, a timestamp or a text of one"
        raise ConfigurationError(
            f"module {module.name}: partition by {partition.by} needs {kinds}, and column {column.name} is "
            f"{column.type_name or column.family}. Name another column, or convert it in the query."
        )
    if partition.by == "hour" and column.family == "date":
        raise ConfigurationError(
            f"module {module.name}: column {column.name} is a date, and a date has no hours. Partition by day."
        )
    return column.family


def plan_partition(
    module: Module,
    item: PartitionRange,
    dest: Dialect,
    *,
    staging_sql: str,
    columns: Sequence[PlannedColumn],
    source_columns: Sequence[Column],
    dest_columns: Sequence[Column] | None,
) -> PartitionRows:
    """The rows of a partition in the destination. Raises ConfigurationError for a column that the run does not move."""
    partition = module.partition
    assert partition is not None, "the module has a partition"
    family = partition_family(module, source_columns)
    source_name = find_name(partition.column, [column.name for column in source_columns])
    planned = next((column for column in columns if column.source == source_name), None)
    if planned is None:
        raise ConfigurationError(
            f"module {module.name}: the partition's column {partition.column} is not among the columns that are moved: "
            "without it the rows of a partition cannot be found again."
        )
    described = next(column for column in source_columns if column.name == source_name)
    there = next((column for column in dest_columns or () if column.name == planned.dest), None)
    column = there or _made(planned, described, module)
    name = dest.quote_identifier(planned.dest)

    def literal(point: Point) -> str:
        if isinstance(point, int):
            return str(point)
        day = column.family in ("date", "text", *_UNKNOWN) or dest.times_are_text
        return dest.time_literal(column, _text(partition, point, family, day=day))

    start, end = literal(item.start), literal(item.end)
    return PartitionRows(
        item,
        planned.dest,
        where=f"{name} >= {start} AND {name} < {end}",
        outside=f"SELECT COUNT(*) FROM {staging_sql} WHERE {name} IS NULL OR {name} < {start} OR {name} >= {end}",
        nulls=f"SELECT COUNT(*) FROM {staging_sql} WHERE {name} IS NULL",
        bounds=(_text(partition, item.start, family, day=True), _text(partition, item.end, family, day=True)),
    )


def _made(planned: PlannedColumn, described: Column, module: Module) -> Column:
    """The column of a table that the run makes."""
    from dataclasses import replace

    given = next((item.dest_type for item in module.columns if item.source_name == planned.source), None)
    family = next((found for pattern, found in _GIVEN if given and pattern.search(given)), described.family)
    return replace(described, name=planned.dest, family=family, type_name=planned.dest_type)


def _text(partition: Partition, point: Point, family: str, *, day: bool) -> str:
    """A bound in the form that travels: in UTC for a column of instants, else as the partition's clock shows it."""
    if isinstance(point, int):
        return str(point)
    if family == "timestamptz":
        point = partition.instant(point).replace(tzinfo=None)
    is_day = family == "date" or (
        day and point == datetime(point.year, point.month, point.day) and partition.by != "hour"
    )
    return f"{point:%Y-%m-%d}" if is_day else f"{point:%Y-%m-%d %H:%M:%S}"
