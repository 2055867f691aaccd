"""Fifty processes that want one lock at the same moment."""

from __future__ import annotations

from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from pipekit_engine.jrunner.pool import SessionPool
from pipekit_engine.store import Store
from tests.faults.child import context
from tests.running.workbench import Workbench

PROCESSES, SECONDS = 50, 120


def _take(channel: Connection, url: str) -> None:
    """Say ready, wait for the word, take the lock if it is free, say whether, and hold it until told to go."""
    with Store.open(url) as store:
        channel.send("ready")
        channel.recv()
        channel.send(store.leases.acquire("module", "m") is not None)
        channel.recv()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def store_url(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """A state store in a file, or in a PostgreSQL."""
    if request.param == "sqlite":
        yield None
        return
    server = request.getfixturevalue("postgresql")
    with server.fresh_database() as database:
        yield server.url(database)


@pytest.mark.all_faults
def test_exactly_one_of_fifty_processes_gets_a_lock(tmp_path: Path, pool: SessionPool, store_url: str | None) -> None:
    """And whoever finds it dead gets it next."""
    bench = Workbench(tmp_path, pool, database=store_url)
    try:
        bench.module("m", dest="src")
        ends = [context().Pipe() for _ in range(PROCESSES)]
        url = bench.config.database_url
        processes = [context().Process(target=_take, args=(theirs, url), daemon=True) for _, theirs in ends]
        for process in processes:
            process.start()
        try:
            for ours, _ in ends:
                assert ours.poll(SECONDS)
                assert ours.recv() == "ready"
            for ours, _ in ends:
                ours.send("now")
            won = 0
            for ours, _ in ends:
                assert ours.poll(SECONDS)
                won += ours.recv()
            assert won == 1
            lease = bench.store.leases.find("module", "m")
            assert lease is not None
            assert lease.owner is not None
            assert lease.owner.pid in [process.pid for process in processes]
            assert not lease.abandoned()
        finally:
            for process in processes:
                process.kill()
                process.join()
        assert lease.abandoned()
        bench.engine.recover()
        assert bench.store.leases.all() == []
        assert bench.store.leases.acquire("module", "m") is not None
    finally:
        bench.close()
