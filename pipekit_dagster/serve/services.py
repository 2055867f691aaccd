"""A service: one child process that is started, watched, restarted with growing pauses, and stopped."""

from __future__ import annotations

import ctypes
import logging
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from pipekit_engine.common.processes import ProcessName

_log = logging.getLogger("pipekit.serve")

#: Pause before a restart: the first, and the longest, in seconds. A service that ran for a minute starts again at the first.
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 15.0
_STEADY_AFTER_S = 60.0


class Service:
    """One child process. Its output goes to the supervisor's own. It is started only while `ready` says so."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        env: Mapping[str, str],
        *,
        before_start: Callable[[], None] | None = None,
        ready: Callable[[], bool] | None = None,
    ) -> None:
        self.name = name
        self.restarts = -1
        #: When the running process was started, in seconds since the epoch.
        self.since = 0.0
        self._command = list(command)
        self._env = dict(env)
        self._before_start = before_start
        self._ready = ready
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._pause = FIRST_PAUSE_S
        self._next_start = 0.0

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process else None

    @property
    def age_s(self) -> float:
        """Seconds since the running process was started; 0 when there is none."""
        return time.monotonic() - self._started_at if self._process else 0.0

    def set_environment(self, name: str, value: str) -> None:
        """Give the processes that are started from now on one more environment variable."""
        self._env[name] = value

    def process_name(self) -> str:
        """The running process's `ProcessName` as text; empty when there is none."""
        return str(ProcessName.of(self._process.pid)) if self._process else ""

    def poll(self) -> bool:
        """Start it if it is due, notice if it has died; True when something changed."""
        now = time.monotonic()
        if self._process is None:
            if now < self._next_start or (self._ready is not None and not self._ready()):
                return False
            try:
                self._start()
            except OSError as error:  # no memory, no free process: that passes
                self._delay_restart(f"cannot be started ({error.strerror or error})")
                return False
            return True
        status = self._process.poll()
        if status is None:
            return False
        if now - self._started_at > _STEADY_AFTER_S:
            self._pause = FIRST_PAUSE_S
        self._process = None
        self._delay_restart(f"ended with status {status}")
        return True

    def _delay_restart(self, why: str) -> None:
        _log.warning("%s %s; starting it again in %.1f s", self.name, why, self._pause)
        self._next_start = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE_S)

    def _start(self) -> None:
        if self._before_start:
            self._before_start()
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            env=self._env,
            # A Ctrl-C in the terminal is for the supervisor, which stops its services in order.
            start_new_session=True,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )
        self._started_at = time.monotonic()
        self.since = time.time()
        self.restarts += 1

    def send_signal(self, number: int) -> None:
        """A signal, if it runs."""
        if self._process is not None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL; `poll` starts it again."""
        if self._process is not None:
            self._process.kill()

    def terminate(self) -> None:
        """SIGTERM, if it runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def wait_stopped(self, timeout_s: float, *, kill: bool = True) -> None:
        """Wait until it has ended; SIGKILL after `timeout_s`, or not: then it ends when its work has."""
        if self._process is None:
            return
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            if not kill:
                _log.info("%s, process %d, ends once what it works at has ended", self.name, self._process.pid)
                return
            _log.warning("%s did not end within %.0f s and was killed", self.name, timeout_s)
            self._process.kill()
            self._process.wait()
        self._process = None


_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def _die_with_parent() -> None:
    """In the child: be told to end when the supervisor is killed. Runs before the service's program."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    # A shell script's background job ignores SIGINT, and Dagster's servers treat SIGTERM as they found SIGINT.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
