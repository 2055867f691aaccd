"""`tables fix`, and what lint says of missing indexes."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from tests.cli.conftest import Project


def test_fix_shows_and_makes_what_is_missing(project: Project) -> None:
    with closing(sqlite3.connect(project.folder / "dw.db")) as dest, dest:
        dest.execute("CREATE TABLE items (id INTEGER, name TEXT, at TEXT)")
    ddl = [
        'CREATE UNIQUE INDEX "main"."items_key" ON "items" ("id")',
        'CREATE INDEX "main"."items_mark" ON "items" ("at")',
    ]
    shown = project("tables", "fix", "items")
    assert (shown.status, shown.out.splitlines()) == (1, [f"{text};" for text in ddl])
    assert "Nothing was changed. --yes makes them on connection dw." in shown.err
    told = {
        item["code"]: item for item in project("lint", "--live", "--json").json if item["code"] in ("PK607", "PK608")
    }
    assert "pipekit tables fix items" in told["PK607"]["fix"]
    assert told["PK607"]["level"] == "warning"
    assert (told["PK608"]["message"], told["PK608"]["level"]) == (
        '"main"."items" has no index on at: each run reads the whole table.',
        "info",
    )
    assert "has no index on id" in project("run", "items", "--dry-run").out
    made = project("tables", "fix", "items", "--yes", "--json")
    assert (made.status, made.json) == (
        0,
        {"module": "items", "connection": "dw", "statements": ddl, "applied": True},
    )
    again = project("tables", "fix", "items")
    assert (again.status, again.out) == (0, "")
    assert "No index is missing." in again.err
    assert project("run", "items").status == 0


def test_a_fix_that_the_database_refuses(project: Project) -> None:
    with closing(sqlite3.connect(project.folder / "dw.db")) as dest, dest:
        dest.execute("CREATE TABLE items (id INTEGER, name TEXT, at TEXT)")
        dest.execute("INSERT INTO items (id) VALUES (1), (1)")
    done = project("tables", "fix", "items", "--yes")
    assert done.status == 1
    assert "A statement failed on connection dw" in done.err
    assert "UNIQUE constraint failed" in done.err
    wrong = project("tables", "fix", "nothing")
    assert (wrong.status, "There is no module 'nothing'" in wrong.err) == (2, True)
