"""The Python client: typed results, cancel, death of the process, secrets, names that a DBA sees, the pool."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipekit_engine.common.columns import Column
from pipekit_engine.common.progress import Progress
from pipekit_engine.errors import RuntimeMissing
from pipekit_engine.jrunner import (
    JRunnerCancelled,
    JRunnerDied,
    JRunnerError,
    OpenRequest,
    Session,
    SessionPool,
    Statement,
)
from pipekit_engine.jrunner import process as process_module
from pipekit_engine.jrunner.protocol import Interruption
from tests.jars import jar
from tests.jrunner.conftest import (
    OddDrivers,
    mariadb_request,
    postgresql_request,
    process_lives,
    sqlite_request,
)
from tests.jrunner.test_protocol import FOREVER
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer
from tests.servers.proxy import CuttableProxy
from tests.waiting import wait_until

SENTINEL = "s3ntinel-pässword'\"{x}\\"

# What is cancelled here would go on for ever, or for far longer than the client waits for a cancel to be obeyed: that
# JRunnerCancelled is raised at all, and not JRunnerDied, says that the cancel was obeyed.


def soon(seconds: float = 0.3) -> threading.Event:
    """An event that is set after a while."""
    event = threading.Event()
    timer = threading.Timer(seconds, event.set)
    timer.daemon = True
    timer.start()
    return event


def test_query_gives_text_and_null(session: Session, sqlite: OpenRequest) -> None:
    answer = session.query("sqlite", "SELECT 1 AS a, NULL AS b, '' AS c UNION ALL SELECT 2, 'x', 'y'", max_rows=1)
    assert answer.columns == ("a", "b", "c")
    assert answer.rows == (("1", None, ""),)
    assert answer.truncated
    assert answer.first == "1"
    assert session.query("sqlite", "SELECT 1 WHERE 0").first is None


def test_braces_and_colons_reach_the_database(session: Session, sqlite: OpenRequest) -> None:
    answer = session.query("sqlite", """SELECT '{d "x"} {fn now()} ?::int -- {y}' -- {z}\n""")
    assert answer.first == '{d "x"} {fn now()} ?::int -- {y}'


def test_describe_names_families(session: Session, sqlite: OpenRequest) -> None:
    session.execute("sqlite", ["CREATE TABLE t (i INTEGER NOT NULL, x TEXT)"])
    columns = session.describe("sqlite", table="t")
    assert [(column.name, column.family) for column in columns] == [("i", "int64"), ("x", "text")]
    assert isinstance(columns[0], Column)
    assert [column.name for column in session.describe("sqlite", sql="SELECT x AS y FROM t")] == ["y"]


def test_an_error_tells_statement_state_and_code(session: Session, postgresql: PostgreSQLServer) -> None:
    with postgresql.fresh_database() as database:
        session.open(postgresql_request("pg", postgresql, database))
        with pytest.raises(JRunnerError) as raised:
            session.query("pg", "SELECT wrong FROM pg_class")
        session.close("pg")
    error = raised.value
    assert (error.phase, error.code, error.sqlstate) == ("query", "sql", "42703")
    assert error.statement == "SELECT wrong FROM pg_class"
    assert 'column "wrong" does not exist' in error.message
    assert "SQLState 42703" in str(error)
    assert "SELECT wrong FROM pg_class" in str(error)


def test_open_of_the_same_parameters_keeps_the_connection(session: Session, tmp_path: Path) -> None:
    request = sqlite_request("kept", tmp_path / "kept.db", init=["CREATE TEMP TABLE marks (i)"])
    assert not session.open(request).reused
    session.execute("kept", ["INSERT INTO marks VALUES (1)"])
    assert session.open(request).reused
    assert session.query("kept", "SELECT count(*) FROM marks").first == "1"
    other = sqlite_request("kept", tmp_path / "kept.db", init=["CREATE TEMP TABLE marks (i, j)"])
    assert not session.open(other).reused
    assert session.query("kept", "SELECT count(*) FROM marks").first == "0"
    assert session.close() == ["kept"]


# ---------------------------------------------------------------- opening


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"jars": ["/nowhere/driver.jar"]}, "driver", "driver jar not found: /nowhere/driver.jar"),
        ({"jars": []}, "driver", "no driver jar given"),
        ({"driver_class": "org.example.Nothing"}, "driver", "driver class org.example.Nothing"),
        ({"driver_class": "org.sqlite.SQLiteConfig"}, "driver", "is not a JDBC driver"),
        ({"url": "jdbc:nothing:x", "kind": ""}, "driver", "does not take the URL jdbc:nothing:x"),
        ({"kind": "oracel"}, "driver", "unknown kind 'oracel'; known are sqlite, postgresql"),
        ({"url": "jdbc:sqlite:/nowhere/x.db"}, "connect", "/nowhere"),
        ({"init": ["SELECT wrong"]}, "sql", "no such column: wrong"),
    ],
)
def test_what_can_be_wrong_with_a_connection(
    session: Session, tmp_path: Path, change: dict[str, Any], code: str, message: str
) -> None:
    fields: dict[str, Any] = {"url": f"jdbc:sqlite:{tmp_path}/x.db", "jars": [jar("sqlite")], "kind": "sqlite"}
    with pytest.raises(JRunnerError) as raised:
        session.open(OpenRequest("wrong", **{**fields, **change}))
    assert raised.value.phase == "open"
    assert raised.value.code == code
    assert message in raised.value.message


@pytest.mark.postgresql
def test_a_wrong_password_is_refused_and_not_shown(session: Session, postgresql: PostgreSQLServer) -> None:
    request = OpenRequest(
        "pg", postgresql.jdbc_url("postgres"), [jar("postgresql")], user=postgresql.user, password=SENTINEL
    )
    with pytest.raises(JRunnerError) as raised:
        session.open(request)
    assert raised.value.code == "connect"
    assert raised.value.sqlstate == "28P01"
    assert "s3ntinel" not in repr(raised.value.__dict__)
    assert "s3ntinel" not in repr(request)


def test_the_connect_timeout_holds_though_the_driver_hangs(session: Session, odd_drivers: OddDrivers) -> None:
    began = time.monotonic()
    with pytest.raises(JRunnerError, match="within 1 s; check the host") as raised:
        session.open(odd_drivers.request("odd", "hang", connect_timeout_s=1))
    assert raised.value.code == "connect"
    assert time.monotonic() - began > 0.9


def test_a_hanging_connect_can_be_cancelled(session: Session, odd_drivers: OddDrivers) -> None:
    with pytest.raises(JRunnerCancelled):
        session.open(odd_drivers.request("odd", "hang", connect_timeout_s=600), cancel=soon())


@pytest.mark.postgresql
def test_a_host_that_does_not_answer_fails_within_the_timeout(
    session: Session, postgresql: PostgreSQLServer, cuttable_proxy: Callable[[int], CuttableProxy]
) -> None:
    proxy = cuttable_proxy(postgresql.port)
    proxy.stall()
    request = OpenRequest("pg", f"jdbc:postgresql://127.0.0.1:{proxy.port}/x", [jar("postgresql")], connect_timeout_s=1)
    with pytest.raises(JRunnerError) as raised:
        session.open(request)  # the driver by itself would wait for ever
    assert raised.value.code == "connect"


# ---------------------------------------------------------------- cancel


def test_cancel_before_the_request(session: Session, sqlite: OpenRequest) -> None:
    event = threading.Event()
    event.set()
    with pytest.raises(JRunnerCancelled):
        session.query("sqlite", "SELECT 1", cancel=event)


def slow_statements(kind: str) -> list[str]:
    return {
        "sqlite": ["CREATE TABLE t (i)", f"INSERT INTO t {FOREVER}"],
        "postgresql": ["CREATE TABLE t (i int)", "INSERT INTO t SELECT 1 FROM pg_sleep(600)"],
        # DDL commits in MariaDB: the table is made before.
        "mariadb": ["INSERT INTO t SELECT SLEEP(600)"],
    }[kind]


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.postgresql),
        pytest.param("mariadb", marks=pytest.mark.mariadb),
    ]
)
def any_database(request: pytest.FixtureRequest, session: Session, tmp_path: Path) -> Iterator[tuple[str, OpenRequest]]:
    """Each kind of database in turn, opened under the name "any"."""
    kind = request.param
    if kind == "sqlite":
        opened = sqlite_request("any", tmp_path / "any.db")
        session.open(opened)
        yield kind, opened
    else:
        server: Any = request.getfixturevalue(kind)
        with server.fresh_database() as database:
            make = postgresql_request if kind == "postgresql" else mariadb_request
            opened = make("any", server, database)
            session.open(opened)
            yield kind, opened
            session.close("any")
        return
    session.close("any")


def test_cancel_ends_the_statement_and_leaves_the_connection_usable(
    session: Session, any_database: tuple[str, OpenRequest]
) -> None:
    kind, request = any_database
    if kind == "mariadb":
        session.execute("any", ["CREATE TABLE t (i int)"])
    with pytest.raises(JRunnerCancelled):
        session.execute("any", slow_statements(kind), cancel=soon())
    assert session.open(request).reused
    if kind == "mariadb":
        assert session.query("any", "SELECT count(*) FROM t").first == "0"
    else:
        with pytest.raises(JRunnerError):
            session.query("any", "SELECT count(*) FROM t")
    assert session.query("any", "SELECT 1").first == "1"


def test_cancel_of_a_query(session: Session, any_database: tuple[str, OpenRequest]) -> None:
    kind, request = any_database
    sql = {"sqlite": FOREVER, "postgresql": "SELECT pg_sleep(600)", "mariadb": "SELECT SLEEP(600)"}[kind]
    for _ in range(3):
        with pytest.raises(JRunnerCancelled):
            session.query("any", sql, cancel=soon(0.1))
        assert session.query("any", "SELECT 1").first == "1"
    assert session.open(request).reused


def test_a_statement_that_ignores_cancel_loses_its_connection(
    session: Session, odd_drivers: OddDrivers, sqlite: OpenRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.open(odd_drivers.request("deaf", "deaf"))
    monkeypatch.setattr(process_module, "CANCEL_TIMEOUT_S", 0.5)
    with Session() as other:
        other.open(odd_drivers.request("deaf", "deaf"))
        with pytest.raises(JRunnerDied, match="did not obey a cancel"):
            other.query("deaf", "SELECT 1", cancel=soon())
        assert not other.alive
    assert session.query("sqlite", "SELECT 1").first == "1"


def test_an_interrupt_cancels_what_is_under_way(session: Session, sqlite: OpenRequest) -> None:
    def interrupt(progress: Progress) -> None:
        raise KeyboardInterrupt

    interruption = Interruption()
    with pytest.raises(KeyboardInterrupt):
        session.execute("sqlite", [FOREVER], on_progress=interrupt, interruption=interruption)
    assert interruption.fate == "undone"
    assert session.query("sqlite", "SELECT 1").first == "1"


def test_progress_is_reported(session: Session, sqlite: OpenRequest) -> None:
    seen: list[Progress] = []
    enough = threading.Event()

    def progress(event: Progress) -> None:
        seen.append(event)
        if event.rows:
            enough.set()

    with pytest.raises(JRunnerCancelled):
        session.execute("sqlite", ["CREATE TABLE p (i)", FOREVER], on_progress=progress, cancel=enough)
    assert seen[-1].phase == "execute"
    assert seen[-1].rows == 1, "the first of two statements is done"
    assert seen[0].elapsed_ms >= 1000


# ---------------------------------------------------------------- lost connections, dead processes


@pytest.mark.postgresql
def test_a_cut_connection_is_told_and_can_be_opened_anew(
    session: Session, postgresql: PostgreSQLServer, cuttable_proxy: Callable[[int], CuttableProxy]
) -> None:
    with postgresql.fresh_database() as database:
        proxy = cuttable_proxy(postgresql.port)
        request = OpenRequest(
            "cut",
            f"jdbc:postgresql://127.0.0.1:{proxy.port}/{database}",
            [jar("postgresql")],
            user=postgresql.user,
            password=postgresql.password,
        )
        session.open(request)
        with pytest.raises(JRunnerError) as raised:
            session.execute("cut", ["SELECT pg_sleep(600)"], on_progress=lambda _: proxy.cut())
        assert raised.value.code == "connection_lost"
        with pytest.raises(JRunnerError, match="was lost and closed; open it again") as raised:
            session.query("cut", "SELECT 1")
        assert raised.value.code == "not_open"
        proxy.mend()
        assert not session.open(request).reused
        assert session.query("cut", "SELECT 1").first == "1"
        session.close("cut")


@pytest.mark.mariadb
def test_a_server_that_falls_silent_does_not_keep_the_session(
    session: Session, mariadb: MariaDBServer, cuttable_proxy: Callable[[int], CuttableProxy]
) -> None:
    """Its driver says goodbye before it closes, and waits for an answer that never comes."""
    proxy = cuttable_proxy(mariadb.port)
    with mariadb.fresh_database() as name:
        request = mariadb_request("db", mariadb, name, connect_timeout_s=2)
        through = replace(request, url=request.url.replace(f":{mariadb.port}/", f":{proxy.port}/"))
        session.open(through)
        proxy.stall()
        with pytest.raises(JRunnerError) as raised:
            session.open(through)
        assert raised.value.code == "connect"
        proxy.mend()
        assert not session.open(through).reused
        session.close("db")


@pytest.mark.postgresql
def test_a_session_ended_by_the_server_is_noticed_at_the_next_open(
    session: Session, postgresql: PostgreSQLServer
) -> None:
    with postgresql.fresh_database() as database:
        request = postgresql_request("ended", postgresql, database, application_name="pipekit ended")
        session.open(request)
        ours = "FROM pg_stat_activity WHERE application_name = 'pipekit ended'"
        postgresql.sql(database, f"SELECT pg_terminate_backend(pid) {ours}")
        wait_until(lambda: postgresql.sql(database, f"SELECT 1 {ours}") == [], "the end of the database session")
        assert not session.open(request).reused
        assert session.query("ended", "SELECT 1").first == "1"
        session.close("ended")


def test_a_killed_process_is_told_with_its_status(tmp_path: Path) -> None:
    with Session() as session:
        session.open(sqlite_request("a", tmp_path / "a.db"))
        threading.Timer(0.3, os.kill, [session.pid, signal.SIGKILL]).start()
        with pytest.raises(JRunnerDied) as raised:
            session.query("a", FOREVER)
        assert raised.value.status == -signal.SIGKILL
        assert not session.alive
        with pytest.raises(JRunnerDied):
            session.query("a", "SELECT 1")


def test_a_heap_that_is_too_small_is_told_with_the_last_words() -> None:
    with pytest.raises(JRunnerDied, match="did not start") as raised:
        Session(heap="1k")
    assert raised.value.status == 1
    assert raised.value.stderr


def test_memory_that_runs_out_ends_the_process_with_a_word() -> None:
    with Session(heap="16m") as session:
        session.open(sqlite_request("a", ":memory:"))
        with pytest.raises(JRunnerDied, match="OutOfMemoryError"):
            session.query("a", "SELECT hex(zeroblob(20000000))")


def test_memory_that_runs_out_says_where_there_is_more() -> None:
    told = str(
        JRunnerDied("ended", status=3, stderr=["Terminating due to java.lang.OutOfMemoryError: Java heap space"])
    )
    assert "`heap` under `jrunner`" in told
    assert "heap" not in str(JRunnerDied("ended", status=3, stderr=["something else"]))


def test_stderr_of_one_of_its_users(session: Session, odd_drivers: OddDrivers) -> None:
    """A session that is lent on keeps the lines of its earlier users: they are not the next run's."""

    def logins(count: int) -> int:
        return sum("logging in" in line for line in session.process.stderr_since(count))

    for _ in range(2):
        before = session.process.stderr_count
        assert session.process.stderr_since(before) == ()
        with pytest.raises(JRunnerError):
            session.open(odd_drivers.request("odd", "chat", password="s3ntinel-pw"))
        wait_until(lambda count=before: logins(count) > 0, "the driver's line on stderr")  # type: ignore[misc]
        assert logins(before) == 1


def test_a_request_that_jrunner_would_skip_is_refused(session: Session, sqlite: OpenRequest) -> None:
    """It could not be answered, and its caller would wait for ever."""
    with pytest.raises(JRunnerError, match="too long: statements may have 32 MiB"):
        session.query("sqlite", "SELECT 1 -- " + "x" * process_module.MAX_LINE_BYTES)
    assert session.query("sqlite", "SELECT 1").first == "1"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RuntimeMissing, match=r"jrunner cannot be started: .*nowhere"):
        Session(cwd=tmp_path / "nowhere")


def test_a_java_that_is_not_there() -> None:
    with pytest.raises(RuntimeMissing, match="apt-get install"):
        Session(java="/nowhere/java")


# ---------------------------------------------------------------- secrets and names


@pytest.mark.postgresql
def test_no_process_shows_the_password(
    postgresql: PostgreSQLServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PIPEKIT_TEST_PASSWORD", "s3ntinel-in-the-environment")
    lines: list[str] = []
    with postgresql.fresh_database() as database, Session(on_stderr=lines.append) as session:
        session.open(postgresql_request("pg", postgresql, database))
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            if int(folder.name) == os.getpid():
                continue
            for name in ("cmdline", "environ"):
                try:
                    content = (folder / name).read_bytes()
                except OSError:
                    continue
                # The test's own environment holds the second sentinel; its children's must not.
                if postgresql.password.encode() in content or b"s3ntinel-in-the-environment" in content:
                    found.append(f"{folder}/{name}")
        assert found == []
        assert session.process.stderr_lines == ()


@pytest.mark.postgresql
def test_the_application_name_is_shown_and_changes_on_an_open_connection(
    session: Session, postgresql: PostgreSQLServer
) -> None:
    with postgresql.fresh_database() as database:
        for name in ("pipekit flights 17", "pipekit planes 18"):
            session.open(postgresql_request("pg", postgresql, database, application_name=name))
            sql = "SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()"
            assert session.query("pg", sql).first == name
        session.close("pg")


# ---------------------------------------------------------------- the pool


def test_the_pool_lends_warm_sessions() -> None:
    with SessionPool(max_sessions=2) as pool:
        with pool.session() as first:
            pid = first.pid
            with pool.session() as second:
                assert second.pid != pid
                cancel = soon(0.1)
                with pytest.raises(JRunnerCancelled), pool.session(cancel=cancel):
                    pass
        with pool.session() as again:
            assert again.pid == pid
            os.kill(pid, signal.SIGKILL)
            with pytest.raises(JRunnerDied):
                again.query("a", "SELECT 1")
        with pool.session() as other:
            assert other.pid != pid
            assert other.alive
        pids = [pid, other.pid, second.pid]
    assert not any(process_lives(number) for number in pids)
    with pytest.raises(RuntimeError), pool.session():
        pass


def test_waiting_borrowers_get_their_turn(tmp_path: Path) -> None:
    done: list[str | None] = []
    with SessionPool(max_sessions=1) as pool:

        def work(number: int) -> None:
            with pool.session() as session:
                session.open(sqlite_request("a", tmp_path / "a.db"))
                done.append(session.query("a", f"SELECT {number}").first)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(int(value or "") for value in done) == list(range(8))


def test_statements_may_expect_row_counts() -> None:
    assert Statement("x").to_json() == {"sql": "x"}
    assert Statement("x", 0).to_json() == {"sql": "x", "expect_rows": 0}
