"""Tokens that end a run's work: on request, with the caller's own event, or when its lock may be lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class CancelToken(threading.Event):
    """Set by itself, or by the event of the caller that it was made with."""

    def __init__(self, parent: threading.Event | None = None) -> None:
        super().__init__()
        self._parent = parent

    def is_set(self) -> bool:
        """Whether the run is to end."""
        return super().is_set() or (self._parent is not None and self._parent.is_set())

    def sleep(self, seconds: float) -> bool:
        """Wait that long, or until it is set, by whomever; whether it is."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self.is_set():
            time.sleep(0.05)
        return self.is_set()


class LeaseGuard(CancelToken):
    """Set, too, when the lock could not be renewed for so long that another machine may soon take it."""

    def __init__(self, parent: threading.Event, is_out_of_touch: Callable[[], bool]) -> None:
        super().__init__(parent)
        self._is_out_of_touch = is_out_of_touch

    def is_set(self) -> bool:
        """Whether the work is to end."""
        return super().is_set() or self._is_out_of_touch()


class AfterwordToken(CancelToken):
    """For the hooks of a run that has failed or was cancelled: what cancelled the run does not end them at once.

    Set `seconds` after it was made for a run that was cancelled already, at once by a cancel that comes only now, and when
    `may_not_write`.
    """

    def __init__(self, cancelled: threading.Event, seconds: float, may_not_write: Callable[[], bool]) -> None:
        super().__init__(None if cancelled.is_set() else cancelled)
        self._deadline = time.monotonic() + seconds if cancelled.is_set() else float("inf")
        self._may_not_write = may_not_write

    def is_set(self) -> bool:
        """Whether the hooks are to end."""
        return super().is_set() or time.monotonic() > self._deadline or self._may_not_write()
