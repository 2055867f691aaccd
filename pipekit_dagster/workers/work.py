"""A worker's side of members: they run in the worker's own process, on threads, with warm jrunner sessions.

The worker asks the store whether the group runs of its members still go on: a member does not outlive the run that it is part of.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from pipekit_dagster.workers.members import outcome_of
from pipekit_engine.common.processes import ProcessName
from pipekit_engine.errors import PipekitError, StoreError, StoreUnavailable

if TYPE_CHECKING:
    from pipekit_engine.engine import Engine
    from pipekit_engine.jrunner.pool import SessionPool
    from pipekit_engine.running.module_run import RunResult

_T = TypeVar("_T")
_log = logging.getLogger("pipekit.workers")
#: Seconds between two looks for group runs that have ended.
_LOOK_S = 5.0
#: Seconds that jrunner processes are kept for the next member when there is none.
_KEEP_S = 30.0


class MemberWorker:
    """Runs the members that a worker takes. Usable from several threads."""

    def __init__(self, engine: Engine, at_once: int) -> None:
        self._engine = engine
        self._at_once = at_once
        self._guard = threading.Lock()
        #: Members at work: the number of their group run, and what cancels them.
        self._active: dict[str, tuple[int, threading.Event]] = {}
        #: What this process has been sent, and has not done with.
        self._handled: set[str] = set()
        self._sessions: SessionPool | None = None
        self._idle_since = 0.0
        threading.Thread(target=self._watch, name="group runs", daemon=True).start()

    def run(self, id_: str) -> None:
        """Take a member and run it to its end; nothing happens when another worker has it."""
        with self._guard:
            if id_ in self._handled:
                return
            self._handled.add(id_)
        try:
            if self._take(id_):
                self._run(id_)
        finally:
            with self._guard:
                self._handled.discard(id_)

    def _take(self, id_: str) -> bool:
        """Take a member. Where the store goes away meanwhile, nobody knows whether it was taken until it is back."""
        dispatches = self._engine.store.dispatches
        try:
            return dispatches.claim(id_)
        except StoreUnavailable:
            found = _persistently(lambda: dispatches.find(id_))
            return found is not None and found.worker == ProcessName.current()

    def _run(self, id_: str) -> None:
        dispatches = self._engine.store.dispatches
        request = _persistently(lambda: dispatches.payload(id_))
        now = request.pop("now")
        cancel = threading.Event()
        result: RunResult | None = None
        error: Exception | None = None
        with self._at_work(id_, request["group_run_id"], cancel) as sessions:
            try:
                result = self._engine.run(
                    **request, now=datetime.fromisoformat(now) if now else None, cancel=cancel, sessions=sessions
                )
            except Exception as caught:
                error = caught
                if not isinstance(caught, PipekitError):
                    _log.exception("member %s", request["module"])
        _persistently(lambda: dispatches.end(id_, outcome_of(result, error)))

    @contextmanager
    def _at_work(self, id_: str, group_run_id: int, cancel: threading.Event) -> Iterator[SessionPool]:
        with self._guard:
            self._active[id_] = (group_run_id, cancel)
            self._sessions = self._sessions or self._engine.session_pool(self._at_once)
            sessions = self._sessions
        try:
            yield sessions
        finally:
            with self._guard:
                del self._active[id_]
                self._idle_since = time.monotonic()

    def _watch(self) -> None:
        while True:
            time.sleep(_LOOK_S)
            with self._guard:
                active = list(self._active.values())
                idle = not active and time.monotonic() - self._idle_since > _KEEP_S
                sessions, self._sessions = (self._sessions, None) if idle else (None, self._sessions)
            if sessions is not None:
                sessions.close()
            for group_run_id in {number for number, _ in active}:
                with suppress(StoreError):
                    if self._engine.store.group_runs.get(group_run_id).finished_at is not None:
                        for number, cancel in active:
                            if number == group_run_id:
                                cancel.set()


def _persistently(ask: Callable[[], _T]) -> _T:
    """What the store answers, however long it takes to come back: somebody waits for what is done with it."""
    while True:
        try:
            return ask()
        except StoreUnavailable:
            time.sleep(1)
