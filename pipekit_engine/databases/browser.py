"""Looking around in a connection's database, for the wizard, lint and people in Python.

    with Engine() as engine, engine.browse("erp") as browser:
        for table in browser.tables("SALES"):
            print(browser.dialect.source_name(table), table.remarks)

A browser reads; it never changes anything.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipekit_engine.databases.introspection import Catalog, ColumnInfo, Key, TableInfo
from pipekit_engine.errors import ConnectError, NotFoundError, SourceError
from pipekit_engine.jrunner.errors import JRunnerDied, JRunnerError
from pipekit_engine.sql.text import as_subquery

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipekit_engine.common.columns import Column
    from pipekit_engine.databases.connections import OpenConnection
    from pipekit_engine.databases.dialects import Dialect
    from pipekit_engine.databases.introspection import BrowseField
    from pipekit_engine.jrunner.client import Session
    from pipekit_engine.jrunner.protocol import OpenResult, QueryResult
    from pipekit_engine.security.redact import Redactor


class Browser:
    """A connection that is open for looking around. `Engine.browse` makes one.

    Every method asks the database anew. Raises SourceError when the database refuses, ConnectError when the connection
    broke; both name the connection and hold no secret.
    """

    def __init__(
        self, session: Session, opened: OpenConnection, redactor: Redactor, *, staging_schema: str | None = None
    ) -> None:
        self._session = session
        self._open = opened
        self._redactor = redactor
        self._staging_schema = opened.connection.staging_schema or staging_schema
        self._catalog = Catalog(session, opened.handle)

    @property
    def connection(self) -> str:
        """The connection's defined name."""
        return self._open.connection.name

    @property
    def dialect(self) -> Dialect:
        """How the connected kind of database speaks."""
        return self._open.dialect

    @property
    def opened(self) -> OpenResult:
        """Which product and driver answered."""
        return self._open.opened

    @property
    def fields(self) -> tuple[BrowseField, ...]:
        """The levels by which a person finds a table here, outermost first."""
        return self.dialect.browse_fields

    def databases(self) -> list[str]:
        """Databases that this connection can read; empty where a connection has one only."""
        with self._asking("The databases"):
            return self.dialect.list_databases(self._catalog)

    def schemas(self, database: str | None = None) -> list[str]:
        """Schemas but the system's own and pipekit's staging; empty for a kind without schemas."""
        with self._asking("The schemas"):
            found = self.dialect.list_schemas(self._catalog, database)
        return [name for name in found if name != self._staging_schema]

    def tables(self, schema: str | None = None, database: str | None = None) -> list[TableInfo]:
        """Tables and views of one schema, or of all that `schemas` gives, sorted by schema and name."""
        where = f" of schema {schema}" if schema else ""
        with self._asking(f"The tables{where}"):
            found = self.dialect.list_tables(self._catalog, schema, database)
        if schema is not None or self._staging_schema is None:
            return found
        return [table for table in found if table.schema != self._staging_schema]

    def home(self) -> str | None:
        """The schema that a name without one is looked for in; None where that is not known, or none was chosen."""
        sql = self.dialect.home_schema_sql
        if sql is None:
            return None
        with self._asking("The current schema"):
            return self._catalog.query(sql).first

    def columns(self, table: TableInfo | str) -> list[ColumnInfo]:
        """Columns of a table in its order. A text is read as in SQL: `sales.orders`, quoted parts exact."""
        name = self.dialect.table_name(table) if isinstance(table, str) else table
        shown = table if isinstance(table, str) else self.dialect.source_name(table)
        with self._asking(f"The columns of {shown}"):
            return self.dialect.get_columns(self._catalog, name)

    def keys(self, table: TableInfo | str) -> list[Key]:
        """The table's primary key first, then its unique ones."""
        name = self.dialect.table_name(table) if isinstance(table, str) else table
        shown = table if isinstance(table, str) else self.dialect.source_name(table)
        with self._asking(f"The keys of {shown}"):
            return self.dialect.get_keys(self._catalog, name)

    def find(self, text: str) -> TableInfo:
        """The table or view of this name, read as in SQL. Raises NotFoundError offering the nearest."""
        name = self.dialect.table_name(text)
        tables = self.tables(name.schema, name.catalog)
        alike = [item for item in tables if item.name == name.name]
        alike = alike or [item for item in tables if item.name.casefold() == name.name.casefold()]
        if len(alike) > 1:
            home = self.home()
            alike = [item for item in alike if item.schema == home] or alike
        if len(alike) > 1:
            places = ", ".join(self.dialect.source_name(item) for item in alike)
            raise NotFoundError("single table", f"{text} ({places})")
        if not alike:
            raise NotFoundError("table", text, [self.dialect.source_name(item) for item in tables])
        return alike[0]

    def describe(self, sql: str) -> list[Column]:
        """Columns of a query."""
        with self._asking("The query"):
            return self._session.describe(
                self._open.handle, sql=as_subquery(sql, self._open.dialect.capabilities.syntax)
            )

    def preview(self, sql: str, rows: int = 10) -> QueryResult:
        """The first rows of a query, as text at full precision. Nothing beyond them is fetched."""
        with self._asking("The query"):
            return self._session.query(
                self._open.handle, as_subquery(sql, self._open.dialect.capabilities.syntax), max_rows=rows
            )

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        try:
            yield
        except JRunnerError as error:
            message = self._redactor.clean(str(error))
            if error.code in ("connection_lost", "not_open"):
                raise ConnectError(f"Connection {self.connection!r} broke: {message}") from error
            raise SourceError(f"{what} could not be read on connection {self.connection}: {message}") from error
        except JRunnerDied as error:
            raise ConnectError(f"Connection {self.connection!r}: {self._redactor.clean(str(error))}") from error
