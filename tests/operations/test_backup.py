"""Backup and restore through the real command, on SQLite and PostgreSQL, with runs under way and after deaths."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from pipekit_engine.common.files import new_file
from pipekit_engine.common.processes import ProcessName
from pipekit_engine.config import Config, load_config
from pipekit_engine.errors import ConfigurationError, NotFoundError, StoreError
from pipekit_engine.models import Group, Module
from pipekit_engine.operations.backup import StateInUse, backup, restore
from pipekit_engine.store import Change, Store, schema
from pipekit_engine.store.database import Database
from tests.cli.conftest import Project
from tests.servers.postgresql import PostgreSQLServer


def config_of(project: Project) -> Config:
    return load_config(project.folder / "pipekit.yaml")


def content(url: str, *, without: tuple[str, ...] = ("definitions_version",)) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table of a store."""
    database = Database(url)
    try:
        with database.read() as connection:
            return {
                table.name: [
                    tuple(row) for row in connection.execute(table.select().order_by(*table.primary_key.columns))
                ]
                for table in schema.metadata.sorted_tables
                if table.name not in without
            }
    finally:
        database.close()


def one_file(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)


def test_a_backup_is_one_private_file_and_comes_back_whole(project: Project) -> None:
    assert project("run", "items").status == 0
    target = project.folder / "state.backup"
    done = project.look("backup", "state.backup")
    assert done.status == 0, done.err
    assert "5 modules, 3 groups, 1 schedule, 1 run" in done.out
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with closing(one_file(target)) as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert file.execute("PRAGMA journal_mode").fetchone() != ("wal",)
    before = content(config_of(project).database_url)

    with Store.open(config_of(project).database_url) as store:
        store.definitions.save([Change("delete", "schedules", "nightly", None)])
        store.runs.prune(timedelta(0))
    restored = project.look("restore", "state.backup")
    assert restored.status == 0, restored.err
    assert "5 modules, 3 groups, 1 schedule, 1 run" in restored.out
    assert content(config_of(project).database_url) == before
    former = next(project.folder.glob("pipekit.db.before-restore.*.bak"))
    assert str(former) in restored.out.replace("\n", "")
    with closing(one_file(former)) as file:
        assert file.execute("SELECT count(*) FROM schedule").fetchone() == (0,)
    assert project("run", "items").status == 0
    assert not list(project.folder.glob(".state.backup*"))


def test_a_backup_never_takes_the_place_of_a_file_unasked(project: Project) -> None:
    (project.folder / "b").write_text("precious")
    refused = project.look("backup", "b")
    assert refused.status == 2
    assert "--force" in refused.err
    assert (project.folder / "b").read_text() == "precious"
    assert project.look("backup", "b", "--force").status == 0
    itself = project.look("backup", "pipekit.db", "--force")
    assert itself.status == 2
    assert "the state itself" in itself.err
    nowhere = project.look("backup", "no/such/folder/b")
    assert nowhere.status == 2
    assert "No such file or directory" in nowhere.err


def test_a_file_that_appears_meanwhile_stays(tmp_path: Path) -> None:
    target = tmp_path / "b"
    with pytest.raises(ConfigurationError, match="exists"), new_file(target) as fresh:  # noqa: PT012
        fresh.write_text("new")
        target.write_text("precious")
    assert target.read_text() == "precious"
    assert os.listdir(tmp_path) == ["b"]


def test_backups_while_runs_write_are_each_of_one_moment(project: Project) -> None:
    """Lock and run begin and end in one transaction: in a backup of one moment they agree."""
    config = config_of(project)
    stop = threading.Event()
    finished: list[int] = []

    def work() -> None:
        with Store.open(config.database_url) as store:
            while not stop.is_set():
                begun = store.runs.start("items", triggered_by="manual")
                assert begun is not None
                store.runs.append_log(begun[0], "x" * 20_000)
                store.runs.finish(begun[0], "success", rows_read=1)
                finished.append(begun[0])

    writer = threading.Thread(target=work)
    writer.start()
    try:
        number = 0
        while number < 20 or len(finished) <= 20:
            number += 1
            report = backup(config, project.folder / f"b{number}")
            with closing(one_file(report.file)) as file:
                locked = file.execute("SELECT running_token FROM module WHERE running").fetchall()
                running = file.execute("SELECT token FROM run_log WHERE status = 'running'").fetchall()
            assert locked == running
            report.file.unlink()
            assert writer.is_alive()
    finally:
        stop.set()
        writer.join()


def test_restore_refuses_while_a_run_is_live(project: Project) -> None:
    assert project.look("backup", "b").status == 0
    with project.start("run", "endless") as running:
        number = running.wait_for_run()
        refused = project.look("restore", "b")
        assert refused.status == 3
        assert f"endless is being run by process {running.process.pid}" in refused.err
        assert not list(project.folder.glob("*.bak"))
        assert project.look("cancel", str(number)).status == 0
        assert running.end().status == 130
    assert project.look("restore", "b").status == 0


def test_restore_refuses_while_a_server_is_at_work(project: Project) -> None:
    assert project.look("backup", "b").status == 0
    lead = "import sys; from pipekit_engine.config import load_config\n"
    lead += "from pipekit_engine.store.leadership import Leadership\n"
    lead += "lead = Leadership(load_config().database_url); print(lead.take(), flush=True); sys.stdin.read()"
    server = subprocess.Popen(
        [sys.executable, "-c", lead],
        cwd=project.folder,
        env=project.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == "True\n"
        refused = project.look("restore", "b")
        assert refused.status == 3
        assert "`pipekit serve` is at work" in refused.err
    finally:
        server.communicate()
    assert project.look("restore", "b").status == 0


def test_a_run_that_was_under_way_and_died_is_ended(project: Project) -> None:
    """The backup is made during a run whose process is then killed, and the state is lost."""
    with project.start("run", "endless") as running:
        number = running.wait_for_run()
        assert project.look("backup", "b").status == 0
        running.send(signal.SIGKILL)
    for part in project.folder.glob("pipekit.db*"):
        part.unlink()
    done = project.look("restore", "b")
    assert done.status == 0, done.err
    assert "interrupted by a restore" in done.out
    with Store.open(config_of(project).database_url) as store:
        run = store.runs.get(number)
        assert run.status == "error"
        assert "was in phase stage when the backup was made" in (run.error or "")
        assert "How it ended is not known" in (run.error or "")
        assert store.leases.all() == []


def test_a_run_that_went_on_is_ended_with_what_the_former_state_knows(project: Project) -> None:
    config = config_of(project)
    with Store.open(config.database_url) as store:
        begun = store.runs.start("items", triggered_by="manual")
        group = store.group_runs.start("good", triggered_by="manual")
        assert begun is not None
        assert group is not None
        report = backup(config, project.folder / "b")
        store.runs.finish(begun[0], "success")
        store.group_runs.finish(group[0], "success", group[1])
    assert report.info.counts["run_log"] == 1
    done = restore(config, report.file)
    assert [run.id for run in done.ended] == [begun[0]]
    assert "It went on to its end: success at" in (done.ended[0].error or "")
    with Store.open(config.database_url) as store:
        assert store.leases.all() == []
        assert store.group_runs.get(group[0]).status == "error"


def test_a_run_that_is_still_under_way_stops_a_restore_even_when_the_state_is_lost(project: Project) -> None:
    config = config_of(project)
    with Store.open(config.database_url) as store:
        assert store.runs.start("items", triggered_by="manual") is not None
    backup(config, project.folder / "b")
    for part in project.folder.glob("pipekit.db*"):
        part.unlink()
    with pytest.raises(StateInUse, match=f"items is being run by process {os.getpid()}"):
        restore(config, project.folder / "b")
    assert not (project.folder / "pipekit.db").exists()


def test_what_must_not_go_back_in_time_does_not(project: Project) -> None:
    config = config_of(project)
    early = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(days=1)
    with Store.open(config.database_url) as store:
        assert store.ticks.claim("nightly", early) == "claimed"
        backup(config, project.folder / "b")
        assert store.ticks.claim("nightly", early + timedelta(days=1)) == "claimed"
        store.ticks.set_trigger_cursor("changed", "seen")
        for _ in range(3):
            begun = store.runs.start("items", triggered_by="manual")
            assert begun is not None
            store.runs.finish(begun[0], "success")
    restore(config, project.folder / "b")
    with Store.open(config.database_url) as store:
        assert store.runs.list() == []
        assert store.ticks.last_fired_at("nightly") == early + timedelta(days=1)
        assert store.ticks.claim("nightly", early + timedelta(days=1)) == "same"
        assert store.ticks.trigger_cursor("changed") == "seen"
        with pytest.raises(NotFoundError):
            store.runs.get(1)
        begun = store.runs.start("items", triggered_by="manual")
        assert begun is not None
        assert begun[0] == 4


@pytest.mark.parametrize("damage", ["garbage", "cut", "newer", "another"])
@pytest.mark.sample(4)
def test_a_file_that_is_no_sound_backup_changes_nothing(project: Project, damage: str) -> None:
    assert project("run", "items").status == 0
    assert project.look("backup", "b").status == 0
    bad = project.folder / "b"
    if damage == "garbage":
        bad.write_bytes(b"no database at all" * 1000)
    elif damage == "cut":
        os.truncate(bad, bad.stat().st_size // 2)
    else:
        with closing(sqlite3.connect(bad)) as file, file:
            file.execute(
                "UPDATE alembic_version SET version_num = '9999'" if damage == "newer" else "DROP TABLE run_log"
            )
    before = content(config_of(project).database_url)
    refused = project.look("restore", "b")
    assert refused.status == 2
    assert str(bad.name) in refused.err
    assert content(config_of(project).database_url) == before
    assert not list(project.folder.glob("*.bak"))
    assert project.look("restore", "missing").status == 2


@pytest.mark.parametrize("damage", ["garbage", "newer", "missing"])
@pytest.mark.sample(3)
def test_restore_in_place_of_state_that_cannot_be_used(project: Project, damage: str) -> None:
    assert project("run", "items").status == 0
    assert project.look("backup", "b").status == 0
    state = project.folder / "pipekit.db"
    if damage == "missing":
        state.unlink()
    elif damage == "garbage":
        for part in project.folder.glob("pipekit.db-*"):
            part.unlink()
        state.write_bytes(b"not a database any more " * 4000)
    else:
        with closing(sqlite3.connect(state)) as file, file:
            file.execute("UPDATE alembic_version SET version_num = '9999'")
    done = project.look("restore", "b")
    assert done.status == 0, done.err
    assert len(list(project.folder.glob("pipekit.db.before-restore.*.bak"))) == (damage != "missing")
    assert project.look("runs", "list", "--json").json[0]["module"] == "items"
    assert project("run", "items").status == 0


#: Restores a backup and prints how many calls into C that took, and how long, unless it is killed at one of them or by its timer.
RESTORE = """
import os, signal, sys, time
from pathlib import Path
from pipekit_engine.operations.backup import restore
from pipekit_engine.config import load_config

def count(frame, event, function):
    global calls
    if event == "c_call":
        calls += 1
        if calls == at_call:
            os.kill(os.getpid(), signal.SIGKILL)

config, calls, at_call, began = load_config(), 0, int(sys.argv[2]), time.monotonic()
signal.setitimer(signal.ITIMER_REAL, float(sys.argv[3]))
sys.setprofile(count)
restore(config, Path(sys.argv[1]))
sys.setprofile(None)
print(calls, time.monotonic() - began)
"""


@pytest.mark.slow
def test_a_restore_that_is_killed_leaves_the_old_state_or_the_new_one(project: Project) -> None:
    config = config_of(project)
    backup(config, project.folder / "few")
    few = content(config.database_url)
    with Store.open(config.database_url) as store:
        for _ in range(100):
            begun = store.runs.start("items", triggered_by="manual")
            assert begun is not None
            store.runs.finish(begun[0], "success", stdout="x" * 50_000)
    many = content(config.database_url)
    backup(config, project.folder / "many")

    def killed(wanted: str, *, at_call: int = 0, after_s: float = 0) -> tuple[int, float]:
        """Restore one in a process that is killed at this call, or after this time; its calls and seconds if it was not."""
        process = subprocess.run(
            [sys.executable, "-c", RESTORE, wanted, str(at_call), str(after_s)],
            cwd=project.folder,
            env=project.environment(TMPDIR=str(project.folder)),
            capture_output=True,
            text=True,
            check=False,
        )
        for former in project.folder.glob("*.bak"):
            former.unlink()  # the next one may come within the same second
        if process.returncode == 0:
            calls, seconds = process.stdout.split()
            return int(calls), float(seconds)
        assert process.returncode in (-signal.SIGKILL, -signal.SIGALRM), process.stderr
        return 0, 0

    def now() -> str:
        state = content(config.database_url)
        assert state in (few, many)
        return "few" if state == few else "many"

    whole = {wanted: killed(wanted) for wanted in ("few", "many")}
    assert now() == "many"
    # Between two calls into C, of which SQLite's are some: at the first one nothing is done.
    killed("few", at_call=1)
    assert now() == "many"
    for part in range(1, 6):
        wanted = "few" if now() == "many" else "many"
        killed(wanted, at_call=whole[wanted][0] * part // 6)
    # In the midst of such a call.
    for part in range(1, 4):
        wanted = "few" if now() == "many" else "many"
        killed(wanted, after_s=whole[wanted][1] * part / 4)
    now()
    killed("few")
    assert now() == "few"


def test_restore_where_there_is_not_even_the_folder(project: Project) -> None:
    """A new machine: configuration, secrets and a backup are all there is."""
    assert project.look("backup", "b").status == 0
    (project.folder / "pipekit.yaml").write_text("database: var/state/pipekit.db\n")
    done = project.look("restore", "b")
    assert done.status == 0, done.err
    assert "former" not in done.out
    assert "items" in project.look("modules").out


def test_state_of_a_newer_pipekit_that_is_open_elsewhere_is_not_moved(project: Project) -> None:
    assert project.look("backup", "b").status == 0
    with closing(sqlite3.connect(project.folder / "pipekit.db")) as other:
        with other:
            other.execute("UPDATE alembic_version SET version_num = '9999'")
        refused = project.look("restore", "b")
        assert refused.status == 2
        assert "open in another process" in refused.err
        assert other.execute("SELECT version_num FROM alembic_version").fetchone() == ("9999",)


def test_a_plain_copy_of_an_older_file_is_a_backup_too(project: Project) -> None:
    """The copy that `init` keeps before an upgrade is restored as any other."""
    shutil.copy(project.folder / "pipekit.db", project.folder / "old.bak")
    with closing(sqlite3.connect(project.folder / "old.bak")) as file:
        file.execute("PRAGMA journal_mode = WAL")
    done = project.look("restore", "old.bak")
    assert done.status == 0, done.err


@pytest.mark.slow
@pytest.mark.postgresql
def test_from_sqlite_to_postgresql_and_back(project: Project, postgresql: PostgreSQLServer) -> None:
    assert project("run", "items").status == 0
    assert project("run", "broken").status == 1
    with Store.open(config_of(project).database_url) as store:
        begun = store.runs.start("copy", triggered_by="manual")
        assert begun is not None
        store.runs.finish(begun[0], "success", stdout="a NUL \0 in a log")
    assert project.look("backup", "b").status == 0
    here = config_of(project)
    before = content(here.database_url)
    with postgresql.fresh_database() as database:
        there = Config(database=postgresql.url(database), path=here.path)
        done = restore(there, project.folder / "b")
        assert done.former is None
        after = content(there.database_url)
        assert after["run_log"][2][after_column("stdout")] == "a NUL \ufffd in a log"
        assert {k: v for k, v in after.items() if k != "run_log"} == {k: v for k, v in before.items() if k != "run_log"}
        assert after["run_log"][:2] == before["run_log"][:2]
        with Store.open(there.database_url) as store:
            begun = store.runs.start("items", triggered_by="manual")
            assert begun is not None
            assert begun[0] == 4
            store.definitions.save([Change("create", "groups", "more", Group(name="more", layers=(("items",),)))])
            with pytest.raises(StateInUse):
                restore(there, project.folder / "b")
            store.runs.finish(begun[0], "success")
            store.runs.prune(timedelta(0))
        report = backup(there, project.folder / "from-postgresql")
        assert report.info.counts["run_log"] == 0
        again = restore(there, project.folder / "b")
        assert again.former is not None
        assert again.former.parent == project.folder
        with Store.open(there.database_url) as store:
            store.runs.prune(timedelta(0))
    restore(here, project.folder / "from-postgresql")
    with Store.open(here.database_url) as store:
        assert "more" in store.definitions.load().groups
        begun = store.runs.start("items", triggered_by="manual")
        assert begun is not None
        assert begun[0] == 5
        store.runs.finish(begun[0], "success")


def after_column(name: str) -> int:
    return [column.name for column in schema.run_log.c].index(name)


@pytest.mark.slow
@pytest.mark.postgresql
def test_a_backup_of_postgresql_is_of_one_moment(project: Project, postgresql: PostgreSQLServer) -> None:
    with postgresql.fresh_database() as database:
        config = Config(database=postgresql.url(database), path=project.folder / "pipekit.yaml")
        assert project.look("backup", "b").status == 0
        restore(config, project.folder / "b")
        stop = threading.Event()

        def work() -> None:
            with Store.open(config.database_url) as store:
                while not stop.is_set():
                    begun = store.runs.start("items", triggered_by="manual")
                    assert begun is not None
                    store.runs.finish(begun[0], "success")

        writer = threading.Thread(target=work)
        writer.start()
        try:
            for number in range(10):
                report = backup(config, project.folder / f"p{number}")
                with closing(one_file(report.file)) as file:
                    locked = file.execute("SELECT running_token FROM module WHERE running").fetchall()
                    running = file.execute("SELECT token FROM run_log WHERE status = 'running'").fetchall()
                assert locked == running
        finally:
            stop.set()
            writer.join()


@pytest.mark.postgresql
def test_a_foreign_database_is_not_overwritten(project: Project, postgresql: PostgreSQLServer) -> None:
    assert project.look("backup", "b").status == 0
    with postgresql.fresh_database() as database:
        postgresql.sql(
            database, "CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('77')"
        )
        config = Config(database=postgresql.url(database), path=project.folder / "pipekit.yaml")
        with pytest.raises(StoreError, match="newer pipekit"):
            restore(config, project.folder / "b")


def test_the_lock_of_another_machine_counts_until_its_lease_ends(project: Project) -> None:
    config = config_of(project)
    backup(config, project.folder / "b")
    with Store.open(config.database_url) as store:
        begun = store.runs.start("items", triggered_by="manual")
        assert begun is not None
    elsewhere = str(ProcessName("another-host", "boot", 1, "1"))
    with closing(sqlite3.connect(project.folder / "pipekit.db")) as file, file:
        file.execute("UPDATE module SET running_owner = ? WHERE running", [elsewhere])
    with pytest.raises(StateInUse, match="another-host"):
        restore(config, project.folder / "b")
    with closing(sqlite3.connect(project.folder / "pipekit.db")) as file, file:
        file.execute("UPDATE module SET heartbeat_at = '2020-01-01T00:00:00.000000+00:00' WHERE running")
    assert restore(config, project.folder / "b").ended == []


def test_definitions_seen_by_others_change(project: Project) -> None:
    """A code location that watches the fingerprint reloads after a restore."""
    config = config_of(project)
    backup(config, project.folder / "b")
    with Store.open(config.database_url) as store:
        before = store.definitions.fingerprint()
        module = Module(name="more", source="src", dest="dw", query="SELECT 1 AS a", dest_table="t", strategy="full")
        store.definitions.save([Change("create", "modules", "more", module)])
        changed = store.definitions.fingerprint()
        restore(config, project.folder / "b")
        assert store.definitions.fingerprint() == before != changed
