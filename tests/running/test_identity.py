"""Destinations that number their rows themselves: the source's numbers are kept."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipekit_engine.errors import DestinationError
from tests.running.conftest import bench_to
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


def test_an_identity_column_of_derby_takes_no_value_until_it_is_told_to(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    for bench in bench_to("derby", tmp_path, request):
        bench.source("CREATE TABLE s (id INTEGER, name VARCHAR(20))")
        bench.fill("s", [(5, "a"), (7, "b")])
        bench.execute("CREATE TABLE d (id INTEGER GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name VARCHAR(20))")
        bench.module("m", query="SELECT id, name FROM s", dest_table="d", strategy="upsert", merge_key=("id",))
        with pytest.raises(DestinationError, match=r"Column ID of .*D. is GENERATED ALWAYS") as caught:
            bench.run("m")
        told = re.search(r"ALTER TABLE [^.:]+", str(caught.value))
        assert told is not None
        bench.execute(told[0])
        bench.run("m")
        assert bench.rows("SELECT id, name FROM d") == [("5", "a"), ("7", "b")]
