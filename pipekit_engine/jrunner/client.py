"""A jrunner session: the operations of one running jrunner, each a request of its protocol (jrunner/README.md)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar

from pipekit_engine.common.columns import Column
from pipekit_engine.jrunner import jvm
from pipekit_engine.jrunner.errors import JRunnerDied
from pipekit_engine.jrunner.process import JRunnerProcess, ProgressHandler
from pipekit_engine.jrunner.protocol import (
    ExecuteResult,
    Interruption,
    MigrateRequest,
    MigrateResult,
    OpenRequest,
    OpenResult,
    QueryResult,
    SplitResult,
    Statement,
)

if TYPE_CHECKING:
    from pipekit_engine.jrunner.lending import LentProcess
    from pipekit_engine.jrunner.starting import StartedProcess


class Session:
    """A running jrunner, and the operations that it offers. Use it as a context manager, from any number of threads.

    Requests on different connections run side by side; those that share a connection run in the order they were made. All
    methods that take ``cancel`` look at that event every 50 ms: once it is set, the request is cancelled in jrunner (the
    statement is cancelled in the database and its transaction rolled back) and :class:`JRunnerCancelled` is raised. If the work
    was done before the cancel came (a commit, say), the result is returned as if nothing had happened. An exception in the
    waiting thread (KeyboardInterrupt) cancels the request, too; ``execute`` tells an :class:`Interruption` how that ended.
    """

    #: Statements can share a migration's transaction.
    loads_in_transaction: ClassVar[bool] = True

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
        beside: Session | None = None,
    ) -> None:
        """Start a jrunner, as `JRunnerProcess` says; or use the one of another session, `beside` that.

        Sessions of one process are independent but for its end: `end` and `kill` of one end all, and what is written to stderr
        is everybody's.
        """
        self.process: JRunnerProcess
        if beside is not None:
            self.process = beside.process
        else:
            self.process = JRunnerProcess(
                java=java, heap=heap, jar=jar, on_stderr=on_stderr, cwd=cwd, lent=lent, started=started
            )
        self._number = self.process.join()
        #: Begins the names of this session's connections, where others use its process.
        self.prefix = f"{self._number}/" if self._number else ""

    @property
    def pid(self) -> int:
        """The JVM's process id, which is also its process group's."""
        return self.process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process.alive

    def take_file(self, connection: str, file: Path, *, writes: bool) -> bool:
        """Whether a connection to a file that others of the process may have open can be opened now; `close` lets it go."""
        return self.process.files.take(self._number, connection, file, writes=writes)

    def release_file(self, connection: str) -> None:
        """The connection is closed, or could not be opened."""
        self.process.files.release(self._number, connection)

    def request(self, request: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Send a request and wait for its result: `JRunnerProcess.request`."""
        return self.process.request(request, **options)

    def end(self) -> None:
        """End the process: kindly, within seconds; by force if it does not go."""
        self.process.end()

    def kill(self) -> None:
        """End the process now. Safe to call twice."""
        self.process.kill()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def open(self, request: OpenRequest, *, cancel: threading.Event | None = None) -> OpenResult:
        """Opens a connection under a name, or keeps the open one if it answers and its parameters are the same."""
        try:
            answer = self.request(request.to_json(), cancel=cancel)
        except JRunnerDied as died:
            raise JRunnerDied(died.message, status=died.status, stderr=died.stderr, opening=True) from None
        return OpenResult(
            product=answer.get("product") or "",
            product_version=answer.get("product_version") or "",
            driver=answer.get("driver") or "",
            driver_version=answer.get("driver_version") or "",
            reused=bool(answer["reused"]),
        )

    def query(
        self,
        connection: str,
        sql: str,
        *,
        max_rows: int = 1,
        limit: bool = True,
        cancel: threading.Event | None = None,
    ) -> QueryResult:
        """Runs a query and returns at most ``max_rows`` rows as text, at full precision.

        Without ``limit`` the database is told of no limit, which keeps PostgreSQL from parallel workers: for a query that gives
        few rows by itself, since a driver may hold all of them in memory.
        """
        request = {"op": "query", "connection": connection, "sql": sql, "max_rows": max_rows}
        if not limit:
            request["limit"] = False
        answer = self.request(request, cancel=cancel)
        return QueryResult(
            columns=tuple(answer["columns"]),
            rows=tuple(tuple(row) for row in answer["rows"]),
            truncated=bool(answer["truncated"]),
        )

    def execute(
        self,
        connection: str,
        statements: Sequence[Statement | str],
        *,
        transaction: bool = True,
        before_commit: Callable[[], None] | None = None,
        on_progress: ProgressHandler | None = None,
        cancel: threading.Event | None = None,
        interruption: Interruption | None = None,
    ) -> ExecuteResult:
        """Runs statements, by default in one transaction: all of them take effect, or none does.

        ``before_commit`` is called in the calling thread once all statements of the transaction have run, while it holds its
        locks; an exception in it rolls the transaction back and goes on to the caller.

        ``interruption`` learns what became of them when an exception ends the waiting, such as KeyboardInterrupt.

        :raises JRunnerError: with ``phase`` ``commit`` when it is unknown whether the commit happened, and with ``code``
            ``count_mismatch`` when a statement's ``expect_rows`` differs.
        """
        items = [item if isinstance(item, Statement) else Statement(item) for item in statements]
        request = {
            "op": "execute",
            "connection": connection,
            "statements": [item.to_json() for item in items],
            "transaction": transaction,
        }
        if before_commit is not None:
            request["confirm"] = True
        answer = self.request(
            request,
            on_progress=on_progress,
            before_commit=None if before_commit is None else lambda _: before_commit(),
            cancel=cancel,
            interruption=interruption,
        )
        return ExecuteResult(counts=tuple(answer["counts"]), elapsed_ms=answer["elapsed_ms"])

    def describe(
        self,
        connection: str,
        *,
        sql: str | None = None,
        table: str | None = None,
        cancel: threading.Event | None = None,
    ) -> list[Column]:
        """The columns of a query, or of a table (SQL text, quoted)."""
        request: dict[str, Any] = {"op": "describe", "connection": connection}
        request.update({name: value for name, value in (("sql", sql), ("table", table)) if value is not None})
        answer = self.request(request, cancel=cancel)
        return [Column.from_json(item) for item in answer["columns"]]

    def migrate(
        self,
        request: MigrateRequest,
        *,
        on_progress: ProgressHandler | None = None,
        before_commit: Callable[[int], None] | None = None,
        cancel: threading.Event | None = None,
        interruption: Interruption | None = None,
    ) -> MigrateResult:
        """Moves a query's rows into a table. On any error the table is as it was before.

        ``on_progress`` is called in the calling thread, about once a second; an exception in it cancels the migration.
        ``before_commit`` and ``interruption`` are those of `execute`; the former is told how many rows were read.
        """
        fields = request.to_json()
        if before_commit is not None:
            fields["confirm"] = True
        answer = self.request(
            fields,
            on_progress=on_progress,
            before_commit=None if before_commit is None else lambda event: before_commit(event["rows_read"]),
            cancel=cancel,
            interruption=interruption,
        )
        names = [name for name in MigrateResult.__dataclass_fields__ if name not in ("counts", "snapshot", "split")]
        return MigrateResult(
            **{name: answer[name] for name in names},
            counts=tuple(answer.get("counts", ())),
            snapshot=answer.get("snapshot") is True,
            split=SplitResult(**answer["split"]) if "split" in answer else None,
        )

    def metadata(
        self,
        connection: str,
        what: str,
        *,
        catalog: str | None = None,
        schema: str | None = None,
        table: str | None = None,
        cancel: threading.Event | None = None,
    ) -> list[dict[str, Any]]:
        """``schemas``, ``tables``, or a table's ``columns``, ``keys`` or ``indexes``, as JDBC's metadata tells them."""
        request: dict[str, Any] = {"op": "metadata", "connection": connection, "what": what}
        named = (("catalog", catalog), ("schema", schema), ("table", table))
        request.update({name: value for name, value in named if value is not None})
        items: list[dict[str, Any]] = self.request(request, cancel=cancel)["items"]
        return items

    def close(self, connection: str | None = None) -> list[str]:
        """Closes one connection, or all of the process; returns the names of those that were open."""
        request = {"op": "close"} if connection is None else {"op": "close", "connection": connection}
        try:
            closed: list[str] = self.request(request)["closed"]
        finally:
            if connection is None:
                self.process.files.clear()
            else:
                self.release_file(connection)
        return closed
