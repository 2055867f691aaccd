"""Waiting for, or ending, what an earlier run of a module left at the destination (`pipekit_engine.databases.fence`)."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipekit_engine.common.text import first_line
from pipekit_engine.errors import EarlierMergeActive, RunCancelled
from pipekit_engine.jrunner.errors import JRunnerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipekit_engine.databases.connections import ModuleConnections
    from pipekit_engine.databases.fence import Fence

#: Seconds that an earlier run's merge may take to end by itself, and after it was told to.
PATIENCE_S = 10.0
ENDING_S = 60.0
_POLL_S = 0.25
_FREE = frozenset({"1", "t", "true"})


class MergeFence:
    """The fence of one run's module at its destination, in the session of `connections`."""

    def __init__(self, connections: ModuleConnections, fence: Fence, say: Callable[[str], None]) -> None:
        self._connections = connections
        self._session = connections.session
        self._fence = fence
        self._say = say

    def await_earlier_merge(self, *, in_doubt: bool) -> None:
        """Return once no merge of an earlier run is under way at the destination.

        One that lasts is ended, where the database lets us. `in_doubt` says that an earlier run's merge may not have ended; where
        looking costs a lock, it is looked at only then. Raises EarlierMergeActive, RunCancelled and ConnectError.
        """
        if self._fence.is_free is not None:
            self._await_free(self._fence.is_free)
        if in_doubt and self._fence.wait:
            self._wait()

    def _await_free(self, is_free: str) -> None:
        try:
            if self._is_free(is_free):
                return
        except JRunnerError as error:
            if error.code != "sql":
                raise
            self._say(
                f"warning: this server has no locks that would keep an earlier run's merge away: {first_line(error)}"
            )
            return
        if self._until_free(is_free, PATIENCE_S):
            return
        if self._fence.holders is not None and self._fence.end is not None:
            self._say(f"an earlier run's merge is still under way after {PATIENCE_S:.0f} s; ending it")
            self._end_holders(self._fence.holders, self._fence.end)
            if self._until_free(is_free, ENDING_S):
                return
        raise self._active("it did not end")

    def _is_free(self, is_free: str) -> bool:
        answer = self._first(is_free)
        return answer is not None and answer.lower() in _FREE

    def _until_free(self, is_free: str, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._pause()
            if self._is_free(is_free):
                return True
        return False

    def _pause(self) -> None:
        cancel = self._connections.cancel
        if cancel is not None and cancel.wait(_POLL_S):
            raise RunCancelled("cancelled while an earlier run's merge was waited for")
        if cancel is None:
            time.sleep(_POLL_S)

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Fill staging in the block, after a load that an earlier run left there has been ended: nobody needs its rows.

        Raises EarlierMergeActive where it cannot be ended.
        """
        if self._fence.loaders is not None and self._fence.end is not None:
            try:
                self._end_holders(self._fence.loaders, self._fence.end, "loading into staging")
            except JRunnerError as error:
                if error.code != "sql":
                    raise
                self._say(f"warning: it cannot be told whether an earlier run is still loading: {first_line(error)}")
        if self._fence.lock_load is None or not self._take(self._fence.lock_load):
            yield
            return
        try:
            yield
        finally:
            self._give_back(self._fence.unlock_load)

    def _end_holders(self, holders: str, end: str, doing: str | None = None) -> None:
        handle = self._connections.dest.handle
        rows = self._session.query(handle, holders, max_rows=100, cancel=self._connections.cancel).rows
        for session_id in (row[0] for row in rows if row[0]):
            if doing is not None:
                self._say(f"session {session_id} of an earlier run is still {doing}; ending it")
            try:
                self._session.execute(
                    handle, [end.format(int(session_id))], transaction=False, cancel=self._connections.cancel
                )
            except JRunnerError as error:
                self._say(f"session {session_id} could not be ended: {first_line(error)}")

    def _wait(self) -> None:
        """Wait by a lock that the database itself grants. A destination that is not there yet has nobody at work in it."""
        dest = self._connections.dest
        try:
            self._session.execute(dest.handle, list(self._fence.wait), cancel=self._connections.cancel)
        except JRunnerError as error:
            if not dest.dialect.is_missing_table(error.sqlstate, error.vendor_code, error.message):
                raise self._active(first_line(error)) from error

    def _first(self, sql: str) -> str | None:
        return self._session.query(self._connections.dest.handle, sql, cancel=self._connections.cancel).first

    def _active(self, why: str) -> EarlierMergeActive:
        module = self._connections.module
        return EarlierMergeActive(
            f"A merge of an earlier run of module {module.name} may still be under way on connection {module.dest}: {why}.\n"
            "Nothing was read or written. Run the module again when it has ended, or end its session in the database."
        )

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the fence by a lock of the session for the length of the block, where the transaction itself cannot."""
        if self._fence.lock is None or not self._take(self._fence.lock):
            yield
            return
        try:
            yield
        finally:
            self._give_back(self._fence.unlock)

    def _take(self, lock: str) -> bool:
        """Take the session's lock; False where the server has none."""
        try:
            taken = self._first(lock)
        except JRunnerError as error:
            if error.code != "sql":
                raise
            return False
        if taken != "1":
            raise self._active("its lock is not free")
        return True

    def _give_back(self, unlock: str | None) -> None:
        handle = self._connections.dest.handle
        try:
            if unlock is not None:
                self._session.execute(handle, [unlock], transaction=False)
        except Exception:
            # Whatever the session still holds ends with it.
            self._session.close(handle)
