"""A JVM that is started before anything else is imported: taken by the session that wants just this one, else ended."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipekit_engine.config import Config
from pipekit_engine.databases.dialects import builtin_drivers
from pipekit_engine.jrunner import Session, starting
from pipekit_engine.jrunner.folders import SessionFolder
from pipekit_engine.jrunner.lending import Settings
from pipekit_engine.jrunner.locate import find_java
from pipekit_engine.jrunner.rehearsal import kinds_used
from pipekit_engine.jrunner.start import start_own_session
from pipekit_engine.models import Connection, Module
from pipekit_engine.store import Change, Store
from tests.jrunner.conftest import postgresql_request, sqlite_request
from tests.servers.postgresql import PostgreSQLServer
from tests.waiting import wait_until


def test_the_first_session_that_wants_it_takes_it(java: str, tmp_path: Path) -> None:
    config = Config(path=tmp_path / "pipekit.yaml")
    starting.start_early(tmp_path)
    started = starting._started
    assert started is not None
    assert starting.take_started(Config(path=tmp_path / "pipekit.yaml", jrunner={"heap": "128m"})) is None
    with start_own_session(config) as session, start_own_session(config) as other:
        assert session.pid == started.process.pid != other.pid
        assert session.close() == other.close() == []
    assert not started.temporary.path.exists()


def test_one_that_nobody_took_ends_with_the_command(java: str, tmp_path: Path) -> None:
    """The configuration cannot be read: the command ends before it wants any session."""
    (tmp_path / "pipekit.yaml").write_text("no: such key\n")
    code = (
        "import atexit\nfrom pipekit_engine.cli.entry import main\nfrom pipekit_engine.jrunner import starting\n"
        "started = starting.start_process\n"
        "def start(*args, **options):\n"
        "    process = started(*args, **options)\n"
        "    atexit.register(lambda: print('pid', process.pid, args[1].path))\n"
        "    return process\n"
        "starting.start_process = start\nmain()"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PIPEKIT_CONFIG"}
    told = subprocess.run(
        [sys.executable, "-c", code, "run", "m"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 2, told.stderr
    _, pid, folder = told.stdout.split()
    assert not Path(f"/proc/{pid}").exists()
    assert not Path(folder).exists()


def test_the_kinds_of_a_modules_connections_are_known_before_anything_else_is(tmp_path: Path) -> None:
    database = tmp_path / "a b'ü.db"
    assert kinds_used(str(database)) == ()
    Store.init(f"sqlite:///{database}")
    connections = {"lite": "sqlite", "pg": "postgresql", "my": "mariadb"}
    with Store.open(f"sqlite:///{database}") as store:
        made = [
            *(Change("create", "drivers", driver.name, driver) for driver in builtin_drivers()),
            *(
                Change("create", "connections", name, Connection(name=name, driver=kind, jdbc_url=f"jdbc:{kind}:x"))
                for name, kind in connections.items()
            ),
        ]
        module = Module(name="m", source="lite", dest="pg", query="SELECT 1 AS id", dest_table="t", strategy="full")
        store.definitions.save([*made, Change("create", "modules", "m", module)])
    assert sorted(kinds_used(str(database), "m")) == ["postgresql", "sqlite"]
    assert sorted(kinds_used(str(database))) == ["mariadb", "postgresql", "sqlite"]
    assert kinds_used(str(database), "nothing") == ()
    (tmp_path / "no.db").write_text("no database")
    assert kinds_used(str(tmp_path / "no.db")) == ()


@pytest.mark.postgresql
def test_a_rehearsed_kind_is_opened_as_any_other(postgresql: PostgreSQLServer, tmp_path: Path) -> None:
    """Its driver is on the class path, and one without any is left out; nothing is said on stderr, and no socket is left."""
    process = starting.start_process(
        find_java(), SessionFolder(), rehearsed=("postgresql", "sqlite", "nothing", "oracle", "generic")
    )
    started = starting.StartedProcess(Settings.of(Config()), process, SessionFolder())
    with postgresql.fresh_database() as database, Session(started=started) as session:
        session.open(postgresql_request("pg", postgresql, database))
        session.open(sqlite_request("lite", tmp_path / "lite.db"))
        assert session.query("pg", "SELECT 1").first == session.query("lite", "SELECT 1").first == "1"
        wait_until(lambda: "rehearsal" not in threads(session.pid), "the end of the rehearsal")
        assert session.process.stderr_lines == ()


def threads(pid: int) -> set[str]:
    """The names of a process's threads."""
    return {(task / "comm").read_text().strip() for task in Path(f"/proc/{pid}/task").iterdir()}
