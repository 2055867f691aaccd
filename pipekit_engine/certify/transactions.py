"""Merges among readers, other merges, failures, cancels and kills: what others see is the old state or the new one."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from pipekit_engine.certify.bench import FILE, OTHER, OWN, Background, Gate
from pipekit_engine.certify.outcomes import Broken, Check, Refused, cause
from pipekit_engine.databases.dialects.sqlite import SQLite
from pipekit_engine.errors import PipekitError, RunCancelled
from pipekit_engine.jrunner.errors import JRunnerCancelled, JRunnerDied, JRunnerError
from pipekit_engine.models import Column
from pipekit_engine.running.events import RunEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pipekit_engine.certify.bench import Bench, Rows

#: The phases in which jrunner is killed, at their beginning.
PHASES = ("resolve", "plan", "stage", "verify", "merge")
_COLUMNS = "id INTEGER NOT NULL, v INTEGER NOT NULL"
_SIZE = 60


def transaction_checks() -> Iterator[Check]:
    """In the order of what each needs of those before."""
    yield Check("transactions", "DDL is rolled back where it is said to be", _transactional_ddl, quick=True)
    yield Check("transactions", "a missing table is known for one", _missing_table, quick=True)
    yield Check("transactions", "a merge that fails changes nothing", _failing_merge, quick=True)
    yield Check("transactions", "readers never see half a merge", _readers, quick=True)
    yield Check("transactions", "two merges do not mix", _two_merges)
    yield Check("cancel", "before the commit of a merge", _cancelled_merge)
    yield Check("cancel", "in staging", partial(_cancelled_at, phase="stage"))
    yield Check("cancel", "a long query", _cancelled_query)
    yield Check("kill", "before the commit of a merge", _killed_before_commit, quick=True)
    for phase in PHASES:
        yield Check("kill", f"in {phase}", partial(_killed_at, phase=phase))


def _types(bench: Bench) -> tuple[str, str]:
    """The types that pipekit gives to the columns id and v."""
    bench.fill("t", _COLUMNS, [(1, 1)])
    described = bench.session.describe(bench.open(FILE).handle, table="t")
    first, second = (bench.dialect.not_null_type(bench.dialect.map_type(item, SQLite()).sql) for item in described)
    return first, second


def _prepare(bench: Bench, name: str, strategy: str = "full") -> tuple[str, Rows, Rows]:
    """A destination with rows, and a module that would change them all: its name, the rows before and after."""
    number, value = _types(bench)
    bench.create("m", ("id", number), ("v", value))
    columns = [Column(source_name=column, dest_name=column) for column in ("id", "v")]
    fields: dict[str, Any] = {"merge_key": ("id",)} if strategy == "upsert" else {}
    module = bench.module(name, "SELECT id, v FROM t", "m", strategy, columns=columns, **fields)
    bench.fill("t", _COLUMNS, [(at, 1) for at in range(_SIZE)])
    bench.run(module)
    before = _rows(bench)
    bench.fill("t", _COLUMNS, [(at, 2) for at in range(_SIZE + 20)])
    after = sorted((str(at), "2") for at in range(_SIZE + 20))
    return module, before, after  # type: ignore[return-value]


def _rows(bench: Bench) -> Rows:
    return bench.rows("m", "id", "v")


def _expect(bench: Bench, *allowed: Rows, when: str) -> None:
    found = _rows(bench)
    if found not in allowed:
        raise Broken(f"{when}: {len(found)} rows, neither as before nor as after: {found[:3]}")


def _again(bench: Bench, module: str, after: Rows) -> None:
    """The next run does what the one before could not, and leaves no staging table."""
    try:
        bench.run(module)
    except PipekitError as error:
        raise Broken(f"the next run failed: {cause(error)}") from error
    _expect(bench, after, when="after the next run")
    left = [name for name in bench.tables() if name == module]
    if left:
        raise Broken(f"the staging table {left[0]} is left")


def _transactional_ddl(bench: Bench) -> str:
    number, _ = _types(bench)
    bench.drop("d")
    create = bench.dialect.create_table_sql(bench.table("d"), [("id", number)])
    with suppress(JRunnerError):
        bench.execute(create, f"INSERT INTO {bench.sql_name('no_such_table')} VALUES (1)", transaction=True)
    stays = bench.table("d").name in bench.tables()
    bench.drop("d")
    if stays and bench.dialect.capabilities.transactional_ddl:
        raise Broken("a table that was made in a transaction that failed is there")
    return "DDL commits" if stays else "DDL is part of a transaction"


def _missing_table(bench: Bench) -> str:
    for what, statement, missing in (
        ("a missing table", f"SELECT * FROM {bench.sql_name('no_such_table')}", True),
        ("a wrong word", f"SELECT FROM WHERE {_some_table(bench)}", False),
    ):
        try:
            bench.query(statement)
        except JRunnerError as error:
            if bench.dialect.is_missing_table(error.sqlstate, error.vendor_code, error.message) is not missing:
                raise Broken(
                    f"{what} is taken for {'something else' if missing else 'a missing table'}: {cause(error)}"
                ) from error
        else:
            raise Broken(f"{what} is no error")
    return ""


def _some_table(bench: Bench) -> str:
    number, value = _types(bench)
    return bench.create("m", ("id", number), ("v", value))


def _failing_merge(bench: Bench) -> str:
    """The last row of the merge violates a constraint: all others are taken back."""
    for strategy in ("full", "upsert"):
        module, before, after = _prepare(bench, "fails", strategy)
        name = bench.dialect.quote_identifier("v")
        table = bench.sql_name("m")
        number, value = _types(bench)
        bench.create("m", ("id", number), ("v", f"{value} CHECK ({name} < 100)"))
        bench.execute(*(f"INSERT INTO {table} VALUES ({at}, {v})" for at, v in before[:5]))
        kept = _rows(bench)
        bench.fill("t", _COLUMNS, [*((at, 2) for at in range(_SIZE)), (_SIZE, 100)])
        try:
            bench.run(module)
        except PipekitError:
            _expect(bench, kept, when=f"after a failed {strategy}")
        else:
            raise Refused("no constraint stopped the merge: this database does not check them")
        bench.fill("t", _COLUMNS, [(int(at or 0), int(v or 0)) for at, v in after])
        _again(bench, module, after)
    return ""


def _readers(bench: Bench) -> str:
    """While a merge stands before its commit, a reader sees the rows from before, or waits."""
    said = set()
    for strategy in ("full", "upsert"):
        module, before, after = _prepare(bench, "read", strategy)
        gate = Gate()
        with Background(bench, module, gate) as merge:
            merge.await_gate()
            reader = _Reader(bench)
            waited = not reader.ended(1.5)
            gate.go.set()
            if not reader.ended(60):
                raise Broken(f"{strategy}: a reader still waits a minute after the merge")
        if reader.error is not None:
            said.add("readers are told that the table is locked")
        elif reader.rows != (after if waited else before) and not (waited and reader.rows == before):
            raise Broken(f"{strategy}: a reader saw {len(reader.rows)} rows that are neither: {reader.rows[:3]}")
        else:
            said.add("readers wait for the merge" if waited else "readers see the rows from before")
        if merge.error is not None:
            raise Broken(f"{strategy}: the merge failed beside a reader: {cause(merge.error)}")
        _expect(bench, after, when=f"after the {strategy}")
    return ", ".join(sorted(said))


class _Reader:
    """Reads the destination on a thread: `rows` is what it saw, `error` what it was told instead."""

    def __init__(self, bench: Bench) -> None:
        self.rows: Rows = []
        self.error: PipekitError | None = None
        handle = bench.open(OWN, "read").handle
        query = _query(bench)

        def work() -> None:
            try:
                self.rows = _sorted(bench.session.query(handle, query, max_rows=10_000).rows)
            except PipekitError as error:
                self.error = error

        self._thread = threading.Thread(target=work, name="certify-reader", daemon=True)
        self._thread.start()

    def ended(self, within_s: float) -> bool:
        """Whether it has ended within that time."""
        self._thread.join(within_s)
        return not self._thread.is_alive()


def _query(bench: Bench) -> str:
    names = ", ".join(bench.dialect.quote_identifier(name) for name in ("id", "v"))
    return f"SELECT {names} FROM {bench.sql_name('m')}"


def _sorted(rows: Sequence[tuple[str | None, ...]]) -> Rows:
    return sorted((tuple(row) for row in rows), key=lambda row: [value or "" for value in row])


def _two_merges(bench: Bench) -> str:
    """Another module's merge into the same table, while one stands before its commit: it waits, or is refused."""
    module, _, after = _prepare(bench, "first", "upsert")
    columns = [Column(source_name=column, dest_name=column) for column in ("id", "v")]
    other = bench.module(
        "second", "SELECT id, 3 AS v FROM t", "m", "upsert", columns=columns, merge_key=("id",), dest=OTHER
    )
    third = sorted((at, "3") for at, _ in after)
    gate = Gate()
    with Background(bench, module, gate) as first:
        first.await_gate()
        with Background(bench, other) as second:
            waited = not second.ended(3)
            gate.go.set()
            if not first.ended(60):
                raise Broken("the first merge did not end once it was let go")
            second.ended(60)
    if first.error is not None:
        raise Broken(f"the first merge failed: {cause(first.error)}")
    _expect(bench, after if second.error is not None or not waited else third, third, when="after both")  # type: ignore[arg-type]
    if second.error is not None:
        return f"the second one was refused: {cause(second.error)[:100]}"
    return "the second one waited" if waited else "the second one came first"


def _cancelled_merge(bench: Bench) -> str:
    module, before, after = _prepare(bench, "cancelled")
    gate, cancel = Gate(), threading.Event()
    with Background(bench, module, gate, cancel=cancel) as run:
        run.await_gate()
        cancel.set()
        gate.go.set()
        if not run.ended(30):
            raise Broken("it did not end within 30 s")
    if not isinstance(run.error, RunCancelled):
        raise Broken(f"it was not cancelled: {cause(run.error)}")
    # A commit that is under way is not interrupted; the run then says so.
    allowed = [after] if "was committed" in str(run.error) else [before]
    _expect(bench, *allowed, when="after the cancel")
    _again(bench, module, after)
    return ""


def _cancelled_at(bench: Bench, phase: str) -> str:
    module, before, after = _prepare(bench, "cancelled")
    cancel = threading.Event()
    try:
        bench.run(module, cancel=cancel, on_event=_at(phase, cancel.set))
    except RunCancelled:
        _expect(bench, before, when="after the cancel")
    _again(bench, module, after)
    return ""


def _cancelled_query(bench: Bench) -> str:
    """A query that would run for hours ends soon after it was cancelled, and the connection can be used again."""
    table = _some_table(bench)
    for start in range(0, 200, 50):
        bench.execute(
            *(f"INSERT INTO {table} VALUES ({at}, {at})" for at in range(start, start + 50)), transaction=True
        )
    tables = ", ".join(f"{table} {alias}" for alias in "abcdef")
    name = bench.dialect.quote_identifier("v")
    query = f"SELECT COUNT(*) FROM {tables} WHERE a.{name} + b.{name} + c.{name} + d.{name} + e.{name} + f.{name} < 0"
    cancel = threading.Event()
    timer = threading.Timer(0.7, cancel.set)
    timer.start()
    started = time.monotonic()
    try:
        handle = bench.open(OWN, "read").handle
        bench.session.query(handle, query, cancel=cancel)
        return "the query was too quick to be cancelled"
    except JRunnerCancelled:
        pass
    except JRunnerDied as error:
        raise Refused(f"this database does not obey: {cause(error)}") from error
    except JRunnerError as error:
        raise Broken(f"it ended otherwise: {cause(error)}") from error
    finally:
        timer.cancel()
    took = time.monotonic() - started - 0.7
    bench.query(f"SELECT COUNT(*) FROM {table}", role="read")
    if took > 10:
        raise Broken(f"it ended {took:.0f} s after the cancel")
    return f"ended {took:.1f} s after the cancel"


def _killed_before_commit(bench: Bench) -> str:
    """jrunner is killed when all statements of the merge have run: nothing of it stays, and the next run merges."""
    module, before, after = _prepare(bench, "killed")
    gate = Gate()
    with Background(bench, module, gate) as run:
        run.await_gate()
        _kill(bench, module)
        gate.go.set()
        if not run.ended(60):
            raise Broken("the run did not end")
    if not isinstance(run.error, PipekitError):
        raise Broken(f"the run's end tells nothing of it: {cause(run.error)}")
    _wait_for(bench, before)
    _again(bench, module, after)
    return ""


def _killed_at(bench: Bench, phase: str) -> str:
    module, before, after = _prepare(bench, "killed")
    try:
        bench.run(module, on_event=_at(phase, lambda: _kill(bench, module)))
    except PipekitError:
        pass
    else:
        raise Broken("the run did not notice")
    _wait_for(bench, before, after)
    _again(bench, module, after)
    return ""


def _wait_for(bench: Bench, *allowed: Rows) -> None:
    """The server notices that its client is gone, and the rows are as they may be. Raises Broken after half a minute."""
    bench.forget()
    reader, until = _Reader(bench), time.monotonic() + 30
    while not (reader.ended(0.2) and reader.error is None and reader.rows in allowed):
        if time.monotonic() > until:
            found = (
                "the table stays locked"
                if not reader.ended(0)
                else cause(reader.error)
                if reader.error
                else reader.rows[:3]
            )
            raise Broken(f"after the kill: {found}")
        if reader.ended(0):
            time.sleep(0.2)
            reader = _Reader(bench)


def _kill(bench: Bench, module: str) -> None:
    lease = bench.engine.store.leases.find("module", module)
    if lease is not None and lease.child is not None:
        os.kill(lease.child.pid, signal.SIGKILL)


def _at(phase: str, act: Callable[[], object]) -> Callable[[RunEvent], None]:
    """Does something when a phase begins."""

    def on_event(event: RunEvent) -> None:
        if event.kind == "phase" and event.phase == phase:
            act()

    return on_event
