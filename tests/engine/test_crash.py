"""A process dies, at every phase: the lock is freed, the run told truthfully, and running again gives the exact rows."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipekit_engine.errors import HookError, OutcomeUnknown, RunError
from pipekit_engine.models import Hook
from pipekit_engine.process import ProcessName
from tests.engine.workbench import Workbench

ROOT = Path(__file__).resolve().parents[2]


def child(bench: Workbench, module: str, kill_at: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.engine.child", str(bench.folder), module, kill_at],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def gone(process: ProcessName | None, seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while process is not None and process.alive():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def numbers(bench: Workbench, count: int = 200) -> None:
    bench.source("CREATE TABLE t (id INTEGER, v INTEGER)")
    bench.fill("t", [(i, i % 7) for i in range(count)])


@pytest.mark.parametrize("strategy", ["full", "incremental", "append", "upsert"])
@pytest.mark.parametrize("phase", ["plan", "stage", "verify", "merge", "hooks"])
def test_sigkill_at_the_start_of_each_phase(bench: Workbench, strategy: str, phase: str) -> None:
    """traps.md 8 and 15. `append` reads from where the destination ends, so that it, too, can be run again."""
    numbers(bench)
    key = {"merge_key": "id"} if strategy in ("incremental", "upsert") else {}
    bench.module(
        strategy=strategy,
        query="SELECT * FROM t WHERE id > {last}" if strategy == "append" else "SELECT * FROM t",
        watermarks={"last": ("dst", "SELECT max(id) FROM t", "-1")} if strategy == "append" else {},
        **key,
    )
    process = child(bench, "m", phase)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert out.split()[-1] == phase
    lease = bench.store.leases.find("module", "m")
    assert lease is not None
    assert lease.abandoned()
    assert gone(lease.child), "jrunner ends with its engine"
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


def slow_merge(bench: Workbench, seconds: float) -> None:
    """A PostgreSQL destination whose inserts take their time."""
    numbers(bench)
    bench.execute(
        "CREATE TABLE t (id INTEGER, v INTEGER)",
        "INSERT INTO t VALUES (-1, -1)",
        f"CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep({seconds}); RETURN NULL; END $$",
        "CREATE TRIGGER dawdle BEFORE INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION dawdle()",
    )


def wait_for_merge(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == "merge":
            time.sleep(0.7)
            return
    raise AssertionError("the run never came to its merge")


def test_sigkill_in_the_middle_of_a_merge(pg_bench: Workbench) -> None:
    """The server sees its client go, rolls back, and nothing of the merge is there."""
    slow_merge(pg_bench, 3)
    pg_bench.module(strategy="full")
    with child(pg_bench, "m") as process:
        wait_for_merge(process)
        lease = pg_bench.store.leases.find("module", "m")
        process.send_signal(signal.SIGKILL)
    assert lease is not None
    assert gone(lease.child)
    assert pg_bench.rows("SELECT id FROM t") == [("-1",)]
    pg_bench.execute("DROP TRIGGER dawdle ON t")
    pg_bench.run()
    assert pg_bench.rows("SELECT count(*), min(id) FROM t") == [("200", "0")]
    assert pg_bench.staging_left() == []


def test_sigterm_ends_the_merge_and_says_cancelled(pg_bench: Workbench) -> None:
    """traps.md 16, from outside: Ctrl-C's signal to the engine ends jrunner and its statement."""
    slow_merge(pg_bench, 20)
    pg_bench.module(strategy="full")
    with child(pg_bench, "m") as process:
        wait_for_merge(process)
        lease = pg_bench.store.leases.find("module", "m")
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.wait(timeout=15)
    assert time.monotonic() - started < 10
    assert lease is not None
    assert gone(lease.child)
    assert pg_bench.store.runs.list()[0].status == "cancelled"
    busy = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pipekit m %' AND state = 'active'"
    assert pg_bench.rows(busy) == [("0",)]
    assert pg_bench.rows("SELECT id FROM t") == [("-1",)]
    assert pg_bench.staging_left() == []


def test_jrunner_killed_in_the_middle_of_a_merge_is_outcome_unknown(pg_bench: Workbench) -> None:
    slow_merge(pg_bench, 3)
    pg_bench.module(strategy="full")

    def kill(event: object) -> None:
        if getattr(event, "kind", "") == "phase" and getattr(event, "phase", "") == "merge":
            lease = pg_bench.store.leases.find("module", "m")
            assert lease is not None
            assert lease.child is not None
            os.kill(lease.child.pid, signal.SIGKILL)

    with pytest.raises(OutcomeUnknown, match="outcome unknown"):
        pg_bench.run(on_event=kill)
    record = pg_bench.store.runs.list()[0]
    assert record.status == "error"
    assert pg_bench.store.leases.all() == []
    pg_bench.execute("DROP TRIGGER dawdle ON t")
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


def test_a_live_long_run_is_not_robbed(pg_bench: Workbench) -> None:
    slow_merge(pg_bench, 4)
    pg_bench.module(strategy="full")
    with child(pg_bench, "m") as process:
        wait_for_merge(process)
        os.kill(process.pid, signal.SIGSTOP)
        try:
            assert pg_bench.engine.recover() == []
            assert child(pg_bench, "m").wait(timeout=30) == 3
        finally:
            os.kill(process.pid, signal.SIGCONT)
        assert process.wait(timeout=30) == 0
    assert pg_bench.rows("SELECT count(*) FROM t") == [("200",)]


def test_many_at_once_exactly_one_wins(bench: Workbench) -> None:
    """traps.md 11. Each of the losers fails at once with exit status 3, or runs after the winner; the rows are exact."""
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


def test_two_modules_into_one_destination(main_bench: Workbench) -> None:
    """traps.md 11: both merge the same keys; whoever comes last is what is there, nothing doubles."""
    bench = main_bench
    numbers(bench)
    bench.execute("CREATE TABLE t (id INTEGER, v INTEGER)")
    for value in (1, 2):
        bench.module(f"m{value}", query=f"SELECT id, {value} AS v FROM t", strategy="incremental", merge_key="id")
    processes = [child(bench, f"m{value}") for value in (1, 2)]
    statuses = [process.wait(timeout=60) for process in processes]
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
    """traps.md 14: the first error is the one reported."""
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
