"""What a database's catalogue tells of: levels, tables, columns, keys; and the open connection that is asked."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pipekit_engine.databases.names import TableName
from pipekit_engine.jrunner.errors import JRunnerError

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from pipekit_engine.common.columns import Column
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
    """An open connection to look around in: a jrunner session and the connection's name in it.

    What `learn` was told is not asked again: a catalog is good for one look, not for longer.
    """

    session: Session
    connection: str
    cancel: threading.Event | None = None
    _known: dict[str, list[tuple[str | None, ...]]] = field(default_factory=dict, compare=False, repr=False)

    def learn(self, together: str | None, queries: Sequence[str]) -> None:
        """Ask several queries by one that gives their rows as JSON, a column each. One that is refused leaves all to be asked."""
        for row in (self.ask(together) or ()) if len(queries) > 1 else ():
            for sql, rows in zip(queries, row, strict=True):
                # Columns may share a name: the pairs are kept as they come.
                found = json.loads(rows or "[]", object_pairs_hook=lambda pairs: tuple(value for _, value in pairs))
                self._known[sql] = [tuple(None if cell is None else str(cell) for cell in item) for item in found]

    def rows(self, sql: str, max_rows: int = MAX_ROWS) -> list[tuple[str | None, ...]]:
        """Rows of a query. Raises JRunnerError."""
        known = self._known.get(sql)
        return list(self.query(sql, max_rows).rows) if known is None else known[:max_rows]

    def query(self, sql: str, max_rows: int = MAX_ROWS) -> QueryResult:
        """Rows of a query, as text."""
        return self.session.query(self.connection, sql, max_rows=max_rows, cancel=self.cancel)

    def metadata(
        self, what: str, *, catalog: str | None = None, schema: str | None = None, table: str | None = None
    ) -> list[dict[str, Any]]:
        """JDBC's metadata: `schemas`, `tables`, or a table's `columns`, `keys` or `indexes`."""
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
            return self.rows(sql)
        except JRunnerError as error:
            # `sql`: the database refused the statement. Anything else is no answer to the question.
            if error.code != "sql":
                raise
            return None
