"""Which driver opens a URL, which versions are refused, and what is said of errors that leave a person alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipekit_engine.config import Config
from pipekit_engine.databases.connections import Connections, GivenDefinitions
from pipekit_engine.databases.dialects import (
    builtin_drivers,
    catalogue,
    driver_for,
    find_jars,
    get_dialect,
    kind_of_url,
    kinds,
    too_old,
)
from pipekit_engine.errors import ConnectError, RuntimeMissing
from pipekit_engine.jrunner.errors import JRunnerError
from pipekit_engine.jrunner.protocol import OpenRequest, OpenResult
from pipekit_engine.models import Connection, Driver
from pipekit_engine.security.secrets import Secrets

#: Of the databases that run here.
CERTIFICATES = Path(__file__).parents[2] / "docs" / "certificates"
BUILT_IN = {driver.name: driver for driver in builtin_drivers()}


def test_the_table_of_kinds_says_what_their_dialects_say() -> None:
    """It spares a run the import of kinds that it does not use."""
    for kind in kinds():
        dialect = get_dialect(kind)
        assert dialect.kind == kind
        prefixes = {driver.url_prefix for driver in (*dialect.drivers, *dialect.other_drivers)}
        assert all(kind_of_url(f"{prefix}x") == kind for prefix in prefixes)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "mariadb", "h2", "derby", "hsqldb", "duckdb", "mysql"])
def test_drivers_call_themselves_as_is_said(kind: str) -> None:
    """As they did when their kinds were certified here."""
    report = json.loads((CERTIFICATES / f"{kind}.json").read_text())
    assert any(driver.is_named(report["driver"]) for driver in get_dialect(kind).drivers)


class Answering:
    """A session in which a driver of some name and version answers, or an error."""

    prefix = ""

    def __init__(self, driver: str = "", version: str = "", error: JRunnerError | None = None) -> None:
        self.answer = OpenResult("a database", "1", driver, version, reused=False)
        self.error = error
        self.asked: list[OpenRequest] = []
        self.closed: list[str] = []

    def open(self, request: OpenRequest, cancel: object = None) -> OpenResult:
        self.asked.append(request)
        if self.error:
            raise self.error
        return self.answer

    def close(self, connection: str) -> None:
        self.closed.append(connection)


def open_with(session: Answering, folder: Path, kind: str, url: str) -> None:
    connection = Connection(name="db", driver=kind, jdbc_url=url)
    definitions = GivenDefinitions({"db": connection}, BUILT_IN)
    secrets = Secrets.load(folder / "secrets.env")
    Connections(Config(jars=(str(folder),)), definitions, secrets).open(session, "db", "read")  # type: ignore[arg-type]


def test_jtds_is_taken_for_its_own_urls_alone(tmp_path: Path) -> None:
    """Its jar was offered to the built-in driver, which loaded Microsoft's class from it."""
    (tmp_path / "jtds.jar").touch()
    with pytest.raises(RuntimeMissing, match=r"looked for mssql-jdbc\*\.jar in"):
        find_jars(BUILT_IN["sqlserver"], [tmp_path])
    session = Answering()
    open_with(session, tmp_path, "sqlserver", "jdbc:jtds:sqlserver://h:1433/d")
    assert session.asked[0].driver_class == "net.sourceforge.jtds.jdbc.Driver"
    assert session.asked[0].jars == [str(tmp_path / "jtds.jar")]
    (tmp_path / "mssql-jdbc-12.8.1.jre11.jar").touch()
    open_with(session, tmp_path, "sqlserver", "jdbc:sqlserver://h;databaseName=d")
    assert session.asked[1].driver_class == "com.microsoft.sqlserver.jdbc.SQLServerDriver"
    assert session.asked[1].jars == [str(tmp_path / "mssql-jdbc-12.8.1.jre11.jar")]


def test_a_missing_jar_is_installed_by_its_own_name(tmp_path: Path) -> None:
    with pytest.raises(RuntimeMissing, match="pipekit drivers install jtds`"):
        open_with(Answering(), tmp_path, "sqlserver", "jdbc:jtds:sqlserver://h:1433/d")


def test_a_class_or_jar_of_ones_own_stands() -> None:
    url = "jdbc:jtds:sqlserver://h:1433/d"
    own = Driver(name="x", kind="sqlserver", class_name="my.Driver", jar="/x/my.jar")
    assert driver_for(own, url) == own
    jtds = driver_for(BUILT_IN["sqlserver"].model_copy(update={"jar": "/x/jtds-1.3.1.jar"}), url)
    assert (jtds.class_name, jtds.jar) == ("net.sourceforge.jtds.jdbc.Driver", "/x/jtds-1.3.1.jar")
    assert driver_for(BUILT_IN["sqlserver"].model_copy(update={"jar": "/x/mssql-jdbc.jar"}), url).jar is None
    assert driver_for(BUILT_IN["generic"], "jdbc:firebirdsql://h/d") == BUILT_IN["generic"]


@pytest.mark.parametrize(
    ("name", "version", "why"),
    [
        ("Microsoft JDBC Driver 7.4 for SQL Server", "7.4.1.0", "too old: before version 8.4 it moves dates"),
        ("Microsoft JDBC Driver 8.4 for SQL Server", "8.4.1.0", None),
        ("Microsoft JDBC Driver 12.8 for SQL Server", "12.8.1.0", None),
        ("MySQL Connector/J", "mysql-connector-java-8.0.22 (Revision: d64b664fa93e81296a377de031b8123a67e6def2)", "time zone"),
        ("MySQL Connector/J", "mysql-connector-j-8.4.0 (Revision: 1c3f5c149e0bfe31c7fbeb24e2d260cd890972c4)", None),
        ("Oracle JDBC driver", "12.1.0.2.0", "java.time"),
        ("Oracle JDBC driver", "23.4.0.24.05", None),
        ("HSQL Database Engine Driver", "2.6.1", "fraction of a time"),
        ("HSQL Database Engine Driver", "2.7.1", None),
        ("PostgreSQL JDBC Driver", "9.4", None),
    ],
)  # fmt: skip
def test_a_driver_that_changes_values_is_refused(tmp_path: Path, name: str, version: str, why: str | None) -> None:
    (tmp_path / "jtds.jar").touch()
    session = Answering(name, version)
    if why is None:
        assert too_old(session.answer, get_dialect("generic")) is None
        open_with(session, tmp_path, "sqlserver", "jdbc:jtds:sqlserver://h:1433/d")
        assert not session.closed
        return
    with pytest.raises(ConnectError, match=f"is not used: .*{why}.*pipekit drivers install ") as caught:
        open_with(session, tmp_path, "sqlserver", "jdbc:jtds:sqlserver://h:1433/d")
    assert version.split("-")[-1].split(" ")[0] in str(caught.value)
    assert session.closed == ["read:db"]


@pytest.mark.parametrize(("version", "good"), [("v1.3.2", False), ("v1.4.1", True), ("v1.5.6", True)])
def test_duckdbs_driver_is_as_old_as_its_database(version: str, good: bool) -> None:
    """It calls itself 1.0, whatever it is."""
    found = too_old(OpenResult("DuckDB", version, "DuckDBJ", "1.0", reused=False), get_dialect("duckdb"))
    assert (found is None) is good
    assert good or "before version 1.4 it writes times before 1970 a second late" in str(found)


def test_of_each_driver_it_is_said_what_older_ones_do() -> None:
    for _, driver in catalogue():
        assert driver.older.startswith("not known to matter") is (driver.oldest is None)
        assert driver.oldest is None or driver.told_as is not None


@pytest.mark.parametrize(
    ("kind", "error", "words"),
    [
        ("sqlserver", (None, 0, "PKIX path building failed: unable to find valid certification path"), "trustServerCertificate"),
        ("sqlserver", (None, 0, '"encrypt" property is set to "true" ... could not establish a secure connection '
                       "to SQL Server by using Secure Sockets Layer (SSL) encryption"), "trustStore"),
        ("mysql", ("08001", 0, "Public Key Retrieval is not allowed"), "allowPublicKeyRetrieval"),
        ("mariadb", ("S1009", 0, "RSA public key is not available client side (option serverRsaPublicKeyFile not set)"),
         "allowPublicKeyRetrieval"),
        ("mysql", ("HY000", 3750, "Unable to create or change a table without a primary key"), "SESSION_VARIABLES_ADMIN"),
        ("mysql", ("HY000", 1786, "Statement violates GTID consistency: CREATE TABLE ... SELECT."), "8.0.21"),
        ("db2", ("55019", -7008, "ORDERS in ERPLIB not valid for operation."), "STRJRNPF"),
        ("oracle", ("42000", 1031, "ORA-01031: insufficient privileges"), "staging_schema"),
        ("oracle", ("42000", 1950, "ORA-01950: no privileges on tablespace 'USERS'"), "QUOTA"),
        ("duckdb", (None, 0, "IO Error: Trying to read a database file with version number 68, but we can only read versions "
                    "between 64 and 67.\nThe database file was created with an newer version of DuckDB."), "--version VERSION"),
        ("postgresql", ("42601", 0, "syntax error"), ""),
    ],
)  # fmt: skip
def test_errors_whose_words_leave_one_alone(kind: str, error: tuple[str | None, int, str], words: str) -> None:
    told = get_dialect(kind).advise(*error)
    assert told.startswith("\n") is bool(words)
    assert words in told


def test_a_refused_connection_tells_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "mssql-jdbc-12.8.1.jre11.jar").touch()
    error = JRunnerError("PKIX path building failed", phase="open", code="connect")
    with pytest.raises(ConnectError, match=r"PKIX path(.|\n)*trustServerCertificate"):
        open_with(Answering(error=error), tmp_path, "sqlserver", "jdbc:sqlserver://h;databaseName=d")


@pytest.mark.parametrize(
    ("kind", "sqlstate", "code", "denied"),
    [("postgresql", "42501", 0, True), ("mariadb", "42000", 1142, True), ("mysql", "42000", 1064, False),
     ("sqlserver", "S0005", 262, True), ("oracle", "42000", 1031, True), ("derby", "42502", 30000, True),
     ("generic", "42000", 0, False), ("h2", "42000", 42000, False)],
)  # fmt: skip
def test_what_says_that_the_login_may_not(kind: str, sqlstate: str, code: int, *, denied: bool) -> None:
    assert get_dialect(kind).is_denied(sqlstate, code) is denied
