"""DB2's own ways, as text: for i, and for Linux, UNIX and Windows."""

from __future__ import annotations

import pytest

from pipekit_engine.databases.dialects import get_dialect
from pipekit_engine.models import Module
from pipekit_engine.planning.build import plan_run
from tests.planning.test_plan import column

DB2 = get_dialect("db2")
LUW = DB2.for_url("jdbc:db2://h:50000/d")


def test_a_url_tells_which_db2_it_is() -> None:
    assert DB2.for_url("jdbc:as400://h/LIB") is DB2
    assert (LUW.kind, LUW.label) == ("db2", "DB2")
    assert get_dialect("h2").for_url("jdbc:db2://h/d").kind == "h2"


@pytest.mark.parametrize(("dialect", "long"), [(DB2, "CLOB(2G) CCSID 1208"), (LUW, "CLOB(1G)")], ids=["i", "luw"])
def test_a_row_is_no_longer_than_the_database_takes(dialect: object, long: str) -> None:
    """32,766 bytes: more of it in VARCHARs, and the table cannot be made."""
    assert isinstance(dialect, type(DB2))
    texts = [column(f"T{n}", "text", precision=2000 - n) for n in range(5)]
    plan = plan_run(
        Module(
            name="m",
            source="s",
            dest="d",
            query="q",
            dest_table="t",
            strategy="upsert",
            merge_key=("T0",),
            columns=tuple(
                {"source_name": item.name, "dest_type": "VARCHAR(8000)"}
                if item.name == "T1"
                else {"source_name": item.name}
                for item in texts
            ),
        ),
        source=get_dialect("postgresql"),
        dest=dialect,
        watermarks={},
        source_sql="SELECT 1",
        source_columns=texts,
        dest_columns=None,
        staging_schema=None,
    )
    types = {item.dest: item.dest_type for item in plan.columns}
    assert [name for name, sql_type in types.items() if sql_type == long] == ["T2"]
    assert f"column T2 becomes {long}: its row would be too long" in plan.warnings
    assert dialect.fit_row([("A", "VARCHAR(8000)"), ("B", "VARCHAR(9)")], {"A"}) == {}


def test_a_merge_keeps_other_writers_away() -> None:
    assert DB2.lock_table_sql("T") == ["LOCK TABLE T IN EXCLUSIVE MODE ALLOW READ"]
    assert LUW.lock_table_sql("T") == ["LOCK TABLE T IN EXCLUSIVE MODE"]


@pytest.mark.parametrize("dialect", [DB2, LUW, get_dialect("oracle")], ids=["i", "luw", "oracle"])
def test_a_key_of_text_is_no_large_object(dialect: object) -> None:
    """It cannot be compared (ORA-00932)."""
    assert isinstance(dialect, (type(DB2), type(get_dialect("oracle"))))
    unlimited = dialect.map_type(column("k", "text"), get_dialect("postgresql")).sql
    assert "CLOB" in unlimited
    assert "CLOB" not in dialect.key_type(unlimited, None)
