"""Projects with nothing but a store, real databases to copy from and to, and somebody who types."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import COMMAND, Project
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer
from tests.wizard.screen import Typist

#: A shop's tables, in SQL that SQLite, MariaDB and PostgreSQL all understand.
SHOP = """
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer VARCHAR(40) NOT NULL, total DECIMAL(10,2), updated_at TIMESTAMP NULL);
CREATE TABLE order_lines (order_id INTEGER, line INTEGER, sku VARCHAR(20), PRIMARY KEY (order_id, line));
CREATE TABLE countries (code VARCHAR(2), name VARCHAR(80));
INSERT INTO orders VALUES (1, 'Ada', 10.50, '2024-05-01 10:00:00'), (2, 'Bob', 20.00, '2024-05-02 10:00:00'),
  (3, 'Cyd', NULL, NULL), (6, 'Fay', 5.00, '2024-04-01 10:00:00');
INSERT INTO order_lines VALUES (1, 1, 'a'), (1, 2, 'b');
INSERT INTO countries VALUES ('FR', 'France');
"""
#: Later: a change, a new row, and one that was committed late with an older time.
LATER = """
UPDATE orders SET total = 11.00, updated_at = '2024-05-03 09:00:00' WHERE id = 1;
INSERT INTO orders VALUES (4, 'Dee', 1.25, '2024-05-03 10:00:00'), (5, 'Eve', 2.50, '2024-05-02 09:55:00');
"""


@pytest.fixture(scope="session")
def initialised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder after `pipekit init`, to be copied."""
    project = Project(tmp_path_factory.mktemp("initialised"))
    assert project.look("init").status == 0
    return project.folder


@pytest.fixture
def project(initialised: Path, tmp_path: Path) -> Project:
    """A project of this test's own, with no definitions."""
    shutil.copytree(initialised, tmp_path, dirs_exist_ok=True)
    return Project(tmp_path)


@pytest.fixture
def empty_folder(tmp_path: Path) -> Project:
    """A folder with nothing in it."""
    return Project(tmp_path)


def fill(file: Path, script: str) -> None:
    """Run a script in an SQLite file."""
    with closing(sqlite3.connect(file, timeout=60)) as connection:
        connection.executescript(script)


@pytest.fixture
def shop(project: Project) -> Project:
    """A project beside an SQLite shop, with connections `shop` and `dw` (SQLite, too)."""
    fill(project.folder / "shop.db", SHOP)
    project.write(
        "definitions/connections.yaml",
        """\
        # Where the data is.
        connections:
          shop: {driver: sqlite, jdbc_url: "jdbc:sqlite:shop.db"}   # the till
          dw:
            driver: sqlite
            jdbc_url: jdbc:sqlite:dw.db
        """,
    )
    applied = project.look("apply")
    assert applied.status == 0, applied.err
    return project


@pytest.fixture
def mariadb_shop(mariadb: MariaDBServer) -> Iterator[tuple[MariaDBServer, str]]:
    """A MariaDB database with the shop in it."""
    with mariadb.fresh_database() as database:
        mariadb.sql(database, SHOP)
        yield mariadb, database


@pytest.fixture
def warehouse(postgresql: PostgreSQLServer) -> Iterator[tuple[PostgreSQLServer, str]]:
    """An empty PostgreSQL database."""
    with postgresql.fresh_database() as database:
        yield postgresql, database


@pytest.fixture
def typing(project: Project) -> Iterator[Callable[..., Typist]]:
    """`typing("wizard", ...)` starts pipekit on a terminal of its own."""
    typists: list[Typist] = []

    def start(*arguments: str, **options: Any) -> Typist:
        environment = {key: value for key, value in project.environment().items() if key not in ("COLUMNS", "NO_COLOR")}
        typists.append(Typist([*COMMAND, *arguments], project.folder, environment, **options))
        return typists[-1]

    yield start
    for typist in typists:
        typist.__exit__()
