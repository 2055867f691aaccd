"""`Engine.browse`: what the wizard and people in Python see of a connection."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipekit_engine.errors import ConnectError, NotFoundError, SourceError
from pipekit_engine.jrunner.pool import SessionPool
from tests.running.workbench import Workbench
from tests.waiting import wait_until


@pytest.fixture
def bench(tmp_path: Path, java: str) -> Iterator[Workbench]:
    with SessionPool(1) as pool:
        bench = Workbench(tmp_path, pool)
        yield bench
        bench.engine.close()


def test_a_whole_look_around(bench: Workbench) -> None:
    bench.source(
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, Total DECIMAL(12,2), seen TIMESTAMP)",
        "CREATE TABLE 'order lines' (order_id INT, line INT, PRIMARY KEY (order_id, line))",
        "CREATE VIEW big AS SELECT * FROM orders WHERE total > 100",
        "INSERT INTO orders VALUES (1, 12.50, '2024-01-01 10:00:00.123456'), (2, NULL, NULL)",
    )
    with bench.engine.browse("src") as browser:
        assert browser.connection == "src"
        assert browser.fields == ()
        assert browser.schemas() == []
        assert browser.databases() == []
        assert [(table.name, table.kind) for table in browser.tables()] == [
            ("big", "view"),
            ("order lines", "table"),
            ("orders", "table"),
        ]
        assert browser.find("ORDERS").name == "orders"
        assert [item.name for item in browser.columns('"order lines"')] == ["order_id", "line"]
        assert browser.keys("orders")[0].columns == ("id",)
        listed = ", ".join(browser.dialect.identifier(column.name) for column in browser.columns("orders"))
        sql = f"SELECT {listed} FROM {browser.dialect.source_name(browser.find('orders'))}"
        assert sql == "SELECT id, Total, seen FROM orders"
        assert [item.family for item in browser.describe(f"{sql};\n-- all")] == ["int64", "decimal", "timestamp"]
        preview = browser.preview(sql, rows=1)
        assert preview.rows == (("1", "12.5", "2024-01-01 10:00:00.123456"),)
        assert preview.truncated


def test_errors_name_the_connection_and_what_was_asked(bench: Workbench) -> None:
    bench.source("CREATE TABLE orders (id INT)")
    with bench.engine.browse("src") as browser:
        with pytest.raises(SourceError, match=r"The query could not be read on connection src: .*no such column: nope"):
            browser.describe("SELECT nope FROM orders")
        with pytest.raises(SourceError, match=r"The columns of nothing could not be read on connection src"):
            browser.columns("nothing")
        with pytest.raises(NotFoundError, match=r"no table 'order'. Did you mean 'orders'"):
            browser.find("order")
        # It goes on after errors.
        assert browser.preview("SELECT 1 AS one").first == "1"


def test_a_connection_that_cannot_be_opened(bench: Workbench) -> None:
    bench.connect("far", "postgresql", "jdbc:postgresql://127.0.0.1:1/db?password=hunter2", "u", "sentinel-password")
    with pytest.raises(ConnectError, match=r"Connection 'far'") as raised, bench.engine.browse("far"):
        pass
    assert "sentinel" not in str(raised.value)
    with pytest.raises(NotFoundError, match=r"connection 'ssrc'. Did you mean 'src'"), bench.engine.browse("ssrc"):
        pass


@pytest.mark.postgresql
def test_a_connection_that_breaks(bench: Workbench, postgresql: Any) -> None:
    with postgresql.fresh_database() as name:
        bench.connect("pg", "postgresql", postgresql.jdbc_url(name), postgresql.user, postgresql.password)
        with bench.engine.browse("pg") as browser:
            # pipekit's own schema is not the person's.
            postgresql.sql(name, "CREATE SCHEMA pipekit_staging; CREATE TABLE pipekit_staging.t (); CREATE TABLE u ()")
            assert browser.schemas() == ["public"]
            assert [table.name for table in browser.tables()] == ["u"]
            sessions = f"FROM pg_stat_activity WHERE datname = '{name}'"
            postgresql.sql("postgres", f"SELECT pg_terminate_backend(pid) {sessions}")
            wait_until(lambda: postgresql.sql("postgres", f"SELECT 1 {sessions}") == [], "the end of the session")
            with pytest.raises(ConnectError, match=r"Connection 'pg' broke"):
                browser.tables()
