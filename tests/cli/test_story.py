"""A new user's first hour, on a real server: from an empty folder to a scheduled group, and the mistakes on the way."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.cli.conftest import Project
from tests.servers.postgresql import PostgreSQLServer


def test_from_an_empty_folder_to_a_postgresql_warehouse(postgresql: PostgreSQLServer, empty: Project) -> None:
    with closing(sqlite3.connect(empty.folder / "src.db")) as source, source:
        source.execute("CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT)")
        source.executemany("INSERT INTO items VALUES (?, ?)", [(1, "a"), (2, None), (3, "")])
    with postgresql.fresh_database() as database:
        empty.write(
            "definitions/all.yaml",
            f"""
            connections:
              src: {{driver: sqlite, jdbc_url: "jdbc:sqlite:src.db"}}
              dw:
                driver: postgresql
                jdbc_url: {postgresql.jdbc_url(database)}
                username: {postgresql.user}
                password: $DW_PASSWORD
            modules:
              items:
                source: src
                dest: dw
                query: SELECT id, name FROM items
                dest_table: analytics.items
                strategy: full
                hooks: [ANALYZE analytics.items]
            groups:
              nightly: {{members: [items]}}
            """,
        )
        assert empty.look("init").status == 0
        assert empty.look("apply").status == 0
        unset = empty("run", "items")
        assert (unset.status, "$DW_PASSWORD is not set" in unset.err) == (2, True)
        wrong = "wr0ng-sentinel"
        empty.look("secrets", "set", "DW_PASSWORD", stdin=wrong)
        refused = empty("run", "items")
        assert refused.status == 1
        assert "password authentication failed" in refused.err
        empty.look("secrets", "set", "DW_PASSWORD", stdin=postgresql.password)
        assert empty("connections", "test", "dw").status == 0
        done = empty("run-group", "nightly")
        assert done.status == 0, done.err
        assert postgresql.sql(database, "SELECT id, name FROM analytics.items ORDER BY id") == [
            (1, "a"),
            (2, None),
            (3, ""),
        ]
        shown = empty.look("runs", "show")
        assert "ANALYZE analytics.items" in shown.out + empty.look("runs", "tail").out
        again = empty("run", "items", "--json").json
        assert (again["rows_deleted"], again["rows_inserted"]) == (3, 3)
    for secret in (wrong, postgresql.password):
        assert secret not in refused.out + refused.err + done.out + done.err + shown.out
        assert _files_that_hold(empty.folder, secret) <= {"secrets.env"}


def _files_that_hold(folder: Path, text: str) -> set[str]:
    return {file.name for file in folder.rglob("*") if file.is_file() and text.encode() in file.read_bytes()}
