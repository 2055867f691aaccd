"""However a session ends, nothing stays: no JVM, no open transaction, no session in the database."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipekit_engine.jrunner import JRunnerDied, OpenRequest, Session
from tests.jrunner.conftest import (
    LineSession,
    OddDrivers,
    mariadb_request,
    postgresql_request,
    process_lives,
    sqlite_request,
)
from tests.jrunner.test_protocol import FOREVER
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer

#: The promise is two seconds; a loaded machine gets a little more.
GONE_WITHIN = 2.5


def begin_endless_work(running: LineSession, path: Path) -> None:
    """Opens a file and leaves a transaction in it that will not end by itself."""
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (i)")
    running.send(id=1, **sqlite_request("a", path).to_json())
    running.answer(1)
    running.send(
        id=2,
        op="execute",
        connection="a",
        statements=[{"sql": "INSERT INTO t VALUES (1)"}, {"sql": f"DELETE FROM t WHERE i = ({FOREVER})"}],
    )
    time.sleep(0.3)


def assert_empty_and_writable(path: Path) -> None:
    with sqlite3.connect(path, timeout=1) as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)
        connection.execute("INSERT INTO t VALUES (2)")


def test_end_of_input_cancels_and_rolls_back(line_session: LineSession, tmp_path: Path) -> None:
    begin_endless_work(line_session, tmp_path / "a.db")
    began = time.monotonic()
    assert line_session.process.stdin is not None
    line_session.process.stdin.close()
    assert line_session.answer(2)["error"]["code"] == "cancelled"
    assert line_session.process.wait(5) == 0
    assert time.monotonic() - began < GONE_WITHIN
    assert_empty_and_writable(tmp_path / "a.db")


def test_sigterm_cancels_and_rolls_back(line_session: LineSession, tmp_path: Path) -> None:
    begin_endless_work(line_session, tmp_path / "a.db")
    began = time.monotonic()
    line_session.process.send_signal(signal.SIGTERM)
    assert line_session.process.wait(5) == 143
    assert time.monotonic() - began < GONE_WITHIN
    assert line_session.answer(2)["error"]["code"] == "cancelled"
    assert_empty_and_writable(tmp_path / "a.db")


@pytest.mark.parametrize("how", ["stdin", "SIGTERM"])
def test_a_driver_that_hangs_does_not_keep_the_process(
    line_session: LineSession, odd_drivers: OddDrivers, how: str
) -> None:
    line_session.send(id=1, **odd_drivers.request("odd", "deaf").to_json())
    line_session.answer(1)
    line_session.send(id=2, op="query", connection="odd", sql="SELECT 1")
    line_session.send(id=3, **odd_drivers.request("odd2", "hang").to_json())
    time.sleep(0.2)
    began = time.monotonic()
    if how == "stdin":
        assert line_session.process.stdin is not None
        line_session.process.stdin.close()
    else:
        line_session.process.send_signal(signal.SIGTERM)
    line_session.process.wait(5)
    assert time.monotonic() - began < GONE_WITHIN


PARENT = """
import sys, threading, time
from pipekit_engine.jrunner import OpenRequest, Session
request = eval(sys.stdin.readline())
session = Session()
session.open(request)
sql = sys.stdin.readline()
threading.Thread(target=lambda: session.execute(request.connection, [sql]), daemon=True).start()
time.sleep(0.5)
print(session.pid, flush=True)
time.sleep(60)
"""


def killed_parent(request: OpenRequest, sql: str, hold_pipe: bool = False) -> int:
    """Runs a Python process that runs ``sql`` in a session, kills it with SIGKILL, and returns the JVM's process id."""
    line = repr(request).replace("OpenRequest(", f"OpenRequest(password={request.password!r}, ", 1)
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=os.getcwd()
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    parent.stdin.write(f"{line}\n{sql}\n")
    parent.stdin.flush()
    pid = int(parent.stdout.readline())
    assert process_lives(pid)
    held = open(f"/proc/{pid}/fd/0", "wb") if hold_pipe else None  # noqa: SIM115
    parent.kill()
    parent.wait()
    parent.stdin.close()
    parent.stdout.close()
    if held is not None:
        time.sleep(GONE_WITHIN)
        held.close()
    return pid


def test_a_killed_parent_leaves_no_jvm(tmp_path: Path, eventually: Callable[..., None]) -> None:
    pid = killed_parent(sqlite_request("a", tmp_path / "a.db"), FOREVER)
    eventually(lambda: not process_lives(pid), GONE_WITHIN, "the end of the JVM")


def test_a_killed_parent_is_noticed_though_its_pipe_stays_open(tmp_path: Path) -> None:
    pid = killed_parent(sqlite_request("a", tmp_path / "a.db"), FOREVER, hold_pipe=True)
    assert not process_lives(pid)


@pytest.mark.postgresql
def test_a_killed_parent_leaves_no_postgresql_session(
    postgresql: PostgreSQLServer, eventually: Callable[..., None]
) -> None:
    with postgresql.fresh_database() as database:
        request = postgresql_request("a", postgresql, database, application_name="pipekit orphan")
        count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pipekit orphan'"
        pid = killed_parent(request, "SELECT pg_sleep(60)")
        eventually(lambda: not process_lives(pid), GONE_WITHIN, "the end of the JVM")
        eventually(lambda: postgresql.sql(database, count)[0][0] == 0, 1, "the end of the database session")


@pytest.mark.mariadb
def test_a_killed_parent_leaves_no_mariadb_session(mariadb: MariaDBServer, eventually: Callable[..., None]) -> None:
    with mariadb.fresh_database() as database:
        count = (
            f"SELECT count(*) FROM information_schema.processlist WHERE db = '{database}' AND info LIKE '%SLEEP(60)%'"
        )
        pid = killed_parent(mariadb_request("a", mariadb, database), "SELECT SLEEP(60)")
        eventually(lambda: not process_lives(pid), GONE_WITHIN, "the end of the JVM")
        # The query that looks is in the list, too.
        eventually(lambda: str(mariadb.sql(database, count)[0][0]) <= "1", 1, "the end of the database session")


@pytest.mark.postgresql
def test_a_killed_jvm_leaves_no_long_query(postgresql: PostgreSQLServer, eventually: Callable[..., None]) -> None:
    with postgresql.fresh_database() as database:
        version = int(str(postgresql.sql(database, "SHOW server_version_num")[0][0]))
        if version < 140000:
            pytest.skip("client_connection_check_interval is of PostgreSQL 14")
        with Session() as session:
            session.open(postgresql_request("a", postgresql, database, application_name="pipekit killed"))
            died: list[BaseException] = []

            def run() -> None:
                try:
                    session.execute("a", ["SELECT pg_sleep(60)"])
                except JRunnerDied as error:
                    died.append(error)

            thread = threading.Thread(target=run)
            thread.start()
            time.sleep(0.3)
            os.kill(session.pid, signal.SIGKILL)
            thread.join(5)
            assert died
        count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pipekit killed'"
        eventually(lambda: postgresql.sql(database, count)[0][0] == 0, 4, "the end of the database session")
