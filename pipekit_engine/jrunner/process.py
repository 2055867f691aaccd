"""The process of a jrunner session: one JVM that answers requests, over JSON lines on its stdin and stdout.

The process leads a process group of its own, so that a Ctrl-C in the terminal does not reach it before pipekit has decided what
to do, and ends by itself when its stdin ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from pipekit_engine.common.event_queue import EventQueue
from pipekit_engine.common.progress import Progress
from pipekit_engine.jrunner import jvm
from pipekit_engine.jrunner.errors import JRunnerCancelled, JRunnerDied, JRunnerError
from pipekit_engine.jrunner.files import OpenFiles
from pipekit_engine.jrunner.folders import SessionFolder
from pipekit_engine.jrunner.lending import LentProcess
from pipekit_engine.jrunner.locate import Java, find_java
from pipekit_engine.jrunner.protocol import PROTOCOL_VERSION, Fate, Interruption
from pipekit_engine.jrunner.starting import StartedProcess, start_process

#: Seconds until a fresh JVM must have said that it is ready; a loaded machine may need many.
START_TIMEOUT_S = 30.0
#: How often a waiting call looks at its ``cancel`` event and at the process.
POLL_S = 0.05
#: Seconds that a cancelled request has to answer. jrunner cuts the connection of a hanging statement after five.
CANCEL_TIMEOUT_S = 10.0
#: Seconds between SIGTERM and SIGKILL; jrunner rolls back and goes within two.
TERM_TIMEOUT_S = 2.0
QUIT_TIMEOUT_S = 5.0
STDERR_LINES = 200
#: Longer lines are skipped by jrunner, and could not be answered.
MAX_LINE_BYTES = 32 << 20

ProgressHandler = Callable[[Progress], None]


def _fate(answer: Mapping[str, Any]) -> Fate:
    if answer["event"] == "result":
        return "done"
    error = answer["error"]
    return "unknown" if error.get("phase") == "commit" and error.get("code") == "connection_lost" else "undone"


class _CommitRefusedError(Exception):
    """``before_commit`` raised `reason`: the transaction is still open, and has to be rolled back."""

    def __init__(self, reason: BaseException) -> None:
        super().__init__(str(reason))
        self.reason = reason


class Attachment(Protocol):
    """Something that a session's connections need and that runs beside it."""

    def complaint(self) -> str | None:
        """Why it does not work any more; None while it does. May wait for half a second."""

    def close(self) -> None:
        """End it."""


class JRunnerProcess:
    """A running JVM that answers requests, each with an id of its own. Any number of threads may ask side by side.

    :param java: path of the java program; found by itself when None.
    :param heap: memory of each session that uses the process; the JVM's ``-Xmx`` is `jvm.SESSIONS_PER_JVM` times that.
    :param cwd: folder that relative paths in JDBC URLs start from; the caller's own when None.
    :param on_stderr: called with each line that jrunner or a driver writes to stderr, on another thread.
    :param lent: a process that is there already, which is given back at the end; nothing is started then.
    :param started: a process that was started for this session.
    :raises RuntimeMissing: when Java or the jar is not there.
    :raises JRunnerDied: when the process does not get ready.
    """

    def __init__(
        self,
        *,
        java: str | None = None,
        heap: str = jvm.DEFAULT_HEAP,
        jar: Path | None = None,
        on_stderr: Callable[[str], None] | None = None,
        cwd: Path | None = None,
        lent: LentProcess | None = None,
        started: StartedProcess | None = None,
    ) -> None:
        self.java: Java = find_java(java)
        self._lent = lent
        self._on_stderr = on_stderr
        self._lock = threading.Lock()
        # Of its own: a write that waits for a full pipe must not keep events from being passed on.
        self._write_lock = threading.Lock()
        self._waiting: dict[int, EventQueue[dict[str, Any] | None]] = {}
        self._next_id = lent.first_id if lent else 0
        self._users = 0
        #: What belongs to the session and ends with it, such as the tunnels of its connections.
        self.attached: dict[object, Attachment] = {}
        #: Held while one of them is looked for and made.
        self.attaching: dict[object, threading.Lock] = {}
        self.files = OpenFiles()
        self._ended = False
        self._stderr: deque[str] = deque(maxlen=STDERR_LINES)
        self._stderr_count = 0
        #: What a program that moved rows in the process's place has printed, until `take_output`.
        self._output: list[str] = []
        self._complaints: deque[str] = deque(maxlen=STDERR_LINES)
        self._ready: EventQueue[dict[str, Any] | None] = EventQueue()
        #: Where drivers unpack their libraries, and keys lie as drivers read them; it goes with the session.
        self.temporary = started.temporary if started else SessionFolder()
        self._process: subprocess.Popen[bytes] | LentProcess
        self._process = (
            started.process
            if started
            else lent or start_process(self.java, self.temporary, heap=heap, jar=jar, cwd=cwd)
        )
        try:
            self._threads = [
                threading.Thread(target=target, name=f"jrunner-{name}-{self.pid}", daemon=True)
                for name, target in (("events", self._read_events), ("stderr", self._read_stderr))
            ]
            for thread in self._threads:
                thread.start()
            if lent is None:
                self._await_ready()
            else:
                self.version: str = lent.version
        except BaseException:
            self.kill()
            raise

    @property
    def users(self) -> int:
        """How many sessions use the process."""
        return self._users

    def join(self) -> int:
        """Use the process from one more session; that session's number, from 0."""
        with self._lock:
            self._users += 1
            return self._users - 1

    @property
    def pid(self) -> int:
        """The JVM's process id, which is also its process group's."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return not self._ended and self._process.poll() is None

    @property
    def stderr_lines(self) -> tuple[str, ...]:
        """The last lines that the process wrote to stderr."""
        return tuple(self._stderr)

    @property
    def stderr_count(self) -> int:
        """How many lines the process has written to stderr."""
        return self._stderr_count

    def take_output(self) -> list[str]:
        """What a program that moved rows in the process's place has printed on stdout since the last call; its last lines."""
        taken, self._output = self._output, []
        return taken

    def keep_output(self, lines: Iterable[str]) -> None:
        """Keep what such a program has printed, for `take_output`."""
        self._output += lines

    def stderr_since(self, count: int) -> tuple[str, ...]:
        """The lines that came after so many, as far as they are kept: those of one of the session's users."""
        new = self._stderr_count - count
        return self.stderr_lines[-new:] if new > 0 else ()

    # ------------------------------------------------------------------ the end

    def end(self) -> None:
        """Ends the process: kindly, within seconds; by force if it does not go."""
        if self._lent is not None and self._give_back(self._lent):
            return
        if self._process.poll() is None and not self._waiting:
            with contextlib.suppress(JRunnerDied):
                self._send({"id": self._new_id(None), "op": "quit"})
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(QUIT_TIMEOUT_S)
        self.kill()

    def _give_back(self, lent: LentProcess) -> bool:
        """Leaves a process that was lent to its owner, with no connection open; False when it is no good any more."""
        if self._waiting or not self.alive:
            return False
        with contextlib.suppress(JRunnerError, JRunnerDied):
            self.request({"op": "close"})
            self._ended = lent.returned = True
            self._detach()
        return lent.returned

    def _detach(self) -> None:
        """Ends and removes what belongs to the session."""
        while self.attached:
            self.attached.popitem()[1].close()
        self.temporary.remove()

    def kill(self) -> None:
        """Ends the process group now: SIGTERM (jrunner rolls back), after two seconds SIGKILL. Safe to call twice."""
        if self._lent is not None and self._lent.returned:
            return
        self._ended = True
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(TERM_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait()
        self._detach()
        for thread in self._threads if hasattr(self, "_threads") else []:
            if thread is not threading.current_thread() and thread.is_alive():
                thread.join(1)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError, ValueError):
                    stream.close()

    def _signal(self, number: signal.Signals) -> None:
        # Only while the process has not been waited for: its id may belong to somebody else afterwards.
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    # ------------------------------------------------------------------ requests

    def _new_id(self, waiter: EventQueue[dict[str, Any] | None] | None) -> int:
        with self._lock:
            self._next_id += 1
            if waiter is not None:
                self._waiting[self._next_id] = waiter
            return self._next_id

    def request(
        self,
        request: dict[str, Any],
        *,
        on_progress: ProgressHandler | None = None,
        before_commit: Callable[[Mapping[str, Any]], None] | None = None,
        cancel: threading.Event | None = None,
        interruption: Interruption | None = None,
    ) -> dict[str, Any]:
        """Send a request and wait for its result; :class:`.client.Session` says what the arguments do.

        :raises JRunnerError: what jrunner answers; JRunnerCancelled; JRunnerDied when the process has ended.
        """
        if cancel is not None and cancel.is_set():
            raise JRunnerCancelled("cancelled before it began")
        if self._ended:
            raise self._died("the jrunner session has ended")
        events: EventQueue[dict[str, Any] | None] = EventQueue()
        number = self._new_id(events)
        try:
            try:
                self._send({"id": number, **request})
                return self._await(number, events, on_progress, before_commit, cancel)
            except (JRunnerError, JRunnerDied, JRunnerCancelled):
                raise
            except _CommitRefusedError as refused:
                self._abandon(number, events, Interruption())
                raise refused.reason from None
            except BaseException:
                # Ctrl-C, or a fault in on_progress: the work must not go on behind the caller's back.
                self._abandon(number, events, interruption or Interruption())
                raise
        finally:
            with self._lock:
                self._waiting.pop(number, None)

    def _await(
        self,
        number: int,
        events: EventQueue[dict[str, Any] | None],
        on_progress: ProgressHandler | None,
        before_commit: Callable[[Mapping[str, Any]], None] | None,
        cancel: threading.Event | None,
    ) -> dict[str, Any]:
        deadline: float | None = None
        while True:
            if deadline is None and cancel is not None and cancel.is_set():
                self._send_cancel(number)
                deadline = time.monotonic() + CANCEL_TIMEOUT_S
            event = self._next_event(events)
            if event is None:
                if deadline is not None and time.monotonic() > deadline:
                    self.kill()
                    raise self._died(f"jrunner did not obey a cancel within {CANCEL_TIMEOUT_S:.0f} s and was killed")
                continue
            if event["event"] == "progress":
                if on_progress is not None and deadline is None:
                    on_progress(
                        Progress(event.get("phase", ""), event["rows"], event["bytes"], event.get("elapsed_ms", 0))
                    )
            elif event["event"] == "confirm":
                if before_commit is not None and deadline is None:
                    try:
                        before_commit(event)
                    except BaseException as reason:
                        raise _CommitRefusedError(reason) from reason
                    self._send({"id": self._new_id(None), "op": "confirm", "target": number})
            elif event["event"] == "result":
                return event
            else:
                error = event["error"]
                if error.get("code") == "cancelled":
                    raise JRunnerCancelled("cancelled")
                if error.get("code") in ("connection_lost", "not_open"):
                    said = [complaint for item in self.attached.values() if (complaint := item.complaint())]
                    error = {**error, "message": "; ".join([str(error.get("message", "")), *said])}
                raise JRunnerError.from_event(error)

    def _next_event(self, events: EventQueue[dict[str, Any] | None]) -> dict[str, Any] | None:
        """The next event; None after the poll interval.

        :raises JRunnerDied: at the end of the process's output.
        """
        try:
            event = events.get(timeout=POLL_S)
        except queue.Empty:
            if not self._ended or not events.empty():
                return None
            event = None
        if event is None:
            raise self._died("jrunner ended while a request was under way")
        return event

    def _abandon(self, number: int, events: EventQueue[dict[str, Any] | None], interruption: Interruption) -> None:
        """Cancels a request that nobody wants any more, sees it end, and tells how."""
        interruption.fate = "unknown"
        try:
            self._send_cancel(number)
            deadline = time.monotonic() + CANCEL_TIMEOUT_S
            while time.monotonic() < deadline:
                event = self._next_event(events)
                if event is not None and event["event"] in ("result", "error"):
                    interruption.fate = _fate(event)
                    return
        except JRunnerDied:
            return
        except BaseException:  # another Ctrl-C
            self.kill()
            raise
        self.kill()

    def _send_cancel(self, number: int) -> None:
        self._send({"id": self._new_id(None), "op": "cancel", "target": number})

    def _send(self, request: dict[str, Any]) -> None:
        line = (json.dumps(request, ensure_ascii=True, separators=(",", ":")) + "\n").encode()
        if len(line) > MAX_LINE_BYTES:
            raise JRunnerError(
                f"A request of {len(line):,} bytes is too long: statements may have {MAX_LINE_BYTES >> 20} MiB in all.",
                phase="protocol",
                code="protocol",
            )
        stdin = self._process.stdin
        try:
            if stdin is None:
                raise BrokenPipeError
            with self._write_lock:
                stdin.write(line)
                stdin.flush()
        except (OSError, ValueError):
            raise self._died("jrunner has ended") from None

    # ------------------------------------------------------------------ the process's output

    def _await_ready(self) -> None:
        try:
            event = self._ready.get(timeout=START_TIMEOUT_S)
        except queue.Empty:
            self.kill()
            raise self._died(f"jrunner was not ready within {START_TIMEOUT_S:.0f} s") from None
        if event is None:
            raise self._died(f"jrunner did not start ({self.java.path})")
        if event.get("protocol") != PROTOCOL_VERSION:
            raise JRunnerDied(
                f"jrunner speaks protocol {event.get('protocol')}, this client {PROTOCOL_VERSION}: "
                "rebuild the jar (python hatch_build.py, or reinstall pipekit)"
            )
        self.version = event.get("version", "")

    def _read_events(self) -> None:
        stdout = self._process.stdout
        assert stdout is not None
        with contextlib.suppress(OSError, ValueError):
            for line in stdout:
                try:
                    event = json.loads(line)
                except ValueError:
                    self._complaints.append(line.decode(errors="replace").rstrip())
                    continue
                if not isinstance(event, dict):
                    continue
                if event.get("event") == "ready":
                    self._ready.put(event)
                    continue
                number = event.get("id")
                with self._lock:
                    waiter = self._waiting.get(number) if isinstance(number, int) else None
                if waiter is not None:
                    waiter.put(event)
                elif number is None:
                    self._complaints.append(line.decode(errors="replace").rstrip())
        self._ended = True
        self._ready.put(None)
        with self._lock:
            for waiter in self._waiting.values():
                waiter.put(None)

    def _read_stderr(self) -> None:
        stderr = self._process.stderr
        assert stderr is not None
        with contextlib.suppress(OSError, ValueError):
            for raw in stderr:
                self.hear(raw.decode(errors="replace").rstrip())

    def hear(self, line: str) -> None:
        """Take a line of stderr: the process's own, or of a program that works in its place."""
        self._stderr.append(line)
        self._stderr_count += 1
        if self._on_stderr is not None:
            with contextlib.suppress(Exception):
                self._on_stderr(line)

    def _died(self, message: str) -> JRunnerDied:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        # The last words may still be on their way through the pipe.
        reader = self._threads[1] if hasattr(self, "_threads") else None
        if reader is not None and reader is not threading.current_thread() and self._process.poll() is not None:
            reader.join(0.5)
        return JRunnerDied(message, status=self._process.poll(), stderr=[*self._complaints, *self._stderr])
