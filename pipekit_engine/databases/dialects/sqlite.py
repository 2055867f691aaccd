"""SQLite."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from pipekit_engine.databases.dialects.base import Dialect, JdbcDefaults, literal
from pipekit_engine.databases.dialects.capabilities import Capabilities
from pipekit_engine.databases.spelling import words
from pipekit_engine.databases.type_mapping import MappedType
from pipekit_engine.sql.syntax import SqlSyntax

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipekit_engine.common.columns import Column
    from pipekit_engine.databases.introspection import ColumnInfo
    from pipekit_engine.databases.names import TableName

#: Decimal digits that SQLite's 8-byte floats keep; longer decimals are stored as text.
_FLOAT_DIGITS = 15


def _decimal(column: Column, source: Dialect) -> MappedType:
    """NUMERIC affinity turns decimals into floats: right up to 15 digits. Longer ones stay text, digit by digit."""
    before, behind = max(column.precision - column.scale, 0), max(column.scale, 0)
    if column.precision > 0 and before + behind <= _FLOAT_DIGITS:
        return MappedType(f"DECIMAL({before + behind},{behind})")
    return MappedType("TEXT", "decimals of more than 15 digits are stored as text, which keeps every digit")


class SQLite(Dialect):
    """SQLite 3.33 and newer. Staging tables live in a file of their own beside the destination, attached for the run."""

    kind = "sqlite"
    label = "SQLite"
    jdbc = JdbcDefaults(
        "org.sqlite.JDBC", ("sqlite-jdbc*.jar", "xerial-sqlite-jdbc*.jar"), "jdbc:sqlite:/path/to/file.db"
    )
    capabilities = Capabilities(
        syntax=SqlSyntax(parser="sqlite", any_case=True, brackets="names", name_characters="$"),
        max_identifier_length=1000,
        transactional_ddl=True,
        transactional_truncate=True,
        schemas=False,
        matches_by="in",
        missing_table_message="no such table",
        bulk_path="prepared inserts in one transaction",
    )
    browse_fields = ()
    open_file_sql = "SELECT file FROM pragma_database_list WHERE name = 'main'"
    binding_types = False
    reserved = words("autoincrement glob indexed isnull nothing notnull raise transaction without")
    boolean_literals = ("0", "1")
    date_literal = "'{}'"
    timestamp_literal = "'{}'"
    types: ClassVar = {
        "boolean": "BOOLEAN",
        "int16": "SMALLINT",
        "int32": "INTEGER",
        "int64": "BIGINT",
        "decimal": _decimal,
        "float32": "REAL",
        "float64": "DOUBLE",
        "text": "TEXT",
        "binary": "BLOB",
        "date": "DATE",
        "time": "TIME",
        "timestamp": "TIMESTAMP",
        "timestamptz": "TIMESTAMPTZ",
    }

    def database_file(self, url: str) -> str | None:
        """The path in `jdbc:sqlite:path?options`; None for databases in memory, resources and `file:` URIs."""
        path = url.removeprefix("jdbc:sqlite:").partition("?")[0]
        return None if not path or path.startswith((":", "file:")) else path

    def native_type(self, column: Column) -> str | None:
        """The declared type as it was written; an expression without one is mapped by family."""
        return column.type_name or None if column.family != "any" else None

    def narrowing(self, there: Column, column: Column, source: Dialect) -> str | None:
        """Nothing: a declared type here is a preference."""
        return None

    def refine_columns(self, columns: list[ColumnInfo]) -> list[ColumnInfo]:
        """A single INTEGER PRIMARY KEY is the rowid: SQLite numbers it by itself."""
        key = [column for column in columns if column.key_position is not None]
        if len(key) != 1 or key[0].column.type_name.upper() != "INTEGER":
            return columns
        return [replace(column, identity=True) if column is key[0] else column for column in columns]

    def table_name(self, text: str) -> TableName:
        """An unqualified table is the main file's, whatever the attached staging file holds."""
        table = super().table_name(text)
        return table if table.schema else replace(table, schema="main")

    def schema_exists_sql(self, schema: str) -> None:
        """Schemas are attached files; there is nothing to create."""
        return

    def is_view_sql(self, table: TableName) -> str:
        """From the schema table of the file that holds it; names are compared without case."""
        schema = self.quote_identifier(table.schema or "main")
        return (
            f"SELECT 1 FROM {schema}.sqlite_master WHERE type = 'view' AND lower(name) = lower({literal(table.name)})"
        )

    def create_like_sql(self, table: TableName, like: TableName, columns: Sequence[Column]) -> str:
        """CREATE TABLE AS would keep the affinity only: the declared types are written out."""
        return self.create_table_sql(table, [(column.name, column.type_name or "") for column in columns])

    def attach_sql(self, file: str, schema: str) -> tuple[list[str], list[str]]:
        """The file is made anew by each run, so it needs neither a journal nor syncing."""
        name = self.quote_identifier(schema)
        attach = [
            f"ATTACH DATABASE {literal(file)} AS {name}",
            f"PRAGMA {name}.journal_mode = OFF",
            f"PRAGMA {name}.synchronous = OFF",
        ]
        return attach, [f"DETACH DATABASE {name}"]

    def index_staging_sql(self, staging: TableName, key: Sequence[Column]) -> list[str]:
        """SQLite joins by nested loops: the inner one needs an index."""
        index = replace(staging, name=f"{staging.name} key")
        names = self.column_list(key)
        return [f"CREATE INDEX {self.table_sql(index)} ON {self.quote_identifier(staging.name)} ({names})"]

    def update_matching_sql(self, dest: str, staged: str, key: Sequence[str], others: Sequence[str]) -> str:
        """UPDATE ... FROM, as in PostgreSQL but with the target named `AS`."""
        sets = ", ".join(f"{self.quote_identifier(name)} = s.{self.quote_identifier(name)}" for name in others)
        return f"UPDATE {dest} AS d SET {sets} FROM {staged} AS s WHERE {self.key_match('d', 's', key)}"
