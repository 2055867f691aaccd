"""The daemon's side of the lead: it works under a lease, and ends by itself when that is over.

The supervisor stops its daemon when the lead is lost. Where both hang and wake when another server leads, the daemon finds that
out: it looks for its lease every second, and once more before it launches a run.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

from pipekit_engine.store.leadership import FENCE_S, Leadership

#: Environment variable with the name of the lease that a daemon works under.
LEASE_VARIABLE = "PIPEKIT_LEASE"
_EVERY_S = 1.0


class LeaseWatch:
    """Ends this process when its lease is over. The store is asked by one thread at a time."""

    def __init__(self, url: str, token: str) -> None:
        self._leadership = Leadership(url)
        self._token = token
        self._guard = threading.Lock()
        self._confirmed = time.monotonic()

    def start(self) -> None:
        """Begin to look."""
        threading.Thread(target=self._look, name="lease", daemon=True).start()

    def require(self) -> None:
        """Return if the lease stands, else end the process: nothing that it would still do is its own."""
        with self._guard:
            asked = time.monotonic()
            holds = self._leadership.holds(self._token)
            if holds:
                self._confirmed = asked
            elif holds is False or asked - self._confirmed > FENCE_S:
                print("daemon: this server no longer leads", file=sys.stderr, flush=True)
                # At once, whatever its other threads do: as if its machine had not woken.
                os.kill(os.getpid(), signal.SIGKILL)

    def _look(self) -> None:
        while True:
            self.require()
            time.sleep(_EVERY_S)


_watch: LeaseWatch | None = None


def work_under(url: str, token: str) -> None:
    """From now on this process lives no longer than the lease of this name."""
    global _watch
    _watch = LeaseWatch(url, token)
    _watch.start()


def require_lead() -> None:
    """In a process that works under a lease, end it when that is over; elsewhere do nothing."""
    if _watch is not None:
        _watch.require()
