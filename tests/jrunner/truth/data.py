"""What each database holds of each type: the table that the tests check and docs/types.md is made from.

A shape is a column as one would declare it in each database. A value stands in its canonical text; `lacks` names the databases
that cannot hold it. The promise under test follows from that alone: a value goes exactly from every database that holds it
into every database that holds it, and into one that lacks it is refused with the name of its column and the number of its row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

KINDS = ("sqlite", "postgresql", "mariadb", "h2", "derby", "hsqldb", "duckdb")
NAMES = {
    "sqlite": "SQLite",
    "postgresql": "PostgreSQL",
    "mariadb": "MariaDB",
    "h2": "H2",
    "derby": "Derby",
    "hsqldb": "HSQLDB",
    "duckdb": "DuckDB",
}


def but(*kinds: str) -> frozenset[str]:
    """Every kind except these."""
    return frozenset(KINDS) - set(kinds)


@dataclass(frozen=True)
class Value:
    """A value in its canonical text, and the kinds that cannot hold it. `name` stands for it in the docs."""

    text: str
    lacks: frozenset[str] = frozenset()
    name: str = ""

    @property
    def shown(self) -> str:
        return self.name or self.text


@dataclass(frozen=True)
class Shape:
    """One type in the words of each database.

    `form` says how the values' canonical text is written as SQL and read back. `wider` tells, for the databases without
    such a type, what the column is there instead.
    """

    name: str
    form: str
    types: Mapping[str, str]
    values: tuple[Value, ...]
    wider: Mapping[str, str] = field(default_factory=dict)
    note: str = ""


def _same(type_name: str, **others: str) -> dict[str, str]:
    return {kind: others.get(kind, type_name) for kind in KINDS}


V = Value
_NO_NAN = frozenset({"mariadb", "derby"})
_PG_ONLY = but("postgresql", "sqlite", "duckdb")
_TEXT_TYPES = {
    "sqlite": "TEXT",
    "postgresql": "text",
    "mariadb": "longtext",
    "h2": "VARCHAR",
    "derby": "CLOB",
    "hsqldb": "LONGVARCHAR",
    "duckdb": "VARCHAR",
}
_ALL_BYTES = "".join(f"{n:02x}" for n in range(256))
_NINES = "99999999999999999999999999999999999999"

SHAPES: tuple[Shape, ...] = (
    Shape(
        "boolean",
        "boolean",
        _same("BOOLEAN"),
        (V("true"), V("false")),
        wider={"sqlite": "0 or 1", "mariadb": "TINYINT(1)"},
    ),
    Shape(
        "int16",
        "integer",
        _same("SMALLINT"),
        (V("0"), V("-32768"), V("32767")),
        wider={"sqlite": "64 bits"},
    ),
    Shape(
        "int32",
        "integer",
        _same("INTEGER"),
        (V("0"), V("-2147483648"), V("2147483647")),
        wider={"sqlite": "64 bits"},
    ),
    Shape(
        "int64",
        "integer",
        _same("BIGINT"),
        (V("0"), V("-9223372036854775808"), V("9223372036854775807"), V("9007199254740993")),
    ),
    Shape(
        "decimal(38,0)",
        "decimal",
        _same("DECIMAL(38,0)", sqlite="TEXT", derby="DECIMAL(31,0)"),
        (
            V("0"),
            V("-1"),
            V("9223372036854775808"),
            V("18446744073709551615"),
            V("9999999999999999999999999999999"),
            V(_NINES, frozenset({"derby"}), "38 digits"),
            V("-" + _NINES, frozenset({"derby"}), "38 digits, negative"),
        ),
        wider={"sqlite": "TEXT"},
        note="Derby's decimals end at 31 digits.",
    ),
    Shape(
        "decimal(38,10)",
        "decimal",
        _same("DECIMAL(38,10)", sqlite="TEXT", derby="DECIMAL(31,10)"),
        (
            V("0.0000000000"),
            V("0.0000000001"),
            V("-0.5000000000"),
            V("10000.0000000000"),
            V("123456789012345678901.0123456789"),
            V("-1234567890123456789012345678.0123456789", frozenset({"derby"}), "38 digits"),
        ),
        wider={"sqlite": "TEXT"},
    ),
    Shape(
        "decimal(38,37)",
        "decimal",
        _same("DECIMAL(38,37)", sqlite="TEXT", derby="DECIMAL(31,30)"),
        (
            V("1.5"),
            V("-9.999999999999999999999999999999"),
            V("0.000000000000000000000000000001"),
            V("9.9999999999999999999999999999999999999", frozenset({"derby"}), "38 digits"),
            V("-0.0000000000000000000000000000000000001", frozenset({"derby"}), "37 places"),
        ),
        wider={"sqlite": "TEXT"},
    ),
    Shape(
        "decimal(12,2)",
        "decimal",
        _same("DECIMAL(12,2)"),
        (V("0.00"), V("0.01"), V("-0.10"), V("1234567890.12"), V("9999999999.99"), V("-100.00")),
        wider={"sqlite": "integer or double, up to 15 digits"},
        note="SQLite refuses decimals of more than 15 digits in a column of numeric affinity: declare such a column TEXT.",
    ),
    Shape(
        "numeric, unconstrained",
        "decimal",
        {
            "sqlite": "TEXT",
            "postgresql": "numeric",
            "mariadb": "DECIMAL(65,30)",
            "h2": "DECFLOAT(100)",
            "derby": "DECIMAL(31,12)",
            "hsqldb": "DECIMAL(100,30)",
            "duckdb": "DECIMAL(38,18)",
        },
        (
            V("0"),
            V("123.450"),
            V("0.000000000001"),
            V("-12345678901234567890123456789012345.5", frozenset({"derby", "duckdb"}), "36 digits"),
            V("NaN", but("postgresql", "sqlite")),
            V("Infinity", but("postgresql", "sqlite")),
        ),
        wider={"sqlite": "TEXT"},
    ),
    Shape(
        "float32",
        "float32",
        _same("REAL", mariadb="FLOAT"),
        (
            V("0"),
            V("1.5"),
            V("-0.1"),
            V("16777217"),
            V("3.4028235e+38"),
            V("1.1754944e-38"),
            V("1.4e-45", frozenset(), "the smallest, 1.4e-45"),
            V("NaN", _NO_NAN | {"sqlite"}),
            V("Infinity", _NO_NAN),
            V("-Infinity", _NO_NAN),
        ),
        wider={"sqlite": "double", "hsqldb": "double"},
    ),
    Shape(
        "float64",
        "float64",
        _same("DOUBLE PRECISION", hsqldb="DOUBLE"),
        (
            V("0"),
            V("0.1"),
            V("-123456789.12345679"),
            V("1.7976931348623157e+308"),
            V("2.2250738585072014e-308"),
            V("5e-324", frozenset(), "the smallest, 5e-324"),
            V("NaN", _NO_NAN | {"sqlite"}),
            V("Infinity", _NO_NAN),
            V("-Infinity", _NO_NAN),
        ),
    ),
    Shape(
        "text",
        "text",
        _TEXT_TYPES,
        (
            V("", name="''"),
            V(" ", name="a blank"),
            V(" a  ", name="blanks around"),
            V("NULL"),
            V("\\N"),
            V("\\.", name="\\\\."),
            V('it\'s "quoted" `so`'),
            V("tab\tnewline\nreturn\r\nbackslash\\end\\", name="tab, line ends, backslash"),
            V("äöü ß Ł ж 中文 العربية"),
            V("😀 \U0010ffff é \ufffd \ufeff", name="beyond the BMP, combining marks, U+FFFD"),
            V('{"a": [1, {x}]}; -- /* $1 ? :b */', name="braces, comments, placeholders"),
            V("".join(chr(n) for n in range(1, 32)), name="control characters"),
            V("a" * 40_000, name="40,000 characters"),
            V("a\0b", frozenset({"postgresql"}), "the character NUL"),
        ),
    ),
    Shape(
        "varchar(10)",
        "text",
        _same("VARCHAR(10)"),
        (
            V("", name="''"),
            V("0123456789"),
            V("ä€中ж567890"),
            V("ends in  ", name="trailing blanks"),
            V("😀" * 10, frozenset({"h2", "derby", "hsqldb"}), "ten characters beyond the BMP"),
        ),
        note="H2, Derby and HSQLDB count UTF-16 units, the others characters.",
    ),
    Shape(
        "char(4)",
        "text",
        _same("CHAR(4)", sqlite="TEXT"),
        (V("abcd"), V("äöüß")),
        wider={"sqlite": "TEXT"},
        note="Trailing blanks of CHAR columns are padding: databases add or drop them as they like. `trim` takes them off.",
    ),
    Shape(
        "binary",
        "binary",
        {
            "sqlite": "BLOB",
            "postgresql": "bytea",
            "mariadb": "longblob",
            "h2": "VARBINARY",
            "derby": "BLOB",
            "hsqldb": "LONGVARBINARY",
            "duckdb": "BLOB",
        },
        (V("", name="no bytes"), V("00"), V("5c4e0a0d09275c"), V(_ALL_BYTES, name="all 256 byte values")),
    ),
    Shape(
        "date",
        "date",
        _same("DATE"),
        (
            V("1970-01-01"),
            V("2024-02-29"),
            V("0001-01-01"),
            V("1500-03-01"),
            V("1582-10-04"),
            V("1582-10-10", frozenset({"derby", "hsqldb"}), "1582-10-05 to 14"),
            V("1582-10-15"),
            V("9999-12-31"),
            V("10000-01-01", but("sqlite", "postgresql", "h2", "duckdb"), "after 9999"),
            V("0044-03-15 BC", but("sqlite", "postgresql", "h2", "duckdb"), "BC"),
            V("infinity", _PG_ONLY, "infinity"),
            V("-infinity", _PG_ONLY, "-infinity"),
        ),
        wider={"sqlite": "ISO text"},
    ),
    Shape(
        "time",
        "time",
        _same("TIME(6)", sqlite="TIME", derby="TIME", duckdb="TIME"),
        (
            V("00:00:00"),
            V("12:34:56"),
            V("23:59:59"),
            V("23:59:59.999999", frozenset({"derby"}), "fractions"),
            V("00:00:00.000001", frozenset({"derby"}), "fractions"),
            V("24:00:00", frozenset({"h2", "derby", "hsqldb"})),
        ),
        wider={"sqlite": "ISO text"},
    ),
    Shape(
        "timestamp",
        "timestamp",
        {
            "sqlite": "TIMESTAMP",
            "postgresql": "timestamp",
            "mariadb": "DATETIME(6)",
            "h2": "TIMESTAMP(9)",
            "derby": "TIMESTAMP",
            "hsqldb": "TIMESTAMP(9)",
            "duckdb": "TIMESTAMP",
        },
        (
            V("1970-01-01 00:00:00"),
            V("1969-12-31 23:59:59.999999"),
            V("2024-03-10 02:30:00"),
            V("2024-03-31 02:30:00"),
            V("2024-11-03 01:30:00.5"),
            V("2024-02-29 12:34:56.000001"),
            V("0001-01-01 00:00:00"),
            V("9999-12-31 23:59:59.999999"),
            V("1582-10-10 12:00:00", frozenset({"derby", "hsqldb"}), "1582-10-05 to 14"),
            V("2024-01-01 00:00:00.123456789", frozenset({"postgresql", "mariadb", "duckdb"}), "nanoseconds"),
            V("10000-01-01 00:00:00", but("sqlite", "postgresql", "h2", "duckdb"), "after 9999"),
            V("0044-03-15 12:00:00 BC", but("sqlite", "postgresql", "h2", "duckdb"), "BC"),
            V("infinity", _PG_ONLY),
            V("-infinity", _PG_ONLY),
        ),
        wider={"sqlite": "ISO text"},
    ),
    Shape(
        "timestamptz",
        "timestamptz",
        {
            "sqlite": "TIMESTAMPTZ",
            "postgresql": "timestamptz",
            "mariadb": "DATETIME(6)",
            "h2": "TIMESTAMP(6) WITH TIME ZONE",
            "derby": "TIMESTAMP",
            "hsqldb": "TIMESTAMP(6) WITH TIME ZONE",
            "duckdb": "TIMESTAMPTZ",
        },
        (
            V("1970-01-01 00:00:00+00:00"),
            V("2024-03-10 02:30:00.123456-05:00"),
            V("2024-07-01 05:15:00+05:30"),
            V("1969-12-31 23:59:59.999999+00:00"),
            V("0001-01-02 00:00:00+00:00"),
            V("9999-12-30 23:59:59.999999+00:00"),
            V("infinity", _PG_ONLY),
        ),
        wider={"sqlite": "ISO text", "mariadb": "DATETIME, in UTC", "derby": "TIMESTAMP, in UTC"},
        note="The instant is kept; the offset it was written with is kept by H2, HSQLDB and SQLite.",
    ),
    Shape(
        "MariaDB's TIMESTAMP",
        "timestamptz",
        {
            "sqlite": "TIMESTAMPTZ",
            "postgresql": "timestamptz",
            "mariadb": "TIMESTAMP(6) NULL",
            "h2": "TIMESTAMP(6) WITH TIME ZONE",
            "derby": "TIMESTAMP",
            "hsqldb": "TIMESTAMP(6) WITH TIME ZONE",
            "duckdb": "TIMESTAMPTZ",
        },
        (
            V("1970-01-01 00:00:01+00:00"),
            V("2024-03-10 02:30:00.123456+00:00"),
            V("2038-01-19 03:14:07+00:00"),
            V("2050-01-01 00:00:00+00:00", frozenset({"mariadb"}), "after 2038"),
        ),
        wider={"sqlite": "ISO text", "derby": "TIMESTAMP, in UTC"},
    ),
    Shape(
        "uuid",
        "uuid",
        {
            "sqlite": "UUID",
            "postgresql": "uuid",
            "mariadb": "UUID",
            "h2": "UUID",
            "derby": "CHAR(36)",
            "hsqldb": "UUID",
            "duckdb": "UUID",
        },
        (
            V("01234567-89ab-cdef-fedc-ba9876543210"),
            V("00000000-0000-0000-0000-000000000000"),
            V("ffffffff-ffff-ffff-ffff-ffffffffffff"),
        ),
        wider={"sqlite": "text", "derby": "CHAR(36)"},
    ),
    Shape(
        "json",
        "json",
        {
            "sqlite": "TEXT",
            "postgresql": "json",
            "mariadb": "JSON",
            "h2": "JSON",
            "derby": "CLOB",
            "hsqldb": "LONGVARCHAR",
            "duckdb": "JSON",
        },
        (V('{"a": [1, 2.5, null, true], "ü": "\\n\\"\\\\😀"}'), V("[]"), V('"text"'), V("12345678901234567890.5")),
        wider={"sqlite": "TEXT", "mariadb": "LONGTEXT", "derby": "CLOB", "hsqldb": "LONGVARCHAR"},
    ),
    Shape(
        "array (PostgreSQL)",
        "text",
        {**_TEXT_TYPES, "postgresql": "text[]"},
        (V('{a,"b c",NULL,"\\"q\\\\"}'), V("{}")),
        wider={kind: "text" for kind in KINDS if kind != "postgresql"},
    ),
    Shape(
        "enum (PostgreSQL)",
        "text",
        {**_TEXT_TYPES, "postgresql": "truth_mood"},
        (V("happy"), V("so-so")),
        wider={kind: "text" for kind in KINDS if kind != "postgresql"},
    ),
    Shape(
        "interval (PostgreSQL)",
        "text",
        {**_TEXT_TYPES, "postgresql": "interval"},
        (V("1 year 2 mons -3 days +04:05:06.789"), V("00:00:00.000001")),
        wider={kind: "text" for kind in KINDS if kind != "postgresql"},
    ),
    Shape(
        "inet (PostgreSQL)",
        "text",
        {**_TEXT_TYPES, "postgresql": "inet"},
        (V("192.168.0.1/24"), V("::1/128")),
        wider={kind: "text" for kind in KINDS if kind != "postgresql"},
    ),
)
