"""Queries whose every row is one row of one table."""

from __future__ import annotations

import pytest

from pipekit_engine.databases.dialects import get_dialect
from pipekit_engine.sql.one_table import read_one_table

POSTGRESQL = get_dialect("postgresql").capabilities.syntax

PLAIN = [
    ("SELECT * FROM t", ("t", "t", "")),
    ("select a, b::numeric(10, 2) as c from sales.orders", ("sales.orders", "sales.orders", "")),
    (
        'SELECT o.* FROM "Sales"."Or""ders" AS "o x" WHERE a = 1 OR b IN (SELECT max(x) FROM u)',
        ('"Sales"."Or""ders"', '"o x"', "a = 1 OR b IN (SELECT max(x) FROM u)"),
    ),
    (
        "SELECT lower(a) || coalesce(b, (c)) AS d FROM t x -- no\n WHERE a IS DISTINCT FROM b -- yes",
        ("t", "x", "a IS DISTINCT FROM b -- yes"),
    ),
    ("SELECT extract(year FROM a) AS y, CASE WHEN (b) THEN 1 END FROM t", ("t", "t", "")),
]


@pytest.mark.parametrize(("sql", "parts"), PLAIN)
def test_plain(sql: str, parts: tuple[str, str, str]) -> None:
    found = read_one_table(sql, POSTGRESQL)
    assert found is not None
    assert (found.table, found.name, found.condition) == parts
    assert found.where("x > 1").endswith("AND x > 1" if parts[2] else "WHERE x > 1")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "SELECT DISTINCT a FROM t",
        "SELECT ALL a FROM t",
        "SELECT count(*) FROM t",
        "SELECT my.lower(a) FROM t",
        'SELECT "max"(a) FROM t',
        "SELECT array_agg(a) FILTER (WHERE a > 1) FROM t",
        "SELECT a, row_number() OVER () FROM t",
        "SELECT a, (SELECT b FROM u) FROM t",
        "SELECT generate_series(1, a) FROM t",
        "SELECT a INTO u FROM t",
        "SELECT a FROM t, u",
        "SELECT a FROM t JOIN u USING (a)",
        "SELECT a FROM t NATURAL JOIN u",
        "SELECT a FROM (SELECT a FROM t) x",
        "SELECT a FROM f(1)",
        "SELECT a FROM ONLY t",
        "SELECT a FROM t AS x (b)",
        "SELECT a FROM t TABLESAMPLE SYSTEM (1)",
        "SELECT a FROM t GROUP BY a",
        "SELECT a FROM t WHERE b GROUP BY a",
        "SELECT a FROM t WHERE b ORDER BY a",
        "SELECT a FROM t LIMIT 1",
        "SELECT a FROM t WHERE b FOR UPDATE",
        "SELECT a FROM t UNION SELECT a FROM u",
        "SELECT a FROM t WHERE b UNION ALL SELECT a FROM u WHERE c",
        "SELECT a IS DISTINCT FROM b AS c FROM t",
        "WITH x AS (SELECT 1) SELECT * FROM t",
        "(SELECT a FROM t)",
        "VALUES (1)",
        "TABLE t",
        "",
    ],
)
def test_not_plain(sql: str) -> None:
    assert read_one_table(sql, POSTGRESQL) is None


def test_names_in_brackets() -> None:
    found = read_one_table("SELECT a FROM [my t] WHERE a > 1", get_dialect("sqlite").capabilities.syntax)
    assert found is not None
    assert (found.table, found.where("b")) == ("[my t]", "SELECT a FROM [my t]\n WHERE (a > 1\n) AND b")
