"""A pool of warm sessions, so that a group run pays for one JVM, not for one a module nor for one a module at work."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType

from pipekit_engine.jrunner.client import Session
from pipekit_engine.jrunner.errors import JRunnerCancelled
from pipekit_engine.jrunner.jvm import SESSIONS_PER_JVM

#: How often a waiting borrower looks at its ``cancel`` event.
POLL_S = 0.05


class SessionPool:
    """Lends sessions to threads, each to one at a time, and starts them only when they are needed.

    A session that comes back alive is kept with its open connections for the next borrower; one that died is forgotten.

        with SessionPool(max_sessions=4) as pool:
            with pool.session() as session:
                session.query(...)

    :param max_sessions: how many sessions may be lent at once; further borrowers wait.
    :param start: makes a session.
    :param share: whether a JVM is used by up to `SESSIONS_PER_JVM` sessions.
    """

    def __init__(self, max_sessions: int = 1, start: Callable[[], Session] = Session, *, share: bool = False) -> None:
        if max_sessions < 1:
            raise ValueError("max_sessions must be at least 1")
        self._max = max_sessions
        self._start = start
        self._share = share
        #: The session that was started last, whose process others may join.
        self._joined: Session | None = None
        self._idle: list[Session] = []
        self._lent: set[Session] = set()
        self._starting = 0
        self._closed = False
        self._changed = threading.Condition()

    def __enter__(self) -> SessionPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextlib.contextmanager
    def session(self, *, cancel: threading.Event | None = None) -> Iterator[Session]:
        """Lends a session; waits for one if all are lent.

        :raises JRunnerCancelled: when ``cancel`` is set while it waits.
        :raises RuntimeError: when the pool has been closed.
        """
        session = self._take(cancel)
        try:
            yield session
        finally:
            self._give_back(session)

    def _take(self, cancel: threading.Event | None) -> Session:
        with self._changed:
            while True:
                if self._closed:
                    raise RuntimeError("the session pool is closed")
                # The one that was used last: its connections are the warmest.
                while self._idle:
                    session = self._idle.pop()
                    if session.alive:
                        self._lent.add(session)
                        return session
                    session.kill()
                if self._has_room():
                    self._starting += 1
                    break
                if cancel is not None and cancel.is_set():
                    raise JRunnerCancelled("cancelled while waiting for a jrunner session")
                self._changed.wait(POLL_S)
        session_or_none: Session | None = None
        try:
            session_or_none = self._make()
            return session_or_none
        finally:
            with self._changed:
                self._starting -= 1
                if session_or_none is not None:
                    self._lent.add(session_or_none)
                self._changed.notify_all()

    def _has_room(self) -> bool:
        # While a JVM starts that others will join, they wait for it.
        return len(self._lent) + self._starting < self._max and not (self._share and self._starting)

    def _make(self) -> Session:
        first = self._joined
        if first is not None and first.alive and first.process.users < SESSIONS_PER_JVM:
            return Session(beside=first)
        started = self._start()
        self._joined = started if self._share else None
        return started

    def _give_back(self, session: Session) -> None:
        with self._changed:
            self._lent.discard(session)
            keep = session.alive and not self._closed
            if keep:
                self._idle.append(session)
            self._changed.notify_all()
        if not keep:
            session.kill()

    def close(self) -> None:
        """Ends all sessions. Those still lent are killed: their borrowers get :class:`JRunnerDied`."""
        with self._changed:
            self._closed = True
            idle, self._idle = self._idle, []
            self._changed.notify_all()
        for process in {session.process for session in idle}:
            process.end()
        deadline = time.monotonic() + POLL_S
        with self._changed:
            while self._starting and time.monotonic() < deadline + 30:
                self._changed.wait(POLL_S)
            lent = list(self._lent)
        for session in lent:
            session.kill()
