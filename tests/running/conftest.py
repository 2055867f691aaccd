"""Workbenches on every kind of destination that this machine can have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipekit_engine.jrunner.pool import SessionPool
from tests.running.workbench import Workbench

EMBEDDED = {
    "sqlite": ("jdbc:sqlite:{folder}/dest.db", None),
    "h2": ("jdbc:h2:{folder}/dest", "sa"),
    "derby": ("jdbc:derby:{folder}/dest;create=true", None),
    "hsqldb": ("jdbc:hsqldb:file:{folder}/dest;hsqldb.write_delay=false;shutdown=true", "SA"),
    "duckdb": ("jdbc:duckdb:{folder}/dest.duckdb", None),
}


#: MySQL's own driver against MariaDB: in `make test-slow` alone.
CONNECTOR_J = "mysql"
#: Kinds of destination that the quick cut has in these files alone: what runs mean, and what they promise.
OTHER_KINDS = ("h2", "hsqldb", "duckdb")
ON_EVERY_KIND = ("test_strategies.py", "test_promises.py")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the rarer kinds of destination to `make test-slow`, but for the files that show what all kinds have in common."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            assert isinstance(item, pytest.Function)
            given = item.callspec.params if hasattr(item, "callspec") else {}
            kind = given.get("any_bench")
            if kind == CONNECTOR_J or (kind in OTHER_KINDS and item.path.name not in ON_EVERY_KIND):
                item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def pool(java: str) -> Iterator[SessionPool]:
    """One warm jrunner for all tests that do not kill theirs."""
    with SessionPool(1) as pool:
        yield pool


@pytest.fixture
def bench(tmp_path: Path, pool: SessionPool) -> Iterator[Workbench]:
    """SQLite to SQLite: the quickest pair, for what does not depend on the database."""
    bench = Workbench(tmp_path, pool)
    bench.connect("dst", "sqlite", f"jdbc:sqlite:{tmp_path}/dest.db")
    yield bench
    bench.close()


def bench_to(kind: str, folder: Path, request: pytest.FixtureRequest) -> Iterator[Workbench]:
    """A workbench whose `dst` is of that kind; what follows the first `next` cleans up."""
    bench = Workbench(folder, request.getfixturevalue("pool"))
    if kind in EMBEDDED:
        url, user = EMBEDDED[kind]
        bench.connect("dst", kind, url.format(folder=folder), user, "" if user else None)
        yield bench
    else:
        server = request.getfixturevalue("mariadb" if kind == CONNECTOR_J else kind)
        with server.fresh_database() as database:
            fields = {"staging_schema": f"{database}_staging"} if kind in ("mariadb", CONNECTOR_J) else {}
            url = server.jdbc_url(database).replace("jdbc:mariadb:", f"jdbc:{kind}:")
            bench.connect("dst", kind, url, server.user, server.password, **fields)
            yield bench
            if kind in ("mariadb", CONNECTOR_J):
                server.sql(database, f"DROP DATABASE IF EXISTS `{database}_staging`")
    bench.close()


@pytest.fixture(params=["sqlite", "postgresql", "mariadb", CONNECTOR_J, "h2", "derby", "hsqldb", "duckdb"])
def any_bench(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Workbench]:
    """From SQLite into each kind of destination."""
    yield from bench_to(request.param, tmp_path, request)


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def main_bench(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Workbench]:
    """From SQLite into the three destinations that most people have."""
    yield from bench_to(request.param, tmp_path, request)


@pytest.fixture
def pg_bench(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Workbench]:
    """From SQLite into PostgreSQL."""
    yield from bench_to("postgresql", tmp_path, request)
