"""The SQL that staging and merging are made of, statement by statement, in every database that really runs here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from pipekit_engine.databases.names import TableName
from pipekit_engine.errors import ConfigurationError
from pipekit_engine.jrunner import JRunnerError
from tests.databases.conftest import Bed
from tests.databases.test_mapping import column


@pytest.fixture
def pair(bed: Bed) -> Iterator[tuple[TableName, TableName]]:
    """Two tables of the same columns: (key a, key b, value), with rows that meet in part."""
    columns = [(name, str(bed.dialect.types["int32"])) for name in ("a", "b", "v")]
    tables = TableName("into", bed.schema), TableName("from", bed.schema)
    for table in tables:
        bed.run(bed.dialect.create_table_sql(table, columns))
    fill(bed, tables[0], "(1, 1, 10)", "(1, 2, 20)", "(2, 1, 30)", "(NULL, 1, 40)")
    fill(bed, tables[1], "(1, 2, 21)", "(2, 1, 31)", "(3, 3, 33)")
    yield tables
    for table in tables:
        bed.run(bed.dialect.drop_table_sql(table))


def fill(bed: Bed, table: TableName, *rows: str) -> None:
    bed.run(*(f"INSERT INTO {bed.dialect.table_sql(table)} VALUES {row}" for row in rows))


def values(bed: Bed, table: TableName) -> list[str]:
    """The `v` of every row, sorted."""
    sql = f"SELECT {bed.dialect.quote_identifier('v')} FROM {bed.dialect.table_sql(table)}"
    return sorted(row[0] or "NULL" for row in bed.rows(sql))


def test_delete_by_a_key_of_two_columns_and_of_one(bed: Bed, pair: tuple[TableName, TableName]) -> None:
    into, staged = (bed.dialect.table_sql(table) for table in pair)
    bed.run(bed.dialect.delete_matching_sql(into, staged, ["a", "b"]))
    assert values(bed, pair[0]) == ["10", "40"]
    bed.run(bed.dialect.delete_matching_sql(into, staged, ["a"]))
    assert values(bed, pair[0]) == ["40"]


def test_update_by_key(bed: Bed, pair: tuple[TableName, TableName]) -> None:
    into, staged = (bed.dialect.table_sql(table) for table in pair)
    bed.run(bed.dialect.update_matching_sql(into, staged, ["a", "b"], ["v"]))
    assert values(bed, pair[0]) == ["10", "21", "31", "40"]


def test_rows_whose_key_is_there_and_is_not(bed: Bed, pair: tuple[TableName, TableName]) -> None:
    into, staged = (bed.dialect.table_sql(table) for table in pair)
    q = bed.dialect.quote_identifier
    for key in (["a", "b"], ["a"]):
        there = f"SELECT s.{q('v')} FROM {staged} s WHERE {bed.dialect.in_table('s', into, key)}"
        absent = f"SELECT s.{q('v')} FROM {staged} s WHERE {bed.dialect.in_table('s', into, key, negated=True)}"
        assert sorted(bed.rows(there)) == [("21",), ("31",)]
        # A NULL among the keys makes no row vanish.
        assert bed.rows(absent) == [("33",)]


def test_a_lock_lets_readers_read_and_ends_with_the_transaction(bed: Bed, pair: tuple[TableName, TableName]) -> None:
    into = bed.dialect.table_sql(pair[0])
    statements = [*bed.dialect.lock_table_sql(into), f"DELETE FROM {into}"]
    bed.catalog.session.execute(bed.catalog.connection, statements)
    assert values(bed, pair[0]) == []


def test_a_staging_table_like_the_destination_has_its_types(bed: Bed) -> None:
    dialect = bed.dialect
    table, like = TableName("typed", bed.schema), TableName("typed like", bed.schema)
    wanted = {
        "b": "boolean", "i": "int32", "l": "int64", "n": "decimal", "f": "float64", "t": "text", "d": "date",
        "s": "timestamp",
    }  # fmt: skip
    columns = []
    for name, family in wanted.items():
        size = {"decimal": (12, 3), "text": (20, 0), "timestamp": (6, 0)}.get(family, (0, 0))
        columns.append((name, dialect.map_type(column(family, *size), dialect).sql))
    bed.run(dialect.create_table_sql(table, columns))
    try:
        there = bed.catalog.describe_table(dialect.table_sql(table))
        bed.run(dialect.create_like_sql(like, table, there[::-1]))
        again = bed.catalog.describe_table(dialect.table_sql(like))
        shapes = [(item.name, item.family, item.type_name, item.precision, item.scale) for item in again]
        assert shapes == [(i.name, i.family, i.type_name, i.precision, i.scale) for i in there[::-1]]
        assert bed.rows(f"SELECT COUNT(*) FROM {dialect.table_sql(like)}") == [("0",)]
    finally:
        for name in (like, table):
            bed.run(dialect.drop_table_sql(name))


def test_staging_is_made_added_to_and_dropped(bed: Bed) -> None:
    dialect, table = bed.dialect, TableName("staged rows", bed.schema)
    bed.run(dialect.create_table_sql(table, [("a", str(dialect.types["int32"]))], staging=True))
    bed.run(dialect.add_column_sql(table, "new column", dialect.types["date"]))  # type: ignore[arg-type]
    described = bed.catalog.describe_table(dialect.table_sql(table))
    if bed.kind in ("sqlite", "mariadb"):
        bed.run(*dialect.index_staging_sql(table, described))
    else:
        assert dialect.index_staging_sql(table, described) == []
    assert [item.name for item in bed.catalog.describe_table(dialect.table_sql(table))] == ["a", "new column"]
    bed.run(dialect.drop_table_sql(table))
    if dialect.capabilities.drop_if_exists:
        bed.run(dialect.drop_table_sql(table))
    else:
        with pytest.raises(JRunnerError) as raised:
            bed.run(dialect.drop_table_sql(table))
        assert is_missing(bed, raised.value)


def is_missing(bed: Bed, error: JRunnerError) -> bool:
    return bed.dialect.is_missing_table(error.sqlstate, error.vendor_code, error.message)


def test_a_missing_table_or_schema_is_told_from_other_errors(bed: Bed) -> None:
    names = [TableName("nothing", bed.schema)]
    if bed.schema is not None:
        names.append(TableName("nothing", "no such schema"))
    for name in names:
        with pytest.raises(JRunnerError) as raised:
            bed.catalog.describe_table(bed.dialect.table_sql(name))
        assert is_missing(bed, raised.value)
    bed.run(bed.dialect.create_table_sql(TableName("something", bed.schema), [("a", "int")]))
    try:
        table = bed.dialect.table_sql(TableName("something", bed.schema))
        for sql in (f"SELECT nope FROM {table}", "SELEC 1", f"SELECT a.b.c.d FROM {table}"):
            with pytest.raises(JRunnerError) as raised:
                bed.rows(sql)
            # HSQLDB says the same of a missing column as of a missing table.
            assert not is_missing(bed, raised.value) or (bed.kind == "hsqldb" and sql != "SELEC 1")
    finally:
        bed.run(bed.dialect.drop_table_sql(TableName("something", bed.schema)))


def test_a_view_is_told_from_a_table(bed: Bed) -> None:
    dialect = bed.dialect
    table, view = TableName("plain table", bed.schema), TableName("plain view", bed.schema)
    bed.run(
        dialect.create_table_sql(table, [("a", "int")]),
        f"CREATE VIEW {dialect.table_sql(view)} AS SELECT * FROM {dialect.table_sql(table)}",
    )
    try:
        for name in (view, TableName(view.name)):
            sql = dialect.is_view_sql(name)
            assert sql is not None
            assert bed.rows(sql)
        for name in (table, TableName(table.name), TableName("nothing", bed.schema)):
            sql = dialect.is_view_sql(name)
            assert sql is not None
            assert not bed.rows(sql)
    finally:
        bed.run(f"DROP VIEW {dialect.table_sql(view)}", dialect.drop_table_sql(table))


def test_unquoted_names_are_folded_as_the_database_does(bed: Bed) -> None:
    bed.run("CREATE TABLE FoLd_Me (CoL int)")
    try:
        name = bed.dialect.table_name("FoLd_Me")
        found = [item.name for item in bed.dialect.list_tables(bed.catalog, bed.schema)]
        assert name.name in found
        [column] = bed.dialect.get_columns(bed.catalog, TableName(name.name, bed.schema))
        assert column.name == bed.dialect.fold("CoL")
    finally:
        bed.run("DROP TABLE FoLd_Me")


def test_the_longest_name_is_taken_whole_and_a_longer_one_refused_before(bed: Bed) -> None:
    limit = bed.dialect.capabilities.max_identifier_length
    longest = "n" * limit
    table = TableName(longest, bed.schema)
    bed.dialect.check_identifier(longest)
    bed.run(bed.dialect.create_table_sql(table, [(longest, "int")]))
    try:
        assert longest in [item.name for item in bed.dialect.list_tables(bed.catalog, bed.schema)]
        assert [item.name for item in bed.dialect.get_columns(bed.catalog, table)] == [longest]
    finally:
        bed.run(bed.dialect.drop_table_sql(table))
    with pytest.raises(ConfigurationError, match=f"allows {limit}"):
        bed.dialect.check_identifier(longest + "n")
    if bed.dialect.capabilities.identifier_unit == "bytes":
        with pytest.raises(ConfigurationError, match=f"{limit + 1} bytes long"):
            bed.dialect.check_identifier("ü" * (limit // 2 + 1))


def test_strings_hold_exactly_their_text(bed: Bed) -> None:
    for text in (
        "",
        "it's",
        "back\\slash",
        "\\",
        "\\'",
        "''",
        'dou"ble',
        "new\nline\ttab",
        "日本 😀",
        "{x} ? %",
        "/* -- */",
    ):
        sql = f"SELECT {bed.dialect.string_literal(text)} AS a{bed.dialect.capabilities.one_row_from}"
        assert bed.rows(sql) == [(text,)]


@pytest.mark.postgresql
def test_strings_in_postgresql_whatever_the_old_setting_says(open_bed: Any) -> None:
    bed: Bed = open_bed("postgresql")
    bed.run("SET standard_conforming_strings = off")
    try:
        assert bed.rows(f"SELECT {bed.dialect.string_literal(chr(92) + chr(39))}") == [("\\'",)]
    finally:
        bed.run("RESET standard_conforming_strings")


@pytest.mark.mariadb
def test_strings_in_mariadb_never_end_early(open_bed: Any) -> None:
    """Without backslash escapes the doubled backslash stays, but the literal ends where it should."""
    bed: Bed = open_bed("mariadb")
    [(mode,)] = bed.rows("SELECT @@sql_mode")
    bed.run("SET sql_mode = CONCAT(@@sql_mode, ',NO_BACKSLASH_ESCAPES')")
    try:
        assert bed.rows(f"SELECT {bed.dialect.string_literal(chr(92) + chr(39))}") == [("\\\\'",)]
    finally:
        bed.run(f"SET sql_mode = '{mode}'")


@pytest.mark.postgresql
def test_every_kind_of_relation_in_postgresql(open_bed: Any) -> None:
    bed: Bed = open_bed("postgresql")
    bed.run(
        "CREATE SCHEMA rel",
        "CREATE TABLE rel.parted (id int, d date, PRIMARY KEY (d, id)) PARTITION BY RANGE (d)",
        "CREATE TABLE rel.part_1 PARTITION OF rel.parted FOR VALUES FROM ('2020-01-01') TO ('2021-01-01')",
        "CREATE MATERIALIZED VIEW rel.kept AS SELECT 1 AS one",
        "COMMENT ON MATERIALIZED VIEW rel.kept IS 'refreshed at night'",
        "CREATE SEQUENCE rel.numbers",
        "CREATE TYPE rel.pair AS (a int, b int)",
        "CREATE INDEX ON rel.part_1 (id)",
    )
    try:
        found = [(item.name, item.kind, item.remarks) for item in bed.dialect.list_tables(bed.catalog, "rel")]
        assert found == [
            ("kept", "view", "refreshed at night"), ("part_1", "table", None), ("parted", "table", None)
        ]  # fmt: skip
        assert [item.name for item in bed.dialect.list_tables(bed.catalog, "rel") if item.partition] == ["part_1"]
        columns = bed.dialect.get_columns(bed.catalog, TableName("parted", "rel"))
        assert [(item.name, item.key_position) for item in columns] == [("id", 2), ("d", 1)]
        assert bed.dialect.get_remarks(bed.catalog, TableName("kept", "rel")).table == "refreshed at night"
    finally:
        bed.run("DROP SCHEMA rel CASCADE")


@pytest.mark.mariadb
@pytest.mark.parametrize("sql_type", ["int", "varchar(190) COLLATE utf8mb4_bin"])
def test_mariadb_merges_without_comparing_each_row_with_each(open_bed: Any, sql_type: str) -> None:
    """Neither table has an index of its own: with 10,000 staged rows and 200,000 there, a merge took four minutes."""
    bed: Bed = open_bed("mariadb")
    dialect = bed.dialect
    into, staged = TableName("into_it", bed.schema), TableName("staged", bed.schema)
    a, b = dialect.table_sql(into), dialect.table_sql(staged)
    numbers = "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 900) SELECT i, i FROM n"
    bed.run(f"CREATE TABLE {a} (k {sql_type}, v int)", f"CREATE TABLE {b} (k {sql_type}, v int)")
    try:
        bed.run(f"INSERT INTO {a} {numbers}", f"INSERT INTO {b} {numbers}")
        bed.run(*dialect.index_staging_sql(staged, bed.catalog.describe_table(b)[:1]), f"ANALYZE TABLE {a}, {b}")
        absent = dialect.absent_sql("s", a, b, ["k"])
        for sql in (
            dialect.update_matching_sql(a, b, ["k"], ["v"]),
            f"INSERT INTO {a} SELECT s.* FROM {b} s WHERE {absent}",
            dialect.delete_matching_sql(a, b, ["k"]),
        ):
            plan = bed.rows(f"EXPLAIN {sql}")
            assert not any("join buffer" in (row[-1] or "") for row in plan), plan
            assert not any(row[1] == "DEPENDENT SUBQUERY" and row[3] == "ALL" for row in plan), plan
    finally:
        bed.run(dialect.drop_table_sql(into), dialect.drop_table_sql(staged))


@pytest.mark.mariadb
def test_mariadb_indexes_staged_keys_of_every_type(open_bed: Any) -> None:
    bed: Bed = open_bed("mariadb")
    types = """
        int, varchar(20), varchar(300) CHARACTER SET latin1, longtext, char(10), decimal(20,3), datetime(6), varbinary(300),
        blob, uuid, enum('a','b'), set('x','y'), json, year, bit(8), time(3), inet6, double, char(64), varchar(65)
    """
    columns = ", ".join(f"`c {i}` {t.strip()}" for i, t in enumerate(re.split(r",(?![\d'])", types)))
    table = TableName("keys of all types", bed.schema)
    name = bed.dialect.table_sql(table)
    bed.run(f"CREATE TABLE {name} ({columns})")
    try:
        described = bed.catalog.describe_table(name)
        for key in [[column] for column in described] + [described]:
            bed.run(*bed.dialect.index_staging_sql(table, key), f"DROP INDEX pipekit_key ON {name}")
    finally:
        bed.run(bed.dialect.drop_table_sql(table))


@pytest.mark.mariadb
def test_what_mariadb_lists_beside_tables(open_bed: Any) -> None:
    bed: Bed = open_bed("mariadb")
    bed.run(
        "CREATE SEQUENCE numbers",
        "CREATE TABLE versioned (a int COMMENT 'it''s') WITH SYSTEM VERSIONING COMMENT = 'kept'",
        "CREATE VIEW seen AS SELECT * FROM versioned",
    )
    try:
        found = {item.name: (item.kind, item.remarks) for item in bed.dialect.list_tables(bed.catalog, bed.schema)}
        assert found == {"seen": ("view", None), "versioned": ("table", "kept")}
        assert [item.remarks for item in bed.dialect.get_columns(bed.catalog, TableName("versioned", bed.schema))] == [
            "it's"
        ]
    finally:
        bed.run("DROP VIEW seen", "DROP TABLE versioned", "DROP SEQUENCE numbers")
