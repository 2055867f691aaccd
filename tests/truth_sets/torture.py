"""Every type of the seven databases with its extreme values, as SQL that the database itself understands."""

from __future__ import annotations

from dataclasses import dataclass, field

#: What breaks tools that move text: control characters, quotes, markers of NULL, letters beyond the BMP, combining marks.
TEXTS = [
    "", " ", " blanks around ", "NULL", "\\N", "\\.", "it's \"quoted\" `so` \\'", "tab\tline\nreturn\r\nback\\slash",
    "äöü ß Ł ж 中文 العربية", "😀𝄞 e\u0301 n\u0303\u200d\ufeff \ufffd", "{since} {{x}} :a ? $1 -- /* */ ;", "\x01\x02\x1b\x7f",
    "x" * 5000,
]  # fmt: skip
SHORT = ["", " ", "a ", "0123456789", "ä€中ж567890", "NULL", "\\N", "e\u0301"]
ALL_BYTES = bytes(range(256)).hex()
BYTES = ["", "00", "ff", "5c4e0a0d09275c", "0000", ALL_BYTES, "deadbeef" * 2000]


@dataclass(frozen=True)
class Shape:
    """A column's type and the values it is tried with, as SQL literals; each table also has a NULL."""

    name: str
    type: str
    values: tuple[str, ...]
    #: Statements that the type needs before its table.
    before: tuple[str, ...] = field(default=())
    #: Tried value by value only: the driver fails on the whole table without naming the column.
    alone: bool = False


def _numbers(low: int, high: int) -> tuple[str, ...]:
    return ("0", "1", "-1" if low else "2", str(low), str(high))


def _text(kind: str, value: str) -> str:
    if kind == "mariadb":
        return f"CONVERT(X'{value.encode().hex()}' USING utf8mb4)"
    if kind == "postgresql":
        return f"convert_from(decode('{value.encode().hex()}', 'hex'), 'UTF8')"
    return "'" + value.replace("'", "''") + "'"


def _texts(kind: str, values: list[str]) -> tuple[str, ...]:
    return tuple(_text(kind, value) for value in values)


def _plain(*values: str) -> tuple[str, ...]:
    return tuple(f"'{value}'" for value in values)


DATES = (
    "0001-01-01",
    "1582-10-04",
    "1582-10-15",
    "1600-02-29",
    "1969-12-31",
    "1970-01-01",
    "2000-02-29",
    "2024-12-31",
    "9999-12-31",
)
GREGORIAN_GAP = ("1582-10-05", "1582-10-14")
#: The hours that clocks skip and repeat in New York and in Paris, and fractions of each length.
TIMESTAMPS = (
    "1970-01-01 00:00:00", "1969-12-31 23:59:59.999999", "2024-03-10 02:30:00", "2024-03-31 02:30:00",
    "2024-11-03 01:30:00.5", "2024-02-29 12:34:56.000001", "2024-01-01 00:00:00.1", "2024-01-01 00:00:00.12",
    "2024-01-01 00:00:00.123", "2024-01-01 00:00:00.1234", "2024-01-01 00:00:00.12345", "0001-01-01 00:00:00",
    "9999-12-31 23:59:59.999999",
)  # fmt: skip
NANOSECONDS = ("2024-01-01 00:00:00.1234567", "2024-01-01 00:00:00.12345678", "2024-01-01 00:00:00.123456789")
TIMES = ("00:00:00", "02:30:00", "12:34:56", "23:59:59")
FINE_TIMES = ("00:00:00.000001", "12:34:56.5", "23:59:59.999999")
ZONED = (
    "1970-01-01 00:00:00+00:00", "2024-03-10 02:30:00.123456-05:00", "2024-11-03 01:30:00-04:00", "2024-11-03 01:30:00-05:00",
    "2024-07-01 05:15:00+05:30", "1969-12-31 23:59:59.999999+00:00", "0001-01-02 00:00:00+00:00", "9999-12-30 23:59:59.999999+00:00",
)  # fmt: skip
DOUBLES = (
    "0",
    "0.1",
    "-123456789.12345679",
    "1.7976931348623157e+308",
    "2.2250738585072014e-308",
    "5e-324",
    "-1.5",
    "1e15",
    "1e16",
)
FLOATS = ("0", "1.5", "-0.1", "16777217", "3.4028235e+38", "1.1754944e-38", "0.3")
DECIMALS = (
    "0",
    "0.1",
    "-0.5",
    "123456789.123456789",
    "-99999999999999999999.9999999999",
    "99999999999999999999.9999999999",
)
JSONS = ('{"b": 1, "a": [1, 2.50, null, true], "ü": "\\n\\"\\\\😀"}', "[]", '"text"', "12345678901234567890.5", "null")
UUIDS = (
    "01234567-89ab-cdef-fedc-ba9876543210",
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
)

POSTGRESQL = (
    Shape("boolean", "boolean", ("true", "false")),
    Shape("int2", "smallint", _numbers(-32768, 32767)),
    Shape("int4", "integer", _numbers(-(2**31), 2**31 - 1)),
    Shape("int8", "bigint", (*_numbers(-(2**63), 2**63 - 1), "9007199254740993")),
    Shape("numeric", "numeric", _plain(*DECIMALS, "123.450", "1e-12", "123456789012345678901234567890123456")),
    Shape("numeric_special", "numeric", _plain("1", "NaN", "Infinity", "-Infinity")),
    Shape("numeric_huge", "numeric", ("1e120", "1e-90", "-1e100")),
    Shape("numeric_30_10", "numeric(30,10)", _plain(*DECIMALS)),
    Shape("numeric_38_37", "numeric(38,37)", _plain("1.5", "-9.9999999999999999999999999999999999999")),
    Shape("numeric_5_minus_2", "numeric(5,-2)", ("12300", "-9999900", "0")),
    Shape("numeric_2_4", "numeric(2,4)", ("0.0012", "0.0099")),
    Shape("money", "money", _plain("0.00", "-12.34", "92233720368547758.07")),
    Shape("float4", "real", _plain(*FLOATS)),
    Shape("float4_special", "real", _plain("NaN", "Infinity", "-Infinity", "1.4e-45")),
    Shape("float4_minus_zero", "real", ("'-0'",)),
    Shape("float8", "double precision", _plain(*DOUBLES)),
    Shape("float8_special", "double precision", _plain("NaN", "Infinity", "-Infinity")),
    Shape("float8_minus_zero", "double precision", ("'-0'",)),
    Shape("text", "text", _texts("postgresql", TEXTS)),
    Shape("varchar10", "varchar(10)", _texts("postgresql", SHORT)),
    Shape("varchar_bare", "varchar", _texts("postgresql", SHORT)),
    Shape("char10", "char(10)", _plain("abc", "", "0123456789", "äöü")),
    Shape("citext", "citext", _plain("aB3", "ab3", "ä"), ("CREATE EXTENSION IF NOT EXISTS citext",)),
    Shape("hstore", "hstore", _plain('a=>1, "b c"=>NULL', ""), ("CREATE EXTENSION IF NOT EXISTS hstore",)),
    Shape("bytea", "bytea", tuple(f"decode('{value}', 'hex')" for value in BYTES)),
    Shape("date", "date", _plain(*DATES)),
    Shape("date_gap", "date", _plain(*GREGORIAN_GAP)),
    Shape("date_far", "date", _plain("0044-03-15 BC", "10000-01-01", "infinity", "-infinity")),
    Shape("time", "time", _plain(*TIMES)),
    Shape("time_fine", "time", _plain(*FINE_TIMES)),
    Shape("time_24", "time", _plain("24:00:00")),
    Shape("timetz", "timetz", _plain("12:34:56.5+05:30", "00:00:00-05", "23:59:59.999999+00")),
    Shape("timestamp", "timestamp", _plain(*TIMESTAMPS)),
    Shape("timestamp_0", "timestamp(0)", _plain("2024-01-01 23:59:59", "2024-03-10 02:30:00")),
    Shape(
        "timestamp_far", "timestamp", _plain("0044-03-15 01:02:03 BC", "10000-01-01 00:00:00", "infinity", "-infinity")
    ),
    Shape("timestamptz", "timestamptz", _plain(*ZONED)),
    Shape("timestamptz_marks", "timestamptz", _plain("0001-01-01 00:00:00+00", "9999-12-31 23:59:59.999999+00")),
    Shape("timestamptz_far", "timestamptz", _plain("infinity", "-infinity", "0044-03-15 00:00:00+00 BC")),
    Shape(
        "interval",
        "interval",
        _plain("1 year 2 mons -3 days 04:05:06.789", "00:00:00.000001", "-1 day", "3 years", "100:00:00"),
    ),
    Shape("interval_year", "interval year", _plain("3 years", "-2 years")),
    Shape("uuid", "uuid", _plain(*UUIDS)),
    Shape(
        "json",
        "json",
        _texts("postgresql", list(JSONS))[:0] + tuple(f"{_text('postgresql', value)}::json" for value in JSONS),
    ),
    Shape("jsonb", "jsonb", tuple(f"{_text('postgresql', value)}::jsonb" for value in JSONS)),
    Shape("xml", "xml", _plain('<a b="c">ä</a>', "<x/>")),
    Shape("int_array", "integer[]", _plain("{1,2,NULL}", "{}", "{{1,2},{3,4}}", "[0:1]={7,8}")),
    Shape("text_array", "text[]", _plain('{a,"b c",NULL,"NULL","\\"q\\\\"}', "{}")),
    Shape("numeric_array", "numeric[]", _plain("{1.50,NaN}", "{}")),
    Shape("enum", "mood", _plain("happy", "so-so"), ("CREATE TYPE mood AS ENUM ('happy', 'so-so')",)),
    Shape("domain", "positive", ("1", "2147483647"), ("CREATE DOMAIN positive AS integer CHECK (VALUE > 0)",)),
    Shape("composite", "pair", _plain('(1,"a,b")', "(,)"), ("CREATE TYPE pair AS (a integer, b text)",)),
    Shape("bit1", "bit", ("B'0'", "B'1'")),
    Shape("bit8", "bit(8)", ("B'00000000'", "B'10100101'")),
    Shape("varbit", "bit varying", ("B''", "B'101'", "B'" + "10" * 50 + "'")),
    Shape("int4range", "int4range", _plain("[1,10)", "empty", "(,)", "[5,)")),
    Shape("tstzrange", "tstzrange", _plain('["2024-01-01 00:00:00+00","2024-06-01 00:00:00+00")', "empty")),
    Shape("inet", "inet", _plain("192.168.0.1/24", "::1/128")),
    Shape("cidr", "cidr", _plain("10.0.0.0/8", "::/0")),
    Shape("macaddr", "macaddr", _plain("08:00:2b:01:02:03")),
    Shape(
        "point",
        "point",
        _plain(
            "(1.5,-2)",
        ),
    ),
    Shape("polygon", "polygon", _plain("((0,0),(1,1),(1,0))")),
    Shape("tsvector", "tsvector", _plain("a:1 b:2A", "")),
    Shape("oid", "oid", ("0", "4294967295")),
)

MARIADB = (
    Shape("boolean", "boolean", ("0", "1")),
    Shape("tinyint", "tinyint", _numbers(-128, 127)),
    Shape("tinyint1_wide", "tinyint(1)", ("0", "1", "2", "-128")),
    Shape("utinyint", "tinyint unsigned", _numbers(0, 255)),
    Shape("smallint", "smallint", _numbers(-32768, 32767)),
    Shape("usmallint", "smallint unsigned", _numbers(0, 65535)),
    Shape("mediumint", "mediumint", _numbers(-(2**23), 2**23 - 1)),
    Shape("umediumint", "mediumint unsigned", _numbers(0, 2**24 - 1)),
    Shape("int4", "int", _numbers(-(2**31), 2**31 - 1)),
    Shape("uint", "int unsigned", _numbers(0, 2**32 - 1)),
    Shape("int_zerofill", "int(8) zerofill", ("0", "42", "12345678")),
    Shape("bigint", "bigint", _numbers(-(2**63), 2**63 - 1)),
    Shape("ubigint", "bigint unsigned", _numbers(0, 2**64 - 1)),
    Shape("decimal_30_10", "decimal(30,10)", DECIMALS),
    Shape("decimal_65_30", "decimal(65,30)", ("0", "9" * 35 + "." + "9" * 30, "-0." + "0" * 29 + "1")),
    Shape("float4", "float", FLOATS),
    Shape("float4_minus_zero", "float", ("'-0'",)),
    Shape("float_7_2", "float(7,2)", ("0", "12345.67", "-0.01")),
    Shape("float8", "double", DOUBLES),
    Shape("float8_minus_zero", "double", ("'-0'",)),
    Shape("double_10_3", "double(10,3)", ("0.001", "-1234567.125")),
    Shape("bit1", "bit(1)", ("b'0'", "b'1'")),
    Shape("bit8", "bit(8)", ("b'0'", "b'10100101'")),
    Shape("bit64", "bit(64)", ("b'0'", "b'" + "1" * 64 + "'")),
    Shape("text", "longtext", _texts("mariadb", TEXTS)),
    Shape("tinytext", "tinytext", _texts("mariadb", TEXTS[:-1])),
    Shape("varchar10", "varchar(10)", _texts("mariadb", SHORT)),
    Shape("varchar_latin1", "varchar(20) character set latin1", _plain("äöü ß €", "")),
    Shape("char10", "char(10)", _plain("abc", "", "0123456789", "äöü")),
    Shape("binary4", "binary(4)", ("X'00010000'", "X'ffffffff'", "X'20202020'")),
    Shape("varbinary", "varbinary(300)", tuple(f"X'{value}'" for value in BYTES[:-1])),
    Shape("blob", "longblob", tuple(f"X'{value}'" for value in BYTES)),
    Shape("date", "date", _plain(*DATES)),
    Shape("date_gap", "date", _plain(*GREGORIAN_GAP)),
    Shape("date_zero", "date", _plain("0000-00-00", "2024-00-00", "2024-02-00")),
    Shape("time", "time", _plain(*TIMES)),
    Shape("time_fine", "time(6)", _plain(*FINE_TIMES)),
    Shape("time_long", "time(3)", _plain("24:00:00", "838:59:59", "-838:59:59", "-00:00:01", "-12:34:56.500")),
    Shape("datetime6", "datetime(6)", _plain(*TIMESTAMPS)),
    Shape("datetime0", "datetime", _plain("2024-03-10 02:30:00", "9999-12-31 23:59:59")),
    Shape("datetime_zero", "datetime", _plain("0000-00-00 00:00:00", "2024-00-00 00:00:00")),
    Shape(
        "timestamp6",
        "timestamp(6) null",
        _plain("1970-01-01 00:00:01", "2024-03-10 02:30:00.123456", "2038-01-19 03:14:07.999999"),
    ),
    Shape("timestamp_zero", "timestamp null", _plain("0000-00-00 00:00:00")),
    Shape("year", "year", ("0", "1901", "2155")),
    Shape("enum", "enum('a', 'B b', '')", _plain("a", "B b", "")),
    Shape("set", "set('a', 'b', 'c d')", _plain("", "a", "a,c d")),
    Shape("json", "json", _texts("mariadb", list(JSONS))),
    Shape("uuid", "uuid", _plain(*UUIDS)),
    Shape("inet6", "inet6", _plain("::1", "192.168.0.1", "ffff::")),
    Shape("point", "point", ("Point(1.5, -2)",)),
)

SQLITE = (
    Shape("integer", "INTEGER", _numbers(-(2**63), 2**63 - 1)),
    Shape("boolean", "BOOLEAN", ("0", "1")),
    Shape("real", "REAL", DOUBLES),
    Shape("real_special", "REAL", ("9e999", "-9e999")),
    Shape("numeric", "NUMERIC", ("0", "0.5", "123456789012345", "-1.25", "1e20")),
    Shape("decimal_12_2", "DECIMAL(12,2)", ("0", "0.01", "-0.1", "9999999999.99", "1234567890.12")),
    Shape("text", "TEXT", _texts("sqlite", TEXTS)),
    Shape("text_nul", "TEXT", ("CAST(X'610062' AS TEXT)", "'a'")),
    Shape("varchar10", "VARCHAR(10)", _texts("sqlite", SHORT)),
    Shape("varchar10_longer", "VARCHAR(10)", _plain("longer than ten characters", "short")),
    Shape("blob", "BLOB", tuple(f"X'{value}'" for value in BYTES)),
    Shape("date", "DATE", _plain(*DATES)),
    Shape("date_gap", "DATE", _plain(*GREGORIAN_GAP)),
    Shape("date_number", "DATE", ("19000", "0")),
    Shape("date_odd", "DATE", _plain("2024-1-5", "2024-02-30", "01/02/2024", "")),
    Shape("time", "TIME", _plain(*TIMES)),
    Shape("time_fine", "TIME", _plain(*FINE_TIMES)),
    Shape("timestamp", "TIMESTAMP", _plain(*TIMESTAMPS)),
    Shape("timestamp_nano", "TIMESTAMP", _plain(*NANOSECONDS)),
    Shape("timestamp_t", "TIMESTAMP", _plain("2024-01-01T00:00:00", "2024-01-01T00:00:00.5")),
    Shape(
        "timestamp_offset",
        "TIMESTAMP",
        _plain("2024-01-01 00:00:00+02:00", "2024-01-01 00:00:00Z", "2024-01-01 00:00:00"),
    ),
    Shape("timestamp_leap", "TIMESTAMP", _plain("2016-12-31 23:59:60")),
    Shape("timestamptz", "TIMESTAMPTZ", _plain(*ZONED)),
    Shape("untyped", "", ("1", "1.5", "'text'", "'2024-01-01'", "''")),
    Shape("untyped_blob", "", ("X'00ff'", "X''")),
    Shape("integer_mixed", "INTEGER", ("1", "'abc'", "1.5")),
    Shape("text_numbers", "TEXT", _plain("007", "1.0", "1.00", "1e5", "-0")),
    Shape("numeric_text", "NUMERIC", _plain("abc", "007x")),
    Shape("real_integer", "REAL", ("1", "9007199254740993")),
    Shape("json", "JSON", _texts("sqlite", list(JSONS[:3]))),
)

H2 = (
    Shape("boolean", "BOOLEAN", ("TRUE", "FALSE")),
    Shape("tinyint", "TINYINT", _numbers(-128, 127)),
    Shape("smallint", "SMALLINT", _numbers(-32768, 32767)),
    Shape("int4", "INTEGER", _numbers(-(2**31), 2**31 - 1)),
    Shape("bigint", "BIGINT", ("0", "CAST('-9223372036854775808' AS BIGINT)", "9223372036854775807")),
    Shape("decimal_30_10", "NUMERIC(30,10)", _plain(*DECIMALS)),
    Shape("numeric_wide", "NUMERIC(100,40)", (f"'{'9' * 60}.{'9' * 40}'", "'-0.0000000001'")),
    Shape("decfloat", "DECFLOAT(34)", _plain("0", "1.50", "1E+100", "-1E-50")),
    Shape("decfloat_special", "DECFLOAT", _plain("NaN", "Infinity", "-Infinity")),
    Shape("float4", "REAL", _plain(*FLOATS)),
    Shape("float4_special", "REAL", _plain("NaN", "Infinity", "-Infinity")),
    Shape("float8", "DOUBLE PRECISION", _plain(*DOUBLES)),
    Shape("float8_special", "DOUBLE PRECISION", _plain("NaN", "Infinity", "-Infinity")),
    Shape("text", "VARCHAR", _texts("h2", TEXTS)),
    Shape("text_nul", "VARCHAR", ("U&'a\\0000b'", "'a'")),
    Shape("clob", "CLOB", _texts("h2", TEXTS)),
    Shape("varchar10", "VARCHAR(10)", _texts("h2", SHORT)),
    Shape("varchar_ignorecase", "VARCHAR_IGNORECASE(10)", _plain("aB", "ab")),
    Shape("char10", "CHAR(10)", _plain("abc", "", "0123456789", "äöü")),
    Shape("binary4", "BINARY(4)", ("X'00010000'", "X'ffffffff'")),
    Shape("varbinary", "VARBINARY(20000)", tuple(f"X'{value}'" for value in BYTES)),
    Shape("blob", "BLOB", tuple(f"X'{value}'" for value in BYTES)),
    Shape("date", "DATE", _plain(*DATES)),
    Shape("date_gap", "DATE", _plain(*GREGORIAN_GAP)),
    Shape("date_far", "DATE", ("DATE '-0043-03-15'", "DATE '10000-01-01'")),
    Shape("time", "TIME", _plain(*TIMES)),
    Shape("time_fine", "TIME(9)", _plain(*FINE_TIMES)),
    Shape("time_nano", "TIME(9)", _plain("23:59:59.999999999", "00:00:00.000000001")),
    Shape("timetz", "TIME WITH TIME ZONE", _plain("12:34:56+05:30", "00:00:00-05:00")),
    Shape("timestamp", "TIMESTAMP", _plain(*TIMESTAMPS)),
    Shape("timestamp_nano", "TIMESTAMP(9)", _plain(*NANOSECONDS)),
    Shape("timestamptz", "TIMESTAMP(6) WITH TIME ZONE", _plain(*ZONED)),
    Shape("timestamptz_marks", "TIMESTAMP(6) WITH TIME ZONE", _plain("0001-01-01 00:00:00+00:00", "9999-12-31 23:59:59.999999+00:00")),
    *(
        Shape(f"interval_{fields.replace(' ', '_').lower()}", f"INTERVAL {fields}",
              (f"INTERVAL '{first}' {fields}", f"INTERVAL '-{second}' {fields}"))
        for fields, first, second in (
            ("YEAR", "3", "1"), ("MONTH", "3", "14"), ("DAY", "3", "1"), ("HOUR", "3", "50"), ("MINUTE", "3", "90"),
            ("SECOND", "3.5", "1"), ("YEAR TO MONTH", "1-2", "0-3"), ("DAY TO HOUR", "1 2", "3 4"),
            ("DAY TO SECOND", "1 02:03:04.5", "0 00:00:01"), ("HOUR TO MINUTE", "1:02", "3:04"),
            ("HOUR TO SECOND", "1:02:03", "0:00:01.5"), ("MINUTE TO SECOND", "1:02.5", "0:01"),
        )
    ),
    Shape("uuid", "UUID", _plain(*UUIDS)),
    Shape("json", "JSON", tuple(f"JSON {_text('h2', value)}" for value in JSONS[:4])),
    Shape("enum", "ENUM('a', 'B b')", _plain("a", "B b")),
    Shape("int_array", "INTEGER ARRAY", ("ARRAY[1, 2, NULL]", "ARRAY[]")),
    Shape("text_array", "VARCHAR(20) ARRAY", ("ARRAY['a', 'b, c', NULL, '']",)),
    Shape("geometry", "GEOMETRY", _plain("POINT (1.5 -2)")),
)  # fmt: skip


def _derby_long(value: int) -> str:
    return f"{value + 1} - 1" if value == -(2**63) else str(value)


DERBY = (
    Shape("boolean", "BOOLEAN", ("TRUE", "FALSE")),
    Shape("smallint", "SMALLINT", _numbers(-32768, 32767)),
    Shape("int4", "INTEGER", _numbers(-(2**31), 2**31 - 1)),
    Shape("bigint", "BIGINT", tuple(_derby_long(int(value)) for value in _numbers(-(2**63), 2**63 - 1))),
    Shape("decimal_31_10", "DECIMAL(31,10)", DECIMALS),
    Shape("decimal_31_31", "DECIMAL(31,31)", ("0." + "9" * 31, "-0." + "0" * 30 + "1")),
    Shape("float4", "REAL", tuple(f"CAST({value} AS REAL)" for value in FLOATS)),
    Shape("float8", "DOUBLE", tuple(value if "e" in value else f"{value}E0" for value in DOUBLES)),
    Shape("text", "CLOB", _texts("derby", TEXTS)),
    Shape("varchar10", "VARCHAR(10)", _texts("derby", SHORT)),
    Shape("long_varchar", "LONG VARCHAR", _texts("derby", TEXTS)),
    Shape("char10", "CHAR(10)", _plain("abc", "", "0123456789", "äöü")),
    Shape("char_bits", "CHAR(4) FOR BIT DATA", ("X'00010000'", "X'ffffffff'", "X'20202020'")),
    Shape("varchar_bits", "VARCHAR(300) FOR BIT DATA", tuple(f"X'{value}'" for value in BYTES[:-1])),
    Shape("blob", "BLOB", tuple(f"CAST(X'{value}' AS BLOB)" for value in BYTES)),
    Shape("date", "DATE", _plain(*DATES)),
    Shape("time", "TIME", _plain(*TIMES)),
    Shape("timestamp", "TIMESTAMP", _plain(*TIMESTAMPS)),
    Shape("timestamp_nano", "TIMESTAMP", _plain(*NANOSECONDS)),
    Shape(
        "xml",
        "XML",
        tuple(f"XMLPARSE(DOCUMENT CAST('{text}' AS CLOB) PRESERVE WHITESPACE)" for text in ('<a b="c">d</a>', "<x/>")),
        alone=True,
    ),
)

HSQLDB = (
    Shape("boolean", "BOOLEAN", ("TRUE", "FALSE")),
    Shape("tinyint", "TINYINT", _numbers(-128, 127)),
    Shape("smallint", "SMALLINT", _numbers(-32768, 32767)),
    Shape("int4", "INTEGER", _numbers(-(2**31), 2**31 - 1)),
    Shape("bigint", "BIGINT", ("0", "CAST('-9223372036854775808' AS BIGINT)", "9223372036854775807")),
    Shape("decimal_30_10", "NUMERIC(30,10)", DECIMALS),
    Shape("numeric_wide", "NUMERIC(100,40)", ("9" * 60 + "." + "9" * 40,)),
    Shape("float8", "DOUBLE", tuple(f"CAST('{value}' AS DOUBLE)" for value in DOUBLES)),
    Shape("float8_special", "DOUBLE", ("CAST('NaN' AS DOUBLE)", "CAST('Infinity' AS DOUBLE)")),
    Shape("text", "LONGVARCHAR", _texts("hsqldb", TEXTS)),
    Shape("text_nul", "VARCHAR(20)", ("U&'a\\0000b'", "'a'")),
    Shape("clob", "CLOB", _texts("hsqldb", TEXTS)),
    Shape("varchar10", "VARCHAR(10)", _texts("hsqldb", SHORT)),
    Shape("char10", "CHAR(10)", _plain("abc", "", "0123456789", "äöü")),
    Shape("binary4", "BINARY(4)", ("X'00010000'", "X'ffffffff'")),
    Shape("varbinary", "VARBINARY(20000)", tuple(f"X'{value}'" for value in BYTES)),
    Shape("blob", "BLOB", tuple(f"X'{value}'" for value in BYTES)),
    Shape("bit8", "BIT(8)", ("B'00000000'", "B'10100101'"), alone=True),
    Shape("bit1", "BIT(1)", ("B'0'", "B'1'"), alone=True),
    Shape("varbit", "BIT VARYING(100)", ("B''", "B'101'"), alone=True),
    Shape("date", "DATE", tuple(f"DATE '{value}'" for value in DATES)),
    Shape("time", "TIME", tuple(f"TIME '{value}'" for value in TIMES)),
    Shape("time_fine", "TIME(6)", tuple(f"TIME '{value}'" for value in FINE_TIMES)),
    Shape("time_nano", "TIME(9)", ("TIME '23:59:59.999999999'",)),
    Shape("timetz", "TIME(6) WITH TIME ZONE", ("TIME '12:34:56+5:30'", "TIME '00:00:00-5:00'")),
    Shape("timestamp", "TIMESTAMP(6)", tuple(f"TIMESTAMP '{value}'" for value in TIMESTAMPS)),
    Shape("timestamp_nano", "TIMESTAMP(9)", tuple(f"TIMESTAMP '{value}'" for value in NANOSECONDS)),
    Shape("timestamptz", "TIMESTAMP(6) WITH TIME ZONE", tuple(f"TIMESTAMP '{value}'" for value in ZONED)),
    *(shape for shape in H2 if shape.name.startswith("interval_")),
    Shape("uuid", "UUID", tuple(f"UUID('{value}')" for value in UUIDS)),
    Shape("int_array", "INTEGER ARRAY", ("ARRAY[1, 2, NULL]",)),
    Shape("text_array", "VARCHAR(20) ARRAY", ("ARRAY['a', 'b, c', NULL, '']",)),
)

DUCKDB = (
    Shape("boolean", "BOOLEAN", ("true", "false")),
    Shape("tinyint", "TINYINT", _numbers(-128, 127)),
    Shape("utinyint", "UTINYINT", _numbers(0, 255)),
    Shape("smallint", "SMALLINT", _numbers(-32768, 32767)),
    Shape("usmallint", "USMALLINT", _numbers(0, 65535)),
    Shape("int4", "INTEGER", _numbers(-(2**31), 2**31 - 1)),
    Shape("uint4", "UINTEGER", _numbers(0, 2**32 - 1)),
    Shape("bigint", "BIGINT", (*_numbers(-(2**63), 2**63 - 1), "9007199254740993")),
    Shape("ubigint", "UBIGINT", _numbers(0, 2**64 - 1)),
    Shape("hugeint", "HUGEINT", _plain(*_numbers(-(2**127), 2**127 - 1))),
    Shape("uhugeint", "UHUGEINT", _plain("0", str(2**128 - 1))),
    Shape("bignum", "BIGNUM", _plain("0", "9" * 60, "-" + "9" * 60)),
    Shape("decimal_30_10", "DECIMAL(30,10)", _plain(*DECIMALS)),
    Shape("decimal_38_37", "DECIMAL(38,37)", _plain("1.5", "-9.9999999999999999999999999999999999999")),
    Shape("float4", "FLOAT", _plain(*FLOATS)),
    Shape("float4_special", "FLOAT", _plain("NaN", "Infinity", "-Infinity", "-0")),
    Shape("float8", "DOUBLE", _plain(*DOUBLES)),
    Shape("float8_special", "DOUBLE", _plain("NaN", "Infinity", "-Infinity", "-0")),
    Shape("text", "VARCHAR", _texts("duckdb", TEXTS)),
    Shape("text_nul", "VARCHAR", ("'a' || chr(0) || 'b'", "'a'")),
    Shape("varchar10", "VARCHAR(10)", _texts("duckdb", SHORT)),
    Shape("nocase", "VARCHAR COLLATE NOCASE", _plain("aB", "ab")),
    Shape("blob", "BLOB", tuple(f"unhex('{value}')" for value in BYTES)),
    Shape("bit", "BIT", _plain("0", "1", "10100101", "10" * 50)),
    Shape("date", "DATE", _plain(*DATES)),
    Shape("date_gap", "DATE", _plain(*GREGORIAN_GAP)),
    Shape("date_far", "DATE", _plain("0044-03-15 (BC)", "10000-01-01", "infinity", "-infinity")),
    Shape("time", "TIME", _plain(*TIMES)),
    Shape("time_fine", "TIME", _plain(*FINE_TIMES)),
    Shape("time_24", "TIME", _plain("24:00:00")),
    Shape("time_ns", "TIME_NS", _plain("23:59:59.999999999", "00:00:00.000000001")),
    Shape("timetz", "TIMETZ", _plain("12:34:56.5+05:30", "00:00:00-05", "23:59:59.999999+00")),
    Shape("timestamp", "TIMESTAMP", _plain(*TIMESTAMPS)),
    Shape("timestamp_s", "TIMESTAMP_S", _plain("2024-01-01 23:59:59", "1969-12-31 23:59:59")),
    Shape("timestamp_ms", "TIMESTAMP_MS", _plain("2024-01-01 23:59:59.999", "1969-12-31 23:59:59.001")),
    Shape("timestamp_ns", "TIMESTAMP_NS", _plain(*NANOSECONDS, "1969-12-31 23:59:59.999999999")),
    Shape(
        "timestamp_far",
        "TIMESTAMP",
        _plain("0044-03-15 (BC) 01:02:03", "10000-01-01 00:00:00", "infinity", "-infinity"),
    ),
    Shape("timestamptz", "TIMESTAMPTZ", _plain(*ZONED)),
    Shape("timestamptz_marks", "TIMESTAMPTZ", _plain("0001-01-01 00:00:00+00", "9999-12-31 23:59:59.999999+00")),
    Shape("timestamptz_far", "TIMESTAMPTZ", _plain("infinity", "-infinity", "0044-03-15 (BC) 00:00:00+00")),
    Shape(
        "interval", "INTERVAL", _plain("1 year 2 months -3 days 04:05:06.789", "00:00:00.000001", "-1 day", "3 years")
    ),
    Shape("uuid", "UUID", _plain(*UUIDS)),
    Shape("json", "JSON", _texts("duckdb", list(JSONS))),
    Shape("enum", "ENUM('a', 'B b', '')", _plain("a", "B b", "")),
    Shape("int_list", "INTEGER[]", ("[1, 2, NULL]", "[]")),
    Shape("text_list", "VARCHAR[]", ("['a', 'b, c', NULL, '', '\"q\"', 'it''s']",)),
    Shape("int_array", "INTEGER[2]", ("[1, NULL]",)),
    Shape("struct", "STRUCT(a INTEGER, b VARCHAR)", ("{'a': 1, 'b': 'x, y'}", "{'a': NULL, 'b': ''}")),
    Shape("map", "MAP(VARCHAR, INTEGER)", ("MAP {'a': 1, 'b c': NULL}", "MAP {}")),
    Shape("union", "UNION(n INTEGER, t VARCHAR)", ("union_value(n := 1)", "union_value(t := 'x')")),
)

SHAPES = {
    "postgresql": POSTGRESQL,
    "mariadb": MARIADB,
    "sqlite": SQLITE,
    "h2": H2,
    "derby": DERBY,
    "hsqldb": HSQLDB,
    "duckdb": DUCKDB,
}
