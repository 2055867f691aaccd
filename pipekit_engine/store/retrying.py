"""Waiting out a state store that does not answer for a moment: its server restarts, the network hiccups, a disk fills up.

A run that has begun must not fail for that, and above all not end without freeing its lock.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from pipekit_engine.errors import StoreError, StoreUnavailable

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

T = TypeVar("T")

#: Seconds before the second, third, ... try: half a minute in all, in which a server restarts or its standby takes over.
DELAYS_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
#: An error that a person has to mend (a full disk, missing rights) is tried again only this often.
_TRIES_OF_OTHERS = 4
_POLL_S = 0.05


def retrying(action: Callable[[], T], *, cancel: threading.Event | None = None, every_error: bool = False) -> T:
    """The action's result; it is tried again for half a minute while the store cannot be reached.

    `every_error` tries again after other store errors, too, for some seconds. A set `cancel` ends the waiting. Raises the
    StoreError of the last try.
    """
    for attempt, delay in enumerate(DELAYS_S):
        try:
            return action()
        except StoreUnavailable:
            if _set(cancel):
                raise
        except StoreError:
            if not every_error or attempt >= _TRIES_OF_OTHERS or _set(cancel):
                raise
        _sleep(delay, cancel)
    return action()


def _set(cancel: threading.Event | None) -> bool:
    return cancel is not None and cancel.is_set()


def _sleep(seconds: float, cancel: threading.Event | None) -> None:
    # Not Event.wait: a cancel token may be set by more than its own flag.
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not _set(cancel):
        time.sleep(_POLL_S)
