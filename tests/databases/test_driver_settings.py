"""Settings by which a definition would run code or read files through a JDBC driver."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipekit_engine.databases.connections import _login_hint
from pipekit_engine.errors import ConfigurationError
from pipekit_engine.jrunner.errors import JRunnerError
from pipekit_engine.jrunner.pool import SessionPool
from pipekit_engine.models import Connection
from tests.running.workbench import Workbench

RISKY = [
    ("h2", "jdbc:h2:mem:a;INIT=RUNSCRIPT FROM 'http://host/x.sql'", "INIT"),
    ("h2", "jdbc:h2:mem:a;IN\\IT=CREATE ALIAS X AS 'x'", "INIT"),
    ("h2", "jdbc:h2:mem:a;\u0131nit=CREATE ALIAS X AS 'x'", "\u0131nit"),
    ("h2", "jdbc:h2:mem:a; database_event_listener ='x.Y'", "database_event_listener"),
    ("generic", "jdbc:h2:mem:a;INIT=RUNSCRIPT FROM '/tmp/x.sql'", "INIT"),
    ("duckdb", "jdbc:duckdb:/data/x.duckdb;enable_external_access=true", "enable_external_access"),
    ("duckdb", "jdbc:duckdb:/data/x.duckdb;session_init_sql_file=/tmp/x.sql", "session_init_sql_file"),
    ("duckdb", "jdbc:duckdb:postgres:host=x", "attach"),
    ("postgresql", "jdbc:postgresql://h/d?socketFactory=x.Y&socketFactoryArg=z", "socketFactory"),
    ("postgresql", "jdbc:postgresql://h/d?user=u&socket%2546actory=x.Y", "socketFactory"),
    ("postgresql", "jdbc:postgresql://h/d?loggerLevel=TRACE&loggerFile=/etc/cron.d/x", "loggerLevel"),
    ("mysql", "jdbc:mysql://h/d?autoDeserialize=true&queryInterceptors=x", "autoDeserialize"),
    ("mysql", "jdbc:mysql://address=(host=h)(allowLoadLocalInfile=true)/d", "allowLoadLocalInfile"),
    ("mysql", "jdbc:mysql://(host=h,ALLOWURLINLOCALINFILE=true)/d", "ALLOWURLINLOCALINFILE"),
    ("mariadb", "jdbc:mariadb://h/d?allowLocalInfile=true", "allowLocalInfile"),
    ("sqlserver", "jdbc:sqlserver://h;socketFactoryClass=x.Y", "socketFactoryClass"),
    ("oracle", "jdbc:oracle:thin:@ldap://h:389/cn=x", "ldap"),
    ("oracle", "jdbc:oracle:thin:@config-https://h/x", "config provider"),
    ("db2", "jdbc:db2://h:50000/d:clientRerouteServerListJNDIName=ldap://h/x;", "clientRerouteServerListJNDIName"),
    ("derby", "jdbc:derby:d;startMaster=true;slaveHost=h", "startMaster"),
    ("derby", "jdbc:derby:d;restoreFrom=/tmp/x", "restoreFrom"),
    ("sqlite", "jdbc:sqlite:a.db?enable_load_extension=true", "enable_load_extension"),
    ("sqlite", "jdbc:sqlite::resource:http://h/x.db", "resource"),
    ("generic", "jdbc:any:jndi:ldap://h/x", "jndi"),
]


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path, SessionPool(1))


@pytest.mark.parametrize(("kind", "url", "named"), RISKY)
def test_a_url_that_does_more_than_connect_is_refused(bench: Workbench, kind: str, url: str, named: str) -> None:
    if kind == "generic":
        bench.connect("c", "h2", url)
    else:
        bench.connect("c", kind, url)
    with pytest.raises(ConfigurationError, match=rf"(?i){named} in its jdbc_url.*allowed_driver_settings: \[{named}\]"):
        bench.engine._connections()._request("c", "read", "pipekit")


def test_a_setting_that_changes_rows_is_refused(bench: Workbench) -> None:
    """Wherever it stands, and whatever the kind that the driver is registered under."""
    bench.connect("c", "sqlserver", "jdbc:sqlserver://h;useBulkCopyForBatchInsert=true")
    bench.connect("d", "generic", "jdbc:sqlserver://h", options={"UseBulkCopyForBatchInsert": "true"})
    for name, place in (("c", "jdbc_url"), ("d", "options")):
        with pytest.raises(ConfigurationError, match=rf"(?i)leave useBulk\w+ out of its {place}.*become NULL"):
            bench.engine._connections()._request(name, "write", "pipekit")


def test_options_are_read_too_and_the_configuration_may_allow_them(bench: Workbench) -> None:
    bench.connect(
        "c", "postgresql", "jdbc:postgresql://h/d", options={"sslFactory": "org.postgresql.ssl.NonValidatingFactory"}
    )
    connections = bench.engine._connections()
    with pytest.raises(ConfigurationError, match="sslFactory in its options"):
        connections._request("c", "read", "pipekit")
    connections._config = bench.config.model_copy(update={"allowed_driver_settings": ["sslfactory"]})
    connections._request("c", "read", "pipekit")


def test_a_server_that_is_no_database_refused_no_login() -> None:
    connection = Connection(name="c", driver="mariadb", jdbc_url="jdbc:mariadb://h/d", username="u")
    refused = JRunnerError("Access denied", sqlstate="28000", vendor_code=1045)
    assert "The login was u." in _login_hint(refused, connection)
    assert _login_hint(JRunnerError("unexpected packet", sqlstate="28000", vendor_code=-1), connection) == ""


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        ("h2", "jdbc:h2:/data/init/x;MODE=PostgreSQL;AUTO_SERVER=TRUE"),
        ("derby", "jdbc:derby:d;create=true"),
        ("sqlite", "jdbc:sqlite:/data/resource:load_extension.db?journal_mode=WAL"),
        ("postgresql", "jdbc:postgresql://h/d?sslmode=verify-full&sslrootcert=/etc/ca.pem&options=-c%20search_path=a"),
        ("mysql", "jdbc:mysql://h/d?connectionTimeZone=UTC&trustCertificateKeyStoreUrl=file:/a"),
        ("oracle", "jdbc:oracle:thin:@//h:1521/logger"),
    ],
)
def test_usual_urls_are_left_alone(bench: Workbench, kind: str, url: str) -> None:
    bench.connect("c", kind, url)
    bench.engine._connections()._request("c", "read", "pipekit")
