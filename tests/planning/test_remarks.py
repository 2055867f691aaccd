"""Where a query's columns come from, by its text alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipekit_engine.databases.dialects import get_dialect, kinds
from pipekit_engine.databases.names import quoted_name
from pipekit_engine.sql.query import read_query


def traced(sql: str, columns: str, kind: str = "postgresql") -> str:
    """The origins as text: `column<table.column`, and the one table in front."""
    dialect = get_dialect(kind)
    query = read_query(sql, dialect.capabilities.syntax)

    def table(parts: tuple[str, ...]) -> str:
        return ".".join(dialect.table_name(quoted_name(parts)).parts)

    found = [table(query.sources[0]) if len(query.sources) == 1 else "-"]
    open_ones = []
    for name in columns.split("|"):
        lineage = query.column(name)
        if lineage is not None and lineage.copied:
            (origin,) = lineage.inputs
            found.append(f"{name}<{table(origin.table)}.{origin.column}")
        elif lineage is not None and lineage.among:
            open_ones.append(f"{name}<?.{lineage.among[0].column}")
    return " ".join([*found, *open_ones])


@pytest.mark.parametrize(
    ("sql", "columns", "expected"),
    [
        ("SELECT * FROM orders", "id|total", "orders id<orders.id total<orders.total"),
        (
            "select ID, Total as sum from Sales.Orders where x > 1",
            "id|sum",
            "sales.orders id<sales.orders.id sum<sales.orders.total",
        ),
        (
            "SELECT o.id, o.total amount FROM sales.orders AS o",
            "id|amount",
            "sales.orders id<sales.orders.id amount<sales.orders.total",
        ),
        ('SELECT "Odd ""Name" n FROM "My.Table"', "n", 'My.Table n<My.Table.Odd "Name'),
        ("SELECT id, upper(name) AS name, 1 AS one FROM t", "id|name|one", "t id<t.id"),
        ("SELECT *, now() AS loaded FROM t", "id|loaded", "t id<t.id"),
        ("SELECT DISTINCT id FROM t -- FROM other\n", "id", "t id<t.id"),
        ("SELECT /* x, */ id FROM t LIMIT 10", "id", "t id<t.id"),
        ("SELECT id, 'a, b FROM c' AS s FROM t", "id|s", "t id<t.id"),
        ("SELECT id, (SELECT max(x) FROM u) m FROM t", "id|m", "t id<t.id"),
        ("SELECT a.id, b.name FROM a JOIN b ON a.id = b.id", "id|name", "- id<a.id name<b.name"),
        ("SELECT a.*, b.name FROM a, b", "id|name", "- id<a.id name<b.name"),
        ("SELECT id, n AS m FROM a LEFT OUTER JOIN b USING (id)", "id|m", "- id<?.id m<?.n"),
        ("SELECT * FROM a JOIN b ON a.id = b.id", "id", "- id<?.id"),
        ("SELECT a.*, b.* FROM a, b", "id", "-"),
        ("SELECT *, a.n + b.n AS n FROM a, b", "id|n", "- id<?.id"),
        ("SELECT * FROM a, (SELECT 1) b", "id", "-"),
        ("SELECT id, a.n FROM a, (SELECT 1 AS id) b", "id|n", "- n<a.n"),
        ("SELECT x.id, x.n FROM (SELECT id, n FROM t) x", "id|n", "- id<t.id n<t.n"),
        (
            "WITH x AS (SELECT a.id, a.n FROM a) SELECT x.id, b.name, x.n + 1 AS n FROM x JOIN b ON b.id = x.id",
            "id|name|n",
            "- id<a.id name<b.name",
        ),
        ("SELECT id FROM (a JOIN b ON true)", "id", "-"),
        ("SELECT id FROM generate_series(1, 2) id", "id", "-"),
        ("SELECT id FROM a UNION ALL SELECT id FROM b", "id", "-"),
        ("WITH t AS (SELECT 1 AS id) SELECT id FROM t", "id", "-"),
        ("SELECT s1.t.id, s2.t.n FROM s1.t, s2.t", "id|n", "-"),
        ("SELECT 1", "?column?", "-"),
        ("SELECT id::text, total * 2 AS twice, -n AS neg FROM t", "id|twice|neg", "t"),
        ("SELECT CASE WHEN a THEN b END AS a FROM t", "a", "t"),
        ("VALUES (1)", "column1", "-"),
        ("SELECT id FROM ONLY t FOR UPDATE", "id", "t id<t.id"),
        ("SELECT id FROM", "id", "-"),
        ("", "id", "-"),
    ],
)
def test_origins(sql: str, columns: str, expected: str) -> None:
    assert traced(sql, columns) == expected


@pytest.mark.parametrize(
    ("kind", "sql", "columns", "expected"),
    [
        ("oracle", "SELECT order_id FROM erp.orders WHERE ROWNUM < 5", "ORDER_ID", "ERP.ORDERS ORDER_ID<ERP.ORDERS.ORDER_ID"),
        (
            "sqlserver",
            "SELECT TOP (10) [Order Id], o.[Total] AS [Sum] FROM [dbo].[Orders] AS o WITH (NOLOCK)",
            "Order Id|Sum",
            "dbo.Orders Order Id<dbo.Orders.Order Id Sum<dbo.Orders.Total",
        ),
        ("sqlserver", "SELECT TOP 5 * FROM erp.dbo.Orders o", "Id", "erp.dbo.Orders Id<erp.dbo.Orders.Id"),
        ("db2", "SELECT CUSNUM FROM PRODLIB/CUSTMAS", "CUSNUM", "PRODLIB.CUSTMAS CUSNUM<PRODLIB.CUSTMAS.CUSNUM"),
        ("db2", "SELECT ORD# FROM LIB.ORDERS WITH UR", "ORD#", "LIB.ORDERS ORD#<LIB.ORDERS.ORD#"),
        ("mariadb", "SELECT `id`, `a``b` FROM `s`.`my t` USE INDEX (x)", "id|a`b", "s.my t id<s.my t.id a`b<s.my t.a`b"),
        ("sqlite", "SELECT [id] FROM [my table]", "id", "main.my table id<main.my table.id"),
        ("postgresql", "SELECT tags[1] FROM t", "tags", "t"),
    ],
)  # fmt: skip
def test_origins_in_other_dialects(kind: str, sql: str, columns: str, expected: str) -> None:
    assert traced(sql, columns, kind) == expected


PIECES = "SELECT FROM JOIN ON AS WITH TOP DISTINCT UNION WHERE LATERAL a b t.* * . , ( ) [ ] \" ` ' ; -- /* 1 = \0"


@given(st.lists(st.sampled_from(PIECES.split(" ")), max_size=25), st.sampled_from(kinds()))
def test_no_text_at_all_is_too_odd(pieces: list[str], kind: str) -> None:
    """It is read in the middle of a run: whatever a query holds, it must not fail."""
    query = read_query("SELECT " + " ".join(pieces), get_dialect(kind).capabilities.syntax)
    for name in ("a", "b", ""):
        query.column(name)
    assert query.known or not query.tables
