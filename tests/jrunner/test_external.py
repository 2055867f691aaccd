"""Driving an external jrunner by its flags: our own in flag mode, and stand-ins that crash, hang and lie."""

from __future__ import annotations

import shlex
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pipekit_engine.common.progress import Progress
from pipekit_engine.errors import RuntimeMissing
from pipekit_engine.jrunner import ColumnPair, JRunnerCancelled, JRunnerError, MigrateRequest, MigrateResult, jvm
from pipekit_engine.jrunner.external import PROBE_TIMEOUT_S, ExternalProgram, ExternalSession
from pipekit_engine.jrunner.locate import find_jar, find_java
from tests.jars import jar
from tests.jrunner.conftest import mariadb_request, postgresql_request, process_lives, sqlite_request
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer
from tests.waiting import wait_until

OUR_OWN = shlex.join(jvm.command(find_java(), find_jar()))


def stand_in(behaviour: str) -> str:
    return shlex.join([sys.executable, str(Path(__file__).with_name("external_stand_in.py")), behaviour])


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A source with three rows in t(i, x) and a destination with an empty one."""
    paths = (tmp_path / "source.db", tmp_path / "dest.db")
    for path in paths:
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE t (i INTEGER, x TEXT)")
    with sqlite3.connect(paths[0]) as connection:
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(1, "a"), (2, None), (3, "")])
    return paths


def migrate(
    command: str,
    files: tuple[Path, Path],
    *,
    sql: str = "SELECT * FROM t",
    columns: tuple[ColumnPair, ...] = (),
    timeout_s: float | None = None,
    cancel: threading.Event | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    clear: bool = False,
) -> MigrateResult:
    with ExternalSession(command, timeout_s=timeout_s) as session:
        session.open(sqlite_request("source", files[0]))
        session.open(sqlite_request("dest", files[1], password="s3ntinel-external"))
        request = MigrateRequest("source", sql, "dest", "t", columns=columns, clear=clear)
        return session.migrate(request, cancel=cancel, on_progress=on_progress)


def arrived(files: tuple[Path, Path]) -> list[tuple[object, ...]]:
    with sqlite3.connect(files[1]) as connection:
        return connection.execute("SELECT * FROM t ORDER BY i").fetchall()


def test_our_own_flag_mode_is_an_external_jrunner(files: tuple[Path, Path]) -> None:
    result = migrate(OUR_OWN, files)
    assert (result.rows_read, result.rows_written, result.path) == (3, 3, "external")
    assert arrived(files) == [(1, "a"), (2, None), (3, "")]
    assert migrate(OUR_OWN, files, clear=True).rows_written == 3
    assert len(arrived(files)) == 3


def test_names_and_positions_become_the_destinations(files: tuple[Path, Path]) -> None:
    pairs = (ColumnPair("text", "x"), ColumnPair("n o", "i"))
    for command in (OUR_OWN, stand_in("honest")):
        result = migrate(
            command, files, sql='SELECT x AS text, i AS "n o" FROM t', columns=pairs, clear=command == OUR_OWN
        )
        assert result.rows_written == 3
    with pytest.raises(JRunnerError, match="the query gives x, the table has i, x") as raised:
        migrate(OUR_OWN, files, sql="SELECT x FROM t")
    assert raised.value.code == "columns"


@pytest.mark.mariadb
def test_names_are_quoted_as_the_source_quotes_them(mariadb: MariaDBServer, tmp_path: Path) -> None:
    mariadb.create_database("external_quotes")
    dest = tmp_path / "dest.db"
    with sqlite3.connect(dest) as connection:
        connection.execute("CREATE TABLE t (i INTEGER, x TEXT)")
    with ExternalSession(OUR_OWN) as session:
        session.open(mariadb_request("source", mariadb, "external_quotes"))
        session.open(sqlite_request("dest", dest))
        pairs = (ColumnPair("order", "x"), ColumnPair("n o", "i"))
        sql = "SELECT 'a' AS `order`, 1 AS `n o`"
        assert session.migrate(MigrateRequest("source", sql, "dest", "t", columns=pairs)).rows_written == 1
    with sqlite3.connect(dest) as connection:
        assert connection.execute("SELECT i, x FROM t").fetchall() == [(1, "a")]


@pytest.mark.parametrize(
    ("behaviour", "code", "message"),
    [
        ("error-text", "sql", "ended with status 0: java.sql.SQLException: connection refused"),
        ("does-nothing", "count_mismatch", "the source has 3 rows and 0 arrived"),
        ("loads-too-few", "count_mismatch", "the source has 3 rows and 1 arrived"),
        ("tells-too-many", "count_mismatch", "told of 4 rows, but 3 arrived"),
        ("crashes", "sql", "ended with status 134: out of memory, password was ***"),
    ],
)
def test_lies_are_found_out(files: tuple[Path, Path], behaviour: str, code: str, message: str) -> None:
    with pytest.raises(JRunnerError) as raised:
        migrate(stand_in(behaviour), files)
    assert raised.value.code == code
    assert message in raised.value.message
    assert "s3ntinel" not in repr(raised.value.__dict__)


def test_a_failure_of_our_own_is_told_with_its_reason(files: tuple[Path, Path]) -> None:
    with sqlite3.connect(files[1]) as connection:
        connection.executescript("DROP TABLE t; CREATE TABLE t (i INTEGER, x TEXT NOT NULL)")
    with pytest.raises(JRunnerError, match="NOT NULL constraint failed"):
        migrate(OUR_OWN, files)
    assert arrived(files) == []


def test_a_hanging_program_is_ended_with_its_children(files: tuple[Path, Path]) -> None:
    cancel = threading.Event()
    child = Path(f"{files[1]}.pids")

    def cancel_once_it_hangs(progress: Progress) -> None:
        if child.exists():
            cancel.set()

    with pytest.raises(JRunnerCancelled):
        migrate(stand_in("hangs"), files, cancel=cancel, on_progress=cancel_once_it_hangs)
    wait_until(lambda: not process_lives(int(child.read_text())), "the end of the program's child")


def test_a_timeout_ends_it_too(files: tuple[Path, Path]) -> None:
    seen: list[Progress] = []
    with pytest.raises(JRunnerError, match="did not end within 5 s"):
        migrate(stand_in("hangs"), files, timeout_s=5, on_progress=seen.append)
    assert seen
    child = Path(f"{files[1]}.pids")
    wait_until(lambda: not process_lives(int(child.read_text())), "the end of the program's child")


def test_a_program_that_hangs_when_asked_for_help(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ended with its children, and sees no more of the environment than a load does."""
    note = tmp_path / "note"
    monkeypatch.setenv("SECRET_OF_ANOTHER", "s3ntinel")

    def wait(process: subprocess.Popen[bytes], timeout: float | None = None) -> int:
        if timeout == PROBE_TIMEOUT_S:
            # It has hung for long enough as soon as its child is there.
            wait_until(note.exists, "the program's note")
            raise subprocess.TimeoutExpired(process.args, timeout)
        return real(process, timeout)

    real = subprocess.Popen.wait
    monkeypatch.setattr(subprocess.Popen, "wait", wait)
    program = ExternalProgram.find(stand_in(f"asks-long {note}"))
    assert not program.password_files
    child, saw_secret = note.read_text().split()
    assert saw_secret == "False"
    wait_until(lambda: not process_lives(int(child)), "the end of the program's child")


def test_passwords_go_by_file_where_the_program_can(files: tuple[Path, Path]) -> None:
    program = ExternalProgram.find(stand_in("files"))
    assert program.password_files
    assert not any("argument list" in limit for limit in program.limits)
    assert any("argument list" in limit for limit in ExternalProgram.find(stand_in("honest")).limits)
    assert ExternalProgram.find(OUR_OWN).password_files
    assert migrate(stand_in("files"), files).rows_written == 3


def test_a_command_that_does_not_exist() -> None:
    with pytest.raises(RuntimeMissing, match="'/nowhere/jrunner' cannot be started"):
        ExternalProgram.find("/nowhere/jrunner")


@pytest.mark.postgresql
def test_a_server_with_a_password(files: tuple[Path, Path], postgresql: PostgreSQLServer) -> None:
    with postgresql.fresh_database() as database, ExternalSession(OUR_OWN) as session:
        session.open(sqlite_request("source", files[0]))
        session.open(postgresql_request("dest", postgresql, database))
        session.execute("dest", ["CREATE TABLE t (x text, i int)"])
        result = session.migrate(MigrateRequest("source", "SELECT * FROM t", "dest", "t"))
        assert result.rows_written == 3
        answer = session.query("dest", "SELECT i, x FROM t ORDER BY i", max_rows=5)
        assert answer.rows == (("1", "a"), ("2", None), ("3", ""))


def test_the_drivers_are_found(monkeypatch: pytest.MonkeyPatch, files: tuple[Path, Path]) -> None:
    monkeypatch.setenv("JRUNNER_JARS", jar("sqlite"))
    assert migrate(OUR_OWN, files).rows_written == 3
