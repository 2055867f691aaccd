"""Checks of a module's rows: before the merge, after it, and alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from pipekit_engine.errors import CheckError, ConfigurationError, NotFoundError
from pipekit_engine.models import Check, Hook, Module, Partition, Watermark
from pipekit_engine.records.checks import CheckResult
from pipekit_engine.running.comparing import differ
from tests.running.workbench import Workbench


def checks(**named: dict[str, Any]) -> tuple[Check, ...]:
    return tuple(Check(name=name, **fields) for name, fields in named.items())


def found(bench: Workbench, module: str = "m") -> dict[str, CheckResult]:
    """What the store has of a module's checks."""
    return {result.name: result for result in bench.store.checks.last(module).get(module, [])}


def filled(bench: Workbench, **fields: Any) -> Module:
    bench.source("CREATE TABLE t (id INTEGER, n INTEGER)")
    bench.fill("t", [(1, 10), (2, 20), (3, None)])
    return bench.module(**fields)


def test_each_kind_of_destination_is_asked(any_bench: Workbench) -> None:
    bench = any_bench
    name = '"n"' if bench.store.definitions.connection("dst").driver == "postgresql" else "n"
    filled(
        bench,
        strategy="upsert",
        merge_key="id",
        checks=checks(
            rows={},
            unique_key={"on": "staging"},
            not_null={"columns": ["id"]},
            no_gap={"sql": f"SELECT * FROM {{table}} WHERE {name} IS NULL;", "severity": "warning", "on": "staging"},
            small={"sql": f"SELECT * FROM (SELECT * FROM {{destination}}) b WHERE {name} > 99"},
        ),
    )
    for _ in range(2):
        record = bench.run()
        stored = found(bench)
        assert {check: (item.status, item.count) for check, item in stored.items()} == {
            "rows": ("passed", 0),
            "unique_key": ("passed", 0),
            "not_null": ("passed", 0),
            "no_gap": ("failed", 1),
            "small": ("passed", 0),
        }
        assert {item.run_id for item in stored.values()} == {record.id}
        assert stored["no_gap"].standing == "warning"
        assert "check no_gap: warning: 1 row that must not be" in record.live_log
        assert "checks" in record.timings
    alone = {item.name: item for item in bench.engine.check("m", sessions=bench.pool)}
    assert {check: (item.status, item.on, item.run_id) for check, item in alone.items()} == {
        "rows": ("passed", "destination", None),
        "unique_key": ("passed", "destination", None),
        "not_null": ("passed", "destination", None),
        "no_gap": ("failed", "destination", None),
        "small": ("passed", "destination", None),
    }
    assert bench.staging_left() == []


def test_a_failing_check_of_staging_keeps_the_merge_from_happening(bench: Workbench) -> None:
    module = filled(
        bench,
        checks=checks(no_gap={"sql": "SELECT 1 FROM {table} WHERE n IS NULL", "on": "staging"}),
        hooks=(Hook(sql="CREATE TABLE told AS SELECT 'failed' AS x", run_on="failure"),),
        retry=2,
    )
    with pytest.raises(CheckError, match=r"1 check of module m failed. Nothing was merged.\n  no_gap: 1 row") as caught:
        bench.run()
    assert not caught.value.merge_committed
    assert caught.value.record is not None
    assert (caught.value.record.status, caught.value.record.phase) == ("error", "verify")
    assert "trying again" not in caught.value.record.live_log
    assert bench.rows("SELECT name FROM sqlite_master") == [("told",)]
    assert found(bench)["no_gap"].sql == 'SELECT 1 FROM "pipekit_staging"."m" WHERE n IS NULL'
    bench.source("DELETE FROM t WHERE n IS NULL")
    assert bench.run().status == "success"
    # A check that is gone from the definition is forgotten.
    bench.replace(module.model_copy(update={"checks": checks(rows={})}))
    bench.run()
    assert list(found(bench)) == ["rows"]


def test_a_failing_check_of_the_destination_fails_the_run_after_its_merge(bench: Workbench) -> None:
    filled(
        bench,
        checks=checks(few={"sql": "SELECT * FROM {table} WHERE n >= 10"}, broken={"sql": "SELECT * FROM nowhere"}),
        hooks=(
            Hook(sql="CREATE TABLE published AS SELECT 1 AS x"),
            Hook(sql="CREATE TABLE told AS SELECT 1 AS x", run_on="failure"),
        ),
    )
    with pytest.raises(CheckError, match="The merge was committed") as caught:
        bench.run()
    assert caught.value.merge_committed
    record = caught.value.record
    assert record is not None
    assert (record.status, record.phase, record.rows_inserted) == ("error", "hooks", 3)
    assert [row[0] for row in bench.rows("SELECT name FROM sqlite_master")] == ["t", "told"]
    stored = found(bench)
    assert (stored["few"].status, stored["few"].count) == ("failed", 2)
    assert stored["broken"].status == "error"
    assert "nowhere" in stored["broken"].message


@pytest.mark.parametrize(("on_failure", "after"), [("stop", []), ("continue", ["success"])])
def test_a_failing_check_counts_in_its_group(bench: Workbench, on_failure: str, after: list[str]) -> None:
    filled(bench, checks=checks(none={"sql": "SELECT * FROM {table}"}))
    bench.module("next", dest_table="next")
    bench.group(("m",), ("next",), on_failure=on_failure)
    result = bench.engine.run_group("g")
    assert result.record.status == "error"
    assert [run.status for run in result.runs if run.module == "next"] == after
    assert result.skipped == ([] if after else ["next"])


def test_volume_is_held_against_earlier_runs(bench: Workbench) -> None:
    filled(bench, checks=checks(volume={"on": "staging", "deviation_percent": 50}))
    standings = []
    for _ in range(4):
        bench.run()
        standings.append(found(bench)["volume"].status)
    assert standings == ["skipped", "skipped", "skipped", "passed"]
    bench.run(dry_run=True)
    bench.source("DELETE FROM t WHERE id > 1")
    with pytest.raises(CheckError, match="volume: 1 row read, 3 on average of 4 runs"):
        bench.run()
    assert bench.rows("SELECT COUNT(*) FROM t") == [("3",)]
    assert found(bench)["volume"].details == {"rows_read": 1, "runs": 4, "mean": 3.0, "deviation_percent": 66.7}
    # Alone it is the last success that is judged.
    assert bench.engine.check("m", sessions=bench.pool)[0].message == "3 rows read, 3 on average of 3 runs"


def test_rows_and_age_are_held_against_the_last_success(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(bench, fresh_within="1h", checks=checks(rows={}, freshness={}))
    first = {item.name: item for item in bench.engine.check("m", sessions=bench.pool)}
    assert {name: item.status for name, item in first.items()} == {"rows": "error", "freshness": "error"}
    assert "there is no file" in first["rows"].message
    bench.run()
    assert [item.status for item in bench.engine.check("m", sessions=bench.pool)] == ["passed", "passed"]
    bench.execute("DELETE FROM t WHERE id = 1")
    monkeypatch.setattr(Module, "fresh_age", timedelta(0))
    lost, old = bench.engine.check("m", sessions=bench.pool)
    assert (lost.status, lost.count, lost.details) == ("failed", 1, {"rows_there": 2, "rows_moved": 3})
    assert (old.status, old.details) == ("failed", {"age_s": 0})
    assert [item.name for item in bench.engine.check("m", names=["rows"], sessions=bench.pool)] == ["rows"]
    assert len(found(bench)) == 2
    with pytest.raises(NotFoundError, match=r"There is no check of module m 'row'\. Did you mean 'rows'\?"):
        bench.engine.check("m", names=["row"])


def test_a_check_of_an_unknown_column_is_refused_before_anything_is_moved(bench: Workbench) -> None:
    filled(bench, checks=checks(not_null={"columns": ["nope"]}))
    with pytest.raises(ConfigurationError, match="checks: There is no column 'nope'"):
        bench.run()
    assert bench.rows("SELECT name FROM sqlite_master") == []


def test_a_dry_run_shows_the_checks(bench: Workbench) -> None:
    filled(bench, checks=checks(rows={}, mine={"sql": "SELECT 1 FROM {table} WHERE 1 = 0", "on": "staging"}))
    plan = bench.engine.run("m", dry_run=True, sessions=bench.pool).plan
    assert plan is not None
    assert "-- check mine (error), before the merge, on dst\nSELECT 1 FROM " in plan.render()
    assert '-- check rows (error), after the merge, on dst\nSELECT COUNT(*) FROM "main"."t";' in plan.render()
    assert found(bench) == {}


def test_diff_of_source_and_destination(any_bench: Workbench) -> None:
    """Asked alone: rows that the destination has no more or still has, and other values, by their columns and without them."""
    bench = any_bench
    bench.source("CREATE TABLE t (id INTEGER, n BIGINT, day DATE, word TEXT)")
    bench.fill("t", [(1, 9_007_199_254_740_993, "2024-01-01", "a"), (2, -5, "2024-02-29", None), (3, None, None, "")])
    bench.module(
        query="SELECT * FROM t WHERE id > {since}",
        strategy="upsert",
        merge_key="id",
        watermarks={"since": ("src", "SELECT 2", "0")},
        checks=checks(diff={}),
    )

    def diff() -> tuple[str, int | None, str]:
        (result,) = bench.engine.check("m", sessions=bench.pool)
        assert "9007199254740993" not in result.model_dump_json(), "nothing is kept of the rows"
        return result.status, result.count, result.message.lower()

    bench.engine.run("m", watermarks={"since": "0"}, sessions=bench.pool)
    assert found(bench) == {}, "no run asks it"
    assert diff() == ("passed", None, "3 rows on both sides, alike in 4 columns")
    bench.source("UPDATE t SET n = n - 1 WHERE id = 1", "UPDATE t SET word = NULL WHERE id = 1")
    assert diff() == ("failed", None, "3 rows on both sides, and other values: n (greatest, sum); word (nulls)")
    bench.source("UPDATE t SET n = n + 1, word = 'a' WHERE id = 1", "DELETE FROM t WHERE id = 2")
    assert diff() == ("failed", 1, "2 rows in the source, 3 in the destination")
    bench.run()
    assert found(bench)["diff"].status == "failed", "a run leaves what was found"


@pytest.mark.parametrize(
    ("way", "one", "other", "unlike"),
    [
        ("sum", "1.50", "1.5", False),
        ("sum", "12E+2", "1200", False),
        ("greatest", "NaN", "NaN", False),
        ("greatest", "2024-02-29", "2024-02-29 00:00:00.000", False),
        ("greatest", "2024-02-29T10:00", "2024-02-29 10:00:00", False),
        ("greatest", "2024-02-29 10:00:00.120", "2024-02-29 10:00:00.12", False),
        ("greatest", "2024-02-29 10:00:00.1", "2024-02-29 10:00:00.12", True),
        ("least", None, "0", True),
        ("least", None, None, False),
        ("NULLs", None, "0", False),
    ],
)
def test_answers_are_compared_by_what_they_mean(way: str, one: str | None, other: str | None, unlike: bool) -> None:
    assert differ(way, one, other) is unlike


def test_diff_of_the_partition_that_was_filled_last(bench: Workbench) -> None:
    filled(
        bench,
        query="SELECT * FROM t WHERE id >= {partition_start} AND id < {partition_end}",
        partition=Partition(by="number", start="0", end="10", step=2, column="id"),
        checks=checks(diff={}),
    )
    (before,) = bench.engine.check("m", sessions=bench.pool)
    bench.run(partition="2")
    (after,) = bench.engine.check("m", sessions=bench.pool)
    assert (before.status, after.status, after.details["rows_source"]) == ("error", "passed", 2)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"strategy": "append"}, "not for `append`"),
        ({"strategy": "upsert", "merge_key": ("id",), "dedupe": "latest by n"}, "dedupe: latest"),
        (
            {"strategy": "full", "watermarks": (Watermark(name="since", connection="d", resolver_sql="SELECT 1"),)},
            "default",
        ),
    ],
)
def test_diff_needs_a_destination_that_can_equal_the_query(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Module(name="m", source="s", dest="d", query="SELECT 1", dest_table="t", checks=checks(diff={}), **fields)
