"""The base of all database kinds: names, types, and the SQL that staging and merging need.

A kind reads as data first (capabilities, type table), code second (the few statements that it spells differently).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pipekit_engine.databases import defaults, introspection, spelling, type_mapping
from pipekit_engine.databases.dialects.capabilities import Capabilities
from pipekit_engine.databases.introspection import BrowseField, Catalog, ColumnInfo, Key, TableInfo
from pipekit_engine.databases.names import TableName, split_name
from pipekit_engine.databases.remarks import TableRemarks, fit_comment
from pipekit_engine.databases.type_mapping import MappedType, TypeRule
from pipekit_engine.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pipekit_engine.common.columns import Column


#: A name that needs no quotes in any database.
_REGULAR = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class JdbcDefaults:
    """What is known of a kind's driver: class, jar file names (patterns), how a URL looks."""

    class_name: str | None
    jars: tuple[str, ...]
    url_template: str


class Dialect:
    """One kind of database. Stateless; `get_dialect(kind)` gives the instance."""

    kind: ClassVar[str]
    label: ClassVar[str]
    jdbc: ClassVar[JdbcDefaults]
    capabilities: ClassVar[Capabilities] = Capabilities()
    #: Levels by which a person finds a table, outermost first.
    browse_fields: ClassVar[tuple[BrowseField, ...]] = (BrowseField("schema", "schema"),)
    #: Schemas of the database itself, as shell patterns; they are not browsed.
    system_schemas: ClassVar[tuple[str, ...]] = ("INFORMATION_SCHEMA", "information_schema")
    #: Asks which schema a name without one is in; None where it need not be known.
    home_schema_sql: ClassVar[str | None] = None
    #: Asks for the file of the open database, where staging tables live in a file beside it; None where they live in a schema.
    open_file_sql: ClassVar[str | None] = None
    #: Words in lower case that this kind reserves beside the common ones of `spelling.RESERVED`.
    reserved: ClassVar[frozenset[str]] = frozenset()
    #: The type of each family; one without an entry gets that of text.
    types: ClassVar[Mapping[str, TypeRule]] = {}
    #: A column's declared type binds the values in it.
    binding_types: ClassVar[bool] = True
    #: The driver's metadata gives a text default without its quotes.
    raw_defaults: ClassVar[bool] = False
    #: How literals are written as column defaults: false and true, a date, a timestamp, today.
    boolean_literals: ClassVar[tuple[str, str]] = ("FALSE", "TRUE")
    date_literal: ClassVar[str] = "DATE '{}'"
    timestamp_literal: ClassVar[str] = "TIMESTAMP '{}'"
    today_sql: ClassVar[str] = "CURRENT_DATE"

    def database_file(self, url: str) -> str | None:
        """The file that a JDBC URL names and that the driver would make if it is missing; None for anything else."""
        return None

    # Names

    def quote_identifier(self, name: str) -> str:
        """The identifier, quoted, its closing quote doubled. Raises ConfigurationError for one that cannot be quoted."""
        if not name or "\0" in name:
            raise ConfigurationError(
                f"{name!r} cannot be a name in {self.label}: it is empty or holds a NUL character."
            )
        opening, closing = self.capabilities.quote
        return opening + name.replace(closing, closing * 2) + closing

    def column_list(self, columns: Sequence[Column]) -> str:
        """The columns' names, quoted, with commas between."""
        return ", ".join(self.quote_identifier(column.name) for column in columns)

    def check_identifier(self, name: str) -> None:
        """Raise ConfigurationError for a name that the database would cut or refuse."""
        unit = self.capabilities.identifier_unit
        length = len(name.encode()) if unit == "bytes" else len(name)
        if length > self.capabilities.max_identifier_length:
            raise ConfigurationError(
                f"{name!r} is {length} {unit} long; {self.label} allows {self.capabilities.max_identifier_length}. "
                "Give it a shorter name (a column: `columns` with a dest_name)."
            )

    def fold(self, name: str) -> str:
        """The name that an unquoted identifier stands for."""
        return self.capabilities.syntax.fold(name)

    def table_name(self, text: str) -> TableName:
        """Read `schema.table` as the database would in SQL: unquoted parts are folded, quoted ones exact.

        Raises ConfigurationError for a name that is malformed or too long.
        """
        parts = [part.text if part.quoted else self.fold(part.text) for part in split_name(text)]
        for part in parts:
            self.check_identifier(part)
        padded = [None] * (3 - len(parts)) + parts
        return TableName(name=parts[-1], schema=padded[1], catalog=padded[0])

    def table_sql(self, table: TableName) -> str:
        """The table's name, each part quoted."""
        return ".".join(self.quote_identifier(part) for part in table.parts)

    def column_name_from(self, source: Dialect, name: str) -> str:
        """Name that a source column gets in a new table here.

        A name in the source's own default case becomes one in the default case here (ORDER_ID of Oracle is order_id in
        PostgreSQL), so that nobody has to quote it; any other spelling is kept exactly.
        """
        regular = _REGULAR.fullmatch(name) is not None
        if regular and source.capabilities.syntax.unquoted_case == "upper" and name == name.upper():
            return self.fold(name.lower())
        if regular and self.capabilities.syntax.unquoted_case == "upper" and name == name.lower():
            return self.fold(name)
        return name

    def identifier(self, name: str) -> str:
        """The name as a person would write it in SQL: quoted only where the database would read another name."""
        return spelling.plain_name(self, name)

    def source_name(self, table: TableInfo | TableName) -> str:
        """A table's qualified name for a query or a `dest_table`, quoted only where needed."""
        parts = table.table_name.parts if isinstance(table, TableInfo) else table.parts
        return ".".join(self.identifier(part) for part in parts)

    def select_sql(self, table: TableInfo | TableName, columns: Iterable[Column | ColumnInfo | str] = ()) -> str:
        """A query for a module: the named columns of a table, or all of them."""
        names = [item if isinstance(item, str) else item.name for item in columns]
        listed = ", ".join(self.identifier(name) for name in names) or "*"
        return f"SELECT {listed} FROM {self.source_name(table)}"

    def dest_name(self, name: str, *, schema: str | None = None, source: Dialect | None = None) -> str:
        """A `dest_table` text for a table of this name here; `schema` is a schema of this database.

        With the `source` it came from, the name is put into this database's default case (`ORDERS` of Oracle is `orders` in
        PostgreSQL); `table_name` reads the text back as the same name.
        """
        own = self.column_name_from(source, name) if source is not None else name
        return self.source_name(TableName(own, schema))

    # Looking around

    def list_databases(self, catalog: Catalog) -> list[str]:
        """Databases that the connection can read, where `browse_fields` has a `database`; else none."""
        return introspection.list_databases(self, catalog)

    def list_schemas(self, catalog: Catalog, database: str | None = None) -> list[str]:
        """Schemas, the system's own left out. `database` None: the connection's own."""
        return introspection.list_schemas(self, catalog, database)

    def list_tables(self, catalog: Catalog, schema: str | None = None, database: str | None = None) -> list[TableInfo]:
        """Tables and views with their remarks; `schema` None: of all schemas but the system's."""
        return introspection.list_tables(self, catalog, schema, database)

    def get_columns(self, catalog: Catalog, table: TableInfo | TableName) -> list[ColumnInfo]:
        """Columns of a table or view in its order, with defaults, remarks and their place in the primary key."""
        return introspection.get_columns(self, catalog, table)

    def get_keys(self, catalog: Catalog, table: TableInfo | TableName) -> list[Key]:
        """The primary key first, then the unique ones."""
        return introspection.get_keys(self, catalog, table)

    def get_remarks(self, catalog: Catalog, table: TableName) -> TableRemarks:
        """The remarks on a table or view and on its columns."""
        return introspection.read_remarks(self, catalog, table)

    def databases_sql(self) -> str | None:
        """A query for the names of databases that can be read beside the connection's own."""
        return None

    def schemas_sql(self, database: str | None) -> str | None:
        """A query for schema names, where JDBC's metadata falls short."""
        return None

    def tables_sql(self, schema: str | None, database: str | None, table: str | None = None) -> str | None:
        """A query for (schema, table, `table` or `view`, remarks), where JDBC's metadata falls short.

        For one `table` when it is given, in the connection's own schema when none is.
        """
        return None

    def column_notes_sql(self, table: TableName) -> str | None:
        """A query for (column, remarks, `1` for an identity column), where JDBC's metadata falls short."""
        return None

    def tidy_remark(self, text: str) -> str:
        """A remark as a person would want to read it."""
        return text

    def refine_columns(self, columns: list[ColumnInfo]) -> list[ColumnInfo]:
        """What this kind knows better about a table's columns, all of them seen together."""
        return columns

    # Types

    def map_type(self, column: Column, source: Dialect) -> MappedType:
        """Type in this database for a described source column; the warning says what the mapping loses."""
        if source.kind == self.kind:
            native = self.native_type(column)
            if native is not None:
                return MappedType(native)
        return type_mapping.apply_rules(self, column, source)

    def narrowing(self, there: Column, column: Column, source: Dialect) -> str | None:
        """What an existing column `there` of this database may refuse of a source column; None where nothing is known."""
        return type_mapping.narrowing(there, column, source)

    def is_kin(self, other: Dialect) -> bool:
        """Whether what the other kind holds is held here in the very same types."""
        return isinstance(other, type(self)) or isinstance(self, type(other))

    def native_type(self, column: Column) -> str | None:
        """The very type of a column of the same kind, when its description gives it in full; None to map by family."""
        return None

    def default_expression(
        self, text: str | None, source: Dialect | None = None, column: Column | None = None
    ) -> str | None:
        """A column default as SQL for DEFAULT here.

        `text` is the default as the `source` shows it, `column` the described source column. Numbers, texts, booleans, dates
        and the current time are carried over; None for everything else (sequences, functions): it is not to be guessed.
        """
        default = defaults.read_default(text, source, column)
        return None if default is None else defaults.write_default(default, self, column)

    def now_sql(self, digits: int) -> str:
        """The current time as the default of a timestamp with this many fractional digits."""
        return "CURRENT_TIMESTAMP"

    def string_literal(self, text: str) -> str:
        """A string literal that holds exactly this text, whatever stands in it."""
        return literal(text)

    # Comments

    def comment_sql(self, table: TableName, remarks: TableRemarks, columns: Sequence[tuple[str, str]]) -> list[str]:
        """Statements that put remarks on a new table and its (name, type) columns; none where there are no comments.

        Remarks are cut to what the database holds.
        """
        if not self.capabilities.max_comment_length:
            return []
        statements = []
        if remarks.table:
            statements.append(f"COMMENT ON TABLE {self.table_sql(table)} IS {self._comment(remarks.table)}")
        for name, _ in columns:
            if remarks.columns.get(name):
                column = f"{self.table_sql(table)}.{self.quote_identifier(name)}"
                statements.append(f"COMMENT ON COLUMN {column} IS {self._comment(remarks.columns[name])}")
        return statements

    def _comment(self, text: str) -> str:
        known = self.capabilities
        return self.string_literal(fit_comment(text, known.max_comment_length, bytes_=known.comment_unit == "bytes"))

    # Staging

    def schema_exists_sql(self, schema: str) -> str | None:
        """A query that gives a row when the schema exists; None when schemas are not created here."""
        return f"SELECT 1 FROM information_schema.schemata WHERE schema_name = {literal(schema)}"

    def create_schema_sql(self, schema: str) -> str:
        """Makes a schema."""
        return f"CREATE SCHEMA {self.quote_identifier(schema)}"

    def is_view_sql(self, table: TableName) -> str | None:
        """A query that gives a row when the name is a view's; None where that cannot be asked."""
        return None

    def no_transactions_sql(self, table: TableName) -> str | None:
        """A query that gives a row when the table's changes cannot be rolled back, naming why; None where all can."""
        return None

    def drop_table_sql(self, table: TableName) -> str:
        """Drops a table, if it exists where the database can say so."""
        exists = "IF EXISTS " if self.capabilities.drop_if_exists else ""
        return f"DROP TABLE {exists}{self.table_sql(table)}"

    def create_table_sql(self, table: TableName, columns: Sequence[tuple[str, str]], *, staging: bool = False) -> str:
        """Makes a table of (name, type) columns."""
        body = ", ".join(f"{self.quote_identifier(name)} {sql_type}" for name, sql_type in columns)
        return f"CREATE TABLE {self.table_sql(table)} ({body})"

    def create_like_sql(self, table: TableName, like: TableName, columns: Sequence[Column]) -> str:
        """Makes an empty table with some columns of an existing one, in their exact types."""
        names = self.column_list(columns)
        return f"CREATE TABLE {self.table_sql(table)} AS SELECT {names} FROM {self.table_sql(like)} WITH NO DATA"

    def add_column_sql(self, table: TableName, name: str, sql_type: str) -> str:
        """Adds a column to a table."""
        return f"ALTER TABLE {self.table_sql(table)} ADD COLUMN {self.quote_identifier(name)} {sql_type}"

    def attach_sql(self, file: str, schema: str) -> tuple[list[str], list[str]]:
        """Statements that attach a staging file under a schema name, and that take it off. For SQLite only."""
        raise ConfigurationError(f"{self.label} has no attached files.")

    # Merging

    def lock_table_sql(self, dest: str) -> list[str]:
        """Statements that keep other writers of the table away until the merge commits, and let readers read."""
        return []

    def keep_others_away_sql(self, table: str) -> tuple[list[str], list[str]]:
        """Statements that lock a table against writers, outlasting DDL, and that end it. None where there is no such lock."""
        return [], []

    def delete_matching_sql(self, dest: str, staging: str, key: Sequence[str]) -> str:
        """Deletes the rows of `dest` whose key stands in `staging`. Names are SQL text, the key is unquoted."""
        names = [self.quote_identifier(name) for name in key]
        if self.capabilities.row_values and len(names) > 1:
            listed = ", ".join(names)
            return f"DELETE FROM {dest} WHERE ({listed}) IN (SELECT {listed} FROM {staging})"
        if len(names) == 1:
            return f"DELETE FROM {dest} WHERE {names[0]} IN (SELECT {names[0]} FROM {staging})"
        matches = " AND ".join(f"s.{name} = {dest}.{name}" for name in names)
        return f"DELETE FROM {dest} WHERE EXISTS (SELECT 1 FROM {staging} s WHERE {matches})"

    def update_matching_sql(self, dest: str, staged: str, key: Sequence[str], others: Sequence[str]) -> str:
        """Updates rows of `dest` from those of `staged` (a table or subquery in SQL text) with the same key.

        The default is standard MERGE; kinds without it spell it their own way.
        """
        matches = self.key_match("d", "s", key)
        sets = ", ".join(f"{self.quote_identifier(name)} = s.{self.quote_identifier(name)}" for name in others)
        return f"MERGE INTO {dest} d USING {staged} s ON ({matches}) WHEN MATCHED THEN UPDATE SET {sets}"

    def in_table(self, row: str, table: str, key: Sequence[str], *, negated: bool = False) -> str:
        """Condition that the key of `row` (an alias) stands in `table`, or that it does not."""
        word = "NOT " if negated else ""
        if self.capabilities.matches_by == "exists":
            return f"{word}EXISTS (SELECT 1 FROM {table} m WHERE {self.key_match('m', row, key)})"
        names = [self.quote_identifier(name) for name in key]
        left = ", ".join(f"{row}.{name}" for name in names)
        # A NULL in the subquery would make NOT IN unknown for every row.
        present = " AND ".join(f"{name} IS NOT NULL" for name in names)
        left = f"({left})" if len(names) > 1 else left
        return f"{left} {word}IN (SELECT {', '.join(names)} FROM {table} WHERE {present})"

    def absent_sql(self, row: str, dest: str, staging: str, key: Sequence[str]) -> str:
        """Condition, in an INSERT into `dest`, that the key of `row`, which is one of those in `staging`, is not there yet."""
        return self.in_table(row, dest, key, negated=True)

    def index_staging_sql(self, staging: TableName, key: Sequence[Column]) -> list[str]:
        """Statements that index the staged keys, where the update by key would crawl without."""
        return []

    def key_type(self, sql_type: str, *, exact: bool) -> str:
        """The type of a key column in a new table: fit for an index, and if `exact`, texts that differ are different keys."""
        return sql_type

    def exact_sql(self, text: str) -> str:
        """A text as something that is equal only to the same text, where `capabilities.exact_text` is not given."""
        return text

    def key_match(self, left: str, right: str, key: Sequence[str]) -> str:
        """Condition that two rows have the same key."""
        return " AND ".join(f"{left}.{self.quote_identifier(k)} = {right}.{self.quote_identifier(k)}" for k in key)

    # Errors

    def is_missing_table(self, sqlstate: str | None, vendor_code: int | None, message: str) -> bool:
        """Whether an error says that a table (or its schema) does not exist."""
        known = self.capabilities
        if vendor_code and vendor_code in known.missing_table_codes:
            return True
        if sqlstate and sqlstate in known.missing_table_states:
            return True
        return bool(known.missing_table_message) and known.missing_table_message in message  # type: ignore[operator]


def literal(text: str) -> str:
    """A standard SQL string literal."""
    return "'" + text.replace("'", "''") + "'"
