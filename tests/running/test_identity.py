"""Destinations that number their rows themselves: the source's numbers are kept."""

from __future__ import annotations

import pytest

from tests.running.workbench import Workbench


@pytest.mark.parametrize("strategy", ["full", "incremental", "upsert"])
def test_the_numbers_of_the_source_stand_in_an_identity_column(any_bench: Workbench, strategy: str) -> None:
    kind = any_bench.engine.store.definitions.load().connections["dst"].driver
    if kind not in ("postgresql", "h2", "hsqldb"):
        pytest.skip("no GENERATED ALWAYS AS IDENTITY, or none that takes values")
    any_bench.source("CREATE TABLE s (id INTEGER, name VARCHAR(20))")
    any_bench.fill("s", [(5, "a"), (7, "b")])
    any_bench.execute("CREATE TABLE d (id INTEGER GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name VARCHAR(20))")
    key = {} if strategy == "full" else {"merge_key": ("id",)}
    any_bench.module("m", query="SELECT id, name FROM s", dest_table="d", strategy=strategy, **key)
    any_bench.run("m")
    any_bench.source("UPDATE s SET name = 'c' WHERE id = 5", "INSERT INTO s VALUES (9, 'd')")
    any_bench.run("m")
    assert any_bench.rows("SELECT id, name FROM d") == [("5", "c"), ("7", "b"), ("9", "d")]
