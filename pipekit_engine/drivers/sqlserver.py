"""SQL Server."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pipekit_engine.drivers.base import Dialect, JdbcDefaults, MappedType, decimal, fractional, literal, sized_text
from pipekit_engine.drivers.capabilities import Capabilities

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipekit_engine.drivers.names import TableName
    from pipekit_engine.jrunner.protocol import Column


def _decimal(column: Column) -> MappedType:
    mapped = decimal("decimal({precision},{scale})", max_precision=38, unconstrained="decimal(38,10)")(column)
    if mapped.sql == "decimal(38,10)" and (column.precision, column.scale) != (38, 10):
        return MappedType(
            mapped.sql, "28 digits before and 10 after the point are kept, a row that needs more is refused"
        )
    return mapped


class SQLServer(Dialect):
    """SQL Server 2016 and newer, by Microsoft's driver or jTDS."""

    kind = "sqlserver"
    label = "SQL Server"
    jdbc = JdbcDefaults(
        "com.microsoft.sqlserver.jdbc.SQLServerDriver",
        ("mssql-jdbc*.jar", "jtds*.jar"),
        "jdbc:sqlserver://HOST:1433;databaseName=DATABASE",
    )
    capabilities = Capabilities(
        quote=("[", "]"),
        max_identifier_length=128,
        transactional_ddl=True,
        transactional_truncate=True,
        row_values=False,
        missing_table_codes=frozenset({208, 2760}),
        missing_table_states=frozenset({"S0002", "42S02"}),
        bulk_path="the driver's bulk copy",
    )
    types: ClassVar = {
        "boolean": "bit",
        "int16": "smallint",
        "int32": "int",
        "int64": "bigint",
        "decimal": _decimal,
        "float32": "real",
        "float64": "float",
        "text": sized_text("nvarchar({precision})", max_length=4000, unlimited="nvarchar(max)"),
        "binary": "varbinary(max)",
        "date": "date",
        "time": fractional("time({precision})", max_digits=7),
        "timestamp": fractional("datetime2({precision})", max_digits=7),
        "timestamptz": fractional("datetimeoffset({precision})", max_digits=7),
        "uuid": "uniqueidentifier",
    }

    def schema_exists_sql(self, schema: str) -> str:
        """From the catalogue of the database in use."""
        return f"SELECT 1 FROM sys.schemas WHERE name = {literal(schema)}"

    def is_view_sql(self, table: TableName) -> str:
        """By the object's number, which the name resolves to as in any statement."""
        return f"SELECT 1 FROM sys.views WHERE object_id = OBJECT_ID({literal(self.table_sql(table))})"

    def create_like_sql(self, table: TableName, like: TableName, columns: Sequence[Column]) -> str:
        """SELECT INTO. The union with nothing keeps an identity column from becoming one in staging."""
        names = self.column_list(columns)
        source = self.table_sql(like)
        return (
            f"SELECT {names} INTO {self.table_sql(table)} FROM {source} WHERE 1 = 0 "
            f"UNION ALL SELECT {names} FROM {source} WHERE 1 = 0"
        )

    def add_column_sql(self, table: TableName, name: str, sql_type: str) -> str:
        """Without the word COLUMN."""
        return f"ALTER TABLE {self.table_sql(table)} ADD {self.quote_identifier(name)} {sql_type} NULL"

    def lock_table_sql(self, dest: str) -> list[str]:
        """A shared-intent-exclusive lock by a statement that changes no row."""
        return [f"DELETE FROM {dest} WITH (UPDLOCK, HOLDLOCK, TABLOCK) WHERE 1 = 0"]

    def update_matching_sql(self, dest: str, staged: str, key: Sequence[str], others: Sequence[str]) -> str:
        """UPDATE ... FROM with a join."""
        sets = ", ".join(f"d.{self.quote_identifier(name)} = s.{self.quote_identifier(name)}" for name in others)
        return f"UPDATE d SET {sets} FROM {dest} d JOIN {staged} s ON {self.key_match('d', 's', key)}"
