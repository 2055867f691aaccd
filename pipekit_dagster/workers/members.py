"""Members of a group that is `spread`: sent to workers by the group's run, which waits for each.

The group's run holds the group's lock, its places on connections and its order, as it does for members of its own: only the
module's run is elsewhere. The outcome comes back through the state store. A member that nobody has taken is taken back when the
run is cancelled; one that is at work is asked to end. When the run itself dies, no member begins any more, and those at work
are cancelled by their workers (`work`).
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from pipekit_dagster.workers.dispatcher import Dispatcher
from pipekit_engine import errors
from pipekit_engine.errors import Interrupted, PipekitError, RunCancelled, RunError, StoreUnavailable
from pipekit_engine.running.events import RunEvent
from pipekit_engine.running.module_run import RunResult
from pipekit_engine.running.recovery import recover
from pipekit_engine.store.retrying import retrying

if TYPE_CHECKING:
    from pipekit_engine.records.runs import RunRecord
    from pipekit_engine.store import Store
    from pipekit_engine.store.dispatches import Dispatch

#: Seconds between two looks for a member's outcome: at first, and later.
_POLL_S, _SLOW_POLL_S, _QUICK_POLLS = 0.25, 1.0, 20
#: Seconds that a worker of another host may take from taking a member to beginning its run, and from its end to saying so.
_SILENT_S = 45.0


@dataclass(frozen=True)
class ShownPlan:
    """What there is to show of a plan that was made on another host: its columns, and its text."""

    columns: tuple[ShownColumn, ...]
    text: str

    def render(self) -> str:
        """The plan for people."""
        return self.text


@dataclass(frozen=True)
class ShownColumn:
    """A column of a `ShownPlan`."""

    source: str
    dest: str
    dest_type: str


def outcome_of(result: RunResult | None, error: BaseException | None) -> dict[str, Any]:
    """How a member ended, as JSON."""
    record = result.record if result is not None else getattr(error, "record", None)
    plan = result.plan if result is not None else None
    return {
        "run_id": record.id if record is not None else None,
        "error": None if error is None else {"kind": type(error).__name__, "text": str(error)},
        "merge_committed": bool(getattr(error, "merge_committed", False)),
        "columns": [[column.source, column.dest, column.dest_type] for column in plan.columns] if plan else None,
        "plan": plan.render() if plan is not None and record is not None and record.status == "dry_run" else "",
    }


def _result(outcome: Mapping[str, Any], record: RunRecord | None) -> RunResult:
    """The result that an outcome tells of. Raises the error that it tells of."""
    if outcome["error"] is not None:
        kind = getattr(errors, outcome["error"]["kind"], RunError)
        error: PipekitError = kind.__new__(kind)
        Exception.__init__(error, outcome["error"]["text"])
        error.record = record
        if isinstance(error, RunError):
            error.merge_committed = outcome["merge_committed"]
        raise error
    assert record is not None, "a run that ended well has its row"
    columns = tuple(ShownColumn(*names) for names in outcome["columns"] or ())
    plan: Any = ShownPlan(columns, outcome["plan"]) if outcome["columns"] is not None else None
    return RunResult(record, plan)


class Members:
    """Runs members of one group run on workers. Usable from several threads."""

    def __init__(self, store: Store, dispatcher: Dispatcher, group_run_id: int) -> None:
        self._store = store
        self._dispatcher = dispatcher
        self._group_run_id = group_run_id

    def run(
        self,
        module: str,
        request: Mapping[str, Any],
        *,
        cancel: threading.Event,
        on_event: Callable[[RunEvent], None] | None = None,
    ) -> RunResult:
        """Have a worker run a module; `request` holds the arguments of `Engine.run`. Returns and raises as that does."""
        id_ = f"{self._group_run_id}:{uuid.uuid4()}"
        payload = {**request, "module": module, "group_run_id": self._group_run_id}
        retrying(lambda: self._dispatcher.launch_member(self._store, id_, self._group_run_id, payload), cancel=cancel)
        try:
            outcome = self._wait(id_, module, cancel, on_event)
            run = outcome["run_id"]
            return _result(outcome, retrying(lambda: self._store.runs.get(run)) if run is not None else None)
        finally:
            with suppress(StoreUnavailable):  # what stays is removed by `tend`, after the group run
                retrying(lambda: self._store.dispatches.forget([id_]))

    def _wait(
        self, id_: str, module: str, cancel: threading.Event, on_event: Callable[[RunEvent], None] | None
    ) -> Mapping[str, Any]:
        looks, shown, run = 0, 0, None
        asked = False
        while True:
            # Once it is set, waiting for `cancel` would not wait.
            (threading.Event() if cancel.is_set() else cancel).wait(_POLL_S if looks < _QUICK_POLLS else _SLOW_POLL_S)
            looks += 1
            try:
                found = self._store.dispatches.find(id_)
                if found is None:
                    raise RunCancelled(f"{module} was taken back from the workers.")
                if found.outcome is not None:
                    return found.outcome
                if cancel.is_set() and self._store.dispatches.withdraw(id_):
                    raise RunCancelled(f"{module} was cancelled before a worker took it.")
                if found.worker is None:
                    continue
                run = run or self._run_of(module)
                if run is not None and cancel.is_set() and not asked:
                    asked = self._store.runs.request_cancel(run)
                if run is not None and on_event is not None and looks % 4 == 0:
                    text = self._store.runs.tail(run, shown)
                    shown += len(text)
                    for line in text.splitlines():
                        on_event(RunEvent("log", module, run, "", line))
                if looks % 4 == 0 and (lost := self._lost(found, module, run)) is not None:
                    return lost
            except StoreUnavailable:
                # It may be away for a moment. Who finds the group's lock not renewed for too long ends the group run.
                continue

    def _run_of(self, module: str) -> int | None:
        """The run that the worker has begun. A group run runs each member once."""
        found = self._store.runs.list(module, self._group_run_id, limit=1)
        return found[0].id if found else None

    def _lost(self, found: Dispatch, module: str, run: int | None) -> Mapping[str, Any] | None:
        """What is known of a member whose worker has died; None while it may live, and may say more."""
        assert found.worker is not None
        record = self._store.runs.get(run) if run is not None else None
        if record is not None and record.finished_at is None:
            lease = self._store.leases.find("module", module)
            if lease is not None and lease.abandoned():
                recover(self._store, module)
            return None
        alive = found.worker.alive()
        # A worker of another host says how a member ended right after it has, and begins it right after it has taken it.
        silent = found.silence_s if record is None or record.finished_at is None else _ago_s(record.finished_at)
        if alive or (alive is None and silent < _SILENT_S):
            return None
        if record is None:
            return outcome_of(None, Interrupted(f"{found.worker.label} died before it began {module}."))
        if record.status in ("success", "dry_run"):
            return outcome_of(RunResult(record, None), None)
        error = (RunCancelled if record.status == "cancelled" else Interrupted)(record.error or record.status)
        error.record = record
        return outcome_of(None, error)


def _ago_s(moment: datetime) -> float:
    return (datetime.now(timezone.utc) - moment).total_seconds()
