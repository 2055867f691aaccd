"""Rules on partitions: queries that read no partition, or more than one."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from pipekit_engine.common.names import find_name
from pipekit_engine.common.partitions import BOUNDS, PARTITION_END, PARTITION_START, UNBOUNDED
from pipekit_engine.sql.text import placeholders

if TYPE_CHECKING:
    from pipekit_engine.lint.subject import ReadModule, Subject

_HALF_OPEN = f"Write `>= {{{PARTITION_START}}} AND ... < {{{PARTITION_END}}}`."


def check_partition(read: ReadModule) -> None:
    """How a module's query uses the bounds of its partition."""
    partition = read.module.partition
    if partition is None or not read.readable:
        return
    if not set(BOUNDS).intersection(placeholders(read.module.query, read.syntax)):
        read.report("PK211", f"{UNBOUNDED}.")
    if partition.by != "number" and partition.instant(partition.find(partition.start).start) > datetime.now(
        timezone.utc
    ):
        message = f"its first partition begins in the future: until {partition.start} there is nothing to fill."
        read.report("PK215", message, "Let `start` be where the first rows are.", loc=("partition", "start"))
    for use in read.bounds:
        if use.operator in ("<=", "and", "between") or (use.operator == ">" and use.name == PARTITION_START):
            message = f"`{use.operator}` with {{{use.name}}}: rows on the boundary belong to the later partition."
            read.report("PK212", message, _HALF_OPEN, position=use.position)
    if read.given is not None and find_name(partition.column, read.given) is None:
        message = f"the query does not give {partition.column}, by which rows are divided into partitions."
        read.report("PK213", message, f"It gives {', '.join(read.given)}.", loc=("partition", "column"))


def check_partitioned_groups(subject: Subject) -> None:
    """Members of groups for which a run of the group finds no partition by itself."""
    for group in subject.definitions.groups.values():
        for name in group.members:
            module = subject.definitions.modules.get(name)
            if module is not None and module.partition is not None and module.partition.by == "number":
                message = (
                    f"{name} has partitions by number, of which none is the newest: it fails unless the run names one."
                )
                fix = f"Take it out of the group, and fill it with `pipekit backfill {name}`."
                subject.report("PK214", "groups", group.name, message, fix, loc=("layers",))
