"""DB2 for i."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from pipekit_engine.databases.dialects.base.advice import Advice
from pipekit_engine.databases.dialects.base.capabilities import Capabilities
from pipekit_engine.databases.dialects.base.catalog import cascades_query, triggers_query, view_query
from pipekit_engine.databases.dialects.base.comparing import null_safe
from pipekit_engine.databases.dialects.base.dialect import Dialect
from pipekit_engine.databases.dialects.base.identifiers import literal
from pipekit_engine.databases.dialects.base.jdbc import JdbcDriver
from pipekit_engine.databases.dialects.base.keys import MAX_KEY_TEXT, PaddedKeys
from pipekit_engine.databases.dialects.base.types import decimal, fractional, sized_text
from pipekit_engine.databases.dialects.base.ways_in import TlsSettings, WaysIn
from pipekit_engine.databases.fence import Fence, FenceName
from pipekit_engine.databases.introspection import BrowseField
from pipekit_engine.databases.reserved_words import words
from pipekit_engine.sql.syntax import SqlSyntax

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pipekit_engine.common.columns import Column
    from pipekit_engine.databases.dialects.base.watermarks import Lag
    from pipekit_engine.databases.names import TableName


#: What a row holds of a column whose type says no length of text: enough for any number or time.
_OTHER_BYTES = 32
#: What a row holds of a large object.
_POINTER_BYTES = 64
_LENGTH = re.compile(r"VARCHAR\((\d+)\)")


def _row_bytes(sql_type: str) -> int:
    sized = _LENGTH.match(sql_type)
    return int(sized[1]) + 3 if sized else _POINTER_BYTES if "LOB" in sql_type else _OTHER_BYTES


class DB2(PaddedKeys, Dialect):
    """DB2 for i 7.3 and newer, by IBM's Toolbox driver. A schema is a library."""

    kind = "db2"
    label = "DB2 for i"
    drivers = (
        JdbcDriver(
            class_name="com.ibm.as400.access.AS400JDBCDriver",
            url="jdbc:as400://HOST/LIBRARY",
            files=("jt400*.jar",),
            group="net.sf.jt400",
            artifact="jt400",
            version="20.0.7",
            sha256="29c8e345aba17f94ad4b7f05e90f18f91ebef7c3fc752863840647dec9c8566d",
            licence="IPL-1.0",
            older="not known to matter: no older one was tried",
            debian="libjt400-java",
            debian_jar="jt400.jar",
        ),
        JdbcDriver(
            class_name="com.ibm.db2.jcc.DB2Driver",
            url="jdbc:db2://HOST:50000/DATABASE",
            files=("jcc-[0-9]*.jar", "db2jcc*.jar"),
            group="com.ibm.db2",
            artifact="jcc",
            version="12.1.0.0",
            sha256="29a514dd740a20661d6a22f67a3a118e2c11dc14fa4056e4faeb08afb1738fd8",
            licence="IPLA (IBM International Program License Agreement)",
            older="not known to matter: no older one was tried",
            note="DB2 for Linux, UNIX and Windows; DB2 for i needs a licence of DB2 Connect beside it.",
        ),
    )
    server_facts: ClassVar = {"isolation": "VALUES CURRENT ISOLATION"}
    own_columns: ClassVar = {"TIMESTAMP(0)": "timestamp", "VARCHAR(40)": "text", "DATE": "date", "TIME": "time"}
    ways_in: ClassVar = {
        "com.ibm.as400.access.AS400JDBCDriver": WaysIn(
            (TlsSettings({"disable": {"secure": "false"}, "verify-ca": {"secure": "true"}}),)
        ),
        "com.ibm.db2.jcc.DB2Driver": WaysIn(
            (
                TlsSettings(
                    {
                        "disable": {"sslConnection": "false"},
                        "verify-ca": {"sslConnection": "true"},
                        "verify-full": {"sslConnection": "true", "sslClientHostnameValidation": "BASIC"},
                    },
                    ca={
                        "sslTrustStoreLocation": "ca-store",
                        "sslTrustStoreType": "ca-type",
                        "sslTrustStorePassword": "ca-password",
                    },
                    key={
                        "sslKeyStoreLocation": "key-store",
                        "sslKeyStoreType": "key-type",
                        "sslKeyStorePassword": "key-password",
                    },
                    untold=True,
                ),
            ),
            verified="a server with a certificate alone; the driver compares the name after it has sent the login",
        ),
    }
    risky_settings = words(
        """
        clientrerouteserverlistjndiname clientrerouteserverlistjndicontext tracefile tracedirectory pluginclassname pluginname
        """
    )
    capabilities = Capabilities(
        syntax=SqlSyntax(unquoted_case="upper", nested_comments=True),
        max_identifier_length=128,
        drop_if_exists=False,  # only newer releases know it
        missing_table_states=frozenset({"42704"}),
        missing_table_codes=frozenset({-204}),
        rolled_back_codes=frozenset({-911, -913}),
        instants="none",
        max_comment_length=2000,
        bulk_path="array batches",
        one_row_from=" FROM SYSIBM.SYSDUMMY1",
    )
    advices = (
        Advice(
            "The table's library is not journaled, so nothing in it can be rolled back. Journal the library (STRJRNLIB; tables "
            "that are there already: STRJRNPF), or let `staging_schema` name one made by CREATE SCHEMA, which is journaled.",
            codes=frozenset({-7008}),
            states=frozenset({"55019"}),
        ),
    )
    browse_fields = (BrowseField("schema", "library"),)
    #: IBM's libraries begin with Q; QGPL and QS36F hold what people put there.
    system_schemas: ClassVar[tuple[str, ...]] = ("Q[!GS]*", "QG[!P]*", "QS[!3]*", "SYS*", "#*")
    reserved = words(
        """
        absent according acctng action activate alias allocate allow append applname asensitive associate at atomic
        attributes audit autonomous bind bit bufferpool cache called cardinality ccsid cl close cluster collect
        collection comment compact comparisons compress concat concurrent connection constant contains content copy
        count count_big ctype cycle data datapartitionname datapartitionnum date day days db2general db2genrl db2sql
        dbinfo dbpartitionname dbpartitionnum dbstrip deactivate defaults defer definition dense_rank descriptor
        diagnostics disable disallow disconnect document encoding encrypted encryption ending exception exclude
        excluding extend fieldproc file final first_value free gbpcase genname geographic go goto handler hash
        hashed_value hint hold hour hours id identity implicitly include including inclusive increment index indexbp
        indicator inherit insensitive integrity isolation java key label lag language last_value lateral lead level
        linktype listagg local localdate locale location locator locators lock locked locksize log logged lower
        maintained mask maxvalue microsecond microseconds minpctused minute minutes minvalue mixed mode month months
        mq namespace nested next no nocache nocycle nodename nodenumber nomaxvalue nominvalue noorder normalized
        nth_value ntile nulls nvarchar obid ordinality organize overriding package padded page pagesize parallel
        part partitioned partitioning partitions passing password path pctfree percent_rank permission piecesize
        pipe plan policy position prepared prevval prior privileges program programid query range rank
        ratio_to_report rcdfmt recovery referencing refresh regexp_like rename reset result resultset rid rollup
        round_up routine rowid rownum rrn run savepoint scratchpad scroll search second seconds secqty security
        sequence session simple skip snan source specific sqlid stacked stamp statement static statment stay
        stogroup stores style subpage subset substring summary synonym system tablespace tablespaces textsize
        threadsafe trans transaction transfer trim trim_array type undo unit upper url userid value variable vcat
        version view volatile wait wrapped wrapper write wrkstnname xmlagg xmlattributes xmlcast xmlcomment
        xmlconcat xmldocument xmlelement xmlforest xmlgroup xmlnamespaces xmlparse xmlpi xmlrow xmlserialize
        xmltable xmltext xmlvalidate xslload xsltransform year years yes zone
        """
    )
    #: SQL Reference of DB2 for i, "Database manager limits".
    max_row_bytes: ClassVar[int] = 32_766
    long_text: ClassVar[str] = "CLOB(2G) CCSID 1208"
    date_literal = "DATE('{}')"
    timestamp_literal = "TIMESTAMP('{}')"
    #: Literals are of the job's character set.
    unicode_literals = False
    clocks = ("CURRENT TIMESTAMP", "CURRENT TIMESTAMP - CURRENT TIMEZONE")
    types: ClassVar = {
        "boolean": "SMALLINT",
        "int16": "SMALLINT",
        "int32": "INTEGER",
        "int64": "BIGINT",
        "decimal": decimal("DECIMAL({precision},{scale})", max_precision=63, scale=20),
        "float32": "REAL",
        "float64": "DOUBLE",
        "text": sized_text(
            "VARCHAR({precision}) CCSID 1208",
            max_length=8000,
            unlimited="CLOB(2G) CCSID 1208",
            own_length=32740,
            bytes_per_character=4,
        ),
        "binary": "BLOB(2G)",
        "date": "DATE",
        "time": fractional("TIME", max_digits=0),
        "timetz": "VARCHAR(32)",
        "timestamp": fractional("TIMESTAMP({precision})", max_digits=12),
        "timestamptz": fractional("TIMESTAMP({precision})", max_digits=12),
        "uuid": "CHAR(36)",
    }

    def cascades_sql(self, table: TableName) -> str:
        return cascades_query("QSYS2.SYSREFCST", "QSYS2.SYSCST", table, "CURRENT SCHEMA")

    def triggers_sql(self, table: TableName) -> str:
        return triggers_query("QSYS2.SYSTRIGGERS", table, "CURRENT SCHEMA")

    def identity_sql(self, table: TableName) -> str:
        found = view_query("QSYS2.SYSCOLUMNS", table, "TABLE_SCHEMA", "TABLE_NAME", "CURRENT SCHEMA")
        return f"{found.replace('SELECT 1 ', 'SELECT COLUMN_NAME ', 1)} AND IDENTITY_GENERATION = 'ALWAYS'"

    incomparable_types = re.compile("(?:DB)?CLOB|BLOB|XML", re.I)

    def key_type(self, sql_type: str, collation: str | None) -> str:
        """A CLOB cannot be compared; a longer key is refused."""
        return f"VARCHAR({MAX_KEY_TEXT}) CCSID 1208" if sql_type.startswith("CLOB") else sql_type

    def is_view_sql(self, table: TableName) -> str | None:
        return view_query("QSYS2.SYSVIEWS", table, "TABLE_SCHEMA", "TABLE_NAME", "CURRENT SCHEMA")

    def schema_exists_sql(self, schema: str) -> str | None:
        return f"SELECT 1 FROM QSYS2.SYSSCHEMAS WHERE SCHEMA_NAME = {literal(schema)}"

    def schemas_sql(self, database: str | None) -> str | None:
        return "SELECT SCHEMA_NAME FROM QSYS2.SYSSCHEMAS"

    def tables_sql(self, schema: str | None, database: str | None, table: str | None = None) -> str | None:
        """With comments, or else the object's text; logical files are views; source files hold programs, not rows."""
        if schema is not None or table is not None:
            where = f"TABLE_SCHEMA = {literal(schema) if schema else 'CURRENT SCHEMA'}"
        else:
            where = "TABLE_SCHEMA NOT LIKE 'Q%' AND TABLE_SCHEMA NOT LIKE 'SYS%'"
        if table is not None:
            where += f" AND TABLE_NAME = {literal(table)}"
        return (
            "SELECT TABLE_SCHEMA, TABLE_NAME, CASE WHEN TABLE_TYPE IN ('L', 'V') THEN 'view' ELSE 'table' END, "
            "COALESCE(NULLIF(LONG_COMMENT, ''), TABLE_TEXT) FROM QSYS2.SYSTABLES "
            f"WHERE TABLE_TYPE IN ('A', 'L', 'M', 'P', 'T', 'V') AND FILE_TYPE <> 'S' AND {where}"
        )

    def column_notes_sql(self, table: TableName) -> str | None:
        """Comments, or else the label's text, or else the column heading; identity columns."""
        library = literal(table.schema) if table.schema else "CURRENT SCHEMA"
        return (
            "SELECT COLUMN_NAME, COALESCE(NULLIF(LONG_COMMENT, ''), NULLIF(COLUMN_TEXT, ''), COLUMN_HEADING), "
            "CASE WHEN IS_IDENTITY = 'YES' THEN '1' ELSE '0' END FROM QSYS2.SYSCOLUMNS "
            f"WHERE TABLE_SCHEMA = {library} AND TABLE_NAME = {literal(table.name)}"
        )

    def tidy_remark(self, text: str) -> str:
        """A column heading is up to three lines of twenty characters, padded with blanks."""
        return " ".join(text.split()) if "   " in text else text

    def exact_values_sql(self, column: Column, value: str) -> tuple[str, ...] | None:
        """Texts with their length, as = ignores blanks at the end; LOBs, XML and DECFLOAT are not told apart."""
        if column.type_name.upper().split(" ", 1)[0].partition("(")[0] in ("CHAR", "VARCHAR", "GRAPHIC", "VARGRAPHIC"):
            return (value, f"LENGTH({value})")
        if column.type_name.upper() == "DECFLOAT":
            return None
        return (value,) if column.family in ("float32", "float64") else super().exact_values_sql(column, value)

    def for_url(self, url: str) -> DB2:
        """IBM's other driver leads to DB2 on Linux, UNIX and Windows."""
        return DB2LUW() if url.lower().startswith("jdbc:db2:") else self

    def fit_row(self, columns: Sequence[tuple[str, str]], keep: Collection[str]) -> dict[str, str]:
        """The longest texts become large objects, of which a row holds a pointer."""
        sizes = {name: _row_bytes(sql_type) for name, sql_type in columns}
        changed: dict[str, str] = {}
        texts = [name for name, sql_type in columns if sql_type.startswith("VARCHAR(") and name not in keep]
        for name in sorted(texts, key=lambda name: -sizes[name]):
            if sum(sizes.values()) <= self.max_row_bytes:
                break
            changed[name] = self.long_text
            sizes[name] = _POINTER_BYTES
        return changed

    def lock_table_sql(self, dest: str) -> list[str]:
        """Readers go on, by their isolation level."""
        return [f"LOCK TABLE {dest} IN EXCLUSIVE MODE ALLOW READ"]

    def fence(self, name: FenceName, dest: str) -> Fence:
        """Each merge has row locks in the table, at least, until it ends."""
        return Fence(wait=(f"LOCK TABLE {dest} IN EXCLUSIVE MODE",))

    def create_like_sql(self, table: TableName, like: TableName, columns: Sequence[Column]) -> str:
        names = self.column_list(columns)
        return f"CREATE TABLE {self.table_sql(table)} AS (SELECT {names} FROM {self.table_sql(like)}) WITH NO DATA"

    def watermark_sql(self, greatest: str, family: str, lag: Lag, *, whole_seconds: bool = False) -> str:
        """A labelled duration."""
        return f"{greatest} - {lag.amount} {lag.sql_unit}S" if lag.amount else greatest


class DB2LUW(DB2):
    """DB2 for Linux, UNIX and Windows, by IBM's jcc: kind `db2` with a URL of that driver. Its catalogue is read by JDBC."""

    label = "DB2"
    #: Of a table space with pages of 32 KiB.
    max_row_bytes = 32_677
    long_text = "CLOB(1G)"
    types: ClassVar = {
        **DB2.types,
        "decimal": decimal("DECIMAL({precision},{scale})", max_precision=31, scale=10),
        "text": sized_text(
            "VARCHAR({precision})", max_length=8000, unlimited=long_text, own_length=32672, bytes_per_character=4
        ),
        "binary": "BLOB(1G)",
    }
    capabilities = replace(DB2.capabilities, creates_schemas=False)
    system_schemas = ("SYS*", "NULLID", "SQLJ", "DB2*")

    def distinct_sql(self, left: str, right: str) -> str:
        """In full: IS DISTINCT FROM came with version 11.1."""
        return null_safe(left, right)

    def key_type(self, sql_type: str, collation: str | None) -> str:
        return f"VARCHAR({MAX_KEY_TEXT})" if sql_type.startswith("CLOB") else sql_type

    def cascades_sql(self, table: TableName) -> str:
        """By the rule's letter: C and N."""
        found = view_query("SYSCAT.REFERENCES", table, "REFTABSCHEMA", "REFTABNAME", "CURRENT SCHEMA")
        return f"{found.replace('SELECT 1 ', 'SELECT TABNAME ', 1)} AND DELETERULE IN ('C', 'N')"

    def triggers_sql(self, table: TableName) -> str:
        found = view_query("SYSCAT.TRIGGERS", table, "TABSCHEMA", "TABNAME", "CURRENT SCHEMA")
        return f"{found.replace('SELECT 1 ', 'SELECT TRIGNAME ', 1)} AND TRIGEVENT <> 'D'"

    def is_view_sql(self, table: TableName) -> None:
        """The database refuses what a view cannot take."""
        return

    def schema_exists_sql(self, schema: str) -> None:
        """A schema that is missing is made with its first table, where the login may."""
        return

    def schemas_sql(self, database: str | None) -> None:
        return

    def tables_sql(self, schema: str | None, database: str | None, table: str | None = None) -> None:
        return

    def column_notes_sql(self, table: TableName) -> None:
        return

    def lock_table_sql(self, dest: str) -> list[str]:
        return [f"LOCK TABLE {dest} IN EXCLUSIVE MODE"]
