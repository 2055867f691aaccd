"""The seven databases, two of each kind for whoever asks."""

from __future__ import annotations

import itertools
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.truth_sets.readers import Database, Embedded, MariaDB, PostgreSQL, Reader, SQLite
from tests.truth_sets.site import Site

Make = Callable[[str], Database]


@pytest.fixture(scope="session")
def reader(java: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    running = Reader(java, tmp_path_factory.mktemp("reader"))
    yield running
    running.close()


@pytest.fixture(scope="session")
def make_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """`make_database(kind)` gives a new, empty database."""
    folder = tmp_path_factory.mktemp("databases")
    numbers = itertools.count(1)

    def make(kind: str) -> Database:
        name = f"{kind}_{next(numbers)}"
        if kind == "sqlite":
            return SQLite(folder / f"{name}.db")
        if kind in ("h2", "derby", "hsqldb", "duckdb"):
            return Embedded(request.getfixturevalue("reader"), kind, folder / name)
        # Not dropped: the server goes away with the tests.
        server = request.getfixturevalue(kind)
        name = f"truth_{secrets.token_hex(4)}_{name}"
        server.create_database(name)
        return PostgreSQL(server, name) if kind == "postgresql" else MariaDB(server, name)

    return make


@pytest.fixture(scope="package", autouse=True)
def odd_zone() -> Iterator[None]:
    """pipekit works in a time zone whose clocks change: nothing may depend on it."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "America/New_York"
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before


@pytest.fixture
def site(tmp_path: Path, make_database: Make) -> Callable[[str, str], Site]:
    """`site(source, dest)` gives a project between two new databases of these kinds."""

    def make(source: str, dest: str) -> Site:
        folder = tmp_path / f"{source}-{dest}"
        folder.mkdir()
        return Site(folder, make_database(source), make_database(dest))

    return make
