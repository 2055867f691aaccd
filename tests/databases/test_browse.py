"""Looking around, in every database that really runs here: schemas, tables, views, columns, keys, remarks, odd names."""

from __future__ import annotations

import re

import pytest
from sqlglot import Dialect as Sqlglot

from pipekit_engine.databases.dialects import get_dialect, kinds
from pipekit_engine.databases.introspection import ColumnInfo, TableInfo
from pipekit_engine.databases.names import TableName
from pipekit_engine.databases.remarks import TableRemarks
from pipekit_engine.databases.reserved_words import RESERVED
from pipekit_engine.jrunner import JRunnerError
from tests.databases.conftest import Bed

#: How each kind numbers a column by itself, and how a column computes itself.
IDENTITY = {
    "sqlite": "INTEGER PRIMARY KEY",
    "postgresql": "serial PRIMARY KEY",
    "mariadb": "bigint AUTO_INCREMENT PRIMARY KEY",
    "duckdb": "INTEGER DEFAULT nextval('numbers') PRIMARY KEY",
}
GENERATED = {"postgresql": "{} GENERATED ALWAYS AS ({}) STORED", "mariadb": "{} AS ({}) PERSISTENT"}

ODD_NAMES = [
    "Mixed Case",
    "lower",
    "UPPER",
    "select",
    "Order",
    'dou"ble',
    "tick`ed",
    "brack]eted",
    "[both]",
    "it's",
    "a.b",
    "a_b",
    "a%b",
    "aXb",
    "semi;colon",
    "{brace}",
    "-- comment",
    "/* comment */",
    "?",
    "back\\slash",
    "ünïcode",
    "日本語",
    "1st",
    "with-hyphen",
    "$dollar",
    "hash#",
]


def names(columns: list[ColumnInfo]) -> list[str]:
    return [column.name for column in columns]


def drop_schema(bed: Bed, name: str) -> None:
    """Drop an empty schema; what runs in Java wants to be told that it is empty."""
    restrict = "" if bed.kind in ("mariadb", "postgresql") else " RESTRICT"
    bed.run(f"DROP SCHEMA {bed.dialect.quote_identifier(name)}{restrict}")


def test_schemas_without_the_systems_own(bed: Bed) -> None:
    if bed.schema is None:
        assert bed.dialect.list_schemas(bed.catalog) == []
        assert bed.dialect.browse_fields == ()
        return
    extra = bed.dialect.fold("browse_schema")
    if bed.kind == "mariadb":
        extra = f"{bed.schema}_second"
    bed.run(bed.dialect.create_schema_sql(extra))
    try:
        found = bed.dialect.list_schemas(bed.catalog)
        assert {bed.schema, extra} <= set(found)
        system = {
            "information_schema",
            "pg_catalog",
            "pg_toast",
            "mysql",
            "performance_schema",
            "sys",
            "syscat",
            "nullid",
        }
        assert not {name for name in found if name.lower() in system | {"sysibm", "sysfun", "sqlj", "system_lobs"}}
        assert found == sorted(found)
        exists = bed.dialect.schema_exists_sql(extra)
        assert exists is not None
        assert bed.rows(exists)
    finally:
        drop_schema(bed, extra)


def test_a_table_in_another_schema(bed: Bed) -> None:
    if bed.schema is None:
        return
    schema = f"{bed.schema}_other" if bed.kind == "mariadb" else "Other Schema"
    table = TableName("things", schema)
    bed.run(bed.dialect.create_schema_sql(schema))
    bed.run(bed.dialect.create_table_sql(table, [("id", bed.dialect.types["int32"])]))  # type: ignore[list-item]
    try:
        [found] = bed.dialect.list_tables(bed.catalog, schema)
        assert (found.schema, found.name, found.kind) == (schema, "things", "table")
        assert found in bed.dialect.list_tables(bed.catalog)
        assert names(bed.dialect.get_columns(bed.catalog, found)) == ["id"]
        assert bed.rows(f"SELECT * FROM {bed.dialect.source_name(found)}") == []
        # A table of the default schema is not found there, and the other way round.
        assert "things" not in [item.name for item in bed.dialect.list_tables(bed.catalog, bed.schema)]
    finally:
        bed.run(bed.dialect.drop_table_sql(table))
        drop_schema(bed, schema)


@pytest.fixture
def people(bed: Bed) -> TableInfo:
    """A table with a key of two columns against their order, defaults, a unique key, and a view on it."""
    fold, q = bed.dialect.fold, bed.dialect.quote_identifier
    table = fold("people")
    bed.run(
        f"CREATE TABLE {table} (code varchar(10) NOT NULL, id int NOT NULL, name varchar(40) DEFAULT 'it''s', "
        f"amount decimal(12,3) DEFAULT 1.5, made timestamp DEFAULT CURRENT_TIMESTAMP, PRIMARY KEY (id, code))",
        f"CREATE UNIQUE INDEX people_name ON {table} (name, amount)",
        f"CREATE VIEW {fold('names')} AS SELECT id, name FROM {table}",
    )
    yield TableInfo(table, bed.schema)  # type: ignore[misc]
    bed.run(f"DROP VIEW {q(fold('names'))}", f"DROP TABLE {q(table)}")


def test_tables_and_views(bed: Bed, people: TableInfo) -> None:
    found = {item.name: item.kind for item in bed.dialect.list_tables(bed.catalog, bed.schema)}
    assert found[people.name] == "table"
    assert found[bed.dialect.fold("names")] == "view"
    everything = bed.dialect.list_tables(bed.catalog)
    assert everything == sorted(everything, key=lambda item: (item.schema or "", item.name))
    # Nothing of the system's own among them.
    assert not [item for item in everything if item.name.lower().startswith(("sqlite_", "pg_", "sys", "innodb"))]


def test_columns(bed: Bed, people: TableInfo) -> None:
    columns = bed.dialect.get_columns(bed.catalog, people)
    assert [name.lower() for name in names(columns)] == ["code", "id", "name", "amount", "made"]
    code, number, name, amount, made = columns
    assert [column.key_position for column in columns] == [2, 1, None, None, None]
    assert [column.column.nullable for column in columns][:4] == [False, False, True, True]
    assert (code.default, code.remarks, code.identity, code.generated) == (None, None, False, False)
    assert number.column.family == ("int64" if bed.kind == "sqlite" else "int32")
    assert (amount.column.family, amount.column.precision, amount.column.scale) == ("decimal", 12, 3)
    assert made.column.family == {"mariadb": "timestamptz"}.get(bed.kind, "timestamp")
    # The defaults are there, in the kind's own way of showing them.
    assert "it''s" in (name.default or "")
    assert "1.5" in (amount.default or "")
    assert re.search("current_timestamp|now", made.default or "", re.IGNORECASE)


def test_columns_of_a_view(bed: Bed, people: TableInfo) -> None:
    columns = bed.dialect.get_columns(bed.catalog, TableInfo(bed.dialect.fold("names"), bed.schema, kind="view"))
    assert [name.lower() for name in names(columns)] == ["id", "name"]
    assert [column.key_position for column in columns] == [None, None]


def test_keys_in_their_own_order(bed: Bed, people: TableInfo) -> None:
    keys = bed.dialect.get_keys(bed.catalog, people)
    assert [(key.primary, [name.lower() for name in key.columns]) for key in keys] == [
        (True, ["id", "code"]),
        (False, ["name", "amount"]),
    ]


def test_a_name_without_schema_is_the_connections_own(bed: Bed, people: TableInfo) -> None:
    name = bed.dialect.table_name("people")
    assert len(bed.dialect.get_columns(bed.catalog, name)) == 5
    assert bed.dialect.get_keys(bed.catalog, name)[0].primary


def test_identity_and_generated_columns(bed: Bed) -> None:
    identity = IDENTITY.get(bed.kind, "INT GENERATED ALWAYS AS IDENTITY PRIMARY KEY")
    computed = GENERATED.get(bed.kind, "{} GENERATED ALWAYS AS ({})").format("int", "n + 1")
    if bed.kind == "duckdb":
        bed.run("CREATE SEQUENCE numbers")
    bed.run(f"CREATE TABLE numbered (id {identity}, n int, m {computed})")
    try:
        columns = bed.dialect.get_columns(bed.catalog, bed.dialect.table_name("numbered"))
        assert [column.identity for column in columns] == [True, False, False]
        # DuckDB's catalogue does not tell a computed column from one with a default.
        assert [column.generated for column in columns] == [False, False, bed.kind != "duckdb"]
    finally:
        bed.run("DROP TABLE numbered")
        if bed.kind == "duckdb":
            bed.run("DROP SEQUENCE numbers")


def test_identity_by_the_standard_in_postgresql(open_bed: object) -> None:
    bed: Bed = open_bed("postgresql")  # type: ignore[operator]
    bed.run("CREATE TABLE numbered (id bigint GENERATED BY DEFAULT AS IDENTITY, big bigserial, n int)")
    try:
        columns = bed.dialect.get_columns(bed.catalog, bed.dialect.table_name("numbered"))
        assert [column.identity for column in columns] == [True, True, False]
    finally:
        bed.run("DROP TABLE numbered")


def test_remarks_are_those_that_comment_sql_wrote(bed: Bed) -> None:
    """Both ways at once: what the destination's comments are, the source's remarks read."""
    told = TableRemarks("all of 'it'\nand \\ more", {"a": 'say "hi" 50% ?', "c": "ünïcode 日本 {x} \\' -- no"})
    table = TableName(bed.dialect.fold("remarked"), bed.schema)
    typed = [(name, str(bed.dialect.types["int32"])) for name in ("a", "b", "c")]
    bed.run(bed.dialect.create_table_sql(table, typed))
    try:
        bed.run(*bed.dialect.comment_sql(table, told, typed))
        if not bed.dialect.capabilities.max_comment_length:
            assert bed.dialect.comment_sql(table, told, typed) == []
            told = TableRemarks()
        assert bed.dialect.get_remarks(bed.catalog, table) == told
        [found] = [item for item in bed.dialect.list_tables(bed.catalog, bed.schema) if item.name == table.name]
        assert found.remarks == told.table
        remarks = [column.remarks for column in bed.dialect.get_columns(bed.catalog, table)]
        assert remarks == [told.columns.get("a"), None, told.columns.get("c")]
        # Of one table alone, although another's name fits it as a pattern.
        assert bed.dialect.get_remarks(bed.catalog, bed.dialect.table_name("remarke_")) == TableRemarks()
    finally:
        bed.run(bed.dialect.drop_table_sql(table))


def test_comments_are_cut_to_what_is_held(bed: Bed) -> None:
    limit = bed.dialect.capabilities.max_comment_length
    if not limit:
        return
    long = "ü" * (limit + 100) if limit < 100_000 else "ü" * 20_000
    table = TableName(bed.dialect.fold("chatty"), bed.schema)
    typed = [("a", str(bed.dialect.types["int32"]))]
    bed.run(bed.dialect.create_table_sql(table, typed))
    try:
        bed.run(*bed.dialect.comment_sql(table, TableRemarks("t" * 5000, {"a": long}), typed))
        found = bed.dialect.get_remarks(bed.catalog, table)
        assert (found.table or "").startswith("ttt")
        expected = long if limit >= 100_000 else long[: limit - 1] + "…"
        assert found.columns["a"] == expected
    finally:
        bed.run(bed.dialect.drop_table_sql(table))


@pytest.mark.sample(3)
def test_odd_names_of_tables_and_columns(bed: Bed) -> None:
    """Each name is a table's and a column's; it is found, described, selected from, and written so that it reads back."""
    dialect = bed.dialect
    for name in ODD_NAMES:
        table = TableName(name, bed.schema)
        bed.run(dialect.create_table_sql(table, [(name, str(dialect.types["int32"]))]))
    try:
        found = {item.name: item for item in dialect.list_tables(bed.catalog, bed.schema)}
        for name in ODD_NAMES:
            columns = dialect.get_columns(bed.catalog, found[name])
            assert names(columns) == [name]
            assert bed.rows(f"SELECT {dialect.identifier(name)} FROM {dialect.source_name(found[name])}") == []
            everything = f"SELECT * FROM {dialect.source_name(found[name])}"
            assert [column.name for column in bed.catalog.session.describe(bed.kind, sql=everything)] == [name]
            text = dialect.dest_name(name, schema=bed.schema)
            assert dialect.table_name(text).name == name
            assert dialect.table_name(text).schema == (bed.schema or "main")
    finally:
        for name in ODD_NAMES:
            bed.run(dialect.drop_table_sql(TableName(name, bed.schema)))


def test_plain_names_stay_bare_and_reserved_ones_do_not(bed: Bed) -> None:
    """Every word that this kind reserves is quoted: as a column it is selected without a mistake."""
    names = [bed.dialect.fold(word) for word in sorted(_keywords())]
    wrong: list[str] = []
    for at in range(0, len(names), 40):
        chunk = names[at : at + 40]
        if not selects(bed, chunk):
            wrong += [name for name in chunk if not selects(bed, [name])]
    if bed.kind == "sqlite":
        # Values there, even in quotes.
        wrong = [name for name in wrong if name not in ("false", "true")]
    assert wrong == []
    assert bed.dialect.identifier(bed.dialect.fold("customer_id")) == bed.dialect.fold("customer_id")


def selects(bed: Bed, names: list[str]) -> bool:
    """Whether columns of these names can be selected and compared by the names as `identifier` writes them."""
    inner = ", ".join(f"1 AS {bed.dialect.quote_identifier(name)}" for name in names)
    bare = [bed.dialect.identifier(name) for name in names]
    where = " AND ".join(f"q.{name} = 1" for name in bare)
    try:
        rows = bed.rows(
            f"SELECT {', '.join(bare)} FROM (SELECT {inner}{bed.dialect.capabilities.one_row_from}) q WHERE {where}"
        )
    except JRunnerError:
        return False
    return rows == [("1",) * len(names)]


def _keywords() -> set[str]:
    words: set[str] = set()
    for name in ("", "postgres", "mysql", "sqlite", "tsql", "oracle"):
        keywords = Sqlglot.get_or_raise(name).tokenizer_class.KEYWORDS
        words |= {word.lower() for word in keywords if word.isidentifier() and word.isascii()}
    for kind in kinds():
        words |= get_dialect(kind).reserved
    return {word for word in words | RESERVED if word.isidentifier()}


@pytest.mark.parametrize("kind", kinds())
def test_names_are_written_as_people_do(kind: str) -> None:
    dialect = get_dialect(kind)
    plain = dialect.fold("sales_orders")
    expected = plain if kind != "generic" else '"sales_orders"'
    assert dialect.identifier(plain) == expected
    other = plain.swapcase()
    if dialect.capabilities.syntax.unquoted_case != "keep":
        assert dialect.identifier(other) == dialect.quote_identifier(other)
    assert dialect.table_name(dialect.dest_name("Odd.Name", schema="s p")).parts == ("s p", "Odd.Name")


def test_a_destinations_name_is_in_its_own_case() -> None:
    oracle, postgresql, sqlserver = (get_dialect(kind) for kind in ("oracle", "postgresql", "sqlserver"))
    assert postgresql.dest_name("ORDERS", schema="staging", source=oracle) == "staging.orders"
    assert postgresql.dest_name("Order Lines", source=sqlserver) == '"Order Lines"'
    assert oracle.dest_name("orders", source=postgresql) == "ORDERS"
    assert sqlserver.dest_name("ORDER", source=oracle) == "[order]"
