"""SQL Server, Oracle and DB2 for i, as near as this machine comes to them.

Their SQL goes to H2 in its modes for SQL Server and Oracle, and to Derby, under their own dialects. Their catalogues are
rebuilt as tables of the same names and columns, so that each catalogue query is really run and its answer read.
"""

from __future__ import annotations

from typing import Any

import pytest
import sqlglot

from pipekit_engine.databases.dialects import get_dialect
from pipekit_engine.databases.introspection import TableInfo
from pipekit_engine.databases.names import TableName
from pipekit_engine.databases.remarks import TableRemarks
from tests.databases.test_mapping import COLUMNS, column

#: Types that a stand-in lacks, though the real one has them: SQL Server's and DB2's own spellings.
NOT_THERE = {
    "sqlserver": ("datetimeoffset",),
    "oracle": (),
    "db2": ("CCSID", "TIMESTAMP(", "DECIMAL(38", "DECIMAL(50", "DECIMAL(60", "DECIMAL(63"),
}
#: SQL Server finds its catalogue in the schema sys, Oracle without a schema, DB2 for i in QSYS2.
CATALOGUES = {
    "sqlserver": [
        'CREATE SCHEMA "SYS"',
        "CREATE TABLE SYS.DATABASES (name varchar(100))",
        "CREATE TABLE SYS.SCHEMAS (name varchar(100), schema_id int)",
        "CREATE TABLE SYS.OBJECTS (object_id int, name varchar(100), schema_id int, type varchar(2), is_ms_shipped bit)",
        "CREATE TABLE SYS.COLUMNS (object_id int, column_id int, name varchar(100), is_identity bit)",
        'CREATE TABLE SYS.EXTENDED_PROPERTIES (class int, major_id int, minor_id int, name varchar(100), "VALUE" varchar(7500))',
        "INSERT INTO SYS.SCHEMAS VALUES ('dbo', 1), ('sales', 5), ('sys', 4), ('db_owner', 16384), ('INFORMATION_SCHEMA', 3)",
        "INSERT INTO SYS.OBJECTS VALUES (10, 'Orders', 5, 'U', 0), (11, 'Open Orders', 5, 'V', 0), (12, 'pk', 5, 'PK', 0), "
        "(13, 'trace_xe', 1, 'V', 1), (14, 'Other', 1, 'U', 0)",
        "INSERT INTO SYS.COLUMNS VALUES (10, 1, 'Id', 1), (10, 2, 'Total', 0), (14, 1, 'Id', 0)",
        "INSERT INTO SYS.EXTENDED_PROPERTIES VALUES (1, 10, 0, 'MS_Description', 'all orders'), "
        "(1, 10, 2, 'MS_Description', 'in euros'), (1, 10, 1, 'Caption', 'x'), (7, 10, 1, 'MS_Description', 'an index')",
    ],
    "oracle": [
        "CREATE TABLE ALL_USERS (USERNAME VARCHAR2(128), ORACLE_MAINTAINED VARCHAR2(1))",
        "CREATE TABLE ALL_OBJECTS (OWNER VARCHAR2(128), OBJECT_TYPE VARCHAR2(30))",
        "CREATE TABLE ALL_TAB_COMMENTS (OWNER VARCHAR2(128), TABLE_NAME VARCHAR2(128), TABLE_TYPE VARCHAR2(11), "
        "COMMENTS VARCHAR2(4000))",
        "CREATE TABLE ALL_COL_COMMENTS (OWNER VARCHAR2(128), TABLE_NAME VARCHAR2(128), COLUMN_NAME VARCHAR2(128), "
        "COMMENTS VARCHAR2(4000))",
        "CREATE TABLE ALL_TAB_IDENTITY_COLS (OWNER VARCHAR2(128), TABLE_NAME VARCHAR2(128), COLUMN_NAME VARCHAR2(128))",
        "INSERT INTO ALL_USERS VALUES ('ERP', 'N'), ('EMPTY', 'N'), ('SYS', 'Y')",
        "INSERT INTO ALL_OBJECTS VALUES ('ERP', 'TABLE'), ('SYS', 'TABLE'), ('EMPTY', 'PROCEDURE')",
        "INSERT INTO ALL_TAB_COMMENTS VALUES ('ERP', 'ORDERS', 'TABLE', 'all orders'), ('ERP', 'BIN$x==$0', 'TABLE', NULL), "
        "('ERP', 'OPEN_ORDERS', 'VIEW', NULL), ('SYS', 'DUAL', 'TABLE', NULL)",
        "INSERT INTO ALL_COL_COMMENTS VALUES ('ERP', 'ORDERS', 'ID', NULL), ('ERP', 'ORDERS', 'TOTAL', 'in euros'), "
        "('SYS', 'ORDERS', 'TOTAL', 'another')",
        "INSERT INTO ALL_TAB_IDENTITY_COLS VALUES ('ERP', 'ORDERS', 'ID')",
    ],
    "db2": [
        "CREATE SCHEMA QSYS2",
        "CREATE TABLE QSYS2.SYSSCHEMAS (SCHEMA_NAME VARCHAR(128))",
        "CREATE TABLE QSYS2.SYSTABLES (TABLE_SCHEMA VARCHAR(128), TABLE_NAME VARCHAR(128), TABLE_TYPE CHAR(1), "
        "FILE_TYPE CHAR(1), LONG_COMMENT VARCHAR(2000), TABLE_TEXT VARCHAR(50))",
        "CREATE TABLE QSYS2.SYSCOLUMNS (TABLE_SCHEMA VARCHAR(128), TABLE_NAME VARCHAR(128), COLUMN_NAME VARCHAR(128), "
        "LONG_COMMENT VARCHAR(2000), COLUMN_TEXT VARCHAR(50), COLUMN_HEADING VARCHAR(60), IS_IDENTITY VARCHAR(3))",
        "INSERT INTO QSYS2.SYSSCHEMAS VALUES 'ERPLIB', 'QSYS2', 'QTEMP', 'QGPL', 'QS36F', 'SYSIBM', '#LIBRARY'",
        "INSERT INTO QSYS2.SYSTABLES VALUES ('ERPLIB', 'ORDERS', 'P', 'D', NULL, 'all orders'), "
        "('ERPLIB', 'ORDERSL1', 'L', 'D', NULL, ''), ('ERPLIB', 'QRPGSRC', 'P', 'S', NULL, 'sources'), "
        "('ERPLIB', 'CUSTOMERS', 'T', 'D', 'a long comment', 'a label'), ('QSYS2', 'SYSTABLES', 'V', 'D', NULL, '')",
        "INSERT INTO QSYS2.SYSCOLUMNS VALUES ('ERPLIB', 'ORDERS', 'ID', NULL, '', NULL, 'YES'), "
        "('ERPLIB', 'ORDERS', 'TOTAL', NULL, '', 'Total               in euros', 'NO')",
    ],
}
SCHEMAS = {"sqlserver": ["dbo", "sales"], "oracle": ["ERP"], "db2": ["ERPLIB", "QGPL", "QS36F"]}
TABLES = {
    "sqlserver": [
        TableInfo("Open Orders", "sales", kind="view"),
        TableInfo("Orders", "sales", remarks="all orders"),
    ],
    "oracle": [TableInfo("OPEN_ORDERS", "ERP", kind="view"), TableInfo("ORDERS", "ERP", remarks="all orders")],
    "db2": [
        TableInfo("CUSTOMERS", "ERPLIB", remarks="a long comment"),
        TableInfo("ORDERS", "ERPLIB", remarks="all orders"),
        TableInfo("ORDERSL1", "ERPLIB", kind="view"),
    ],
}
KINDS = ["sqlserver", "oracle", "db2"]


@pytest.fixture(scope="module")
def catalogued(stand_in: Any) -> Any:
    """A function that gives a stand-in with its catalogue and a table of orders in it."""
    done: dict[str, Any] = {}

    def bed(kind: str) -> Any:
        if kind not in done:
            done[kind] = stand_in(kind)
            done[kind].run(*CATALOGUES[kind])
            table = TableName("Orders" if kind == "sqlserver" else "ORDERS", TABLES[kind][0].schema)
            types = done[kind].dialect.types
            done[kind].run(
                f"CREATE SCHEMA {done[kind].dialect.quote_identifier(table.schema)}",
                done[kind].dialect.create_table_sql(
                    table, [(name if kind == "sqlserver" else name.upper(), types["int32"]) for name in ("Id", "Total")]
                ),
            )
        return done[kind]

    return bed


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_catalogue_holds(catalogued: Any, kind: str) -> None:
    bed = catalogued(kind)
    assert bed.dialect.list_schemas(bed.catalog) == SCHEMAS[kind]
    schema = TABLES[kind][0].schema
    assert bed.dialect.list_tables(bed.catalog, schema) == TABLES[kind]
    found = [item for item in bed.dialect.list_tables(bed.catalog) if item.schema == schema]
    assert found == TABLES[kind]
    assert not [item for item in bed.dialect.list_tables(bed.catalog) if item.name in ("DUAL", "SYSTABLES", "trace_xe")]


@pytest.mark.parametrize("kind", KINDS)
def test_columns_with_their_notes(catalogued: Any, kind: str) -> None:
    bed = catalogued(kind)
    table = next(item for item in TABLES[kind] if item.remarks == "all orders")
    first, second = bed.dialect.get_columns(bed.catalog, table)
    remark = "Total in euros" if kind == "db2" else "in euros"
    assert (first.identity, first.remarks) == (True, None)
    assert (second.identity, second.remarks) == (False, remark)
    remarks = bed.dialect.get_remarks(bed.catalog, table.table_name)
    assert remarks.table == "all orders"
    assert remarks.columns == {second.name: remark}


@pytest.mark.parametrize("kind", KINDS)
def test_a_login_that_may_not_read_the_catalogue_still_browses(stand_in: Any, kind: str, open_bed: Any) -> None:
    """JDBC's metadata is the fallback: here in a database that has no such catalogue at all."""
    bed = open_bed("derby" if kind == "db2" else "h2")
    dialect = get_dialect(kind)
    bed.run('CREATE TABLE "fallback" (i int)')
    try:
        assert "fallback" in [item.name for item in dialect.list_tables(bed.catalog, bed.schema)]
        assert bed.schema in dialect.list_schemas(bed.catalog)
        assert dialect.get_remarks(bed.catalog, TableName("fallback", bed.schema)) == TableRemarks()
    finally:
        bed.run('DROP TABLE "fallback"')


@pytest.mark.parametrize("kind", KINDS)
def test_types_that_the_stand_in_has(stand_in: Any, kind: str) -> None:
    bed = stand_in(kind)
    tried = 0
    types = {bed.dialect.map_type(column(*item[1:]), get_dialect("postgresql")).sql for item in COLUMNS}
    for sql_type in sorted(types):
        if any(word in sql_type for word in NOT_THERE[kind]):
            continue
        table = TableName(f"type {tried}")
        bed.run(bed.dialect.create_table_sql(table, [("c", sql_type)]), bed.dialect.drop_table_sql(table))
        tried += 1
    assert tried >= 10


@pytest.mark.parametrize("kind", KINDS)
def test_comments_and_changes(stand_in: Any, kind: str) -> None:
    bed = stand_in(kind)
    dialect, table, other = bed.dialect, TableName("COMMENTED"), TableName("STAGED")
    columns = [("K", dialect.types["int32"]), ("V", dialect.types["int32"])]
    bed.run(dialect.create_table_sql(table, columns), dialect.create_table_sql(other, columns))
    if kind == "oracle":
        bed.run(*dialect.comment_sql(table, TableRemarks("it's", {"K": "the \\ key"}), columns))
        remarks = (
            "SELECT REMARKS FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_NAME = 'COMMENTED' ORDER BY ORDINAL_POSITION"
        )
        assert bed.rows(remarks) == [("the \\ key",), (None,)]
    if kind != "sqlserver":
        bed.run(dialect.update_matching_sql(dialect.table_sql(table), dialect.table_sql(other), ["K"], ["V"]))
    bed.run(
        dialect.delete_matching_sql(dialect.table_sql(table), dialect.table_sql(other), ["K"]),
        dialect.add_column_sql(table, "NEW", dialect.types["int32"]),
    )
    assert [item.name for item in dialect.get_columns(bed.catalog, TableName("COMMENTED", bed.schema))] == [
        "K",
        "V",
        "NEW",
    ]
    bed.run(dialect.drop_table_sql(table), dialect.drop_table_sql(other))


@pytest.mark.parametrize("kind", ["sqlserver", "oracle"])
def test_a_parser_reads_the_catalogue_queries(kind: str) -> None:
    dialect = get_dialect(kind)
    queries = [
        dialect.databases_sql(),
        dialect.schemas_sql(None),
        dialect.schemas_sql("other db") if kind == "sqlserver" else None,
        dialect.tables_sql(None, None),
        dialect.tables_sql("it's", None, "t"),
        dialect.tables_sql("s", "db]x") if kind == "sqlserver" else None,
        dialect.column_notes_sql(TableName("t")),
        dialect.column_notes_sql(TableName("t", "s")),
    ]
    for sql in filter(None, queries):
        parsed = sqlglot.parse(sql, dialect="tsql" if kind == "sqlserver" else "oracle")
        assert len(parsed) == 1
        assert isinstance(parsed[0], sqlglot.exp.Select)


def test_databases_of_sql_server_are_a_level_of_their_own() -> None:
    dialect = get_dialect("sqlserver")
    assert [field.name for field in dialect.browse_fields] == ["database", "schema"]
    table = TableInfo("Orders", "dbo", "erp db")
    assert [dialect.identifier(name) for name in ("Id", "Order")] == ["Id", "[Order]"]
    assert dialect.source_name(table) == "[erp db].dbo.Orders"
    assert "[erp db].sys.columns" in dialect.column_notes_sql(table.table_name)


def test_what_people_call_the_levels() -> None:
    labels = {kind: [field.label for field in get_dialect(kind).browse_fields] for kind in ("db2", "mariadb", "sqlite")}
    assert labels == {"db2": ["library"], "mariadb": ["database"], "sqlite": []}
