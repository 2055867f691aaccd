"""The demo as a user runs it, on the last days of the year: into SQLite and into a PostgreSQL of its own."""

from __future__ import annotations

import fcntl
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from rich.console import Console

from pipekit_engine.demo.local_server import ServerUnavailable
from pipekit_engine.demo.main import Demo, DemoFailed, run_demo, serve_demo
from pipekit_engine.demo.project import Project, postgresql_folder, warehouse
from pipekit_engine.errors import ConfigurationError
from tests.conftest import unavailable
from tests.jars import jar
from tests.servers.postgresql import PostgreSQLServer

pytestmark = [pytest.mark.timeout(300), pytest.mark.usefixtures("java")]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, java: str) -> Path:
    """A demo into SQLite that went well; `run_demo` itself checks every row and every count."""
    folder = tmp_path_factory.mktemp("demo") / ".demo"
    run_demo("sqlite", folder, days=4)
    return folder


def test_the_demo_leaves_ten_good_runs_and_equal_tables(finished: Path) -> None:
    runs = Demo(finished, Console()).runs()
    assert [run["status"] for run in runs] == ["success"] * 10
    assert {run["module"] for run in runs} == {"airlines", "airports", "planes", "weather", "flights"}
    flights = [run for run in runs if run["module"] == "flights"]
    assert flights[0]["rows_read"] < flights[1]["rows_read"] < 5_000


def test_the_demo_fails_when_a_row_differs(finished: Path) -> None:
    demo = Demo(finished, Console())
    with warehouse("sqlite", demo.project, fresh=False) as target:
        demo.check(target)
        with closing(sqlite3.connect(finished / "warehouse.sqlite")) as database, database:
            database.execute("UPDATE planes SET seats = seats + 1 WHERE tailnum = 'N104UW'")
        with pytest.raises(DemoFailed, match=r"planes: 1 row differs(.|\n)*N104UW"):
            demo.check(target)


@pytest.mark.slow
def test_the_demo_into_duckdb(tmp_path: Path) -> None:
    jar("duckdb")
    run_demo("duckdb", tmp_path / ".demo", days=2)
    demo = Demo(tmp_path / ".demo", Console())
    with closing(sqlite3.connect(demo.project.source)) as database, database:
        database.execute("UPDATE planes SET seats = seats + 1 WHERE tailnum = 'N104UW'")
    with warehouse("duckdb", demo.project, fresh=False) as target, pytest.raises(DemoFailed, match="planes: 1 row"):
        demo.check(target)


@pytest.mark.slow
def test_the_demo_into_postgresql(tmp_path: Path) -> None:
    try:
        run_demo("postgresql", tmp_path / ".demo", days=2)
    except ConfigurationError as error:
        if isinstance(error.__cause__ or error.__context__, ServerUnavailable):
            unavailable(str(error))
        raise
    finally:
        # Root's temporary folders are closed to the server's user, so the cluster lies elsewhere.
        shutil.rmtree(postgresql_folder(tmp_path / ".demo"), ignore_errors=True)


@pytest.mark.postgresql
def test_a_server_of_the_user_keeps_what_is_not_the_demos(
    postgresql: PostgreSQLServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with postgresql.fresh_database() as name:
        postgresql.sql(name, "CREATE TABLE flights (mine int); INSERT INTO flights VALUES (1)")
        monkeypatch.setenv("PIPEKIT_DEMO_PG_URL", postgresql.url(name).replace("+psycopg", ""))
        project = Project(tmp_path / ".demo")
        project.claim()
        with warehouse("postgresql", project) as target:
            project.write("postgresql", target)
            assert target.lasting
            assert target.password == postgresql.password
            assert postgresql.password not in str(target.connection)
        assert postgresql.sql(name, "SELECT mine FROM public.flights") == [(1,)]
        assert postgresql.sql(name, "SELECT 1 FROM pg_namespace WHERE nspname = 'pipekit_demo'") == [(1,)]


@pytest.mark.parametrize("url", ["mysql://u:p@h/d", "postgresql://host-without-database", "nonsense"])
def test_a_url_that_is_not_one_of_postgresql_is_refused(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPEKIT_DEMO_PG_URL", url)
    with pytest.raises(ConfigurationError, match="must look like postgresql://"):
        warehouse("postgresql", Project(tmp_path)).__enter__()


def test_a_folder_that_is_not_a_demo_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigurationError, match="holds no demo"):
        run_demo("sqlite", tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_two_at_once_in_one_folder_are_refused(tmp_path: Path) -> None:
    project = Project(tmp_path / ".demo")
    project.claim()
    with project.held(), pytest.raises(ConfigurationError, match="stop it first"):
        run_demo("sqlite", project.folder)
    lock = project.dagster_home / "serve" / "lock"
    lock.parent.mkdir(parents=True)
    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ConfigurationError, match="stop it first"):
            run_demo("sqlite", project.folder)


def test_serve_without_a_demo_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="make demo"):
        serve_demo(tmp_path / ".demo")
