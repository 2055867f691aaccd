"""Any other JDBC database."""

from __future__ import annotations

from typing import ClassVar

from pipekit_engine.databases.dialects.base.capabilities import Capabilities
from pipekit_engine.databases.dialects.base.dialect import Dialect
from pipekit_engine.databases.dialects.base.jdbc import JdbcDriver
from pipekit_engine.databases.dialects.base.keys import MAX_KEY_TEXT
from pipekit_engine.databases.dialects.base.types import TypeSystem, decimal
from pipekit_engine.databases.dialects.h2 import H2
from pipekit_engine.sql.syntax import UNKNOWN


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
        drop_if_exists=False,
        row_values=False,
        denied_states=frozenset({"42000", "42501", "42502"}),
        missing_table_states=frozenset({"42S02", "42P01"}),
    )

    def key_type(self, sql_type: str, collation: str | None) -> str:
        """Many databases compare no large objects; a longer key is refused."""
        return f"VARCHAR({MAX_KEY_TEXT})" if sql_type == "CHARACTER LARGE OBJECT" else sql_type

    def is_kin(self, other: TypeSystem) -> bool:
        """Two such databases need have nothing in common."""
        return False

    def schema_exists_sql(self, schema: str) -> None:
        """Nobody knows where to ask; the staging schema has to be there."""
        return
