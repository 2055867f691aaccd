"""Which tables a query reads: WITH clauses in all their forms."""

from __future__ import annotations

import pytest

from pipekit_dagster.lineage import source_tables


@pytest.mark.parametrize(
    ("query", "tables"),
    [
        ("WITH a AS MATERIALIZED (SELECT 1 FROM t) SELECT * FROM a", ["t"]),
        (
            "WITH a AS NOT MATERIALIZED (SELECT 1 FROM t), b AS(SELECT 1 FROM a) SELECT * FROM b JOIN u ON 1 = 1",
            ["t", "u"],
        ),
        ('WITH "A b" (x, y) AS (SELECT 1, 2 FROM t) SELECT * FROM "A b"', ["t"]),
        (f"WITH wide ({', '.join(f'column_{i}' for i in range(500))}) AS (SELECT * FROM t) SELECT * FROM wide", ["t"]),
        ("SELECT CAST(x AS (INT)) FROM t", ["t"]),
    ],
)
def test_names_that_a_with_clause_defines_are_no_tables(query: str, tables: list[str]) -> None:
    assert source_tables(query) == [(table,) for table in tables]
