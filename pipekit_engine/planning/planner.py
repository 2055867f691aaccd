"""Planning on live databases: resolvers run, both sides are described, and nothing is written anywhere.

No lock is taken and no run is recorded. A run, a dry run, the wizard's rehearsal and `lint --live` plan here.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from pipekit_engine.common.text import first_line
from pipekit_engine.databases.connections import ModuleConnections
from pipekit_engine.databases.fence import FenceName
from pipekit_engine.databases.introspection import Catalog
from pipekit_engine.errors import ConfigurationError, DestinationError, SourceError
from pipekit_engine.jrunner.errors import JRunnerError
from pipekit_engine.planning.build import plan_run, refuse_unfilled, source_query
from pipekit_engine.planning.keys import ask_key_facts
from pipekit_engine.planning.literals import fit_watermarks, source_syntax
from pipekit_engine.planning.partitions import bound_values, partition_family
from pipekit_engine.planning.remarks import find_remarks
from pipekit_engine.planning.source_columns import ask_source_columns, table_columns
from pipekit_engine.planning.staging import staging_name
from pipekit_engine.planning.watermarks import WatermarkResolver
from pipekit_engine.strategies import STRATEGIES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pipekit_engine.common.columns import Column
    from pipekit_engine.common.partitions import PartitionRange
    from pipekit_engine.databases.connections import Connections
    from pipekit_engine.databases.fence import Fence
    from pipekit_engine.databases.introspection import Key
    from pipekit_engine.databases.names import TableName
    from pipekit_engine.databases.remarks import TableRemarks
    from pipekit_engine.jrunner.client import Session
    from pipekit_engine.models import Module, ResolvedWatermark
    from pipekit_engine.planning.plan import RunPlan
    from pipekit_engine.planning.source_columns import SourceColumns
    from pipekit_engine.sql.syntax import SqlSyntax

#: How many foreign keys a refusal looks at.
_CHILDREN_NAMED = 100


class Planner:
    """Plans runs of one module in one jrunner session.

    `overrides` are watermarks' values by name, `partition` is the one that is read, of a module that has them; `staging_schema`
    is the one of connections that name none, and `say` hears what a person may want to know.
    """

    def __init__(
        self,
        connections: ModuleConnections,
        *,
        staging_schema: str | None,
        overrides: Mapping[str, str] | None = None,
        partition: PartitionRange | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._connections = connections
        self._module = connections.module
        self._session = connections.session
        self._cancel = connections.cancel
        self._default_staging_schema = staging_schema
        self._say = say
        self._partition = partition or _sample_partition(connections.module)
        self._resolver = WatermarkResolver(connections, overrides or {}, say)

    def resolve_watermarks(self) -> dict[str, ResolvedWatermark]:
        """Each watermark's value now, asked after source and destination were opened.

        Raises ConfigurationError for a placeholder that none of them fills, ConnectError and SourceError.
        """
        refuse_unfilled(self._module, self._connections.dialect(self._module.source))
        self._connections.open_both()
        if (file := self._connections.dest.new_file) is not None:
            self._say(f"{file} was not there and is made now, for connection {self._module.dest}")
        return self._resolver.resolve_all()

    def plan(self, watermarks: Mapping[str, ResolvedWatermark]) -> RunPlan:
        """Describe both sides and plan. Raises SourceError, DestinationError and ConfigurationError."""
        source, dest, module = self._connections.source, self._connections.dest, self._module
        syntax = source_syntax(self._connections, watermarks)
        if self._partition is not None:
            watermarks, source_columns = self._bounds(self._partition, syntax)
        else:
            source_columns = self._describe_source(source_query(module, syntax, watermarks))
        watermarks = fit_watermarks(module, source.dialect, watermarks, source_columns)
        sql = source_query(module, syntax, watermarks)
        self._refuse_places(sql, source_columns)
        catalog = Catalog(self._session, dest.handle, self._cancel)
        dest_columns = self._describe_destination(catalog)
        if dest_columns is not None:
            self._resolver.refuse_missing_tables()
        return plan_run(
            module,
            source=source.dialect,
            dest=dest.dialect,
            watermarks=watermarks,
            source_sql=sql,
            source_columns=source_columns,
            dest_columns=dest_columns,
            partition=self._partition,
            key_facts=ask_key_facts(
                module,
                (source.dialect, Catalog(self._session, source.handle, self._cancel)),
                (dest.dialect, catalog),
                source_sql=sql,
                source_columns=source_columns,
                dest_exists=dest_columns is not None,
            ),
            known_columns=self._known_columns(sql, source_columns, dest_columns),
            remarks=self._remarks(sql, source_columns, dest_columns),
            staging_schema=self._staging_schema(),
            staging_file=self._staging_file(),
            dest_keys=self._destination_keys(catalog) if dest_columns is not None else (),
            identity_columns=self._identity_columns(catalog) if dest_columns is not None else (),
            dest_indexes=self._destination_indexes(catalog, dest_columns),
            dest_triggers=self._destination_triggers(catalog) if dest_columns is not None else (),
            load_obstacle=self._load_obstacle(catalog, dest_columns is not None),
            loads_in_transaction=self._session.loads_in_transaction,
            table_columns=self._table_columns(sql, source_columns),
            hook_dialects={
                hook.connection: self._connections.dialect(hook.connection) for hook in module.hooks if hook.connection
            },
        )

    def _bounds(
        self, partition: PartitionRange, syntax: SqlSyntax
    ) -> tuple[dict[str, ResolvedWatermark], list[Column]]:
        """The bounds of the partition as the source reads them, and the query's columns.

        A day is written as a day where the source takes that: as a text it comes before all times of that day.
        """
        module, refused = self._module, None
        assert module.partition is not None, "only a module with partitions has one"
        for day in (True, False):
            values = bound_values(module.partition, partition, family="text", day=day)
            try:
                columns = self._describe_source(source_query(module, syntax, values))
            except SourceError as error:
                refused = refused or error
                continue
            family = partition_family(module, columns)
            values = bound_values(module.partition, partition, family=family, day=day and family != "timestamptz")
            self._say(", ".join(f"{{{name}}} = {mark.value!r}" for name, mark in values.items()))
            return values, columns
        assert refused is not None, "one of two tries was refused"
        raise refused

    def _describe_source(self, sql: str) -> list[Column]:
        source = self._connections.source
        try:
            return self._session.describe(source.handle, sql=sql, cancel=self._cancel)
        except JRunnerError as error:
            raise SourceError(
                f"The query of module {self._module.name} failed on connection {self._module.source}: {error}"
                f"{self._connections.empty_file_hint(source)}"
            ) from error

    def _describe_destination(self, catalog: Catalog) -> list[Column] | None:
        """The destination's columns; None when it does not exist. `catalog` learns what else is asked of it."""
        handle, dialect = self._connections.dest.handle, self._connections.dest.dialect
        name = dialect.table_name(self._module.dest_table)
        table = dialect.table_sql(name)
        is_view = dialect.is_view_sql(name)
        no_transactions = dialect.no_transactions_sql(name)
        try:
            columns = self._session.describe(handle, table=table, cancel=self._cancel)
            asked = [
                is_view,
                self._cascades_sql(name),
                no_transactions,
                dialect.coarse_columns_sql(name) if self._module.merge_key else None,
                dialect.indexes_sql(name),
                dialect.identity_sql(name),
                dialect.triggers_sql(name),
            ]
            queries = [sql for sql in asked if sql]
            catalog.learn(dialect.together_sql(queries), queries)
            if is_view and catalog.rows(is_view, max_rows=1):
                raise DestinationError(
                    f"The destination {table} is a view. pipekit replaces rows of tables: name the table, or drop the view and "
                    "let the run make a table."
                )
            self._refuse_cascades(catalog, name)
            if no_transactions:
                engine = catalog.rows(no_transactions, max_rows=1)
                if engine:
                    raise DestinationError(
                        f"The destination {table} has the storage engine {engine[0][0] or 'of no name'}, "
                        "which has no transactions: a merge that failed could not be rolled back. "
                        "Change the table to ENGINE=InnoDB."
                    )
            return columns
        except JRunnerError as error:
            if dialect.is_missing_table(error.sqlstate, error.vendor_code, error.message):
                return None
            raise DestinationError(
                f"The destination {table} cannot be described: {error}"
                f"{dialect.advise(error.sqlstate, error.vendor_code, error.message)}"
            ) from error

    def _identity_columns(self, catalog: Catalog) -> frozenset[str]:
        dest = self._connections.dest
        rows = catalog.ask(dest.dialect.identity_sql(dest.dialect.table_name(self._module.dest_table)))
        return frozenset(row[0] for row in rows or () if row[0] is not None)

    def _destination_keys(self, catalog: Catalog) -> list[Key]:
        """The destination's primary and unique keys; a catalogue that refuses to tell costs speed, never the run."""
        dest = self._connections.dest
        try:
            return dest.dialect.get_keys(catalog, dest.dialect.table_name(self._module.dest_table))
        except JRunnerError as error:
            self._say(f"warning: the destination's keys could not be read: {first_line(error)}")
            return []

    def _destination_triggers(self, catalog: Catalog) -> list[str]:
        """Names of triggers that may change rows which are written, those that the login may see."""
        dest = self._connections.dest
        sql = dest.dialect.triggers_sql(dest.dialect.table_name(self._module.dest_table))
        rows = catalog.ask(sql)
        return [str(row[0]) for row in rows or ()]

    def _load_obstacle(self, catalog: Catalog, exists: bool) -> str | None:
        """Why rows cannot go straight into the destination; None where they can, or need not with `staging: always`."""
        if self._module.staging == "always":
            return None
        if not self._session.loads_in_transaction:
            return "an external jrunner has a transaction of its own"
        dialect = self._connections.dest.dialect
        sql = dialect.no_bulk_load_sql(dialect.table_name(self._module.dest_table)) if exists else None
        rows = catalog.ask(sql) if sql else []
        if rows is None:
            return "it could not be asked whether the destination takes a load"
        return rows[0][0] if rows else None

    def _destination_indexes(self, catalog: Catalog, columns: Sequence[Column] | None) -> list[tuple[str, ...]] | None:
        """The destination's indexes, if a run has a use for any; None where they are not asked for, or not told."""
        dest, module = self._connections.dest, self._module
        if columns is None or not (module.merge_key or module.watermarks or module.partition):
            return None
        try:
            return dest.dialect.get_indexes(catalog, dest.dialect.table_name(module.dest_table))
        except JRunnerError:
            return None

    def _cascades_sql(self, table: TableName) -> str | None:
        """What asks for tables whose rows the strategy's deletes would change; None where that need not be known."""
        strategy = STRATEGIES[self._module.strategy]
        if self._module.cascades == "allow" or not (strategy.replaces_table or strategy.replaces_rows):
            return None
        return self._connections.dest.dialect.cascades_sql(table)

    def _refuse_cascades(self, catalog: Catalog, table: TableName) -> None:
        """Raise DestinationError when rows that the strategy deletes would take rows of other tables with them."""
        dest, module = self._connections.dest, self._module
        asked = self._cascades_sql(table)
        found = catalog.rows(asked, _CHILDREN_NAMED) if asked else []
        if found:
            children = ", ".join(sorted({str(row[0]) for row in found}))
            raise DestinationError(
                f"Strategy {module.strategy} deletes rows of {dest.dialect.table_sql(table)}, and foreign keys with ON DELETE "
                f"CASCADE or SET NULL would change the rows of {children} that refer to them. Choose strategy upsert, which "
                "deletes none, change the foreign keys, or say `cascades: allow` in the module if that is meant."
            )

    def _makes_columns(self, columns: Sequence[Column], dest_columns: Sequence[Column] | None) -> bool:
        """Whether a run makes a table or adds columns."""
        if dest_columns is None:
            return True
        known = {column.name.casefold() for column in dest_columns}
        names = [item.dest_name for item in self._module.columns] or [column.name for column in columns]
        return self._module.on_schema_change == "add_columns" and not known.issuperset(
            name.casefold() for name in names
        )

    def _known_columns(
        self, sql: str, columns: Sequence[Column], dest_columns: Sequence[Column] | None
    ) -> SourceColumns | None:
        """What the source's catalogue says of columns that a run makes; one that refuses to tell costs a line, never the run."""
        if not self._makes_columns(columns, dest_columns):
            return None
        source, dest = self._connections.source, self._connections.dest
        try:
            return ask_source_columns(
                (source.dialect, Catalog(self._session, source.handle, self._cancel)),
                (dest.dialect, Catalog(self._session, dest.handle, self._cancel)),
                sql,
                columns,
            )
        except JRunnerError as error:
            self._say(f"warning: the source's columns could not be looked up: {first_line(error)}")
            return None

    def _table_columns(self, sql: str, columns: Sequence[Column]) -> frozenset[str] | None:
        """The query's columns that are a table's own, where the source is read in ranges and that must be known."""
        source, module = self._connections.source, self._module
        if not source.dialect.typed_cells or not (module.parallel > 1 or module.resume_every):
            return None
        catalog = Catalog(self._session, source.handle, self._cancel)
        return table_columns(source.dialect, catalog, sql, [column.name for column in columns])

    def _refuse_places(self, sql: str, columns: Sequence[Column]) -> None:
        """Raise ConfigurationError where `split_by` means where rows are kept, and the source has no such place."""
        source, module = self._connections.source, self._module
        if module.parallel == 1:
            return
        from pipekit_engine.planning.split import reads_places
        from pipekit_engine.sql.one_table import read_one_table

        if not reads_places(module, source.dialect, columns):
            return
        query = read_one_table(sql, source.dialect.capabilities.syntax)
        if query is None:
            return  # the plan refuses it
        asked = source.dialect.place_obstacle_sql(query.table)
        try:
            rows = Catalog(self._session, source.handle, self._cancel).rows(asked) if asked else []
        except JRunnerError as error:
            raise SourceError(
                f"It could not be asked whether {query.table} has a {module.split_by[0]}: {error}"
            ) from error
        if rows and rows[0][0]:
            raise ConfigurationError(
                f"module {module.name}: split_by: {module.split_by[0]} of {query.table}: {rows[0][0]}."
            )

    def _remarks(
        self, sql: str, columns: Sequence[Column], dest_columns: Sequence[Column] | None
    ) -> TableRemarks | None:
        """What the source says about the tables that the query reads, for the comments of a new destination or new columns.

        Comments are a courtesy: a source that refuses to tell costs a line in the log, never the run.
        """
        if not self._connections.dest.dialect.capabilities.max_comment_length:
            return None
        if not self._makes_columns(columns, dest_columns):
            return None
        source = self._connections.source
        try:
            return find_remarks(
                source.dialect,
                Catalog(self._session, source.handle, self._cancel),
                sql,
                [column.name for column in columns],
            )
        except JRunnerError as error:
            self._say(f"warning: the source's remarks could not be read: {first_line(error)}")
            return None

    def fence(self) -> Fence:
        """The fence of the module's merges, known before anything is read. Raises DestinationError, as `plan` does."""
        dest = self._connections.dest.dialect
        table = dest.table_name(self._module.dest_table)
        staging = staging_name(self._module.name, dest, self._staging_schema(), table)
        return dest.fence(FenceName(dest.table_sql(staging)), dest.table_sql(table))

    def _staging_schema(self) -> str | None:
        """The connection's own; else the default, where a schema can be made for it."""
        dest = self._connections.dest
        own = dest.connection.staging_schema
        if own is None and not dest.dialect.capabilities.creates_schemas:
            return None
        return own or self._default_staging_schema

    def _staging_file(self) -> str | None:
        """Where staging lives in a file beside the destination's own: one a module, so that modules stage side by side."""
        dest = self._connections.dest
        if dest.dialect.open_file_sql is None:
            return None
        file = self._session.query(dest.handle, dest.dialect.open_file_sql, cancel=self._cancel).first
        if not file:
            raise DestinationError("An SQLite destination must be a file: staging tables live in a file beside it.")
        return f"{file}.pipekit-{self._module.name}.staging"


def _sample_partition(module: Module) -> PartitionRange | None:
    """The partition by which a module is planned where none is run: the newest that has ended, else the first."""
    if module.partition is None:
        return None
    return module.partition.newest(datetime.now(timezone.utc)) or module.partition.find(module.partition.start)


def plan_module(
    module: Module,
    session: Session,
    connections: Connections,
    *,
    staging_schema: str | None,
    application_name: str,
) -> RunPlan:
    """The plan of a run of a module now. Raises what a dry run raises, jrunner's own errors included."""
    ends = ModuleConnections(connections, session, module, application_name=application_name)
    planner = Planner(ends, staging_schema=staging_schema)
    return planner.plan(planner.resolve_watermarks())
