"""The SQL of watermarks, kind by kind: as text here, on real databases in test_pairs.py."""

from __future__ import annotations

from typing import Any

import pytest
import sqlglot

from pipekit_engine.common.columns import Column
from pipekit_engine.databases.dialects import get_dialect
from pipekit_engine.databases.dialects.base.watermarks import Lag
from pipekit_engine.errors import ConfigurationError
from pipekit_engine.wizard.proposals import Candidate, WatermarkKind
from pipekit_engine.wizard.watermark_sql import Window, default_lag, default_value, window

#: Dialects of sqlglot, which reads the SQL back.
READ = {
    "postgresql": "postgres",
    "mariadb": "mysql",
    "mysql": "mysql",
    "sqlite": "sqlite",
    "sqlserver": "tsql",
    "oracle": "oracle",
}


def mark(kind: WatermarkKind = "timestamp", *, nullable: bool = False) -> Candidate:
    return Candidate("at", kind, "changes", nullable, "")


def make(source: str, dest: str, *, family: str = "timestamp", type_name: str = "", **given: Any) -> Window:
    kind: WatermarkKind = "date" if family == "date" else "number" if family == "int64" else "timestamp"
    values = {
        "strategy": "upsert", "source_column": "at", "dest_table": "t", "dest_column": "at", "dest_family": family,
        "lag": Lag(), "source_table": "s", **given,
    }  # fmt: skip
    values.setdefault("described", Column("at", family, type_name or family.upper(), 0, 6, 0, True))
    return window(mark(kind, nullable=given.pop("nullable", False)), source=get_dialect(source), dest=get_dialect(dest),
                  **{key: value for key, value in values.items() if key != "nullable"})  # fmt: skip


@pytest.mark.parametrize(
    ("source", "family", "type_name", "expected"),
    [
        ("postgresql", "timestamp", "", "at >= '{since}'"),
        ("postgresql", "timestamptz", "", "at >= '{since}+00'"),
        ("mariadb", "timestamptz", "", "at >= '{since}'"),
        ("sqlserver", "timestamp", "datetime2", "at >= CONVERT(datetime2, '{since}', 121)"),
        (
            "sqlserver",
            "timestamp",
            "datetime",
            "at >= COALESCE(TRY_CONVERT(datetime, CONVERT(datetime2, '{since}', 121)), CONVERT(datetime, '17530101'))",
        ),
        ("sqlserver", "date", "", "at >= '{since}'"),
        ("oracle", "timestamp", "TIMESTAMP", "at >= TIMESTAMP '{since}'"),
        ("oracle", "timestamp", "DATE", "at >= TO_DATE('{since}', 'YYYY-MM-DD HH24:MI:SS')"),
        ("oracle", "timestamptz", "", "at >= TIMESTAMP '{since} +00:00'"),
        ("db2", "timestamp", "", "at >= TIMESTAMP('{since}')"),
        ("db2", "date", "", "at >= DATE('{since}')"),
        ("generic", "timestamp", "", "at >= '{since}'"),
        ("db2", "int64", "", "at >= {since}"),
    ],
)
def test_how_a_source_reads_the_value(source: str, family: str, type_name: str, expected: str) -> None:
    found = make(source, "postgresql", family=family, type_name=type_name)
    assert found.condition == expected
    if source in READ:
        sqlglot.parse_one(f"SELECT * FROM s WHERE {expected.format(since='2024-05-01')}", read=READ[source])


@pytest.mark.parametrize("lag", [Lag(), Lag(10, "minute"), Lag(2, "hour"), Lag(90, "second"), Lag(1, "day")])
@pytest.mark.parametrize("family", ["timestamp", "timestamptz", "date"])
@pytest.mark.parametrize("dest", sorted(READ))
def test_every_resolver_is_sql_of_its_database(dest: str, family: str, lag: Lag) -> None:
    if family == "date" and lag.amount and lag.unit != "day":
        with pytest.raises(ConfigurationError, match="in days"):
            make("postgresql", dest, family=family, lag=lag)
        return
    found = make("postgresql", dest, family=family, lag=lag)
    statement = sqlglot.parse_one(found.since, read=READ[dest])
    assert statement.find(sqlglot.exp.Max) is not None
    assert (
        ("10" in found.since) == (lag == Lag(10, "minute"))
        or family == "date"
        or "10)" in found.since
        or "121)" in found.since
    )


@pytest.mark.parametrize(
    ("dest", "family", "lag", "expected"),
    [
        ("sqlserver", "timestamp", Lag(10, "minute"), "CONVERT(varchar(27), DATEADD(minute, -10, max(at)), 121)"),
        (
            "sqlserver",
            "timestamptz",
            Lag(),
            "CONVERT(varchar(27), CONVERT(datetime2, SWITCHOFFSET(max(at), '+00:00')), 121)",
        ),
        ("oracle", "timestamp", Lag(), "TO_CHAR(CAST(max(at) AS TIMESTAMP), 'YYYY-MM-DD HH24:MI:SS.FF6')"),
        ("oracle", "date", Lag(1, "day"), "TO_CHAR(max(at) - 1, 'YYYY-MM-DD')"),
        ("db2", "timestamp", Lag(10, "minute"), "max(at) - 10 MINUTES"),
        ("postgresql", "timestamptz", Lag(1, "hour"), "(max(at) - interval '1 hour') AT TIME ZONE 'UTC'"),
    ],
)
def test_resolvers_that_no_server_here_can_try(dest: str, family: str, lag: Lag, expected: str) -> None:
    assert make("postgresql", dest, family=family, lag=lag).since == f"SELECT {expected} FROM t"


def test_windows() -> None:
    assert make("postgresql", "postgresql", nullable=True).condition == "at >= '{since}' OR at IS NULL"
    bounded = make("postgresql", "postgresql", nullable=True, bounded=True)
    assert bounded.condition == "(at >= '{since}' AND at < '{until}') OR at IS NULL"
    assert bounded.until == "SELECT localtimestamp"
    append = make("postgresql", "postgresql", strategy="append", nullable=True)
    assert append.condition == "at > '{since}'", "append has no key by which a row read twice would be known"
    numbers = make("oracle", "postgresql", family="int64", bounded=True, lag=Lag(5))
    assert (numbers.condition, numbers.since, numbers.until) == (
        "at >= {since} AND at < {until}", "SELECT max(at) - 5 FROM t", "SELECT max(at) + 1 FROM s",
    )  # fmt: skip
    unsigned = make("mariadb", "mariadb", family="int64", type_name="BIGINT UNSIGNED", lag=Lag(5))
    assert unsigned.since == "SELECT CAST(max(at) AS SIGNED) - 5 FROM t"
    for source, family in (("generic", "timestamp"), ("postgresql", "date")):
        with pytest.raises(ConfigurationError, match="half-open window on at cannot be proposed"):
            make(source, "postgresql", family=family, bounded=True)
    with pytest.raises(ConfigurationError, match="--lag 0"):
        make("postgresql", "derby", lag=Lag(10, "minute"))


@pytest.mark.parametrize(
    ("text", "lag"),
    [("10m", Lag(10, "minute")), (" 2 H", Lag(2, "hour")), ("0", Lag()), ("0d", Lag()), ("1000", Lag(1000))],
)
def test_lags(text: str, lag: Lag) -> None:
    assert Lag.parse(text) == lag
    assert Lag.parse(str(lag)) == lag


@pytest.mark.parametrize("text", ["", "soon", "-5m", "1.5h", "10 weeks"])
def test_what_is_no_lag(text: str) -> None:
    with pytest.raises(ConfigurationError, match="write 10m"):
        Lag.parse(text)


def test_defaults() -> None:
    assert default_lag(mark(), "upsert") == Lag(10, "minute")
    assert (
        default_lag(mark(), "append")
        == default_lag(mark("date"), "upsert")
        == default_lag(mark("text"), "upsert")
        == Lag()
    )
    assert default_value(mark()) == "0001-01-01 00:00:00"
    assert (default_value(mark("number"), "7"), default_value(mark("number"), "-2147483648")) == ("0", "-2147483648")
