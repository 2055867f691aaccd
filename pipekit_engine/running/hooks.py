"""Running a module's hooks, each on its own connection, and leaving no trace of them in the session."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from pipekit_engine.common.text import first_line
from pipekit_engine.errors import ConnectError, HookError, PipekitError, RunCancelled
from pipekit_engine.jrunner.errors import JRunnerDied, JRunnerError
from pipekit_engine.sql.text import spans

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from pipekit_engine.databases.connections import OpenConnection
    from pipekit_engine.jrunner.client import Session
    from pipekit_engine.planning.plan import PlannedHook
    from pipekit_engine.sql.syntax import SqlSyntax

#: First words of hooks after which a connection is as it was before. All others may set something, or make a temporary table.
_LEAVE_NO_TRACE = frozenset(
    ["insert", "update", "delete", "merge", "replace", "truncate", "analyze", "vacuum", "refresh", "reindex", "comment"]
)


class HookRunner:
    """Runs hooks in one jrunner session. `open_connection` opens one by its name, to write."""

    def __init__(
        self,
        session: Session,
        open_connection: Callable[[str], OpenConnection],
        *,
        say: Callable[[str], None],
        cancel: threading.Event,
    ) -> None:
        self._session = session
        self._open = open_connection
        self._say = say
        self._cancel = cancel
        #: Handles of connections whose session a hook may have changed.
        self._changed: set[str] = set()

    def run(self, hooks: Sequence[PlannedHook], *, failed: bool, committed: bool) -> None:
        """Run the hooks in order, those for a run that `failed` or those for one that did not.

        After one fails, only those for failures go on; the first failure is the one raised, a HookError. `committed` is what
        it says of the merge.
        """
        first: HookError | None = None
        for hook in hooks:
            if hook.run_on == ("success" if failed or first else "failure"):
                continue
            try:
                self._run_one(hook, committed)
            except HookError as error:
                if first is None:
                    first = error
                else:
                    self._say(f"another hook failed: {error}")
        if first is not None:
            raise first

    def _run_one(self, hook: PlannedHook, committed: bool) -> None:
        if not hook.statements:
            return
        try:
            opened = self._open(hook.connection)
            syntax = opened.dialect.capabilities.syntax
            if any(_may_change_session(sql, syntax) for sql in hook.statements):
                self._changed.add(opened.handle)
            # One statement commits by itself: some (VACUUM) refuse a transaction.
            transaction = len(hook.statements) > 1
            self._session.execute(opened.handle, list(hook.statements), transaction=transaction, cancel=self._cancel)
        except (JRunnerError, JRunnerDied, ConnectError) as error:
            state = "The merge was committed; a" if committed else "A"
            raise HookError(f"{state} hook (run_on {hook.run_on}) failed on {hook.connection}: {error}") from error
        except RunCancelled:
            self._say(f"hook on {hook.run_on} cancelled: {first_line(hook.statements[0])}")
            raise
        self._say(f"hook on {hook.run_on}: {first_line(hook.statements[0])}")

    def forget_settings(self) -> None:
        """Close connections whose session a hook may have changed (SET search_path, USE): the next module's would inherit it."""
        while self._changed:
            with suppress(PipekitError):
                self._session.close(self._changed.pop())


def _may_change_session(sql: str, syntax: SqlSyntax) -> bool:
    code = "".join(span.text for span in spans(sql, syntax) if span.kind != "comment").split(None, 1)
    return not code or code[0].lower() not in _LEAVE_NO_TRACE
