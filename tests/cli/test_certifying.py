"""`connections certify`: it asks first, writes its report, remembers the certificate, and says what is known."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from pipekit_engine.certify import certify as certifying
from pipekit_engine.certify.bench import PREFIX
from pipekit_engine.certify.outcomes import Broken, Check, Refused
from tests.cli.conftest import COMMAND, Project
from tests.waiting import LIMIT, wait_until


def _held(_: object) -> str:
    return "all of it"


def _refused(_: object) -> str:
    raise Refused("not that")


def _broken(_: object) -> str:
    raise Broken("it became another")


@pytest.fixture
def scratch(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with a connection to a new file, and three checks instead of all."""
    found = [Check("types", "date", _held), Check("types", "time", _refused), Check("keys", "case", _broken)]
    monkeypatch.setattr(certifying, "checks", lambda dialect: found)
    project.write("c.yaml", 'connections: {new: {driver: sqlite, jdbc_url: "jdbc:sqlite:new.db"}}')
    assert project.look("apply", "c.yaml").status == 0
    return project


def test_it_asks_first(scratch: Project) -> None:
    done = scratch.look("connections", "certify", "new", "--schema", "main")
    assert (done.status, "--yes says that they may be" in done.err.replace("\n", " ")) == (2, True)
    assert not (scratch.folder / "certificate-new.json").exists()


def test_what_is_broken_is_told_written_and_remembered(scratch: Project) -> None:
    done = scratch.look("connections", "certify", "new", "--schema", "main", "--yes")
    assert done.status == 1, done.err
    assert [line.split() for line in done.out.splitlines()[:4]] == [
        ["SUBJECT", "CHECK", "OUTCOME", "FOUND"],
        ["types", "date", "held", "all", "of", "it"],
        ["types", "time", "refused", "not", "that"],
        ["keys", "case", "broken", "it", "became", "another"],
    ]
    assert "1 held, 1 refused, 1 broken  new: SQLite" in done.out
    report = json.loads((scratch.folder / "certificate-new.json").read_text())
    assert [item["outcome"] for item in report["findings"]] == ["held", "refused", "broken"]
    assert (report["kind"], report["format"], report["whole"]) == ("sqlite", 1, True)
    (listed,) = [item for item in scratch.look("connections", "list", "--json").json if item["name"] == "new"]
    assert listed["certificate"]["broken"] == ["keys: case"]
    assert "broken: keys: case" in scratch.look("connections", "list").out
    checks = {item["name"]: item for item in scratch.look("doctor", "--json").json}
    assert (checks["certificate of new"]["ok"], "broken: keys: case" in checks["certificate of new"]["detail"]) == (
        None,
        True,
    )
    assert "certificate of dw" not in checks
    module = "modules: {n: {source: src, dest: new, query: SELECT id FROM items, dest_table: n, strategy: full}}"
    scratch.write("n.yaml", module)
    assert scratch.look("apply", "n.yaml").status == 0
    run = scratch("run", "n", "--json")
    assert run.status == 0, run.err
    first = run.json["live_log"].splitlines()[0] if "live_log" in run.json else run.err.splitlines()[0]
    assert "connection new: certified on" in first
    assert "broken: keys: case" in first


def test_ctrl_c_empties_the_schema(project: Project) -> None:
    """In the midst of a certification by the command itself: nothing stays, nothing is remembered."""
    project.write("c.yaml", 'connections: {new: {driver: sqlite, jdbc_url: "jdbc:sqlite:new.db"}}')
    assert project.look("apply", "c.yaml").status == 0

    def tables() -> list[str]:
        with closing(sqlite3.connect(project.folder / "new.db", timeout=30)) as connection:
            return [str(row[0]) for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]

    command = [*COMMAND, "connections", "certify", "new", "--schema", "main", "--yes"]
    with subprocess.Popen(
        command,
        cwd=project.folder,
        env=project.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_until(lambda: tables() != [], "its first table")
        assert all(name.startswith(PREFIX) for name in tables())
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=LIMIT)
    assert process.returncode == 130, said
    assert "its tables were dropped" in said
    assert tables() == []
    assert not (project.folder / "certificate-new.json").exists()
    (listed,) = [item for item in project.look("connections", "list", "--json").json if item["name"] == "new"]
    assert listed["certificate"] is None


def test_all_held_is_a_success(scratch: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(certifying, "checks", lambda dialect: [Check("types", "date", _held)])
    command = (
        "connections",
        "certify",
        "new",
        "--schema",
        "main",
        "--yes",
        "--json",
        "--report",
        str(tmp_path / "r.json"),
    )
    done = scratch.look(*command)
    assert (done.status, done.json["findings"][0]["outcome"]) == (0, "held")
    assert (tmp_path / "r.json").exists()


def test_a_kind_that_was_never_met_here_is_said_to_be_never_certified(project: Project) -> None:
    project.write(
        "c.yaml", 'connections: {far: {driver: sqlserver, jdbc_url: "jdbc:sqlserver://h:1433", username: me}}'
    )
    assert project.look("apply", "c.yaml").status == 0
    lines = {line.split()[0]: line for line in project.look("connections", "list").out.splitlines()}
    assert lines["far"].endswith("never")
    assert lines["dw"].endswith("by pipekit's tests")
