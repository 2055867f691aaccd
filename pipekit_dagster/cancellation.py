"""One cancel event per Dagster run, shared by the executor, the resource and the ops of that run's process.

Signals reach only the main thread of a process. The executor's loop stands there, sees the interrupt and sets the event;
the ops, on threads of their own, hand the same event to the engine, which cancels jrunner.
"""

from __future__ import annotations

import threading

_events: dict[str, threading.Event] = {}
_guard = threading.Lock()


def cancel_event(run_id: str) -> threading.Event:
    """The event that is set when this Dagster run is to be cancelled. The same object for every caller."""
    with _guard:
        return _events.setdefault(run_id, threading.Event())


def forget(run_id: str) -> None:
    """Drop a finished run's event. Whoever holds it may keep using it."""
    with _guard:
        _events.pop(run_id, None)
