"""A queue between threads whose reader may be interrupted by signals at any moment.

The standard library's queues are not made for that. `SimpleQueue.get(timeout=...)` of CPython 3.11 waits for ever when a signal
arrives as its time runs out (the remaining time becomes negative, which means no limit), and an exception that a signal handler
raises inside `Queue` can leave its mutex locked, so that every later call waits for ever. Here no lock is ever held: items are in
a deque, whose operations are atomic, and the reader sleeps on a lock that writers release to wake it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from queue import Empty
from typing import Generic, TypeVar

T = TypeVar("T")


class EventQueue(Generic[T]):
    """A first-in-first-out queue of any number of writers and one reader."""

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._wake = threading.Lock()
        self._wake.acquire()

    def put(self, item: T) -> None:
        """Add an item. Never waits."""
        self._items.append(item)
        with suppress(RuntimeError):  # unlocked already: the reader will wake anyway
            self._wake.release()

    def get(self, timeout: float) -> T:
        """The oldest item, waited for at most `timeout` seconds. Raises queue.Empty."""
        deadline = time.monotonic() + timeout
        while True:
            with suppress(IndexError):
                return self._items.popleft()
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise Empty
            self._wake.acquire(timeout=remaining)

    def get_nowait(self) -> T:
        """The oldest item. Raises queue.Empty."""
        try:
            return self._items.popleft()
        except IndexError:
            raise Empty from None

    def empty(self) -> bool:
        """Whether no item waits."""
        return not self._items
