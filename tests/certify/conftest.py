"""Connections that are certified: each of our own databases, and one by a driver with a fault."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipekit_engine.certify.certify import certify
from pipekit_engine.certify.outcomes import Check
from pipekit_engine.certify.report import Report
from pipekit_engine.config import Config
from pipekit_engine.databases.dialects import driver_record
from pipekit_engine.models import Connection, Driver
from pipekit_engine.security.secrets import Secrets
from tests.jars import JAR_FOLDERS, jar
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer

#: Kind -> URL, user, scratch schema.
EMBEDDED = {
    "sqlite": ("jdbc:sqlite:{folder}/d.db", None, "main"),
    "h2": ("jdbc:h2:{folder}/d", "sa", "PUBLIC"),
    "derby": ("jdbc:derby:{folder}/d;create=true", None, "APP"),
    "hsqldb": ("jdbc:hsqldb:file:{folder}/d;hsqldb.write_delay=false;shutdown=true", "SA", "PUBLIC"),
    "duckdb": ("jdbc:duckdb:{folder}/d.duckdb", None, "main"),
}
#: `mysql` is MySQL's Connector/J against MariaDB.
KINDS = (*EMBEDDED, "postgresql", "mariadb", "mysql")
PASSWORD = "$CERTIFY_PW"


@dataclass
class Subject:
    """A connection with its scratch schema."""

    config: Config
    connection: Connection
    driver: Driver
    schema: str

    def certify(self, *only: str, quick: bool = False) -> Report:
        """Certify it, by the checks whose subject and name hold one of the texts, or by all of them."""

        def asked(check: Check) -> bool:
            return not only or any(text in f"{check.subject}: {check.name}" for text in only)

        return certify(self.config, self.connection, self.driver, self.schema, quick=quick, only=asked)


Make = Callable[[str], Subject]


@pytest.fixture
def subject(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Make]:
    """`subject(kind)` gives one of a new database."""
    with ExitStack() as stack:

        def make(kind: str) -> Subject:
            secrets = Secrets.load(tmp_path / "secrets.env")
            config = Config(database=str(tmp_path / "p.db"), secrets=tmp_path / "secrets.env", jars=JAR_FOLDERS)
            if kind in EMBEDDED:
                url, user, schema = EMBEDDED[kind]
                url, password = url.format(folder=tmp_path), ""
            else:
                server: PostgreSQLServer | MariaDBServer = request.getfixturevalue(
                    "postgresql" if kind == "postgresql" else "mariadb"
                )
                database = stack.enter_context(server.fresh_database())
                url, user, password = server.jdbc_url(database), server.user, server.password
                url = url.replace("jdbc:mariadb:", f"jdbc:{kind}:")
                schema = "public" if kind == "postgresql" else database
            secrets.set("CERTIFY_PW", password)
            connection = Connection(
                name="dw", driver=kind, jdbc_url=url, username=user, password=PASSWORD if user else None
            )
            return Subject(config, connection, driver_record(kind), schema)

        yield make


@pytest.fixture(scope="session")
def crooked_jar(java: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """H2's jar with the crooked driver in it."""
    folder = tmp_path_factory.mktemp("crooked")
    javac = Path(java).resolve().with_name("javac")
    subprocess.run([str(javac), "-d", str(folder), str(Path(__file__).with_name("CrookedDriver.java"))], check=True)
    made = folder / "crooked.jar"
    shutil.copy(jar("h2"), made)
    subprocess.run([str(javac.with_name("jar")), "uf", str(made), "-C", str(folder), "crooked"], check=True)
    return made


@pytest.fixture
def crooked(subject: Make, crooked_jar: Path, tmp_path: Path) -> Make:
    """`crooked(fault)` gives an H2 whose driver has that fault."""

    def make(fault: str) -> Subject:
        honest = subject("h2")
        driver = Driver(name="crooked", kind="h2", jar=str(crooked_jar), class_name="crooked.CrookedDriver")
        connection = honest.connection.model_copy(update={"jdbc_url": f"jdbc:crooked:{fault}:{tmp_path}/d"})
        return Subject(honest.config, connection, driver, honest.schema)

    return make
