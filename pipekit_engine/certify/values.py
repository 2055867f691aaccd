"""The values that a database is tried with: H2's types, each with its extreme values, as text and as H2's SQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipekit_engine.databases.dialects.base.identifiers import literal

#: How a value of a shape is written in the certified database's own SQL, so that it can be asked whether it holds the value;
#: None where one spelling does not fit all databases.
Spelling = Literal["number", "text", "time", "instant"]


@dataclass(frozen=True)
class Shape:
    """A type of H2 and values of it. `sql` is written around a value's text, `compared` around the column in a comparison."""

    type: str
    values: tuple[str, ...]
    sql: str = "{}"
    compared: str = "{}"
    spelling: Spelling | None = None

    def h2(self, value: str) -> str:
        """The value in H2's SQL."""
        return self.sql.format(literal(value) if self.sql == "{}" and self.spelling == "text" else value)


_TEXTS = (
    "a", " ", "a ", " a", "NULL", "\\N", "\\.", "it's \"quoted\" `so` \\'", "tab\tline\nreturn\r\nend", "é", "Ã©", "äöü ß Ł",
    "中ж€", "😀 e\u0301", "{since} :a ? $1 -- /* */ ;", "0123456789012345678901234567890123456789",
)  # fmt: skip
_TIMESTAMPS = (
    "1970-01-01 00:00:00", "1969-12-31 23:59:59.999999", "2024-03-10 02:30:00", "2024-03-31 02:30:00", "2024-01-01 12:34:45",
    "2024-01-01 00:00:00.003", "2024-01-01 00:00:00.007", "2024-02-29 12:34:56.000001", "1582-10-04 00:00:00",
    "1582-10-10 00:00:00", "1582-10-15 00:00:00", "0001-01-01 00:00:00", "9999-12-31 23:59:59.999999", "1900-01-01 00:00:00",
    "2039-12-31 00:00:00", "2079-06-06 23:59:00",
)  # fmt: skip
_DATES = (
    "0001-01-01", "1582-10-04", "1582-10-10", "1582-10-15", "1600-02-29", "1939-12-31", "1969-12-31", "1970-01-01", "2000-02-29",
    "2040-01-01", "9999-12-31",
)  # fmt: skip
_TIMES = ("00:00:00", "12:34:56", "00:00:00.000001", "12:34:56.5", "23:59:59", "23:59:59.999999")
_ZONED = (
    "1970-01-01 00:00:00+00:00", "2024-03-10 02:30:00.123456-05:00", "2024-11-03 01:30:00-04:00", "2024-11-03 01:30:00-05:00",
    "2024-07-01 05:15:00+05:30", "0001-01-02 00:00:00+00:00", "1582-10-04 12:00:00+00:00", "9999-12-30 23:59:59.999999+00:00",
)  # fmt: skip

SHAPES = {
    "boolean": Shape("BOOLEAN", ("TRUE", "FALSE")),
    "smallint": Shape("SMALLINT", ("0", "-32768", "32767"), spelling="number"),
    "integer": Shape("INTEGER", ("0", "-2147483648", "2147483647"), spelling="number"),
    "bigint": Shape(
        "BIGINT",
        ("0", "-9223372036854775808", "9223372036854775807", "9007199254740993"),
        sql="CAST('{}' AS BIGINT)",
        spelling="number",
    ),
    "decimal": Shape(
        "NUMERIC(28,8)",
        ("0", "0.1", "-0.5", "123456789.12345678", "99999999999999999999.99999999", "-99999999999999999999.99999999"),
        spelling="number",
    ),
    "long decimal": Shape("NUMERIC(38,10)", ("0", "-9999999999999999999999999999.9999999999"), spelling="number"),
    "real": Shape("REAL", ("0", "1.5", "-0.1", "16777216", "3.4028235E38", "1.1754944E-38"), sql="CAST({} AS REAL)"),
    "double": Shape(
        "DOUBLE PRECISION",
        ("0", "0.1", "-123456789.12345679", "1.7976931348623157E308", "2.2250738585072014E-308"),
        sql="CAST({} AS DOUBLE PRECISION)",
    ),
    "text": Shape("VARCHAR(40)", _TEXTS, spelling="text"),
    "empty text": Shape("VARCHAR(40)", ("",), spelling="text"),
    "long text": Shape("CHARACTER LARGE OBJECT", ("x" * 5000, "中ж€" * 3000), spelling="text"),
    "binary": Shape("VARBINARY(1000)", ("00", "ff", "5c4e0a0d09275c", bytes(range(256)).hex()), sql="X'{}'"),
    "date": Shape("DATE", _DATES, sql="DATE '{}'", spelling="time"),
    "time": Shape("TIME(6)", _TIMES, sql="TIME '{}'"),
    "timestamp": Shape("TIMESTAMP(6)", _TIMESTAMPS, sql="TIMESTAMP '{}'", spelling="time"),
    "nanoseconds": Shape("TIMESTAMP(9)", ("2024-01-01 00:00:00.123456789",), sql="TIMESTAMP '{}'", spelling="time"),
    "timestamp with time zone": Shape(
        "TIMESTAMP(6) WITH TIME ZONE",
        _ZONED,
        sql="TIMESTAMP WITH TIME ZONE '{}'",
        compared="CAST({} AT TIME ZONE 'UTC' AS TIMESTAMP(6))",
        spelling="instant",
    ),
    "uuid": Shape(
        "UUID",
        ("01234567-89ab-cdef-fedc-ba9876543210", "ffffffff-ffff-ffff-ffff-ffffffffffff"),
        sql="UUID '{}'",
    ),
    "json": Shape("JSON", ('{"b": 1, "a": [1, 2.50, null, true], "ü": "😀"}', "[]", '"text"'), sql="JSON '{}'"),
}
#: Columns that a person may have made, in types that most databases have and that hold less than the shape.
COMMON_COLUMNS = {"DECIMAL(10,2)": "decimal", "VARCHAR(10)": "text", "SMALLINT": "bigint", "DATE": "timestamp"}
