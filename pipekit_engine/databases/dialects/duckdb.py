"""DuckDB: an analytical database in a file, which one process opens to write, or several to read."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from pipekit_engine.databases.dialects.base.advice import Advice
from pipekit_engine.databases.dialects.base.capabilities import Capabilities
from pipekit_engine.databases.dialects.base.dialect import Dialect
from pipekit_engine.databases.dialects.base.identifiers import literal
from pipekit_engine.databases.dialects.base.jdbc import JdbcDriver
from pipekit_engine.databases.dialects.base.types import decimal, fractional
from pipekit_engine.databases.fence import Fence, FenceName
from pipekit_engine.databases.introspection import Catalog, ColumnInfo, Key, TableInfo
from pipekit_engine.databases.reserved_words import words
from pipekit_engine.sql.syntax import SqlSyntax

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipekit_engine.common.columns import Column
    from pipekit_engine.databases.dialects.base.keys import Writings
    from pipekit_engine.databases.dialects.base.watermarks import Lag
    from pipekit_engine.databases.names import TableName

#: Families of which `=` takes identical values alone for equal; a DECIMAL's scale is the column's.
_IDENTICAL = frozenset(
    {"boolean", "int16", "int32", "int64", "decimal", "binary", "date", "time", "timestamp", "timestamptz", "uuid"}
)
#: A column in the catalogue's text of an index, and no expression.
_COLUMN = re.compile(r'\w+|"(?:[^"]|"")+"')
#: What another program or run that has the file open makes the driver say, with that program's process.
_LOCKED = re.compile(r"Could not set lock on file .*?(?:\(PID (\d+)\)|$)", re.MULTILINE)


class DuckDB(Dialect):
    """DuckDB 1.4 and newer. Staging tables live in the destination's own file, in a schema."""

    kind = "duckdb"
    label = "DuckDB"
    about = "a warehouse in a file"
    drivers = (
        JdbcDriver(
            class_name="org.duckdb.DuckDBDriver",
            url="jdbc:duckdb:/path/to/file.duckdb",
            files=("duckdb_jdbc*.jar",),
            group="org.duckdb",
            artifact="duckdb_jdbc",
            version="1.5.6.0",
            sha256="04ae3375d7c40dc88dc9bf0014b82ba5e66715564584af4e3abea39c7ba144d3",
            licence="MIT",
            told_as="DuckDB",
            oldest="1.4",
            older="it writes times before 1970 a second late",
            is_database=True,
            note="It reads files of its own version and older ones: take one that is not older than what writes yours.",
        ),
    )
    clients = ("duckdb",)
    certified_here = True
    needs_login = False
    url_is_path = True
    one_process = True
    risky_settings = words(
        """
        enable_external_access allowed_paths allowed_directories allowed_configs
        allow_unsigned_extensions allow_community_extensions allow_extensions_metadata_mismatch
        allow_extension_repositories allow_parser_override_extension allow_persistent_secrets
        autoinstall_known_extensions autoload_known_extensions autoinstall_extension_repository
        custom_extension_repository extension_directory extension_directories extension_repository_directory
        secret_directory default_secret_storage home_directory file_search_path temp_directory
        log_query_path logging_storage profiling_output profile_output
        session_init_sql_file session_init_sql_file_sha256 motherduck_token
        """
    )
    risky_urls: ClassVar = {"attach": r"^jdbc:duckdb:\s*(?!:memory:)[a-z][a-z0-9+._-]*:"}
    indexes_created_tables = True
    capabilities = Capabilities(
        row_behind="LIMIT 1 OFFSET {}",
        syntax=SqlSyntax(
            parser="duckdb",
            any_case=True,
            escape_strings=True,
            dollar_strings=True,
            nested_comments=True,
            name_characters="$",
            recursive_keyword=True,
        ),
        max_identifier_length=1000,
        transactional_ddl=True,
        transactional_truncate=True,
        missing_table_message="Catalog Error: Table with name",
        full_join=True,
        instants="utc",
        max_comment_length=100_000,
        bulk_path="the driver's appender",
    )
    advices = (
        Advice(
            "A driver reads the files of its own version and of older ones: take that of the version which wrote this one, "
            "`pipekit drivers install duckdb --version VERSION`.",
            pattern="created with an? (?:newer|older) version of DuckDB",
        ),
        Advice(
            "A unique index keeps a key that was deleted until the transaction ends, and refuses it once more; a constraint does "
            "not. If the key is one that is replaced, make it one: DROP INDEX, then ALTER TABLE ... ADD PRIMARY KEY (...).",
            pattern="violates unique constraint",
        ),
    )
    system_schemas = ("information_schema", "pg_catalog")
    usual_schemas = frozenset({"main"})
    free_schemas = True
    finer_families = frozenset({"timetz"})  # 12:00+00 and 14:00+02 are two
    reserved = words("analyse analyze anti asof at collation concurrently glob ilike isnull lambda limit notnull pivot qualify "
                     "pivot_longer pivot_wider positional returning semi similar summarize try_cast unpack unpivot variadic "
                     "verbose window")  # fmt: skip
    date_literal = "DATE '{}'"
    timestamp_literal = "TIMESTAMP '{}'"
    zoned_literal = "TIMESTAMPTZ '{}+00'"
    clocks = ("now() AT TIME ZONE 'UTC'", "now() AT TIME ZONE 'UTC'")
    types: ClassVar = {
        "boolean": "BOOLEAN",
        "int16": "SMALLINT",
        "int32": "INTEGER",
        "int64": "BIGINT",
        "decimal": decimal("DECIMAL({precision},{scale})", max_precision=38),
        "float32": "FLOAT",
        "float64": "DOUBLE",
        "text": "VARCHAR",
        "binary": "BLOB",
        "date": "DATE",
        "time": fractional("TIME", max_digits=6),
        "timetz": fractional("TIMETZ", max_digits=6),
        "timestamp": fractional("TIMESTAMP", max_digits=6),
        "timestamptz": fractional("TIMESTAMPTZ", max_digits=6),
        "uuid": "UUID",
        "json": "JSON",
    }

    def database_file(self, url: str) -> str | None:
        """The path in `jdbc:duckdb:path;options`; None for a database in memory and for what an extension opens."""
        path = url.removeprefix("jdbc:duckdb:").partition(";")[0].strip()
        return None if not path or path.startswith(":") or re.search(self.risky_urls["attach"], url, re.I) else path

    def locked_by(self, message: str) -> int | None:
        """The process that has the file open, from what the driver says; 0 where it does not tell, None for another error."""
        match = _LOCKED.search(message)
        return None if match is None else int(match[1] or 0)

    def native_type(self, column: Column) -> str | None:
        """The type as the driver names it; lists and structures travel as text, an ENUM's values stand in the catalogue."""
        simple = column.family not in ("array", "other", "any") and column.type_name != "ENUM"
        return column.type_name or None if simple else None

    def exact_types_sql(self, table: TableName) -> str:
        """ENUMs with their values."""
        return (
            "SELECT column_name, data_type FROM duckdb_columns() WHERE data_type LIKE 'ENUM(%' "
            f"AND database_name = current_database() AND {self._is_table(table, 'table_name')}"
        )

    def _is_table(self, table: TableName, name: str) -> str:
        """Names are compared without case."""
        schema = literal(table.schema) if table.schema else "current_schema()"
        return f"lower(schema_name) = lower({schema}) AND lower({name}) = lower({literal(table.name)})"

    def get_keys(self, catalog: Catalog, table: TableInfo | TableName) -> list[Key]:
        """The driver tells the primary key alone."""
        name = table.table_name if isinstance(table, TableInfo) else table
        found = self._indexes(catalog, name)
        return super().get_keys(catalog, name) + [
            Key(tuple(columns), primary=False, name=index)
            for index, (unique, columns) in found.items()
            if unique and "" not in columns
        ]

    def get_indexes(self, catalog: Catalog, table: TableName) -> list[tuple[str, ...]]:
        """The driver tells no columns of an index."""
        found = [key.columns for key in super().get_keys(catalog, table)]
        for _, columns in self._indexes(catalog, table).values():
            found.append(tuple(columns[: [*columns, ""].index("")]))
        return [columns for columns in found if columns]

    def _indexes(self, catalog: Catalog, table: TableName) -> dict[str, tuple[bool, list[str]]]:
        """Indexes and UNIQUE constraints: whether they are unique, and their columns; "" for an expression."""
        where = f"database_name = current_database() AND {self._is_table(table, 'table_name')}"
        rows = catalog.ask(
            "SELECT index_name, CAST(is_unique AS INTEGER), unnest(CAST(expressions AS VARCHAR[])), "
            f"generate_subscripts(CAST(expressions AS VARCHAR[]), 1) AS place FROM duckdb_indexes() WHERE {where} UNION ALL "
            "SELECT constraint_name, 1, '\"' || replace(unnest(constraint_column_names), '\"', '\"\"') || '\"', "
            "generate_subscripts(constraint_column_names, 1) FROM duckdb_constraints() "
            f"WHERE constraint_type = 'UNIQUE' AND {where} ORDER BY 1, place"
        )
        found: dict[str, tuple[bool, list[str]]] = {}
        for name, unique, part, _ in rows or ():
            text = part or ""
            column = text[1:-1].replace('""', '"') if text.startswith('"') else text
            found.setdefault(name or "", (unique == "1", []))[1].append(column if _COLUMN.fullmatch(text) else "")
        return found

    def drop_not_null_sql(self, table: TableName, column: str) -> None:
        """A table with an index, which a created one has, is not altered."""
        return

    def refine_columns(self, columns: list[ColumnInfo]) -> list[ColumnInfo]:
        """A sequence as the default is how a column is numbered here; what is computed, the catalogue does not tell."""
        return [replace(column, identity=(column.default or "").startswith("nextval(")) for column in columns]

    def schema_exists_sql(self, schema: str) -> str:
        """In the file itself."""
        return (
            "SELECT 1 FROM duckdb_schemas() WHERE database_name = current_database() "
            f"AND lower(schema_name) = lower({literal(schema)})"
        )

    def is_view_sql(self, table: TableName) -> str:
        return f"SELECT 1 FROM duckdb_views() WHERE database_name = current_database() AND {self._is_table(table, 'view_name')}"

    def index_key_sql(
        self, table: TableName, key: Sequence[tuple[str, str]], *, unique: bool, purpose: str = "key"
    ) -> list[str]:
        """In the table's schema. Intervals have no index.

        A unique key is a constraint: an index keeps a key that was deleted until the transaction ends, and refuses it once more.
        """
        if any(sql_type == "INTERVAL" for _, sql_type in key):
            return []
        names = ", ".join(self.quote_identifier(name) for name, _ in key)
        if unique:
            return [f"ALTER TABLE {self.table_sql(table)} ADD PRIMARY KEY ({names})"]
        index = self.quote_identifier(f"{table.name}_{purpose}")
        return [f"CREATE INDEX {index} ON {self.table_sql(table)} ({names})"]

    def coarse_columns_sql(self, table: TableName) -> str:
        """A column's collation stands in the table's text alone; every one there is takes some texts for equal."""
        return (
            "SELECT c.column_name, 'a collation such as NOCASE' FROM duckdb_columns() c JOIN duckdb_tables() t "
            "USING (database_name, schema_name, table_name) WHERE database_name = current_database() "
            f"AND {self._is_table(table, 'table_name')} AND c.data_type = 'VARCHAR' AND t.sql ILIKE '%collate%'"
        )

    def exact_sql(self, column: Column, text: str) -> str:
        return f"encode(CAST({text} AS VARCHAR))"

    def key_writings(self, column: Column) -> Writings:
        """Intervals of one month and 30 days are equal; 10:00+01 and 09:00+00 are not."""
        if column.family == "interval":
            return "many"
        return super().key_writings(column)

    def key_advice(self, table: str, column: Column) -> str:
        """A column's collation goes with its type."""
        return f"To compare exactly: ALTER TABLE {table} ALTER COLUMN {self.quote_identifier(column.name)} TYPE VARCHAR"

    def exact_values_sql(self, column: Column, value: str) -> tuple[str, ...] | None:
        """Texts by their bytes; floats by their text, for 0.0 equals -0.0; intervals, too, for 1 month equals 30 days."""
        if column.family in _IDENTICAL:
            return (value,)
        text = f"CAST({value} AS VARCHAR)"
        if column.family in ("float32", "float64", "interval", "timetz"):
            return (text,)
        return (f"encode({text})",) if column.family in ("text", "json") else None

    def fence(self, name: FenceName, dest: str) -> Fence:
        """The file itself is the fence: no other process has it open while ours does."""
        return Fence(wait=("SELECT 1",))

    def update_matching_sql(self, dest: str, staged: str, key: Sequence[str], others: Sequence[str]) -> str:
        """UPDATE ... FROM, as in PostgreSQL."""
        sets = ", ".join(f"{self.quote_identifier(name)} = s.{self.quote_identifier(name)}" for name in others)
        return f"UPDATE {dest} AS d SET {sets} FROM {staged} AS s WHERE {self.key_match('d', 's', key)}"

    def watermark_sql(self, greatest: str, family: str, lag: Lag, *, whole_seconds: bool = False) -> str:
        """A date less an interval would be a timestamp; times with a zone are given in UTC."""
        if family == "date":
            return f"{greatest} - {lag.amount}" if lag.amount else greatest
        value = f"{greatest} - INTERVAL '{lag.words}'" if lag.amount else greatest
        return f"({value}) AT TIME ZONE 'UTC'" if family == "timestamptz" else value

    def day_sql(self, days: int, form: str) -> str:
        return f"SELECT strftime(current_date + ({days}), {literal(form)})"
