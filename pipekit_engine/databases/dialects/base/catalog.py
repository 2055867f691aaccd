"""Looking around in a database: schemas, tables, views, columns, keys, and the remarks on them.

Everything is read live through jrunner. Most kinds answer by JDBC's metadata; where that falls short (comments that a
driver hides, labels, identity columns) a kind brings a query on its own catalogue, and JDBC's metadata is the fallback for a
login that may not read the catalogue.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, ClassVar

from pipekit_engine.databases.dialects.base.identifiers import Identifiers, literal
from pipekit_engine.databases.introspection import BrowseField, Catalog, ColumnInfo, Key, TableInfo
from pipekit_engine.databases.remarks import TableRemarks
from pipekit_engine.jrunner.errors import JRunnerError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipekit_engine.common.columns import Column
    from pipekit_engine.databases.names import TableName


@dataclass(frozen=True)
class _Index:
    name: str | None
    primary: bool
    unique: bool
    #: In order; None for an expression.
    columns: list[str | None]


class CatalogQueries(Identifiers):
    """What a kind's catalogue is asked, and the answers as records."""

    #: Levels by which a person finds a table, outermost first.
    browse_fields: ClassVar[tuple[BrowseField, ...]] = (BrowseField("schema", "schema"),)
    #: Schemas of the database itself, as shell patterns; they are not browsed.
    system_schemas: ClassVar[tuple[str, ...]] = ("INFORMATION_SCHEMA", "information_schema")
    #: Schemas, in lower case, in which a table lies when nobody chose one; a destination need not copy them.
    usual_schemas: ClassVar[frozenset[str]] = frozenset()
    #: Asks which schema a name without one is in; None where it need not be known.
    home_schema_sql: ClassVar[str | None] = None

    # What a kind may ask in its own way

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

    def indexes_sql(self, table: TableName) -> str | None:
        """A query for the columns of all indexes, in order, where JDBC's metadata is slow or falls short.

        (name, `1` for the primary key's, `1` for a unique one, `1` for one of some rows only, column or NULL for an expression.)
        """
        return None

    def together_sql(self, queries: Sequence[str]) -> str | None:
        """One query whose columns are the rows of each of these, as a JSON array of objects; None where none can be written.

        The queries give texts only.
        """
        return None

    def tidy_remark(self, text: str) -> str:
        """A remark as a person would want to read it."""
        return text

    def refine_columns(self, columns: list[ColumnInfo]) -> list[ColumnInfo]:
        """What this kind knows better about a table's columns, all of them seen together."""
        return columns

    # Answers

    def list_databases(self, catalog: Catalog) -> list[str]:
        """Databases that the connection can read, where `browse_fields` has a `database`; else none."""
        rows = catalog.ask(self.databases_sql())
        return sorted(row[0] for row in rows or () if row[0] is not None)

    def list_schemas(self, catalog: Catalog, database: str | None = None) -> list[str]:
        """Schemas, the system's own left out. `database` None: the connection's own."""
        if not any(field.name == "schema" for field in self.browse_fields):
            return []
        rows = catalog.ask(self.schemas_sql(database))
        found = (
            [row[0] for row in rows]
            if rows is not None
            else [item["schema"] for item in catalog.metadata("schemas", catalog=database)]
        )
        return sorted({name for name in found if name and not self._is_system(name)})

    def _is_system(self, schema: str) -> bool:
        return any(fnmatchcase(schema, pattern) for pattern in self.system_schemas)

    def list_tables(
        self, catalog: Catalog, schema: str | None = None, database: str | None = None, *, table: str | None = None
    ) -> list[TableInfo]:
        """Tables and views of one schema, or of all but the system's, with their remarks; sorted by schema and name.

        With a `table`, that one alone; `schema` None is then the connection's own.
        """
        rows = catalog.ask(self.tables_sql(schema, database, table))
        if rows is not None:
            found = [
                TableInfo(
                    name,
                    of,
                    database,
                    "view" if kind == "view" else "table",
                    self._remark(remarks),
                    partition=kind == "partition",
                )
                for of, name, kind, remarks in rows
                if name is not None
            ]
        else:
            found = [
                TableInfo(item["table"], item.get("schema"), database, item["type"], self._remark(item.get("remarks")))
                for item in catalog.metadata("tables", schema=schema, catalog=database, table=table)
            ]
        if schema is None and table is None:
            found = [item for item in found if item.schema is None or not self._is_system(item.schema)]
        return sorted(found, key=lambda item: (item.schema or "", item.name))

    def get_columns(self, catalog: Catalog, table: TableInfo | TableName) -> list[ColumnInfo]:
        """Columns of a table or view in its order, with defaults, remarks and their place in the primary key.

        Those that `SELECT *` leaves out (INVISIBLE) stand behind the others.
        Types are those that a sync would see (jrunner's description of a query on the table); the rest comes from the
        catalogue.
        """
        name = table.table_name if isinstance(table, TableInfo) else table
        described = catalog.describe_table(self.table_sql(name))
        items = catalog.metadata("columns", catalog=name.catalog, schema=name.schema, table=name.name)
        known = {item["column"]: item for item in items}
        described += self._invisible(
            catalog, name, [column for column in known if column not in {c.name for c in described}]
        )
        primary = next((key.columns for key in self.get_keys(catalog, name) if key.primary), ())
        notes = self._notes(catalog, name)
        columns = []
        for column in described:
            item = known.get(column.name, {})
            note = notes.get(column.name)
            columns.append(
                ColumnInfo(
                    replace(column, nullable=column.nullable and item.get("nullable") is not False),
                    default=_default(item.get("default")),
                    remarks=self._remark(item.get("remarks")) if note is None or note[0] is None else note[0],
                    key_position=primary.index(column.name) + 1 if column.name in primary else None,
                    identity=bool(item.get("auto_increment")) or bool(note and note[1]),
                    generated=bool(item.get("generated")),
                )
            )
        return self.refine_columns(columns)

    def _invisible(self, catalog: Catalog, table: TableName, names: Sequence[str]) -> list[Column]:
        """Columns that the catalogue names and a description of the table does not; none where they cannot be read."""
        if not names:
            return []
        listed = ", ".join(self.quote_identifier(name) for name in names)
        try:
            return catalog.session.describe(
                catalog.connection, sql=f"SELECT {listed} FROM {self.table_sql(table)}", cancel=catalog.cancel
            )
        except JRunnerError as error:
            if error.code != "sql":
                raise
            return []

    def get_keys(self, catalog: Catalog, table: TableInfo | TableName) -> list[Key]:
        """The primary key first, then the unique ones; columns in each key's order."""
        name = table.table_name if isinstance(table, TableInfo) else table
        indexes = self._indexes_of(catalog, name)
        if indexes is not None:
            whole = [item for item in indexes if item.unique and None not in item.columns]
            keys = [Key(tuple(map(str, item.columns)), item.primary, item.name) for item in whole]
            primary = [key.columns for key in keys if key.primary]
            return [key for key in keys if key.primary] + [key for key in keys if key.columns not in primary]
        items = catalog.metadata("keys", catalog=name.catalog, schema=name.schema, table=name.name)
        return [Key(tuple(item["columns"]), item["type"] == "primary", item.get("name")) for item in items]

    def get_indexes(self, catalog: Catalog, table: TableName) -> list[tuple[str, ...]]:
        """Columns of each index in its order, those of keys included; what stands behind an expression is left out."""
        indexes = self._indexes_of(catalog, table)
        if indexes is not None:
            told = [item.columns[: [*item.columns, None].index(None)] for item in indexes]
            return list(dict.fromkeys(tuple(map(str, columns)) for columns in told if columns))
        found = [
            tuple(item["columns"])
            for what in ("keys", "indexes")
            for item in catalog.metadata(what, catalog=table.catalog, schema=table.schema, table=table.name)
        ]
        return list(dict.fromkeys(columns for columns in found if columns))

    def _indexes_of(self, catalog: Catalog, table: TableName) -> list[_Index] | None:
        """The indexes of all rows, from the kind's own catalogue query; None where it has none, or may not ask it."""
        rows = catalog.ask(self.indexes_sql(table))
        if rows is None:
            return None
        found: dict[str | None, _Index] = {}
        for name, primary, unique, partial, column in rows:
            if partial != "1":
                found.setdefault(name, _Index(name, primary == "1", unique == "1", [])).columns.append(column)
        return list(found.values())

    def get_remarks(self, catalog: Catalog, table: TableName) -> TableRemarks:
        """The remarks on a table or view and on its columns."""
        found = self.list_tables(catalog, table.schema, table.catalog, table=table.name)
        notes = {name: note[0] for name, note in self._notes(catalog, table).items()}
        items = (
            [] if notes else catalog.metadata("columns", catalog=table.catalog, schema=table.schema, table=table.name)
        )
        notes.update({item["column"]: self._remark(item.get("remarks")) for item in items})
        return TableRemarks(
            found[0].remarks if found else None,
            {name: text for name, text in notes.items() if text is not None},
            frozenset(notes),
        )

    def _notes(self, catalog: Catalog, table: TableName) -> Mapping[str, tuple[str | None, bool]]:
        """Remarks and identity by column name, from the kind's own catalogue query."""
        rows = catalog.ask(self.column_notes_sql(table)) or []
        return {row[0]: (self._remark(row[1]), row[2] == "1") for row in rows if row[0] is not None}

    def _remark(self, text: str | None) -> str | None:
        """Some catalogues pad remarks with blanks, or keep empty ones."""
        text = (text or "").strip()
        return self.tidy_remark(text) if text else None


def view_query(catalogue: str, table: TableName, schema_column: str, name_column: str, current: str) -> str:
    """A query that gives a row when a catalogue of views holds the table, in its schema or the `current` one."""
    schema = literal(table.schema) if table.schema else current
    return f"SELECT 1 FROM {catalogue} WHERE {schema_column} = {schema} AND {name_column} = {literal(table.name)}"


def cascades_query(references: str, constraints: str, table: TableName, current: str) -> str:
    """A query for the tables whose rows a delete from the table changes, from catalogues shaped as the standard's."""
    matched = "{0}.CONSTRAINT_SCHEMA = r.{1}CONSTRAINT_SCHEMA AND {0}.CONSTRAINT_NAME = r.{1}CONSTRAINT_NAME"
    tables = (
        f"{references} r JOIN {constraints} c ON {matched.format('c', '')} JOIN {constraints} p "
        f"ON {matched.format('p', 'UNIQUE_')} AND r.DELETE_RULE IN ('CASCADE', 'SET NULL', 'SET DEFAULT')"
    )
    found = view_query(tables, table, "p.TABLE_SCHEMA", "p.TABLE_NAME", current)
    return found.replace("SELECT 1 ", "SELECT c.TABLE_NAME ", 1)


def triggers_query(catalogue: str, table: TableName, current: str) -> str:
    """A query for the triggers of a table but those for a DELETE, from a catalogue shaped as the standard's."""
    found = view_query(catalogue, table, "EVENT_OBJECT_SCHEMA", "EVENT_OBJECT_TABLE", current)
    return f"{found.replace('SELECT 1 ', 'SELECT TRIGGER_NAME ', 1)} AND EVENT_MANIPULATION <> 'DELETE'"


def _default(text: str | None) -> str | None:
    """MariaDB writes out the default that every nullable column has."""
    return None if text is None or not text.strip() or text.strip().upper() == "NULL" else text.strip()


class InformationSchema(Identifiers):
    """A kind whose catalogue is the standard's."""

    def identity_sql(self, table: TableName) -> str:
        """As the standard has it."""
        columns = view_query("INFORMATION_SCHEMA.COLUMNS", table, "TABLE_SCHEMA", "TABLE_NAME", "CURRENT_SCHEMA")
        return f"{columns.replace('SELECT 1 ', 'SELECT COLUMN_NAME ', 1)} AND IDENTITY_GENERATION = 'ALWAYS'"

    def cascades_sql(self, table: TableName) -> str:
        schema = "INFORMATION_SCHEMA"
        return cascades_query(
            f"{schema}.REFERENTIAL_CONSTRAINTS", f"{schema}.TABLE_CONSTRAINTS", table, "CURRENT_SCHEMA"
        )

    def triggers_sql(self, table: TableName) -> str:
        return triggers_query("INFORMATION_SCHEMA.TRIGGERS", table, "CURRENT_SCHEMA")

    def is_view_sql(self, table: TableName) -> str:
        return view_query("INFORMATION_SCHEMA.VIEWS", table, "TABLE_SCHEMA", "TABLE_NAME", "CURRENT_SCHEMA")
