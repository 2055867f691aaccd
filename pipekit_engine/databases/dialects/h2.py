"""H2."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pipekit_engine.databases.dialects.base.capabilities import Capabilities
from pipekit_engine.databases.dialects.base.catalog import InformationSchema
from pipekit_engine.databases.dialects.base.dialect import Dialect
from pipekit_engine.databases.dialects.base.jdbc import JdbcDriver
from pipekit_engine.databases.dialects.base.keys import MAX_KEY_TEXT
from pipekit_engine.databases.dialects.base.types import decimal, fractional, sized_text
from pipekit_engine.databases.reserved_words import words
from pipekit_engine.sql.syntax import SqlSyntax

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipekit_engine.common.columns import Column
    from pipekit_engine.databases.dialects.base.watermarks import Lag
    from pipekit_engine.databases.names import TableName


class H2(InformationSchema, Dialect):
    """H2 2.x."""

    kind = "h2"
    label = "H2"
    drivers = (
        JdbcDriver(
            class_name="org.h2.Driver",
            told_as="H2 JDBC",
            url="jdbc:h2:/path/to/file",
            files=("h2.jar", "h2-[0-9]*.jar"),
            group="com.h2database",
            artifact="h2",
            version="2.3.232",
            sha256="8dae62d22db8982c3dcb3826edb9c727c5d302063a67eef7d63d82de401f07d3",
            licence="MPL-2.0 or EPL-1.0",
            older="not known to matter: 1.4.200, 2.0.206 and 2.1.214 hold every type",
            debian="libh2-java",
            debian_jar="h2.jar",
            note="A database file is bound to H2's version: take the one that wrote yours.",
        ),
    )
    url_is_path = True
    certified_here = True
    server_facts: ClassVar = {
        "isolation": "SELECT ISOLATION_LEVEL FROM INFORMATION_SCHEMA.SESSIONS WHERE SESSION_ID = SESSION_ID()"
    }
    own_columns: ClassVar = {"VARCHAR_IGNORECASE(40)": "text", "TIMESTAMP(0)": "timestamp"}
    usual_schemas = frozenset({"public"})
    free_schemas = True
    risky_settings = words(
        """
        init database_event_listener java_object_serializer default_table_engine row_factory authenticator authrealm jmx
        """
    )
    indexes_created_tables = True
    capabilities = Capabilities(
        syntax=SqlSyntax(unquoted_case="upper", dollar_strings=True, nested_comments=True, recursive_keyword=True),
        max_identifier_length=256,
        matches_by="in",
        max_comment_length=100_000,
        missing_table_states=frozenset({"42S02", "42S04", "90079"}),
        missing_table_codes=frozenset({42102, 42104, 90079}),
        joins_without_index=False,
        rolled_back_codes=frozenset({40001, 50200, 90131}),  # deadlock, lock time-out, concurrent update
    )
    reserved = words("day hour key minute month qualify rownum second uescape year")
    date_literal = "DATE '{}'"
    timestamp_literal = "TIMESTAMP '{}'"
    zoned_literal = "TIMESTAMP WITH TIME ZONE '{}+00:00'"
    clocks = ("LOCALTIMESTAMP", "CAST(CURRENT_TIMESTAMP AT TIME ZONE 'UTC' AS TIMESTAMP)")
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

    def exact_values_sql(self, column: Column, value: str) -> tuple[str, ...] | None:
        """Texts by their bytes, whatever collation or VARCHAR_IGNORECASE say; instants and decimal floats by their text."""
        name = column.type_name.upper()
        if column.family == "text" and "LARGE OBJECT" not in name:
            return (f"CAST({value} AS VARBINARY)",)
        if column.family in ("timestamptz", "timetz") or name.startswith("DECFLOAT"):
            return (f"CAST({value} AS VARCHAR)",)
        if column.family in ("text", "binary", "float32", "float64", "interval"):
            return (value,)
        return super().exact_values_sql(column, value)

    def index_key_sql(
        self, table: TableName, key: Sequence[tuple[str, str]], *, unique: bool, purpose: str = "key"
    ) -> list[str]:
        """Named by the database. Large objects have no index."""
        if any("LARGE OBJECT" in sql_type for _, sql_type in key):
            return []
        names = ", ".join(self.quote_identifier(name) for name, _ in key)
        return [f"CREATE {'UNIQUE ' if unique else ''}INDEX ON {self.table_sql(table)} ({names})"]

    def coarse_type(self, column: Column) -> str | None:
        """Case is a matter of the type."""
        return "the type VARCHAR_IGNORECASE" if self.ignores_case(column) else None

    def ignores_case(self, column: Column) -> bool:
        """VARCHAR_IGNORECASE does."""
        return column.type_name.upper().startswith("VARCHAR_IGNORECASE")

    def key_type(self, sql_type: str, collation: str | None) -> str:
        """A large object has no index; a longer key is refused."""
        return f"VARCHAR({MAX_KEY_TEXT})" if sql_type == "CHARACTER LARGE OBJECT" else sql_type

    def exact_sql(self, column: Column, text: str) -> str:
        """In the type that is exact."""
        return f"CAST({text} AS VARCHAR)"

    def key_advice(self, table: str, column: Column) -> str:
        return (
            f"To compare exactly: ALTER TABLE {table} ALTER COLUMN {self.quote_identifier(column.name)} "
            f"SET DATA TYPE VARCHAR({column.precision or MAX_KEY_TEXT})"
        )

    def watermark_sql(self, greatest: str, family: str, lag: Lag, *, whole_seconds: bool = False) -> str:
        """Times with a zone are given in UTC."""
        value = f"DATEADD({lag.sql_unit}, -{lag.amount}, {greatest})" if lag.amount else greatest
        return f"CAST({value} AT TIME ZONE 'UTC' AS TIMESTAMP)" if family == "timestamptz" else value
