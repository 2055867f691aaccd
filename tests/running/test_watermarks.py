"""Watermarks: where values come from, what they become in the query, and the bounds that lose or double rows."""

from __future__ import annotations

import pytest

from pipekit_engine.errors import ConfigurationError, SourceError
from pipekit_engine.planning.watermarks import is_future
from tests.running.workbench import Workbench

SINCE = {"since": ("dst", "SELECT max(at) FROM t", "1970-01-01")}


def events(bench: Workbench, **fields: object) -> None:
    bench.source("CREATE TABLE t (id INTEGER, at TIMESTAMP)")
    values = {
        "query": "SELECT * FROM t WHERE at >= '{since}'",
        "strategy": "incremental",
        "merge_key": "id",
        "watermarks": SINCE,
    }
    bench.module(**{**values, **fields})


def test_the_second_run_moves_only_what_is_new_at_full_precision(main_bench: Workbench) -> None:
    """Equal timestamps are neither lost nor doubled, fractions survive the way to the resolver and back."""
    events(main_bench)
    main_bench.fill("t", [(i, "2024-01-01 10:00:00.123456") for i in (1, 2, 3)])
    assert main_bench.run().rows_read == 3
    main_bench.fill("t", [(i, "2024-01-01 10:00:00.123456") for i in (4, 5)])
    record = main_bench.run()
    assert (record.rows_read, record.rows_unchanged, record.rows_inserted) == (5, 3, 2)
    assert [row[0] for row in main_bench.rows("SELECT id FROM t")] == ["1", "2", "3", "4", "5"]
    main_bench.fill("t", [(6, "2024-01-01 10:00:00.123457")])
    main_bench.run()
    record = main_bench.run()
    assert record.rows_read == 1, "the watermark kept its last digit"
    assert record.watermarks["since"].value.startswith("2024-01-01 10:00:00.123457")


def test_a_row_committed_between_bound_and_read_comes_with_the_next_run(bench: Workbench) -> None:
    """The upper bound of a half-open window is resolved before the read; what comes later is the next run's."""
    bench.source(
        "CREATE TABLE t (id INTEGER, at INTEGER)", "CREATE TABLE clock (now INTEGER)", "INSERT INTO clock VALUES (10)"
    )
    bench.fill("t", [(1, 5)])
    bench.module(
        query="SELECT * FROM t WHERE at >= {since} AND at < {until}",
        strategy="append",
        watermarks={
            "since": ("dst", "SELECT max(until) FROM bounds", "0"),
            "until": ("src", "SELECT now FROM clock", None),
        },
    )
    bench.execute("CREATE TABLE bounds (until INTEGER)")

    def late_row(event: object) -> None:
        if getattr(event, "kind", "") == "phase" and getattr(event, "phase", "") == "stage":
            bench.fill("t", [(2, 10)])

    bench.run(on_event=late_row)
    bench.execute("INSERT INTO bounds VALUES (10)")
    bench.source("UPDATE clock SET now = 20")
    bench.run()
    assert bench.rows("SELECT id FROM t") == [("1",), ("2",)]


def test_a_lag_in_the_resolver_catches_late_rows(bench: Workbench) -> None:
    """A row that is committed late, with an older time, comes with a later run."""
    events(bench, watermarks={"since": ("dst", "SELECT datetime(max(at), '-1 hour') FROM t", "1970-01-01")})
    bench.fill("t", [(1, "2024-01-01 10:00:00")])
    bench.run()
    bench.fill("t", [(2, "2024-01-01 09:30:00")])
    bench.run()
    assert [row[0] for row in bench.rows("SELECT id FROM t")] == ["1", "2"]


@pytest.mark.parametrize("resolver", ["SELECT NULL", "SELECT 1 WHERE 1 = 0", "SELECT max(id) FROM not_there_yet"])
def test_no_value_takes_the_default(bench: Workbench, resolver: str) -> None:
    """NULL, no row, and on the first run no table."""
    events(bench, watermarks={"since": ("dst", resolver, "2024-01-02")})
    bench.fill("t", [(1, "2024-01-01 00:00:00"), (2, "2024-01-03 00:00:00")])
    record = bench.run()
    assert (record.rows_read, record.watermarks["since"].origin) == (1, "default")


def test_a_missing_table_is_a_first_run_only_while_there_is_no_destination(main_bench: Workbench) -> None:
    """A resolver with a typo took the default on each run: `append` moved all rows again and again."""
    bench = main_bench
    events(bench, watermarks={"since": ("dst", "SELECT max(at) FROM not_there", "1970-01-01")}, strategy="append")
    bench.fill("t", [(1, "2024-01-01 00:00:00")])
    bench.run()
    for _ in range(2):
        with pytest.raises(SourceError, match=r"(?s)watermark since asks a table that is not there.*--set since=VALUE"):
            bench.run()
    assert bench.rows("SELECT id FROM t") == [("1",)]
    assert bench.run(watermarks={"since": "2024-01-02"}).rows_read == 0


@pytest.mark.parametrize("resolver", ["SELECT NULL", "SELECT 1 WHERE 1 = 0"])
def test_neither_value_nor_default_is_a_clear_error(bench: Workbench, resolver: str) -> None:
    events(bench, watermarks={"since": ("dst", resolver, None)})
    with pytest.raises(SourceError, match=r"watermark since gave no value, and it has no default.*--set since=VALUE"):
        bench.run()


def test_a_resolver_that_fails_names_itself(bench: Workbench) -> None:
    events(bench, watermarks={"since": ("src", "SELECT max(wrong) FROM t", "1970-01-01")})
    with pytest.raises(
        SourceError, match=r"resolver of watermark since failed on connection src: .*no such column: wrong"
    ):
        bench.run()


def test_an_override_wins_and_is_recorded(bench: Workbench) -> None:
    events(bench)
    bench.fill("t", [(1, "2024-01-01 00:00:00"), (2, "2024-02-01 00:00:00")])
    bench.run()
    record = bench.run(watermarks={"since": "2024-01-01"})
    assert (record.rows_read, record.watermarks["since"].origin) == (2, "override")
    with pytest.raises(ConfigurationError, match=r"no watermark 'sinse'\. Did you mean 'since'"):
        bench.run(watermarks={"sinse": "2024-01-01"})
    assert bench.store.leases.all() == []


def test_a_value_is_neither_expanded_again_nor_able_to_end_its_literal(bench: Workbench) -> None:
    bench.source("CREATE TABLE t (name TEXT)")
    bench.fill("t", [("O'Brien {other}",), ("x",)])
    bench.module(
        query="SELECT name, '{\"json\": {\"k\": 1}}' AS j FROM t WHERE name = '{who}' AND '{other}' = 'o'  -- {who}'s",
        watermarks={"who": ("src", "SELECT name FROM t LIMIT 1", None), "other": ("src", "SELECT 'o'", None)},
    )
    assert bench.run().rows_read == 1
    assert bench.rows("SELECT name, j FROM t") == [("O'Brien {other}", '{"json": {"k": 1}}')]


def test_a_misspelt_placeholder_fails_the_run_before_anything_is_read(bench: Workbench) -> None:
    """It was once left as it is: no row was newer than the text '{sinc}', and every night's run a success."""
    bench.source("CREATE TABLE t (id INTEGER, at TEXT)")
    bench.fill("t", [(1, "2024-01-01")])
    bench.module(
        query="SELECT id, at FROM t WHERE at >= '{sinc}' -- {comment}",
        watermarks={"since": ("src", "SELECT max(at) FROM nowhere", None)},
    )
    with pytest.raises(ConfigurationError, match=r"\{sinc\} is filled by no watermark; did you mean \{since\}\?"):
        bench.run()
    with pytest.raises(ConfigurationError, match=r"\{sinc\}"):
        bench.run(dry_run=True)
    assert [run.status for run in bench.store.runs.list("m")] == ["error", "error"]


def test_doubled_braces_are_the_text_itself(bench: Workbench) -> None:
    bench.source("CREATE TABLE t (id INTEGER)")
    bench.fill("t", [(1,)])
    bench.module(query="SELECT id, '{{nobody}}' AS s FROM t")
    bench.run()
    assert bench.rows("SELECT s FROM t") == [("{nobody}",)]


def test_resolvers_run_live_in_a_dry_run_which_moves_nothing(main_bench: Workbench) -> None:
    events(main_bench)
    main_bench.fill("t", [(1, "2024-01-01 00:00:00")])
    main_bench.run()
    main_bench.fill("t", [(2, "2024-03-01 00:00:00")])
    record = main_bench.run(dry_run=True)
    assert record.status == "dry_run"
    assert record.source_sql is not None
    assert "at >= '2024-01-01 00:00:00" in record.source_sql
    assert record.merge_sql is not None
    assert "INSERT INTO" in record.merge_sql
    assert [row[0] for row in main_bench.rows("SELECT id FROM t")] == ["1"]
    assert main_bench.staging_left() == []


@pytest.mark.parametrize(
    ("value", "to_come"),
    [
        ("9999-12-31 00:00:00", True), ("infinity", True), ("2999-01-01T00:00:00Z", True), ("12024-01-01", True),
        ("2024-01-01 00:00:00", False), ("-infinity", False), ("99999999", False), ("2999-01-011", False), ("", False),
    ],
)  # fmt: skip
def test_times_to_come(value: str, to_come: bool) -> None:
    assert is_future(value) is to_come


def test_a_watermark_in_the_future_is_told(bench: Workbench) -> None:
    """One row with a mistyped year, and nothing that changes before then would ever be found again, in silence."""
    bench.source("CREATE TABLE t (id INTEGER, at TIMESTAMP)")
    bench.fill("t", [(1, "2024-01-01 00:00:00"), (2, "9924-01-02 00:00:00")])
    since = ("dst", "SELECT max(at) FROM t", "1970-01-01")
    until = ("src", "SELECT '9999-12-31'", None)
    query = "SELECT * FROM t WHERE at >= '{since}' AND at < '{until}'"
    bench.module(strategy="upsert", merge_key="id", query=query, watermarks={"since": since, "until": until})
    assert "warning" not in (bench.run().live_log or "")
    log = bench.run().live_log or ""
    assert "warning: {since} lies in the future" in log
    assert "{until} lies" not in log
