"""MariaDB, and what MySQL has in common with it."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, ClassVar

from pipekit_engine.databases.dialects.base.advice import Advice
from pipekit_engine.databases.dialects.base.capabilities import Capabilities
from pipekit_engine.databases.dialects.base.dialect import Dialect
from pipekit_engine.databases.dialects.base.jdbc import JdbcDriver
from pipekit_engine.databases.dialects.base.tables import UNSEEN_TRIGGERS
from pipekit_engine.databases.dialects.base.types import decimal, fractional, own_or_other, sized_text
from pipekit_engine.databases.dialects.base.ways_in import TlsSettings, WaysIn
from pipekit_engine.databases.fence import Fence, FenceName
from pipekit_engine.databases.introspection import BrowseField
from pipekit_engine.databases.remarks import TableRemarks, fit_comment
from pipekit_engine.databases.reserved_words import words
from pipekit_engine.sql.syntax import SqlSyntax

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipekit_engine.common.columns import Column
    from pipekit_engine.databases.dialects.base.watermarks import Lag
    from pipekit_engine.databases.names import TableName


#: What information_schema calls tables and views; sequences and its own views are left out.
_TABLES = "'BASE TABLE', 'SYSTEM VERSIONED', 'VIEW'"
_MAX_TABLE_COMMENT = 2048
#: A type whose values are compared by a collation, and by which one is not said.
_COLLATED = re.compile(
    r"(?!.*\b(?:collate|character set|charset|binary)\b)(?:var)?char\b|(?:tiny|medium|long)?text\b", re.IGNORECASE
)
#: What a key of text without a length gets: as much as the index of a temporary table holds.
_MAX_KEY_TEXT = 190
_KEY_TEXT = f"varchar({_MAX_KEY_TEXT})"
#: Collations in which texts that differ are different: MariaDB's, MySQL's, and that of binary strings.
_EXACT = frozenset({"utf8mb4_nopad_bin", "utf8mb3_nopad_bin", "utf8mb4_0900_bin", "binary"})
_PADDED = "utf8mb4_bin"
_MAX_INDEX_BYTES = 3072
#: An index on staged keys: how many columns, how much of each text; all of it stays below InnoDB's 3,072 bytes.
_MAX_INDEXED = 8
_INDEXED_LENGTH = 64
_SIZED = ("text", "binary", "json", "xml")
#: Types that are kept as declared in another database of the same kind, beside integers, enums and sets.
_KEPT = frozenset(
    {"char", "json", "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "tinytext", "text", "mediumtext"}
)  # fmt: skip
_MAX_VARBINARY = 4000
_UTF8 = frozenset({"utf8mb4", "utf8mb3", "utf8", "ascii"})
#: Part of a dest_type that a column cannot be given twice.
_KEYS = re.compile(r"\s*\b(?:PRIMARY\s+KEY|UNIQUE(?:\s+KEY)?)\b", re.IGNORECASE)

_KEY_STORE = {"keyStore": "key-store", "keyStorePassword": "key-password", "keyStoreType": "key-type"}


class MariaDB(Dialect):
    """MariaDB 10.3 and newer. A database is what others call a schema. DDL and TRUNCATE commit, so neither is in a merge."""

    kind = "mariadb"
    label = "MariaDB"
    drivers = (
        JdbcDriver(
            class_name="org.mariadb.jdbc.Driver",
            told_as="MariaDB",
            url="jdbc:mariadb://HOST:3306/DATABASE",
            files=("mariadb-java-client*.jar",),
            group="org.mariadb.jdbc",
            artifact="mariadb-java-client",
            version="2.7.12",  # the 2.7 line, which most of the tests run on
            sha256="ccf16f38a7bc5bd55e59aa5e3590d74faebb2fb92d111ed5641d5175c4a3624a",
            licence="LGPL-2.1-or-later",
            older="not known to matter: 1.8.0, 2.2.6, 2.4.4, 3.1.4 and 3.5.3 hold every type; 3.0.8 fails to read a boolean",
            debian="libmariadb-java",
            debian_jar="mariadb-java-client.jar",
        ),
    )
    clients: ClassVar[tuple[str, ...]] = ("mariadb", "mysql")
    certified_here = True
    server_facts: ClassVar = {
        "collation": "SELECT @@collation_database",
        "isolation": "SELECT @@transaction_isolation",
        "sql_mode": "SELECT @@sql_mode",
    }
    own_columns: ClassVar = {
        "VARCHAR(40) CHARACTER SET latin1": "text",
        "VARCHAR(40) CHARACTER SET cp1251": "text",
        "DATETIME": "timestamp",
        "TIME": "time",
        "FLOAT": "real",
    }
    ways_in: ClassVar = {
        "org.mariadb.jdbc.Driver": WaysIn(
            (
                TlsSettings(
                    {
                        "disable": {"sslMode": "disable"},
                        "require": {"sslMode": "trust"},
                        "verify-ca": {"sslMode": "verify-ca"},
                        "verify-full": {"sslMode": "verify-full"},
                    },
                    ca={"serverSslCert": "ca-pem"},
                    key=_KEY_STORE,
                ),
                TlsSettings(  # the 2.7 line
                    {
                        "disable": {"useSsl": "false"},
                        "require": {"useSsl": "true", "trustServerCertificate": "true"},
                        "verify-ca": {"useSsl": "true", "disableSslHostnameVerification": "true"},
                        "verify-full": {"useSsl": "true"},
                    },
                    ca={"serverSslCert": "ca-pem"},
                    key=_KEY_STORE,
                ),
            ),
            socket_factory="socketFactory",
            verified="MariaDB 10.11, driver 2.7",
        )
    }
    risky_settings = words(
        """
        allowloadlocalinfile allowloadlocalinfileinpath allowurlinlocalinfile allowlocalinfile autodeserialize socketfactory
        queryinterceptors statementinterceptors exceptioninterceptors connectionlifecycleinterceptors propertiestransform
        loadbalancestrategy loadbalanceexceptionchecker profilereventhandler logger clientinfoprovider authenticationplugins
        defaultauthenticationplugin useconfigs idtokenfile authenticationopenidconnectcallbackhandler
        authenticationfidocallbackhandler authenticationwebauthncallbackhandler ociconfigfile
        """
    )
    indexes_created_tables = True
    capabilities = Capabilities(
        compares_rows=True,
        row_behind="LIMIT 1 OFFSET {}",
        quote=("`", "`"),
        max_identifier_length=64,
        missing_table_states=frozenset({"42S02"}),
        missing_table_codes=frozenset({1146, 1049}),
        denied_codes=frozenset({1044, 1142}),  # no access to the database, no such right on the table
        locking_read=" FOR UPDATE",
        # A record that changed after the snapshot (innodb_snapshot_isolation, from 11.6 on by default), lock time-out, deadlock.
        rolled_back_codes=frozenset({1020, 1205, 1213}),
        exact_text=False,
        instants="utc",
        max_comment_length=1024,
        loads_directly=True,
        bulk_path="LOAD DATA LOCAL INFILE",
        syntax=SqlSyntax(
            parser="mysql",
            backslash_escapes=True,
            double_quoted_strings=True,
            hash_comments=True,
            spaced_dashes=True,
            name_characters="$",
            recursive_keyword=True,
        ),
    )
    advices = (
        Advice(
            "The query does not give that column: give it a default in the table, let it be NULL, or add it to the query.",
            codes=frozenset({1364}),
        ),
        Advice(
            "The server wants to know the password, and without TLS the driver may not ask for the key to encrypt it with. Use "
            "TLS (`options: {sslMode: VERIFY_CA}` and the like), or, in a network that you trust, "
            '`options: {allowPublicKeyRetrieval: "true"}`.',
            pattern="public key retrieval|RSA public key is not available",
        ),
        Advice(
            "The server has sql_require_primary_key on, and staging tables have none. Let the login turn it off for its own "
            "session (GRANT SESSION_VARIABLES_ADMIN ON *.* TO the login), or turn it off for the server.",
            codes=frozenset({3750}),
        ),
        Advice(
            "In GTID mode MySQL takes CREATE TABLE ... SELECT and temporary tables in a transaction only from version 8.0.21 on: "
            "upgrade the server, or set enforce_gtid_consistency to WARN.",
            codes=frozenset({1786, 1787}),
        ),
    )
    browse_fields = (BrowseField("schema", "database"),)
    home_schema_sql = "SELECT DATABASE()"
    ansi_quotes_sql = "SELECT @@sql_mode LIKE '%ANSI_QUOTES%'"
    exact_collation_sql = (
        "SELECT collation_name FROM information_schema.collations "
        "WHERE collation_name IN ('utf8mb4_nopad_bin', 'utf8mb4_0900_bin')"
    )
    system_schemas = ("information_schema", "mysql", "performance_schema", "sys")
    reserved = words(
        """
        accessible asensitive blob cume_dist day_microsecond day_minute day_second delete_domain_id dense_rank
        do_domain_ids double empty except first_value float4 float8 groups hour_microsecond hour_second
        ignore_domain_ids int3 intersect json_table key lag last_value lead master_demote_to_replica
        master_demote_to_slave master_ssl_verify_server_cert maxvalue middleint minute_microsecond minute_second
        nth_value ntile over page_checksum parse_vcol_expr percent_rank portion rank read_write recursive ref_system_id
        row_number rows second_microsecond sql_big_result sql_buffer_result sql_cache sql_calc_found_rows sql_no_cache
        sql_small_result stats_auto_recalc stats_persistent stats_sample_pages system
        """
    )
    clocks = ("now(6)", "utc_timestamp(6)")
    types: ClassVar = {
        "boolean": "boolean",
        "int16": "smallint",
        "int32": "int",
        "int64": "bigint",
        "decimal": decimal("decimal({precision},{scale})", max_precision=65, max_scale=30, scale=30),
        "float32": "float",
        "float64": "double",
        "text": sized_text("varchar({precision})", max_length=4000, unlimited="longtext"),
        "binary": "longblob",
        "date": "date",
        "time": fractional("time({precision})", max_digits=6),
        "timestamp": fractional("datetime({precision})", max_digits=6),
        "timetz": "varchar(32)",
        "timestamptz": own_or_other(
            fractional("timestamp({precision}) NULL", max_digits=6),
            fractional("datetime({precision})", max_digits=6),
            "a DATETIME with the time in UTC, as TIMESTAMP ends in 2038",
        ),
        "uuid": "char(36)",
        "json": "longtext",
    }

    #: A column's type as it was declared.
    _declared: ClassVar[str] = (
        "CASE WHEN EXISTS (SELECT 1 FROM information_schema.check_constraints k WHERE k.constraint_schema = c.table_schema "
        "AND k.table_name = c.table_name AND k.constraint_name = c.column_name "
        "AND k.check_clause = CONCAT('json_valid(`', c.column_name, '`)')) THEN 'json' ELSE c.column_type END"
    )

    def exact_types_sql(self, table: TableName) -> str:
        """As declared; MariaDB's JSON is a LONGTEXT with a check of the column's name."""
        name = self.string_literal(table.name)
        return (
            f"SELECT c.column_name, {self._declared}, c.character_set_name FROM information_schema.columns c "
            f"WHERE c.table_schema = {self._database(table.schema)} AND c.table_name = {name}"
        )

    def exact_type(self, row: Sequence[str | None]) -> str | None:
        """Integers with their sign, CHAR, YEAR, enums, sets, and binaries and texts by their size."""
        declared, charset = row[1] or "", row[2]
        kind = declared.partition("(")[0].split(" ", 1)[0].lower()
        if kind.endswith("int"):
            return declared.replace(" zerofill", "")
        if kind in ("enum", "set"):
            labels = [_folded(label) for label in re.findall(r"'((?:[^']|'')*)'", declared)]
            # Labels that the destination's collation takes for one could not stand side by side.
            return declared if len(set(labels)) == len(labels) else None
        if kind.endswith("text") and charset not in _UTF8:
            return None  # as many characters may need more bytes
        if kind == "varbinary" and int(declared[10:-1]) > _MAX_VARBINARY:
            return None
        if kind == "year":
            return kind
        return declared if kind in _KEPT else None

    def not_null_type(self, sql_type: str) -> str:
        """Not for TIMESTAMP: the first one of a table that may not be NULL is set anew by each UPDATE."""
        return sql_type if sql_type.startswith("timestamp") else super().not_null_type(sql_type)

    def create_schema_sql(self, schema: str) -> str:
        """A database in UTF-8, whatever the server's default."""
        return f"CREATE DATABASE {self.quote_identifier(schema)} CHARACTER SET utf8mb4"

    def create_table_sql(self, table: TableName, columns: Sequence[tuple[str, str]], *, staging: bool = False) -> str:
        """InnoDB and full UTF-8, whatever the server's default: transactions and every character."""
        return super().create_table_sql(table, columns, staging=staging) + " ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"

    def cascades_sql(self, table: TableName) -> str:
        """In any database."""
        return (
            "SELECT table_name FROM information_schema.referential_constraints "
            f"WHERE unique_constraint_schema = {self._database(table.schema)} "
            f"AND referenced_table_name = {self.string_literal(table.name)} "
            "AND delete_rule IN ('CASCADE', 'SET NULL', 'SET DEFAULT')"
        )

    def triggers_sql(self, table: TableName) -> str:
        """Only those BEFORE a row is written can change it. The catalogue shows them to logins with the privilege TRIGGER."""
        database, name = self._database(table.schema), self.string_literal(table.name)
        user = ", '@', ".join(f"QUOTE(SUBSTRING_INDEX(CURRENT_USER(), '@', {part}))" for part in (1, -1))
        mine = f"privilege_type = 'TRIGGER' AND grantee = CONCAT({user})"
        return (
            f"SELECT trigger_name FROM information_schema.triggers WHERE event_object_schema = {database} "
            f"AND event_object_table = {name} AND action_timing = 'BEFORE' AND event_manipulation <> 'DELETE' "
            f"UNION ALL SELECT '{UNSEEN_TRIGGERS}' FROM (SELECT 1 AS one) o WHERE NOT EXISTS "
            f"(SELECT 1 FROM information_schema.user_privileges WHERE {mine}) AND NOT EXISTS "
            f"(SELECT 1 FROM information_schema.schema_privileges WHERE {mine} AND {database} LIKE table_schema) AND NOT EXISTS "
            f"(SELECT 1 FROM information_schema.table_privileges WHERE {mine} AND table_schema = {database} "
            f"AND table_name = {name})"
        )

    def is_view_sql(self, table: TableName) -> str:
        """In the named database, or the one in use."""
        return (
            f"SELECT 1 FROM information_schema.views WHERE table_schema = {self._database(table.schema)} "
            f"AND table_name = {self.string_literal(table.name)}"
        )

    def no_transactions_sql(self, table: TableName) -> str:
        """The engine of a table that cannot be rolled back, such as MyISAM or Aria."""
        return (
            "SELECT t.engine FROM information_schema.tables t LEFT JOIN information_schema.engines e ON e.engine = t.engine "
            f"WHERE t.table_schema = {self._database(table.schema)} AND t.table_name = {self.string_literal(table.name)} "
            "AND COALESCE(e.transactions, 'NO') <> 'YES'"
        )

    def _database(self, name: str | None) -> str:
        return self.string_literal(name) if name else "DATABASE()"

    def string_literal(self, text: str) -> str:
        """Backslashes are doubled: they escape, unless the session's sql_mode says otherwise (then they stay doubled)."""
        return super().string_literal(text.replace("\\", "\\\\"))

    def tables_sql(self, schema: str | None, database: str | None, table: str | None = None) -> str:
        """MySQL's driver gives no comments on tables, and MariaDB's calls each view's comment VIEW."""
        where = f"t.table_type IN ({_TABLES})"
        if schema is not None or table is not None:
            where += f" AND t.table_schema = {self._database(schema)}"
        if table is not None:
            where += f" AND t.table_name = {self.string_literal(table)}"
        return (
            "SELECT t.table_schema, t.table_name, CASE WHEN t.table_type = 'VIEW' THEN 'view' ELSE 'table' END, "
            "CASE WHEN t.table_type = 'VIEW' THEN NULL ELSE t.table_comment END "
            f"FROM information_schema.tables t WHERE {where}"
        )

    def column_notes_sql(self, table: TableName) -> str:
        return (
            "SELECT column_name, column_comment, CASE WHEN extra LIKE '%auto_increment%' THEN '1' ELSE '0' END "
            f"FROM information_schema.columns WHERE table_schema = {self._database(table.schema)} "
            f"AND table_name = {self.string_literal(table.name)}"
        )

    def comment_sql(self, table: TableName, remarks: TableRemarks, columns: Sequence[tuple[str, str]]) -> list[str]:
        """One ALTER TABLE for all. It is apart from CREATE TABLE so that a comment that is refused costs no table."""
        changes = []
        if remarks.table:
            changes.append(f"COMMENT = {self.string_literal(_plain(remarks.table, _MAX_TABLE_COMMENT))}")
        for name, sql_type in columns:
            if remarks.columns.get(name):
                comment = self.string_literal(_plain(remarks.columns[name], self.capabilities.max_comment_length))
                changes.append(
                    f"MODIFY COLUMN {self.quote_identifier(name)} {_KEYS.sub('', sql_type)} COMMENT {comment}"
                )
        return [f"ALTER TABLE {self.table_sql(table)} {', '.join(changes)}"] if changes else []

    def create_like_sql(self, table: TableName, like: TableName, columns: Sequence[Column]) -> str:
        """CREATE TABLE AS keeps types, character sets and collations; NOT NULL is taken off by an outer join."""
        names = ", ".join(f"d.{self.quote_identifier(column.name)}" for column in columns)
        return (
            f"CREATE TABLE {self.table_sql(table)} ENGINE=InnoDB AS SELECT {names} FROM (SELECT 1 AS one) o "
            f"LEFT JOIN {self.table_sql(like)} d ON 1 = 0 WHERE 1 = 0"
        )

    def fence(self, name: FenceName, dest: str) -> Fence:
        """A named lock of the session, which the server holds until a transaction of a dead client has ended."""
        return Fence(
            lock=f"SELECT GET_LOCK('{name.text}', 10)",
            unlock=f"DO RELEASE_LOCK('{name.text}')",
            is_free=f"SELECT IS_FREE_LOCK('{name.text}')",
            holders=f"SELECT IS_USED_LOCK('{name.text}')",
            end="KILL {}",
            loaders=f"SELECT IS_USED_LOCK('{name.text}:load')",
            lock_load=f"SELECT GET_LOCK('{name.text}:load', 10)",
            unlock_load=f"DO RELEASE_LOCK('{name.text}:load')",
        )

    def keep_others_away_sql(self, table: str) -> tuple[list[str], list[str]]:
        """A lock of the session, which also lets it drop the table."""
        return [f"LOCK TABLES {table} WRITE"], ["UNLOCK TABLES"]

    def delete_matching_sql(self, dest: str, staging: str, key: Sequence[str]) -> str:
        """A join: DELETE with a subquery runs the subquery for each row."""
        names = ", ".join(self.quote_identifier(name) for name in key)
        return (
            f"DELETE d FROM {dest} d JOIN (SELECT DISTINCT {names} FROM {staging}) s ON {self.key_match('d', 's', key)}"
        )

    def absent_sql(self, row: str, dest: str, staging: str, key: Sequence[str]) -> str:
        """From a join that can use an index of either side: a subquery on an INSERT's own table runs for each row."""
        names = ", ".join(f"d.{self.quote_identifier(name)}" for name in key)
        matched = f"SELECT DISTINCT {names} FROM {dest} d JOIN {staging} t ON {self.key_match('d', 't', key)}"
        return f"NOT EXISTS (SELECT 1 FROM ({matched}) m WHERE {self.key_match('m', row, key)})"

    def in_table(
        self, row: str, table: str, key: Sequence[str], *, negated: bool = False, where: str | None = None
    ) -> str:
        """IN, which may begin with the smaller table; EXISTS runs for each row."""
        if negated:
            return super().in_table(row, table, key, negated=True, where=where)
        names = ", ".join(self.quote_identifier(name) for name in key)
        left = ", ".join(f"{row}.{self.quote_identifier(name)}" for name in key)
        return f"({left}) IN (SELECT {names} FROM {table}{f' WHERE {where}' if where else ''})"

    def index_key_sql(
        self, table: TableName, key: Sequence[tuple[str, str]], *, unique: bool, purpose: str = "key"
    ) -> list[str]:
        """Names are the table's own. InnoDB's indexes hold 3,072 bytes: longer keys, and large objects, have none."""
        if any(re.match(r"json|\w*(?:text|blob)\b", sql_type, re.IGNORECASE) for _, sql_type in key):
            return []
        sizes = [re.match(r"(?:var)?(char|binary)\((\d+)\)", sql_type, re.IGNORECASE) for _, sql_type in key]
        bytes_ = sum(int(size[2]) * (4 if size[1].lower() == "char" else 1) if size else 32 for size in sizes)
        if bytes_ > _MAX_INDEX_BYTES:
            return []
        names = ", ".join(self.quote_identifier(name) for name, _ in key)
        return [f"CREATE {'UNIQUE ' if unique else ''}INDEX pipekit_{purpose} ON {self.table_sql(table)} ({names})"]

    def drop_not_null_sql(self, table: TableName, column: str) -> str:
        """The type has to be said again."""
        return f"ALTER TABLE {self.table_sql(table)} MODIFY COLUMN {self.quote_identifier(column)} (its type) NULL"

    def key_type(self, sql_type: str, collation: str | None) -> str:
        """No index holds a long text whole, and joins without one compare each row with each; a longer key is refused.

        utf8mb4_bin ignores blanks at the end, which the check before the merge does not.
        """
        if not _COLLATED.match(sql_type):
            return sql_type
        sized = _KEY_TEXT if "text" in sql_type.lower() else sql_type
        return f"{sized} COLLATE {collation or _PADDED}"

    def coarse_type(self, column: Column) -> str | None:
        """Unless a type says so itself."""
        words = column.type_name.lower()
        named = re.search(r"\bcollate\s+(\w+)", words)
        if column.family != "text" or "binary" in words or (named and named[1] in _EXACT):
            return None
        return f"the collation {named[1]}" if named else "its collation"

    def coarse_columns_sql(self, table: TableName) -> str:
        """By the columns' collations."""
        exact = ", ".join(f"'{name}'" for name in sorted(_EXACT))
        return (
            "SELECT column_name, CONCAT('the collation ', collation_name) FROM information_schema.columns "
            f"WHERE table_schema = {self._database(table.schema)} AND table_name = {self.string_literal(table.name)} "
            f"AND collation_name NOT IN ({exact})"
        )

    def query_collations_sql(self, query: str, columns: Sequence[str]) -> str:
        """An outer join that never holds is planned away, so that the query's rows are not read."""
        asked = ", ".join(f"COLLATION(q.{self.quote_identifier(name)})" for name in columns)
        return f"SELECT {asked} FROM (SELECT 1 AS one) o LEFT JOIN ({query}) q ON 1 = 0"

    def is_exact_collation(self, collation: str) -> bool:
        """Binary ones, and those that are sensitive to case and accents."""
        return collation == "binary" or collation.endswith(("_bin", "_cs"))

    def key_advice(self, table: str, column: Column) -> str:
        length = column.precision if 0 < column.precision <= _MAX_KEY_TEXT else _MAX_KEY_TEXT
        return (
            f"Give it one that tells all texts apart (MySQL's is utf8mb4_0900_bin): ALTER TABLE {table} MODIFY "
            f"{self.quote_identifier(column.name)} varchar({length}) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL"
        )

    def index_staging_sql(self, staging: TableName, key: Sequence[Column]) -> list[str]:
        """A join of tables without an index compares each row with each: of the texts, their beginnings are enough."""
        parts = []
        for column in key[:_MAX_INDEXED]:
            long = column.family in _SIZED and not 0 < column.precision <= _INDEXED_LENGTH
            parts.append(self.quote_identifier(column.name) + (f"({_INDEXED_LENGTH})" if long else ""))
        return [f"CREATE INDEX pipekit_key ON {self.table_sql(staging)} ({', '.join(parts)})"]

    def exact_sql(self, column: Column, text: str) -> str:
        """The bytes, in one character set."""
        return f"CAST(CONVERT({text} USING utf8mb4) AS BINARY)"

    def exact_values_sql(self, column: Column, value: str) -> tuple[str, ...]:
        """By the bytes, whatever the collation; 0 and -0 by their texts."""
        if column.family in ("float32", "float64"):
            return (value, f"IF({value} = 0, CAST({value} AS BINARY), NULL)")
        plain = super().exact_values_sql(column, value) if column.family != "uuid" else None
        return plain or (f"CAST({value} AS BINARY)",)

    def grouped_values_sql(self, column: Column, value: str) -> tuple[str, ...]:
        """Groups see the first max_sort_length bytes only: long values are told apart by their hash."""
        exact = self.exact_values_sql(column, value)
        return tuple(f"SHA2({item}, 256)" for item in exact) if column.family in _SIZED else exact

    def distinct_sql(self, left: str, right: str) -> str:
        return f"NOT ({left} <=> {right})"

    def differs_sql(self, column: Column, left: str, right: str) -> list[str]:
        """A text is compared by its bytes as soon as one side is binary: a cast less for each row."""
        if column.family == "text":
            return [self.distinct_sql(left, f"CAST({right} AS BINARY)")]
        return super().differs_sql(column, left, right)

    def sample_sql(self, table: str, alias: str, key: Sequence[str]) -> str:
        """Chosen by a hash of the key."""
        names = ", ".join(self.quote_identifier(name) for name in key)
        return f"(SELECT * FROM {table} WHERE MOD(CRC32(CONCAT_WS(',', {names})), 1000) = 0) {alias}"

    def update_matching_sql(self, dest: str, staged: str, key: Sequence[str], others: Sequence[str]) -> str:
        sets = ", ".join(f"d.{self.quote_identifier(name)} = s.{self.quote_identifier(name)}" for name in others)
        return f"UPDATE {dest} d JOIN {staged} s ON {self.key_match('d', 's', key)} SET {sets}"

    def watermark_sql(self, greatest: str, family: str, lag: Lag, *, whole_seconds: bool = False) -> str:
        """A TIMESTAMP is read as a point in time, with an offset behind it; sessions are in UTC."""
        value = f"{greatest} - INTERVAL {lag.amount} {lag.sql_unit}" if lag.amount else greatest
        if whole_seconds and family != "date":
            return f"date_format({value}, '%Y-%m-%d %H:%i:%s')"
        return f"CAST({value} AS datetime(6))" if family == "timestamptz" else value

    def signed_sql(self, greatest: str, column: Column) -> str:
        """A negative result of an unsigned column is refused, which a destination of the same kind would have."""
        return f"CAST({greatest} AS SIGNED)" if "unsigned" in column.type_name.lower() else greatest

    def day_sql(self, days: int, form: str) -> str:
        """By date_format, whose codes are those of strftime."""
        moved = f" {'-' if days < 0 else '+'} INTERVAL {abs(days)} DAY" if days else ""
        return f"SELECT date_format(current_date{moved}, '{form}')"

    def zero_dates_sql(self, columns: Sequence[str], table: str, rows: int) -> str:
        """Zero dates come before every real one."""
        tests = ", ".join(f"max({name} < '0001-01-01')" for name in columns)
        return f"SELECT {tests} FROM (SELECT {', '.join(columns)} FROM {table} LIMIT {rows}) t"


def _folded(label: str) -> str:
    """A label of an enum as the coarsest collation compares it."""
    decomposed = unicodedata.normalize("NFKD", label.casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter)).rstrip(" ")


def _plain(text: str, limit: int) -> str:
    """Comments are kept in three-byte UTF-8: what lies beyond would be refused."""
    return "".join(
        character if ord(character) <= 0xFFFF else "\N{REPLACEMENT CHARACTER}" for character in fit_comment(text, limit)
    )
