"""PostgreSQL."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from pipekit_engine.databases.dialects.base.advice import Advice
from pipekit_engine.databases.dialects.base.capabilities import Capabilities
from pipekit_engine.databases.dialects.base.dialect import Dialect
from pipekit_engine.databases.dialects.base.identifiers import literal
from pipekit_engine.databases.dialects.base.jdbc import JdbcDriver
from pipekit_engine.databases.dialects.base.keys import Writings
from pipekit_engine.databases.dialects.base.ranges import KeyLiteral
from pipekit_engine.databases.dialects.base.types import decimal, fractional
from pipekit_engine.databases.dialects.base.ways_in import TlsSettings, WaysIn
from pipekit_engine.databases.fence import Fence, FenceName
from pipekit_engine.databases.reserved_words import words
from pipekit_engine.sql.syntax import SqlSyntax

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipekit_engine.common.columns import Column
    from pipekit_engine.databases.dialects.base.watermarks import Lag
    from pipekit_engine.databases.names import TableName
    from pipekit_engine.sql.one_table import OneTable

#: Types whose name alone says all, in a description by the driver.
_NATIVE = frozenset(
    [
        "bool",
        "int2",
        "int4",
        "int8",
        "float4",
        "float8",
        "text",
        "bytea",
        "date",
        "uuid",
        "json",
        "jsonb",
        "xml",
        "inet",
        "cidr",
        "macaddr",
        "macaddr8",
        "money",
        "oid",
        "tsvector",
        "point",
        "line",
        "lseg",
        "box",
        "path",
        "polygon",
        "circle",
        "varchar",
        "bpchar",
        "name",
        "time",
        "timetz",
        "timestamp",
        "timestamptz",
        "numeric",
        "interval",
        "varbit",
        "int4range",
        "int8range",
        "numrange",
        "daterange",
        "tsrange",
        "tstzrange",
        "tsquery",
    ]
)

#: Types of a precision that their family tells.
_MEASURED = frozenset({"time", "timetz", "timestamp", "timestamptz", "numeric", "interval"})
#: Types that a btree index does not take.
_UNORDERED = frozenset({"json", "xml", "point", "line", "lseg", "box", "path", "polygon", "circle"})

#: Codes of strftime as to_char writes them.
_TO_CHAR = {"%Y": "YYYY", "%m": "MM", "%d": "DD", "%y": "YY", "%j": "DDD"}


#: Types of which equal values are identical. Others, such as citext, interval, jsonb or arrays, are compared by their texts.
_EXACT = frozenset(
    {"bool", "int2", "int4", "int8", "oid", "serial", "bigserial", "smallserial", "money", "uuid", "bytea", "date", "time",
     "timetz", "timestamp", "timestamptz", "inet", "cidr", "macaddr", "macaddr8", "bit", "varbit"}
)  # fmt: skip
#: Types that hold numbers with any count of zeros at their end, and java.sql.Types.STRUCT, a row of any types.
_HOLD_NUMBERS = frozenset({"jsonb", "numrange", "nummultirange"})
_STRUCT = 2002
#: A type's binary form tells apart what = does not: 0.0 and -0.0, blanks at the end of a char without a length.
_SEND = {"float4": "float4send", "float8": "float8send", "bpchar": "bpcharsend"}


class PostgreSQL(Dialect):
    """PostgreSQL 10 and newer. DDL is transactional: a new destination appears together with its rows."""

    kind = "postgresql"
    label = "PostgreSQL"
    drivers = (
        JdbcDriver(
            class_name="org.postgresql.Driver",
            told_as="PostgreSQL JDBC",
            url="jdbc:postgresql://HOST:5432/DATABASE",
            files=("postgresql.jar", "postgresql-[0-9]*.jar"),
            group="org.postgresql",
            artifact="postgresql",
            version="42.7.13",
            sha256="6e0e4cc2d8cae902084f8a2b18728b073a6fd9d1f87c9d8bff8f298c18185b93",
            licence="BSD-2-Clause",
            older="not known to matter: 42.2.5 and 42.2.29 hold every type; before 42.2 there is no SCRAM",
            debian="libpostgresql-jdbc-java",
            debian_jar="postgresql.jar",
        ),
    )
    clients = ("psql",)
    certified_here = True
    server_facts: ClassVar = {
        "collation": "SELECT datcollate FROM pg_database WHERE datname = current_database()",
        "encoding": "SHOW server_encoding",
        "isolation": "SHOW transaction_isolation",
    }
    own_columns: ClassVar = {"timestamp(0)": "timestamp", "time(0)": "time"}
    ways_in: ClassVar = {
        "org.postgresql.Driver": WaysIn(
            (
                TlsSettings(
                    {mode: {"sslmode": mode} for mode in ("disable", "prefer", "require", "verify-ca", "verify-full")},
                    ca={"sslrootcert": "ca-pem"},
                    key={"sslkey": "key-store", "sslpassword": "key-password"},
                ),
            ),
            socket_factory="socketFactory",
            verified="PostgreSQL 15, drivers 42.7 and 42.5",
        )
    }
    risky_settings = words(
        """
        socketfactory socketfactoryarg sslfactory sslfactoryarg sslhostnameverifier sslpasswordcallback
        authenticationpluginclassname xmlfactoryfactory loggerfile loggerlevel
        inifile plugin_name pluginname
        """
    )
    indexes_created_tables = True
    finer_families = frozenset({"timetz"})  # 12:00+00 and 14:00+02 are two
    capabilities = Capabilities(
        compares_rows=True,
        syntax=SqlSyntax(
            parser="postgres",
            unquoted_case="lower",
            escape_strings=True,
            dollar_strings=True,
            nested_comments=True,
            name_characters="$",
            recursive_keyword=True,
        ),
        max_identifier_length=63,
        identifier_unit="bytes",
        transactional_ddl=True,
        transactional_truncate=True,
        long_key_message=r"index row (?:size|requires)",
        missing_table_states=frozenset({"42P01", "3F000"}),
        full_join=True,
        rolled_back_states=frozenset({"40001", "40P01", "55P03"}),
        instants="utc",
        max_comment_length=1_000_000,
        loads_directly=True,
        bulk_path="COPY",
    )
    home_schema_sql = "SELECT current_schema()"
    system_schemas = ("information_schema", "pg_*")
    usual_schemas = frozenset({"public"})
    free_schemas = True
    reserved = words("concurrently")
    zoned_literal = "'{}+00'"
    clocks = ("localtimestamp", "now() AT TIME ZONE 'UTC'")
    types: ClassVar = {
        "boolean": "boolean",
        "int16": "smallint",
        "int32": "integer",
        "int64": "bigint",
        "decimal": decimal("numeric({precision},{scale})", max_precision=1000, unconstrained="numeric"),
        "float32": "real",
        "float64": "double precision",
        "text": "text",
        "binary": "bytea",
        "date": "date",
        "time": fractional("time({precision})", max_digits=6),
        "timetz": fractional("timetz({precision})", max_digits=6),
        "timestamp": fractional("timestamp({precision})", max_digits=6),
        "timestamptz": fractional("timestamptz({precision})", max_digits=6),
        "uuid": "uuid",
        "json": "json",  # jsonb would drop blanks, key order and repeated keys
        "xml": "xml",
        "interval": "interval",
    }

    def native_type(self, column: Column) -> str | None:
        """A built-in type, or an array of one, by the name that the driver gives."""
        name = column.type_name
        element = name.removeprefix("_")
        if element not in _NATIVE:
            return "varbit" if name == "bit" else None  # of a length that is not told
        if name != element:
            return f"{element}[]"
        if name in ("varchar", "bpchar") and column.precision > 0:
            return f"{'char' if name == 'bpchar' else name}({column.precision})"
        # The others of a precision are mapped by their family, which tells it.
        return None if name in _MEASURED else name

    def exact_types_sql(self, table: TableName) -> str:
        """Lengths of bit strings, which the driver does not tell."""
        return (
            "SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod) FROM pg_catalog.pg_attribute a "
            f"WHERE a.attrelid = to_regclass({self.string_literal(self.table_sql(table))}) AND a.attnum > 0 "
            "AND NOT a.attisdropped AND a.atttypid IN ('bit'::regtype, 'varbit'::regtype)"
        )

    def type_to_ask_for(self, column: Column) -> str | None:
        """Enums, types of extensions such as citext and hstore, and arrays of them."""
        if self.native_type(column) is not None or column.family not in ("text", "other", "array"):
            return None
        schema, name = None, column.type_name
        quoted = re.fullmatch(r'"((?:[^"]|"")+)"\."((?:[^"]|"")+)"', name)
        if quoted:
            schema, name = (part.replace('""', '"') for part in quoted.groups())
        is_array = column.family == "array" and name.startswith("_")
        name = self.quote_identifier(name[1:] if is_array else name)
        return (f"{self.quote_identifier(schema)}." if schema else "") + name + ("[]" if is_array else "")

    def known_types_sql(self, names: Sequence[str]) -> str:
        """Composite types are left out: one of the same name need not have the same parts."""
        given = ", ".join(f"({self.string_literal(name)})" for name in names)
        return (
            f"SELECT v.name FROM (VALUES {given}) v (name) JOIN pg_catalog.pg_type t ON t.oid = to_regtype(v.name) "
            "WHERE t.typtype IN ('b', 'e', 'r', 'm')"
        )

    def string_literal(self, text: str) -> str:
        """With a backslash in it an E'' literal: it means the same whatever standard_conforming_strings says."""
        plain = super().string_literal(text)
        return "E" + plain.replace("\\", "\\\\") if "\\" in text else plain

    def tables_sql(self, schema: str | None, database: str | None, table: str | None = None) -> str:
        """Tables, partitioned and foreign ones, and views; the driver takes a partitioned index for a table."""
        where = "c.relkind IN ('r', 'p', 'f', 'v', 'm')"
        if schema is not None:
            where += f" AND n.nspname = {self.string_literal(schema)}"
        elif table is not None:
            where += " AND pg_catalog.pg_table_is_visible(c.oid)"
        else:
            where += " AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'"
        if table is not None:
            where += f" AND c.relname = {self.string_literal(table)}"
        return (
            "SELECT n.nspname, c.relname, CASE WHEN c.relkind IN ('v', 'm') THEN 'view' "
            "WHEN c.relispartition THEN 'partition' ELSE 'table' END, "
            "pg_catalog.obj_description(c.oid, 'pg_class') FROM pg_catalog.pg_class c "
            f"JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE {where}"
        )

    def column_notes_sql(self, table: TableName) -> str:
        """Comments, identity and serial columns; a name without schema is looked for as in any statement."""
        name = self.string_literal(self.table_sql(table))
        return (
            "SELECT a.attname, pg_catalog.col_description(a.attrelid, a.attnum), CASE WHEN a.attidentity <> '' "
            "OR pg_catalog.pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%' THEN '1' ELSE '0' END "
            "FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
            f"WHERE a.attrelid = to_regclass({name}) AND a.attnum > 0 AND NOT a.attisdropped"
        )

    def schema_exists_sql(self, schema: str) -> str:
        """Asks the catalogue: `CREATE SCHEMA IF NOT EXISTS` needs the right to create even when there is nothing to do."""
        return f"SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = {literal(schema)}"

    def identity_sql(self, table: TableName) -> str:
        """From the catalogue."""
        relation = literal(self.table_sql(table))
        return f"SELECT attname FROM pg_attribute WHERE attrelid = to_regclass({relation}) AND attidentity = 'a'"

    def indexes_sql(self, table: TableName) -> str:
        """The driver's own questions take twenty times as long. Columns behind INCLUDE are no part of a key.

        An index that is not valid, such as one whose building was ended, is not used.
        """
        keys = "COALESCE((to_jsonb(i)->>'indnkeyatts')::int, i.indnatts::int)"  # there since version 11
        return (
            "SELECT c.relname::text, CASE WHEN i.indisprimary THEN '1' END, CASE WHEN i.indisunique THEN '1' END, "
            "CASE WHEN i.indpred IS NOT NULL THEN '1' END, a.attname::text FROM pg_catalog.pg_index i "
            "JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid "
            f"CROSS JOIN LATERAL generate_series(0, {keys} - 1) k (place) "
            "LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k.place] "
            f"WHERE i.indisvalid AND i.indrelid = to_regclass({literal(self.table_sql(table))}) ORDER BY c.relname, k.place"
        )

    def together_sql(self, queries: Sequence[str]) -> str:
        """By json_agg."""
        return "SELECT " + ", ".join(f"(SELECT json_agg(q) FROM ({sql}) q)::text" for sql in queries)

    def cascades_sql(self, table: TableName) -> str:
        """CASCADE, SET NULL and SET DEFAULT."""
        return (
            "SELECT conrelid::pg_catalog.regclass::text FROM pg_catalog.pg_constraint WHERE contype = 'f' "
            f"AND confrelid = to_regclass({literal(self.table_sql(table))}) AND confdeltype IN ('c', 'n', 'd')"
        )

    def triggers_sql(self, table: TableName) -> str:
        """By the bits of their events: 4 is INSERT, 16 UPDATE. Those of partitions, too."""
        there = f"to_regclass({literal(self.table_sql(table))})"
        return (
            "SELECT tgname FROM pg_catalog.pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D' AND tgtype & 20 <> 0 "
            f"AND (tgrelid = {there} OR tgrelid IN (SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = {there})) "
            f"UNION SELECT rulename FROM pg_catalog.pg_rewrite WHERE ev_class = {there} AND ev_type IN ('2', '3')"
        )

    def is_view_sql(self, table: TableName) -> str:
        """Materialized views are views here, too."""
        name = literal(self.table_sql(table))
        return f"SELECT 1 FROM pg_catalog.pg_class WHERE oid = to_regclass({name}) AND relkind IN ('v', 'm')"

    def no_bulk_load_sql(self, table: TableName) -> str:
        """COPY knows no row-level security, and a foreign table's rows are in another server's transaction."""
        there = f"oid = to_regclass({literal(self.table_sql(table))})"
        return (
            "SELECT CASE WHEN relkind IN ('r', 'p') THEN 'the destination has row-level security' ELSE 'the destination is a "
            f"foreign table' END FROM pg_catalog.pg_class WHERE {there} "
            "AND (relkind NOT IN ('r', 'p') OR row_security_active(oid))"
        )

    def create_table_sql(self, table: TableName, columns: Sequence[tuple[str, str]], *, staging: bool = False) -> str:
        """A staging table is UNLOGGED: it need not survive a crash, and skips the write-ahead log."""
        sql = super().create_table_sql(table, columns)
        return sql.replace("CREATE TABLE", "CREATE UNLOGGED TABLE", 1) if staging else sql

    def index_key_sql(
        self, table: TableName, key: Sequence[tuple[str, str]], *, unique: bool, purpose: str = "key"
    ) -> list[str]:
        """Named by the server. Types without an order, such as json and xml, have no index."""
        if any(sql_type in _UNORDERED for _, sql_type in key):
            return []
        names = ", ".join(self.quote_identifier(name) for name, _ in key)
        return [f"CREATE {'UNIQUE ' if unique else ''}INDEX ON {self.table_sql(table)} ({names})"]

    def create_like_sql(self, table: TableName, like: TableName, columns: Sequence[Column]) -> str:
        """Unlogged, as `create_table_sql`."""
        return super().create_like_sql(table, like, columns).replace("CREATE TABLE", "CREATE UNLOGGED TABLE", 1)

    def join_in_order_sql(self, table: str, key: str) -> tuple[list[str], list[str]] | None:
        """A hash join of millions of rows goes through temporary files; measured at 3 M rows, it takes 1.3 to 1.7 times as long.

        Where the rows do not lie in the key's order, the other way takes 2.2 times as long.
        """
        off = (
            "SELECT set_config('enable_hashjoin', 'off', true) FROM pg_stats s JOIN pg_namespace n ON n.nspname = s.schemaname "
            "JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = s.tablename "
            f"WHERE c.oid = {literal(table)}::regclass AND s.attname = {literal(key)} AND abs(s.correlation) > 0.9"
        )
        return [off], ["SET LOCAL enable_hashjoin TO DEFAULT"]

    def keep_table_sql(self, table: TableName) -> list[str]:
        """Logged, which costs nothing while it is empty."""
        return [f"ALTER TABLE {self.table_sql(table)} SET LOGGED"]

    def coarse_type(self, column: Column) -> str | None:
        """By the type's name; a collation is not in a description."""
        name = column.type_name.lower()
        return f"the type {name}" if name == "citext" else None

    def coarse_columns_sql(self, table: TableName) -> str:
        """citext, domains over it, and collations that are not deterministic, which there are since version 12."""
        name = self.string_literal(self.table_sql(table))
        return (
            "WITH RECURSIVE base (of, oid, typname) AS (SELECT oid, oid, typname FROM pg_catalog.pg_type "
            "WHERE typname = 'citext' "
            "UNION ALL SELECT d.oid, base.oid, base.typname FROM base JOIN pg_catalog.pg_type d ON d.typbasetype = base.of) "
            "SELECT a.attname, CASE WHEN t.typname = 'citext' THEN 'the type citext' ELSE 'the collation ' || c.collname END "
            "FROM pg_catalog.pg_attribute a LEFT JOIN base t ON t.of = a.atttypid "
            "LEFT JOIN pg_catalog.pg_collation c ON c.oid = a.attcollation "
            f"WHERE a.attrelid = to_regclass({name}) AND a.attnum > 0 AND NOT a.attisdropped "
            "AND (t.typname = 'citext' OR to_jsonb(c)->>'collisdeterministic' = 'false')"
        )

    def ignores_case(self, column: Column) -> bool:
        """citext does."""
        return column.type_name.lower() == "citext"

    def exact_sql(self, column: Column, text: str) -> str:
        return f'CAST({text} AS text) COLLATE "C"'

    advices = (
        Advice(
            "The enum of that column has no such label: add it (ALTER TYPE ... ADD VALUE '...'), write another one in the query "
            "(CASE), or make the column a text.",
            pattern="invalid input value for enum",
        ),
    )
    incomparable_types = re.compile("(?:json|xml|point|line|polygon)$", re.I)

    def key_writings(self, column: Column) -> Writings:
        """1 mon equals 30 days, and 1.0 equals 1.00 within other values; times with a zone are equal if their zones are."""
        loose = column.family == "interval" or column.type_name.lower() in _HOLD_NUMBERS or column.jdbc_type == _STRUCT
        return "many" if loose else super().key_writings(column)

    def key_advice(self, table: str, column: Column) -> str:
        return (
            f"To compare exactly: ALTER TABLE {table} ALTER COLUMN {self.quote_identifier(column.name)} "
            'TYPE text COLLATE "default"'
        )

    def lock_table_sql(self, dest: str) -> list[str]:
        """Without it two merges into one table could both delete the old rows and both insert: read committed sees neither's."""
        return [f"LOCK TABLE {dest} IN SHARE ROW EXCLUSIVE MODE"]

    def exact_values_sql(self, column: Column, value: str) -> tuple[str, ...]:
        """Texts by their bytes: a column's collation may be nondeterministic, which the driver does not tell."""
        name = column.type_name.lower()
        if name in _EXACT or (name == "numeric" and column.precision > 0):
            return (value,)
        if name in _SEND:
            return (f"{_SEND[name]}({value})",)
        return (f'{value} COLLATE "C"' if name in ("text", "varchar") else f'CAST({value} AS text) COLLATE "C"',)

    row_place = "ctid"
    #: A range has so many blocks of 8 kB.
    blocks_per_range: ClassVar[int] = 512

    def place_literal(self) -> KeyLiteral:
        """Block and row, from 1."""
        return KeyLiteral("'{}'::tid", r"(\([0-9]{1,10},[0-9]{1,5}\))")

    def place_bound_sql(self, query: OneTable, after: str | None, rows: int) -> str:
        """By the table's size: no row is read. No row is kept at 0 of a block."""
        first = f"({after}::text::point)[0]::bigint" if after else "0"
        table = self._regclass(query.table)
        size = (
            f"SELECT greatest(pg_relation_size({table}), max(pg_relation_size(relid))) FROM pg_partition_tree({table})"
        )
        return (
            f"SELECT '(' || b || ',0)' FROM (SELECT {first} + {self.blocks_per_range}) AS n (b) "
            f"WHERE b * current_setting('block_size')::bigint < ({size})"
        )

    def place_obstacle_sql(self, table: str) -> str:
        """Tables of PostgreSQL's own, also of several partitions, from the version on that seeks ranges of blocks."""
        others = (
            "SELECT 1 FROM pg_class k LEFT JOIN pg_am a ON a.oid = k.relam "
            "WHERE (k.oid = c.oid OR k.oid IN (SELECT relid FROM pg_partition_tree(c.oid))) "
            "AND (k.relkind NOT IN ('r', 'p', 'm') OR (k.relkind <> 'p' AND a.amname <> 'heap'))"
        )
        return (
            "SELECT CASE WHEN current_setting('server_version_num')::int < 140000 "
            "THEN 'PostgreSQL seeks ranges of it from version 14 on' "
            f"WHEN c.oid IS NULL THEN 'the table is not found' WHEN EXISTS ({others}) THEN 'it is no table of PostgreSQL''s own' "
            "WHEN c.relkind <> 'p' AND EXISTS (SELECT 1 FROM pg_inherits WHERE inhparent = c.oid) "
            "THEN 'other tables inherit from the table' END "
            f"FROM (SELECT {self._regclass(table)} AS oid) t LEFT JOIN pg_class c ON c.oid = t.oid"
        )

    def _regclass(self, table: str) -> str:
        return f"to_regclass({self.string_literal(table)})"

    def sample_sql(self, table: str, alias: str, key: Sequence[str]) -> str:
        """Some of its blocks, the same ones each time: a few even of a table that is sampled at all."""
        return f"{table} {alias} TABLESAMPLE SYSTEM (0.5) REPEATABLE (1)"

    def fence(self, name: FenceName, dest: str) -> Fence:
        """An advisory lock of the merge's transaction, which a pooler between us and the server keeps, too."""
        high, low = divmod(name.number % (1 << 64), 1 << 32)
        return Fence(
            enter=(f"SELECT pg_advisory_xact_lock({name.number})",),
            is_free=f"SELECT pg_try_advisory_xact_lock({name.number})",
            holders=(
                "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 "
                f"AND classid = {high} AND objid = {low} "
                "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            ),
            end="SELECT pg_terminate_backend({})",
            loaders=(
                "SELECT DISTINCT l.pid FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid "
                "WHERE a.usename = current_user AND a.application_name LIKE 'pipekit %' AND l.pid <> pg_backend_pid() "
                "AND l.locktype = 'relation' AND l.granted "
                "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
                f"AND l.relation = to_regclass({literal(name.staging)})"
            ),
        )

    def update_matching_sql(self, dest: str, staged: str, key: Sequence[str], others: Sequence[str]) -> str:
        """UPDATE ... FROM: MERGE came with version 15 only."""
        sets = ", ".join(f"{self.quote_identifier(name)} = s.{self.quote_identifier(name)}" for name in others)
        return f"UPDATE {dest} d SET {sets} FROM {staged} s WHERE {self.key_match('d', 's', key)}"

    def watermark_sql(self, greatest: str, family: str, lag: Lag, *, whole_seconds: bool = False) -> str:
        """Dates take a number of days; times with a zone are given in UTC."""
        if family == "date":
            return f"{greatest} - {lag.amount}" if lag.amount else greatest
        value = f"{greatest} - interval '{lag.words}'" if lag.amount else greatest
        if family != "timestamptz":
            return value
        return f"({value}) AT TIME ZONE 'UTC'" if lag.amount else f"{value} AT TIME ZONE 'UTC'"

    def day_sql(self, days: int, form: str) -> str:
        moved = f" {'-' if days < 0 else '+'} {abs(days)}" if days else ""
        for code, letters in _TO_CHAR.items():
            form = form.replace(code, letters)
        return f"SELECT to_char(current_date{moved}, '{form}')"

    def analyze_sql(self, table: str) -> str:
        """For the planner, which autovacuum tells only later."""
        return f"ANALYZE {table}"
