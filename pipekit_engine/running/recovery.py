"""`recover` finds runs whose process died, and ends them with what is known of the destination.

The next run of the module, `pipekit doctor` and the Dagster sensor call it. It first kills a jrunner that outlived its engine,
so that nothing writes for the old run when the module's lock is free.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipekit_engine.errors import RUN_AGAIN, ModuleLocked, NotFoundError

if TYPE_CHECKING:
    from pipekit_engine.models import GroupRunRecord, RunRecord
    from pipekit_engine.store import Lease, Store

#: What it means that a run died in a phase.
_BEFORE_MERGE = "interrupted: {who} died in phase {phase}. The destination was not touched; run it again."
_IN_MERGE = (
    "interrupted, outcome unknown: {who} died while the merge was running. Either all of it happened or nothing; "
    f"{RUN_AGAIN}."
)
_AFTER_MERGE = "interrupted: {who} died in phase {phase}, after the merge was committed. Hooks may not have run."
_UNLOCKED = "unlocked by hand while {who} held the lock, in phase {phase}."
_UNLOCKED_IN_MERGE = (
    "unlocked by hand, outcome unknown: {who} held the lock, and was merging. Either all of it happened or nothing; "
    f"{RUN_AGAIN}."
)


@dataclass(frozen=True)
class Recovered:
    """The runs of modules and of groups that were ended because their process was dead."""

    runs: list[RunRecord] = field(default_factory=list)
    group_runs: list[GroupRunRecord] = field(default_factory=list)


def recover(store: Store, module: str | None = None) -> Recovered:
    """End every run (or those of one module) whose owner is dead, free its lock, and return the runs that were ended."""
    ended = Recovered()
    for lease in store.leases.all():
        if (module is None or (lease.what, lease.name) == ("module", module)) and lease.abandoned():
            _end(store, lease, ended)
    if module is None:
        for run in store.runs.orphans():
            if store.runs.finish(run.id, "error", error="interrupted: the run lost its lock and nobody works on it."):
                ended.runs.append(store.runs.get(run.id))
    return ended


def unlock(store: Store, module: str, *, force: bool = False) -> Lease | None:
    """Free a module's lock and return the lease that was freed, None when there was none.

    A live owner keeps its lock unless `force` is given. Raises NotFoundError, and ModuleLocked naming the live owner.
    """
    lease = store.leases.find("module", module)
    if lease is None:
        known = store.definitions.load().modules
        if module not in known:
            raise NotFoundError("module", module, known)
        return None
    if lease.abandoned():
        _end(store, lease, Recovered())
    elif force:
        _end(store, lease, Recovered(), by_hand=True)
    else:
        raise ModuleLocked(
            f"Module {module!r} is being run by {lease.describe()}, which is alive. Cancel its run with `pipekit cancel`; "
            "--force frees the lock all the same, and the run will stop before it writes."
        )
    return lease


def _end(store: Store, lease: Lease, ended: Recovered, *, by_hand: bool = False) -> None:
    """Free a lock and end what held it; `ended` learns which run that was."""
    if lease.child is not None and lease.child.is_here:
        lease.child.kill()
    who = lease.owner.label if lease.owner else "its process"
    if lease.what == "group":
        ended.group_runs.extend(store.group_runs.abandon(lease.name, lease.token, f"interrupted: {who} died."))
        return
    run = store.runs.running(lease.token)
    if run is None:
        store.leases.release("module", lease.name, lease.token)
        return
    if by_hand:
        text = _UNLOCKED_IN_MERGE if run.phase == "merge" else _UNLOCKED
    else:
        text = {"merge": _IN_MERGE, "checks": _AFTER_MERGE, "hooks": _AFTER_MERGE}.get(run.phase or "", _BEFORE_MERGE)
    if store.runs.finish(run.id, "error", error=text.format(who=who, phase=run.phase)):
        ended.runs.append(store.runs.get(run.id))
