"""Encrypted connections: what each mode takes and refuses, on servers with certificates of our own."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from pipekit_engine.errors import ConfigurationError, ConnectError
from pipekit_engine.models import Tls
from tests.running.workbench import Workbench
from tests.servers.certificates import Authority
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer
from tests.ways_in.conftest import TlsPostgreSQL

_numbers = count(1)
#: What a server says of the encryption of the connection that asks; empty or NULL without.
CIPHER = {
    "postgresql": "SELECT coalesce(cipher, '') FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
    "mariadb": "SELECT variable_value FROM information_schema.session_status WHERE variable_name = 'Ssl_cipher'",
    "mysql": "SELECT variable_value FROM information_schema.session_status WHERE variable_name = 'Ssl_cipher'",
}
Opens = Callable[..., bool]


@pytest.fixture(params=["postgresql", "mariadb", "mysql"])
def opens(request: pytest.FixtureRequest, bench: Workbench) -> Opens:
    """A function that opens a connection, to a server with TLS unless `plain`, and tells whether it is encrypted."""
    kind: str = request.param
    family = "postgresql" if kind == "postgresql" else "mariadb"

    def opens(host: str = "localhost", *, user: str = "", plain: bool = False, **tls: Any) -> bool:
        server: PostgreSQLServer | MariaDBServer = request.getfixturevalue(family if plain else f"tls_{family}")
        name = f"c{next(_numbers)}"
        database = "postgres" if kind == "postgresql" else "information_schema"
        url = f"jdbc:{kind}://{host}:{server.port}/{database}"
        options = {"options": {"allowPublicKeyRetrieval": "true"}} if kind == "mysql" else {}
        bench.connect(name, kind, url, user or server.user, server.password, tls=Tls(**tls), **options)
        with bench.session(name) as (session, handle):
            cipher = session.query(handle, CIPHER[kind]).first
            session.close(handle)
        return bool(cipher)

    return opens


def test_a_connection_is_as_its_mode_says(opens: Opens, authority: Authority, stranger: Authority) -> None:
    assert not opens(mode="disable")
    assert opens(mode="require")
    assert opens(mode="verify-ca", ca=authority.ca)
    assert opens("127.0.0.1", mode="verify-ca", ca=authority.ca), "the certificate names localhost only; nobody asked"
    assert opens(mode="verify-full", ca=authority.ca)
    with pytest.raises(ConnectError, match=r"\ntls\.mode verify-full: .* for another name"):
        opens("127.0.0.1", mode="verify-full", ca=authority.ca)
    for mode in ("verify-ca", "verify-full"):
        with pytest.raises(ConnectError, match=r"\ntls\.ca: the server's certificate"):
            opens(mode=mode, ca=stranger.ca)
    with pytest.raises(ConnectError, match=r"\ntls\.ca: the server's certificate.*Java"):
        opens(mode="verify-full")


def test_a_server_without_tls_is_told(opens: Opens, authority: Authority) -> None:
    assert not opens(plain=True, mode="disable")
    for tls in ({"mode": "require"}, {"mode": "verify-full", "ca": authority.ca}):
        with pytest.raises(ConnectError, match=r"tls\.mode \S+: the server speaks no TLS"):
            opens(plain=True, **tls)


def test_a_server_that_wants_a_certificate_gets_it(
    opens: Opens, authority: Authority, stranger: Authority, tmp_path: Path
) -> None:
    own = authority.sign("client")
    pair = {"cert": str(own.cert), "key": str(own.key)}
    with pytest.raises(ConnectError, match=r"certificate|Access denied"):
        opens(user="certified", mode="require")
    assert opens(user="certified", mode="require", **pair)
    assert opens(user="certified", mode="verify-full", ca=authority.ca, **pair)
    forms = {
        "sec1": ("ec", "-in", str(own.key), "-out"),
        "locked": ("pkey", "-in", str(own.key), "-aes128", "-passout", "pass:x", "-out"),
    }
    for name, arguments in forms.items():
        authority.openssl(*arguments, str(tmp_path / f"{name} key.pem"))
    assert opens(user="certified", mode="require", cert=pair["cert"], key=str(tmp_path / "sec1 key.pem"))
    wrong = {
        str(tmp_path / "locked key.pem"): r"tls\.key: \S+ key.pem has a passphrase",
        str(tmp_path / "none"): r"tls\.key: there is no file \S+/none",
        pair["cert"]: r"tls\.key: \S+ holds no key in PEM",
        str(stranger.sign("other").key): r"tls\.key: \S+ is not the key of the certificate in tls\.cert",
    }
    for key, message in wrong.items():
        with pytest.raises(ConnectError, match=message):
            opens(mode="require", cert=pair["cert"], key=key)


def test_files_that_cannot_be_read_are_named(opens: Opens, authority: Authority, tmp_path: Path) -> None:
    text = tmp_path / "no certificate.pem"
    text.write_text("hello\n")
    with pytest.raises(ConnectError, match=r"tls\.ca: there is no file .*/gone\.pem"):
        opens(mode="verify-full", ca=str(tmp_path / "gone.pem"))
    with pytest.raises(ConnectError, match=r"tls\.ca: .*no certificate\.pem holds no certificate in PEM"):
        opens(mode="verify-full", ca=str(text))
    with pytest.raises(ConnectError, match=r"tls\.ca: .*cannot be read"):
        opens(mode="verify-full", ca=str(tmp_path))


def test_an_expired_certificate_is_refused(
    bench: Workbench, tls_postgresql: TlsPostgreSQL, authority: Authority
) -> None:
    server = tls_postgresql
    server.show(authority.sign("old", hosts="DNS:localhost", days=-1))
    try:
        tls = Tls(mode="verify-ca", ca=authority.ca)
        url = f"jdbc:postgresql://localhost:{server.port}/postgres"
        bench.connect("old", "postgresql", url, server.user, server.password, tls=tls)
        with pytest.raises(ConnectError, match=r"NotAfter|expired"), bench.session("old"):
            pass
    finally:
        server.show(authority.sign("pg", hosts="DNS:localhost,DNS:db.internal.invalid"))


def test_what_a_driver_cannot_do_is_refused_before_it_is_asked(bench: Workbench) -> None:
    wrong = {
        "tls.mode: prefer is no mode of driver 'mariadb'; it has disable, require": (
            "mariadb",
            "//h/d",
            {"mode": "prefer"},
        ),
        "tls: what driver 'sqlite' calls": ("sqlite", "x.db", {"mode": "require"}),
        "tls: sslmode is set by `tls`": ("postgresql", "//h/d?sslmode=disable", {"mode": "require"}),
        "tls: the jdbc_url must be one for TLS": ("oracle", "thin:@//h:1/s", {"mode": "verify-full"}),
    }
    for message, (kind, rest, tls) in wrong.items():
        name = f"w{next(_numbers)}"
        bench.connect(name, kind, f"jdbc:{kind}:{rest}", tls=Tls(**tls))
        with pytest.raises(ConfigurationError, match=message), bench.session(name):
            pass


def test_nothing_of_a_key_is_left(bench: Workbench, tls_postgresql: TlsPostgreSQL, authority: Authority) -> None:
    own, server = authority.sign("client"), tls_postgresql
    tls = Tls(mode="require", cert=str(own.cert), key=str(own.key))
    bench.connect("c", "postgresql", server.jdbc_url("postgres"), "certified", server.password, tls=tls)
    with bench.session("c") as (session, handle):
        folder = session.process.temporary.path
        (store,) = folder.glob("tls-*.p12")
        assert store.stat().st_mode & 0o077 == 0
        arguments = Path(f"/proc/{session.pid}/cmdline").read_bytes()
        assert os.fsencode(str(own.key)) not in arguments
        session.close(handle)
        assert not list(folder.glob("tls-*"))
