"""Reading queries: select lists and comparisons, against what a real parser says where one is there."""

from __future__ import annotations

from typing import Any

import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import expressions as exp

from pipekit_engine.databases.dialects import get_dialect, kinds
from pipekit_engine.sql.comparisons import uses
from pipekit_engine.sql.select_list import select_list
from pipekit_engine.sql.syntax import UNKNOWN
from pipekit_engine.sql.tokens import tokens

#: query -> names; None for an expression without one, "*" for a star.
SELECT_LISTS: list[tuple[str, list[str | None] | None]] = [
    ("SELECT a, b.c, t.d AS e FROM t", ["a", "c", "e"]),
    ("select count(*) n, max(x), 'a' as k, case when 1 = 1 then 2 end z from t", ["n", None, "k", "z"]),
    ("SELECT x::date d, y::date, z::varchar(10), 1::int FROM t", ["d", "y", "z", None]),
    ("SELECT a IS NULL, b AT TIME ZONE 'utc' l, NULL, CURRENT_TIMESTAMP FROM t", [None, "l", None, None]),
    ("SELECT year, month, date, time FROM t;", ["year", "month", "date", "time"]),
    ("SELECT t.*, a FROM t", ["*", "a"]),
    ("SELECT * FROM t", ["*"]),
    ("SELECT a * 2, b * c AS d FROM t", [None, "d"]),
    ("SELECT DISTINCT ON (a, b) a, c FROM t", ["a", "c"]),
    ("SELECT TOP (10) PERCENT [Order Id], [a].[b] FROM t", ["Order Id", "b"]),
    ('SELECT "A, b", `c` AS `from` FROM t', ["A, b", "from"]),
    ("WITH c AS (SELECT 1 AS q FROM x) SELECT q, q + 1 r FROM c", ["q", "r"]),
    ("SELECT a FROM t UNION ALL SELECT b FROM u", ["a"]),
    ("(SELECT a FROM t)", ["a"]),
    ("SELECT (SELECT max(x) FROM u) m, -- , not this\n b /* nor, this */ FROM t", ["m", "b"]),
    ("SELECT substring(a FROM 2 FOR 3) s, extract(year FROM d) AS y, arr[1] k FROM t", ["s", "y", "k"]),
    ("SELECT sum(x) OVER (PARTITION BY a ORDER BY b) total, row_number() OVER w FROM t", ["total", None]),
    ("SELECT a COLLATE nocase, b || 'x' full_name, -c, NOT d FROM t", [None, "full_name", None, None]),
    ("SELECT cast(a AS decimal(10, 2)) AS amount, cast(b AS int) FROM t", ["amount", None]),
    ("SELECT trim(ORNAME) AS name, ORDTA# AS day, @v FROM LIB.ORDERS", ["name", "day", "@v"]),
    ("SELECT a, FROM t", None),
    ("VALUES (1, 2)", None),
    ("EXEC monthly_report", None),
    ("CALL p()", None),
    ("", None),
    ("SELECT", None),
]


@pytest.mark.parametrize(("sql", "names"), SELECT_LISTS, ids=[sql for sql, _ in SELECT_LISTS])
def test_the_select_list(sql: str, names: list[str | None] | None) -> None:
    found = select_list(sql, UNKNOWN)
    assert (None if found is None else ["*" if item.star else item.name for item in found.items]) == names


def test_sql_server_alone_names_a_column_with_equals() -> None:
    named, compared = (
        select_list("SELECT total = a + b FROM t", get_dialect("sqlserver").capabilities.syntax),
        select_list("SELECT total = a + b FROM t", UNKNOWN),
    )
    assert named is not None
    assert compared is not None
    assert (named.names, compared.names) == (["total"], [])


def test_a_word_that_may_be_a_unit_or_a_name_makes_unsure() -> None:
    found = select_list("SELECT ship_date + 5 days, a b FROM t", UNKNOWN)
    assert found is not None
    assert [(item.name, item.unsure) for item in found.items] == [(None, True), ("b", False)]


_IDENTIFIERS = st.sampled_from(["id", "name", "order_id", "Total", "changed_at", "x1"])


def _expressions() -> st.SearchStrategy[str]:
    literal = st.sampled_from(["1", "2.5", "'it''s, so'", "NULL"])
    column = st.one_of(_IDENTIFIERS, _IDENTIFIERS.map(lambda name: f"t.{name}"))

    def deeper(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.one_of(
            st.tuples(inner, st.sampled_from(["+", "-", "*", "||"]), inner).map(" ".join),
            inner.map(lambda e: f"coalesce({e}, 0)"),
            inner.map(lambda e: f"CASE WHEN {e} = 1 THEN 2 ELSE {e} END"),
            inner.map(lambda e: f"(SELECT max({e}) FROM u WHERE a = 1)"),
            inner.map(lambda e: f"CAST({e} AS DECIMAL(10, 2))"),
        )

    return st.recursive(st.one_of(literal, column), deeper, max_leaves=5)


_ITEMS = st.tuples(_expressions(), st.sampled_from(["", " AS {}", " {}"]), _IDENTIFIERS).map(
    lambda parts: parts[0] + parts[1].format(parts[2])
)


@settings(deadline=None)  # a busy machine is no fault
@given(st.lists(_ITEMS, min_size=1, max_size=5), st.sampled_from(["", "DISTINCT "]))
def test_names_agree_with_a_real_parser(items: list[str], prefix: str) -> None:
    sql = f"SELECT {prefix}{', '.join(items)} FROM t WHERE a > 1"
    parsed: Any = sqlglot.parse_one(sql, read="postgres")
    expected = [
        item.alias_or_name if isinstance(item, (exp.Alias, exp.Column)) else None for item in parsed.expressions
    ]
    found = select_list(sql, UNKNOWN)
    assert found is not None
    assert [item.name for item in found.items] == expected


@settings(deadline=None)  # a busy machine is no fault
@given(st.text(alphabet="ab ,()[]'\"*.:{}=<>-\n;`$", max_size=40), st.sampled_from(kinds()))
def test_no_text_makes_it_fall_over(text: str, kind: str) -> None:
    for token in tokens(f"SELECT {text}", get_dialect(kind).capabilities.syntax):
        assert token.depth >= 0
    select_list(f"SELECT {text}", get_dialect(kind).capabilities.syntax)
    uses(f"SELECT {text}", get_dialect(kind).capabilities.syntax)


COMPARISONS = [
    ("at >= '{s}' AND at < '{u}'", [("s", ">="), ("u", "<")]),
    ("'{s}' < at", [("s", ">")]),
    ("timestamp('{s}') <= at", [("s", ">=")]),
    ("at BETWEEN {x} AND {y} AND z > to_date('{s}', 'YYYY')", [("x", "between"), ("y", "and"), ("s", ">")]),
    ("at > cast('{s}' AS timestamp) - interval '1 h'", [("s", ">")]),
    ("at > '{s}'::timestamp - interval '1 h'", [("s", ">")]),
    ("year * 10000 + month * 100 + day >= {s}", [("s", ">=")]),
    ("(a > '{s}' OR b > '{s}')", [("s", ">"), ("s", ">")]),
    ("at >= timestamp '{s}'", [("s", ">=")]),
    ("id IN ({s})", [("s", None)]),
    ("a = 1 AND {s}", [("s", None)]),
    ("-- at > '{s}'\n at >= '{s}'", [("s", ">=")]),
]


@pytest.mark.parametrize(("condition", "expected"), COMPARISONS, ids=[item[0] for item in COMPARISONS])
def test_how_watermarks_are_compared(condition: str, expected: list[tuple[str, str | None]]) -> None:
    found = uses(f"SELECT a FROM t WHERE {condition}", UNKNOWN)
    assert [(use.name, use.operator) for use in found] == expected
