"""A module's partitions: how each stands, and which of them a backfill takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from markupsafe import Markup

from pipekit_engine.errors import ConfigurationError
from pipekit_engine.models import Module
from pipekit_engine.running.partitions import (
    PartitionState,
    chosen_partitions,
    partition_states,
    partition_summary,
    partition_to_run,
)
from pipekit_web import charts
from pipekit_web.views.paging import page_of

if TYPE_CHECKING:
    from pipekit_engine.models import RunRecord
    from pipekit_engine.store import Store

Standing = Literal["filled", "partly", "running", "failed", "cancelled", "missing"]
STANDINGS: tuple[Standing, ...] = get_args(Standing)
#: Partitions on a module's page, and on each page of all of them.
SHOWN, PER_PAGE = 30, 200
_ENDED_BADLY: Mapping[str, Standing] = {"running": "running", "error": "failed", "cancelled": "cancelled"}


@dataclass(frozen=True)
class PartitionRow:
    """One partition. `last` is its newest run, where that is another one than the run that filled it."""

    key: str
    standing: Standing
    filled: PartitionState
    last: RunRecord | None


@dataclass(frozen=True)
class PartitionsPage:
    """A module's partitions, newest first: `rows` are those that are shown, of `found` that stand as was asked for."""

    module: Module
    summary: str
    counts: Mapping[Standing, int]
    bar: Markup
    rows: Sequence[PartitionRow]
    found: int
    pages: int
    page: int
    standing: str


def partition_rows(store: Store, module: Module) -> list[PartitionRow]:
    """All partitions of a module that have ended or were begun, the oldest first; none of a module without any."""
    if module.partition is None:
        return []
    states = partition_states(module.partition, store.partitions.of(module.name))
    newest = store.runs.newest_of_partitions(module.name)
    return [_row(state, newest.get(state.item.key)) for state in states]


def _row(state: PartitionState, run: RunRecord | None) -> PartitionRow:
    if run is not None and (state.filled is None or run.id > state.filled.run_id) and run.status in _ENDED_BADLY:
        return PartitionRow(state.item.key, _ENDED_BADLY[run.status], state, run)
    return PartitionRow(state.item.key, state.state, state, None)


def partitions_page(
    store: Store, module: Module, *, per_page: int = PER_PAGE, page: int = 1, standing: str = ""
) -> PartitionsPage:
    """The partitions of a module that stand so, a page of them; all for an empty `standing`."""
    rows = partition_rows(store, module)
    fitting = [row for row in reversed(rows) if standing in ("", row.standing)]
    shown, page, pages = page_of(fitting, page, per_page)
    counts = Counter(row.standing for row in rows)
    return PartitionsPage(
        module,
        partition_summary(module, store.partitions.of(module.name)),
        {standing: counts[standing] for standing in STANDINGS if counts[standing]},
        charts.strip([row.standing for row in rows]),
        shown,
        len(fitting),
        pages,
        page,
        standing,
    )


def partitions_to_fill(
    store: Store, module: Module, since: str = "", until: str = "", keys: Sequence[str] = (), *, again: bool = False
) -> list[str]:
    """The partitions that a backfill takes, as `Engine.backfill` chooses them; those named, also where they are filled.

    Raises ConfigurationError, also where there is nothing left to fill.
    """
    if module.partition is None:
        raise ConfigurationError(f"Module {module.name} has no partitions: it has no `partition` in its definition.")
    filled = store.partitions.of(module.name)
    wanted, skipped = chosen_partitions(
        module, filled, since or None, until or None, keys=keys or None, again=again or bool(keys)
    )
    if not wanted:
        why = f"all {len(skipped):,} are filled already" if skipped else "none has ended yet"
        raise ConfigurationError(f"There is nothing to fill: {why}. Fill them again if that is meant.")
    return wanted


def check_partition(store: Store, kind: str, name: str, partition: str | None) -> None:
    """Raise ConfigurationError where a module or group has no such partition, NotFoundError where it is not there."""
    if kind == "modules":
        module = store.definitions.module(name)
        if partition is not None:
            partition_to_run(module, partition)
        return
    members = [store.definitions.find("modules", member) for member in store.definitions.group(name).members]
    divided = [member for member in members if isinstance(member, Module) and member.partition is not None]
    if partition is not None and not divided:
        raise ConfigurationError(f"No member of group {name} has partitions.")
    for member in divided if partition is not None else ():
        partition_to_run(member, partition)
