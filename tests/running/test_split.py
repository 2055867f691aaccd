"""Runs whose source is read over several connections."""

from __future__ import annotations

import pytest

from pipekit_engine.errors import ConfigurationError, RunError
from pipekit_engine.models import RunRecord
from pipekit_engine.planning import split
from tests.running.workbench import Workbench


@pytest.fixture(autouse=True)
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split, "ROWS_PER_RANGE", 50)


def start(bench: Workbench, rows: int = 1000, **fields: object) -> None:
    bench.source("CREATE TABLE t (id INTEGER PRIMARY KEY, code TEXT, v TEXT)", "CREATE INDEX t_code ON t (code)")
    bench.fill("t", [(i, f"{i * 7919 % 1009:04}'s", f"v{i}") for i in range(rows)])
    bench.module(**{"strategy": "full", "split_by": "id", "parallel": 4, **fields})


def log(record: RunRecord, bench: Workbench) -> str:
    return bench.store.runs.get(record.id).live_log


@pytest.mark.parametrize("split_by", ["id", "code", "code, id"])
@pytest.mark.parametrize(
    "fields", [{}, {"staging": "auto"}, {"strategy": "upsert", "merge_key": "id", "verify": "values"}], ids=repr
)
@pytest.mark.sample(3)
def test_the_rows_are_exact(main_bench: Workbench, split_by: str, fields: dict[str, str]) -> None:
    start(main_bench, split_by=split_by, **fields)
    for _ in range(2):
        record = main_bench.run()
        assert (record.status, record.rows_read) == ("success", 1000)
        assert main_bench.rows("SELECT count(*), count(DISTINCT code), sum(id) FROM t") == [("1000", "1000", "499500")]
        assert "22 ranges over 4 connections, at one moment" in log(record, main_bench)


def test_parallel_alone_takes_the_key(main_bench: Workbench) -> None:
    start(main_bench, split_by=(), strategy="upsert", merge_key="code")
    assert "ranges over 4 connections, at one moment" in log(main_bench.run(), main_bench)
    main_bench.module("n", dest_table="n", parallel=4)
    record = main_bench.run("n")
    assert "parallel is not used: there is no key" in log(record, main_bench)
    assert record.rows_read == 1000


def test_a_small_source_is_read_over_one_connection(bench: Workbench) -> None:
    start(bench, rows=49)
    assert "over one connection, as one range holds all of them" in log(bench.run(), bench)


def test_a_failure_of_one_reader_leaves_the_destination(main_bench: Workbench) -> None:
    start(main_bench)
    main_bench.run()
    module = main_bench.store.definitions.load().modules["m"]
    query = "SELECT id, code, abs(-9223372036854775807 - (id = 990)) AS v FROM t"
    main_bench.replace(module.model_copy(update={"query": query}))
    with pytest.raises(RunError, match="overflow"):
        main_bench.run()
    assert main_bench.rows("SELECT count(*) FROM t WHERE v LIKE 'v%'") == [("1000",)]
    assert main_bench.staging_left() == []


def test_columns_of_two_types_are_refused(bench: Workbench) -> None:
    """In SQLite a literal is compared by the column's affinity, of which a UNION has several."""
    start(bench)
    bench.source(
        "CREATE TABLE u (id TEXT, code TEXT, v TEXT)", "CREATE VIEW w AS SELECT * FROM t UNION ALL SELECT * FROM u"
    )
    for name, query in (
        ("a", "SELECT * FROM w"),
        ("b", "SELECT id + 0 AS id FROM t"),
        ("c", "SELECT id FROM t UNION ALL SELECT id FROM u"),
    ):
        bench.module(name, query=query, split_by="id", parallel=2)
        with pytest.raises(ConfigurationError, match="SQLite compares each cell by its own type"):
            bench.run(name)
    bench.module(
        "d",
        query="WITH x AS (SELECT id AS i FROM t) SELECT i, u.v FROM x LEFT JOIN u ON u.id = i",
        split_by="i",
        parallel=2,
    )
    assert bench.run("d").rows_read == 1000
