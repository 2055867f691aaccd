"""SQL Server's own ways, as text: what no database that runs in these tests has."""

from __future__ import annotations

from fractions import Fraction

import pytest
import sqlglot

from pipekit_engine.common.columns import Column
from pipekit_engine.databases.dialects import get_dialect
from pipekit_engine.databases.names import TableName
from pipekit_engine.errors import SourceError
from pipekit_engine.models import Module, ResolvedWatermark
from pipekit_engine.planning.columns import PlannedColumn
from pipekit_engine.planning.keys import KeyFacts, find_coarse_keys, key_columns
from pipekit_engine.planning.literals import fit_watermarks
from pipekit_engine.sql.query import read_query
from pipekit_engine.sql.text import placeholders, split_statements
from pipekit_engine.sql.tokens import tokens

DIALECT = get_dialect("sqlserver")


def column(name: str, type_name: str, family: str = "timestamp") -> Column:
    return Column(name, family, type_name, 0, 0, 0, True)


def fitted(query: str, value: str, type_name: str = "datetime") -> str:
    """The value with which a query goes to the database, whose column `at` has this type."""
    module = Module(name="m", source="s", dest="d", query=query, dest_table="t", strategy="append")
    marks = {"since": ResolvedWatermark(value=value, origin="resolver")}
    return fit_watermarks(module, DIALECT, marks, [column("At", type_name)])["since"].value


def as_datetime(text: str) -> Fraction:
    """Seconds of a datetime, as SQL Server makes one of a text: in 1/300 s, rounded."""
    return Fraction(round(Fraction(text.partition(".")[2]) / 10 ** len(text.partition(".")[2]) * 300), 300)


@pytest.mark.parametrize("form", ["at > '{since}'", "s.at > CONVERT(datetime, '{since}', 121)"])
@pytest.mark.parametrize("digits", [3, 6, 7])
def test_a_watermark_of_a_datetime_is_the_value_of_its_row(form: str, digits: int) -> None:
    """With > its row comes once, with >= all rows of that value: whatever a destination made of .003 (.0033333)."""
    for tick in range(300):
        exact = Fraction(tick, 300)
        milliseconds = f"{round(exact * 1000):03}"
        stored = [milliseconds.ljust(digits, "0")]
        if digits > len(milliseconds):
            stored += [f"{cut(exact * 10**digits):0{digits}}" for cut in (int, round)]
        for text in stored:
            value = fitted(f"SELECT * FROM s WHERE {form}", f"2024-01-01 00:00:00.{text}")
            assert value == f"2024-01-01 00:00:00.{milliseconds}"
            assert as_datetime(value) == exact


def test_a_value_between_two_ticks_becomes_the_one_before() -> None:
    """Rows behind it are those behind the value; none is left out."""
    assert fitted("SELECT * FROM s WHERE at > '{since}'", "2024-01-01 00:00:00.005") == "2024-01-01 00:00:00.003"
    assert fitted("SELECT * FROM s WHERE at > '{since}'", "2024-01-01 23:59:59.9999999") == "2024-01-01 23:59:59.997"


@pytest.mark.parametrize("value", ["2024-01-01 00:00:00", "2024-01-01", "17", "0001-01-01 00:00:00"])
def test_other_values_stay(value: str) -> None:
    assert fitted("SELECT * FROM s WHERE at > '{since}'", value) == value
    assert (
        fitted("SELECT * FROM s WHERE other > '{since}'", "2024-01-01 00:00:00.0033333")
        == "2024-01-01 00:00:00.0033333"
    )
    for type_name in ("datetime2", "smalldatetime", "datetimeoffset"):
        exact = "2024-01-01 00:00:00.0033333"
        assert fitted("SELECT * FROM s WHERE at > CONVERT(datetime2, '{since}', 121)", exact, type_name) == exact


@pytest.mark.parametrize(
    "literal",
    ["CONVERT(datetime2, '{since}', 121)", "convert( datetime2(7), N'{since}' )", "CAST('{since}' AS datetime2(3))",
     "TRY_CONVERT(datetimeoffset, '{since}')"],
)  # fmt: skip
def test_a_datetime_beside_a_finer_type_is_refused(literal: str) -> None:
    """Its .003 is .0033333 there: > brings the newest row again, >= with .007 (.0066667) misses those of that value."""
    with pytest.raises(
        SourceError, match=r"At is a datetime, which counts in 1/300 s.*Write COALESCE\(TRY_CONVERT\(datetime"
    ):
        fitted(f"SELECT * FROM s WHERE at >= {literal}", "2024-01-01 00:00:00.007")


def test_the_wizards_literal_is_a_datetime() -> None:
    """The default of a first run lies before the first day of that type."""
    literal = DIALECT.time_literal(column("at", "datetime"), "{since}")
    assert fitted(f"SELECT * FROM s WHERE at > {literal}", "2024-01-01 00:00:00.0066667").endswith(".007")
    assert "CONVERT(datetime, '17530101')" in literal
    assert sqlglot.parse_one(f"SELECT 1 WHERE a > {literal.replace('{since}', '0001-01-01 00:00:00')}", dialect="tsql")


@pytest.mark.parametrize("name", ["it's", "a--b", "a/*b", "a;b", 'say "x"', "a]b", "{x}"])
def test_what_stands_in_brackets_is_a_name(name: str) -> None:
    quoted = DIALECT.quote_identifier(name)
    sql = f"SELECT {quoted}, y FROM {quoted} WHERE y > '{{since}}' -- '"
    syntax = DIALECT.capabilities.syntax
    assert [token.text for token in tokens(sql, syntax)][1] == name
    assert placeholders(sql, syntax) == (["x", "since"] if name == "{x}" else ["since"])
    assert split_statements(f"{sql}\n; SELECT 2", syntax) == [sql, "SELECT 2"]
    if name != "{x}":
        assert read_query(sql, syntax).tables == ((name,),)


def test_schemas_of_users_that_begin_as_the_fixed_roles_do() -> None:
    class Schemas:
        def ask(self, sql: str) -> list[tuple[str]]:
            return [(name,) for name in ("dbo", "db_owner", "db_denydatareader", "db_sales", "sys", "guest")]

    assert DIALECT.list_schemas(Schemas()) == ["db_sales", "dbo"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("collation", "folds"),
    [("Latin1_General_100_BIN2", False), ("Latin1_General_BIN", False), ("Japanese_XJIS_100_CS_AS_KS_WS", False),
     ("Latin1_General_CI_AS", True), ("SQL_Latin1_General_CP1_CS_AS", True), ("Latin1_General_CI_AI_KS_WS", True), (None, True)],
)  # fmt: skip
def test_keys_of_a_source_with_a_binary_collation_are_compared(collation: str | None, *, folds: bool) -> None:
    """Of such a source 'a' and 'A' are two keys, and a destination that takes them for one is found before the merge."""
    assert DIALECT.is_exact_collation(collation or "") is not folds
    sql = DIALECT.query_collations_sql("WITH a AS (SELECT N'it''s' AS x) SELECT x FROM a ORDER BY x", ["x", "it's"])
    assert "N'WITH a AS (SELECT N''it''''s'' AS x) SELECT x FROM a ORDER BY x'" in sql
    assert "= N'it''s' THEN collation_name" in sql
    facts = KeyFacts(folding=frozenset({"x"} if folds else ()))
    text = column("x", "nvarchar", "text")
    for there in (None, [text]):
        keyed = key_columns([PlannedColumn("x", "x", DIALECT.key_type("nvarchar(9)", None))], ["x"], [text], there)
        assert [item.name for item in find_coarse_keys(DIALECT, DIALECT, "t", keyed, facts)] == ([] if folds else ["x"])


def test_blanks_at_the_end_of_a_key_count() -> None:
    """= ignores them in every collation, the binary ones too: an upsert of 'a ' would overwrite 'a'."""
    postgresql = get_dialect("postgresql")
    text = Column("x", "text", "text", 0, 0, 0, True)
    for dest_columns in (None, [column("x", "nvarchar", "text")]):
        keyed = key_columns(
            [PlannedColumn("x", "x", DIALECT.key_type("nvarchar(9)", None))], ["x"], [text], dest_columns
        )
        assert find_coarse_keys(postgresql, DIALECT, "t", keyed, KeyFacts())
    assert DIALECT.exact_sql(text, "s.x") == "(s.x + N'x') COLLATE Latin1_General_100_BIN2"


def test_the_merges_lock_is_taken_whatever_the_plan() -> None:
    assert DIALECT.lock_table_sql("[t]") == ["SELECT TOP (1) 1 FROM [t] WITH (TABLOCKX, HOLDLOCK)"]
    assert "identity_columns" in DIALECT.identity_sql(TableName("t", "dbo", "other db"))
    assert DIALECT.identity_sql(TableName("t", "dbo", "other db")).startswith("SELECT name FROM [other db].sys.")
