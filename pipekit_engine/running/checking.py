"""Asking the checks of a module's rows: in a run, of what it stages and merges, or alone, of the destination as it is."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from statistics import fmean
from typing import TYPE_CHECKING

from pipekit_engine.common.text import counted, first_line
from pipekit_engine.errors import CheckError, PipekitError, RunCancelled
from pipekit_engine.jrunner.errors import JRunnerDied
from pipekit_engine.models import BUILTIN_CHECKS
from pipekit_engine.planning.module_checks import key_columns, plan_module_checks
from pipekit_engine.records.checks import CheckResult
from pipekit_engine.store.retrying import retrying

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Collection, Mapping, Sequence

    from pipekit_engine.databases.connections import Connections
    from pipekit_engine.jrunner.client import Session
    from pipekit_engine.models import Module, RunRecord
    from pipekit_engine.planning.module_checks import PlannedCheck
    from pipekit_engine.records.checks import CheckStatus
    from pipekit_engine.running.comparing import Comparison
    from pipekit_engine.store import Store

#: Rows that a check's SQL gives are counted up to this many.
MAX_COUNTED = 1000
#: Earlier runs that `volume` wants before it judges.
MIN_RUNS = 3


@dataclass(frozen=True)
class Moved:
    """What a run has moved: as known while it runs, or from run_log."""

    run_id: int
    rows_read: int | None
    #: Rows that the merge brought in, or found in the destination; None before the merge.
    rows: int | None
    finished_at: datetime

    @classmethod
    def by(cls, record: RunRecord) -> Moved:
        """What a run that has ended moved."""
        rows = merged_rows(record.model_dump(include={"rows_inserted", "rows_updated", "rows_unchanged"}))
        return cls(record.id, record.rows_read, rows, record.finished_at or record.started_at)


def merged_rows(counts: Mapping[str, int | None]) -> int | None:
    """Rows inserted, updated and found unchanged, from the counts of a run; None before its merge."""
    parts = [counts.get(f"rows_{kind}") for kind in ("inserted", "updated", "unchanged")]
    return None if parts[0] is None else sum(part or 0 for part in parts)


@dataclass(frozen=True)
class _Answer:
    status: CheckStatus
    message: str
    count: int | None = None
    details: dict[str, int | float | str] | None = None
    #: What was asked, where it was not known before.
    sql: str | None = None


class CheckRunner:
    """Asks checks in one session. `dest` is the destination's connection in it.

    `moved` is the run that they are about, None where there was none; `during` says that it is under way. `clean` takes secrets
    out of texts, `compare` answers `diff`.
    """

    def __init__(
        self,
        session: Session,
        dest: str,
        module: Module,
        store: Store,
        *,
        moved: Moved | None,
        during: bool,
        clean: Callable[[str], str],
        cancel: threading.Event | None = None,
        compare: Callable[[], Comparison] | None = None,
    ) -> None:
        self._session = session
        self._dest = dest
        self._module = module
        self._store = store
        self._moved = moved
        self._during = during
        self._clean = clean
        self._cancel = cancel
        self._compare = compare

    def ask(self, planned: PlannedCheck) -> CheckResult:
        """One check. What goes wrong is its result. Raises RunCancelled, and JRunnerDied."""
        started = time.monotonic()
        try:
            answer = self._answer(planned)
        except (RunCancelled, JRunnerDied):
            raise
        except PipekitError as error:
            answer = _Answer("error", f"it could not be asked: {error}")
        return CheckResult(
            module=self._module.name,
            name=planned.check.name,
            on=planned.on,
            severity=planned.check.severity,
            status=answer.status,
            count=answer.count,
            message=self._clean(answer.message),
            sql=self._clean(sql) if (sql := planned.sql or answer.sql) is not None else None,
            details=answer.details or {},
            run_id=self._moved.run_id if self._during and self._moved is not None else None,
            checked_at=datetime.now(timezone.utc),
            took_s=round(time.monotonic() - started, 4),
        )

    def _answer(self, planned: PlannedCheck) -> _Answer:
        if planned.how == "rows":
            return self._no_rows(planned.sql or "")
        if planned.how == "count":
            wrong = self._number(planned.sql or "")
            return _Answer("failed" if wrong else "passed", _told(planned, wrong), wrong)
        if planned.how in ("exactly", "at_least"):
            return self._total(planned)
        if planned.how == "history":
            return self._volume(planned)
        if planned.how == "diff":
            return self._diff()
        return self._age()

    def _no_rows(self, sql: str) -> _Answer:
        found = self._session.query(self._dest, sql, max_rows=MAX_COUNTED, cancel=self._cancel)
        count = len(found.rows)
        more = "more than " if found.truncated else ""
        message = f"{more}{counted(count, 'row')} that must not be" if count else "no rows"
        return _Answer("failed" if count else "passed", message, count)

    def _number(self, sql: str) -> int:
        return int(self._session.query(self._dest, sql, cancel=self._cancel).first or 0)

    def _total(self, planned: PlannedCheck) -> _Answer:
        if self._moved is None or self._moved.rows is None:
            return _Answer("skipped", "no run has moved rows yet")
        there, moved = self._number(planned.sql or ""), self._moved.rows
        wrong = abs(there - moved) if planned.how == "exactly" else max(0, moved - there)
        message = f"{counted(there, 'row')} there, {moved:,} moved by run {self._moved.run_id}"
        return _Answer("failed" if wrong else "passed", message, wrong, {"rows_there": there, "rows_moved": moved})

    def _volume(self, planned: PlannedCheck) -> _Answer:
        if self._moved is None or self._moved.rows_read is None:
            return _Answer("skipped", "no run has read rows yet")
        check, read = planned.check, self._moved.rows_read
        before = partial(
            self._store.runs.list, self._module.name, status="success", limit=check.runs, before=self._moved.run_id
        )
        earlier = retrying(before, cancel=self._cancel)
        volumes = [run.rows_read for run in earlier if run.rows_read is not None]
        details: dict[str, int | float | str] = {"rows_read": read, "runs": len(volumes)}
        if len(volumes) < MIN_RUNS:
            return _Answer("skipped", f"{len(volumes)} of {MIN_RUNS} earlier runs to compare with", None, details)
        mean = fmean(volumes)
        deviation = abs(read - mean) * 100 / mean if mean else (0.0 if read == 0 else float("inf"))
        details |= {"mean": round(mean, 1), "deviation_percent": round(deviation, 1) if mean else "from none"}
        far = deviation > check.deviation_percent
        message = f"{counted(read, 'row')} read, {mean:,.0f} on average of {len(volumes)} runs"
        return _Answer("failed" if far else "passed", message, None, details)

    def _diff(self) -> _Answer:
        assert self._compare is not None, "a run does not ask for it"
        if self._moved is None:
            return _Answer("skipped", "no run has succeeded yet")
        found = self._compare()
        away = abs(found.rows_source - found.rows_destination)
        details: dict[str, int | float | str] = {
            "rows_source": found.rows_source,
            "rows_destination": found.rows_destination,
            "columns": found.columns,
        }
        return _Answer(
            "failed" if away or found.differences else "passed", found.message, away or None, details, found.sql
        )

    def _age(self) -> _Answer:
        if self._during:
            return _Answer("passed", "filled by this run")
        if self._moved is None:
            return _Answer("failed", "no run has succeeded yet")
        age, limit = datetime.now(timezone.utc) - self._moved.finished_at, self._module.fresh_age
        assert limit is not None, "the check needs fresh_within"
        message = f"filled by run {self._moved.run_id}, {age.total_seconds() / 3600:,.1f} h ago; fresh_within is "
        details: dict[str, int | float | str] = {"age_s": round(age.total_seconds())}
        return _Answer("failed" if age > limit else "passed", f"{message}{self._module.fresh_within}", None, details)


def check_module(
    module: Module,
    session: Session,
    connections: Connections,
    store: Store,
    *,
    staging_schema: str | None,
    names: Collection[str] = (),
    clean: Callable[[str], str],
    cancel: threading.Event | None = None,
) -> list[CheckResult]:
    """Ask a module's checks, or those of `names`, of its destination as it is. Takes no lock, and writes to the store alone.

    Raises RunCancelled; a destination that cannot be asked is the result of all of them.
    """
    from pipekit_engine.running.comparing import compare_module  # a run does without

    asked = [check for check in module.checks if not names or check.name in names]
    if not asked:
        return []
    started = datetime.now(timezone.utc)
    last = store.runs.list(module.name, status="success", limit=1)
    filled = last[0].partition if last else None
    partition = module.partition.find(filled) if module.partition is not None and filled is not None else None
    try:
        opened = connections.open(
            session, module.dest, "read", application_name=f"pipekit check {module.name}", cancel=cancel
        )
        try:
            table = opened.dialect.table_sql(opened.dialect.table_name(module.dest_table))
            there = [column.name for column in session.describe(opened.handle, table=table, cancel=cancel)]
            planned = plan_module_checks(
                module.model_copy(update={"checks": tuple(asked)}),
                opened.dialect,
                table=table,
                columns=there,
                key=key_columns(module, there),
            )
            runner = CheckRunner(
                session,
                opened.handle,
                module,
                store,
                moved=Moved.by(last[0]) if last else None,
                during=False,
                clean=clean,
                cancel=cancel,
                compare=lambda: compare_module(
                    module, session, connections, partition=partition, staging_schema=staging_schema, cancel=cancel
                ),
            )
            results = [runner.ask(item) for item in planned]
        finally:
            if opened.dialect.one_process and session.alive:
                session.close(opened.handle)
    except RunCancelled:
        raise
    except PipekitError as error:
        message = clean(f"it could not be asked: {error}")
        results = [
            CheckResult(
                module=module.name,
                name=check.name,
                on="destination",
                severity=check.severity,
                status="error",
                message=message,
                checked_at=started,
            )
            for check in asked
        ]
    store.checks.save(module.name, results, keep=[check.name for check in module.checks])
    return results


def _told(planned: PlannedCheck, wrong: int) -> str:
    columns = ", ".join(planned.columns)
    if planned.check.name == "unique_key":
        return f"{counted(wrong, 'key')} in several rows" if wrong else f"unique by {columns}"
    if planned.check.name == "not_null":
        return f"{counted(wrong, 'row')} with NULL in {columns}" if wrong else f"no NULL in {columns}"
    return f"{counted(wrong, 'staged key')} not there" if wrong else "all staged keys are there"


def blocking_error(results: Sequence[CheckResult], *, merged: bool) -> CheckError | None:
    """The error for those that block; None if none does. `merged` is what it says of the destination."""
    failed = [result for result in results if result.blocks]
    if not failed:
        return None
    state = "The merge was committed, and the rows are in the destination" if merged else "Nothing was merged"
    told = "".join(f"\n  {result.name}: {first_line(result.message, 500)}" for result in failed)
    error = CheckError(f"{counted(len(failed), 'check')} of module {failed[0].module} failed. {state}.{told}")
    error.merge_committed = merged
    return error


def told(result: CheckResult) -> str:
    """A result as a line of a run's log."""
    meaning = f" ({BUILTIN_CHECKS[result.name]})" if result.name in BUILTIN_CHECKS and not result.holds else ""
    return f"check {result.name}: {result.standing}: {result.message}{meaning}"
