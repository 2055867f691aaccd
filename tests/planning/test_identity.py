"""Destinations that number their rows themselves: how each kind is told to keep the source's numbers."""

from __future__ import annotations

import pytest

from pipekit_engine.databases.dialects import get_dialect
from pipekit_engine.databases.introspection import Key
from pipekit_engine.models import Module
from pipekit_engine.planning.build import plan_run
from tests.planning.test_plan import column


def merges(kind: str, strategy: str, *, query_has_it: bool = True) -> list[str]:
    """All statements of the merges of a module whose destination numbers `id`."""
    columns = [column("id", "int32"), column("code", "int32")]
    plan = plan_run(
        Module(
            name="m",
            source="s",
            dest="d",
            query="q",
            dest_table="dbo.t",
            strategy=strategy,
            on_schema_change="ignore",
            **({} if strategy == "append" else {"merge_key": ("id" if query_has_it else "code",)}),
        ),
        source=get_dialect("sqlite"),
        dest=get_dialect(kind),
        watermarks={},
        source_sql="SELECT 1",
        source_columns=columns if query_has_it else columns[1:],
        dest_columns=columns,
        dest_keys=[Key(("id",), primary=True)],
        staging_schema="pipekit_staging",
        identity_columns=["id"],
    )
    found = [*plan.merge, *((plan.difference.unique + (plan.difference.repeated or ())) if plan.difference else ())]
    return [item.sql for item in found if "INSERT INTO" in item.sql and "changes" not in item.sql.split("(")[0]]


@pytest.mark.parametrize("strategy", ["append", "upsert", "incremental"])
def test_sql_server_is_told_before_each_insert_and_untold_behind_it(strategy: str) -> None:
    """Error 544 without; a session in which it stays on refuses it for any other table (8107)."""
    for sql in merges("sqlserver", strategy):
        assert sql.startswith("SET IDENTITY_INSERT [dbo].[t] ON; INSERT INTO [dbo].[t] ([id], [code]) SELECT "), sql
        assert sql.endswith("; SET IDENTITY_INSERT [dbo].[t] OFF"), sql


@pytest.mark.parametrize("strategy", ["append", "upsert"])
def test_numbers_that_the_query_does_not_give_are_the_destinations(strategy: str) -> None:
    """IDENTITY_INSERT demands a value then (545)."""
    assert merges("sqlserver", strategy, query_has_it=False)
    for kind in ("sqlserver", "postgresql"):
        for sql in merges(kind, strategy, query_has_it=False):
            assert "IDENTITY_INSERT" not in sql
            assert "OVERRIDING" not in sql


def test_the_standards_word_for_it() -> None:
    for kind in ("postgresql", "h2", "hsqldb"):
        assert all(") OVERRIDING SYSTEM VALUE SELECT " in sql for sql in merges(kind, "upsert")), kind
