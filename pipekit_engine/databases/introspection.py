"""Looking around in a database: schemas, tables, views, columns, keys, and the remarks on them.

Everything is read live through jrunner. Most kinds answer by JDBC's metadata; where that falls short (comments that a
driver hides, labels, identity columns) a kind brings a query on its own catalogue, and JDBC's metadata is the fallback for a
login that may not read the catalogue.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal

from pipekit_engine.databases.names import TableName
from pipekit_engine.databases.remarks import TableRemarks
from pipekit_engine.errors import PipekitError

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping

    from pipekit_engine.common.columns import Column
    from pipekit_engine.databases.dialects.base import Dialect
    from pipekit_engine.jrunner.client import Session
    from pipekit_engine.jrunner.protocol import QueryResult

#: More tables or columns than any catalogue query of ours may give; beyond it something is wrong with the query.
MAX_ROWS = 500_000


@dataclass(frozen=True)
class BrowseField:
    """One level by which a person finds a table. `name` is `database` or `schema`; `label` is what this kind calls it."""

    name: Literal["database", "schema"]
    label: str


@dataclass(frozen=True)
class TableInfo:
    """A table or view. `catalog` is given only where it is not the connection's own database.

    `partition`: a part of another table, which shows its rows as well.
    """

    name: str
    schema: str | None = None
    catalog: str | None = None
    kind: Literal["table", "view"] = "table"
    remarks: str | None = None
    partition: bool = False

    @property
    def table_name(self) -> TableName:
        """The name alone, in the database's own spelling."""
        return TableName(self.name, self.schema, self.catalog)


@dataclass(frozen=True)
class ColumnInfo:
    """A column of a table.

    `default` is the database's own SQL text; `key_position` counts from 1 in the primary key's order, None outside of it;
    `identity` columns are numbered by the database (identity, serial, AUTO_INCREMENT, SQLite's INTEGER PRIMARY KEY).
    """

    column: Column
    default: str | None = None
    remarks: str | None = None
    key_position: int | None = None
    identity: bool = False
    generated: bool = False

    @property
    def name(self) -> str:
        """The column's name."""
        return self.column.name


@dataclass(frozen=True)
class Key:
    """Columns that identify a row: the primary key, or a unique one. Columns are in the key's order."""

    columns: tuple[str, ...]
    primary: bool
    name: str | None = None


@dataclass(frozen=True)
class Catalog:
    """An open connection to look around in: a jrunner session and the connection's name in it."""

    session: Session
    connection: str
    cancel: threading.Event | None = None

    def query(self, sql: str, max_rows: int = MAX_ROWS) -> QueryResult:
        """Rows of a query, as text."""
        return self.session.query(self.connection, sql, max_rows=max_rows, cancel=self.cancel)

    def metadata(
        self, what: str, *, catalog: str | None = None, schema: str | None = None, table: str | None = None
    ) -> list[dict[str, Any]]:
        """JDBC's metadata: `schemas`, `tables`, or a table's `columns` or `keys`."""
        return self.session.metadata(
            self.connection, what, catalog=catalog, schema=schema, table=table, cancel=self.cancel
        )

    def describe_table(self, table: str) -> list[Column]:
        """Columns of a table, given as SQL text."""
        return self.session.describe(self.connection, table=table, cancel=self.cancel)

    def ask(self, sql: str | None) -> list[tuple[str | None, ...]] | None:
        """Rows of a catalogue query; None when there is no such query, or the login may not run it."""
        if sql is None:
            return None
        try:
            return list(self.query(sql).rows)
        except PipekitError as error:
            # Of jrunner's errors: the database refused the statement. Anything else is no answer to the question.
            if getattr(error, "code", None) != "sql":
                raise
            return None


def list_databases(dialect: Dialect, catalog: Catalog) -> list[str]:
    """Databases that the login may read through this connection, for kinds that have a `database` level."""
    rows = catalog.ask(dialect.databases_sql())
    return sorted(row[0] for row in rows or () if row[0] is not None)


def list_schemas(dialect: Dialect, catalog: Catalog, database: str | None) -> list[str]:
    """Schemas in a database, the system's own left out."""
    if not any(field.name == "schema" for field in dialect.browse_fields):
        return []
    rows = catalog.ask(dialect.schemas_sql(database))
    found = (
        [row[0] for row in rows]
        if rows is not None
        else [item["schema"] for item in catalog.metadata("schemas", catalog=database)]
    )
    return sorted({name for name in found if name and not is_system(dialect, name)})


def is_system(dialect: Dialect, schema: str) -> bool:
    """Whether a schema is the database's own."""
    return any(fnmatchcase(schema, pattern) for pattern in dialect.system_schemas)


def list_tables(
    dialect: Dialect, catalog: Catalog, schema: str | None, database: str | None, table: str | None = None
) -> list[TableInfo]:
    """Tables and views of one schema, or of all but the system's; sorted by schema and name.

    With a `table`, that one alone; `schema` None is then the connection's own.
    """
    rows = catalog.ask(dialect.tables_sql(schema, database, table))
    if rows is not None:
        found = [
            TableInfo(
                name,
                of,
                database,
                "view" if kind == "view" else "table",
                _remark(dialect, remarks),
                partition=kind == "partition",
            )
            for of, name, kind, remarks in rows
            if name is not None
        ]
    else:
        found = [
            TableInfo(item["table"], item.get("schema"), database, item["type"], _remark(dialect, item.get("remarks")))
            for item in catalog.metadata("tables", schema=schema, catalog=database, table=table)
        ]
    if schema is None and table is None:
        found = [item for item in found if item.schema is None or not is_system(dialect, item.schema)]
    return sorted(found, key=lambda item: (item.schema or "", item.name))


def get_columns(dialect: Dialect, catalog: Catalog, table: TableInfo | TableName) -> list[ColumnInfo]:
    """Columns of a table or view, in its order.

    Types are those that a sync would see (jrunner's description of a query on the table); defaults, keys and remarks come
    from the catalogue.
    """
    name = table.table_name if isinstance(table, TableInfo) else table
    described = catalog.describe_table(dialect.table_sql(name))
    items = catalog.metadata("columns", catalog=name.catalog, schema=name.schema, table=name.name)
    known = {item["column"]: item for item in items}
    primary = next((key.columns for key in get_keys(dialect, catalog, name) if key.primary), ())
    notes = _notes(dialect, catalog, name)
    columns = []
    for column in described:
        item = known.get(column.name, {})
        note = notes.get(column.name)
        columns.append(
            ColumnInfo(
                replace(column, nullable=column.nullable and item.get("nullable") is not False),
                default=_default(item.get("default")),
                remarks=_remark(dialect, item.get("remarks")) if note is None or note[0] is None else note[0],
                key_position=primary.index(column.name) + 1 if column.name in primary else None,
                identity=bool(item.get("auto_increment")) or bool(note and note[1]),
                generated=bool(item.get("generated")),
            )
        )
    return dialect.refine_columns(columns)


def _notes(dialect: Dialect, catalog: Catalog, table: TableName) -> Mapping[str, tuple[str | None, bool]]:
    """Remarks and identity by column name, from the kind's own catalogue query."""
    rows = catalog.ask(dialect.column_notes_sql(table)) or []
    return {row[0]: (_remark(dialect, row[1]), row[2] == "1") for row in rows if row[0] is not None}


def get_keys(dialect: Dialect, catalog: Catalog, table: TableInfo | TableName) -> list[Key]:
    """The primary key first, then unique keys; columns in each key's order."""
    name = table.table_name if isinstance(table, TableInfo) else table
    items = catalog.metadata("keys", catalog=name.catalog, schema=name.schema, table=name.name)
    return [Key(tuple(item["columns"]), item["type"] == "primary", item.get("name")) for item in items]


def read_remarks(dialect: Dialect, catalog: Catalog, table: TableName) -> TableRemarks:
    """The remarks on a table or view and on its columns."""
    found = list_tables(dialect, catalog, table.schema, table.catalog, table.name)
    notes = {name: note[0] for name, note in _notes(dialect, catalog, table).items()}
    items = [] if notes else catalog.metadata("columns", catalog=table.catalog, schema=table.schema, table=table.name)
    notes.update({item["column"]: _remark(dialect, item.get("remarks")) for item in items})
    return TableRemarks(
        found[0].remarks if found else None,
        {name: text for name, text in notes.items() if text is not None},
        frozenset(notes),
    )


def _default(text: str | None) -> str | None:
    """MariaDB writes out the default that every nullable column has."""
    return None if text is None or not text.strip() or text.strip().upper() == "NULL" else text.strip()


def _remark(dialect: Dialect, text: str | None) -> str | None:
    """Some catalogues pad remarks with blanks, or keep empty ones."""
    text = (text or "").strip()
    return dialect.tidy_remark(text) if text else None
