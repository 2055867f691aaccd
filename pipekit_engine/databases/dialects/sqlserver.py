"""SQL Server."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from pipekit_engine.databases.dialects.base.advice import Advice
from pipekit_engine.databases.dialects.base.capabilities import Capabilities
from pipekit_engine.databases.dialects.base.comparing import null_safe
from pipekit_engine.databases.dialects.base.dialect import Dialect
from pipekit_engine.databases.dialects.base.jdbc import JdbcDriver
from pipekit_engine.databases.dialects.base.ranges import ANY_TEXT, KeyLiteral
from pipekit_engine.databases.dialects.base.types import decimal, fractional, sized_text
from pipekit_engine.databases.dialects.base.ways_in import TlsSettings, WaysIn
from pipekit_engine.databases.fence import Fence, FenceName
from pipekit_engine.databases.introspection import BrowseField
from pipekit_engine.databases.remarks import TableRemarks
from pipekit_engine.databases.reserved_words import words
from pipekit_engine.sql.syntax import SqlSyntax

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipekit_engine.common.columns import Column
    from pipekit_engine.databases.dialects.base.watermarks import Lag
    from pipekit_engine.databases.names import TableName


#: A collation that compares code points, and types that have a collation.
_EXACT = "Latin1_General_100_BIN2"
_COLLATED = re.compile(r"n?(?:var)?char\s*(?:\(\s*(?:\d+|max)\s*\))?", re.IGNORECASE)
#: An extended property's value may take 7,500 bytes, two a character.
_MAX_COMMENT = 3750


#: A time with a fraction.
_FRACTION = re.compile(r"(?P<seconds>\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)\.(?P<digits>\d{1,9})")
#: How far the text of a datetime may be below its value: .003 is .0033333.
_TICK_TOLERANCE_US = 340

#: Types whose bytes are compared.
_BYTES = frozenset({"char", "varchar", "nchar", "nvarchar", "binary", "varbinary", "real", "float", "sysname"})


class SQLServer(Dialect):
    """SQL Server 2016 and newer, by Microsoft's driver or jTDS."""

    kind = "sqlserver"
    label = "SQL Server"
    drivers = (
        JdbcDriver(
            class_name="com.microsoft.sqlserver.jdbc.SQLServerDriver",
            url="jdbc:sqlserver://HOST:1433;databaseName=DATABASE",
            files=("mssql-jdbc*.jar",),
            group="com.microsoft.sqlserver",
            artifact="mssql-jdbc",
            version="12.8.1.jre11",
            sha256="e6933c0711e598a224060e52ed31392f720a4a7664e85d8ae37c52a85b67ebb0",
            licence="MIT",
            told_as="Microsoft JDBC Driver",
            oldest="8.4",
            older="it moves dates and times before 1582-10-15 by the days between the Julian and the Gregorian calendar",
        ),
        JdbcDriver(
            class_name="net.sourceforge.jtds.jdbc.Driver",
            url="jdbc:jtds:sqlserver://HOST:1433/DATABASE",
            files=("jtds*.jar",),
            group="net.sourceforge.jtds",
            artifact="jtds",
            version="1.3.1",
            sha256="aac05ebf5504c91b29420129b02dd878a86c52f8fa6eccf9235e0bfd7a60bef1",
            licence="LGPL-2.1-or-later",
            older="not known to matter: the last release",
            debian="libjtds-java",
            debian_jar="jtds.jar",
            note="jTDS is taken for its own URLs. It knows none of the types date, time, datetime2 and datetimeoffset.",
        ),
    )
    server_facts: ClassVar = {
        "collation": "SELECT CAST(DATABASEPROPERTYEX(DB_NAME(), 'Collation') AS varchar(128))",
        "isolation": "SELECT transaction_isolation_level FROM sys.dm_exec_sessions WHERE session_id = @@SPID",
        "compatibility": "SELECT compatibility_level FROM sys.databases WHERE name = DB_NAME()",
    }
    own_columns: ClassVar = {
        "smalldatetime": "timestamp",
        "datetime": "timestamp",
        "datetime2(0)": "timestamp",
        "time(0)": "time",
        "datetimeoffset": "timestamp with time zone",
        "varchar(40)": "text",
        "money": "decimal",
    }
    ways_in: ClassVar = {
        "com.microsoft.sqlserver.jdbc.SQLServerDriver": WaysIn(
            (
                TlsSettings(
                    {
                        "disable": {"encrypt": "false"},  # the login is encrypted all the same
                        "require": {"encrypt": "true", "trustServerCertificate": "true"},
                        "verify-full": {"encrypt": "true", "trustServerCertificate": "false"},
                    },
                    ca={"trustStore": "ca-store", "trustStoreType": "ca-type", "trustStorePassword": "ca-password"},
                ),
            ),
            host_name="hostNameInCertificate",
            verified="a server with a certificate alone",
        ),
        "net.sourceforge.jtds.jdbc.Driver": WaysIn(
            (TlsSettings({"disable": {"ssl": "off"}, "prefer": {"ssl": "request"}, "require": {"ssl": "require"}}),)
        ),
    }
    risky_settings = words(
        """
        socketfactoryclass socketfactoryconstructorarg trustmanagerclass trustmanagerconstructorarg
        accesstokencallbackclass
        """
    )
    wrong_settings: ClassVar = {
        "usebulkcopyforbatchinsert": "columns behind one whose name begins with a blank become NULL, texts may become "
        "`[B@...`, and with dates, times or money it turns itself off without a word",
    }
    capabilities = Capabilities(
        quote=("[", "]"),
        syntax=SqlSyntax(parser="tsql", any_case=True, nested_comments=True, brackets="names", equals_names=True),
        max_identifier_length=128,
        transactional_ddl=True,
        transactional_truncate=True,
        row_values=False,
        ordered_subqueries=False,
        exact_text=False,
        denied_codes=frozenset({229, 262}),  # no such right on the object, in the database
        missing_table_codes=frozenset({208, 2760}),
        rolled_back_codes=frozenset({1205, 1222, 3960}),  # deadlock, lock time-out, conflict of snapshots
        missing_table_states=frozenset({"S0002", "42S02"}),
        max_comment_length=_MAX_COMMENT,
    )
    advices = (
        Advice(
            "Microsoft's driver encrypts from version 10.1 on, and checks the server's certificate. Where no known authority "
            "signed it, name the one who did (`tls: {mode: verify-full, ca: FILE.pem}`, or the driver's own `trustStore`), or, "
            "in a network that you trust, take any certificate (`tls: {mode: require}`; in a URL "
            "`;encrypt=true;trustServerCertificate=true`). A server without TLS: `tls: {mode: disable}` (`;encrypt=false`).",
            pattern="PKIX path|certification path|secure (?:sockets layer|connection)|\\bSSL\\b",
        ),
    )
    browse_fields = (BrowseField("database", "database"), BrowseField("schema", "schema"))
    #: The schemas of the nine fixed roles are the system's; another that begins with `db_` is a user's.
    system_schemas = (
        "INFORMATION_SCHEMA", "sys", "guest", "db_owner", "db_accessadmin", "db_securityadmin", "db_ddladmin",
        "db_backupoperator", "db_datareader", "db_datawriter", "db_denydatareader", "db_denydatawriter",
    )  # fmt: skip
    usual_schemas = frozenset({"dbo"})
    free_schemas = True
    reserved = words(
        """
        backup break browse bulk checkpoint clustered compute contains containstable dbcc deny disk distributed dump errlvl file
        fillfactor freetext freetexttable holdlock identity identity_insert identitycol key national nonclustered offsets
        opendatasource openquery openrowset openxml percent pivot plan print proc public raiserror readtext reconfigure
        replication restore revert rowcount rowguidcol rule securityaudit semantickeyphrasetable setuser shutdown statistics
        textsize tran transaction tsequal unpivot updatetext waitfor writetext
        """
    )
    # A plain string would be read by the login's language: 2024-05-06 may be the 5th of June.
    timestamp_literal = "CONVERT(datetime2, '{}', 121)"
    clocks = ("CONVERT(varchar(27), SYSDATETIME(), 121)", "CONVERT(varchar(27), SYSUTCDATETIME(), 121)")
    types: ClassVar = {
        "boolean": "bit",
        "int16": "smallint",
        "int32": "int",
        "int64": "bigint",
        "decimal": decimal("decimal({precision},{scale})", max_precision=38),
        "float32": "real",
        "float64": "float",
        "text": sized_text("nvarchar({precision})", max_length=4000, unlimited="nvarchar(max)"),
        "binary": "varbinary(max)",
        "date": "date",
        "time": fractional("time({precision})", max_digits=7),
        "timetz": "varchar(32)",
        "timestamp": fractional("datetime2({precision})", max_digits=7),
        "timestamptz": fractional("datetimeoffset({precision})", max_digits=7),
        "uuid": "uniqueidentifier",
    }

    def schema_exists_sql(self, schema: str) -> str:
        """From the catalogue of the database in use."""
        return f"SELECT 1 FROM sys.schemas WHERE name = {self.string_literal(schema)}"

    def identity_sql(self, table: TableName) -> str:
        """From the catalogue of the table's database."""
        return (
            f"SELECT name FROM {self._in(table.catalog)}sys.identity_columns "
            f"WHERE object_id = OBJECT_ID({self.string_literal(self.table_sql(table))})"
        )

    def cascades_sql(self, table: TableName) -> str:
        """0 is NO ACTION."""
        return (
            "SELECT OBJECT_NAME(parent_object_id) FROM sys.foreign_keys WHERE delete_referential_action <> 0 "
            f"AND referenced_object_id = OBJECT_ID({self.string_literal(self.table_sql(table))})"
        )

    def triggers_sql(self, table: TableName) -> str:
        return (
            "SELECT name FROM sys.triggers WHERE is_disabled = 0 "
            f"AND parent_id = OBJECT_ID({self.string_literal(self.table_sql(table))})"
        )

    def is_view_sql(self, table: TableName) -> str:
        """By the object's number, which the name resolves to as in any statement."""
        return f"SELECT 1 FROM sys.views WHERE object_id = OBJECT_ID({self.string_literal(self.table_sql(table))})"

    def string_literal(self, text: str) -> str:
        """As nvarchar: without the N, what the database's code page lacks would become question marks."""
        return "N" + super().string_literal(text)

    def databases_sql(self) -> str:
        """Those that the login may enter."""
        return (
            "SELECT name FROM sys.databases WHERE HAS_DBACCESS(name) = 1 "
            "AND name NOT IN ('master', 'model', 'msdb', 'tempdb')"
        )

    def _in(self, database: str | None) -> str:
        return f"{self.quote_identifier(database)}." if database else ""

    def _schema(self, name: str | None) -> str:
        return self.string_literal(name) if name else "SCHEMA_NAME()"

    def schemas_sql(self, database: str | None) -> str:
        """Of the given database, or the one in use."""
        return f"SELECT name FROM {self._in(database)}sys.schemas"

    def tables_sql(self, schema: str | None, database: str | None, table: str | None = None) -> str:
        """With the descriptions that are kept as extended properties, which no driver gives."""
        at = self._in(database)
        where = f" AND s.name = {self._schema(schema)}" if schema is not None or table is not None else ""
        if table is not None:
            where += f" AND o.name = {self.string_literal(table)}"
        return (
            "SELECT s.name, o.name, CASE WHEN o.type = 'V' THEN 'view' ELSE 'table' END, "
            f"CAST(p.value AS nvarchar({_MAX_COMMENT})) FROM {at}sys.objects o "
            f"JOIN {at}sys.schemas s ON s.schema_id = o.schema_id "
            f"LEFT JOIN {at}sys.extended_properties p ON p.class = 1 AND p.major_id = o.object_id AND p.minor_id = 0 "
            f"AND p.name = 'MS_Description' WHERE o.type IN ('U', 'V') AND o.is_ms_shipped = 0{where}"
        )

    def column_notes_sql(self, table: TableName) -> str:
        at = self._in(table.catalog)
        return (
            f"SELECT c.name, CAST(p.value AS nvarchar({_MAX_COMMENT})), CASE WHEN c.is_identity = 1 THEN '1' ELSE '0' END "
            f"FROM {at}sys.columns c JOIN {at}sys.objects o ON o.object_id = c.object_id "
            f"JOIN {at}sys.schemas s ON s.schema_id = o.schema_id "
            f"LEFT JOIN {at}sys.extended_properties p ON p.class = 1 AND p.major_id = c.object_id "
            "AND p.minor_id = c.column_id AND p.name = 'MS_Description' "
            f"WHERE s.name = {self._schema(table.schema)} AND o.name = {self.string_literal(table.name)}"
        )

    def comment_sql(self, table: TableName, remarks: TableRemarks, columns: Sequence[tuple[str, str]]) -> list[str]:
        """Extended properties of the name that Microsoft's own tools show."""
        # A procedure takes no function as an argument: the default schema goes by way of a variable.
        declare = "" if table.schema else "DECLARE @pipekit_schema sysname = SCHEMA_NAME(); "
        schema = self.string_literal(table.schema) if table.schema else "@pipekit_schema"
        procedure = f"{self._in(table.catalog)}sys.sp_addextendedproperty"

        def describe(text: str, column: str = "") -> str:
            return (
                f"{declare}EXEC {procedure} @name = N'MS_Description', @value = {self._comment(text)}, "
                f"@level0type = N'SCHEMA', @level0name = {schema}, @level1type = N'TABLE', "
                f"@level1name = {self.string_literal(table.name)}{column}"
            )

        statements = [describe(remarks.table)] if remarks.table else []
        for name, _ in columns:
            if remarks.columns.get(name):
                level = f", @level2type = N'COLUMN', @level2name = {self.string_literal(name)}"
                statements.append(describe(remarks.columns[name], level))
        return statements

    def create_like_sql(self, table: TableName, like: TableName, columns: Sequence[Column]) -> str:
        """SELECT INTO. The union with nothing keeps an identity column from becoming one in staging."""
        names = self.column_list(columns)
        source = self.table_sql(like)
        return (
            f"SELECT {names} INTO {self.table_sql(table)} FROM {source} WHERE 1 = 0 "
            f"UNION ALL SELECT {names} FROM {source} WHERE 1 = 0"
        )

    def drop_not_null_sql(self, table: TableName, column: str) -> str:
        """The type has to be said again."""
        return f"ALTER TABLE {self.table_sql(table)} ALTER COLUMN {self.quote_identifier(column)} (its type) NULL"

    def add_column_sql(self, table: TableName, name: str, sql_type: str) -> str:
        return f"ALTER TABLE {self.table_sql(table)} ADD {self.quote_identifier(name)} {sql_type} NULL"

    def lock_table_sql(self, dest: str) -> list[str]:
        """By a query that has to look at the table: a statement that finds no row may be planned away, lock and all."""
        return [f"SELECT TOP (1) 1 FROM {dest} WITH (TABLOCKX, HOLDLOCK)"]

    def fence(self, name: FenceName, dest: str) -> Fence:
        """An application lock of the merge's transaction."""
        take = (
            "DECLARE @taken int; "
            f"EXEC @taken = sp_getapplock @Resource = N'{name.text}', @LockMode = 'Exclusive', "
            "@LockOwner = 'Transaction', @LockTimeout = 10000; "
            "IF @taken < 0 RAISERROR('Another merge of this module is under way.', 16, 1)"
        )
        return Fence(enter=(take,), is_free=f"SELECT APPLOCK_TEST('public', N'{name.text}', 'Exclusive', 'Session')")

    incomparable_types = re.compile("n?text|image|xml|geography|geometry", re.I)

    def key_type(self, sql_type: str, collation: str | None) -> str:
        """A binary collation, and a length that an index holds. Blanks at the end are ignored by every collation."""
        sized = "nvarchar(400)" if sql_type.lower() == "nvarchar(max)" else sql_type
        return f"{sized} COLLATE {_EXACT}" if _COLLATED.fullmatch(sized) else sized

    def _without_end_sql(self, text: str, character: str) -> str:
        """TRIM takes characters since version 2022 only."""
        return f"REPLACE(RTRIM(REPLACE({text}, '{character}', ' ')), ' ', '{character}')"

    def exact_sql(self, column: Column, text: str) -> str:
        """Compared by its code points; with something behind it, so that blanks at its end count."""
        return f"({text} + N'x') COLLATE {_EXACT}"

    def exact_values_sql(self, column: Column, value: str) -> tuple[str, ...] | None:
        """Texts, binaries and floats by their bytes: = ignores blanks and zeros at the end. The old long types have no =."""
        name = column.type_name.lower().partition("(")[0].strip()
        if name in _BYTES:
            return (f"CONVERT(varbinary(max), {value})", f"DATALENGTH({value})")
        if name == "datetimeoffset":
            return (f"CONVERT(varchar(40), {value}, 121)",)
        if name == "sql_variant":
            return None
        return super().exact_values_sql(column, value)

    def query_collations_sql(self, query: str, columns: Sequence[str]) -> str:
        """By the function that describes a text, which may begin with WITH and end with ORDER BY."""
        asked = ", ".join(
            f"MAX(CASE WHEN name COLLATE {_EXACT} = {self.string_literal(name)} THEN collation_name END)"
            for name in columns
        )
        return f"SELECT {asked} FROM sys.dm_exec_describe_first_result_set({self.string_literal(query)}, NULL, 0)"

    def is_exact_collation(self, collation: str) -> bool:
        """Binary ones, and those that are sensitive to case, accents, kana and width."""
        return re.search(r"_BIN2?$|_CS_AS_KS_WS", collation) is not None

    def distinct_sql(self, left: str, right: str) -> str:
        """In full: IS DISTINCT FROM came with version 2022."""
        return null_safe(left, right)

    def insert_sql(self, dest: str, columns: str, select: str, *, identity: bool) -> str:
        """IDENTITY_INSERT is the session's, for one table at a time: set and unset by the same batch."""
        insert = super().insert_sql(dest, columns, select, identity=False)
        return f"SET IDENTITY_INSERT {dest} ON; {insert}; SET IDENTITY_INSERT {dest} OFF" if identity else insert

    def update_matching_sql(self, dest: str, staged: str, key: Sequence[str], others: Sequence[str]) -> str:
        """UPDATE ... FROM with a join."""
        sets = ", ".join(f"d.{self.quote_identifier(name)} = s.{self.quote_identifier(name)}" for name in others)
        return f"UPDATE d SET {sets} FROM {dest} d JOIN {staged} s ON {self.key_match('d', 's', key)}"

    def time_literal(self, column: Column, text: str) -> str:
        """A datetime is compared with a datetime: as a datetime2 its .003 is .0033333 (compatibility level 130 and up).

        What lies before its first day, such as the default of a first run, is that day.
        """
        if column.type_name.lower() != "datetime":
            return super().time_literal(column, text)
        return f"COALESCE(TRY_CONVERT(datetime, {self.timestamp_literal.format(text)}), CONVERT(datetime, '17530101'))"

    #: '...' is of the database's code page.
    unicode_literals = False

    def key_literal(self, column: Column) -> KeyLiteral | None:
        """A text of Unicode is written as one."""
        found = super().key_literal(column)
        is_unicode = column.family == "text" and column.type_name.lower() in ("nchar", "nvarchar")
        return KeyLiteral("N'{}'", ANY_TEXT) if found is not None and is_unicode else found

    def column_watermark(self, column: Column, value: str) -> str:
        """A datetime's values are multiples of 1/300 s, told in milliseconds: the nearest one, or the one before."""
        match = _FRACTION.fullmatch(value) if column.type_name.lower() == "datetime" else None
        if match is None:
            return value
        microseconds = int(match["digits"][:6].ljust(6, "0"))
        ticks = min((microseconds + _TICK_TOLERANCE_US) * 3 // 10_000, 299)
        return f"{match['seconds']}.{round(ticks * 10 / 3):03}"

    def misread_watermark(self, column: Column, name: str, query: str) -> str | None:
        """A finer type than the column's beside a datetime."""
        if column.type_name.lower() != "datetime":
            return None
        value = rf"N?'\{{{name}\}}'"
        finer = r"(?:datetime2|datetimeoffset)\s*(?:\(\s*\d\s*\))?"
        convert = rf"(?:TRY_)?(?:CONVERT\s*\(\s*{finer}\s*,\s*{value}|CAST\s*\(\s*{value}\s+AS\s+{finer})"
        ended = rf"(?<!\w)(?:TRY_)?(?:CONVERT\s*\(\s*datetime\s*,|CAST\s*\()\s*{convert}"
        if len(re.findall(convert, query, re.IGNORECASE)) <= len(re.findall(ended, query, re.IGNORECASE)):
            return None
        return (
            f"{column.name} is a datetime, which counts in 1/300 s: beside a datetime2 its .003 is .0033333, so rows of the "
            f"newest value would come again, or be missed. Write {self.time_literal(column, f'{{{name}}}')}"
        )

    def watermark_sql(self, greatest: str, family: str, lag: Lag, *, whole_seconds: bool = False) -> str:
        """Text in the form of ODBC: by itself it would be written as the login's language has it."""
        value = f"DATEADD({lag.unit}, -{lag.amount}, {greatest})" if lag.amount else greatest
        if family == "date":
            return f"CONVERT(varchar(10), {value}, 23)"
        if family == "timestamptz":
            value = f"CONVERT(datetime2, SWITCHOFFSET({value}, '+00:00'))"
        return f"CONVERT(varchar({19 if whole_seconds else 27}), {value}, 121)"
