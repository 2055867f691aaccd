"""A database that is away: who leads then, what `/health` says of it, and what is kept of connections to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy import create_engine, text

from pipekit_dagster.dagster_internals.web_server import check_before_use
from pipekit_dagster.serve.health import _daemon
from pipekit_dagster.serve.leader import Leader
from pipekit_engine.config import Config
from tests.servers.postgresql import PostgreSQLServer
from tests.servers.proxy import CuttableProxy


def wait_for(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def start_leader(postgresql: PostgreSQLServer, tmp_path: Path) -> Iterator[Callable[[int], Leader]]:
    started = []
    with postgresql.fresh_database() as database:

        def start(port: int) -> Leader:
            url = f"postgresql+psycopg://{postgresql.user}:{postgresql.password}@127.0.0.1:{port}/{database}"
            leader = Leader(Config(path=tmp_path / "pipekit.yaml", database=url))
            leader.start()
            started.append(leader)
            return leader

        yield start
        for leader in started:
            leader.stop()


def test_a_server_whose_store_is_away_does_not_stand_by(
    start_leader: Callable[[int], Leader],
    postgresql: PostgreSQLServer,
    cuttable_proxy: Callable[[int], CuttableProxy],
) -> None:
    proxy = cuttable_proxy(postgresql.port)
    first = start_leader(proxy.port)
    wait_for(lambda: first.leads)
    second = start_leader(postgresql.port)
    wait_for(lambda: second.stands_by)
    assert not first.stands_by
    proxy.cut()
    wait_for(lambda: not first.leads)
    wait_for(lambda: second.leads)
    assert not first.stands_by, "it cannot know that another leads"
    proxy.mend()
    wait_for(lambda: first.stands_by)


def test_a_daemon_that_neither_runs_nor_stands_by_is_down() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        service = {"process": "", "restarts": 0, "since": 0.0}
        assert _daemon({**service, "standby": True}, instance) == "standby"
        assert _daemon({**service, "standby": False}, instance) == "down"


def test_kept_connections_outlive_an_outage(
    postgresql: PostgreSQLServer, cuttable_proxy: Callable[[int], CuttableProxy]
) -> None:
    proxy = cuttable_proxy(postgresql.port)
    login = f"{postgresql.user}:{postgresql.password}"
    url = f"postgresql+psycopg2://{login}@127.0.0.1:{proxy.port}/postgres"
    engine = create_engine(url, isolation_level="AUTOCOMMIT", pool_size=1, max_overflow=20)
    check_before_use(engine)
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
        proxy.cut()
        proxy.mend()
        with engine.connect() as connection:
            assert connection.execute(text("SELECT 2")).scalar() == 2
    finally:
        engine.dispose()
