"""The wizard on a real terminal: keys go in, the screen is read."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
import yaml

from tests.cli.conftest import Project
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer
from tests.wizard.conftest import fill
from tests.wizard.screen import Typist

Typing = Callable[..., Typist]

pytestmark = pytest.mark.timeout(600)


def definitions(project: Project, file: str) -> dict[str, dict[str, dict[str, object]]]:
    return yaml.safe_load((project.folder / "definitions" / file).read_text())  # type: ignore[no-any-return]


def snapshot(project: Project) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in project.folder.rglob("*.*") if path.suffix in (".yaml", ".env")}


@pytest.fixture
def another_database(mariadb: MariaDBServer) -> Iterator[str]:
    """A database that is not the one to copy from."""
    with mariadb.fresh_database() as name:
        yield name


def test_from_nothing_to_rows_in_the_warehouse(
    project: Project,
    typing: Typing,
    mariadb_shop: tuple[MariaDBServer, str],
    warehouse: tuple[PostgreSQLServer, str],
    another_database: str,
) -> None:
    (server, database), (pg, target) = mariadb_shop, warehouse
    server.sql("", "CREATE DATABASE IF NOT EXISTS pipekit_staging")  # pipekit's own is nothing to copy from
    typist = typing("wizard")
    typist.answer("Kind of database", "mariadb", "enter")
    typist.answer("Where (host:port/database", f"{server.host}:{server.port}/{database}", "enter")
    typist.answer("User", server.user, "enter")
    typist.answer("Password", "wrong", "enter")
    typist.answer("Name of this connection", "ctrl-u", "shop", "enter")
    typist.answer("Access denied", "enter")  # change it and try again
    typist.wait_for("Change it and try again: yes")
    typist.keys("enter", "enter")  # address and user stay
    typist.keys(server.password, "enter")
    typist.keys("ctrl-u", "shop", "enter")
    typist.wait_for("connected: MariaDB")
    typist.wait_for("? Database", another_database)
    typist.keys("enter")  # the address names the one to begin with
    typist.answer("Tables", "orders", "enter")
    typist.answer("Copy to", "enter")  # a new one: the source itself is no proposal
    typist.answer("Kind of database", "postgres", "enter")
    typist.answer("Where (host:port/database", f"{pg.host}:{pg.port}/{target}", "enter")
    typist.keys(pg.user, "enter", pg.password, "enter", "ctrl-u", "dw", "enter")
    typist.wait_for("connected: PostgreSQL")
    typist.answer("Group", "enter")
    typist.answer("Name of the group", "enter")
    typist.answer("When (cron", "enter")
    typist.answer("Time zone", "ctrl-u", "Europe/Paris", "enter")
    typist.wait_for("Looks right", "upsert: updated_at says when a row changed; id tells rows apart")
    typist.keys("enter")
    screen = typist.answer("All of this", "enter")
    assert "WHERE updated_at >= '0001-01-01 00:00:00'" in screen
    assert "2024-05-02 10:00:00" in screen
    assert "the first 4 rows" in screen
    assert typist.end() == 0
    assert "success" in typist.screen.text
    assert server.password not in typist.screen.text
    assert pg.sql(target, f"SELECT count(*) FROM {database}.orders") == [(4,)]
    assert definitions(project, "groups.yaml")["schedules"]["shop"]["timezone"] == "Europe/Paris"
    again = project("run", "orders", "--json")
    assert again.json["rows_read"] == 2, "the row without a time and the newest; the others are known"


def test_ctrl_c_leaves_everything_as_it_was(project: Project, typing: Typing) -> None:
    fill(project.folder / "src.db", "CREATE TABLE t (id INTEGER PRIMARY KEY)")
    before = snapshot(project)
    typist = typing("wizard")
    typist.answer("Kind of database", "sqlite", "enter")
    typist.answer("Where", "src.db", "enter")
    typist.answer("Name of this connection", "enter")
    typist.answer("Tables", "enter")
    typist.answer("Copy to", "ctrl-c")
    assert typist.end() == 130
    assert "Traceback" not in typist.screen.text
    assert snapshot(project) == before
    assert project.look("connections", "list", "--json").json == []


def test_ctrl_c_while_a_database_does_not_answer(project: Project, typing: Typing) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        typist = typing("wizard")
        typist.answer("Kind of database", "postgres", "enter")
        typist.answer("Where", f"127.0.0.1:{silent.getsockname()[1]}/x", "enter")
        typist.answer("User", "enter")
        typist.answer("Password", "enter")
        typist.answer("Name of this connection", "enter")
        silent.accept()
        typist.keys("ctrl-c")
        try:
            status = typist.end(60)
        except AssertionError:
            typist.keys("ctrl-c")  # the first was lost, as a busy machine may lose one: a person presses again
            status = typist.end()
        assert status == 130
        assert "Traceback" not in typist.screen.text


@pytest.mark.slow
def test_escape_goes_back_and_the_answers_can_be_changed(shop: Project, typing: Typing) -> None:
    typist = typing("wizard")
    typist.answer("Copy from", "shop", "enter")
    typist.answer("Tables", "countries", "enter")
    typist.answer("Copy to", "esc")
    typist.wait_for("Tables", "type to filter")
    typist.keys("no such table", "enter")  # nothing fits: Enter must not take anything
    typist.wait_for("nothing fits")
    typist.keys("ctrl-u", "order_l", "enter")
    typist.answer("Copy to", "enter")
    typist.answer("Group", "no group", "enter")
    typist.wait_for("Looks right", "order_lines → dw", "full: no column says when a row changed", "Esc back")
    typist.keys("strategy", "enter")
    typist.answer("replace the whole table", "upsert", "enter")
    typist.answer("upsert: as chosen", "ctrl-u", "Module name", "enter")
    typist.wait_for("Module name: order_lines")
    typist.keys("ctrl-u", "lines", "enter")
    typist.answer("Looks right", "ctrl-u", "Columns", "enter")
    typist.wait_for("Columns to move")
    typist.keys("sku", "right")
    typist.wait_for("sku: name in dw")
    typist.keys("ctrl-u", "article", "enter")
    typist.answer("sku: type in dw", "ctrl-u", "TEXT", "enter")
    typist.answer("Columns to move", "enter")
    typist.wait_for("3 of 3, 1 renamed or retyped")
    typist.keys("ctrl-u", "Hooks", "enter")
    typist.answer("‹ add SQL", "enter")
    typist.answer("after a success", "enter")
    typist.answer("SQL on the destination: ANALYZE order_lines", "enter")
    typist.wait_for("success: ANALYZE order_lines")
    typist.keys("ctrl-u", "Looks", "enter")
    typist.answer("All of this", "down", "enter")
    assert typist.end() == 0
    module = definitions(shop, "lines.yaml")["modules"]["lines"]
    assert (module["strategy"], module["merge_key"]) == ("upsert", ["order_id", "line"])
    assert module["columns"][2] == {"source_name": "sku", "dest_name": "article", "dest_type": "TEXT"}  # type: ignore[index]
    assert "First run: pipekit run lines" in typist.screen.text
    assert shop("run", "lines").status == 0
    assert shop.rows("SELECT article FROM order_lines ORDER BY 1") == [("a",), ("b",)]


def test_a_query_of_ones_own_pasted_in_several_lines(shop: Project, typing: Typing) -> None:
    typist = typing("wizard", "--source", "shop", "--dest", "dw")
    typist.answer("Tables", "query of", "enter")
    typist.wait_for("end with ; and Enter")
    typist.keys("SELECT id, total", "enter", "FROM orders", "enter", "WHERE total > 5;", "enter")
    typist.answer("Module name", "ctrl-u", "big", "enter")
    typist.answer("Group", "no group", "enter")
    typist.answer("Looks right", "enter")
    typist.wait_for("the first 2 rows")
    typist.answer("All of this", "enter")
    assert typist.end() == 0
    assert shop.rows("SELECT id FROM big ORDER BY id") == [(1,), (2,)]


@pytest.mark.slow
def test_thousands_of_tables_filter_as_one_types(shop: Project, typing: Typing) -> None:
    with closing(sqlite3.connect(shop.folder / "shop.db")) as connection, connection:
        for number in range(2000):
            connection.execute(f"CREATE TABLE table_{number:04d} (id INTEGER PRIMARY KEY, updated_at TIMESTAMP)")
    typist = typing("wizard", "--source", "shop", "--dest", "dw")
    typist.wait_for("Tables", "2,004 of 2,004")
    typist.keys("ble_17", "3")
    typist.wait_for("10 of 2,004")
    typist.keys("ctrl-a")
    typist.wait_for("10 ticked")
    typist.keys("enter")
    typist.answer("Group", "enter")
    typist.answer("Name of the group", "enter")
    typist.answer("When (cron", "ctrl-u", "enter")
    typist.answer("Proposed", "change table_1731", "enter")
    typist.answer("table_1731 → dw", "leave", "enter")
    typist.wait_for("Change table_1739")
    typist.answer("Looks right: go on", "enter")
    typist.answer("9 modules were planned", "down", "enter")
    assert typist.end() == 0
    group = definitions(shop, "groups.yaml")["groups"]["shop"]
    assert group["members"] == [f"table_173{digit}" for digit in (0, 2, 3, 4, 5, 6, 7, 8, 9)]


def test_an_existing_group_and_a_watermark_edited(shop: Project, typing: Typing) -> None:
    first = shop.look("wizard", "--source", "shop", "--table", "countries", "--dest", "dw", "--group", "daily",
                      "--schedule", "@daily", "--yes")  # fmt: skip
    assert first.status == 0, first.err
    typist = typing("wizard", "--source", "shop", "--table", "orders", "--dest", "dw")
    typist.answer("Group", "daily", "enter")
    typist.answer("10 minutes are read again", "Lag", "enter")
    typist.answer("Lag (10m, 2h", "ctrl-u", "soon", "enter")
    typist.answer("'soon' is no lag", "ctrl-u", "2h", "enter")
    typist.answer("2 hours are read again", "ctrl-u", "First run", "enter")
    typist.answer("The first run takes rows from", "ctrl-u", "2024-05-01 00:00:00", "enter")
    typist.answer("First run from", "ctrl-u", "Watermark", "enter")
    typist.answer("‹ none: read everything", "esc")
    typist.wait_for("updated_at: says when a row changed", "Esc back")
    typist.keys("ctrl-u", "Looks", "enter")
    screen = typist.answer("All of this", "enter")
    assert "the first 3 rows" in screen, "the row without a time, too"
    assert typist.end() == 0
    assert definitions(shop, "groups.yaml")["groups"]["daily"]["members"] == ["countries", "orders"]
    mark = definitions(shop, "orders.yaml")["modules"]["orders"]["watermarks"]["since"]  # type: ignore[index]
    assert (mark["resolver_sql"], mark["default"]) == (
        "SELECT datetime(max(updated_at), '-2 hours') FROM orders", "2024-05-01 00:00:00",
    )  # fmt: skip
    assert len(shop.rows("SELECT id FROM orders")) == 3


def test_what_flags_say_is_not_asked(shop: Project, typing: Typing) -> None:
    typist = typing(
        "wizard", "--source", "shop", "--table", "orders", "--dest", "dw", "--group", "g", "--strategy", "full"
    )
    screen = typist.wait_for("Looks right", "full: as chosen")
    typist.keys("enter")
    assert "Copy from" not in screen
    typist.answer("All of this", "quit", "enter")
    assert typist.end() == 0
    assert "Nothing was written." in typist.screen.text
    assert not (shop.folder / "definitions/orders.yaml").exists()


@pytest.mark.parametrize("rows", [10])
def test_a_small_terminal_will_do(shop: Project, typing: Typing, rows: int) -> None:
    typist = typing("wizard", "--source", "shop", "--dest", "dw", size=(rows, 60))
    typist.answer("Tables", "down", "down", "enter")
    typist.answer("Group", "no group", "enter")
    typist.answer("Looks right", "ctrl-c")
    assert typist.end() == 130
