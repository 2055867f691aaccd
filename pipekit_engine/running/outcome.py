"""What the end of a module run means: the error that its caller gets, its text and the status in run_log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipekit_engine.common.text import first_line
from pipekit_engine.errors import (
    RUN_AGAIN,
    CheckError,
    HookError,
    Interrupted,
    ModuleLocked,
    NotFoundError,
    OutcomeUnknown,
    PipekitError,
    RunCancelled,
    RunError,
)
from pipekit_engine.jrunner.errors import JRunnerDied, JRunnerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipekit_engine.records.statuses import RunStatus
    from pipekit_engine.running.phases import RunState
    from pipekit_engine.store import Store


def final_error(error: BaseException, module: str, state: RunState, *, holds_lock: Callable[[], bool]) -> BaseException:
    """What a phase's error means for the run: a lost lock and a cancelled request look alike to the phase that they ended."""
    if isinstance(error, OutcomeUnknown):
        return error
    done = _destination(state)
    if not holds_lock():
        return Interrupted(f"The lock of this run was taken away, so it must not write any more; {done}.")
    cancelled = f"Run {state.run_id} of module {module} was cancelled; {done}."
    if isinstance(error, RunCancelled):
        if state.monitor.out_of_touch and not state.cancel.is_set():
            return Interrupted(
                "The state store did not answer for so long that another machine could have taken this run over, so its "
                f"merge was ended; {done}. Run it again."
            )
        return RunCancelled(cancelled)
    if isinstance(error, JRunnerDied) and state.cancel.is_set() and not state.committed:
        # It did not obey, behind a network that swallows everything, say. In a merge this is an OutcomeUnknown.
        return RunCancelled(f"{cancelled} {first_line(error)}")
    if isinstance(error, (JRunnerError, JRunnerDied)):
        error = RunError(str(error))
    if state.committed and isinstance(error, Exception) and not isinstance(error, (CheckError, HookError)):
        told = RunError(
            f"{error_text(error, state)}\nIt came after the merge, which was committed; hooks may not have run."
        )
        told.merge_committed = True
        told.__cause__ = error
        return told
    return error


def error_text(error: BaseException, state: RunState) -> str:
    """The error as run_log tells it."""
    if isinstance(error, PipekitError):
        return str(error)
    if not isinstance(error, Exception):
        return f"stopped by {type(error).__name__}; {_destination(state)}"
    return f"{type(error).__name__}: {error}"


def run_status(error: BaseException | None, *, dry_run: bool) -> RunStatus:
    """The status of a run that ended with this error, or without one."""
    if error is None:
        return "dry_run" if dry_run else "success"
    if isinstance(error, RunCancelled) or not isinstance(error, Exception):
        return "cancelled"
    return "error"


def locked_error(store: Store, module: str) -> PipekitError:
    """Why a run of the module cannot start: somebody runs it, or there is no such module."""
    lease = store.leases.find("module", module)
    if lease is None:
        known = store.definitions.load().modules
        if module not in known:
            return NotFoundError("module", module, known)
        return ModuleLocked(f"Module {module!r} was being run a moment ago. Try again.")
    return ModuleLocked(
        f"Module {module!r} is being run by {lease.describe()}. Wait for it, or end it with `pipekit cancel`."
    )


def _destination(state: RunState) -> str:
    """What became of the destination."""
    if state.in_doubt:
        return f"it is unknown whether the merge was committed; {RUN_AGAIN}"
    return "the merge was committed before" if state.committed else "the destination is as it was"
