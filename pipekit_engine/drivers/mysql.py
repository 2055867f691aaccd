"""MariaDB and MySQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pipekit_engine.drivers.base import Dialect, JdbcDefaults, MappedType, decimal, fractional, literal, sized_text
from pipekit_engine.drivers.capabilities import Capabilities

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipekit_engine.drivers.names import TableName
    from pipekit_engine.jrunner.protocol import Column


def _unconstrained(column: Column) -> MappedType:
    mapped = decimal("decimal({precision},{scale})", max_precision=65, unconstrained="decimal(65,30)")(column)
    if column.scale and column.scale > 30:
        return MappedType(
            "decimal(65,30)", f"{column.scale} decimal places; 30 are kept, a row that needs more is refused"
        )
    if mapped.sql == "decimal(65,30)" and not column.precision:
        return MappedType(mapped.sql, "a decimal without limits; 35 digits before and 30 after the point are kept")
    return mapped


class MariaDB(Dialect):
    """MariaDB 10.3 and newer. A database is what others call a schema. DDL and TRUNCATE commit, so neither is in a merge."""

    kind = "mariadb"
    label = "MariaDB"
    jdbc = JdbcDefaults("org.mariadb.jdbc.Driver", ("mariadb-java-client*.jar",), "jdbc:mariadb://HOST:3306/DATABASE")
    capabilities = Capabilities(
        quote=("`", "`"),
        max_identifier_length=64,
        missing_table_states=frozenset({"42S02"}),
        missing_table_codes=frozenset({1146, 1049}),
        bulk_path="LOAD DATA LOCAL INFILE",
    )
    types: ClassVar = {
        "boolean": "boolean",
        "int16": "smallint",
        "int32": "int",
        "int64": "bigint",
        "decimal": _unconstrained,
        "float32": "float",
        "float64": "double",
        "text": sized_text("varchar({precision})", max_length=4000, unlimited="longtext"),
        "binary": "longblob",
        "date": "date",
        "time": fractional("time({precision})", max_digits=6),
        "timestamp": fractional("datetime({precision})", max_digits=6),
        "timestamptz": fractional("timestamp({precision})", max_digits=6),
        "uuid": "char(36)",
        "json": "longtext",
    }

    def create_schema_sql(self, schema: str) -> str:
        """A database in UTF-8, whatever the server's default."""
        return f"CREATE DATABASE {self.quote_identifier(schema)} CHARACTER SET utf8mb4"

    def create_table_sql(self, table: TableName, columns: Sequence[tuple[str, str]], *, staging: bool = False) -> str:
        """InnoDB and full UTF-8, whatever the server's default: transactions and every character."""
        return super().create_table_sql(table, columns, staging=staging) + " ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"

    def is_view_sql(self, table: TableName) -> str:
        """In the named database, or the one in use."""
        schema = literal(table.schema) if table.schema else "DATABASE()"
        return f"SELECT 1 FROM information_schema.views WHERE table_schema = {schema} AND table_name = {literal(table.name)}"

    def create_like_sql(self, table: TableName, like: TableName, columns: Sequence[Column]) -> str:
        """CREATE TABLE AS keeps types, character sets and collations."""
        names = self.column_list(columns)
        return f"CREATE TABLE {self.table_sql(table)} ENGINE=InnoDB AS SELECT {names} FROM {self.table_sql(like)} WHERE 1 = 0"

    def delete_matching_sql(self, dest: str, staging: str, key: Sequence[str]) -> str:
        """A join: DELETE with a subquery runs the subquery for each row."""
        names = ", ".join(self.quote_identifier(name) for name in key)
        return (
            f"DELETE d FROM {dest} d JOIN (SELECT DISTINCT {names} FROM {staging}) s ON {self.key_match('d', 's', key)}"
        )

    def update_matching_sql(self, dest: str, staged: str, key: Sequence[str], others: Sequence[str]) -> str:
        """UPDATE with a join."""
        sets = ", ".join(f"d.{self.quote_identifier(name)} = s.{self.quote_identifier(name)}" for name in others)
        return f"UPDATE {dest} d JOIN {staged} s ON {self.key_match('d', 's', key)} SET {sets}"


class MySQL(MariaDB):
    """MySQL 8 and newer: MariaDB's sibling, with a driver of its own."""

    kind = "mysql"
    label = "MySQL"
    jdbc = JdbcDefaults("com.mysql.cj.jdbc.Driver", ("mysql-connector-j*.jar",), "jdbc:mysql://HOST:3306/DATABASE")
