"""However a session ends, nothing stays: no JVM, no open transaction, no session in the database.

None of the work that is under way here would end by itself, so what ends within `LIMIT` was ended. That it takes jrunner no more
than two seconds is promised for a machine with time for it.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
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
from tests.waiting import LIMIT, wait_until


def begin_endless_work(running: LineSession, path: Path) -> None:
    """Opens a file and leaves a transaction in it that will not end by itself; returns in the midst of it."""
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
    wait_until_busy(running, 2)


def wait_until_busy(running: LineSession, number: int) -> None:
    """Until a request has begun: it tells of its progress every second."""
    event = running.next()
    while (event["event"], event["id"]) != ("progress", number):
        assert event["event"] == "progress", event
        event = running.next()


def assert_empty_and_writable(path: Path) -> None:
    with sqlite3.connect(path, timeout=1) as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)
        connection.execute("INSERT INTO t VALUES (2)")


def test_end_of_input_cancels_and_rolls_back(line_session: LineSession, tmp_path: Path) -> None:
    begin_endless_work(line_session, tmp_path / "a.db")
    assert line_session.process.stdin is not None
    line_session.process.stdin.close()
    assert line_session.answer(2)["error"]["code"] == "cancelled"
    assert line_session.process.wait(LIMIT) == 0
    assert_empty_and_writable(tmp_path / "a.db")


def test_sigterm_cancels_and_rolls_back(line_session: LineSession, tmp_path: Path) -> None:
    begin_endless_work(line_session, tmp_path / "a.db")
    line_session.process.send_signal(signal.SIGTERM)
    assert line_session.process.wait(LIMIT) == 143
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
    wait_until_busy(line_session, 3)
    if how == "stdin":
        assert line_session.process.stdin is not None
        line_session.process.stdin.close()
    else:
        line_session.process.send_signal(signal.SIGTERM)
    line_session.process.wait(LIMIT)


PARENT = """
import sys, threading, time
from pipekit_engine.jrunner import OpenRequest, Session
request = eval(sys.stdin.readline())
session = Session()
session.open(request)
sql = sys.stdin.readline()
busy = threading.Event()
work = lambda: session.execute(request.connection, [sql], on_progress=lambda _: busy.set())
threading.Thread(target=work, daemon=True).start()
busy.wait()
print(session.pid, flush=True)
time.sleep(600)
"""


def killed_parent(request: OpenRequest, sql: str, *, hold_pipe: bool = False) -> None:
    """Runs a Python process that runs ``sql`` in a session, kills it with SIGKILL, and sees the JVM go, too."""
    line = repr(request).replace("OpenRequest(", f"OpenRequest(password={request.password!r}, ", 1)
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=os.getcwd()
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    held = None
    try:
        parent.stdin.write(f"{line}\n{sql}\n")
        parent.stdin.flush()
        pid = int(parent.stdout.readline())
        assert process_lives(pid)
        held = open(f"/proc/{pid}/fd/0", "wb") if hold_pipe else None  # noqa: SIM115
        parent.kill()
        parent.wait()
        wait_until(lambda: not process_lives(pid), "the end of the JVM")
    finally:
        parent.kill()
        parent.communicate()
        if held is not None:
            held.close()


def test_a_killed_parent_leaves_no_jvm(tmp_path: Path) -> None:
    killed_parent(sqlite_request("a", tmp_path / "a.db"), FOREVER)


def test_a_killed_parent_is_noticed_though_its_pipe_stays_open(tmp_path: Path) -> None:
    killed_parent(sqlite_request("a", tmp_path / "a.db"), FOREVER, hold_pipe=True)


@pytest.mark.postgresql
def test_a_killed_parent_leaves_no_postgresql_session(postgresql: PostgreSQLServer) -> None:
    with postgresql.fresh_database() as database:
        request = postgresql_request("a", postgresql, database, application_name="pipekit orphan")
        count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pipekit orphan'"
        killed_parent(request, "SELECT pg_sleep(600)")
        wait_until(lambda: postgresql.sql(database, count)[0][0] == 0, "the end of the database session")


@pytest.mark.mariadb
def test_a_killed_parent_leaves_no_mariadb_session(mariadb: MariaDBServer) -> None:
    with mariadb.fresh_database() as database:
        count = (
            f"SELECT count(*) FROM information_schema.processlist WHERE db = '{database}' AND info LIKE '%SLEEP(600)%'"
        )
        killed_parent(mariadb_request("a", mariadb, database), "SELECT SLEEP(600)")
        # The query that looks is in the list, too.
        wait_until(lambda: mariadb.sql(database, count) == [("1",)], "the end of the database session")


@pytest.mark.postgresql
def test_a_killed_jvm_leaves_no_long_query(postgresql: PostgreSQLServer) -> None:
    with postgresql.fresh_database() as database:
        version = int(str(postgresql.sql(database, "SHOW server_version_num")[0][0]))
        if version < 140000:
            pytest.skip("client_connection_check_interval is of PostgreSQL 14")
        count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pipekit killed'"
        with Session() as session:
            session.open(postgresql_request("a", postgresql, database, application_name="pipekit killed"))
            died: list[BaseException] = []

            def run() -> None:
                try:
                    session.execute("a", ["SELECT pg_sleep(600)"])
                except JRunnerDied as error:
                    died.append(error)

            thread = threading.Thread(target=run)
            thread.start()
            asleep = f"{count} AND wait_event = 'PgSleep'"
            wait_until(lambda: postgresql.sql(database, asleep)[0][0] == 1, "the query's begin")
            os.kill(session.pid, signal.SIGKILL)
            thread.join(LIMIT)
            assert died
        wait_until(lambda: postgresql.sql(database, count)[0][0] == 0, "the end of the database session")
