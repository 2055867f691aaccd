"""How a Dagster run ends early: what the executor, the resource and the ops of the run's process tell each other.

Signals reach only the main thread of a process. The executor's loop stands there, sees the interrupt and sets the run's cancel
event; the ops, on threads of their own, hand the same event to the engine, which cancels jrunner.

When the executor itself breaks off (Dagster's storage is away, say), Dagster still tears the resources down as after a good run.
The executor leaves the reason here, so that the group's run does not end as a success of the members that were reached.
"""

from __future__ import annotations

import threading

_events: dict[str, threading.Event] = {}
_reasons: dict[str, str] = {}
_guard = threading.Lock()


def cancel_event(run_id: str) -> threading.Event:
    """The event that is set when this Dagster run is to be cancelled. The same object for every caller."""
    with _guard:
        return _events.setdefault(run_id, threading.Event())


def note_abort(run_id: str, reason: str) -> None:
    """Note that the run ends before all its ops have been reached, though nobody cancelled it."""
    with _guard:
        _reasons.setdefault(run_id, reason)


def abort_reason(run_id: str) -> str | None:
    """Why the run was ended early; None when it did not."""
    with _guard:
        return _reasons.get(run_id)


def forget(run_id: str) -> None:
    """Drop what is kept of a finished run. Whoever holds its event may keep using it."""
    with _guard:
        _events.pop(run_id, None)
        _reasons.pop(run_id, None)
