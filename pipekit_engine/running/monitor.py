"""The monitor of a run at work: it renews the run's lock, hears requests to cancel, and writes the live log.

It has one thread a run, which ticks twice a second; the work itself never waits for it.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from pipekit_engine.common.text import counted
from pipekit_engine.common.visible import visible
from pipekit_engine.errors import StoreError
from pipekit_engine.running.cancellation import LeaseGuard
from pipekit_engine.running.events import RunEvent
from pipekit_engine.store.leases import HEARTBEAT_FENCE, HEARTBEAT_INTERVAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipekit_engine.running.cancellation import CancelToken
    from pipekit_engine.security.redact import Redactor
    from pipekit_engine.store import Store

TICK_S = 0.5
#: Most seconds between two lines of progress in the live log. In the first minutes there is one a second.
PROGRESS_SPACING_S = 60.0


class RunMonitor:
    """A context manager around the work of one run.

    `lost` becomes true, and `cancel` is set, when the lock was taken away: the run must not write any more. `out_of_touch`
    is true once a `LeaseGuard` was set because the store did not answer.
    """

    def __init__(
        self,
        store: Store,
        *,
        module: str,
        run_id: int,
        token: str,
        cancel: CancelToken,
        redactor: Redactor,
        on_event: Callable[[RunEvent], None] | None,
    ) -> None:
        self.cancel = cancel
        self.lost = False
        self.out_of_touch = False
        self.phase = "lock"
        self._store = store
        self._module = module
        self._run_id = run_id
        self._token = token
        self._redactor = redactor
        self._on_event = on_event
        self._lines: list[str] = []
        self._progress_logged_s = 0.0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._renewed = time.monotonic()
        self._thread = threading.Thread(target=self._watch, name=f"monitor-{module}", daemon=True)

    def __enter__(self) -> RunMonitor:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the thread; the run's end writes what is left of the log. Safe to call twice."""
        self._stop.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def renew(self) -> bool:
        """Renew the lock; False when it was taken away. Raises StoreError."""
        began = time.monotonic()
        if not self._store.leases.renew("module", self._module, self._token):
            self.lost = True
            self.cancel.set()
            return False
        self._renewed = began
        return True

    def guard(self) -> LeaseGuard:
        """A cancel token for work that must have ended before another machine may take the lock."""
        return LeaseGuard(self.cancel, self.is_out_of_touch)

    def is_out_of_touch(self) -> bool:
        """Whether the lock could not be renewed for longer than it may be written under. On one machine it always may."""
        silent = time.monotonic() - self._renewed > HEARTBEAT_FENCE.total_seconds()
        if silent and self._store.leases.shared:
            self.out_of_touch = True
        return self.out_of_touch

    def say(self, message: str) -> None:
        """Add a line to the live log; secrets are taken out."""
        message = visible(self._redactor.clean(message))
        stamp = datetime.now(timezone.utc).strftime("%H:%M:%S")
        with self._lock:
            self._lines.append(f"{stamp} {self.phase:<9} {message}\n")
        self._emit(RunEvent("log", self._module, self._run_id, self.phase, message))

    def progress(self, rows: int, size: int, elapsed_s: float) -> None:
        """Tell how far the phase is. The longer it lasts, the fewer lines go to the live log, which is rewritten for each."""
        rate = rows / elapsed_s if elapsed_s > 0 else 0
        message = f"{counted(rows, 'row')}, {rate:,.0f} rows/s"
        if not 0 <= elapsed_s - self._progress_logged_s < min(elapsed_s / 100, PROGRESS_SPACING_S):
            self._progress_logged_s = elapsed_s
            stamp = datetime.now(timezone.utc).strftime("%H:%M:%S")
            with self._lock:
                self._lines.append(f"{stamp} {self.phase:<9} {message}\n")
        event = RunEvent("progress", self._module, self._run_id, self.phase, message, rows, size, elapsed_s)
        self._emit(event)

    def enter(self, phase: str) -> None:
        """Begin a phase."""
        self.phase = phase
        self._emit(RunEvent("phase", self._module, self._run_id, phase))

    def _emit(self, event: RunEvent) -> None:
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except Exception as error:
            # Whoever listens (a terminal that was closed, say) does not decide over rows. Interrupts go on to the caller.
            self._on_event = None
            self.say(f"warning: nobody listens to this run any more: {type(error).__name__}: {error}")

    def _watch(self) -> None:
        while not self._stop.wait(TICK_S):
            # A store that does not answer for a moment is no reason to give up a run; the next tick tries again. The
            # heartbeat comes first, and none of the three waits for another to succeed.
            with suppress(StoreError):
                if time.monotonic() - self._renewed >= HEARTBEAT_INTERVAL.total_seconds():
                    self.renew()
            with suppress(StoreError):
                if self._store.runs.cancel_requested(self._run_id):
                    self.cancel.set()
            with suppress(StoreError):
                self.flush()

    def flush(self) -> None:
        """Write the lines that are waiting. Raises StoreError, and keeps them then."""
        text = self.take_lines()
        if text:
            try:
                self._store.runs.append_log(self._run_id, text)
            except BaseException:
                with self._lock:
                    self._lines.insert(0, text)
                raise

    def take_lines(self) -> str:
        """The lines that are waiting, for whoever writes them."""
        with self._lock:
            lines, self._lines = self._lines, []
        return "".join(lines)
