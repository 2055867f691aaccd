"""Filling staging range by range, each with a mark of how far it goes, so that a load which broke off goes on.

A range's rows and its mark are committed together. The marks' key lets each range in once, whoever else is still loading.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from pipekit_engine.common.text import counted, first_line
from pipekit_engine.jrunner.errors import JRunnerError
from pipekit_engine.jrunner.protocol import Statement

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from pipekit_engine.common.progress import Progress
    from pipekit_engine.databases.connections import ModuleConnections
    from pipekit_engine.jrunner.protocol import MigrateRequest, MigrateResult
    from pipekit_engine.planning.plan import RunPlan

#: Rows that were staged longer ago are not used: the source has moved on.
RESUME_WITHIN = timedelta(days=1)
#: More ranges than any load has.
_MAX_MARKS = 1_000_000
_END, _INDEXED = "end", "indexed"


@dataclass(frozen=True)
class Staged:
    """What an earlier run left in staging: the number of its last mark, where it ends (a literal), and its rows."""

    number: int = 0
    upto: str | None = None
    rows: int = 0
    since: str = ""
    complete: bool = False
    indexed: bool = False


class RangedLoad:
    """The staging of one run of a module with `resume_every`, in the session of `connections`."""

    def __init__(self, connections: ModuleConnections, plan: RunPlan, say: Callable[[str], None]) -> None:
        assert plan.ranges is not None, "the plan says whether there are ranges"
        self._connections = connections
        self._session = connections.session
        self._source = connections.source.handle
        self._cancel = connections.cancel
        self._plan = plan
        self._ranges = plan.ranges
        self._say = say
        self._staged = Staged()
        self._holds = False

    @property
    def _dest(self) -> str:
        return self._connections.dest.handle

    @property
    def keeps(self) -> bool:
        """Whether something is staged that the next run can use."""
        return self._staged.number > 0

    @property
    def staged(self) -> Staged:
        """What is in staging now."""
        return self._staged

    def find_earlier(self, file: Path | None) -> bool:
        """Look for what an earlier run staged, in SQLite in `file`; True if this one goes on behind it.

        Raises JRunnerError for a database that does not answer.
        """
        if file is not None and not file.exists():
            return False
        try:
            self._execute(*self._plan.staging.attach)
            found = self._read()
        except JRunnerError as error:
            if error.code != "sql":
                raise
            if self._connections.dest.dialect.is_missing_table(error.sqlstate, error.vendor_code, error.message):
                return False
            found = f"they cannot be read: {first_line(error)}"
        if isinstance(found, Staged):
            self._staged = found
            self._say(
                f"{counted(found.rows, 'row')} are staged already, by a run that began at {found.since} and broke off: this one "
                "goes on behind them. Rows that changed since are as they were then, until a later run reads them"
            )
            return True
        self._say(f"nothing that an earlier run staged is of use: {found}")
        if file is not None:
            self._connections.reopen_dest()  # lets go of the file
        return False

    def _read(self) -> Staged | str:
        """What the marks say, or why it is of no use. Raises JRunnerError."""
        marks = self._session.query(
            self._dest, self._ranges.marks_sql, max_rows=_MAX_MARKS, limit=False, cancel=self._cancel
        ).rows
        if not marks or [int(row[0] or -1) for row in marks] != list(range(len(marks))):
            return "nothing was begun"
        fingerprint, _, since = (marks[0][1] or "").partition(" ")
        if fingerprint != self._fingerprint or len(marks) == 1:
            return "they are of another query, table or connection"
        if datetime.now(timezone.utc) - datetime.fromisoformat(since) > RESUME_WITHIN:
            return "they are too old"
        rows = sum(int(row[2] or 0) for row in marks)
        if self._session.query(self._dest, self._plan.checks.count, cancel=self._cancel).first != str(rows):
            return "staging does not hold the rows that were counted"
        states = [row[1] or "" for row in marks[1:]]
        ranges = [state for state in states if state not in (_END, _INDEXED)]
        upto = bytes.fromhex(ranges[-1]).decode() if ranges and ranges[-1] else None
        complete, indexed = _END in states, _INDEXED in states
        if complete and self._plan.staging.filled and not indexed:
            return "it is not known which of its indexes stand"
        return Staged(len(states), upto, rows, since, complete, indexed)

    @property
    def _fingerprint(self) -> str:
        """Of all that says which rows are read, and how they are staged."""
        plan, connections = self._plan, self._connections
        parts = (
            connections.source.connection.jdbc_url,
            plan.source_sql,
            self._ranges.column,
            plan.columns,
            plan.staging,
            plan.key,
        )
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def begin(self) -> None:
        """Write down what an empty staging table is for."""
        since = datetime.now(timezone.utc).isoformat(timespec="seconds")
        self._execute(self._ranges.mark_sql(0, f"{self._fingerprint} {since}"))
        self._staged = Staged(since=since)

    def fill(
        self, request: MigrateRequest, on_progress: Callable[[Progress], None]
    ) -> Generator[MigrateResult, None, None]:
        """Read and stage the ranges that are not there yet, and give what came of each.

        Raises as the session's `migrate`; what was staged then stays.
        """
        if self._staged.complete:
            return
        if self._staged.number:
            self._say(
                "the source is read as it is now: a row whose key has changed since may be there twice, or missing"
            )
        try:
            for sql, upto, last in self._pieces():
                before = self._staged
                state = _END if last else (upto or "").encode().hex()
                piece = replace(
                    request,
                    sql=sql,
                    after=[Statement(self._ranges.mark_sql(before.number + 1, state, "{rows}"), with_rows=True)],
                    snapshot="end" if last else "hold",
                )
                self._holds = not last
                result = self._session.migrate(piece, on_progress=self._behind(on_progress), cancel=self._cancel)
                self._holds = result.snapshot and not last
                self._staged = replace(
                    before,
                    number=before.number + 1,
                    upto=upto,
                    rows=before.rows + result.rows_read,
                    complete=last,
                )
                if not (last or result.snapshot or before.number):
                    self._say(
                        "each range is read at a moment of its own: the source's kind has no snapshot for several queries"
                    )
                yield result
        finally:
            if self._holds and self._session.alive:
                with suppress(JRunnerError):  # an open transaction keeps old rows at the source
                    self._session.close(self._source)

    def _behind(self, on_progress: Callable[[Progress], None]) -> Callable[[Progress], None]:
        """Told of the rows that are being read, as of all that will be staged then."""
        done = self._staged.rows
        return lambda progress: on_progress(replace(progress, rows=done + progress.rows))

    def _pieces(self) -> Iterator[tuple[str, str | None, bool]]:
        """The queries to come, each with the literal up to which it goes, and whether it is the last."""
        bounds = self._bounds()
        if not bounds and not self._staged.number:
            yield self._plan.source_sql, None, True
            return
        after = self._staged.upto
        if not self._staged.number:
            yield self._ranges.rest_sql, None, False
        for upto in bounds:
            yield self._ranges.rows_sql(after, upto), upto, False
            after = upto
        yield self._ranges.rows_sql(after, None), after, True

    def _bounds(self) -> list[str]:
        """The literals that end the ranges to come but for the last."""
        bounds: list[str] = []
        after = self._staged.upto
        while True:
            sql = self._ranges.bound_sql(after)
            value = self._session.query(self._source, sql, limit=False, cancel=self._cancel).first
            literal = None if value is None else self._ranges.literal(value)
            if literal is None or literal == after:
                return bounds
            bounds.append(literal)
            after = literal

    def indexed(self) -> None:
        """Write down that the statements behind the rows were executed."""
        self._execute(self._ranges.mark_sql(self._staged.number + 1, _INDEXED))
        self._staged = replace(self._staged, number=self._staged.number + 1, indexed=True)

    def _execute(self, *statements: str) -> None:
        if statements:
            self._session.execute(self._dest, list(statements), transaction=False, cancel=self._cancel)
