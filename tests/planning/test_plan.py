"""Plans, pure: the exact SQL of each strategy in each kind of database, held against files that people have read.

After a wanted change: `PIPEKIT_WRITE_GOLDEN=1 pytest tests/planning`, then read the difference.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import sqlglot

from pipekit_engine.common.columns import Column
from pipekit_engine.databases.dialects import get_dialect, kinds
from pipekit_engine.databases.introspection import Key
from pipekit_engine.errors import ConfigurationError, DestinationError
from pipekit_engine.models import Hook, Module, ResolvedWatermark, Watermark
from pipekit_engine.planning.build import plan_run, source_query
from pipekit_engine.planning.plan import RunPlan

GOLDEN = Path(__file__).parent / "golden"
#: Kinds whose SQL sqlglot can read.
SQLGLOT = {
    "sqlite": "sqlite",
    "postgresql": "postgres",
    "mariadb": "mysql",
    "mysql": "mysql",
    "sqlserver": "tsql",
    "oracle": "oracle",
}


def column(name: str, family: str, type_name: str = "x", precision: int = 0, scale: int = 0) -> Column:
    return Column(name, family, type_name, 0, precision, scale, True)


SOURCE = [
    column("ORDER_ID", "int64"),
    column("Customer Name", "text", precision=40),
    column("AMOUNT", "decimal", precision=12, scale=2),
    column("UPDATED_AT", "timestamp", precision=6),
    column("RAW", "binary"),
]


#: Names of types as PostgreSQL's driver gives them; others give those of CREATE TABLE.
DRIVER_TYPES = {"bigint": "int8", "integer": "int4"}


def plan(kind: str, strategy: str, *, exists: bool, unique: bool = False, **fields: object) -> RunPlan:
    """`unique`: the destination's key is one of its own, and it has no column of binaries, which some kinds cannot compare."""
    source, dest = get_dialect("oracle"), get_dialect(kind)
    columns = SOURCE[:-1] if unique else SOURCE
    key = {"merge_key": "order_id"} if strategy in ("incremental", "upsert") else {}
    module = Module(
        name="orders",
        source="erp",
        dest="warehouse",
        query="SELECT * FROM SALES.ORDERS WHERE UPDATED_AT >= TO_DATE('{since}') -- {since}\n;",
        dest_table="sales.orders",
        strategy=strategy,
        watermarks=(Watermark(name="since", connection="warehouse", resolver_sql="SELECT 1", default="x"),),
        hooks=(Hook(sql="ANALYZE"), Hook(sql="a; b", run_on="failure", connection="erp")),
        **{**key, **fields},
    )
    there = []
    for item in columns:
        name = dest.column_name_from(source, item.name)
        sql_type = dest.map_type(item, source).sql.partition("(")[0]
        types = DRIVER_TYPES.get(sql_type, sql_type)
        there.append(
            Column(name, item.family, types, 0, item.precision, item.scale, nullable=not (unique and item is SOURCE[0]))
        )
    watermarks = {"since": ResolvedWatermark(value="2024-01-01", origin="resolver")}
    return plan_run(
        module,
        source=source,
        dest=dest,
        watermarks=watermarks,
        source_sql=source_query(module, source.capabilities.syntax, watermarks),
        source_columns=columns,
        dest_columns=there if exists else None,
        dest_keys=[Key((there[0].name,), primary=True)] if unique else [],
        staging_schema=None if kind == "oracle" else "pipekit_staging",
        staging_file="/data/dw.db.pipekit-orders.staging" if kind == "sqlite" else None,
    )


def everything(kind: str) -> str:
    parts = [("a new destination, " + s, plan(kind, s, exists=False)) for s in ("full",)]
    parts += [
        ("an existing one, " + s, plan(kind, s, exists=True)) for s in ("full", "incremental", "append", "upsert")
    ]
    parts += [
        ("one with a unique key, " + s, plan(kind, s, exists=True, unique=True))
        for s in ("full", "incremental", "upsert")
    ]
    parts.append(("dedupe", plan(kind, "upsert", exists=True, dedupe="latest by updated_at")))
    if not get_dialect(kind).capabilities.exact_text:
        key = {"merge_key": "order_id, Customer Name"}
        parts += [
            ("a key of text", plan(kind, s, exists=e, **key)) for s, e in (("upsert", True), ("incremental", False))
        ]
    text = []
    for title, item in parts:
        checks = [f"-- check: {name}: {sql}" for name, sql in vars(item.checks).items() if isinstance(sql, str)]
        if item.difference is not None:
            asked = {name: getattr(item.difference, name) for name in ("distinct_keys", "sampled", "unchanged")}
            checks += [f"-- decides: {name}: {sql}" for name, sql in asked.items() if sql]
        text.append(f"-- ======== {title}\n{item.render()}\n" + "\n".join(checks) + "\n")
    return "\n".join(text)


@pytest.mark.parametrize("kind", kinds())
def test_golden(kind: str) -> None:
    file = GOLDEN / f"{kind}.sql"
    text = everything(kind)
    if os.environ.get("PIPEKIT_WRITE_GOLDEN"):
        file.write_text(text, encoding="utf-8")
    assert file.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("kind", SQLGLOT)
@pytest.mark.parametrize("strategy", ["full", "incremental", "append", "upsert"])
@pytest.mark.parametrize("exists", [True, False])
def test_a_parser_of_that_dialect_reads_it(kind: str, strategy: str, exists: bool) -> None:
    item = plan(kind, strategy, exists=exists, unique=exists)
    other = plan(kind, strategy, exists=exists).difference
    differences = [found for found in (item.difference, other) if found is not None]
    assert bool(item.difference) is (exists and strategy != "append")
    statements = [
        *item.staging.setup,
        *item.prepare,
        *(
            statement.sql
            for statements in (
                item.merge,
                *(part or () for found in differences for part in (found.unique, found.repeated)),
            )
            for statement in statements
            if statement.sql not in item.fence.enter  # T-SQL's is a script
        ),
        *(sql for found in differences for sql in (found.distinct_keys, found.sampled, found.unchanged) if sql),
        *item.staging.cleanup,
    ]
    for sql in statements:
        if not sql.startswith(("ATTACH", "DETACH", "PRAGMA", "LOCK")):
            parsed = sqlglot.parse(sql, dialect=SQLGLOT[kind])
            assert len(parsed) == 1
            assert not isinstance(parsed[0], sqlglot.exp.Command), sql


def test_it_is_pure() -> None:
    assert plan("postgresql", "upsert", exists=True) == plan("postgresql", "upsert", exists=True)


def test_names_of_one_default_case_become_names_of_the_others() -> None:
    oracle, postgresql, sqlite = get_dialect("oracle"), get_dialect("postgresql"), get_dialect("sqlite")
    assert postgresql.column_name_from(oracle, "ORDER_ID") == "order_id"
    assert postgresql.column_name_from(oracle, "OrderId") == "OrderId"
    assert postgresql.column_name_from(oracle, "ORDER ID") == "ORDER ID"
    assert oracle.column_name_from(postgresql, "order_id") == "ORDER_ID"
    assert sqlite.column_name_from(postgresql, "order_id") == "order_id"


@pytest.mark.parametrize(
    ("kind", "text", "sql"),
    [
        ("postgresql", "Analytics.Flights", '"analytics"."flights"'),
        ("postgresql", '"Analytics"."my ""best"" table"', '"Analytics"."my ""best"" table"'),
        ("oracle", "sales.orders", '"SALES"."ORDERS"'),
        ("oracle", '"orders"', '"orders"'),
        ("mariadb", "Dw.Orders", "`Dw`.`Orders`"),
        ("mariadb", "`a``b`", "`a``b`"),
        ("sqlserver", "dw.dbo.[my]]table]", "[dw].[dbo].[my]]table]"),
        ("sqlite", "t", '"main"."t"'),
    ],
)
def test_table_names_are_read_as_the_database_reads_them(kind: str, text: str, sql: str) -> None:
    dialect = get_dialect(kind)
    assert dialect.table_sql(dialect.table_name(text)) == sql


@pytest.mark.parametrize("text", ["", ".", "a.", 'a."b', "a..b", "a b", "a.b.c.d", '""', 'a"b"'])
def test_what_is_no_table_name_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a table name"):
        get_dialect("postgresql").table_name(text)


def test_two_long_names_equal_in_what_the_database_keeps() -> None:
    """Refused before anything runs, not cut."""
    long = "a" * 63
    module = Module(name="m", source="s", dest="d", query="q", dest_table="t", strategy="full")
    with pytest.raises(ConfigurationError, match=r"70 bytes long; PostgreSQL allows 63"):
        plan_run(
            module,
            source=get_dialect("sqlite"),
            dest=get_dialect("postgresql"),
            watermarks={},
            source_sql="SELECT 1",
            source_columns=[column(long + "0000001", "int32"), column(long + "0000002", "int32")],
            dest_columns=None,
            staging_schema="pipekit_staging",
        )


def test_a_long_module_name_gets_a_staging_name_of_its_own() -> None:
    names = set()
    for end in ("one", "two"):
        module = Module(name="m" * 80 + end, source="s", dest="d", query="q", dest_table="t", strategy="full")
        item = plan_run(
            module,
            source=get_dialect("sqlite"),
            dest=get_dialect("postgresql"),
            watermarks={},
            source_sql="SELECT 1",
            source_columns=[column("a", "int32")],
            dest_columns=None,
            staging_schema="pipekit_staging",
        )
        names.add(item.staging.table)
        assert len(item.staging.table.split(".")[1].strip('"')) <= 63
    assert len(names) == 2


def test_staging_is_never_the_destination() -> None:
    for kind, table in (("postgresql", "pipekit_staging.orders"), ("oracle", "pipekit_staging_orders")):
        with pytest.raises(DestinationError, match="also where module 'orders' stages"):
            plan_run(
                Module(name="orders", source="s", dest="d", query="q", dest_table=table, strategy="full"),
                source=get_dialect("sqlite"),
                dest=get_dialect(kind),
                watermarks={},
                source_sql="SELECT 1",
                source_columns=[column("a", "int32")],
                dest_columns=None,
                staging_schema=None if kind == "oracle" else "pipekit_staging",
            )
