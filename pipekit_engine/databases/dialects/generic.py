"""Any other JDBC database."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pipekit_engine.databases.dialects.base.capabilities import Capabilities
from pipekit_engine.databases.dialects.base.dialect import Dialect
from pipekit_engine.databases.dialects.base.jdbc import JdbcDriver
from pipekit_engine.databases.dialects.base.keys import MAX_KEY_TEXT
from pipekit_engine.databases.dialects.base.types import TypeSystem, decimal
from pipekit_engine.databases.dialects.h2 import H2
from pipekit_engine.sql.syntax import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipekit_engine.common.columns import Column
    from pipekit_engine.databases.dialects.base.ranges import KeyLiteral
    from pipekit_engine.databases.names import TableName


def _declared(column: Column) -> str:
    """A column's type as it is written: drivers tell the name and the size apart."""
    name, precision = column.type_name, column.precision
    if "(" in name or precision <= 0:
        return name
    if column.family == "decimal":
        return f"{name}({precision},{column.scale})"
    return f"{name}({precision})" if column.family == "text" and "char" in name.lower() else name


class Generic(Dialect):
    """Any other JDBC database: standard SQL, names exactly as written, nothing asked that only some catalogues answer."""

    kind = "generic"
    label = "a JDBC database"
    takes_lag = False
    other_drivers = (
        JdbcDriver(
            class_name="org.firebirdsql.jdbc.FBDriver",
            url="jdbc:firebirdsql://HOST:3050/DATABASE",
            files=("jaybird-[0-9]*.jar",),
            group="org.firebirdsql.jdbc",
            artifact="jaybird",
            version="5.0.6.java11",
            sha256="462547f12acf2512951d88b8f591e83379f97c33dcc22cb9c50203344df47f72",
            licence="LGPL-2.1-or-later",
            older="not known to matter: no older one was tried",
            note="Firebird.",
        ),
    )
    types: ClassVar = {
        **H2.types,
        "decimal": decimal("NUMERIC({precision},{scale})", max_precision=38),
        "uuid": "CHAR(36)",
        "json": "CHARACTER LARGE OBJECT",
    }
    capabilities = Capabilities(
        syntax=UNKNOWN,
        reads_plain_names=False,
        creates_schemas=False,  # nobody knows whether there are any
        drop_if_exists=False,
        row_values=False,
        one_row_from=None,
        denied_states=frozenset({"28000", "42501", "42502"}),
        missing_table_message=r"\b(?:table|relation|view|object)\b.*(?:does not exist|doesn't exist|not found|unknown)",
        missing_table_states=frozenset({"42S02", "42P01"}),
    )

    def key_literal(self, column: Column) -> KeyLiteral | None:
        """Texts and instants may be read in any character set and any zone."""
        return None if column.family in ("text", "uuid", "timestamptz") else super().key_literal(column)

    def key_type(self, sql_type: str, collation: str | None) -> str:
        """Many databases compare no large objects; a longer key is refused."""
        return f"VARCHAR({MAX_KEY_TEXT})" if sql_type == "CHARACTER LARGE OBJECT" else sql_type

    def is_kin(self, other: TypeSystem) -> bool:
        """Two such databases need have nothing in common."""
        return False

    def schema_exists_sql(self, schema: str) -> None:
        """Nobody knows where to ask; a staging schema that a connection names has to be there."""
        return

    def create_like_sql(self, table: TableName, like: TableName, columns: Sequence[Column]) -> str:
        """In the types that the driver tells: the standard's CREATE TABLE AS is known to few, and in several spellings."""
        return self.create_table_sql(table, [(column.name, _declared(column)) for column in columns])
