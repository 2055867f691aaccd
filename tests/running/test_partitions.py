"""Partitions: one is read and replaced as a whole, in each kind of destination; what is refused; what is recorded; backfills."""

from __future__ import annotations

import signal
import threading
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from pipekit_engine.errors import ConfigurationError, DestinationError, StagingError
from pipekit_engine.models import Partition
from pipekit_engine.running.partitions import PartitionEvent
from tests.running.test_crash import child
from tests.running.workbench import Workbench
from tests.waiting import LIMIT

DAYS: dict[str, Any] = {"by": "day", "start": "2024-01-01", "column": "at"}


def days(bench: Workbench, type_name: str = "TIMESTAMP", **fields: Any) -> None:
    """Module `m`, with rows around two midnights."""
    bench.source(f"CREATE TABLE t (id INTEGER, at {type_name}, note TEXT)")
    short = type_name == "DATE"
    bench.fill(
        "t",
        [
            (1, "2024-01-01" if short else "2024-01-01 23:59:59.999999", "a"),
            (2, "2024-01-02" if short else "2024-01-02 00:00:00", "b"),
            (3, "2024-01-02" if short else "2024-01-02 23:59:59.999999", "c"),
            (4, "2024-01-03" if short else "2024-01-03 00:00:00", "d"),
        ],
    )
    query = "SELECT id, at, note FROM t WHERE at >= '{partition_start}' AND at < '{partition_end}'"
    bench.module(**{"query": query, "partition": Partition(**DAYS), **fields})


def ids(bench: Workbench) -> list[int]:
    return sorted(int(row[0] or 0) for row in bench.rows("SELECT id FROM t"))


@pytest.mark.parametrize("type_name", ["TIMESTAMP", "DATE", "TIMESTAMPTZ"])
@pytest.mark.sample(3)
def test_a_partition_is_replaced_and_no_other(any_bench: Workbench, type_name: str) -> None:
    days(any_bench, type_name)
    first = any_bench.run(partition="2024-01-02")
    assert (first.partition, first.rows_read, first.rows_inserted) == ("2024-01-02", 2, 2)
    assert any_bench.run(partition="2024-01-01").rows_inserted == 1
    assert any_bench.run(partition="2024-01-03").rows_inserted == 1
    assert ids(any_bench) == [1, 2, 3, 4]
    # One row is gone at the source, one came late, one was changed.
    any_bench.source("DELETE FROM t WHERE id = 2", "UPDATE t SET note = 'C' WHERE id = 3")
    any_bench.fill("t", [(5, "2024-01-02" if type_name == "DATE" else "2024-01-02 00:00:00.000001", "e")])
    again = any_bench.run(partition="2024-01-02")
    assert (again.rows_deleted, again.rows_inserted) == (2, 2)
    assert any_bench.rows("SELECT id, note FROM t") == [("1", "a"), ("3", "C"), ("4", "d"), ("5", "e")]
    any_bench.source("DELETE FROM t")
    emptied = any_bench.run(partition="2024-01-02")
    assert (emptied.rows_deleted, emptied.rows_inserted) == (2, 0)
    assert ids(any_bench) == [1, 4]
    assert any_bench.staging_left() == []


def test_ranges_of_numbers(any_bench: Workbench) -> None:
    any_bench.source("CREATE TABLE t (id INTEGER, note TEXT)")
    any_bench.fill("t", [(number, "x") for number in (-10, -1, 0, 9, 10, 24)])
    any_bench.module(
        query="SELECT * FROM t WHERE id >= {partition_start} AND id < {partition_end}",
        partition=Partition(by="number", start="-10", end="25", step=10, column="id"),
    )
    result = any_bench.engine.backfill("m", sessions=any_bench.pool)
    assert [run.partition for run in result.runs] == ["-10", "0", "10", "20"]
    assert [run.rows_inserted for run in result.runs] == [2, 2, 1, 1]
    any_bench.source("DELETE FROM t WHERE id IN (0, 24)")
    assert any_bench.run(partition="5").partition == "0"
    assert ids(any_bench) == [-10, -1, 9, 10, 24]
    with pytest.raises(ConfigurationError, match="numbers have no newest"):
        any_bench.run()
    with pytest.raises(ConfigurationError, match="from -10 on and before 25"):
        any_bench.run(partition="25")


def test_texts_of_days_and_hours(bench: Workbench) -> None:
    days(bench, "TEXT")
    assert [bench.run(partition=f"2024-01-0{day}").rows_inserted for day in (1, 2, 3)] == [1, 2, 1]
    bench.replace(
        bench.store.definitions.module("m").model_copy(
            update={"partition": Partition(by="hour", start="2024-01-01 05:00", column="at")}
        )
    )
    hour = bench.run(partition="2024-01-02-23:00")
    assert (hour.partition, hour.rows_deleted, hour.rows_inserted) == ("2024-01-02-23:00", 1, 1)
    assert hour.watermarks["partition_start"].value == "2024-01-02 23:00:00"
    assert ids(bench) == [1, 2, 3, 4]


@pytest.mark.parametrize("kind", ["timestamptz", "timestamp"])
def test_a_day_of_another_zone(pg_bench: Workbench, kind: str) -> None:
    """An instant is in the day that it has in the zone; a time without zone is what the clock there shows."""
    bench = pg_bench
    bench.execute(
        f"CREATE TABLE s (id int, at {kind})",
        "INSERT INTO s VALUES (1, '2024-03-30 22:59:59.999999'), (2, '2024-03-30 23:00:00'), (3, '2024-03-31 21:59:59.999999'), "
        "(4, '2024-03-31 22:00:00')",
    )
    bench.module(
        source="dst",
        query="SELECT id, at FROM s WHERE at >= '{partition_start}' AND at < '{partition_end}'",
        partition=Partition(**{**DAYS, "timezone": "Europe/Paris"}),
    )
    record = bench.run(partition="2024-03-31")
    if kind == "timestamptz":  # that day has 23 hours
        assert record.watermarks["partition_start"].value == "2024-03-30 23:00:00"
        assert ids(bench) == [2, 3]
    else:
        assert record.watermarks["partition_end"].value == "2024-04-01"
        assert ids(bench) == [3, 4]
    assert bench.run(partition="2024-03-31").rows_deleted == 2


def test_rows_of_other_partitions_are_refused(main_bench: Workbench) -> None:
    days(main_bench, query="SELECT * FROM t WHERE at >= '{partition_start}'")
    with pytest.raises(
        StagingError, match="1 of 3 staged rows are not of partition 2024-01-02 by column at: 1 not from"
    ) as refused:
        main_bench.run(partition="2024-01-02")
    assert "< {partition_end}" in str(refused.value)
    module = main_bench.store.definitions.module("m")
    query = "SELECT * FROM t WHERE at >= '{partition_start}' AND at < '{partition_end}' OR at IS NULL"
    main_bench.replace(module.model_copy(update={"query": query}))
    main_bench.fill("t", [(6, None, None)])
    with pytest.raises(StagingError, match="1 with NULL there"):
        main_bench.run(partition="2024-01-02")
    assert main_bench.store.partitions.of("m") == {}


def test_a_partition_may_not_shrink_too_much(bench: Workbench) -> None:
    days(bench, max_shrink_percent=40)
    for day in (1, 2, 3):
        bench.run(partition=f"2024-01-0{day}")
    bench.source("DELETE FROM t WHERE id IN (2, 4)")
    with pytest.raises(DestinationError, match="partition 2024-01-02, by 1 would shrink it by 50"):
        bench.run(partition="2024-01-02")


def test_columns_that_cannot_be_divided(bench: Workbench) -> None:
    days(bench)
    module = bench.store.definitions.module("m")
    for column, problem in (("id", "needs a date, a timestamp or a text"), ("no", "no query column 'no'")):
        other = Partition(**{**DAYS, "column": column})
        bench.replace(module.model_copy(update={"partition": other}))
        with pytest.raises(ConfigurationError, match=problem):
            bench.run(partition="2024-01-01")


def test_which_partition_a_run_takes(bench: Workbench) -> None:
    """The newest that has ended; one that a run fills before its end is to be filled again."""
    bench.source("CREATE TABLE t (at TIMESTAMP)")
    now = datetime.now(timezone.utc)
    today, yesterday = (f"{now - timedelta(days=ago):%Y-%m-%d}" for ago in (0, 1))
    start = f"{now - timedelta(days=3):%Y-%m-%d}"
    query = "SELECT * FROM t WHERE at >= '{partition_start}' AND at < '{partition_end}'"
    bench.module(query=query, partition=Partition(by="day", start=start, column="at"))
    assert bench.run().partition == yesterday
    assert bench.run(partition=today).partition == today
    states = {state.item.key: state.state for state in bench.engine.partitions("m")}
    assert [states[key] for key in sorted(states)] == ["missing", "missing", "filled", "partly"]
    assert bench.run(now=now - timedelta(days=1)).partition == f"{now - timedelta(days=2):%Y-%m-%d}"
    bench.module("new", query=query, dest_table="n", partition=Partition(by="day", start=today, column="at"))
    with pytest.raises(ConfigurationError, match="its first day has not ended yet"):
        bench.run("new")
    bench.module("plain", dest_table="p")
    with pytest.raises(ConfigurationError, match="has no partitions"):
        bench.run("plain", partition=today)


def test_a_backfill_goes_on_where_it_stood(bench: Workbench) -> None:
    days(bench)
    told: list[str] = []
    cancel = threading.Event()

    def hear(event: PartitionEvent) -> None:
        told.append(f"{event.kind} {event.key} {event.number}/{event.of}")
        if event.kind == "done" and event.number == 2:
            cancel.set()

    span: dict[str, Any] = {"since": "2024-01-01", "until": "2024-01-04", "sessions": bench.pool}
    first = bench.engine.backfill("m", on_partition=hear, cancel=cancel, **span)
    assert (len(first.runs), first.cancelled, first.left) == (2, True, ["2024-01-03", "2024-01-04"])
    assert told[-1] == "done 2024-01-02 2/4"
    second = bench.engine.backfill("m", **span)
    assert (second.skipped, [run.partition for run in second.runs]) == (
        ["2024-01-01", "2024-01-02"],
        ["2024-01-03", "2024-01-04"],
    )
    assert ids(bench) == [1, 2, 3, 4]
    assert {run.triggered_by for run in bench.store.runs.list()} == {"backfill"}
    assert len(bench.engine.backfill("m", again=True, **span).runs) == 4
    filled = bench.store.partitions.of("m")["2024-01-02"]
    assert (filled.rows, filled.run_id) == (2, bench.store.runs.list()[2].id)
    # Filled is what a module of these partitions and this destination has filled.
    bench.replace(bench.store.definitions.module("m").model_copy(update={"retry": 1}))
    assert len(bench.store.partitions.of("m")) == 4
    weeks = Partition(**{**DAYS, "by": "week"})
    bench.replace(bench.store.definitions.module("m").model_copy(update={"partition": weeks}))
    assert bench.store.partitions.of("m") == {}


def test_a_failed_partition_ends_a_backfill_unless_it_keeps_going(bench: Workbench) -> None:
    days(bench, verify="counts", dedupe="error", merge_key="note")
    bench.fill("t", [(7, "2024-01-02 10:00:00", "b")])
    span: dict[str, Any] = {"since": "2024-01-01", "until": "2024-01-03", "sessions": bench.pool}
    stopped = bench.engine.backfill("m", **span)
    assert (list(stopped.failed), stopped.left) == (["2024-01-02"], ["2024-01-03"])
    assert "repeats the merge key" in stopped.failed["2024-01-02"]
    went_on = bench.engine.backfill("m", keep_going=True, **span)
    assert (list(went_on.failed), went_on.left, went_on.skipped) == (["2024-01-02"], [], ["2024-01-01"])
    assert ids(bench) == [1, 4]


@pytest.mark.parametrize("phase", ["stage", "verify", "merge", "hooks"])
@pytest.mark.sample(2)
def test_a_partition_whose_run_is_killed_is_whole(bench: Workbench, phase: str) -> None:
    """Old or new, never mixed; and the next run heals it."""
    days(bench, partition=Partition(**{**DAYS, "end": "2024-01-03"}))
    bench.run(partition="2024-01-01")
    bench.run()
    bench.source("DELETE FROM t WHERE id = 2", "UPDATE t SET note = 'C' WHERE id = 3")
    process = child(bench, "m", phase)
    process.communicate(timeout=LIMIT)
    assert process.returncode == -signal.SIGKILL
    there = bench.rows("SELECT id, note FROM t")
    assert there == ([("1", "a"), ("3", "C")] if phase == "hooks" else [("1", "a"), ("2", "b"), ("3", "c")])
    assert bench.run().status == "success"
    assert bench.rows("SELECT id, note FROM t") == [("1", "a"), ("3", "C")]
    assert bench.staging_left() == []


def test_a_backfill_waits_for_whoever_runs_the_module(bench: Workbench) -> None:
    days(bench)
    held = bench.store.runs.start("m", triggered_by="manual")
    assert held is not None
    told: list[str] = []

    def hear(event: PartitionEvent) -> None:
        told.append(event.kind)
        if event.kind == "waiting":
            bench.store.runs.finish(held[0], "cancelled")

    result = bench.engine.backfill("m", since="2024-01-01", until="2024-01-01", on_partition=hear, sessions=bench.pool)
    assert told == ["started", "waiting", "done"]
    assert result.runs[0].status == "success"
