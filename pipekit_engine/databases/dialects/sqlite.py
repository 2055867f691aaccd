"""SQLite."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import unquote

from pipekit_engine.databases.dialects.base.capabilities import Capabilities
from pipekit_engine.databases.dialects.base.dialect import Dialect
from pipekit_engine.databases.dialects.base.identifiers import literal
from pipekit_engine.databases.dialects.base.jdbc import JdbcDriver
from pipekit_engine.databases.dialects.base.keys import Writings
from pipekit_engine.databases.dialects.base.types import MappedType, TypeSystem
from pipekit_engine.databases.fence import Fence, FenceName
from pipekit_engine.databases.reserved_words import words
from pipekit_engine.sql.syntax import SqlSyntax

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipekit_engine.common.columns import Column
    from pipekit_engine.databases.dialects.base.ranges import KeyLiteral
    from pipekit_engine.databases.dialects.base.watermarks import Lag
    from pipekit_engine.databases.introspection import ColumnInfo
    from pipekit_engine.databases.names import TableName

#: Decimal digits that SQLite's 8-byte floats keep; longer decimals are stored as text.
_FLOAT_DIGITS = 15

#: In the name of a type, these come before BLOB.
_HAS_AFFINITY = re.compile("INT|CHAR|CLOB|TEXT")


def _decimal(column: Column, source: TypeSystem) -> MappedType:
    """NUMERIC affinity turns decimals into floats: right up to 15 digits. Longer ones stay text, digit by digit."""
    before, behind = max(column.precision - column.scale, 0), max(column.scale, 0)
    if column.precision > 0 and before + behind <= _FLOAT_DIGITS:
        return MappedType(f"DECIMAL({before + behind},{behind})")
    return MappedType("TEXT", "decimals of more than 15 digits are stored as text, which keeps every digit")


class SQLite(Dialect):
    """SQLite 3.33 and newer. Staging tables live in a file of their own beside the destination, attached for the run."""

    kind = "sqlite"
    label = "SQLite"
    drivers = (
        JdbcDriver(
            class_name="org.sqlite.JDBC",
            told_as="SQLite JDBC",
            url="jdbc:sqlite:/path/to/file.db",
            files=("sqlite-jdbc*.jar", "xerial-sqlite-jdbc*.jar"),
            group="org.xerial",
            artifact="sqlite-jdbc",
            version="3.49.1.0",
            sha256="5c8609d2ca341deb8c6f71778974b5ba4995c7d32d7c7c89d9392a3e72c39291",
            licence="Apache-2.0",
            older="not known to matter: 3.8.11, 3.21, 3.36 and 3.40 hold every type",
            debian="libxerial-sqlite-jdbc-java",
            debian_jar="sqlite-jdbc.jar",
        ),
    )
    clients = ("sqlite3",)
    certified_here = True
    server_facts: ClassVar = {"encoding": "PRAGMA encoding", "journal": "PRAGMA journal_mode"}
    needs_login = False
    url_is_path = True
    risky_settings = words(
        """
        enable_load_extension load_extension
        """
    )
    risky_urls: ClassVar = {"resource": "^jdbc:sqlite::resource:"}
    indexes_created_tables = True
    capabilities = Capabilities(
        compares_rows=True,
        row_behind="LIMIT 1 OFFSET {}",
        syntax=SqlSyntax(parser="sqlite", any_case=True, brackets="names", name_characters="$"),
        max_identifier_length=1000,
        transactional_ddl=True,
        transactional_truncate=True,
        schemas=False,
        matches_by="in",
        missing_table_message="no such table",
        rolled_back_codes=frozenset({5, 6, 261, 262, 517, 773}),  # SQLITE_BUSY, SQLITE_LOCKED and what they are made of
        loads_directly=True,
        bulk_path="prepared inserts in one transaction",
    )
    browse_fields = ()
    open_file_sql = "SELECT file FROM pragma_database_list WHERE name = 'main'"
    usual_schemas = frozenset({"main"})
    binding_types = False
    times_are_text = True
    clocks = ("datetime('now')", "datetime('now')")
    reserved = words("autoincrement glob indexed isnull nothing notnull raise transaction without")
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
        """The path in `jdbc:sqlite:path?options`; None for databases in memory and resources."""
        path = url.removeprefix("jdbc:sqlite:").partition("?")[0]
        if path.startswith("file:"):
            path = unquote(path.removeprefix("file:"))
        if "mode=memory" in url:
            return None
        return None if not path or path.startswith(":") else path

    def native_type(self, column: Column) -> str | None:
        """The declared type as it was written; an expression without one is mapped by family, and has none if that is open."""
        return "" if column.family == "any" else column.type_name or None

    def is_untyped(self, column: Column) -> bool:
        """Of no affinity, by SQLite's rules; ANY has none in a STRICT table."""
        name = column.type_name.upper()
        return not name or name == "ANY" or ("BLOB" in name and not _HAS_AFFINITY.search(name))

    def narrowing(self, there: Column, column: Column, source: TypeSystem) -> str | None:
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

    def cascades_sql(self, table: TableName) -> str:
        """Only where the connection enforces foreign keys, which it does not by default."""
        schema = table.schema or "main"
        return (
            f"SELECT m.name FROM {self.quote_identifier(schema)}.sqlite_master m, "
            f"pragma_foreign_key_list(m.name, {literal(schema)}) f, pragma_foreign_keys k WHERE m.type = 'table' "
            f'AND k.foreign_keys = 1 AND lower(f."table") = lower({literal(table.name)}) '
            "AND f.on_delete IN ('CASCADE', 'SET NULL', 'SET DEFAULT')"
        )

    def triggers_sql(self, table: TableName) -> str:
        """A trigger here changes the row by a statement of its own."""
        schema, name = self.quote_identifier(table.schema or "main"), literal(table.name)
        return f"SELECT name FROM {schema}.sqlite_master WHERE type = 'trigger' AND lower(tbl_name) = lower({name})"

    def is_view_sql(self, table: TableName) -> str:
        """From the schema table of the file that holds it; names are compared without case."""
        schema = self.quote_identifier(table.schema or "main")
        return (
            f"SELECT 1 FROM {schema}.sqlite_master WHERE type = 'view' AND lower(name) = lower({literal(table.name)})"
        )

    def index_key_sql(
        self, table: TableName, key: Sequence[tuple[str, str]], *, unique: bool, purpose: str = "key"
    ) -> list[str]:
        index = self.table_sql(replace(table, name=f"{table.name}_{purpose}"))
        names = ", ".join(self.quote_identifier(name) for name, _ in key)
        return [f"CREATE {'UNIQUE ' if unique else ''}INDEX {index} ON {self.quote_identifier(table.name)} ({names})"]

    def drop_not_null_sql(self, table: TableName, column: str) -> None:
        """A table has to be made anew for that."""
        return

    def coarse_columns_sql(self, table: TableName) -> str:
        """A column's collation stands in the table's text alone; NOCASE and RTRIM are the ones that take texts for equal."""
        name = literal(table.name)
        return (
            f"SELECT p.name, 'a collation such as NOCASE or RTRIM' FROM pragma_table_info({name}) p WHERE EXISTS (SELECT 1 "
            f"FROM {self.quote_identifier(table.schema or 'main')}.sqlite_master m WHERE lower(m.tbl_name) = lower({name}) "
            "AND (lower(m.sql) LIKE '%nocase%' OR lower(m.sql) LIKE '%rtrim%'))"
        )

    def exact_sql(self, column: Column, text: str) -> str:
        return f"CAST({text} AS BLOB)"

    def key_writings(self, column: Column) -> Writings:
        """A declared type binds no value: what is there may be any text."""
        return "one"

    def _without_end_sql(self, text: str, character: str) -> str:
        return f"rtrim({text}, '{character}')"

    def key_advice(self, table: str, column: Column) -> str:
        """A column's collation cannot be changed."""
        return f"Make {table} anew with the column as TEXT COLLATE BINARY, which is the default, and copy its rows."

    def create_like_sql(self, table: TableName, like: TableName, columns: Sequence[Column]) -> str:
        """CREATE TABLE AS would keep the affinity only: the declared types are written out."""
        return self.create_table_sql(table, [(column.name, column.type_name or "") for column in columns])

    def fence(self, name: FenceName, dest: str) -> Fence:
        """A transaction that writes has the file's lock until it ends; ours begin IMMEDIATE, which waits for that lock."""
        return Fence(wait=("SELECT 1",))

    def attach_sql(self, file: str, schema: str, *, durable: bool = False) -> tuple[list[str], list[str]]:
        """A file that is made anew by each run needs neither a journal nor syncing."""
        name = self.quote_identifier(schema)
        journal, synchronous = ("DELETE", "FULL") if durable else ("OFF", "OFF")
        attach = [
            f"ATTACH DATABASE {literal(file)} AS {name}",
            f"PRAGMA {name}.journal_mode = {journal}",
            f"PRAGMA {name}.synchronous = {synchronous}",
        ]
        return attach, [f"DETACH DATABASE {name}"]

    def index_staging_sql(self, staging: TableName, key: Sequence[Column]) -> list[str]:
        """SQLite joins by nested loops: the inner one needs an index."""
        index = replace(staging, name=f"{staging.name} key")
        names = self.column_list(key)
        return [f"CREATE INDEX {self.table_sql(index)} ON {self.quote_identifier(staging.name)} ({names})"]

    def exact_values_sql(self, column: Column, value: str) -> tuple[str, ...]:
        """By the bytes, whatever the collation; 1 and 1.0 are equal but of two types."""
        return (f"{value} COLLATE BINARY", f"typeof({value})")

    typed_cells = True

    def key_literal(self, column: Column) -> KeyLiteral | None:
        """Dates, times and UUIDs are texts, and compared as such."""
        as_text = column.family in ("date", "timestamp", "timestamptz", "uuid")
        return super().key_literal(replace(column, family="text") if as_text else column)

    row_place = "rowid"

    def place_obstacle_sql(self, table: str) -> str:
        """Views have none, and a column of that name may be anything."""
        named = self.table_name(table)
        name = literal(named.name) if named.schema == "main" else "NULL"
        return (
            "SELECT CASE WHEN count(*) = 0 THEN 'it is no table of the main file' "
            "WHEN max(m.sql) LIKE '%WITHOUT%ROWID%' OR max(m.sql) LIKE 'CREATE VIRTUAL%' THEN 'the table has none of its own' "
            f"WHEN EXISTS (SELECT 1 FROM pragma_table_info({name}) WHERE lower(name) = 'rowid') "
            "THEN 'it is a column of the table, which the query does not give' END "
            f"FROM sqlite_master m WHERE m.type = 'table' AND lower(m.name) = lower({name})"
        )

    def bound_value_sql(self, name: str) -> str:
        """A blob comes behind all texts, and would be written as one."""
        return f"CASE WHEN typeof({name}) <> 'blob' THEN {name} END"

    def distinct_sql(self, left: str, right: str) -> str:
        return f"{left} IS NOT {right}"

    def update_matching_sql(self, dest: str, staged: str, key: Sequence[str], others: Sequence[str]) -> str:
        """UPDATE ... FROM, as in PostgreSQL but with the target named `AS`."""
        sets = ", ".join(f"{self.quote_identifier(name)} = s.{self.quote_identifier(name)}" for name in others)
        return f"UPDATE {dest} AS d SET {sets} FROM {staged} AS s WHERE {self.key_match('d', 's', key)}"

    def watermark_sql(self, greatest: str, family: str, lag: Lag, *, whole_seconds: bool = False) -> str:
        """By its functions on text, which write whole seconds."""
        function = "date" if family == "date" else "datetime"
        if lag.amount:
            return f"{function}({greatest}, '-{lag.words}')"
        return f"datetime({greatest})" if family == "timestamptz" else greatest

    def day_sql(self, days: int, form: str) -> str | None:
        """By strftime, which knows no year of two digits."""
        if "%y" in form:
            return None
        moved = f", '{days:+d} days'" if days else ""
        return f"SELECT strftime('{form}', 'now', 'localtime'{moved})"

    def numeric_times_sql(self, columns: Sequence[str], table: str, rows: int) -> str:
        """Any column keeps any value: a TIMESTAMP may hold seconds since 1970, which never compare with text."""
        tests = ", ".join(f"max(typeof({name}) IN ('integer', 'real'))" for name in columns)
        return f"SELECT {tests} FROM (SELECT {', '.join(columns)} FROM {table} LIMIT {rows}) t"

    def text_times_sql(self, columns: Sequence[str], table: str, rows: int) -> str:
        """By patterns. Texts that SQLite reads as no time and that begin with no year, or end in a zone, have no order."""

        def question(name: str) -> str:
            odd = f"({name} NOT GLOB '[0-9][0-9][0-9][0-9]*' OR {name} GLOB '*:[0-9][0-9]*[+A-Za-z-]*')"
            offset = f"{name} GLOB '*:[0-9][0-9]*[+-][0-9][0-9]*' AND {name} NOT GLOB '*[+-]00:00'"
            separators = [f"max({name} GLOB '????-??-??{separator}*')" for separator in "T "]
            return (
                f"CASE WHEN max(typeof({name}) = 'text' AND datetime({name}) IS NULL AND {odd}) THEN 2 "
                f"WHEN max({offset}) OR {' AND '.join(separators)} THEN 1 ELSE 0 END"
            )

        questions = ", ".join(question(name) for name in columns)
        return f"SELECT {questions} FROM (SELECT {', '.join(columns)} FROM {table} LIMIT {rows}) t"

    def instant_sql(self, text: str, *, exact: bool = False) -> str:
        """By its functions on text, which know milliseconds at most."""
        return f"strftime('%Y-%m-%d %H:%M:%f', {text})" if exact else f"datetime({text})"

    def analyze_sql(self, table: str) -> str:
        """For the planner, which nothing else tells."""
        return f"ANALYZE {table}"
