"""TLS of the drivers whose databases are not here, against a certificate with nothing behind it: whom they trust."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from pipekit_engine.databases.dialects import get_dialect
from pipekit_engine.errors import ConnectError
from pipekit_engine.models import Driver, Tls
from tests.jars import pinned_jar
from tests.running.workbench import Workbench
from tests.servers.certificates import Authority
from tests.servers.tls import TlsServer, TlsTDS

_numbers = count(1)
#: Server and URL.
DRIVERS: dict[str, tuple[type[TlsServer], str]] = {
    "sqlserver": (TlsTDS, "jdbc:sqlserver://localhost:{port};databaseName=d;loginTimeout=5;connectRetryCount=0"),
    "oracle": (TlsServer, "jdbc:oracle:thin:@tcps://localhost:{port}/dw"),
    "db2": (TlsServer, "jdbc:db2://localhost:{port}/dw"),
}
#: The name in a certificate that is another server's.
OTHER = "DNS:db.internal.invalid"
Tries = Callable[..., tuple[str, bool]]


@pytest.fixture
def tries(bench: Workbench, authority: Authority) -> Tries:
    """A function that connects by a kind's driver: what it says in the end, and whether it trusted the server."""

    def tries(
        kind: str, names: str = "DNS:localhost", *, days: int = 2, tls: dict[str, Any] | None = None
    ) -> tuple[str, bool]:
        make, url = DRIVERS[kind]
        with make(authority.sign(f"s{next(_numbers)}", hosts=names, days=days)) as server:
            name = f"c{next(_numbers)}"
            driver = kind
            if kind == "db2":
                driver = "jcc"
                if driver not in bench.store.definitions.load_checked()[0].drivers:
                    jcc = get_dialect("db2").drivers[1]
                    bench.save(Driver(name=driver, kind="db2", class_name=jcc.class_name, jar=pinned_jar(jcc)))
            bench.connect(name, driver, url.format(port=server.port), "u", "p", tls=Tls(**tls) if tls else None)
            with pytest.raises(ConnectError) as raised, bench.session(name):
                pass
            return str(raised.value), server.asked > 0

    return tries


def test_sql_server_says_the_way_out_of_a_certificate_that_it_does_not_trust(tries: Tries) -> None:
    """Its driver encrypts unless told otherwise, and most servers have a certificate that they made themselves."""
    said, trusted = tries("sqlserver")
    assert "PKIX path building failed" in said
    assert "tls: {mode: verify-full, ca: " in said
    assert "trustServerCertificate=true" in said
    assert not trusted


@pytest.mark.parametrize(
    "kind", ["sqlserver", pytest.param("oracle", marks=pytest.mark.slow), pytest.param("db2", marks=pytest.mark.slow)]
)
def test_whom_a_driver_trusts(tries: Tries, authority: Authority, stranger: Authority, kind: str) -> None:
    full = {"mode": "verify-full", "ca": authority.ca}
    assert tries(kind, tls=full)[1]
    if kind != "db2":  # IBM's driver compares the name after it has sent the login
        said, trusted = tries(kind, OTHER, tls=full)
        assert re.search(r"\ntls\.mode verify-full: .* for another name", said), said
        assert not trusted
    wrong = {
        r"\ntls\.ca: .*none of the authorities in": tries(kind, tls={**full, "ca": stranger.ca}),
        r"\ntls\.ca: .*Java": tries(kind, tls={"mode": "verify-full"}),
        r"\ntls: .*is not valid today": tries(kind, days=-1, tls=full),
    }
    for pattern, (said, trusted) in wrong.items():
        assert re.search(pattern, said), said
        assert "trustServerCertificate=true" not in said, "what is said without `tls` would be refused beside it"
        assert not trusted
    loose = {"mode": "require"} if kind == "sqlserver" else {"mode": "verify-ca", "ca": authority.ca}
    assert tries(kind, OTHER, tls=loose)[1]
