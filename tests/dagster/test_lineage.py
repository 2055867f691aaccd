"""Which tables and columns a query reads: WITH clauses in all their forms, one asset a table, columns through joins."""

from __future__ import annotations

import dagster as dg
import pytest

from pipekit_dagster import DagsterPipekitTranslator
from pipekit_dagster.build import assemble
from pipekit_engine.config import Config
from pipekit_engine.models import Connection, Definitions, Module
from pipekit_engine.operations.lineage import source_tables
from pipekit_engine.sql.syntax import UNKNOWN


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
        ("SELECT CAST(x AS DECIMAL (9, 2)) FROM t", ["t"]),
    ],
)
def test_names_that_a_with_clause_defines_are_no_tables(query: str, tables: list[str]) -> None:
    assert source_tables(query, UNKNOWN) == [(table,) for table in tables]


def _definitions(**modules: tuple[str, str, str, str]) -> Definitions:
    """Modules as (source, query, destination, table), on connections that are called like their kinds."""
    urls = {
        "postgresql": "jdbc:postgresql://h/x",
        "oracle": "jdbc:oracle:thin:@//h:1521/x",
        "sqlserver": "jdbc:sqlserver://h;databaseName=x",
        "db2": "jdbc:as400://h",
        "mysql": "jdbc:mysql://h/x",
    }
    return Definitions(
        connections={kind: Connection(name=kind, driver=kind, jdbc_url=url) for kind, url in urls.items()},
        modules={
            name: Module(name=name, source=source, query=query, dest=dest, dest_table=table, strategy="full")
            for name, (source, query, dest, table) in modules.items()
        },
    )


def _keys(definitions: Definitions) -> set[str]:
    made = assemble(Config(), definitions, [], DagsterPipekitTranslator())
    return {"/".join(spec.key.path) for spec in made.resolve_all_asset_specs()}


@pytest.mark.parametrize(
    ("kind", "one", "other", "expected"),
    [
        ("postgresql", "Sales.Orders", '"sales".orders', ["sales/orders"]),
        ("postgresql", '"Sales".orders', "sales.orders", ["Sales/orders", "sales/orders"]),
        ("oracle", "erp.orders", "ERP.Orders", ["ERP/ORDERS"]),
        ("sqlserver", "[dbo].[Orders]", "DBO.orders", ["dbo/orders"]),
        ("db2", "lib/ordhdr", "LIB.ORDHDR", ["LIB/ORDHDR"]),
        ("mysql", "shop.Orders", "shop.orders", ["shop/Orders", "shop/orders"]),
    ],
)
def test_one_table_is_one_asset_however_it_is_written(kind: str, one: str, other: str, expected: list[str]) -> None:
    found = _definitions(
        a=(kind, f"SELECT * FROM {one}", "postgresql", "dw.a"), b=(kind, f"SELECT * FROM {other}", "postgresql", "dw.b")
    )
    assert _keys(found) == {"postgresql/dw/a", "postgresql/dw/b", *(f"{kind}/{key}" for key in expected)}


def test_a_destination_that_another_module_reads_is_the_same_asset() -> None:
    found = _definitions(
        load=("oracle", "SELECT * FROM t", "postgresql", "DW.Orders"),
        report=("postgresql", "SELECT * FROM dw.orders", "sqlserver", "dbo.Report"),
        again=("oracle", "SELECT * FROM u", "sqlserver", "DBO.report"),
    )
    assert _keys(found) == {"oracle/T", "oracle/U", "postgresql/dw/orders", "sqlserver/dbo/report"}


@pytest.mark.parametrize(
    ("query", "column", "expected"),
    [
        ("WITH x AS (SELECT a.id FROM a) SELECT x.id, b.n FROM x JOIN b ON b.id = x.id", "id", ["a.id"]),
        ("WITH x AS (SELECT a.id FROM a) SELECT x.id, b.n FROM x JOIN b ON b.id = x.id", "n", ["b.n"]),
        ("SELECT o.total * c.rate AS eur FROM Sales.Orders o JOIN currencies c USING (code)", "eur",
         ["currencies.rate", "sales/orders.total"]),
        ("SELECT id FROM a UNION ALL SELECT id FROM b", "id", ["a.id", "b.id"]),
        ("SELECT n FROM a JOIN b USING (id)", "n", []),
        ("SELECT 1 AS one FROM a", "one", []),
        ("SELECT id FROM (a", "id", []),
    ],
)  # fmt: skip
def test_columns_are_followed_to_the_tables_that_they_come_from(query: str, column: str, expected: list[str]) -> None:
    found = _definitions(m=("postgresql", query, "oracle", "t"))
    deps = DagsterPipekitTranslator().column_deps(found.modules["m"], found, column)
    assert sorted(f"{'/'.join(dep.asset_key.path[1:])}.{dep.column_name}" for dep in deps) == expected
    assert all(dep.asset_key in DagsterPipekitTranslator().source_keys(found.modules["m"], found) for dep in deps)


def test_a_source_that_cannot_be_read_is_its_connection_alone() -> None:
    found = _definitions(m=("mysql", "CALL fill()", "postgresql", "t"))
    assert DagsterPipekitTranslator().source_keys(found.modules["m"], found) == [dg.AssetKey(["mysql"])]
