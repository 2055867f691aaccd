"""New columns in an old destination: staging keeps the exact types of the columns that were there."""

from __future__ import annotations

import pytest

from tests.running.workbench import Workbench


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


@pytest.mark.parametrize(
    ("strategy", "effect"), [("full", "the rows that are replaced get its default"), ("upsert", "it stays as it is")]
)
@pytest.mark.parametrize("policy", ["add_columns", "ignore"])
def test_a_column_that_the_query_no_longer_has_is_told(
    bench: Workbench, strategy: str, effect: str, policy: str
) -> None:
    """A column that was renamed at the source: under its new name it is added or left out, the old one silently ages."""
    bench.source("CREATE TABLE t (id INTEGER, a TEXT)")
    bench.fill("t", [(1, "x")])
    bench.module(on_schema_change=policy, strategy=strategy, merge_key="id")
    assert "not in the query" not in (bench.run().live_log or "")
    bench.source("ALTER TABLE t RENAME COLUMN a TO b")
    assert f"warning: column a of the destination is not in the query: {effect}" in (bench.run().live_log or "")
