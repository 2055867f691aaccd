"""The state store goes away for a while, or cannot take what it is told: the run goes on, ends, and frees its lock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import pipekit_engine.running.monitor
from pipekit_engine.errors import Interrupted, RunError, StagingError, StoreUnavailable
from pipekit_engine.jrunner.pool import SessionPool
from pipekit_engine.models import Check, Hook
from pipekit_engine.running.events import RunEvent
from pipekit_engine.store.dbapi import Pool, Transaction
from pipekit_engine.store.leases import HEARTBEAT_FENCE, HEARTBEAT_TIMEOUT
from tests.running.workbench import Workbench
from tests.servers.postgresql import PostgreSQLServer
from tests.servers.proxy import CuttableProxy


@pytest.fixture
def proxy(postgresql: PostgreSQLServer, cuttable_proxy: Callable[[int], CuttableProxy]) -> CuttableProxy:
    return cuttable_proxy(postgresql.port)


@pytest.fixture
def shared(
    tmp_path: Path, pool: SessionPool, postgresql: PostgreSQLServer, proxy: CuttableProxy
) -> Iterator[Workbench]:
    """A workbench whose state is in PostgreSQL, behind the proxy; SQLite to PostgreSQL."""
    with postgresql.fresh_database() as name:
        url = postgresql.url(name).replace(f":{postgresql.port}/", f":{proxy.port}/")
        bench = Workbench(tmp_path, pool, database=url)
        bench.connect("dst", "postgresql", postgresql.jdbc_url(name), postgresql.user, postgresql.password)
        bench.source("CREATE TABLE t (id INTEGER, v TEXT)")
        bench.fill("t", [(1, "a"), (2, "b")])
        yield bench
        proxy.mend()
        bench.close()


def at(phase: str, act: Callable[[], object]) -> Callable[[RunEvent], None]:
    """A listener that acts when a phase begins."""

    def listen(event: RunEvent) -> None:
        if (event.kind, event.phase) == ("phase", phase):
            act()

    return listen


@pytest.mark.parametrize("phase", ["resolve", "plan", "stage", "verify", "merge", "hooks"])
@pytest.mark.sample(3)
def test_a_store_that_is_away_for_a_moment_costs_no_run(shared: Workbench, proxy: CuttableProxy, phase: str) -> None:
    """In each phase the next thing that the run wants of its store is refused at least once."""
    shared.module()

    def cut() -> None:
        refused = proxy.connections
        proxy.cut()

        def mend_after_a_refusal() -> None:
            while proxy.connections <= refused:
                time.sleep(0.02)
            proxy.mend()

        threading.Thread(target=mend_after_a_refusal, daemon=True).start()

    record = shared.run(on_event=at(phase, cut))
    assert record.status == "success"
    assert record.error is None
    assert record.rows_inserted == 2
    assert "committed: 2 inserted" in record.live_log
    assert shared.store.leases.all() == []
    assert shared.rows("SELECT id FROM t") == [("1",), ("2",)]


@pytest.mark.parametrize("where", ["shared", "bench"])
def test_an_error_that_quotes_what_no_store_can_hold(where: str, request: pytest.FixtureRequest) -> None:
    """PostgreSQL refuses NUL in text. The run could not be ended, and its module stayed locked."""
    bench: Workbench = request.getfixturevalue(where)
    bench.source("CREATE TABLE IF NOT EXISTS t (id INTEGER, v TEXT)")
    bench.connect("dst", "sqlite", f"jdbc:sqlite:{bench.folder}/dest.db")
    bench.fill("t", [(3, "x\0y"), (4, "x\0y")])
    bench.module(strategy="upsert", merge_key="v", query="SELECT * FROM t WHERE id > 2")
    with pytest.raises(StagingError, match="repeats the merge key"):
        bench.run()
    record = bench.store.runs.list()[0]
    assert record.status == "error"
    assert "(x\N{REPLACEMENT CHARACTER}y)" in (record.error or "")
    assert bench.store.leases.all() == []


def test_a_merge_ends_before_another_machine_may_take_the_lock(
    shared: Workbench, postgresql: PostgreSQLServer, proxy: CuttableProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An owner that the store does not hear from any more would be taken for dead, and its rows would be merged twice."""
    assert HEARTBEAT_FENCE < HEARTBEAT_TIMEOUT
    monkeypatch.setattr(pipekit_engine.running.monitor, "HEARTBEAT_FENCE", HEARTBEAT_FENCE / 15)
    monkeypatch.setattr(pipekit_engine.running.monitor, "HEARTBEAT_INTERVAL", HEARTBEAT_FENCE / 150)
    shared.execute(
        "CREATE TABLE t (id INTEGER, v TEXT)",
        "INSERT INTO t VALUES (-1, '')",
        "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ "
        "BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NULL; END $$",
        "CREATE TRIGGER wait BEFORE INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION wait()",
    )
    shared.module()
    database = shared.store.definitions.connection("dst").jdbc_url.rpartition("/")[2]
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    with postgresql.connect(database) as gate:
        gate.execute("SELECT pg_advisory_lock(7)")

        def cut_while_it_merges() -> None:
            while gate.execute(waiting).fetchone() == (0,):
                time.sleep(0.02)
            proxy.cut()
            while gate.execute(waiting).fetchone() != (0,):
                time.sleep(0.02)
            proxy.mend()

        cutter = threading.Thread(target=cut_while_it_merges, daemon=True)
        with pytest.raises(Interrupted, match=r"could have taken this run over.*the destination is as it was"):
            shared.run(on_event=at("merge", cutter.start))
        cutter.join()
    assert shared.rows("SELECT id FROM t") == [("-1",)]
    assert shared.store.runs.list()[0].status == "error"
    assert shared.store.leases.all() == []


def test_a_listener_that_fails_does_not_fail_the_run(bench: Workbench) -> None:
    """A terminal that was closed, say."""
    bench.source("CREATE TABLE t (id INTEGER)")
    bench.fill("t", [(1,)])
    bench.module()

    def broken(event: RunEvent) -> None:
        raise BrokenPipeError("nobody reads this")

    record = bench.run(on_event=broken)
    assert record.status == "success"
    assert "nobody listens to this run any more: BrokenPipeError" in record.live_log
    assert bench.rows("SELECT id FROM t") == [("1",)]


def test_a_failure_after_the_commit_says_that_it_was_committed(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.source("CREATE TABLE t (id INTEGER)")
    bench.fill("t", [(1,)])
    bench.module()
    note = bench.store.runs.update

    def full(run_id: int, **values: object) -> None:
        if values.get("phase") == "hooks":
            raise RuntimeError("out of memory")
        note(run_id, **values)

    monkeypatch.setattr(bench.store.runs, "update", full)
    with pytest.raises(RunError, match=r"out of memory\n.*the merge, which was committed") as caught:
        bench.run()
    assert caught.value.merge_committed
    assert bench.store.runs.list()[0].rows_inserted == 1
    assert bench.rows("SELECT id FROM t") == [("1",)]


class Refusal:
    """Lets a thread's n-th question to the store, from now on, fail as if the server were gone: before it, or with its answer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int, *, done: bool) -> None:
        self.asked = 0
        transaction, thread = Pool.transaction, threading.get_ident()

        @contextmanager
        def refuse(pool: Pool, *, write: bool) -> Iterator[Transaction]:
            mine = threading.get_ident() == thread
            self.asked += mine
            refused = mine and self.asked == at
            if refused and not done:
                raise StoreUnavailable("it is away")
            with transaction(pool, write=write) as found:
                yield found
            if refused:
                raise StoreUnavailable("it went away with its answer")

        monkeypatch.setattr(Pool, "transaction", refuse)


@pytest.mark.parametrize("done", [False, True], ids=["before it", "with its answer"])
def test_each_question_of_a_members_run_may_go_unanswered(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch, done: bool
) -> None:
    """One after another, until a run asks fewer: a member of a group runs once, and succeeds, whichever it was."""
    monkeypatch.setattr("pipekit_engine.store.retrying.DELAYS_S", (0.0, 0.0))
    bench.source("CREATE TABLE t (id INTEGER)")
    bench.fill("t", [(1,), (2,)])
    volume = Check(name="volume")
    hook = Hook(run_on="success", sql="DELETE FROM t WHERE id < 0")
    bench.module(strategy="append", hooks=(hook,), checks=(volume,))
    bench.group(("m",))
    at = 0
    while True:
        at += 1
        group_run, token = bench.store.group_runs.start("g", triggered_by="manual") or (0, "")
        with monkeypatch.context() as patched:
            refusal = Refusal(patched, at, done=done)
            record = bench.run(group_run_id=group_run)
        assert (record.status, record.error, record.group_run_id) == ("success", None, group_run), at
        assert len(bench.store.runs.list(group_run_id=group_run)) == 1
        bench.store.group_runs.finish(group_run, "success", token)
        assert bench.rows("SELECT count(*) FROM t") == [(str(2 * at),)]
        assert bench.store.leases.all() == []
        if refusal.asked < at:
            break
    assert at > 15
