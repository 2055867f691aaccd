"""Apache Derby."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from pipekit_engine.databases.dialects.base.advice import Advice
from pipekit_engine.databases.dialects.base.capabilities import Capabilities
from pipekit_engine.databases.dialects.base.catalog import view_query
from pipekit_engine.databases.dialects.base.comparing import null_safe
from pipekit_engine.databases.dialects.base.dialect import Dialect
from pipekit_engine.databases.dialects.base.identifiers import literal
from pipekit_engine.databases.dialects.base.jdbc import JdbcDriver
from pipekit_engine.databases.dialects.base.keys import MAX_KEY_TEXT, PaddedKeys
from pipekit_engine.databases.dialects.base.types import decimal, fractional, sized_text
from pipekit_engine.databases.fence import Fence, FenceName
from pipekit_engine.databases.reserved_words import words
from pipekit_engine.sql.syntax import SqlSyntax

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipekit_engine.common.columns import Column
    from pipekit_engine.databases.names import TableName


class Derby(PaddedKeys, Dialect):
    """Apache Derby 10.14 and newer: close to DB2."""

    kind = "derby"
    label = "Derby"
    drivers = (
        JdbcDriver(
            class_name="org.apache.derby.jdbc.EmbeddedDriver",
            told_as="Apache Derby",
            url="jdbc:derby:/path/to/folder",
            files=("derby.jar", "derby-[0-9]*.jar"),
            group="org.apache.derby",
            artifact="derby",
            version="10.14.2.0",
            sha256="2c40eb581e5221ab33c7c796979b49ce404e7e393357c58f7bcdb30a09efca72",
            licence="Apache-2.0",
            older="not known to matter: 10.12 holds every type; before 10.11 an upsert fails, for there is no MERGE",
            debian="libderby-java",
            debian_jar="derby.jar",
        ),
    )
    url_is_path = True
    certified_here = True
    server_facts: ClassVar = {
        "collation": "VALUES SYSCS_UTIL.SYSCS_GET_DATABASE_PROPERTY('derby.database.collation')",
        "isolation": "VALUES CURRENT ISOLATION",
    }
    risky_settings = words(
        """
        startmaster startslave slavehost createfrom restorefrom rollforwardrecoveryfrom cryptoprovider logdevice tracefile
        tracedirectory
        """
    )
    indexes_created_tables = True
    capabilities = Capabilities(
        syntax=SqlSyntax(unquoted_case="upper", nested_comments=True),
        max_identifier_length=128,
        transactional_ddl=True,
        drop_if_exists=False,
        row_values=False,
        instants="none",
        missing_table_states=frozenset({"42X05", "42Y07", "42Y55"}),
        updates_from_subquery=False,
        rolled_back_states=frozenset({"40001", "40XL1", "40XL2"}),  # deadlock, lock time-outs
        one_row_from=" FROM SYSIBM.SYSDUMMY1",
    )
    system_schemas = ("SYS*", "NULLID", "SQLJ")
    usual_schemas = frozenset({"app", "sa"})
    free_schemas = True
    date_literal = "DATE('{}')"
    timestamp_literal = "TIMESTAMP('{}')"
    clocks = ("CURRENT_TIMESTAMP", "CURRENT_TIMESTAMP")
    takes_lag = False  # its only arithmetic of times is an escape of JDBC
    reserved = words(
        """
        allocate assertion at avg bit boolean cascaded close connection constraints deferred definer diagnostics
        disconnect double exception first found go goto hour identity indicator input invoker isolation key last lower
        minute national next none output partial preserve prior privileges public relative scroll second substring
        temporary transaction trim upper whenever work xml xmlexists xmlparse xmlserialize year
        """
    )
    advices = (
        Advice(
            "This database orders texts by a language (collation=TERRITORY_BASED), and takes some that differ for equal: its "
            "catalogue cannot be asked, and keys are not told apart. Make the database anew with collation=UCS_BASIC, Derby's "
            "default.",
            pattern="TERRITORY_BASED",
        ),
    )
    incomparable_types = re.compile("CLOB|BLOB|LONG VARCHAR|XML", re.I)
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

    def exact_values_sql(self, column: Column, value: str) -> tuple[str, ...] | None:
        """Texts with their length, as = ignores blanks at the end; LOBs, long texts and XML have no =."""
        if column.type_name.upper().partition("(")[0].strip() in ("CHAR", "VARCHAR"):
            return (value, f"LENGTH({value})")
        return (value,) if column.family in ("float32", "float64") else super().exact_values_sql(column, value)

    def distinct_sql(self, left: str, right: str) -> str:
        """In full: Derby knows no IS DISTINCT FROM."""
        return null_safe(left, right)

    def fence(self, name: FenceName, dest: str) -> Fence:
        """Each merge has row locks in the table, at least, until it ends."""
        return Fence(wait=(f"LOCK TABLE {dest} IN EXCLUSIVE MODE",))

    def cascades_sql(self, table: TableName) -> str:
        """C is CASCADE, U is SET NULL."""
        tables = (
            "SYS.SYSFOREIGNKEYS f JOIN SYS.SYSCONSTRAINTS c ON c.CONSTRAINTID = f.CONSTRAINTID AND f.DELETERULE IN ('C', 'U') "
            "JOIN SYS.SYSTABLES child ON child.TABLEID = c.TABLEID "
            "JOIN SYS.SYSCONSTRAINTS k ON k.CONSTRAINTID = f.KEYCONSTRAINTID "
            "JOIN SYS.SYSTABLES t ON t.TABLEID = k.TABLEID JOIN SYS.SYSSCHEMAS s ON s.SCHEMAID = t.SCHEMAID"
        )
        found = view_query(tables, table, "s.SCHEMANAME", "t.TABLENAME", "CURRENT SCHEMA")
        return found.replace("SELECT 1 ", "SELECT child.TABLENAME ", 1)

    def triggers_sql(self, table: TableName) -> str:
        tables = (
            "SYS.SYSTRIGGERS r JOIN SYS.SYSTABLES t ON t.TABLEID = r.TABLEID "
            "JOIN SYS.SYSSCHEMAS s ON s.SCHEMAID = t.SCHEMAID"
        )
        found = view_query(tables, table, "s.SCHEMANAME", "t.TABLENAME", "CURRENT SCHEMA")
        return f"{found.replace('SELECT 1 ', 'SELECT r.TRIGGERNAME ', 1)} AND r.EVENT <> 'D' AND r.STATE = 'E'"

    def create_like_sql(self, table: TableName, like: TableName, columns: Sequence[Column]) -> str:
        """NOT NULL is taken off by an outer join."""
        names = ", ".join(f"d.{self.quote_identifier(column.name)}" for column in columns)
        return (
            f"CREATE TABLE {self.table_sql(table)} AS SELECT {names} FROM SYSIBM.SYSDUMMY1 o "
            f"LEFT JOIN {self.table_sql(like)} d ON 1 = 0 WITH NO DATA"
        )

    def index_key_sql(
        self, table: TableName, key: Sequence[tuple[str, str]], *, unique: bool, purpose: str = "key"
    ) -> list[str]:
        """In the table's schema. Large objects have no index."""
        if any("LOB" in sql_type for _, sql_type in key):
            return []
        names = ", ".join(self.quote_identifier(name) for name, _ in key)
        index = self.table_sql(replace(table, name=f"{table.name[:120]}_{purpose}"))
        return [f"CREATE {'UNIQUE ' if unique else ''}INDEX {index} ON {self.table_sql(table)} ({names})"]

    def identity_sql(self, table: TableName) -> str:
        """The others have a default that says so."""
        columns = (
            "SYS.SYSCOLUMNS c JOIN SYS.SYSTABLES t ON t.TABLEID = c.REFERENCEID AND c.AUTOINCREMENTINC IS NOT NULL "
            "AND c.COLUMNDEFAULT IS NULL JOIN SYS.SYSSCHEMAS s ON s.SCHEMAID = t.SCHEMAID"
        )
        found = view_query(columns, table, "s.SCHEMANAME", "t.TABLENAME", "CURRENT SCHEMA")
        return found.replace("SELECT 1 ", "SELECT c.COLUMNNAME ", 1)

    def free_identity_sql(self, table: TableName, column: str) -> str:
        """Derby knows no OVERRIDING."""
        return (
            f"ALTER TABLE {self.table_sql(table)} ALTER COLUMN {self.quote_identifier(column)} SET GENERATED BY DEFAULT"
        )

    def drop_not_null_sql(self, table: TableName, column: str) -> str:
        """NULL alone."""
        return f"ALTER TABLE {self.table_sql(table)} ALTER COLUMN {self.quote_identifier(column)} NULL"

    def key_type(self, sql_type: str, collation: str | None) -> str:
        """No large object can be compared; a longer key is refused."""
        sized = {"CLOB": f"VARCHAR({MAX_KEY_TEXT})", "BLOB": f"VARCHAR({MAX_KEY_TEXT}) FOR BIT DATA"}
        return sized.get(sql_type, sql_type)

    def is_view_sql(self, table: TableName) -> str:
        """Tables and views share one catalogue."""
        tables = "SYS.SYSTABLES t JOIN SYS.SYSSCHEMAS s ON t.SCHEMAID = s.SCHEMAID AND t.TABLETYPE = 'V'"
        return view_query(tables, table, "SCHEMANAME", "TABLENAME", "CURRENT SCHEMA")

    def schema_exists_sql(self, schema: str) -> str:
        return f"SELECT 1 FROM SYS.SYSSCHEMAS WHERE SCHEMANAME = {literal(schema)}"
