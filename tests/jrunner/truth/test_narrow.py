"""Values that a column of the destination's own choosing cannot hold, and those that it just can, on every path."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from pipekit_engine.jrunner import JRunnerError, MigrateRequest
from tests.jrunner.truth.conftest import Truth
from tests.jrunner.truth.data import KINDS

PATHS = {
    "postgresql": ("copy-binary", "copy-text", "batch"),
    "mariadb": ("load-data", "batch"),
    "duckdb": ("appender",),
}
WAYS = [(kind, path) for kind in KINDS for path in PATHS.get(kind, ("batch",))]


@dataclass(frozen=True)
class Case:
    """A value read from PostgreSQL, and a column type; `held` is what it becomes, None if it must be refused.

    `free` names the kinds whose column of that type has no such limit: what they do with the value is not asked here.
    """

    value: str
    column: str
    held: str | None
    free: tuple[str, ...] = ()


CASES = (
    Case("32768", "SMALLINT", None, ("sqlite",)),
    Case("-32769", "SMALLINT", None, ("sqlite",)),
    Case("32767::bigint", "SMALLINT", "32767"),
    Case("2147483648", "INTEGER", None, ("sqlite",)),
    Case("12.0::numeric", "INTEGER", "12"),
    Case("12.5::numeric", "INTEGER", None),
    Case("1e3::float8", "INTEGER", "1000"),
    Case("0.5::float8", "INTEGER", None),
    Case("'17'::text", "INTEGER", "17"),
    Case("'abc'::text", "INTEGER", None),
    Case("''::text", "INTEGER", None),
    Case("'1 2'::text", "INTEGER", None),
    Case("9223372036854775808::numeric", "BIGINT", None),
    Case("true", "INTEGER", "1"),
    Case("1", "BOOLEAN", "1"),
    Case("0", "BOOLEAN", "0"),
    Case("2", "BOOLEAN", None, ("mariadb",)),
    Case("'maybe'::text", "BOOLEAN", None),
    Case("1.234::numeric", "DECIMAL(12,2)", None, ("sqlite",)),
    Case("1.2300::numeric", "DECIMAL(12,2)", "1.23"),
    Case("10000000000::bigint", "DECIMAL(12,2)", None, ("sqlite",)),
    Case("0.1::float8", "DECIMAL(12,2)", "0.1"),
    Case("0.125::float8", "DECIMAL(12,2)", None, ("sqlite",)),
    Case("'NaN'::float8", "DECIMAL(12,2)", None, ("postgresql",)),
    Case("'Infinity'::float8", "DECIMAL(12,2)", None, ("sqlite",)),
    Case("9007199254740993", "DOUBLE PRECISION", None),
    Case("9007199254740992", "DOUBLE PRECISION", "9007199254740992"),
    Case("0.1::numeric", "DOUBLE PRECISION", "0.1"),
    Case("0.12345678901234567890123::numeric", "DOUBLE PRECISION", None),
    Case("0.1234567890123::float8", "REAL", None, ("sqlite", "hsqldb", "mariadb")),
    Case("1e300::float8", "REAL", None, ("sqlite", "hsqldb", "mariadb")),
    Case("0.1::float8", "REAL", "0.1"),
    Case("'0123456789'::text", "VARCHAR(10)", "0123456789"),
    Case("'0123456789 '::text", "VARCHAR(10)", None, ("sqlite", "duckdb")),
    Case("'0123456789a'::text", "VARCHAR(10)", None, ("sqlite", "duckdb")),
    Case("12345678901", "VARCHAR(10)", None, ("sqlite", "duckdb")),
    Case("true", "VARCHAR(10)", "true"),
    Case("1.50::numeric", "VARCHAR(10)", "1.50"),
    Case("date '2024-02-29'", "VARCHAR(10)", "2024-02-29"),
    Case("'\\x00'::bytea", "VARCHAR(10)", None),
    Case("timestamp '2024-01-01 12:00:00'", "DATE", None),
    Case("timestamp '2024-01-01 00:00:00'", "DATE", "2024-01-01"),
    Case("'2024-02-30'::text", "DATE", None),
    Case("1704067200", "DATE", None),
    Case("1704067200", "TIMESTAMP", None),
    Case("date '2024-02-29'", "TIMESTAMP", "2024-02-29 00:00:00", ("sqlite",)),
    Case("timestamp '2024-01-01 00:00:00.5'", "TIMESTAMP(0)", None, ("sqlite", "derby")),
    Case("timestamp '2024-01-01 00:00:00'", "TIMESTAMP(0)", "2024-01-01 00:00:00", ("derby",)),
    Case("timestamp '2024-01-01 00:00:00.5'", "TIMESTAMP(3)", "2024-01-01 00:00:00.5", ("derby",)),
    Case("timestamp '2024-01-01 00:00:00.0005'", "TIMESTAMP(3)", None, ("sqlite", "derby")),
)

#: Where a kind spells a type in its own way.
SPELLING = {
    ("mariadb", "TIMESTAMP"): "DATETIME",
    ("mariadb", "TIMESTAMP(0)"): "DATETIME(0)",
    ("mariadb", "TIMESTAMP(3)"): "DATETIME(3)",
    ("derby", "TIMESTAMP(0)"): "TIMESTAMP",
    ("derby", "TIMESTAMP(3)"): "TIMESTAMP",
    ("hsqldb", "DOUBLE PRECISION"): "DOUBLE",
}


@pytest.mark.parametrize(("kind", "path"), WAYS)
@pytest.mark.sample(3)
def test_narrow(truth: Truth, kind: str, path: str) -> None:
    columns = sorted({case.column for case in CASES})
    for number, column in enumerate(columns):
        spelt = SPELLING.get((kind, column), column)
        truth.execute(f"{kind}_to", f"CREATE TABLE n{number} (id INT, v {spelt})")
    wrong = []
    try:
        for case in CASES:
            table = f"n{columns.index(case.column)}"
            wrong += _wrong(truth, kind, path, table, case)
    finally:
        truth.execute(f"{kind}_to", *[f"DROP TABLE n{number}" for number in range(len(columns))])
    assert not wrong, "\n".join(wrong)


def _wrong(truth: Truth, kind: str, path: str, table: str, case: Case) -> list[str]:
    here = f"{kind}, {path}: {case.value} into {case.column}"
    sql = f"SELECT 1 AS id, {case.value} AS v"
    request = MigrateRequest(source="postgresql_from", sql=sql, dest=f"{kind}_to", table=table, path=path, clear=True)
    try:
        truth.session.migrate(request)
    except JRunnerError as error:
        if case.held is not None:
            return [f"{here}: refused, but the column holds it: {error}"]
        if error.code != "value" or (error.column or "").lower() != "v" or error.row != 1:
            return [f"{here}: {error.code}, column {error.column}, row {error.row}: {error}"]
        return []
    held = truth.rows(f"{kind}_to", f"SELECT v FROM {table}")[0][0]
    if kind in case.free:
        return []
    if case.held is None:
        return [f"{here}: not refused, became {held}"]
    return [] if _same(case.column, held, case.held) else [f"{here}: became {held!r}, not {case.held!r}"]


def _same(column: str, held: str | None, expected: str) -> bool:
    if column == "BOOLEAN":
        return {"true": "1", "false": "0"}.get(held or "", held) == expected
    if column.startswith(("DECIMAL", "DOUBLE", "REAL")):
        return held is not None and float(held) == float(expected)
    return held == expected
