"""Groups with their schedules and triggers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from pipekit_engine.definitions.export import to_yaml
from pipekit_engine.models import Definitions, Group, GroupRunRecord, Schedule, Trigger
from pipekit_engine.operations.schedules import cron_in_words, late_since, next_times
from pipekit_web.views.modules import ModuleRow, module_rows
from pipekit_web.views.paging import page_of

if TYPE_CHECKING:
    from pipekit_engine.store import Lease, Store

_TIMES = 5
PER_PAGE, SCHEDULES_PER_PAGE = 100, 50


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


@dataclass(frozen=True)
class GroupList:
    """A page of groups whose names hold some words, of `found` that do."""

    rows: list[GroupRow]
    found: int
    page: int
    pages: int
    words: str


@dataclass(frozen=True)
class ScheduleList:
    """A page of schedules and triggers."""

    schedules: list[ScheduleView]
    triggers: list[Trigger]
    page: int
    pages: int


def schedule_view(schedule: Schedule, fired: datetime | None, times: int = _TIMES) -> ScheduleView:
    """One schedule, which fired last at a moment."""
    words = cron_in_words(schedule.cron)
    return ScheduleView(schedule, words, fired, next_times(schedule, times), late_since(schedule, fired))


def group_rows(store: Store, definitions: Definitions, groups: Sequence[Group], times: int = _TIMES) -> list[GroupRow]:
    """A row for each of the groups, with the next `times` of its schedules."""
    fired, newest = store.ticks.all_fired(), store.group_runs.newest([group.name for group in groups])
    schedules: dict[str, list[Schedule]] = {}
    triggers: dict[str, list[Trigger]] = {}
    for schedule in definitions.schedules.values():
        schedules.setdefault(schedule.group, []).append(schedule)
    for trigger in definitions.triggers.values():
        triggers.setdefault(trigger.group, []).append(trigger)
    return [
        GroupRow(
            group,
            newest.get(group.name),
            [schedule_view(item, fired.get(item.name), times) for item in schedules.get(group.name, ())],
            triggers.get(group.name, []),
        )
        for group in groups
    ]


def group_list(store: Store, words: str, page: int) -> GroupList:
    """The groups whose names hold the words, a page of them."""
    definitions = store.definitions.load_checked()[0]
    found = [group for name, group in definitions.groups.items() if words.casefold() in name.casefold()]
    shown, page, pages = page_of(found, page, PER_PAGE)
    return GroupList(group_rows(store, definitions, shown, times=1), len(found), page, pages, words)


def schedule_list(store: Store, page: int, name: str = "") -> ScheduleList:
    """All schedules, then all triggers, a page of them: the one on which `name` stands if there is one of that name."""
    definitions = store.definitions.load_checked()[0]
    fired = store.ticks.all_fired()
    everything: list[Schedule | Trigger] = [*definitions.schedules.values(), *definitions.triggers.values()]
    at = next((i for i, item in enumerate(everything) if item.name == name), None)
    page = page if at is None else at // SCHEDULES_PER_PAGE + 1
    shown, page, pages = page_of(everything, page, SCHEDULES_PER_PAGE)
    return ScheduleList(
        [schedule_view(item, fired.get(item.name)) for item in shown if isinstance(item, Schedule)],
        [item for item in shown if isinstance(item, Trigger)],
        page,
        pages,
    )


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
