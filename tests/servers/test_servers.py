"""The test servers themselves: they answer, keep text as it is, can be cut, and go when their parent is killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from pipekit_engine.demo.local_server import listens
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer
from tests.servers.proxy import CuttableProxy
from tests.waiting import LIMIT, wait_until

TEXT = "'' \\ \t \u00e4 \U0001f600"
ROOT = Path(__file__).resolve().parents[2]


def test_postgresql_answers_and_drops_what_it_made(postgresql: PostgreSQLServer) -> None:
    with postgresql.fresh_database() as name:
        rows = postgresql.sql(
            name, f"CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, '{TEXT}'), (2, NULL); TABLE t"
        )
        assert rows == [(1, TEXT.replace("''", "'")), (2, None)]
    assert postgresql.sql("postgres", f"SELECT 1 FROM pg_database WHERE datname = '{name}'") == []


def test_mariadb_answers_and_tells_null_from_empty(mariadb: MariaDBServer) -> None:
    with mariadb.fresh_database() as name:
        mariadb.sql(
            name, "CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, '\u00e4 \U0001f600'), (2, NULL), (3, '')"
        )
        assert mariadb.sql(name, "SELECT a, b FROM t ORDER BY a") == [
            ("1", "\u00e4 \U0001f600"),
            ("2", None),
            ("3", ""),
        ]
    assert name not in {row[0] for row in mariadb.sql("", "SHOW DATABASES")}


def test_a_cut_proxy_breaks_the_session_and_a_mended_one_serves_again(
    postgresql: PostgreSQLServer, cuttable_proxy: Callable[[int], CuttableProxy]
) -> None:
    proxy = cuttable_proxy(postgresql.port)

    def connect() -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host=proxy.host, port=proxy.port, user=postgresql.user, password=postgresql.password, dbname="postgres"
        )

    with connect() as session:
        assert session.execute("SELECT 1").fetchall() == [(1,)]
        proxy.cut()
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError):
        connect()
    proxy.mend()
    with connect() as session:
        assert session.execute("SELECT 1").fetchall() == [(1,)]
        proxy.cut_after(10_000)
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT length(%s)", ["x" * 1_000_000])


def test_cut_resets_a_silent_connection(cuttable_proxy: Callable[[int], CuttableProxy]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        proxy = cuttable_proxy(server.getsockname()[1])
        with socket.create_connection((proxy.host, proxy.port)) as client:
            client.settimeout(LIMIT)
            server.accept()[0].close()
            peer_gone = client.recv(1)
            assert peer_gone == b""
        with socket.create_connection((proxy.host, proxy.port)) as client:
            client.settimeout(LIMIT)
            peer, _ = server.accept()
            with peer:
                proxy.cut()
                with pytest.raises(ConnectionResetError):
                    client.recv(1)


def test_a_stalled_proxy_keeps_the_connection_and_the_bytes(cuttable_proxy: Callable[[int], CuttableProxy]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        proxy = cuttable_proxy(server.getsockname()[1])
        with socket.create_connection((proxy.host, proxy.port)) as client:
            peer, _ = server.accept()
            with peer:
                peer.settimeout(0.2)
                proxy.stall()
                client.sendall(b"late")
                with pytest.raises(TimeoutError):
                    peer.recv(10)
                proxy.mend()
                peer.settimeout(LIMIT)
                assert peer.recv(10) == b"late"


def test_a_server_goes_when_its_parent_is_killed(postgresql: PostgreSQLServer, tmp_path: Path) -> None:
    program = (
        "import sys, time; from tests.servers.postgresql import PostgreSQLServer as S; s = S();"
        "print(s.port, s.data, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    port, data = parent.stdout.readline().split()
    assert listens(int(port))
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    wait_until(lambda: not listens(int(port)) and not Path(data).parent.exists(), "the end of the server")
