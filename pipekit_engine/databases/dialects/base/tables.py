"""The SQL around a run: schemas, tables, columns and the comments on them; views and engines that a run has to know of."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from pipekit_engine.databases.dialects.base.identifiers import Identifiers, literal
from pipekit_engine.databases.remarks import TableRemarks, fit_comment
from pipekit_engine.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipekit_engine.common.columns import Column
    from pipekit_engine.databases.names import TableName


#: Types that no index takes in the kinds that are not told apart here.
_UNINDEXED = re.compile(r"lob|text|xml|json|long|max|image|raster|geometry", re.IGNORECASE)


#: Stands for the triggers in a catalogue that shows the login none, whether there are any or not.
UNSEEN_TRIGGERS = "any that the login may not see"


class TableStatements(Identifiers):
    """How a kind makes, changes, describes and drops tables."""

    #: A destination may get a schema of the source's name; elsewhere a schema is a user, a library or a database.
    free_schemas: ClassVar[bool] = False
    #: Whether `index_key_sql` is known to fit this kind: then columns for which it gives nothing have no index.
    indexes_created_tables: ClassVar[bool] = False
    #: Asks for the file of the open database, where staging tables live in a file beside it; None where they live in a schema.
    open_file_sql: ClassVar[str | None] = None

    def schema_exists_sql(self, schema: str) -> str | None:
        """A query that gives a row when the schema exists; None when schemas are not created here."""
        return f"SELECT 1 FROM information_schema.schemata WHERE schema_name = {literal(schema)}"

    def create_schema_sql(self, schema: str) -> str:
        """Makes a schema."""
        return f"CREATE SCHEMA {self.quote_identifier(schema)}"

    def is_view_sql(self, table: TableName) -> str | None:
        """A query that gives a row when the name is a view's; None where that cannot be asked."""
        return None

    def identity_sql(self, table: TableName) -> str | None:
        """A query for the table's columns that take a value only from an INSERT that says so, as `insert_sql` does.

        Or take none whatever it says, where there is a `free_identity_sql`. None where the kind has no such columns.
        """
        return None

    def free_identity_sql(self, table: TableName, column: str) -> str | None:
        """Lets a column of `identity_sql` take values, where no INSERT gives it one; None where `insert_sql` does."""
        return None

    def cascades_sql(self, table: TableName) -> str | None:
        """A query for the tables whose rows change when rows of this one are deleted; None where that cannot be asked."""
        return None

    def triggers_sql(self, table: TableName) -> str | None:
        """A query for the names of triggers and rules that may change a row that is inserted or updated.

        With UNSEEN_TRIGGERS where the login may not see all; None where that cannot be asked.
        """
        return None

    def no_transactions_sql(self, table: TableName) -> str | None:
        """A query that gives a row when the table's changes cannot be rolled back, naming why; None where all can."""
        return None

    def no_bulk_load_sql(self, table: TableName) -> str | None:
        """A query that gives a row, naming why, when the bulk path refuses a table that INSERT fills; None: it never does."""
        return None

    def drop_table_sql(self, table: TableName) -> str:
        """Drops a table, if it exists where the database can say so."""
        exists = "IF EXISTS " if self.capabilities.drop_if_exists else ""
        return f"DROP TABLE {exists}{self.table_sql(table)}"

    def create_table_sql(self, table: TableName, columns: Sequence[tuple[str, str]], *, staging: bool = False) -> str:
        """Makes a table of (name, type) columns."""
        body = ", ".join(f"{self.quote_identifier(name)} {sql_type}" for name, sql_type in columns)
        return f"CREATE TABLE {self.table_sql(table)} ({body})"

    def index_key_sql(
        self, table: TableName, key: Sequence[tuple[str, str]], *, unique: bool, purpose: str = "key"
    ) -> list[str]:
        """Statements that index the key's (name, type) columns of a new table; none where that cannot be, or is not known.

        `purpose` is a part of the index's name where the database gives none: `key`, `part` for a partition's column, or
        `mark` for a watermark's.
        """
        return []

    def add_index_sql(
        self, table: TableName, key: Sequence[tuple[str, str]], *, unique: bool, purpose: str = "key"
    ) -> list[str]:
        """As `index_key_sql` for a table that is there, where its (name, type) columns can be indexed at all."""
        made = self.index_key_sql(table, key, unique=unique, purpose=purpose)
        if made or self.indexes_created_tables or any(_UNINDEXED.search(sql_type) for _, sql_type in key):
            return made
        name = self.quote_identifier(f"{table.name[: self.capabilities.max_identifier_length - 5]}_{purpose}")
        names = ", ".join(self.quote_identifier(name) for name, _ in key)
        return [f"CREATE {'UNIQUE ' if unique else ''}INDEX {name} ON {self.table_sql(table)} ({names})"]

    def drop_not_null_sql(self, table: TableName, column: str) -> str | None:
        """Lets a column be NULL; None where no statement can."""
        return f"ALTER TABLE {self.table_sql(table)} ALTER COLUMN {self.quote_identifier(column)} DROP NOT NULL"

    def create_like_sql(self, table: TableName, like: TableName, columns: Sequence[Column]) -> str:
        """Makes an empty table with some columns of an existing one, in their exact types."""
        names = self.column_list(columns)
        return f"CREATE TABLE {self.table_sql(table)} AS SELECT {names} FROM {self.table_sql(like)} WITH NO DATA"

    def add_column_sql(self, table: TableName, name: str, sql_type: str) -> str:
        """Adds a column to a table."""
        return f"ALTER TABLE {self.table_sql(table)} ADD COLUMN {self.quote_identifier(name)} {sql_type}"

    def keep_table_sql(self, table: TableName) -> list[str]:
        """Statements after which an empty staging table survives a crash of its server; none where each table does."""
        return []

    def attach_sql(self, file: str, schema: str, *, durable: bool = False) -> tuple[list[str], list[str]]:
        """Statements that attach a staging file under a schema name, and that take it off. For SQLite only.

        What is committed in a `durable` one survives a crash.
        """
        raise ConfigurationError(f"{self.label} has no attached files.")

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
