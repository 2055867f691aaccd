"""Partitions of modules as Dagster's: the same keys and bounds (a test compares them over changes of the clocks)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipekit_engine.common.partitions import Partition
    from pipekit_engine.models import Module

_CRONS = {"hour": "0 * * * *", "day": "0 0 * * *", "month": "0 0 1 * *"}


def table_partition(modules: Sequence[Module]) -> Partition | None:
    """The partitions of a table that these modules fill: those that all of them have; None where they differ."""
    found = [module.partition and module.partition.model_copy(update={"column": ""}) for module in modules]
    return modules[0].partition if found and all(item == found[0] for item in found) else None


def partitions_definition(partition: Partition) -> dg.PartitionsDefinition[Any]:
    """Dagster's definition of the same partitions."""
    first = partition.find(partition.start)
    if partition.by == "number":
        return dg.StaticPartitionsDefinition([item.key for item in partition.ranges()])
    fmt = "%Y-%m-%d-%H:%M" if partition.by == "hour" else "%Y-%m-%d"
    weekday = (first.start.isoweekday() % 7) if not isinstance(first.start, int) else 0
    return dg.TimeWindowPartitionsDefinition(
        start=first.start,  # type: ignore[arg-type]
        end=partition.last_end,  # type: ignore[arg-type]
        fmt=fmt,
        timezone=partition.timezone,
        cron_schedule=_CRONS.get(partition.by, f"0 0 * * {weekday}"),
    )


def partitions_of_run(context: Any) -> list[str | None]:
    """The keys of the partitions that a step is for, in order; one None for a table without any."""
    if not (context.has_partition_key or context.has_partition_key_range):
        return [None]
    return list(context.partition_keys)
