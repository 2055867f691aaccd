"""Groups with their schedules and triggers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from pipekit_engine.definitions.export import to_yaml
from pipekit_engine.models import Definitions, Group, GroupRunRecord, Schedule, Trigger
from pipekit_engine.operations.schedules import cron_in_words, late_since, next_times
from pipekit_web.views.modules import ModuleRow, module_rows

if TYPE_CHECKING:
    from pipekit_engine.store import Lease, Store

_TIMES = 5


@dataclass(frozen=True)
class ScheduleView:
    """A schedule in words, when it fired last and fires next."""

    schedule: Schedule
    words: str
    last_fired_at: datetime | None
    next: list[datetime]
    late: datetime | None


@dataclass(frozen=True)
class GroupRow:
    """A group, its newest real run, and what starts it."""

    group: Group
    last: GroupRunRecord | None
    schedules: list[ScheduleView]
    triggers: list[Trigger]


@dataclass(frozen=True)
class GroupPage:
    """All of one group. `layers` are its members' rows, side by side where they may run so."""

    row: GroupRow
    layers: list[list[ModuleRow]]
    yaml: str
    runs: list[GroupRunRecord]
    lease: Lease | None
    #: Whether any member has partitions.
    divided: bool


def schedule_view(store: Store, schedule: Schedule, times: int = _TIMES) -> ScheduleView:
    """One schedule."""
    fired = store.ticks.last_fired_at(schedule.name)
    words = cron_in_words(schedule.cron)
    return ScheduleView(schedule, words, fired, next_times(schedule, times), late_since(schedule, fired))


def group_rows(store: Store, definitions: Definitions, groups: list[Group]) -> list[GroupRow]:
    """A row for each of the groups."""
    return [
        GroupRow(
            group,
            next(iter(store.group_runs.list(group=group.name, limit=1, dry_runs=False)), None),
            [schedule_view(store, item) for item in definitions.schedules.values() if item.group == group.name],
            [item for item in definitions.triggers.values() if item.group == group.name],
        )
        for group in groups
    ]


def group_page(store: Store, name: str) -> GroupPage:
    """One group. Raises NotFoundError, ConfigurationError for a broken row."""
    group = store.definitions.group(name)
    definitions = store.definitions.load_checked()[0]
    last = store.runs.newest_of_each(1, group.members)
    rows = {row.module.name: row for row in module_rows(definitions, last)}
    return GroupPage(
        group_rows(store, definitions, [group])[0],
        [[rows[member] for member in layer if member in rows] for layer in group.layers],
        to_yaml(Definitions.model_construct(None, groups={name: group}), ["groups"]),
        store.group_runs.list(group=name, limit=20),
        store.leases.find("group", name),
        any(rows[member].module.partition is not None for member in group.members if member in rows),
    )
