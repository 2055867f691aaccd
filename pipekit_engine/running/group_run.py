"""A group run: its members layer by layer, those of one layer side by side, one pool of warm jrunner sessions for all.

A member's failure does not stop the others unless the group says `on_failure: stop`. A group never overlaps itself: its lock is
held from the first member to the last.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from pipekit_engine.errors import GroupLocked, NotFoundError, PipekitError, RunCancelled, StoreError
from pipekit_engine.running.cancellation import CancelToken
from pipekit_engine.running.connection_slots import ConnectionSlots
from pipekit_engine.store.leases import HEARTBEAT_INTERVAL
from pipekit_engine.store.retrying import retrying

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pipekit_engine.models import Group, GroupRunRecord, Module, RunRecord
    from pipekit_engine.running.module_run import RunResult
    from pipekit_engine.store import Store

#: Seconds between two looks for a request to cancel.
_CANCEL_POLL_S = 0.5


@dataclass(frozen=True)
class GroupResult:
    """How a group run ended. `runs` are in the order of their start; `skipped` names disabled and unreached members.

    `problems` tells what went wrong without a row in run_log: members that could not even begin.
    """

    record: GroupRunRecord
    runs: list[RunRecord]
    skipped: list[str]
    problems: list[str]


@dataclass(frozen=True)
class MemberEvent:
    """A member of a group that was skipped, or that failed. `str()` is a line for a person."""

    kind: Literal["skipped", "failed"]
    member: str
    reason: str

    def __str__(self) -> str:
        return f"{self.member} {'is skipped' if self.kind == 'skipped' else 'failed'}: {self.reason}"


@dataclass
class ActiveGroupRun:
    """A group run in progress: its lock is held and renewed until `finish`."""

    id: int
    group: str
    dry_run: bool
    _store: Store
    _token: str
    problems: list[str] = field(default_factory=list)

    def finish(self, status: str | None = None) -> GroupRunRecord:
        """End the group run and free the group; safe to call twice. Without a status, its runs decide."""
        return retrying(lambda: self._finish(status), every_error=True)

    def _finish(self, status: str | None) -> GroupRunRecord:
        runs = self._store.runs.list(group_run_id=self.id, limit=None)
        error = "\n".join(
            self.problems + [f"{run.module}: {run.error}" for run in reversed(runs) if run.status == "error"]
        )
        self._store.group_runs.finish(
            self.id, status or derive_status(runs, self.problems, dry_run=self.dry_run), self._token, error or None
        )
        return self._store.group_runs.get(self.id)


def derive_status(runs: list[RunRecord], problems: list[str], *, dry_run: bool) -> str:
    """Status of a group run from its members': the worst of them."""
    statuses = {run.status for run in runs}
    if problems or statuses & {"error", "running"}:
        return "error"
    if "cancelled" in statuses:
        return "cancelled"
    return "dry_run" if dry_run or (statuses and statuses == {"dry_run"}) else "success"


@contextmanager
def active_group_run(
    store: Store,
    group: str,
    *,
    triggered_by: str,
    dagster_run_id: str | None = None,
    dry_run: bool = False,
    on_lost: Callable[[], None] | None = None,
    on_cancel: Callable[[], None] | None = None,
) -> Iterator[ActiveGroupRun]:
    """Hold the group's lock and its group_run row for the length of the block.

    On another thread, `on_lost` is called when the lock was taken away: somebody else may run the group then; `on_cancel`,
    once, when somebody asked for the end of the run.
    A block that raises ends it as `cancelled` (RunCancelled and interrupts) or `error`. Raises GroupLocked.
    """
    started = store.group_runs.start(group, triggered_by=triggered_by, dagster_run_id=dagster_run_id)
    if started is None:
        raise _locked(store, group)
    group_run_id, token = started
    active = ActiveGroupRun(group_run_id, group, dry_run, store, token)
    stop = threading.Event()
    arguments = (active, stop, on_lost, on_cancel)
    heartbeat = threading.Thread(target=_watch, args=arguments, name=f"monitor-group-{group}", daemon=True)
    heartbeat.start()
    status: str | None = None
    try:
        yield active
    except (RunCancelled, KeyboardInterrupt, SystemExit):
        status = "cancelled"
        raise
    except Exception as error:
        active.problems.append(str(error))
        raise
    except BaseException:
        status = "cancelled"
        raise
    finally:
        stop.set()
        heartbeat.join()
        active.finish(status)


def _watch(
    active: ActiveGroupRun,
    stop: threading.Event,
    on_lost: Callable[[], None] | None,
    on_cancel: Callable[[], None] | None,
) -> None:
    """Renew the lock, and look for a request to cancel, until told to stop."""
    store, renewed = active._store, time.monotonic()
    while not stop.wait(_CANCEL_POLL_S):
        with suppress(StoreError):
            if on_cancel is not None and store.group_runs.cancel_requested(active.id):
                on_cancel()
                on_cancel = None
            if time.monotonic() - renewed < HEARTBEAT_INTERVAL.total_seconds():
                continue
            renewed = time.monotonic()
            if not store.leases.renew("group", active.group, active._token):
                if on_lost is not None:
                    on_lost()
                return


def _locked(store: Store, group: str) -> PipekitError:
    lease = store.leases.find("group", group)
    if lease is None:
        known = store.definitions.load().groups
        if group not in known:
            return NotFoundError("group", group, known)
        return GroupLocked(f"Group {group!r} was running a moment ago. Try again.")
    return GroupLocked(f"Group {group!r} is being run by {lease.describe()}. A group never overlaps itself.")


class GroupRun:
    """Runs the members of a group in one process."""

    def __init__(
        self,
        group: Group,
        modules: Mapping[str, Module],
        limits: Mapping[str, int],
        run_member: Callable[[Module, CancelToken], RunResult],
        *,
        cancel: CancelToken,
        on_member: Callable[[MemberEvent], None],
    ) -> None:
        self._group = group
        self._modules = modules
        self._run_member = run_member
        self._cancel = cancel
        self._on_member = on_member
        self._slots = ConnectionSlots(limits)
        self._failed = threading.Event()
        self.problems: list[str] = []
        self.skipped: list[str] = []

    def execute(self) -> None:
        """Run all layers. Raises RunCancelled when the run was cancelled; what failed is in run_log and `problems`."""
        with ThreadPoolExecutor(self._group.max_parallel, thread_name_prefix=f"group-{self._group.name}") as pool:
            for layer in self._group.layers:
                if self._failed.is_set() and self._group.on_failure == "stop":
                    self._skip(layer, "an earlier member failed and on_failure is stop")
                    continue
                futures = [pool.submit(self._member, name) for name in layer if self._is_enabled(name)]
                try:
                    for future in futures:
                        future.result()
                except BaseException:
                    self._cancel.set()
                    raise
        if self._cancel.is_set():
            raise RunCancelled(f"Group {self._group.name} was cancelled.")

    def _is_enabled(self, name: str) -> bool:
        if not self._modules[name].enabled:
            self._skip([name], "it is disabled")
            return False
        return True

    def _skip(self, names: list[str] | tuple[str, ...], reason: str) -> None:
        self.skipped += names
        for name in names:
            self._on_member(MemberEvent("skipped", name, reason))

    def _member(self, name: str) -> None:
        module = self._modules[name]
        if self._cancel.is_set():
            self._skip([name], "the group was cancelled")
            return
        if self._failed.is_set() and self._group.on_failure == "stop":
            self._skip([name], "another member failed and on_failure is stop")
            return
        try:
            with self._slots.held(module, self._cancel):
                self._run_member(module, self._cancel)
        except RunCancelled:
            # A single run can be cancelled by itself; the others go on.
            return
        except Exception as error:
            self._failed.set()
            if not isinstance(error, PipekitError) or error.record is None:
                # It has no row in run_log that would tell: locked, or a bad definition.
                self.problems.append(f"{name}: {error}")
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            self._on_member(MemberEvent("failed", name, reason))
