"""The databases that run inside the Java process: H2, Derby, HSQLDB."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pipekit_engine.databases.catalogues import view_in
from pipekit_engine.databases.dialects.base import Dialect, JdbcDefaults, literal
from pipekit_engine.databases.dialects.capabilities import Capabilities
from pipekit_engine.databases.spelling import words
from pipekit_engine.databases.type_mapping import decimal, fractional, sized_text
from pipekit_engine.sql.syntax import SqlSyntax

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipekit_engine.common.columns import Column
    from pipekit_engine.databases.names import TableName


class H2(Dialect):
    """H2 2.x."""

    kind = "h2"
    label = "H2"
    jdbc = JdbcDefaults("org.h2.Driver", ("h2.jar", "h2-[0-9]*.jar"), "jdbc:h2:/path/to/file")
    capabilities = Capabilities(
        syntax=SqlSyntax(unquoted_case="upper", dollar_strings=True, nested_comments=True, recursive_keyword=True),
        max_identifier_length=256,
        matches_by="in",
        max_comment_length=100_000,
        missing_table_states=frozenset({"42S02", "42S04", "90079"}),
        missing_table_codes=frozenset({42102, 42104, 90079}),
    )
    reserved = words("day hour key minute month qualify rownum second uescape year")
    types: ClassVar = {
        "boolean": "BOOLEAN",
        "int16": "SMALLINT",
        "int32": "INTEGER",
        "int64": "BIGINT",
        "decimal": decimal("NUMERIC({precision},{scale})", max_precision=100000, unconstrained="DECFLOAT"),
        "float32": "REAL",
        "float64": "DOUBLE PRECISION",
        "text": sized_text("VARCHAR({precision})", max_length=1_000_000, unlimited="CHARACTER LARGE OBJECT"),
        "binary": "BINARY LARGE OBJECT",
        "date": "DATE",
        "time": fractional("TIME({precision})", max_digits=9),
        "timetz": fractional("TIME({precision}) WITH TIME ZONE", max_digits=9),
        "timestamp": fractional("TIMESTAMP({precision})", max_digits=9),
        "timestamptz": fractional("TIMESTAMP({precision}) WITH TIME ZONE", max_digits=9),
        "uuid": "UUID",
        "json": "CHARACTER LARGE OBJECT",
    }

    def is_view_sql(self, table: TableName) -> str:
        """As the standard has it."""
        return view_in("INFORMATION_SCHEMA.VIEWS", table, "TABLE_SCHEMA", "TABLE_NAME", "CURRENT_SCHEMA")


class Derby(Dialect):
    """Apache Derby 10.14 and newer: close to DB2."""

    kind = "derby"
    label = "Derby"
    jdbc = JdbcDefaults(
        "org.apache.derby.jdbc.EmbeddedDriver", ("derby.jar", "derby-[0-9]*.jar"), "jdbc:derby:/path/to/folder"
    )
    capabilities = Capabilities(
        syntax=SqlSyntax(unquoted_case="upper", nested_comments=True),
        max_identifier_length=128,
        transactional_ddl=True,
        drop_if_exists=False,
        row_values=False,
        instants="none",
        missing_table_states=frozenset({"42X05", "42Y07", "42Y55"}),
        one_row_from=" FROM SYSIBM.SYSDUMMY1",
    )
    system_schemas = ("SYS*", "NULLID", "SQLJ")
    date_literal = "DATE('{}')"
    timestamp_literal = "TIMESTAMP('{}')"
    reserved = words(
        """
        allocate assertion at avg bit boolean cascaded close connection constraints deferred definer diagnostics
        disconnect double exception first found go goto hour identity indicator input invoker isolation key last lower
        minute national next none output partial preserve prior privileges public relative scroll second substring
        temporary transaction trim upper whenever work xml xmlexists xmlparse xmlserialize year
        """
    )
    types: ClassVar = {
        "boolean": "BOOLEAN",
        "int16": "SMALLINT",
        "int32": "INTEGER",
        "int64": "BIGINT",
        "decimal": decimal("DECIMAL({precision},{scale})", max_precision=31),
        "float32": "REAL",
        "float64": "DOUBLE",
        "text": sized_text("VARCHAR({precision})", max_length=32672, unlimited="CLOB"),
        "binary": "BLOB",
        "date": "DATE",
        "time": fractional("TIME", max_digits=0),
        "timetz": "VARCHAR(32)",
        "timestamp": fractional("TIMESTAMP", max_digits=9),
        "timestamptz": fractional("TIMESTAMP", max_digits=9),
        "uuid": "CHAR(36)",
    }

    def is_view_sql(self, table: TableName) -> str:
        """Tables and views share one catalogue."""
        tables = "SYS.SYSTABLES t JOIN SYS.SYSSCHEMAS s ON t.SCHEMAID = s.SCHEMAID AND t.TABLETYPE = 'V'"
        return view_in(tables, table, "SCHEMANAME", "TABLENAME", "CURRENT SCHEMA")

    def schema_exists_sql(self, schema: str) -> str:
        """Derby has no information_schema."""
        return f"SELECT 1 FROM SYS.SYSSCHEMAS WHERE SCHEMANAME = {literal(schema)}"


class HSQLDB(Dialect):
    """HSQLDB 2.5 and newer."""

    kind = "hsqldb"
    label = "HSQLDB"
    jdbc = JdbcDefaults(
        "org.hsqldb.jdbc.JDBCDriver", ("hsqldb.jar", "hsqldb-[0-9]*.jar"), "jdbc:hsqldb:file:/path/to/file"
    )
    capabilities = Capabilities(
        syntax=SqlSyntax(unquoted_case="upper", recursive_keyword=True),
        max_identifier_length=128,
        matches_by="in",
        max_comment_length=100_000,
        missing_table_states=frozenset({"42501", "3F000"}),
        missing_table_codes=frozenset({-5501, -4850}),
        one_row_from=" FROM (VALUES(0))",
    )
    system_schemas = ("INFORMATION_SCHEMA", "SYSTEM_LOBS")
    reserved = words("at coalesce normalize prevval sysdate")
    types: ClassVar = {
        "boolean": "BOOLEAN",
        "int16": "SMALLINT",
        "int32": "INTEGER",
        "int64": "BIGINT",
        "decimal": decimal("DECIMAL({precision},{scale})", max_precision=100, scale=40),
        "float32": "DOUBLE",
        "float64": "DOUBLE",
        "text": sized_text("VARCHAR({precision})", max_length=32768, unlimited="CLOB(1G)"),
        "binary": "BLOB(1G)",
        "date": "DATE",
        "time": fractional("TIME({precision})", max_digits=9),
        "timetz": fractional("TIME({precision}) WITH TIME ZONE", max_digits=9),
        "timestamp": fractional("TIMESTAMP({precision})", max_digits=9),
        "timestamptz": fractional("TIMESTAMP({precision}) WITH TIME ZONE", max_digits=9),
        "uuid": "UUID",
    }

    def is_view_sql(self, table: TableName) -> str:
        """As the standard has it."""
        return view_in("INFORMATION_SCHEMA.VIEWS", table, "TABLE_SCHEMA", "TABLE_NAME", "CURRENT_SCHEMA")

    def create_table_sql(self, table: TableName, columns: Sequence[tuple[str, str]], *, staging: bool = False) -> str:
        """CACHED: on disk, where the default keeps every row in memory."""
        return super().create_table_sql(table, columns).replace("CREATE TABLE", "CREATE CACHED TABLE", 1)

    def create_like_sql(self, table: TableName, like: TableName, columns: Sequence[Column]) -> str:
        """The query stands in parentheses."""
        names = self.column_list(columns)
        return (
            f"CREATE CACHED TABLE {self.table_sql(table)} AS (SELECT {names} FROM {self.table_sql(like)}) WITH NO DATA"
        )
