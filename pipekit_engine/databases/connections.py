"""From a connection's definition to an open JDBC connection in a jrunner session.

A run reads and writes on connections of their own, also when source and destination are one database: a connection does one
thing at a time.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from pipekit_engine.databases.addresses import tunnel_address
from pipekit_engine.databases.dialects import driver_for, find_jars, get_dialect, too_old
from pipekit_engine.databases.dialects.base.ways_in import WaysIn
from pipekit_engine.databases.driver_settings import refuse_risky_settings
from pipekit_engine.databases.tls import tls_hint, tls_request, ways_in
from pipekit_engine.errors import ConnectError, NotFoundError
from pipekit_engine.jrunner.errors import JRunnerCancelled, JRunnerError
from pipekit_engine.jrunner.protocol import OpenRequest
from pipekit_engine.security.secrets import reference_key
from pipekit_engine.store.retrying import retrying

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pipekit_engine.config import Config
    from pipekit_engine.databases.dialects import Dialect
    from pipekit_engine.databases.tunnels import SshTunnel
    from pipekit_engine.jrunner.client import Session
    from pipekit_engine.jrunner.protocol import OpenResult
    from pipekit_engine.models import Connection, Driver, Module
    from pipekit_engine.security.secrets import Secrets

Role = Literal["read", "write"]

#: Seconds that a run waits for a file that another run has open, and for one that any other program has.
RUN_WAIT_S = 600
PROGRAM_WAIT_S = 30
FILE_POLL_S = 0.1
#: jrunner's class of sockets that go to this machine's end of a tunnel.
LOOPBACK_SOCKETS = "jrunner.tunnel.LoopbackSockets"


@dataclass(frozen=True)
class OpenConnection:
    """An open connection: its definition, its dialect, and its name in the session. `new_file` was made by opening it."""

    connection: Connection
    dialect: Dialect
    handle: str
    opened: OpenResult
    new_file: Path | None = None


class DefinitionSource(Protocol):
    """Where the definitions of connections and drivers are looked up: the state store's, or those at hand."""

    def connection(self, name: str) -> Connection:
        """A connection by name. Raises NotFoundError."""

    def driver(self, name: str) -> Driver:
        """A driver by name. Raises NotFoundError."""


@dataclass(frozen=True)
class GivenDefinitions:
    """Definitions that no store holds, such as those of files. What they lack is looked up in `fallback`."""

    connections: Mapping[str, Connection]
    drivers: Mapping[str, Driver]
    fallback: DefinitionSource | None = None

    def connection(self, name: str) -> Connection:
        """A connection by name. Raises NotFoundError."""
        if name in self.connections:
            return self.connections[name]
        if self.fallback is None:
            raise NotFoundError("connection", name, self.connections)
        return self.fallback.connection(name)

    def driver(self, name: str) -> Driver:
        """A driver by name. Raises NotFoundError."""
        if name in self.drivers:
            return self.drivers[name]
        if self.fallback is None:
            raise NotFoundError("driver", name, self.drivers)
        return self.fallback.driver(name)


class RememberedDefinitions:
    """Definitions as they are when they are first asked for: a run sees each of them as one thing, and asks once.

    It waits for a store that is away, until `cancel` is set.
    """

    def __init__(self, source: DefinitionSource, cancel: threading.Event | None = None) -> None:
        self._source = source
        self._cancel = cancel
        self._connections: dict[str, Connection] = {}
        self._drivers: dict[str, Driver] = {}

    def connection(self, name: str) -> Connection:
        """A connection by name. Raises NotFoundError."""
        if name not in self._connections:
            self._connections[name] = retrying(lambda: self._source.connection(name), cancel=self._cancel)
        return self._connections[name]

    def driver(self, name: str) -> Driver:
        """A driver by name. Raises NotFoundError."""
        if name not in self._drivers:
            self._drivers[name] = retrying(lambda: self._source.driver(name), cancel=self._cancel)
        return self._drivers[name]


class Connections:
    """Opens connections by their defined names, in any session."""

    def __init__(self, config: Config, definitions: DefinitionSource, secrets: Secrets) -> None:
        self._config = config
        self._definitions = definitions
        self._secrets = secrets

    def open(
        self,
        session: Session,
        name: str,
        role: Role,
        *,
        application_name: str = "pipekit",
        cancel: threading.Event | None = None,
        creates: bool = False,
        say: Callable[[str], None] | None = None,
    ) -> OpenConnection:
        """Open the connection `name`, or keep it if the session has it open and it answers.

        A database that is a file must be there, unless `creates`: then its folder must. A file that another process has to
        itself is waited for where `say` can tell of it, ten minutes for a run's and half a minute for any other program's.
        Raises NotFoundError, SecretError, RuntimeMissing (no jar), ConfigurationError (a risky setting) and ConnectError.
        """
        request, dialect, connection, driver = self._request(name, role, application_name)
        missing = self._missing_file(connection, dialect)
        if missing is not None and not (creates and missing.parent.is_dir()):
            what = "folder" if not missing.parent.is_dir() else "file"
            raise ConnectError(
                f"Connection {name!r} ({dialect.label}): there is no {what} {missing.parent if what == 'folder' else missing}. "
                "Is the path right? A file is made for a module's destination only, in a folder that is there."
            )
        if missing is not None and dialect.one_process:
            request = replace(request, writes=True)  # who reads makes no file
        request = replace(request, connection=session.prefix + request.connection)
        request, tunnel = self._through_tunnel(session, request, connection, driver, cancel)
        file = self._file(connection, dialect) if dialect.one_process else None
        try:
            opened = _open_in_turn(session, request, dialect, file, cancel, say)
        except JRunnerError as error:
            hint = _locked_hint(error, dialect) or _login_hint(error, connection)
            hint += tls_hint("\n".join([error.message, *error.causes]), connection.tls) or dialect.advise(
                error.sqlstate, error.vendor_code, str(error)
            )
            hint += tunnel.hint() if tunnel else ""
            raise ConnectError(f"Connection {name!r} ({dialect.label}) could not be opened: {error}{hint}") from error
        if refused := too_old(opened, dialect):
            session.close(request.connection)
            raise ConnectError(f"Connection {name!r} ({dialect.label}) is not used: {refused}")
        return OpenConnection(connection, dialect, request.connection, opened, missing)

    def _file(self, connection: Connection, dialect: Dialect) -> Path | None:
        file = dialect.database_file(connection.jdbc_url)
        return None if file is None else self._config.folder / file

    def _missing_file(self, connection: Connection, dialect: Dialect) -> Path | None:
        path = self._file(connection, dialect)
        return path if path is not None and not path.exists() else None

    def empty_file_hint(self, opened: OpenConnection) -> str:
        """What to say of a failure when the connection's database is an empty file: the driver makes one for a wrong path."""
        path = self._file(opened.connection, opened.dialect)
        if path is None or not path.exists() or path.stat().st_size:
            return ""
        return f"\nThe database {path} is an empty file: is its path right?"

    def is_file(self, name: str) -> bool:
        """Whether a connection's database is a file. Raises NotFoundError."""
        return self._file(self._definitions.connection(name), self.dialect(name)) is not None

    def dialect(self, name: str) -> Dialect:
        """Dialect of a connection. Raises NotFoundError."""
        connection = self._definitions.connection(name)
        return get_dialect(self._definitions.driver(connection.driver).kind).for_url(connection.jdbc_url)

    def _request(self, name: str, role: Role, application_name: str) -> tuple[OpenRequest, Dialect, Connection, Driver]:
        connection = self._definitions.connection(name)
        driver = driver_for(self._definitions.driver(connection.driver), connection.jdbc_url)
        dialect = get_dialect(driver.kind).for_url(connection.jdbc_url)
        refuse_risky_settings(connection, self._config.allowed_driver_settings)
        password = self._secrets.resolve(connection.password) if connection.password else None
        request = OpenRequest(
            connection=f"{role}:{name}",
            url=connection.jdbc_url,
            jars=[str(jar) for jar in find_jars(driver, self._config.jar_folders)],
            kind=driver.kind,
            driver_class=driver.class_name or "",
            user=connection.username,
            password=password,
            properties={key: self._option(value) for key, value in connection.options.items()},
            application_name=application_name,
            connect_timeout_s=self._config.connect_timeout_s,
            writes=role == "write",
            tls=tls_request(connection, driver, self._config.folder),
            quote=dialect.capabilities.quote,
        )
        return request, dialect, connection, driver

    def _through_tunnel(
        self,
        session: Session,
        request: OpenRequest,
        connection: Connection,
        driver: Driver,
        cancel: threading.Event | None,
    ) -> tuple[OpenRequest, SshTunnel | None]:
        """The request for this machine's end of the connection's tunnel, which is opened where the session has none."""
        if connection.tunnel is None:
            return request, None
        from pipekit_engine.databases.tunnels import HERE, tunnel_to

        ways = ways_in(driver) or WaysIn()
        address = tunnel_address(connection, driver)
        tunnel = tunnel_to(
            session, connection, address, folder=self._config.folder, timeout_s=request.connect_timeout_s, cancel=cancel
        )
        properties = dict(request.properties)
        if ways.socket_factory:
            properties[ways.socket_factory] = LOOPBACK_SOCKETS
        elif ways.host_name and connection.tls and connection.tls.mode == "verify-full":
            properties[ways.host_name] = address.host
        url = address.url(address.host if ways.socket_factory else HERE, tunnel.port)
        return replace(request, url=url, properties=properties), tunnel

    def _option(self, value: str) -> str:
        """A JDBC property; one that is a `$VAR` reference (a trust store's password, say) is a secret."""
        return self._secrets.resolve(value) if reference_key(value) else value


class ModuleConnections:
    """The connections of one module in one session, for one run: its source and destination, and those that it names.

    `application_name` is what the databases show of the run; `cancel`, once set, ends what is asked on them; `say` is told what
    is waited for.
    """

    def __init__(
        self,
        connections: Connections,
        session: Session,
        module: Module,
        *,
        application_name: str,
        cancel: threading.Event | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self.session = session
        self.module = module
        self.cancel = cancel
        self.dialect = connections.dialect
        self.empty_file_hint = connections.empty_file_hint
        self._connections = connections
        self._application_name = application_name
        self._say = say
        self._to_give_back: set[str] = set()
        self._source: OpenConnection | None = None
        self._dest: OpenConnection | None = None

    def open(self, name: str, role: Role) -> OpenConnection:
        """Open a connection, or keep it if it is open and answers. Raises as `Connections.open`."""
        opened = self._connections.open(
            self.session,
            name,
            role,
            application_name=self._application_name,
            cancel=self.cancel,
            creates=name == self.module.dest and name != self.module.source,
            say=self._say,
        )
        if opened.dialect.one_process:
            self._to_give_back.add(opened.handle)
        return opened

    def give_back(self) -> None:
        """Close what no other process can use while it is open; a warm session keeps the rest. Never raises."""
        while self._to_give_back and self.session.alive:
            with suppress(JRunnerError):
                self.session.close(self._to_give_back.pop())

    def without_cancel(self) -> ModuleConnections:
        """The same connections, to be opened and asked by what a cancelled run still has to do."""
        return ModuleConnections(
            self._connections, self.session, self.module, application_name=self._application_name, say=self._say
        )

    def open_both(self) -> None:
        """Open source and destination: side by side where neither is a file, which must not be made for a source that fails.

        Raises as `Connections.open`, for the source before the destination.
        """
        if any(map(self._connections.is_file, (self.module.source, self.module.dest))):
            assert self.source is not self.dest
            return
        failed: list[BaseException] = []

        def open_dest() -> None:
            try:
                assert self.dest is not None
            except BaseException as error:
                failed.append(error)

        beside = threading.Thread(target=open_dest, name=f"open-{self.module.dest}", daemon=True)
        beside.start()
        try:
            assert self.source is not None
        finally:
            beside.join()
        if failed:
            raise failed[0]

    def reopen_dest(self) -> None:
        """Close the destination's connection, to which files may be attached, and open it anew when it is next used."""
        self.session.close(self.dest.handle)
        self._dest = None

    # Not cached_property: before Python 3.12 one lock is held for all objects while one of them opens.

    @property
    def source(self) -> OpenConnection:
        """The source, opened to read when it is first asked for."""
        if self._source is None:
            self._source = self.open(self.module.source, "read")
        return self._source

    @property
    def dest(self) -> OpenConnection:
        """The destination, opened to write when it is first asked for."""
        if self._dest is None:
            self._dest = self.open(self.module.dest, "write")
        return self._dest


def _open_in_turn(
    session: Session,
    request: OpenRequest,
    dialect: Dialect,
    file: Path | None,
    cancel: threading.Event | None,
    say: Callable[[str], None] | None,
) -> OpenResult:
    """Open a connection, waiting for who has its file: another run, here or elsewhere, or a program. Raises JRunnerError."""
    began, told = time.monotonic(), False

    def wait(holder: str) -> None:
        nonlocal told
        if say is not None and not told:
            name = request.connection.partition(":")[2]
            say(f"waiting for {holder}, which has the file of connection {name} open")
            told = True
        if cancel is not None:
            cancel.wait(FILE_POLL_S)  # the next try ends with what a cancelled request ends with
        else:
            time.sleep(FILE_POLL_S)

    while True:
        if file is not None and not session.take_file(request.connection, file, writes=request.writes):
            if cancel is not None and cancel.is_set():
                raise JRunnerCancelled("cancelled while another run had its database open")
            if time.monotonic() - began > RUN_WAIT_S:
                raise JRunnerError(
                    f"another run of this process has had the file open for {RUN_WAIT_S} s", phase="open"
                )
            wait("another run of this process")
            continue
        try:
            return session.open(request, cancel=cancel)
        except BaseException as error:
            if file is not None:
                session.release_file(request.connection)
            holder = dialect.locked_by(error.message) if isinstance(error, JRunnerError) else None
            if holder is None or say is None:
                raise
            limit_s = RUN_WAIT_S if _is_jrunner(holder) else PROGRAM_WAIT_S
            if time.monotonic() - began > limit_s:
                raise
            wait(_process(holder))


def _process(pid: int) -> str:
    return f"process {pid}" if pid else "another process"


def _is_jrunner(pid: int) -> bool:
    try:
        return b"jrunner" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _locked_hint(error: JRunnerError, dialect: Dialect) -> str:
    holder = dialect.locked_by(error.message)
    if holder is None:
        return ""
    whose = " (a run of pipekit, or its wizard)" if holder and _is_jrunner(holder) else ""
    return (
        f"\n{dialect.label} lets one process write a file, or several read it: {_process(holder)}{whose} has it open. "
        "Close it there, or try again when it has ended."
    )


def _login_hint(error: JRunnerError, connection: Connection) -> str:
    """Where the login came from, when the server refused it: SQLStates of class 28 say so.

    A negative vendor code is a driver's own: nobody refused a login, what answered may be no database at all.
    """
    if not (error.sqlstate or "").startswith("28") or (error.vendor_code or 0) < 0:
        return ""
    key = reference_key(connection.password or "")
    of = f" The password is ${key}: `pipekit secrets set {key}` sets it." if key else " It has no password."
    return f"\nThe login was {connection.username or 'without a user name'}.{of}"
