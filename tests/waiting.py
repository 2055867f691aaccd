"""Waiting for what comes true in a moment, however busy the machine is."""

from __future__ import annotations

import time
from collections.abc import Callable

#: Seconds after which only something that never comes is still not there.
LIMIT = 60


def wait_until(condition: Callable[[], bool], what: str, limit: float = LIMIT) -> None:
    """Return once the condition holds; fail the test, naming `what` is missing, when it does not within `limit` seconds."""
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come within {limit} s"
        time.sleep(0.02)
