"""Column defaults between kinds: what is carried over means the same, everything else is left out."""

from __future__ import annotations

import pytest

from pipekit_engine.databases.dialects import get_dialect, kinds
from pipekit_engine.databases.names import TableName
from tests.databases.conftest import Bed
from tests.databases.test_mapping import column

NOW = "CURRENT_TIMESTAMP"
#: Default as a kind shows it, family, source kind, and the same in PostgreSQL, MariaDB, SQL Server and Oracle.
CARRIED = [
    ("0", "int32", "postgresql", "0", "0", "0", "0"),
    ("((0))", "int32", "sqlserver", "0", "0", "0", "0"),
    ("'-1'::integer", "int32", "postgresql", "-1", "-1", "-1", "-1"),
    ("(-1.50)", "decimal", "sqlserver", "-1.50", "-1.50", "-1.50", "-1.50"),
    ("'x'", "text", "mariadb", "'x'", "'x'", "N'x'", "'x'"),
    ("'it''s'::character varying", "text", "postgresql", "'it''s'", "'it''s'", "N'it''s'", "'it''s'"),
    ("'x'::character varying(20)", "text", "postgresql", "'x'", "'x'", "N'x'", "'x'"),
    ("(N'x')", "text", "sqlserver", "'x'", "'x'", "N'x'", "'x'"),
    ("plain text", "text", "mysql", "'plain text'", "'plain text'", "N'plain text'", "'plain text'"),
    ("0", "text", "oracle", "'0'", "'0'", "N'0'", "'0'"),
    ("true", "boolean", "postgresql", "TRUE", "TRUE", "1", "1"),
    ("((1))", "boolean", "sqlserver", "TRUE", "TRUE", "1", "1"),
    ("1", "boolean", "mariadb", "TRUE", "TRUE", "1", "1"),
    ("now()", "timestamp", "postgresql", NOW, f"{NOW}(6)", NOW, NOW),
    ("(getdate())", "timestamp", "sqlserver", NOW, f"{NOW}(6)", NOW, NOW),
    ("current_timestamp(6)", "timestamptz", "mariadb", NOW, f"{NOW}(6)", NOW, NOW),
    ("SYSDATE", "timestamp", "oracle", NOW, f"{NOW}(6)", NOW, NOW),
    ("CURRENT_DATE", "date", "postgresql", "CURRENT_DATE", "(CURRENT_DATE)", "CAST(CURRENT_TIMESTAMP AS date)", "CURRENT_DATE"),
    ("'2020-01-31'::date", "date", "postgresql", "'2020-01-31'", "'2020-01-31'", "'2020-01-31'", "DATE '2020-01-31'"),
    ("DATE '2020-01-31'", "date", "h2", "'2020-01-31'", "'2020-01-31'", "'2020-01-31'", "DATE '2020-01-31'"),
    (
        "'2020-01-31 00:00:00'::timestamp without time zone",
        "timestamp",
        "postgresql",
        "'2020-01-31 00:00:00'",
        "'2020-01-31 00:00:00'",
        "'2020-01-31 00:00:00'",
        "TIMESTAMP '2020-01-31 00:00:00'",
    ),
]  # fmt: skip
NOT_CARRIED = [
    (None, "int32", "postgresql"),
    ("NULL", "text", "mariadb"),
    ("NULL::character varying", "text", "postgresql"),
    ("nextval('t_id_seq'::regclass)", "int32", "postgresql"),
    ("(newid())", "uuid", "sqlserver"),
    ("gen_random_uuid()", "uuid", "postgresql"),
    ("uuid()", "text", "mysql"),
    ("(getutcdate())", "timestamp", "sqlserver"),
    ("timezone('utc'::text, now())", "timestamp", "postgresql"),
    ("'a' || 'b'", "text", "postgresql"),
    ("('a')+('b')", "text", "sqlserver"),
    ("'a\\b'", "text", "mariadb"),
    ("'soon'", "timestamp", "postgresql"),
    ("'infinity'::timestamp without time zone", "timestamp", "postgresql"),
    ("'2020-01-31 00:00:00+00'::timestamp with time zone", "timestamptz", "postgresql"),
    ("7", "boolean", "mariadb"),
    ("'x'", "int32", "sqlite"),
    ("AUTOINCREMENT: start 1 increment 1", "int32", "derby"),
    ("b'0'", "int64", "mariadb"),
    ("X'00'", "binary", "sqlite"),
]


@pytest.mark.parametrize(("text", "family", "source", "postgresql", "mariadb", "sqlserver", "oracle"), CARRIED)
def test_carried_over(
    text: str, family: str, source: str, postgresql: str, mariadb: str, sqlserver: str, oracle: str
) -> None:
    expected = {"postgresql": postgresql, "mariadb": mariadb, "sqlserver": sqlserver, "oracle": oracle}
    described = column(family, 6 if family.startswith("timestamp") else 0, 0)
    found = {kind: get_dialect(kind).default_expression(text, get_dialect(source), described) for kind in expected}
    assert found == expected


@pytest.mark.parametrize(("text", "family", "source"), NOT_CARRIED)
def test_not_carried_over(text: str | None, family: str, source: str) -> None:
    for kind in kinds():
        assert get_dialect(kind).default_expression(text, get_dialect(source), column(family, 0, 0)) is None


def test_without_a_column_a_default_is_taken_at_its_word() -> None:
    postgresql, sqlserver = get_dialect("postgresql"), get_dialect("sqlserver")
    assert postgresql.default_expression("((1))", sqlserver) == "1"
    assert sqlserver.default_expression("'x'", postgresql) == "N'x'"
    assert sqlserver.default_expression("true", postgresql) == "1"
    assert postgresql.default_expression("(getdate())", sqlserver) == "CURRENT_TIMESTAMP"


def test_each_database_takes_what_is_written_for_it(bed: Bed) -> None:
    """Every default that is carried over is used to make a table and a row in it."""
    q = bed.dialect.quote_identifier
    for text, family, source, *_ in CARRIED:
        described = column(family, {"timestamp": 6, "timestamptz": 6, "text": 20, "decimal": 12}.get(family, 0), 2)
        default = bed.dialect.default_expression(text, get_dialect(source), described)
        assert default is not None
        sql_type = bed.dialect.map_type(described, get_dialect("postgresql")).sql.removesuffix(" NULL")
        table = bed.dialect.table_sql(TableName("defaulted", bed.schema))
        bed.run(f"CREATE TABLE {table} ({q('k')} {bed.dialect.types['int32']}, {q('c')} {sql_type} DEFAULT {default})")
        bed.run(f"INSERT INTO {table} ({q('k')}) VALUES (1)")
        [(value,)] = bed.rows(f"SELECT {q('c')} FROM {table}")
        bed.run(f"DROP TABLE {table}")
        assert value
        if family in ("int32", "decimal"):
            assert float(value) == float(default)
        elif "it''s" in text:
            assert value == "it's"
        elif family == "boolean":
            assert value in ("1", "true")
        elif "2020-01-31" in text:
            assert value.startswith("2020-01-31")
