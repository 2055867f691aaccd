"""Each driver in the version that `pipekit drivers install` fetches: jrunner loads it, it takes its URL, a refusal is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipekit_engine.config import Config
from pipekit_engine.databases.connections import Connections, GivenDefinitions
from pipekit_engine.databases.dialects import (
    Dialect,
    JdbcDriver,
    catalogue,
    driver_record,
    find_jars,
    kind_of_url,
    kinds,
)
from pipekit_engine.errors import ConnectError
from pipekit_engine.jrunner import Session
from pipekit_engine.models import Connection, Driver
from pipekit_engine.security.secrets import Secrets
from tests.jars import PINNED, pinned_jar
from tests.ports import lasting_port

PASSWORD = "s3ntinel-driver"
DRIVERS = [pytest.param(dialect, driver, id=f"{driver.artifact}-{driver.version}") for dialect, driver in catalogue()]
SERVERS = [item for item in DRIVERS if "HOST" in item.values[1].url]  # type: ignore[union-attr]
EMBEDDED = [item for item in DRIVERS if item not in SERVERS]


@pytest.fixture(scope="module")
def session(java: str) -> Iterator[Session]:
    with Session() as running:
        yield running


def open_pinned(
    session: Session, folder: Path, dialect: Dialect, driver: JdbcDriver, url: str, class_name: str | None
) -> str:
    """Open a database by the pinned jar, and return the version that the driver tells."""
    record = Driver(name="pinned", kind=dialect.kind, jar=pinned_jar(driver), class_name=class_name)
    login = {"username": "reader", "password": "$DRIVER_PW"} if dialect.needs_login else {}
    connection = Connection(name="db", driver="pinned", jdbc_url=url, **login)
    secrets = Secrets.load(folder / "secrets.env")
    secrets.set("DRIVER_PW", PASSWORD)
    definitions = GivenDefinitions({"db": connection}, {"pinned": record})
    opened = Connections(Config(connect_timeout_s=20), definitions, secrets).open(session, "db", "write", creates=True)
    # The next test's class or jar is another one.
    session.close(opened.handle)
    return opened.opened.driver_version


def test_every_driver_is_met() -> None:
    assert len(DRIVERS) == len(SERVERS) + len(EMBEDDED)
    assert {item.values[0].kind for item in DRIVERS} == set(kinds())  # type: ignore[union-attr]
    artifacts = {driver.artifact for _, driver in catalogue()}
    assert artifacts >= {
        "mssql-jdbc", "jtds", "ojdbc11", "jt400", "jcc", "mysql-connector-j", "mariadb-java-client", "postgresql",
        "sqlite-jdbc", "h2", "derby", "hsqldb", "jaybird", "duckdb_jdbc",
    }  # fmt: skip
    assert len(artifacts) == len(DRIVERS), "a driver is pinned twice"


@pytest.mark.parametrize(("dialect", "driver"), DRIVERS)
def test_a_url_is_its_kinds_and_a_name_is_its_drivers(dialect: Dialect, driver: JdbcDriver) -> None:
    assert kind_of_url(driver.url) == dialect.kind
    record = driver_record(driver.artifact)
    assert (record.class_name, record.url_template) == (driver.class_name, driver.url)
    if driver in (*dialect.drivers[1:], *dialect.other_drivers):
        # The kind's own record, which has another class, does not take this one's jar.
        assert find_jars(record, [PINNED]) == [Path(pinned_jar(driver))]


@pytest.mark.parametrize("named", [True, False], ids=["by class", "found in the jar"])
@pytest.mark.parametrize(("dialect", "driver"), EMBEDDED)
def test_a_file_is_opened(
    session: Session, tmp_path: Path, dialect: Dialect, driver: JdbcDriver, *, named: bool
) -> None:
    folder = tmp_path / "database"
    url = driver.url.replace("/path/to", str(folder))
    if dialect.kind == "derby":
        url += ";create=true"
    folder.mkdir()
    said = open_pinned(session, tmp_path, dialect, driver, url, driver.class_name if named else None)
    if dialect.kind == "duckdb":
        assert said == "1.0", "what it says in each version"
        return
    assert any(number in said for number in (driver.version, ".".join(driver.version.split(".")[:2]))), said


@pytest.mark.parametrize("named", [True, False], ids=["by class", "found in the jar"])
@pytest.mark.parametrize(("dialect", "driver"), SERVERS)
def test_a_refused_connection_is_told(
    session: Session, tmp_path: Path, dialect: Dialect, driver: JdbcDriver, *, named: bool
) -> None:
    """The driver took the URL and tried: a URL that it does not take, and a missing class, are told otherwise."""
    host = f"127.0.0.1:{lasting_port()}" if driver.default_port else "127.0.0.1"
    url = driver.url.replace(f"HOST:{driver.default_port}", host).replace("HOST", host)
    with pytest.raises(ConnectError) as caught:
        open_pinned(session, tmp_path, dialect, driver, url, driver.class_name if named else None)
    text = str(caught.value)
    label = dialect.for_url(driver.url).label
    assert text.startswith(f"Connection 'db' ({label}) could not be opened: "), text
    assert caught.value.__cause__.code == "connect", text  # type: ignore[union-attr]
    assert "refused" in text or "No listener" in text
    assert PASSWORD not in text
