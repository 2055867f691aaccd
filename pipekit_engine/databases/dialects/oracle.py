"""Oracle."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pipekit_engine.databases.catalogues import view_in
from pipekit_engine.databases.dialects.base import Dialect, JdbcDefaults, literal
from pipekit_engine.databases.dialects.capabilities import Capabilities
from pipekit_engine.databases.introspection import BrowseField
from pipekit_engine.databases.spelling import words
from pipekit_engine.databases.type_mapping import MappedType, fractional, sized_text
from pipekit_engine.sql.syntax import SqlSyntax

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipekit_engine.common.columns import Column
    from pipekit_engine.databases.names import TableName


_CURRENT = "SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA')"
_MAX_DIGITS = 38


def _number(column: Column, source: Dialect) -> MappedType:
    """NUMBER keeps 38 digits wherever the point is, so that more of them are refused and nothing else."""
    before, behind = max(column.precision - column.scale, 0), max(column.scale, 0)
    if column.precision > 0 and before + behind <= _MAX_DIGITS:
        return MappedType(f"NUMBER({before + behind},{behind})")
    return MappedType("NUMBER", f"{_MAX_DIGITS} digits are kept, a row that needs more is refused")


class Oracle(Dialect):
    """Oracle 12.2 and newer. A staging schema is a user; by default the login's own is used. '' is NULL in Oracle."""

    kind = "oracle"
    label = "Oracle"
    jdbc = JdbcDefaults("oracle.jdbc.OracleDriver", ("ojdbc*.jar",), "jdbc:oracle:thin:@//HOST:1521/SERVICE")
    capabilities = Capabilities(
        syntax=SqlSyntax(parser="oracle", unquoted_case="upper", q_strings=True, name_characters="$#"),
        max_identifier_length=128,
        identifier_unit="bytes",
        creates_schemas=False,
        drop_if_exists=False,
        missing_table_codes=frozenset({942}),
        max_comment_length=4000,
        comment_unit="bytes",
        bulk_path="array batches",
        one_row_from=" FROM DUAL",
    )
    browse_fields = (BrowseField("schema", "schema (user)"),)
    system_schemas = ("SYS", "SYSTEM", "SYS$*", "XDB", "CTXSYS", "MDSYS", "OUTLN", "DBSNMP", "APEX_*", "GSM*", "ORD*")
    reserved = words(
        """
        access audit cluster comment compress date file identified increment initial level maxextents mlslabel mode
        noaudit nocompress nowait number offline online pctfree prior privileges public raw resource rowid rownum session
        share size successful synonym sysdate uid validate whenever
        """
    )
    boolean_literals = ("0", "1")
    types: ClassVar = {
        "boolean": "NUMBER(1)",
        "int16": "NUMBER(5)",
        "int32": "NUMBER(10)",
        "int64": "NUMBER(19)",
        "decimal": _number,
        "float32": "BINARY_FLOAT",
        "float64": "BINARY_DOUBLE",
        "text": sized_text("VARCHAR2({precision} CHAR)", max_length=1000, own_length=4000, unlimited="CLOB"),
        "binary": "BLOB",
        "date": "DATE",
        "time": "VARCHAR2(18)",
        "timetz": "VARCHAR2(32)",
        "timestamp": fractional("TIMESTAMP({precision})", max_digits=9),
        "timestamptz": fractional("TIMESTAMP({precision}) WITH TIME ZONE", max_digits=9),
        "uuid": "VARCHAR2(36)",
    }

    def is_view_sql(self, table: TableName) -> str:
        """Of those that the login may see."""
        return view_in("ALL_VIEWS", table, "OWNER", "VIEW_NAME", _CURRENT)

    def schemas_sql(self, database: str | None) -> str:
        """Users that have a table or view which the login may see, and not Oracle's own."""
        return (
            "SELECT u.USERNAME FROM ALL_USERS u WHERE u.ORACLE_MAINTAINED = 'N' AND EXISTS (SELECT 1 FROM ALL_OBJECTS o "
            "WHERE o.OWNER = u.USERNAME AND o.OBJECT_TYPE IN ('TABLE', 'VIEW'))"
        )

    def tables_sql(self, schema: str | None, database: str | None, table: str | None = None) -> str:
        """With comments, which the driver gives only when it is opened with remarksReporting; without the recycle bin."""
        if schema is not None or table is not None:
            where = f"OWNER = {literal(schema) if schema else _CURRENT}"
        else:
            where = "OWNER IN (SELECT USERNAME FROM ALL_USERS WHERE ORACLE_MAINTAINED = 'N')"
        if table is not None:
            where += f" AND TABLE_NAME = {literal(table)}"
        return (
            "SELECT OWNER, TABLE_NAME, LOWER(TABLE_TYPE), COMMENTS FROM ALL_TAB_COMMENTS "
            f"WHERE TABLE_TYPE IN ('TABLE', 'VIEW') AND TABLE_NAME NOT LIKE 'BIN$%' AND {where}"
        )

    def column_notes_sql(self, table: TableName) -> str:
        """Comments and identity columns."""
        owner = literal(table.schema) if table.schema else _CURRENT
        return (
            "SELECT c.COLUMN_NAME, c.COMMENTS, CASE WHEN i.COLUMN_NAME IS NULL THEN '0' ELSE '1' END "
            "FROM ALL_COL_COMMENTS c LEFT JOIN ALL_TAB_IDENTITY_COLS i ON i.OWNER = c.OWNER "
            "AND i.TABLE_NAME = c.TABLE_NAME AND i.COLUMN_NAME = c.COLUMN_NAME "
            f"WHERE c.OWNER = {owner} AND c.TABLE_NAME = {literal(table.name)}"
        )

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
