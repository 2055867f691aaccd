"""Databases open for the wizard: connections that exist and those that are only being written, in one jrunner.

Nothing here changes anything: not the state store, not the secrets file, not a database.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from pipekit_engine.databases.browser import Browser
from pipekit_engine.databases.connections import Connections, GivenDefinitions
from pipekit_engine.errors import ConnectError, DestinationError
from pipekit_engine.jrunner.errors import JRunnerError
from pipekit_engine.jrunner.pool import SessionPool
from pipekit_engine.jrunner.start import start_own_session
from pipekit_engine.planning.planner import plan_module
from pipekit_engine.security.redact import Redactor
from pipekit_engine.security.secrets import Secrets, reference_key

if TYPE_CHECKING:
    from pipekit_engine.common.columns import Column
    from pipekit_engine.databases.dialects import Dialect
    from pipekit_engine.engine import Engine
    from pipekit_engine.jrunner.client import Session
    from pipekit_engine.models import Connection, Module
    from pipekit_engine.planning.plan import RunPlan


class Workspace:
    """A context manager. `new_connections` and `new_secrets` are what is to be saved in the end, if the person says so.

    Works in a session of `sessions`, or of a pool of its own. `leave` gives the session back, for runs in the same pool: two
    processes cannot open one embedded database.
    """

    def __init__(self, engine: Engine, sessions: SessionPool | None = None) -> None:
        self.engine = engine
        self.sessions = sessions or SessionPool(1, lambda: start_own_session(engine.config))
        self._owns_pool = sessions is None
        self.new_connections: dict[str, Connection] = {}
        self.new_secrets: dict[str, str] = {}
        self._known = Secrets.of(engine.config)
        self._definitions = GivenDefinitions(self.new_connections, {}, fallback=engine.store.definitions)
        self._browsers: dict[str, Browser] = {}
        self._stack = ExitStack()
        self._session: Session | None = None

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()
        if self._owns_pool:
            self.sessions.close()

    def leave(self) -> None:
        """Give the session back; it is lent again when something is asked."""
        self._browsers.clear()
        self._session = None
        self._stack.close()

    @property
    def session(self) -> Session:
        """The jrunner of this workspace, started when it is first needed."""
        if self._session is None:
            self._session = self._stack.enter_context(self.sessions.session())
        return self._session

    @property
    def secret_keys(self) -> list[str]:
        """Names of all secrets, the new ones included."""
        return sorted({*self._known.keys(), *self.new_secrets})

    def connections(self) -> dict[str, Connection]:
        """All connections by name, the new ones included."""
        return {**self.engine.store.definitions.load_checked()[0].connections, **self.new_connections}

    def add_connection(self, connection: Connection, password: str | None = None, *, creates: bool = False) -> Browser:
        """Try a connection that is not saved yet, and keep it for the end if it answers. `creates`: as in `browser`.

        `password` is the value for the connection's `$VAR`, None when that is set already or not needed. Raises ConnectError
        and ConfigurationError families; then nothing is kept.
        """
        connections, secrets = dict(self.new_connections), dict(self.new_secrets)
        self.new_connections[connection.name] = connection
        if password is not None:
            self.new_secrets[reference_key(connection.password or "") or ""] = password
        self._browsers.pop(connection.name, None)
        try:
            return self.browser(connection.name, creates=creates)
        except BaseException:
            for items, before in ((self.new_connections, connections), (self.new_secrets, secrets)):
                items.clear()
                items.update(before)  # type: ignore[arg-type]
            raise

    def browser(self, name: str, *, creates: bool = False) -> Browser:
        """Look around in a connection's database; `creates`: it may be a file that is not there yet.

        Raises NotFoundError, SecretError, RuntimeMissing and ConnectError.
        """
        if name not in self._browsers:
            connections, redactor = self._connections()
            try:
                opened = connections.open(self.session, name, "read", creates=creates)
            except ConnectError as error:
                raise ConnectError(redactor.clean(str(error))) from error
            self._browsers[name] = Browser(self.session, opened, redactor)
        return self._browsers[name]

    def staging_schemas(self, name: str) -> set[str]:
        """Schemas of a connection that hold nothing but pipekit's own staging tables, in small letters."""
        own = self._definitions.connection(name).staging_schema
        return {schema.casefold() for schema in (self.engine.config.staging_schema, own) if schema}

    def dialect(self, name: str) -> Dialect:
        """Dialect of a connection."""
        return self._connections()[0].dialect(name)

    def table_columns(self, name: str, table: str) -> list[Column] | None:
        """Columns of a destination table; None when it does not exist. Raises DestinationError, ConnectError."""
        dialect = self.browser(name, creates=True).dialect
        sql = dialect.table_sql(dialect.table_name(table))
        try:
            return self.session.describe(f"read:{name}", table=sql)
        except JRunnerError as error:
            if dialect.is_missing_table(error.sqlstate, error.vendor_code, error.message):
                return None
            raise DestinationError(
                f"The destination {table} cannot be described on {name}: {self._connections()[1].clean(str(error))}"
            ) from error

    def rehearse(self, module: Module) -> RunPlan:
        """The plan of a run of this module now: its resolvers run live, nothing is moved or saved.

        Raises the families that a dry run raises.
        """
        return plan_module(
            module,
            self.session,
            self._connections()[0],
            staging_schema=self.engine.config.staging_schema,
            application_name=f"pipekit {module.name}",
        )

    def _connections(self) -> tuple[Connections, Redactor]:
        secrets = self._known.with_values(self.new_secrets)
        return Connections(self.engine.config, self._definitions, secrets), Redactor(secrets.values())
