"""Servers that speak TLS, and an SSH server before them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipekit_engine.demo.local_server import ServerUnavailable, give, service_user
from pipekit_engine.jrunner.pool import SessionPool
from tests.conftest import unavailable
from tests.running.workbench import Workbench
from tests.servers.certificates import Authority, Pair
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer
from tests.servers.ssh import SshServer


@pytest.fixture(scope="session")
def pool(java: str) -> Iterator[SessionPool]:
    """One warm jrunner for all tests that do not kill theirs."""
    with SessionPool(1) as pool:
        yield pool


@pytest.fixture
def bench(tmp_path: Path, pool: SessionPool) -> Iterator[Workbench]:
    """A workbench without a destination."""
    bench = Workbench(tmp_path, pool)
    yield bench
    bench.close()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Signs the servers' certificates and the clients'."""
    return Authority(tmp_path_factory.mktemp("authority"), "pipekit's tests")


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that signed none of them."""
    return Authority(tmp_path_factory.mktemp("stranger"), "a stranger")


class TlsPostgreSQL(PostgreSQLServer):
    """PostgreSQL with TLS; its user `certified` must show a certificate. `show(pair)` makes it show another."""

    def __init__(self, authority: Authority) -> None:
        super().__init__()
        self._owner = service_user("postgres")
        self._authority = authority
        for name, source in (("ca.pem", authority.pair.cert), ("server.pem", None), ("server.key", None)):
            self._put(name, source or authority.pair.cert)
        rules = self.data / "pg_hba.conf"
        rules.write_text("hostssl all certified all scram-sha-256 clientcert=verify-ca\n" + rules.read_text())
        self.show(authority.sign("pg", hosts="DNS:localhost,DNS:db.internal.invalid"))
        settings = {"ssl_ca_file": "ca.pem", "ssl_cert_file": "server.pem", "ssl_key_file": "server.key", "ssl": "on"}
        with self.connect() as connection:
            for name, value in settings.items():
                connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")  # type: ignore[call-overload]
            connection.execute("SELECT pg_reload_conf()")
            connection.execute(f"CREATE ROLE certified LOGIN PASSWORD '{self.password}'")  # type: ignore[call-overload]

    def _put(self, name: str, source: Path) -> None:
        target = self.data / name
        shutil.copyfile(source, target)
        target.chmod(0o600)
        give(target, self._owner)

    def show(self, pair: Pair) -> None:
        """Show this certificate from the next connection on."""
        self._put("server.pem", pair.cert)
        self._put("server.key", pair.key)
        with self.connect() as connection:
            connection.execute("SELECT pg_reload_conf()")


@pytest.fixture(scope="session")
def tls_postgresql(authority: Authority) -> Iterator[TlsPostgreSQL]:
    """PostgreSQL with TLS, its certificate for localhost."""
    try:
        server = TlsPostgreSQL(authority)
    except ServerUnavailable as error:
        unavailable(str(error))
    with server:
        yield server


@pytest.fixture(scope="session")
def tls_mariadb(authority: Authority) -> Iterator[MariaDBServer]:
    """MariaDB with TLS, its certificate for localhost; its user `certified` must show one."""
    made = authority.sign("my", hosts="DNS:localhost,DNS:db.internal.invalid")
    owner = service_user("mysql")
    folder = made.cert.parent
    for parent in (folder, *folder.parents):
        if parent.stat().st_mode & 0o005 != 0o005 and str(parent).startswith("/tmp/"):
            parent.chmod(parent.stat().st_mode | 0o011)
    give(made.key, owner)
    for file in (made.cert, authority.pair.cert):
        file.chmod(0o644)
    try:
        server = MariaDBServer(f"--ssl-cert={made.cert}", f"--ssl-key={made.key}", f"--ssl-ca={authority.ca}")
    except ServerUnavailable as error:
        unavailable(str(error))
    server.sql("", f"CREATE USER certified@'%' IDENTIFIED BY '{server.password}' REQUIRE X509")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    """An SSH server of this machine."""
    try:
        server = SshServer(tmp_path_factory.mktemp("ssh server"))
    except ServerUnavailable as error:
        unavailable(str(error))
    yield server
    server.stop()
