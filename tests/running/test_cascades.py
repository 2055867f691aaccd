"""Rows of other tables, which foreign keys tie to the rows that a load deletes: they were once emptied without a word."""

from __future__ import annotations

import pytest

from pipekit_engine.errors import DestinationError
from tests.running.workbench import Workbench


def family(bench: Workbench, rule: str) -> None:
    if bench.engine.store.definitions.load().connections["dst"].driver == "sqlite":
        # SQLite enforces foreign keys only when it is asked to.
        bench.connect("keys", "sqlite", f"jdbc:sqlite:{bench.folder}/dest.db", options={"foreign_keys": "true"})
    bench.source("CREATE TABLE t (id INTEGER, name VARCHAR(20))")
    bench.fill("t", [(1, "a"), (3, "c")])
    bench.execute(
        "CREATE TABLE parent (id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(20))",
        "CREATE TABLE child (id INTEGER NOT NULL PRIMARY KEY, parent INTEGER, "
        f"FOREIGN KEY (parent) REFERENCES parent (id) ON DELETE {rule})",
        "INSERT INTO parent VALUES (1, 'old')",
        "INSERT INTO parent VALUES (2, 'b')",
        "INSERT INTO child VALUES (10, 1)",
        "INSERT INTO child VALUES (20, 2)",
    )


def load(bench: Workbench, name: str, **fields: object) -> None:
    known = bench.engine.store.definitions.load().connections
    bench.module(name, dest="keys" if "keys" in known else "dst", dest_table="parent", **fields)
    bench.run(name)


def test_a_strategy_that_deletes_is_refused(any_bench: Workbench) -> None:
    if any_bench.store.definitions.connection("dst").driver == "duckdb":
        pytest.skip("DuckDB's foreign keys cannot cascade")
    family(any_bench, "CASCADE")
    for name, fields in (("whole", {}), ("some", {"strategy": "incremental", "merge_key": ("id",)})):
        with pytest.raises(DestinationError, match=r"(?is)deletes rows of .*\bchild\b.*cascades: allow"):
            load(any_bench, name, **fields)
    load(any_bench, "changed", strategy="upsert", merge_key=("id",))
    assert any_bench.rows("SELECT id, parent FROM child") == [("10", "1"), ("20", "2")]
    load(any_bench, "meant", cascades="allow")
    assert any_bench.rows("SELECT id FROM parent") == [("1",), ("3",)]


def test_set_null_is_refused_and_no_action_is_the_databases_own(main_bench: Workbench) -> None:
    family(main_bench, "SET NULL")
    with pytest.raises(DestinationError, match="child"):
        load(main_bench, "whole")
    main_bench.execute("DROP TABLE child", "DELETE FROM parent")
    load(main_bench, "alone")
    assert main_bench.rows("SELECT id FROM parent") == [("1",), ("3",)]
