"""A process dies, at every phase: the lock is freed, the run told truthfully, and running again gives the exact rows."""

from __future__ import annotations

import itertools
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from pipekit_engine.common.processes import ProcessName
from pipekit_engine.errors import HookError, OutcomeUnknown, RunError
from pipekit_engine.models import Hook
from tests.running.workbench import Workbench
from tests.servers.postgresql import PostgreSQLServer
from tests.waiting import LIMIT, wait_until

ROOT = Path(__file__).resolve().parents[2]


def child(bench: Workbench, module: str, kill_at: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.running.child", str(bench.folder), module, kill_at],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def gone(process: ProcessName | None) -> bool:
    return process is None or not process.alive()


def numbers(bench: Workbench, count: int = 200) -> None:
    bench.source("CREATE TABLE t (id INTEGER, v INTEGER)")
    bench.fill("t", [(i, i % 7) for i in range(count)])


@pytest.mark.parametrize("strategy", ["full", "incremental", "append", "upsert"])
@pytest.mark.parametrize("phase", ["plan", "stage", "verify", "merge", "hooks"])
@pytest.mark.sample(4)
def test_sigkill_at_the_start_of_each_phase(bench: Workbench, strategy: str, phase: str) -> None:
    """`append` reads from where the destination ends, so that it, too, can be run again."""
    numbers(bench)
    key = {"merge_key": "id"} if strategy in ("incremental", "upsert") else {}
    bench.module(
        strategy=strategy,
        query="SELECT * FROM t WHERE id > {last}" if strategy == "append" else "SELECT * FROM t",
        watermarks={"last": ("dst", "SELECT max(id) FROM t", "-1")} if strategy == "append" else {},
        **key,
    )
    process = child(bench, "m", phase)
    out, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == -signal.SIGKILL
    assert out.split()[-1] == phase
    lease = bench.store.leases.find("module", "m")
    assert lease is not None
    assert lease.abandoned()
    wait_until(lambda: gone(lease.child), "the end of jrunner with its engine")
    record = bench.run()
    assert record.status == "success"
    assert bench.rows("SELECT count(*), count(DISTINCT id), sum(v) FROM t") == [("200", "200", "594")]
    died = bench.store.runs.list()[-1]
    assert died.status == "error"
    assert died.error is not None
    assert died.error.startswith("interrupted")
    assert ("outcome unknown" in died.error) == (phase == "merge")
    assert bench.store.leases.all() == []
    assert bench.staging_left() == []


class HeldMerge:
    """A PostgreSQL destination in which a merge stands still in the midst of its insert, until it is let go."""

    def __init__(self, bench: Workbench, server: PostgreSQLServer) -> None:
        numbers(bench)
        bench.execute(
            "CREATE TABLE t (id INTEGER, v INTEGER)",
            "INSERT INTO t VALUES (-1, -1)",
            "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END $$",
            "CREATE TRIGGER wait BEFORE INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION wait()",
        )
        bench.module(strategy="full")
        database = bench.store.definitions.connection("dst").jdbc_url.rsplit("/", 1)[1].split("?")[0]
        self._holder = server.connect(database)
        self._holder.execute("SELECT pg_advisory_lock(1)")

    def __enter__(self) -> HeldMerge:
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go()

    @property
    def stands(self) -> bool:
        """Whether a merge is in the midst of its insert."""
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' "
            "AND wait_event = 'advisory'"
        )
        return self._holder.execute(waiting).fetchall() == [(1,)]

    def wait_for_merge(self) -> None:
        wait_until(lambda: self.stands, "the merge")

    def let_go(self) -> None:
        self._holder.close()


@pytest.fixture
def held_merge(pg_bench: Workbench, postgresql: PostgreSQLServer) -> Iterator[HeldMerge]:
    """Module `m` of `pg_bench` stands still in its merge."""
    with HeldMerge(pg_bench, postgresql) as held:
        yield held


def test_sigkill_in_the_middle_of_a_merge(pg_bench: Workbench, held_merge: HeldMerge) -> None:
    """The server sees its client go, rolls back, and nothing of the merge is there."""
    with child(pg_bench, "m") as process:
        held_merge.wait_for_merge()
        lease = pg_bench.store.leases.find("module", "m")
        process.send_signal(signal.SIGKILL)
    assert lease is not None
    wait_until(lambda: gone(lease.child), "the end of jrunner")
    wait_until(lambda: not held_merge.stands, "the end of the merge in the database")
    assert pg_bench.rows("SELECT id FROM t") == [("-1",)]
    held_merge.let_go()
    pg_bench.run()
    assert pg_bench.rows("SELECT count(*), min(id) FROM t") == [("200", "0")]
    assert pg_bench.staging_left() == []


def test_sigterm_ends_the_merge_and_says_cancelled(pg_bench: Workbench, held_merge: HeldMerge) -> None:
    """Ctrl-C's signal to the engine ends jrunner and its statement."""
    with child(pg_bench, "m") as process:
        held_merge.wait_for_merge()
        lease = pg_bench.store.leases.find("module", "m")
        process.send_signal(signal.SIGINT)
        process.wait(LIMIT)
    assert lease is not None
    wait_until(lambda: gone(lease.child), "the end of jrunner")
    assert pg_bench.store.runs.list()[0].status == "cancelled"
    busy = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pipekit m %' AND state = 'active'"
    wait_until(lambda: pg_bench.rows(busy) == [("0",)], "the end of the statement in the database")
    assert pg_bench.rows("SELECT id FROM t") == [("-1",)]
    assert pg_bench.staging_left() == []


def test_jrunner_killed_in_the_middle_of_a_merge_is_outcome_unknown(pg_bench: Workbench, held_merge: HeldMerge) -> None:
    def kill() -> None:
        held_merge.wait_for_merge()
        lease = pg_bench.store.leases.find("module", "m")
        assert lease is not None
        assert lease.child is not None
        os.kill(lease.child.pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(OutcomeUnknown, match="outcome unknown"):
        pg_bench.run()
    killer.join()
    record = pg_bench.store.runs.list()[0]
    assert record.status == "error"
    assert pg_bench.store.leases.all() == []
    held_merge.let_go()
    pg_bench.run()
    assert pg_bench.rows("SELECT count(*), min(id) FROM t") == [("200", "0")]
    assert pg_bench.staging_left() == []


def test_jrunner_killed_in_a_hook_leaves_the_merge_and_says_so(pg_bench: Workbench) -> None:
    numbers(pg_bench, 20)
    pg_bench.module(strategy="full", hooks=[Hook(run_on="success", sql="SELECT pg_sleep(30)")])

    def kill(event: object) -> None:
        if getattr(event, "kind", "") == "phase" and getattr(event, "phase", "") == "hooks":
            lease = pg_bench.store.leases.find("module", "m")
            assert lease is not None
            assert lease.child is not None
            os.kill(lease.child.pid, signal.SIGKILL)

    with pytest.raises(HookError, match="The merge was committed; a hook"):
        pg_bench.run(on_event=kill)
    assert pg_bench.store.runs.list()[0].status == "error"
    assert pg_bench.store.leases.all() == []
    assert pg_bench.rows("SELECT count(*) FROM t") == [("20",)]


@contextmanager
def frozen(process: subprocess.Popen[str], state: Path) -> Iterator[None]:
    """The process stands still for the length of the block, at a moment at which it does not write to the state file."""
    while True:
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        with closing(sqlite3.connect(state, timeout=0)) as file, suppress(sqlite3.OperationalError):
            file.execute("BEGIN IMMEDIATE")
            break
        process.send_signal(signal.SIGCONT)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def test_a_live_long_run_is_not_robbed(pg_bench: Workbench, held_merge: HeldMerge) -> None:
    with child(pg_bench, "m") as process:
        held_merge.wait_for_merge()
        with frozen(process, pg_bench.folder / "pipekit.db"):
            assert pg_bench.engine.recover() == []
            with child(pg_bench, "m") as second:
                assert second.wait(LIMIT) == 3
        held_merge.let_go()
        assert process.wait(LIMIT) == 0
    assert pg_bench.rows("SELECT count(*) FROM t") == [("200",)]


def test_many_at_once_exactly_one_wins(bench: Workbench) -> None:
    """Each of the losers fails at once with exit status 3, or runs after the winner; the rows are exact."""
    numbers(bench)
    bench.module(
        strategy="append",
        query="SELECT * FROM t WHERE id > {last}",
        watermarks={"last": ("dst", "SELECT max(id) FROM t", "-1")},
    )
    processes = [child(bench, "m") for _ in range(8)]
    statuses = [process.wait(timeout=150) for process in processes]
    for process in processes:
        process.communicate()
    assert set(statuses) <= {0, 3}
    assert 0 in statuses
    assert bench.rows("SELECT count(*), count(DISTINCT id) FROM t") == [("200", "200")]
    runs = bench.store.runs.list(limit=None)
    assert {run.status for run in runs} == {"success"}
    spans = sorted((run.started_at, run.finished_at) for run in runs if run.finished_at)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans)), "no two ran at once"


@pytest.mark.sample(3)
def test_two_modules_into_one_destination(main_bench: Workbench) -> None:
    """Both merge the same keys; whoever comes last is what is there, nothing doubles."""
    bench = main_bench
    numbers(bench)
    bench.execute("CREATE TABLE t (id INTEGER, v INTEGER)")
    for value in (1, 2):
        bench.module(f"m{value}", query=f"SELECT id, {value} AS v FROM t", strategy="incremental", merge_key="id")
    processes = [child(bench, f"m{value}") for value in (1, 2)]
    statuses = [process.wait(LIMIT) for process in processes]
    for process in processes:
        process.communicate()
    # Where the database sees a deadlock, one of them is its victim, and says so.
    assert 0 in statuses
    assert set(statuses) <= {0, 1}
    assert bench.rows("SELECT count(*), count(DISTINCT id) FROM t") == [("200", "200")]


def test_what_a_killed_run_left_is_no_obstacle(any_bench: Workbench) -> None:
    """Also where DROP TABLE cannot say IF EXISTS."""
    numbers(any_bench)
    any_bench.module(strategy="full")
    any_bench.run()
    plan = any_bench.engine.run("m", dry_run=True, sessions=any_bench.pool).plan
    assert plan is not None
    if any_bench.store.definitions.connection("dst").driver != "sqlite":
        any_bench.execute(*plan.staging.setup)
    assert any_bench.run().rows_inserted == 200


def test_a_connection_cut_while_loading_leaves_the_destination_alone(
    pg_bench: Workbench, postgresql: object, cuttable_proxy: object
) -> None:
    """The first error is the one reported."""
    numbers(pg_bench, 100_000)
    server, proxy = postgresql, cuttable_proxy(postgresql.port)  # type: ignore[operator, attr-defined]
    url = pg_bench.store.definitions.connection("dst").jdbc_url.replace(f":{server.port}/", f":{proxy.port}/")  # type: ignore[attr-defined]
    pg_bench.execute("CREATE TABLE t (id INTEGER, v INTEGER)", "INSERT INTO t VALUES (-1, -1)")
    pg_bench.connect("cut", "postgresql", url, server.user, server.password)  # type: ignore[attr-defined]
    pg_bench.module(dest="cut")
    proxy.cut_after(300_000)
    with pytest.raises(RunError, match="connection") as caught:
        pg_bench.run()
    assert "current transaction is aborted" not in str(caught.value)
    assert pg_bench.rows("SELECT id FROM t") == [("-1",)]
    proxy.mend()
    assert pg_bench.run().rows_inserted == 100_000
