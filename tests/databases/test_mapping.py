"""Types between every pair of kinds: which type, what it loses, and that every real database takes it.

After a wanted change: `PIPEKIT_WRITE_GOLDEN=1 pytest tests/databases/test_mapping.py`, then read the difference.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlglot

from pipekit_engine.common.columns import Column
from pipekit_engine.databases.dialects import get_dialect, kinds
from pipekit_engine.databases.names import TableName
from tests.databases.conftest import Bed

GOLDEN = Path(__file__).parent / "golden" / "types.txt"
#: Name, family, precision, scale: what descriptions give for the columns that people have.
COLUMNS = [
    ("boolean", "boolean", 0, 0),
    ("int16", "int16", 0, 0),
    ("int32", "int32", 0, 0),
    ("int64", "int64", 0, 0),
    ("uint64", "decimal", 20, 0),
    ("decimal(12,2)", "decimal", 12, 2),
    ("decimal(18,15)", "decimal", 18, 15),
    ("decimal(38,0)", "decimal", 38, 0),
    ("decimal(38,37)", "decimal", 38, 37),
    ("decimal(50,4)", "decimal", 50, 4),
    ("decimal(60,35)", "decimal", 60, 35),
    ("decimal(65,30)", "decimal", 65, 30),
    ("decimal(3,-2)", "decimal", 3, -2),
    ("decimal(2,5)", "decimal", 2, 5),
    ("decimal(1500,700)", "decimal", 1500, 700),
    ("numeric", "decimal", 0, 0),
    ("float32", "float32", 0, 0),
    ("float64", "float64", 0, 0),
    ("text(1)", "text", 1, 0),
    ("text(40)", "text", 40, 0),
    ("text(4000)", "text", 4000, 0),
    ("text(4001)", "text", 4001, 0),
    ("text(33000)", "text", 33000, 0),
    ("text(5000000)", "text", 5_000_000, 0),
    ("text", "text", 0, 0),
    ("binary(16)", "binary", 16, 0),
    ("binary", "binary", 0, 0),
    ("date", "date", 0, 0),
    ("time(0)", "time", 0, 0),
    ("time(6)", "time", 6, 0),
    ("time(9)", "time", 9, 0),
    ("timetz(6)", "timetz", 6, 0),
    ("timestamp(0)", "timestamp", 0, 0),
    ("timestamp(6)", "timestamp", 6, 0),
    ("timestamp(7)", "timestamp", 7, 0),
    ("timestamp(12)", "timestamp", 12, 0),
    ("timestamptz(0)", "timestamptz", 0, 0),
    ("timestamptz(6)", "timestamptz", 6, 0),
    ("timestamptz(9)", "timestamptz", 9, 0),
    ("uuid", "uuid", 0, 0),
    ("json", "json", 0, 0),
    ("xml", "xml", 0, 0),
    ("interval", "interval", 0, 0),
    ("array", "array", 0, 0),
    ("any", "any", 0, 0),
    ("other", "other", 0, 0),
]
SQLGLOT = {
    "sqlite": "sqlite",
    "postgresql": "postgres",
    "mariadb": "mysql",
    "mysql": "mysql",
    "sqlserver": "tsql",
    "oracle": "oracle",
}


def column(family: str, precision: int, scale: int) -> Column:
    """A described column without a type name of its own, so that it is mapped by family."""
    return Column("c", family, "", 0, precision, scale, True)


def mapped_types() -> Iterator[tuple[str, str, str, str, str | None]]:
    """(destination, column, source, type, warning) for everything there is."""
    for dest in kinds():
        for name, family, precision, scale in COLUMNS:
            for source in kinds():
                mapped = get_dialect(dest).map_type(column(family, precision, scale), get_dialect(source))
                yield dest, name, source, mapped.sql, mapped.warning


def as_text() -> str:
    """One line a type and warning, with the sources that it holds for: `*` are all that no other line names."""
    lines: list[str] = []
    groups: dict[tuple[str, str], dict[tuple[str, str | None], list[str]]] = {}
    for dest, name, source, sql, warning in mapped_types():
        groups.setdefault((dest, name), {}).setdefault((sql, warning), []).append(source)
    for (dest, name), answers in groups.items():
        usual = max(answers, key=lambda answer: len(answers[answer]))
        for answer in sorted(answers, key=lambda item: item is not usual):
            sources = "*" if answer == usual else " ".join(answers[answer])
            sql, warning = answer
            lines.append(
                f"{dest:<11} {name:<18} {sql:<34} from {sources}" + (f"\n{'':<12}! {warning}" if warning else "")
            )
    return "\n".join(lines) + "\n"


def test_golden() -> None:
    text = as_text()
    if os.environ.get("PIPEKIT_WRITE_GOLDEN"):
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(text, encoding="utf-8")
    assert GOLDEN.read_text(encoding="utf-8") == text


@pytest.mark.sample(2)
def test_every_type_can_be_created(bed: Bed) -> None:
    types = sorted({sql for dest, _, _, sql, _ in mapped_types() if dest == bed.kind})
    for index, sql_type in enumerate(types):
        table = TableName(f"type {index}", bed.schema)
        bed.run(bed.dialect.create_table_sql(table, [("c", sql_type)]))
        try:
            [described] = bed.catalog.describe_table(bed.dialect.table_sql(table))
            again = bed.dialect.map_type(described, bed.dialect)
            # A table copied within the kind keeps its types.
            assert again.warning is None
            other = TableName(f"again {index}", bed.schema)
            bed.run(bed.dialect.create_table_sql(other, [("c", again.sql)]))
            [copied] = bed.catalog.describe_table(bed.dialect.table_sql(other))
            assert (copied.family, copied.precision, copied.scale) == (
                described.family,
                described.precision,
                described.scale,
            )
            bed.run(bed.dialect.drop_table_sql(other))
        finally:
            bed.run(bed.dialect.drop_table_sql(table))


@pytest.mark.parametrize("kind", SQLGLOT)
def test_a_parser_of_that_dialect_reads_every_type(kind: str) -> None:
    for sql_type in sorted({sql for dest, _, _, sql, _ in mapped_types() if dest == kind}):
        sql = get_dialect(kind).create_table_sql(TableName("t"), [("c", sql_type)])
        parsed = sqlglot.parse(sql, dialect=SQLGLOT[kind])
        assert len(parsed) == 1
        assert not isinstance(parsed[0], sqlglot.exp.Command), sql


@pytest.mark.parametrize(
    ("source", "dest", "name", "warning"),
    [
        ("oracle", "sqlserver", "numeric", "28 digits before and 10 after the point"),
        ("postgresql", "sqlserver", "decimal(50,4)", "34 digits before and 4 after"),
        ("postgresql", "derby", "decimal(38,0)", "31 digits before and 0 after"),
        ("mariadb", "sqlserver", "decimal(65,30)", "28 digits before and 10 after"),
        ("mariadb", "sqlite", "uint64", "stored as text"),
        ("oracle", "postgresql", "timestamp(7)", "7 fractional digits; 6 are kept"),
        ("postgresql", "derby", "time(6)", "6 fractional digits; a row with any"),
        ("sqlserver", "postgresql", "timestamptz(6)", "the offset that it was written with is not"),
        ("postgresql", "derby", "timestamptz(6)", "no timestamp with time zone"),
        ("postgresql", "mariadb", "timestamptz(6)", "a DATETIME with the time in UTC"),
        ("postgresql", "mariadb", "interval", "kept as text, as the source writes it"),
        ("postgresql", "oracle", "array", "kept as text"),
    ],
)
def test_what_is_lost_is_said(source: str, dest: str, name: str, warning: str) -> None:
    _, family, precision, scale = next(item for item in COLUMNS if item[0] == name)
    mapped = get_dialect(dest).map_type(column(family, precision, scale), get_dialect(source))
    assert warning in (mapped.warning or "")


@pytest.mark.parametrize(
    ("source", "dest", "name"),
    [
        ("oracle", "postgresql", "numeric"),
        ("mariadb", "postgresql", "decimal(65,30)"),
        ("mariadb", "postgresql", "uint64"),
        ("postgresql", "mariadb", "uint64"),
        ("mariadb", "postgresql", "timestamptz(6)"),
        ("sqlserver", "oracle", "timestamptz(6)"),
        ("mysql", "mariadb", "timestamptz(6)"),
        ("db2", "postgresql", "text(4000)"),
        ("postgresql", "sqlite", "json"),
        ("oracle", "oracle", "numeric"),
    ],
)
def test_what_loses_nothing_is_not_warned_of(source: str, dest: str, name: str) -> None:
    _, family, precision, scale = next(item for item in COLUMNS if item[0] == name)
    mapped = get_dialect(dest).map_type(column(family, precision, scale), get_dialect(source))
    assert mapped.warning is None


def test_a_text_in_bytes_gets_room_for_every_character() -> None:
    db2 = get_dialect("db2")
    assert db2.map_type(column("text", 40, 0), get_dialect("postgresql")).sql == "VARCHAR(160) CCSID 1208"
    assert db2.map_type(column("text", 40, 0), db2).sql == "VARCHAR(40) CCSID 1208"
    oracle = get_dialect("oracle")
    assert oracle.map_type(column("text", 4000, 0), get_dialect("postgresql")).sql == "CLOB"
    assert oracle.map_type(column("text", 4000, 0), oracle).sql == "VARCHAR2(4000 CHAR)"


def test_the_digits_of_a_time_are_no_length_of_a_text() -> None:
    """timetz(6) became varchar(6) in MariaDB, which holds no time at all."""
    for kind in kinds():
        sql = get_dialect(kind).map_type(column("timetz", 6, 0), get_dialect("postgresql")).sql
        assert "(6)" not in sql or "TIME" in sql.upper()


@pytest.mark.parametrize(
    ("described", "there", "loss"),
    [
        (("text", 40, 0), ("text", 40, 0), None),
        (("text", 41, 0), ("text", 40, 0), "up to 41 characters; 40 are allowed"),
        (("text", 0, 0), ("text", 40, 0), None),
        (("decimal", 12, 2), ("decimal", 14, 4), None),
        (("decimal", 12, 4), ("decimal", 14, 2), "12 digits before and 2 after"),
        (("decimal", 0, 0), ("decimal", 38, 10), "28 digits before and 10 after"),
        (("decimal", 12, 2), ("decimal", 0, 0), None),
        (("decimal", 12, 2), ("float64", 0, 0), None),
        (("decimal", 20, 2), ("float64", 0, 0), "keeps 15 digits"),
        (("decimal", 5, 2), ("int64", 0, 0), "2 digits after the point"),
        (("int64", 0, 0), ("int32", 0, 0), "64 bits; 32 are kept"),
        (("int16", 0, 0), ("int32", 0, 0), None),
        (("int64", 0, 0), ("decimal", 10, 0), "10 digits are kept"),
        (("int64", 0, 0), ("decimal", 19, 0), None),
        (("float64", 0, 0), ("float32", 0, 0), "single precision"),
        (("float64", 0, 0), ("decimal", 10, 2), "8 digits before and 2 after"),
        (("float64", 0, 0), ("decimal", 0, 0), None),
        (("int64", 0, 0), ("float64", 0, 0), "keeps 15 digits"),
        (("int32", 0, 0), ("float64", 0, 0), None),
        (("timestamp", 6, 0), ("timestamp", 0, 0), "6 fractional digits; none are kept"),
        (("timestamp", 3, 0), ("timestamp", 6, 0), None),
        (("timestamptz", 6, 0), ("timestamp", 6, 0), "the time zone is lost"),
        (("timestamp", 0, 0), ("date", 0, 0), "a row with a time of day"),
        (("json", 0, 0), ("text", 40, 0), None),
    ],
)
def test_what_an_existing_column_may_refuse(
    described: tuple[str, int, int], there: tuple[str, int, int], loss: str | None
) -> None:
    dest, source = get_dialect("postgresql"), get_dialect("sqlserver")
    found = dest.narrowing(column(*there), column(*described), source)
    assert found is None if loss is None else loss in (found or "")
    # SQLite's types bind nothing, on neither side.
    assert dest.narrowing(column(*there), column(*described), get_dialect("sqlite")) is None
    assert get_dialect("sqlite").narrowing(column(*there), column(*described), source) is None
