"""The first page: what runs, what failed, what is late, what comes next. And the search over everything."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from pipekit_engine.models import (
    DEFINITION_KINDS,
    Connection,
    DefinitionKind,
    GroupRunRecord,
    RunRecord,
    Schedule,
    singular,
)
from pipekit_engine.operations.schedules import late_since, next_time
from pipekit_web.rendering import part
from pipekit_web.views.machine import without_secrets
from pipekit_web.views.modules import STATES, State, module_rows

if TYPE_CHECKING:
    from pipekit_engine.store import BrokenRecord, Store

_NIGHT = timedelta(hours=24)
_SHOWN = 20
_FOUND = 50


@dataclass(frozen=True)
class Tick:
    """A schedule's next time."""

    schedule: Schedule
    at: datetime


@dataclass(frozen=True)
class Late:
    """A tick that should have fired."""

    schedule: Schedule
    since: datetime


@dataclass(frozen=True)
class Overview:
    """The first page."""

    counts: dict[State, int]
    running: list[RunRecord]
    running_groups: list[GroupRunRecord]
    failed: list[RunRecord]
    late: list[Late]
    ticks: list[Tick]
    newest: list[RunRecord]
    broken: list[BrokenRecord]
    empty: bool


def overview(store: Store) -> Overview:
    """How things stand now. A module has failed if its newest real run has, within a day."""
    definitions, broken = store.definitions.load_checked()
    now = datetime.now(timezone.utc)
    rows = module_rows(definitions, store.runs.newest_of_each(1))
    counted = Counter(row.state for row in rows)
    failed = [row.last for row in rows if row.last is not None and row.state == "failed"]
    failed = sorted((run for run in failed if now - run.started_at < _NIGHT), key=lambda run: run.id, reverse=True)
    schedules = list(definitions.schedules.values())
    fired = store.ticks.all_fired()
    late = [(item, late_since(item, fired.get(item.name), now)) for item in schedules]
    ticks = [(item, next_time(item, now)) for item in schedules]
    return Overview(
        {state: counted[state] for state in STATES},
        store.runs.list(status="running", limit=_SHOWN),
        store.group_runs.unfinished()[:_SHOWN],
        failed[:_SHOWN],
        [Late(item, since) for item, since in late if since is not None],
        sorted((Tick(item, at) for item, at in ticks if at is not None), key=lambda tick: tick.at)[:8],
        store.runs.list(limit=10),
        broken,
        not definitions.modules,
    )


@dataclass(frozen=True)
class Hit:
    """Something that a search found: where it leads, and the text in which the words are."""

    kind: str
    name: str
    url: str
    text: str


def search(store: Store, words: str) -> list[Hit]:
    """Definitions whose name or text holds all of the words, names first; a number is a run's."""
    wanted = words.casefold().split()
    if not wanted:
        return []
    definitions = store.definitions.load_checked()[0]
    hits: list[tuple[bool, Hit]] = []
    for kind in DEFINITION_KINDS:
        for name, record in definitions.of_kind(kind).items():
            record = without_secrets(record) if isinstance(record, Connection) else record
            text = " ".join(str(value) for value in record.model_dump(mode="json").values() if value)
            if all(word in text.casefold() for word in wanted):
                in_name = all(word in name.casefold() for word in wanted)
                hits.append((not in_name, Hit(singular(kind), name, record_url(kind, name), text)))
    hits.sort(key=lambda hit: (hit[0], hit[1].name))
    runs: list[Hit] = []
    if len(wanted) == 1 and wanted[0].isascii() and wanted[0].isdigit() and len(wanted[0]) < 19:
        runs = [Hit("run", wanted[0], f"/pipekit/runs/{wanted[0]}", "the run of this number")]
    return [*runs, *(hit for _, hit in hits[:_FOUND])]


def record_url(kind: DefinitionKind, name: str) -> str:
    """The page that shows a definition."""
    if kind in ("schedules", "triggers"):
        return f"/pipekit/schedules?show={part(name)}#{part(name)}"
    return "/pipekit/drivers" if kind == "drivers" else f"/pipekit/{kind}/{part(name)}"
