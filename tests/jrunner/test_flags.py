"""Flag mode: the command line that people have."""

from __future__ import annotations

import csv
import io
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pipekit_engine.jrunner import jvm
from pipekit_engine.jrunner.locate import find_jar, find_java
from tests.jars import jar
from tests.jrunner.conftest import process_lives
from tests.jrunner.test_protocol import FOREVER
from tests.servers.postgresql import PostgreSQLServer
from tests.waiting import LIMIT

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def command(*arguments: str) -> list[str]:
    return jvm.command(find_java(), find_jar(), *arguments)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs jrunner in a fresh folder and gives what it printed."""

    def start(*arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command(*arguments),
            input=stdin.encode(),
            capture_output=True,
            cwd=tmp_path,
            env={**os.environ, **environment},
            timeout=LIMIT,
            check=False,
        )
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    return start


@pytest.fixture
def source(tmp_path: Path) -> str:
    """The URL of a file with a table t of awkward texts."""
    texts = ["plain", "", None, 'a,"b"', "tab\tline\nreturn\rback\\slash", " edges ", "\\N", "NULL", "ä😀", "a\\tb"]
    with sqlite3.connect(tmp_path / "source.db") as connection:
        connection.execute("CREATE TABLE t (i INTEGER, x TEXT)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", list(enumerate(texts)))
    return f"jdbc:sqlite:{tmp_path}/source.db"


def test_csv_keeps_null_and_empty_apart(run: Run, source: str) -> None:
    done = run("-scu", source, "-sq", "SELECT i, x FROM t ORDER BY i")
    assert done.returncode == 0
    assert done.stderr.strip().splitlines()[-1] == "10 rows"
    assert done.stdout.startswith('i,x\r\n0,plain\r\n1,""\r\n2,\r\n3,"a,""b"""\r\n')
    read = list(csv.reader(io.StringIO(done.stdout, newline="")))
    assert [row[1] for row in read[5:]] == ["tab\tline\nreturn\rback\\slash", " edges ", "\\N", "NULL", "ä😀", "a\\tb"]


def test_tsv_has_one_line_a_row(run: Run, source: str) -> None:
    done = run("-scu", source, "-sq", "SELECT i, x FROM t ORDER BY i", "-f", "tsv", "--no-header")
    lines = done.stdout.split("\n")
    assert lines[1:5] == ["1\t", "2\t\\N", '3\ta,"b"', "4\ttab\\tline\\nreturn\\rback\\\\slash"]
    assert lines[6:10] == ["6\t\\\\N", "7\tNULL", "8\tä😀", "9\ta\\\\tb"]


def test_the_query_comes_from_a_file_stdin_or_the_line(run: Run, source: str, tmp_path: Path) -> None:
    (tmp_path / "pull.sql").write_text("-- a comment\nSELECT 'ü' AS a", encoding="utf-8")
    assert run("-scu", source, "-sq", "pull.sql").stdout == "a\r\nü\r\n"
    assert run("-scu", source, "-sq", "-", stdin="SELECT 'é' AS b").stdout == "b\r\né\r\n"
    assert run("-scu", source, "-sq", "SELECT 3 AS c").stdout == "c\r\n3\r\n"


def test_data_is_the_same_in_any_locale(run: Run, source: str) -> None:
    done = run("-scu", source, "-sq", "SELECT x FROM t WHERE i = 8", LC_ALL="C", TZ="America/New_York")
    assert done.stdout == "x\r\nä😀\r\n"


def test_a_migration_moves_trims_and_clears(run: Run, source: str, tmp_path: Path) -> None:
    dest = f"jdbc:sqlite:{tmp_path}/dest.db"
    with sqlite3.connect(tmp_path / "dest.db") as connection:
        connection.execute("CREATE TABLE t (x TEXT, i INTEGER)")
        connection.execute("INSERT INTO t VALUES ('old', -1)")
    flags = ["-scu", source, "-sq", "SELECT * FROM t", "-dcu", dest, "-dt", "t"]
    done = run(*flags)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.strip().splitlines()[-1] == "10 rows"
    assert run(*flags, "-c", "-t", "-b").returncode == 0
    with sqlite3.connect(tmp_path / "dest.db") as connection:
        rows = dict(connection.execute("SELECT i, x FROM t"))
    assert len(rows) == 10
    assert (rows[5], rows[1], rows[2]) == (" edges", "", None)


def test_a_failed_migration_changes_nothing_even_with_clear(run: Run, source: str, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "dest.db") as connection:
        connection.execute("CREATE TABLE t (i INTEGER, x TEXT NOT NULL)")
        connection.execute("INSERT INTO t VALUES (-1, 'old')")
    done = run("-scu", source, "-sq", "SELECT * FROM t", "-dcu", f"jdbc:sqlite:{tmp_path}/dest.db", "-dt", "t", "-c")
    assert done.returncode == 1
    assert "NOT NULL constraint failed: t.x" in done.stderr
    with sqlite3.connect(tmp_path / "dest.db") as connection:
        assert connection.execute("SELECT * FROM t").fetchall() == [(-1, "old")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-sq", "SELECT 1"], "-scu is missing"),
        (["-scu", "jdbc:sqlite:x"], "-sq is missing"),
        (["-scu"], "-scu wants a value"),
        (["--explode"], "unknown flag --explode"),
        (["-scu", "jdbc:sqlite:x", "-sq", "nofile.sql"], "no such file, and no query"),
        (["-scu", "jdbc:sqlite:x", "-sq", "SELECT 1", "-f", "xml"], "-f must be csv or tsv"),
        (["-scu", "jdbc:sqlite:x", "-sq", "SELECT 1", "-dcu", "jdbc:sqlite:y"], "-dt is missing"),
        (["-scu", "jdbc:sqlite:x", "-sq", "SELECT 1", "-dt", "t"], "-dcu is missing"),
        (["-scu", "jdbc:sqlite:x", "-sq", "SELECT 1", "-scp", "env:NOT_SET_HERE"], "NOT_SET_HERE is not set"),
        (["-scu", "jdbc:sqlite:x", "-sq", "SELECT 1", "-scp", "@/nowhere"], "password file /nowhere cannot be read"),
    ],
)
def test_wrong_usage_is_told(run: Run, arguments: list[str], message: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert message in done.stderr
    assert "--help" in done.stderr


def test_errors_go_to_stderr_and_fail(run: Run, source: str) -> None:
    done = run("-scu", source, "-sq", "SELECT wrong FROM t")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no such column: wrong" in done.stderr
    assert "in: SELECT wrong FROM t" in done.stderr
    assert run("-scu", source, "-sq", "DELETE FROM t").returncode == 1
    done = run("-scu", "jdbc:unheard:of", "-sq", "SELECT 1")
    assert (done.returncode, "--jars" in done.stderr) == (1, True)
    done = run("-scu", source, "-sq", "SELECT 1", "--jars", str(Path(source).parent))
    assert done.returncode == 1


def test_help_names_every_flag(run: Run) -> None:
    done = run("--help")
    assert done.returncode == 0
    text = done.stdout
    flags = "-scu -scn -scp -sq -f -dcu -dcn -dcp -dt -t -c -b --path --jars --timeout --no-header --version"
    assert [flag for flag in flags.split() if flag not in text] == []
    assert all(len(line) <= 110 for line in text.splitlines())
    assert run("--version").stdout.startswith("jrunner 0.1.0")


def test_jars_may_be_named(run: Run, source: str) -> None:
    assert run("-scu", source, "-sq", "SELECT 1", "--jars", jar("sqlite")).returncode == 0
    assert run("-scu", source, "-sq", "SELECT 1", JRUNNER_JARS=jar("sqlite")).returncode == 0
    assert run("-scu", source, "-sq", "SELECT 1", JRUNNER_JARS=jar("h2")).returncode == 1


@pytest.mark.postgresql
def test_passwords_from_file_and_environment(run: Run, postgresql: PostgreSQLServer, tmp_path: Path) -> None:
    (tmp_path / "pw").write_text(f"{postgresql.password}\n")
    flags = ["-scu", postgresql.jdbc_url("postgres"), "-scn", postgresql.user, "-sq", "SELECT 1 AS one"]
    assert run(*flags, "-scp", "@pw").stdout == "one\r\n1\r\n"
    assert run(*flags, "-scp", "env:DB_PASSWORD", DB_PASSWORD=postgresql.password).returncode == 0
    wrong = run(*flags, "-scp", "env:DB_PASSWORD", DB_PASSWORD="s3ntinel-wrong")
    assert wrong.returncode == 1
    assert "password authentication failed" in wrong.stderr
    assert "s3ntinel" not in wrong.stderr


@pytest.mark.postgresql
def test_a_large_result_needs_no_memory(postgresql: PostgreSQLServer) -> None:
    line = jvm.command(
        find_java(),
        find_jar(),
        *["-scu", postgresql.jdbc_url("postgres"), "-scn", postgresql.user, "-scp", "env:DB_PASSWORD", "-sq"],
        "SELECT repeat('x', 10000) FROM generate_series(1, 20000)",
        heap="48m",
    )
    environment = {**os.environ, "DB_PASSWORD": postgresql.password}
    done = subprocess.run(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment, check=False)
    assert (done.returncode, done.stderr.split()[-2:]) == (0, [b"20000", b"rows"])


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupting_a_migration_rolls_it_back(source: str, tmp_path: Path, number: int, status: int) -> None:
    with sqlite3.connect(tmp_path / "dest.db") as connection:
        connection.execute("CREATE TABLE t (i INTEGER)")
    endless = FOREVER.replace("count(*)", "i").replace("FROM n)", "FROM n)")
    flags = ["-scu", source, "-sq", endless, "-dcu", f"jdbc:sqlite:{tmp_path}/dest.db", "-dt", "t"]
    process = subprocess.Popen(command(*flags), stderr=subprocess.PIPE)
    assert process.stderr is not None
    try:
        assert b"rows" in process.stderr.readline(), "it tells of its progress, so rows are on their way"
        process.send_signal(number)
        assert process.wait(LIMIT) == status
    finally:
        process.kill()
        process.communicate()
    with sqlite3.connect(tmp_path / "dest.db", timeout=1) as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_a_reader_that_goes_away_ends_it(source: str) -> None:
    endless = FOREVER.replace("count(*)", "i")
    process = subprocess.Popen(command("-scu", source, "-sq", endless), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == b"i\r\n"
    process.stdout.close()
    assert process.wait(LIMIT) == 1
    assert b"the output cannot be written" in process.stderr.read()
    process.stderr.close()
    assert not process_lives(process.pid)


def test_the_console_script_becomes_java(source: str) -> None:
    code = "from pipekit_engine.jrunner.launch import main; main()"
    run = [sys.executable, "-c", code]
    done = subprocess.run([*run, "-scu", source, "-sq", "SELECT 1 AS a"], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"a\r\n1\r\n")
    wrong = subprocess.run(run, capture_output=True, text=True, env={**os.environ, "JRUNNER_HEAP": "lots"}, check=False)
    assert wrong.returncode == 1
    assert "JRUNNER_HEAP must be a size" in wrong.stderr
