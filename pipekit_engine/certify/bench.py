"""The ground of a certification: a pipekit of its own in a temporary folder, the scratch schema, and the names used there.

Nothing is written to the user's state store: the connection's definition is copied into a store of the bench. Rows come from an
SQLite file, which Python fills without any driver, and from an H2 file, which has a type for most things.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
import threading
from contextlib import ExitStack, closing, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipekit_engine.certify.outcomes import Broken, cause
from pipekit_engine.common.files import take_or_refuse
from pipekit_engine.config import AlertsConfig, JRunnerConfig, RetentionConfig
from pipekit_engine.databases.connections import Connections
from pipekit_engine.databases.dialects import driver_record, get_dialect
from pipekit_engine.databases.dialects.h2 import H2
from pipekit_engine.databases.dialects.sqlite import SQLite
from pipekit_engine.databases.names import TableName, quoted_name
from pipekit_engine.engine import Engine
from pipekit_engine.errors import ConfigurationError, PipekitError, RunCancelled
from pipekit_engine.jrunner.errors import JRunnerError
from pipekit_engine.jrunner.pool import SessionPool
from pipekit_engine.jrunner.start import start_own_session
from pipekit_engine.models import Connection, Driver, Module
from pipekit_engine.security.secrets import Secrets
from pipekit_engine.store import Change, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pipekit_engine.config import Config
    from pipekit_engine.databases.connections import OpenConnection, Role
    from pipekit_engine.databases.dialects import Dialect
    from pipekit_engine.engine import RunEvent
    from pipekit_engine.jrunner.client import Session
    from pipekit_engine.jrunner.protocol import OpenResult
    from pipekit_engine.models import RunRecord

#: How every table begins that a certification makes, staging tables included: a table of another name is never touched.
PREFIX = "pipekit_certify_"
CANCELLED = "the certification was cancelled; its tables were dropped"
#: The bench's connections. Three lead to the database under test: that of the runs, that of a run beside another one, and that
#: of the checks; `FILE` is the SQLite file and `TYPED` the H2 file.
DB, OTHER, OWN, FILE, TYPED = "db", "other", "own", "rows", "typed"
#: Seconds that a run gets which waits for another.
PATIENCE_S = 90.0

Rows = list[tuple[str | None, ...]]


class Gate:
    """Holds one merge between its last statement and its commit: `arrived` is set there, and `go` lets it commit."""

    def __init__(self) -> None:
        self.arrived, self.go = threading.Event(), threading.Event()

    def wait(self) -> None:
        """Called on the run's thread."""
        self.arrived.set()
        self.go.wait(PATIENCE_S)


class _GatedLeases:
    """The bench's leases. A merge renews its lease just before its commit (`running/phases.py`): there a gate can stand."""

    def __init__(self, leases: Any) -> None:
        self._leases = leases
        self.gates: dict[str, Gate] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._leases, name)

    def renew(self, what: Any, name: str, token: str) -> bool:
        gate = self.gates.get(name)
        # The monitor's thread renews too, and is not to be held.
        if gate is not None and not threading.current_thread().name.startswith("monitor-"):
            gate.wait()
        renewed: bool = self._leases.renew(what, name, token)
        return renewed


class SharedPool(SessionPool):
    """One jrunner for all, side by side: only one process at a time may open a database that is a file."""

    def __init__(self, start: Callable[[], Session]) -> None:
        super().__init__(1, start)
        self._lock = threading.Lock()
        self._shared: Session | None = None

    def current(self) -> Session:
        """The session; a new one after it was killed."""
        with self._lock:
            if self._shared is None or not self._shared.alive:
                if self._shared is not None:
                    self._shared.kill()
                self._shared = self._start()
            return self._shared

    @contextmanager
    def session(self, *, cancel: threading.Event | None = None) -> Iterator[Session]:
        """Lends it to any number of borrowers."""
        yield self.current()

    def close(self) -> None:
        """End it."""
        super().close()
        if self._shared is not None:
            self._shared.end()


class Bench:
    """A context manager; leaving it drops every table of `PREFIX` in the scratch schema and closes all connections.

    Raises ConfigurationError for a schema that is not there or holds tables of others, and what opening a connection raises.
    """

    def __init__(self, config: Config, connection: Connection, driver: Driver, schema: str, folder: Path) -> None:
        self.dialect: Dialect = get_dialect(driver.kind)
        self.kind = driver.kind
        self._url = connection.jdbc_url
        self._turn = ExitStack()
        parts = self.dialect.table_name(f"{schema}.{PREFIX}x")
        self.schema = parts.schema if self.dialect.capabilities.schemas else None
        self.cancel = threading.Event()
        self.config = config.model_copy(
            update={
                "database": str(folder / "state.db"),
                "staging_schema": self.schema or config.staging_schema,
                "alerts": AlertsConfig(),
                "retention": RetentionConfig(),
                # pipekit's own jrunner: an external one knows neither metadata nor paths.
                "jrunner": JRunnerConfig(java=config.jrunner.java, heap=config.jrunner.heap),
            }
        )
        Store.init(self.config.database_url)
        self.engine = Engine(self.config)
        self.engine.store.leases = self.leases = _GatedLeases(self.engine.store.leases)  # type: ignore[assignment]
        own = {kind: driver_record(kind) for kind in (SQLite.kind, H2.kind)}
        copies = [
            driver.model_copy(update={"name": "certified"}),
            *(record.model_copy(update={"name": f"own_{kind}"}) for kind, record in own.items()),
            *(
                connection.model_copy(update={"name": name, "driver": "certified", "staging_schema": None})
                for name in (DB, OTHER, OWN)
            ),
            Connection(
                name=FILE,
                driver=f"own_{SQLite.kind}",
                jdbc_url=f"jdbc:sqlite:{folder / 'rows.db'}",
                staging_schema="pipekit_staging",  # the scratch schema may be called as an SQLite file is inside
            ),
            Connection(name=TYPED, driver=f"own_{H2.kind}", jdbc_url=f"jdbc:h2:{folder / 'typed'}", username="sa"),
        ]
        self.engine.store.definitions.save(
            [
                Change("create", "drivers" if isinstance(item, Driver) else "connections", item.name, item)
                for item in copies
            ]
        )
        self._count = 0
        self._open: dict[tuple[str, Role], tuple[Session, OpenConnection]] = {}
        self.file = folder / "rows.db"
        self.sql("CREATE TABLE t (n INTEGER)")
        self.pool = SharedPool(lambda: start_own_session(self.config))

    def __enter__(self) -> Bench:
        try:
            self._take_turn()
            self._check_schema()
            try:
                self.drop_tables()
                self._check_rights()
            except BaseException:
                with suppress(PipekitError):  # a login that may not drop is told of what it may not
                    self.drop_tables()
                raise
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.drop_tables()
        finally:
            self.close()

    def close(self) -> None:
        """End every process of the bench."""
        self.pool.close()
        self.engine.close()
        self._turn.close()

    def _take_turn(self) -> None:
        """Raise ConfigurationError where another certification of this user's is in the schema: each drops the other's tables."""
        place = f"{self._url}\n{self.schema}".encode()
        file = Path(tempfile.gettempdir(), f"pipekit-certify-{os.getuid()}-{sha256(place).hexdigest()[:16]}.lock")
        lock = self._turn.enter_context(os.fdopen(os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "r+"))
        take_or_refuse(
            lock, f"Another certification is at work in {self.schema or 'the database'}: wait until it has ended."
        )
        self._turn.callback(file.unlink, missing_ok=True)

    # The certified database

    @property
    def session(self) -> Session:
        """The jrunner of checks and runs."""
        return self.pool.current()

    def open(self, name: str = OWN, role: Role = "write") -> OpenConnection:
        """A connection of the bench, opened once. Raises what `Connections.open` raises."""
        session = self.session
        known = self._open.get((name, role))
        if known is not None and known[0] is session:
            return known[1]
        connections = Connections(self.config, self.engine.store.definitions, Secrets.of(self.config))
        opened = connections.open(session, name, role, application_name="pipekit certify", creates=True)
        self._open[name, role] = (session, opened)
        return opened

    @property
    def opened(self) -> OpenResult:
        """What answered."""
        return self.open().opened

    def execute(self, *statements: str, name: str = OWN, transaction: bool = False) -> None:
        """Statements on a connection. Raises JRunnerError."""
        self._alive()
        self.session.execute(self.open(name).handle, list(statements), transaction=transaction, cancel=self.cancel)

    def query(self, sql: str, *, name: str = OWN, role: Role = "write") -> Rows:
        """A query's rows as text. Raises JRunnerError."""
        self._alive()
        handle = self.open(name, role).handle
        return [tuple(row) for row in self.session.query(handle, sql, max_rows=100_000, cancel=self.cancel).rows]

    def count(self) -> int:
        """1, 2, 3, ..."""
        self._count += 1
        return self._count

    def forget(self) -> None:
        """Open the checks' connections anew when they are asked for next: one may have been lost."""
        self._open.clear()

    def _alive(self) -> None:
        if self.cancel.is_set():
            raise RunCancelled(CANCELLED)

    def table(self, name: str) -> TableName:
        """A table of the bench in the scratch schema."""
        return TableName(f"{PREFIX}{name}", self.schema)

    def sql_name(self, name: str) -> str:
        """That table in SQL, quoted."""
        return self.dialect.table_sql(self.table(name))

    def rows(self, table: str, *columns: str) -> Rows:
        """Columns of one of the bench's tables, sorted."""
        names = ", ".join(self.dialect.quote_identifier(column) for column in columns)
        found = self.query(f"SELECT {names} FROM {self.sql_name(table)}")
        return sorted(found, key=lambda row: [value or "" for value in row])

    def create(self, name: str, *columns: tuple[str, str]) -> str:
        """Make a table of (name, type) columns anew, and return its name in SQL."""
        self.drop(name)
        self.execute(self.dialect.create_table_sql(self.table(name), columns))
        return self.sql_name(name)

    def drop(self, name: str) -> None:
        """Drop one of the bench's tables if it is there."""
        with suppress(PipekitError):
            self.execute(self.dialect.drop_table_sql(self.table(name)))

    def tables(self) -> list[str]:
        """The names of the tables and views in the scratch schema."""
        items = self.session.metadata(self.open().handle, "tables", schema=self.schema)
        return [str(item["table"]) for item in items]

    def drop_tables(self) -> None:
        """Drop every table of `PREFIX`, whatever was cancelled meanwhile."""
        handle = self.open().handle
        for name in self.tables():
            if name.startswith(PREFIX):
                drop = self.dialect.drop_table_sql(TableName(name, self.schema))
                self.session.execute(handle, [drop], transaction=False)

    def _check_schema(self) -> None:
        self.opened  # noqa: B018 - a connection that cannot be opened is told first
        exists = self.dialect.schema_exists_sql(self.schema) if self.schema else None
        if exists is not None and not self.query(exists):
            raise ConfigurationError(
                f"There is no schema {self.schema}: make one for this purpose (CREATE SCHEMA), and name it by --schema."
            )
        others = [name for name in self.tables() if not name.startswith(PREFIX)]
        if others:
            raise ConfigurationError(
                f"{len(others)} tables in {self.schema or 'the database'} are not pipekit's ({', '.join(others[:3])}): a scratch "
                "schema holds nothing else. Make an empty one for this purpose, and name it by --schema."
            )

    def _check_rights(self) -> None:
        number = str(self.dialect.types["int32"])
        try:
            table = self.create("rights", ("id", number))
            self.execute(f"INSERT INTO {table} VALUES (1)", self.dialect.drop_table_sql(self.table("rights")))
        except JRunnerError as error:
            where = self.schema or "the database"
            raise ConfigurationError(
                f"The login may not make, fill and drop tables in {where}, which a certification does there: {cause(error)}"
            ) from error

    # Rows and runs

    def sql(self, *statements: str, rows: Sequence[Sequence[Any]] = ()) -> None:
        """Statements in the SQLite file, by Python itself; `rows` are parameters of the last one."""
        with closing(sqlite3.connect(self.file, timeout=30)) as connection, connection:
            for statement in statements[:-1] if rows else statements:
                connection.execute(statement)
            if rows:
                connection.executemany(statements[-1], rows)

    def fill(self, table: str, columns: str, rows: Sequence[Sequence[Any]]) -> None:
        """Make a table of the SQLite file anew, with these rows."""
        marks = ", ".join("?" * len(rows[0]))
        self.sql(
            f"DROP TABLE IF EXISTS {table}",
            f"CREATE TABLE {table} ({columns})",
            f"INSERT INTO {table} VALUES ({marks})",
            rows=rows,
        )

    def module(self, name: str, query: str, table: str, strategy: str, **fields: Any) -> str:
        """Define a module from the SQLite file into a table of the bench; its name. `table` names it."""
        parts = self.table(table).parts
        fields = {"source": FILE, "dest": DB, "dest_table": quoted_name(parts), **fields}
        module = Module(name=f"{PREFIX}{name}", query=query, strategy=strategy, **fields)
        known = self.engine.store.definitions.load_checked()[0].modules
        self.engine.store.definitions.save(
            [Change("change" if module.name in known else "create", "modules", module.name, module)]
        )
        return module.name

    def run(
        self,
        module: str,
        *,
        gate: Gate | None = None,
        cancel: threading.Event | None = None,
        on_event: Callable[[RunEvent], None] | None = None,
    ) -> RunRecord:
        """Run a module. Raises what `Engine.run` raises."""
        self._alive()
        if gate is not None:
            self.leases.gates[module] = gate
        try:
            run = self.engine.run(module, sessions=self.pool, cancel=cancel or self.cancel, on_event=on_event)
            return run.record
        finally:
            self.leases.gates.pop(module, None)


class Background:
    """A run on a thread; a context manager that lets its gate go and waits for it. `error` and `record` tell how it ended."""

    def __init__(self, bench: Bench, module: str, gate: Gate | None = None, **options: Any) -> None:
        self.error: BaseException | None = None
        self.record: RunRecord | None = None
        self._gate = gate

        def work() -> None:
            try:
                self.record = bench.run(module, gate=gate, **options)
            except BaseException as error:
                self.error = error

        self._thread = threading.Thread(target=work, name=f"certify-{module}", daemon=True)

    def __enter__(self) -> Background:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._gate is not None:
            self._gate.go.set()
        self._thread.join(PATIENCE_S)

    def ended(self, within_s: float) -> bool:
        """Whether it has ended within that time."""
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def await_gate(self) -> None:
        """Wait until its merge stands before its commit. Raises Broken when it never comes there."""
        assert self._gate is not None
        for _ in range(int(PATIENCE_S * 20)):
            if self._gate.arrived.wait(0.05):
                return
            if not self._thread.is_alive():
                raise Broken(f"the merge did not come to its commit: {cause(self.error)}")
        raise Broken(f"the merge did not come to its commit within {PATIENCE_S:g} s")
