"""Fixtures for the tests of jrunner: sessions through the client, sessions at the level of lines, and embedded databases."""

from __future__ import annotations

import json
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipekit_engine.databases.dialects import get_dialect
from pipekit_engine.errors import RuntimeMissing
from pipekit_engine.jrunner import OpenRequest, Session, jvm
from pipekit_engine.jrunner.locate import find_jar, find_java
from tests.conftest import unavailable
from tests.jars import jar, pinned_jar
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer


@pytest.fixture(scope="session", autouse=True)
def built_jar() -> Path:
    """The jrunner jar; without it nothing here can run."""
    try:
        find_java()
        return find_jar()
    except RuntimeMissing as error:
        unavailable(str(error))


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    """One session for a module's tests; connections are named by the tests."""
    with Session() as running:
        yield running


@pytest.fixture
def sqlite(session: Session, tmp_path: Path) -> Iterator[OpenRequest]:
    """An open connection named "sqlite" to a file of this test."""
    request = sqlite_request("sqlite", tmp_path / "test.db")
    session.open(request)
    yield request
    if session.alive:
        session.close("sqlite")


def sqlite_request(name: str, path: Path | str, **more: Any) -> OpenRequest:
    """How to open an SQLite file."""
    return OpenRequest(name, f"jdbc:sqlite:{path}", [jar("sqlite")], kind="sqlite", **more)


def postgresql_request(name: str, server: PostgreSQLServer, database: str, **more: Any) -> OpenRequest:
    """How to open a database of the test's PostgreSQL."""
    return OpenRequest(
        name,
        server.jdbc_url(database),
        [jar("postgresql")],
        kind="postgresql",
        user=server.user,
        password=server.password,
        **more,
    )


def mariadb_request(name: str, server: MariaDBServer, database: str, **more: Any) -> OpenRequest:
    """How to open a database of the test's MariaDB."""
    return OpenRequest(
        name,
        server.jdbc_url(database),
        [jar("mariadb")],
        kind="mariadb",
        quote=("`", "`"),
        user=server.user,
        password=server.password,
        **more,
    )


def connector_j_request(name: str, server: MariaDBServer, database: str, **more: Any) -> OpenRequest:
    """How to open a database of the test's MariaDB by MySQL's own driver."""
    return OpenRequest(
        name,
        server.jdbc_url(database).replace("jdbc:mariadb:", "jdbc:mysql:"),
        [pinned_jar(get_dialect("mysql").drivers[0])],
        kind="mysql",
        quote=("`", "`"),
        user=server.user,
        password=server.password,
        **more,
    )


class LineSession:
    """A session without the client: lines in, events out."""

    def __init__(self, **popen: Any) -> None:
        self.process = subprocess.Popen(
            jvm.command(find_java(), find_jar(), "session"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=jvm.environment(),
            **popen,
        )
        self.events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.lines: list[bytes] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.ready = self.next()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            self.events.put(json.loads(line))
        self.events.put(None)

    def send_bytes(self, line: bytes) -> None:
        """Writes the bytes and a newline."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def send(self, **request: Any) -> None:
        """Writes a request."""
        self.send_bytes(json.dumps(request).encode())

    def next(self, timeout: float = 60) -> dict[str, Any]:
        """The next event; fails the test at the end of the output."""
        event = self.events.get(timeout=timeout)
        assert event is not None, "the session ended"
        return event

    def answer(self, number: object, timeout: float = 60) -> dict[str, Any]:
        """The next event that is not progress; it must be the answer to ``number``."""
        event = self.next(timeout)
        while event["event"] == "progress":
            event = self.next(timeout)
        assert event.get("id") == number, event
        return event

    def end(self) -> None:
        """Kills what is left."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()


@pytest.fixture
def line_session() -> Iterator[LineSession]:
    """A fresh session at the level of lines."""
    running = LineSession()
    yield running
    running.end()


@dataclass(frozen=True)
class OddDrivers:
    """JDBC drivers that behave as no driver should, compiled for these tests."""

    jar: str

    def request(self, name: str, behaviour: str, **more: Any) -> OpenRequest:
        """How to open a connection with one of them: ``hang``, ``chat``, ``fail`` ..."""
        return OpenRequest(name, f"jdbc:odd:{behaviour}", [self.jar], driver_class="odd.OddDriver", **more)


@pytest.fixture(scope="session")
def odd_drivers(tmp_path_factory: pytest.TempPathFactory) -> OddDrivers:
    """The jar of the odd drivers; skips where there is no JDK."""
    return OddDrivers(compiled_jar("OddDriver", tmp_path_factory.mktemp("odd")))


def compiled_jar(name: str, folder: Path, classpath: str = "") -> str:
    """The path of a jar with a class beside this file, compiled; skips where there is no JDK."""
    javac, jar_tool = shutil.which("javac"), shutil.which("jar")
    if javac is None or jar_tool is None:
        unavailable(f"no JDK to compile {name} with")
    source = Path(__file__).parent / f"{name}.java"
    subprocess.run([javac, "--release", "11", "-cp", classpath, "-d", folder / "classes", source], check=True)
    target = folder / f"{name}.jar"
    subprocess.run([jar_tool, "--create", "--file", target, "-C", folder / "classes", "."], check=True)
    return str(target)


def process_lives(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"
