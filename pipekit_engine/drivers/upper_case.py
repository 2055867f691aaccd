"""The databases that fold unquoted names to upper case: Oracle, DB2 for i, H2, Derby, HSQLDB."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pipekit_engine.drivers.base import Dialect, JdbcDefaults, MappedType, decimal, fractional, literal, sized_text
from pipekit_engine.drivers.capabilities import Capabilities

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pipekit_engine.drivers.names import TableName
    from pipekit_engine.jrunner.protocol import Column


def _limited_decimal(max_precision: int, scale: int) -> Callable[[Column], MappedType]:
    """DECIMAL of at most `max_precision` digits; what has no limits or more gets all of them, `scale` after the point."""
    unconstrained = f"DECIMAL({max_precision},{scale})"
    fitting = decimal("DECIMAL({precision},{scale})", max_precision=max_precision, unconstrained=unconstrained)

    def map_decimal(column: Column) -> MappedType:
        mapped = fitting(column)
        if 0 < (column.precision or 0) <= max_precision:
            return mapped
        return MappedType(
            mapped.sql,
            f"{max_precision - scale} digits before and {scale} after the point are kept, a row that needs more is refused",
        )

    return map_decimal


def _view_in(catalogue: str, table: TableName, schema_column: str, name_column: str, current: str) -> str:
    """Asks a catalogue of views for a table, in its schema or the current one."""
    schema = literal(table.schema) if table.schema else current
    return f"SELECT 1 FROM {catalogue} WHERE {schema_column} = {schema} AND {name_column} = {literal(table.name)}"


class Oracle(Dialect):
    """Oracle 12.2 and newer. A staging schema is a user; by default the login's own is used. '' is NULL in Oracle."""

    kind = "oracle"
    label = "Oracle"
    jdbc = JdbcDefaults("oracle.jdbc.OracleDriver", ("ojdbc*.jar",), "jdbc:oracle:thin:@//HOST:1521/SERVICE")
    capabilities = Capabilities(
        unquoted_case="upper",
        max_identifier_length=128,
        identifier_unit="bytes",
        drop_if_exists=False,
        missing_table_codes=frozenset({942}),
        bulk_path="array batches",
        one_row_from=" FROM DUAL",
    )
    types: ClassVar = {
        "boolean": "NUMBER(1)",
        "int16": "NUMBER(5)",
        "int32": "NUMBER(10)",
        "int64": "NUMBER(19)",
        "decimal": decimal("NUMBER({precision},{scale})", max_precision=38, unconstrained="NUMBER"),
        "float32": "BINARY_FLOAT",
        "float64": "BINARY_DOUBLE",
        "text": sized_text("VARCHAR2({precision} CHAR)", max_length=1000, unlimited="CLOB"),
        "binary": "BLOB",
        "date": "DATE",
        "time": "VARCHAR2(18)",
        "timestamp": fractional("TIMESTAMP({precision})", max_digits=9),
        "timestamptz": fractional("TIMESTAMP({precision}) WITH TIME ZONE", max_digits=9),
        "uuid": "VARCHAR2(36)",
    }

    def is_view_sql(self, table: TableName) -> str:
        """Of those that the login may see."""
        return _view_in("ALL_VIEWS", table, "OWNER", "VIEW_NAME", "SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA')")

    def schema_exists_sql(self, schema: str) -> None:
        """Users are made by a DBA, never by a sync."""
        return

    def create_like_sql(self, table: TableName, like: TableName, columns: Sequence[Column]) -> str:
        """CREATE TABLE AS with a condition that nothing meets."""
        names = self.column_list(columns)
        return f"CREATE TABLE {self.table_sql(table)} AS SELECT {names} FROM {self.table_sql(like)} WHERE 1 = 0"

    def lock_table_sql(self, dest: str) -> list[str]:
        """Readers are never blocked in Oracle."""
        return [f"LOCK TABLE {dest} IN EXCLUSIVE MODE"]

    def add_column_sql(self, table: TableName, name: str, sql_type: str) -> str:
        """In parentheses, without the word COLUMN."""
        return f"ALTER TABLE {self.table_sql(table)} ADD ({self.quote_identifier(name)} {sql_type})"


class DB2(Dialect):
    """DB2 for i 7.3 and newer, by IBM's Toolbox driver. A schema is a library."""

    kind = "db2"
    label = "DB2 for i"
    jdbc = JdbcDefaults("com.ibm.as400.access.AS400JDBCDriver", ("jt400*.jar",), "jdbc:as400://HOST/LIBRARY")
    capabilities = Capabilities(
        unquoted_case="upper",
        max_identifier_length=128,
        missing_table_states=frozenset({"42704"}),
        missing_table_codes=frozenset({-204}),
        bulk_path="array batches",
        one_row_from=" FROM SYSIBM.SYSDUMMY1",
    )
    types: ClassVar = {
        "boolean": "SMALLINT",
        "int16": "SMALLINT",
        "int32": "INTEGER",
        "int64": "BIGINT",
        "decimal": _limited_decimal(63, 20),
        "float32": "REAL",
        "float64": "DOUBLE",
        "text": sized_text("VARCHAR({precision}) CCSID 1208", max_length=4000, unlimited="CLOB(2G) CCSID 1208"),
        "binary": "BLOB(2G)",
        "date": "DATE",
        "time": "TIME",
        "timestamp": fractional("TIMESTAMP({precision})", max_digits=12),
        "timestamptz": fractional("TIMESTAMP({precision})", max_digits=12),
        "uuid": "CHAR(36)",
    }

    def is_view_sql(self, table: TableName) -> str:
        """From the catalogue."""
        return _view_in("QSYS2.SYSVIEWS", table, "TABLE_SCHEMA", "TABLE_NAME", "CURRENT SCHEMA")

    def schema_exists_sql(self, schema: str) -> str:
        """From the catalogue."""
        return f"SELECT 1 FROM QSYS2.SYSSCHEMAS WHERE SCHEMA_NAME = {literal(schema)}"

    def create_like_sql(self, table: TableName, like: TableName, columns: Sequence[Column]) -> str:
        """The query stands in parentheses."""
        names = self.column_list(columns)
        return f"CREATE TABLE {self.table_sql(table)} AS (SELECT {names} FROM {self.table_sql(like)}) WITH NO DATA"


class H2(Dialect):
    """H2 2.x."""

    kind = "h2"
    label = "H2"
    jdbc = JdbcDefaults("org.h2.Driver", ("h2.jar", "h2-[0-9]*.jar"), "jdbc:h2:/path/to/file")
    capabilities = Capabilities(
        unquoted_case="upper",
        max_identifier_length=256,
        matches_by="in",
        missing_table_states=frozenset({"42S02", "42S04", "90079"}),
        missing_table_codes=frozenset({42102, 42104, 90079}),
    )
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
        return _view_in("INFORMATION_SCHEMA.VIEWS", table, "TABLE_SCHEMA", "TABLE_NAME", "CURRENT_SCHEMA")


class Derby(Dialect):
    """Apache Derby 10.14 and newer: close to DB2."""

    kind = "derby"
    label = "Derby"
    jdbc = JdbcDefaults(
        "org.apache.derby.jdbc.EmbeddedDriver", ("derby.jar", "derby-[0-9]*.jar"), "jdbc:derby:/path/to/folder"
    )
    capabilities = Capabilities(
        unquoted_case="upper",
        max_identifier_length=128,
        transactional_ddl=True,
        drop_if_exists=False,
        row_values=False,
        missing_table_states=frozenset({"42X05", "42Y07", "42Y55"}),
        one_row_from=" FROM SYSIBM.SYSDUMMY1",
    )
    types: ClassVar = {
        "boolean": "BOOLEAN",
        "int16": "SMALLINT",
        "int32": "INTEGER",
        "int64": "BIGINT",
        "decimal": _limited_decimal(31, 10),
        "float32": "REAL",
        "float64": "DOUBLE",
        "text": sized_text("VARCHAR({precision})", max_length=32672, unlimited="CLOB"),
        "binary": "BLOB",
        "date": "DATE",
        "time": "TIME",
        "timestamp": "TIMESTAMP",
        "timestamptz": "TIMESTAMP",
        "uuid": "CHAR(36)",
    }

    def is_view_sql(self, table: TableName) -> str:
        """Tables and views share one catalogue."""
        tables = "SYS.SYSTABLES t JOIN SYS.SYSSCHEMAS s ON t.SCHEMAID = s.SCHEMAID AND t.TABLETYPE = 'V'"
        return _view_in(tables, table, "SCHEMANAME", "TABLENAME", "CURRENT SCHEMA")

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
        unquoted_case="upper",
        max_identifier_length=128,
        matches_by="in",
        missing_table_states=frozenset({"42501", "3F000"}),
        missing_table_codes=frozenset({-5501, -4850}),
        one_row_from=" FROM (VALUES(0))",
    )
    types: ClassVar = {
        "boolean": "BOOLEAN",
        "int16": "SMALLINT",
        "int32": "INTEGER",
        "int64": "BIGINT",
        "decimal": _limited_decimal(100, 40),
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
        return _view_in("INFORMATION_SCHEMA.VIEWS", table, "TABLE_SCHEMA", "TABLE_NAME", "CURRENT_SCHEMA")

    def create_table_sql(self, table: TableName, columns: Sequence[tuple[str, str]], *, staging: bool = False) -> str:
        """CACHED: on disk, where the default keeps every row in memory."""
        return super().create_table_sql(table, columns).replace("CREATE TABLE", "CREATE CACHED TABLE", 1)

    def create_like_sql(self, table: TableName, like: TableName, columns: Sequence[Column]) -> str:
        """The query stands in parentheses."""
        names = self.column_list(columns)
        return (
            f"CREATE CACHED TABLE {self.table_sql(table)} AS (SELECT {names} FROM {self.table_sql(like)}) WITH NO DATA"
        )
