"""Oracle."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from pipekit_engine.databases.dialects.base.advice import Advice
from pipekit_engine.databases.dialects.base.capabilities import Capabilities
from pipekit_engine.databases.dialects.base.catalog import view_query
from pipekit_engine.databases.dialects.base.dialect import Dialect
from pipekit_engine.databases.dialects.base.identifiers import literal
from pipekit_engine.databases.dialects.base.jdbc import JdbcDriver
from pipekit_engine.databases.dialects.base.keys import MAX_KEY_TEXT
from pipekit_engine.databases.dialects.base.types import MappedType, TypeSystem, fractional, sized_text
from pipekit_engine.databases.dialects.base.ways_in import TlsSettings, WaysIn
from pipekit_engine.databases.fence import Fence, FenceName
from pipekit_engine.databases.introspection import BrowseField
from pipekit_engine.databases.reserved_words import words
from pipekit_engine.security.redact import STARS
from pipekit_engine.sql.syntax import SqlSyntax

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pipekit_engine.common.columns import Column
    from pipekit_engine.databases.dialects.base.watermarks import Lag
    from pipekit_engine.databases.names import TableName


_CURRENT = "SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA')"
_MAX_DIGITS = 38
_URL = re.compile(r"(?P<head>jdbc:oracle:(?:thin|oci8?|kprb):)(?P<rest>.*)", re.IGNORECASE | re.DOTALL)


def _number(column: Column, source: TypeSystem) -> MappedType:
    """NUMBER keeps 38 digits wherever the point is, so that more of them are refused and nothing else."""
    before, behind = max(column.precision - column.scale, 0), max(column.scale, 0)
    if column.precision > 0 and before + behind <= _MAX_DIGITS:
        return MappedType(f"NUMBER({before + behind},{behind})")
    return MappedType("NUMBER", f"{_MAX_DIGITS} digits are kept, a row that needs more is refused")


def _redact_login(url: str) -> str | None:
    """`user/password@` behind the driver's name; an address with a slash and no @ may be a login, too."""
    match = _URL.fullmatch(url)
    if match is None:
        return None
    login, at, address = match["rest"].rpartition("@")
    if not at:
        return None if "/" in match["rest"] else url
    user, slash, _ = login.partition("/")
    return f"{match['head']}{user}{slash}{STARS if slash else ''}@{address}"


class Oracle(Dialect):
    """Oracle 12.2 and newer. A staging schema is a user; by default the login's own is used. '' is NULL in Oracle."""

    kind = "oracle"
    label = "Oracle"
    drivers = (
        JdbcDriver(
            class_name="oracle.jdbc.OracleDriver",
            url="jdbc:oracle:thin:@//HOST:1521/SERVICE",
            files=("ojdbc*.jar",),
            group="com.oracle.database.jdbc",
            artifact="ojdbc11",
            version="23.4.0.24.05",
            sha256="87fb13d9cdbfee487bc38142d8ac531dc235ba3abe5d9c46369496883b2eb5b3",
            licence="Oracle Free Use Terms and Conditions (FUTC)",
            told_as="Oracle JDBC",
            oldest="12.2",
            older="it takes no dates and times of java.time",
            note="Proprietary: read Oracle's terms before you use it.",
        ),
    )
    server_facts: ClassVar = {
        "character set": "SELECT value FROM nls_database_parameters WHERE parameter = 'NLS_CHARACTERSET'",
        "sort": "SELECT value FROM nls_session_parameters WHERE parameter = 'NLS_SORT'",
    }
    own_columns: ClassVar = {
        "DATE": "timestamp",
        "TIMESTAMP(0)": "timestamp",
        "VARCHAR2(40)": "text",
        "NUMBER(10,2)": "decimal",
    }
    ways_in: ClassVar = {
        "oracle.jdbc.OracleDriver": WaysIn(
            (
                TlsSettings(
                    {
                        "verify-ca": {"oracle.net.ssl_server_dn_match": "false"},
                        "verify-full": {"oracle.net.ssl_server_dn_match": "true"},
                    },
                    ca={
                        "javax.net.ssl.trustStore": "ca-store",
                        "javax.net.ssl.trustStoreType": "ca-type",
                        "javax.net.ssl.trustStorePassword": "ca-password",
                    },
                    key={
                        "javax.net.ssl.keyStore": "key-store",
                        "javax.net.ssl.keyStoreType": "key-type",
                        "javax.net.ssl.keyStorePassword": "key-password",
                    },
                ),
            ),
            tls_url=(r"@\s*tcps:|PROTOCOL\s*=\s*tcps", "jdbc:oracle:thin:@tcps://HOST:2484/SERVICE"),
            verified="a server with a certificate alone",
        )
    }
    risky_settings = words(
        """
        driverclass socketfactory
        """
    )
    risky_urls: ClassVar = {"ldap": "@\\s*ldaps?:", "config provider": "@\\s*config-"}
    capabilities = Capabilities(
        syntax=SqlSyntax(parser="oracle", unquoted_case="upper", q_strings=True, name_characters="$#"),
        max_identifier_length=128,
        identifier_unit="bytes",
        creates_schemas=False,
        drop_if_exists=False,
        denied_codes=frozenset({1031, 1536, 1950}),  # insufficient privileges, quota exceeded, none on the tablespace
        missing_table_codes=frozenset({942}),
        rolled_back_codes=frozenset({54, 60, 8177, 30006}),  # lock not had, deadlock, serialization, lock time-out
        max_comment_length=4000,
        comment_unit="bytes",
        bulk_path="array batches",
        one_row_from=" FROM DUAL",
    )
    advices = (
        Advice(
            "A table in the schema of another user needs CREATE ANY TABLE, DROP ANY TABLE and the like. Leave `staging_schema` "
            "out: then staging tables lie beside the destination; or stage and load as the user who owns the schema.",
            codes=frozenset({1031}),
        ),
        Advice(
            "The owner of the schema needs a quota on its tablespace: ALTER USER name QUOTA UNLIMITED ON tablespace.",
            codes=frozenset({1536, 1950}),
        ),
    )
    browse_fields = (BrowseField("schema", "schema (user)"),)
    system_schemas = ("SYS", "SYSTEM", "SYS$*", "XDB", "CTXSYS", "MDSYS", "OUTLN", "DBSNMP", "APEX_*", "GSM*", "ORD*")
    reserved = words(
        """
        access audit cluster comment compress date file identified increment initial level maxextents mlslabel mode
        noaudit nocompress nowait number offline online pctfree prior privileges public raw resource rowid rownum session
        share size successful synonym sysdate uid validate whenever
        """
    )
    date_literal = "DATE '{}'"
    timestamp_literal = "TIMESTAMP '{}'"
    zoned_literal = "TIMESTAMP '{} +00:00'"
    clocks = (
        "TO_CHAR(SYSTIMESTAMP, 'YYYY-MM-DD HH24:MI:SS')",
        "TO_CHAR(SYS_EXTRACT_UTC(SYSTIMESTAMP), 'YYYY-MM-DD HH24:MI:SS')",
    )
    change_type = "NUMBER(1)"
    types: ClassVar = {
        "boolean": "NUMBER(1)",
        "int16": "NUMBER(5)",
        "int32": "NUMBER(10)",
        "int64": "NUMBER(19)",
        "decimal": _number,
        "float32": "BINARY_FLOAT",
        "float64": "BINARY_DOUBLE",
        "text": sized_text("VARCHAR2({precision} CHAR)", max_length=1000, own_length=4000, unlimited="CLOB"),
        "binary": "BLOB",
        "date": "DATE",
        "time": "VARCHAR2(18)",
        "timetz": "VARCHAR2(32)",
        "timestamp": fractional("TIMESTAMP({precision})", max_digits=9),
        "timestamptz": fractional("TIMESTAMP({precision}) WITH TIME ZONE", max_digits=9),
        "uuid": "VARCHAR2(36)",
    }

    def cascades_sql(self, table: TableName) -> str:
        """Of those that the login may see."""
        tables = (
            "ALL_CONSTRAINTS c JOIN ALL_CONSTRAINTS p ON p.OWNER = c.R_OWNER AND p.CONSTRAINT_NAME = c.R_CONSTRAINT_NAME "
            "AND c.CONSTRAINT_TYPE = 'R' AND c.DELETE_RULE <> 'NO ACTION'"
        )
        return view_query(tables, table, "p.OWNER", "p.TABLE_NAME", _CURRENT).replace(
            "SELECT 1 ", "SELECT c.TABLE_NAME ", 1
        )

    incomparable_types = re.compile("N?CLOB|BLOB|BFILE|LONG|(?:SYS\\.)?XMLTYPE", re.I)

    def key_type(self, sql_type: str, collation: str | None) -> str:
        """A CLOB cannot be compared; a longer key is refused."""
        return f"VARCHAR2({MAX_KEY_TEXT} CHAR)" if sql_type == "CLOB" else sql_type

    def triggers_sql(self, table: TableName) -> str:
        """Of those that the login may see."""
        found = view_query("ALL_TRIGGERS", table, "TABLE_OWNER", "TABLE_NAME", _CURRENT)
        return f"{found.replace('SELECT 1 ', 'SELECT TRIGGER_NAME ', 1)} AND STATUS = 'ENABLED' AND TRIGGERING_EVENT <> 'DELETE'"

    def is_view_sql(self, table: TableName) -> str:
        """Of those that the login may see."""
        return view_query("ALL_VIEWS", table, "OWNER", "VIEW_NAME", _CURRENT)

    def schemas_sql(self, database: str | None) -> str:
        """Users that have a table or view which the login may see, and not Oracle's own."""
        return (
            "SELECT u.USERNAME FROM ALL_USERS u WHERE u.ORACLE_MAINTAINED = 'N' AND EXISTS (SELECT 1 FROM ALL_OBJECTS o "
            "WHERE o.OWNER = u.USERNAME AND o.OBJECT_TYPE IN ('TABLE', 'VIEW'))"
        )

    def tables_sql(self, schema: str | None, database: str | None, table: str | None = None) -> str:
        """With comments, which the driver gives only when it is opened with remarksReporting; without the recycle bin."""
        if schema is not None or table is not None:
            where = f"OWNER = {literal(schema) if schema else _CURRENT}"
        else:
            where = "OWNER IN (SELECT USERNAME FROM ALL_USERS WHERE ORACLE_MAINTAINED = 'N')"
        if table is not None:
            where += f" AND TABLE_NAME = {literal(table)}"
        return (
            "SELECT OWNER, TABLE_NAME, LOWER(TABLE_TYPE), COMMENTS FROM ALL_TAB_COMMENTS "
            f"WHERE TABLE_TYPE IN ('TABLE', 'VIEW') AND TABLE_NAME NOT LIKE 'BIN$%' AND {where}"
        )

    def column_notes_sql(self, table: TableName) -> str:
        owner = literal(table.schema) if table.schema else _CURRENT
        return (
            "SELECT c.COLUMN_NAME, c.COMMENTS, CASE WHEN i.COLUMN_NAME IS NULL THEN '0' ELSE '1' END "
            "FROM ALL_COL_COMMENTS c LEFT JOIN ALL_TAB_IDENTITY_COLS i ON i.OWNER = c.OWNER "
            "AND i.TABLE_NAME = c.TABLE_NAME AND i.COLUMN_NAME = c.COLUMN_NAME "
            f"WHERE c.OWNER = {owner} AND c.TABLE_NAME = {literal(table.name)}"
        )

    def schema_exists_sql(self, schema: str) -> None:
        """Users are made by a DBA, never by a sync."""
        return

    def create_like_sql(self, table: TableName, like: TableName, columns: Sequence[Column]) -> str:
        """CREATE TABLE AS with a condition that nothing meets."""
        names = self.column_list(columns)
        return f"CREATE TABLE {self.table_sql(table)} AS SELECT {names} FROM {self.table_sql(like)} WHERE 1 = 0"

    def drop_table_sql(self, table: TableName) -> str:
        """Past the recycle bin, which would keep each run's staging table."""
        return f"{super().drop_table_sql(table)} PURGE"

    def lock_table_sql(self, dest: str) -> list[str]:
        """Readers are never blocked in Oracle."""
        return [f"LOCK TABLE {dest} IN EXCLUSIVE MODE"]

    def exact_values_sql(self, column: Column, value: str) -> tuple[str, ...] | None:
        """Texts as they are (with NLS_COMP=BINARY, the default); instants with their offset; LOBs and XML have no =."""
        name = column.type_name.upper().partition("(")[0].strip()
        if name in ("VARCHAR2", "NVARCHAR2", "CHAR", "NCHAR", "RAW", "BINARY_FLOAT", "BINARY_DOUBLE", "NUMBER"):
            return (value,)
        if column.family == "timestamptz" and "LOCAL" not in column.type_name.upper():
            return (f"TO_CHAR({value}, 'SYYYY-MM-DD HH24:MI:SS.FF9 TZR TZH:TZM')",)
        return super().exact_values_sql(column, value)

    def distinct_sql(self, left: str, right: str) -> str:
        """DECODE takes NULL for equal to NULL."""
        return f"DECODE({left}, {right}, 0, 1) = 1"

    def fence(self, name: FenceName, dest: str) -> Fence:
        """Each merge has a lock on the table until it ends, an insert at least a row-exclusive one."""
        return Fence(wait=(f"LOCK TABLE {dest} IN EXCLUSIVE MODE WAIT 60",))

    def identity_sql(self, table: TableName) -> str:
        """Of those that the login may see."""
        where = "ALL_TAB_IDENTITY_COLS"
        found = view_query(where, table, "OWNER", "TABLE_NAME", _CURRENT).replace("SELECT 1 ", "SELECT COLUMN_NAME ", 1)
        return f"{found} AND GENERATION_TYPE = 'ALWAYS'"

    def free_identity_sql(self, table: TableName, column: str) -> str:
        """ORA-32795 whatever the INSERT says."""
        return f"ALTER TABLE {self.table_sql(table)} MODIFY ({self.quote_identifier(column)} GENERATED BY DEFAULT AS IDENTITY)"

    def drop_not_null_sql(self, table: TableName, column: str) -> str:
        """MODIFY."""
        return f"ALTER TABLE {self.table_sql(table)} MODIFY ({self.quote_identifier(column)} NULL)"

    def add_column_sql(self, table: TableName, name: str, sql_type: str) -> str:
        """In parentheses, without the word COLUMN."""
        return f"ALTER TABLE {self.table_sql(table)} ADD ({self.quote_identifier(name)} {sql_type})"

    def time_literal(self, column: Column, text: str) -> str:
        """A DATE has a time of day; compared with a timestamp it would become one, past its index."""
        if column.family != "date" and column.type_name.upper() == "DATE":
            return f"TO_DATE('{text}', 'YYYY-MM-DD HH24:MI:SS')"
        return super().time_literal(column, text)

    #: Literals are of the database's character set, which a column of national characters need not be.
    unicode_literals = False

    def watermark_sql(self, greatest: str, family: str, lag: Lag, *, whole_seconds: bool = False) -> str:
        """Text: by itself it would be written as the session's NLS settings have it."""
        if family == "date":
            return f"TO_CHAR({greatest}{f' - {lag.amount}' if lag.amount else ''}, 'YYYY-MM-DD')"
        moved = f" - NUMTODSINTERVAL({lag.amount}, '{lag.sql_unit}')" if lag.amount else ""
        value = f"SYS_EXTRACT_UTC({greatest})" if family == "timestamptz" else f"CAST({greatest} AS TIMESTAMP)"
        return f"TO_CHAR({value}{moved}, 'YYYY-MM-DD HH24:MI:SS{'' if whole_seconds else '.FF6'}')"

    def login_redaction(self) -> Callable[[str], str | None]:
        """`jdbc:oracle:thin:user/password@//host:1521/service`."""
        return _redact_login
