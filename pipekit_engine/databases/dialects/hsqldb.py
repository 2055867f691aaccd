"""HSQLDB."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pipekit_engine.databases.dialects.base.capabilities import Capabilities
from pipekit_engine.databases.dialects.base.catalog import InformationSchema
from pipekit_engine.databases.dialects.base.dialect import Dialect
from pipekit_engine.databases.dialects.base.identifiers import literal
from pipekit_engine.databases.dialects.base.jdbc import JdbcDriver
from pipekit_engine.databases.dialects.base.keys import MAX_KEY_TEXT, PADDED
from pipekit_engine.databases.dialects.base.types import decimal, fractional, sized_text
from pipekit_engine.databases.reserved_words import words
from pipekit_engine.sql.syntax import SqlSyntax

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipekit_engine.common.columns import Column
    from pipekit_engine.databases.dialects.base.watermarks import Lag
    from pipekit_engine.databases.names import TableName


#: Text without a length: as LONGVARCHAR, whatever `sql.longvar_is_lob` says. A CLOB takes more than 16 million characters, but
#: the file of large objects is synced for each value: measured, 270 times slower.
_LONG_TEXT = "VARCHAR(16777216)"


class HSQLDB(InformationSchema, Dialect):
    """HSQLDB 2.5 and newer."""

    kind = "hsqldb"
    label = "HSQLDB"
    drivers = (
        JdbcDriver(
            class_name="org.hsqldb.jdbc.JDBCDriver",
            url="jdbc:hsqldb:file:/path/to/file",
            files=("hsqldb.jar", "hsqldb-[0-9]*.jar"),
            group="org.hsqldb",
            artifact="hsqldb",
            version="2.7.4",
            sha256="5fab2bb4384ac06b762638c8fa2740c944b8d080e4796c0c6c2af8b90dd4e5ad",
            licence="BSD-3-Clause (HSQLDB)",
            told_as="HSQL Database Engine",
            oldest="2.7",
            older="it loses the fraction of a time, or moves times with a zone before 1582",
            debian="libhsqldb-java",
            debian_jar="hsqldb.jar",
        ),
    )
    url_is_path = True
    certified_here = True
    server_facts: ClassVar = {"isolation": "VALUES SESSION_ISOLATION_LEVEL()"}
    own_columns: ClassVar = {"TIMESTAMP(0)": "timestamp", 'VARCHAR(40) COLLATE "English"': "text"}
    risky_settings = words(
        """
        crypt_provider textdb.allow_full_path allow_full_path
        """
    )
    indexes_created_tables = True
    capabilities = Capabilities(
        syntax=SqlSyntax(unquoted_case="upper", recursive_keyword=True),
        max_identifier_length=128,
        matches_by="in",
        max_comment_length=100_000,
        missing_table_states=frozenset({"42501", "3F000"}),
        missing_table_codes=frozenset({-5501, -4850}),
        joins_without_index=False,
        one_row_from=" FROM (VALUES(0))",
    )
    system_schemas = ("INFORMATION_SCHEMA", "SYSTEM_LOBS")
    usual_schemas = frozenset({"public"})
    free_schemas = True
    date_literal = "DATE '{}'"
    timestamp_literal = "TIMESTAMP '{}'"
    zoned_literal = "TIMESTAMP '{}+0:00'"
    clocks = ("LOCALTIMESTAMP", "CAST(CURRENT_TIMESTAMP AT TIME ZONE INTERVAL '0:00' HOUR TO MINUTE AS TIMESTAMP)")
    reserved = words("at coalesce normalize prevval sysdate")
    types: ClassVar = {
        "boolean": "BOOLEAN",
        "int16": "SMALLINT",
        "int32": "INTEGER",
        "int64": "BIGINT",
        "decimal": decimal("DECIMAL({precision},{scale})", max_precision=100, scale=40),
        "float32": "DOUBLE",
        "float64": "DOUBLE",
        "text": sized_text("VARCHAR({precision})", max_length=32768, unlimited=_LONG_TEXT),
        "binary": "BLOB(1G)",
        "date": "DATE",
        "time": fractional("TIME({precision})", max_digits=9),
        "timetz": fractional("TIME({precision}) WITH TIME ZONE", max_digits=9),
        "timestamp": fractional("TIMESTAMP({precision})", max_digits=9),
        "timestamptz": fractional("TIMESTAMP({precision}) WITH TIME ZONE", max_digits=9),
        "uuid": "UUID",
    }

    def native_type(self, column: Column) -> str | None:
        """A CLOB may hold longer texts than a VARCHAR."""
        return "CLOB(1G)" if column.type_name.upper() in ("CLOB", "CHARACTER LARGE OBJECT") else None

    def exact_values_sql(self, column: Column, value: str) -> tuple[str, ...] | None:
        """Texts with their length, as = ignores blanks at the end; instants by their text; LOBs are not told apart."""
        name = column.type_name.upper().partition("(")[0].strip()
        if name in ("CHARACTER", "VARCHAR"):
            return (value, f"CHAR_LENGTH({value})")
        if column.family in ("timestamptz", "timetz"):
            return (f"CAST({value} AS VARCHAR(64))",)
        return (value,) if column.family in ("float32", "float64") else super().exact_values_sql(column, value)

    finer_families = frozenset({"float32", "float64"})

    def usual_value_sql(self, value: str) -> str:
        """0.0 and -0.0 are two keys of an index here."""
        return f"{value} + 0E0"

    exact_collation_sql = (
        "SELECT '\"' || COLLATION_SCHEMA || '\".\"' || COLLATION_NAME || '\"' FROM INFORMATION_SCHEMA.COLLATIONS "
        "WHERE COLLATION_SCHEMA = 'PUBLIC' AND COLLATION_NAME = 'KEYS_OF_PIPEKIT'"
    )
    new_exact_collation = (
        "CREATE COLLATION PUBLIC.KEYS_OF_PIPEKIT FOR INFORMATION_SCHEMA.SQL_TEXT FROM SQL_TEXT NO PAD",
        '"PUBLIC"."KEYS_OF_PIPEKIT"',
    )

    def index_key_sql(
        self, table: TableName, key: Sequence[tuple[str, str]], *, unique: bool, purpose: str = "key"
    ) -> list[str]:
        """In the table's schema. Large objects have no index."""
        if any("LOB" in sql_type for _, sql_type in key):
            return []
        names = ", ".join(self.quote_identifier(name) for name, _ in key)
        index = self.quote_identifier(f"{table.name[:120]}_{purpose}")
        return [f"CREATE {'UNIQUE ' if unique else ''}INDEX {index} ON {self.table_sql(table)} ({names})"]

    def drop_not_null_sql(self, table: TableName, column: str) -> str:
        """SET NULL."""
        return f"ALTER TABLE {self.table_sql(table)} ALTER COLUMN {self.quote_identifier(column)} SET NULL"

    def key_type(self, sql_type: str, collation: str | None) -> str:
        """A CLOB cannot be compared, and an index on long texts is slow; a longer key is refused.

        Without a collation texts ignore blanks at the end.
        """
        sized = f"VARCHAR({MAX_KEY_TEXT})" if sql_type.startswith("CLOB") or sql_type == _LONG_TEXT else sql_type
        return f"{sized} COLLATE {collation}" if collation and sized.startswith(("VARCHAR", "CHAR")) else sized

    def coarse_type(self, column: Column) -> str | None:
        """Unless a type says so itself, texts that differ by blanks at the end are equal."""
        return PADDED if column.family == "text" and "KEYS_OF_PIPEKIT" not in column.type_name else None

    def coarse_columns_sql(self, table: TableName) -> str:
        """By the columns' collations: each pads and some ignore case, unless they say NO PAD."""
        schema = literal(table.schema) if table.schema else "CURRENT_SCHEMA"
        return (
            "SELECT c.COLUMN_NAME, CASE WHEN c.COLLATION_NAME = 'SQL_TEXT_UCC' THEN 'texts that differ by case or blanks "
            f"at their end alone are equal there' ELSE {literal(PADDED)} END FROM INFORMATION_SCHEMA.COLUMNS c "
            "LEFT JOIN INFORMATION_SCHEMA.COLLATIONS k ON k.COLLATION_SCHEMA = c.COLLATION_SCHEMA "
            f"AND k.COLLATION_NAME = c.COLLATION_NAME WHERE c.TABLE_SCHEMA = {schema} AND c.TABLE_NAME = {literal(table.name)} "
            "AND c.COLLATION_NAME IS NOT NULL AND NOT (c.COLLATION_NAME = 'KEYS_OF_PIPEKIT' AND k.PAD_ATTRIBUTE = 'NO PAD')"
        )

    def exact_sql(self, column: Column, text: str) -> str:
        """In the usual collation, which a COLLATE does not bring out of a subquery; with something behind it blanks count."""
        return f"CAST({text} AS VARCHAR(32768)) || 'x'"

    def key_advice(self, table: str, column: Column) -> str:
        """DDL for a collation and the column."""
        length = column.precision if column.precision > 0 else MAX_KEY_TEXT
        return (
            f"To compare exactly: {self.new_exact_collation[0]} (unless it is there); ALTER TABLE {table} ALTER COLUMN "
            f"{self.quote_identifier(column.name)} SET DATA TYPE VARCHAR({length}) COLLATE {self.new_exact_collation[1]}"
        )

    def create_table_sql(self, table: TableName, columns: Sequence[tuple[str, str]], *, staging: bool = False) -> str:
        """CACHED: on disk, where the default keeps every row in memory."""
        return super().create_table_sql(table, columns).replace("CREATE TABLE", "CREATE CACHED TABLE", 1)

    def create_like_sql(self, table: TableName, like: TableName, columns: Sequence[Column]) -> str:
        names = self.column_list(columns)
        return (
            f"CREATE CACHED TABLE {self.table_sql(table)} AS (SELECT {names} FROM {self.table_sql(like)}) WITH NO DATA"
        )

    def watermark_sql(self, greatest: str, family: str, lag: Lag, *, whole_seconds: bool = False) -> str:
        """An interval's leading field takes nine digits only when it says so."""
        value = f"{greatest} - INTERVAL '{lag.amount}' {lag.sql_unit}(9)" if lag.amount else greatest
        zone = "AT TIME ZONE INTERVAL '0:00' HOUR TO MINUTE"
        return f"CAST(({value}) {zone} AS TIMESTAMP)" if family == "timestamptz" else value
