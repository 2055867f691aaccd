"""New columns in an old destination: staging keeps the exact types of the columns that were there."""

from __future__ import annotations

from tests.engine.workbench import Workbench


def test_columns_with_sizes_stand_beside_new_ones(any_bench: Workbench) -> None:
    """Staging made from bare type names (`VARCHAR`, `DECIMAL`) was refused by H2, Derby and HSQLDB."""
    bench = any_bench
    bench.source("CREATE TABLE t (id INTEGER, s VARCHAR(20), d DECIMAL(12,3), c VARCHAR(5), n INTEGER, m TEXT)")
    bench.fill("t", [(1, "abc", "123456.789", "ab", 7, "more")])
    bench.execute(
        "CREATE TABLE t (id INTEGER, s VARCHAR(20), d DECIMAL(12,3), c CHAR(5))",
        "INSERT INTO t VALUES (1, 'x', 1, 'y')",
    )
    bench.module(on_schema_change="add_columns", strategy="upsert", merge_key="id")
    bench.run()
    bench.run()
    name = '"m"' if bench.store.definitions.connection("dst").driver == "postgresql" else "m"
    rows = bench.rows(f"SELECT s, d, c, n, {name} FROM t")
    assert [(s, d, (c or "").rstrip(), n, m) for s, d, c, n, m in rows] == [("abc", "123456.789", "ab", "7", "more")]
    assert bench.staging_left() == []
