"""A database that is away: who leads then, what `/health` says of it, and what is kept of connections to it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy import create_engine, text

from pipekit_dagster.dagster_internals.web_server import check_before_use
from pipekit_dagster.serve.health import _daemon
from pipekit_dagster.serve.leader import Leader
from pipekit_engine.config import Config
from pipekit_engine.store import leadership
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
        assert _daemon({**service, "standby": False, "nobody leads": True}, instance) == "nobody leads"


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


_HOLD = """
import sys, time
from pipekit_engine.store.leadership import Leadership
lead = Leadership(sys.argv[1])
print(lead.take(), flush=True)
while lead.keeps():
    time.sleep(0.2)
print("lost", flush=True)
"""


@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_a_leader_that_hangs_is_replaced_and_its_daemon_does_nothing_more(
    store: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped for 131 seconds it still led, no schedule fired, and the other host said standby."""
    for name, seconds in (("SILENT_S", 3.0), ("FENCE_S", 2.0)):
        monkeypatch.setattr(leadership, name, seconds)
    with ExitStack() as stack:
        if store == "sqlite":
            url = f"sqlite:///{tmp_path}/pipekit.db"
        else:
            server = request.getfixturevalue("postgresql")
            url = server.url(stack.enter_context(server.fresh_database()))
        old = stack.enter_context(
            subprocess.Popen([sys.executable, "-c", _HOLD, url], stdout=subprocess.PIPE, text=True)
        )
        stack.callback(old.kill)
        assert old.stdout is not None
        assert old.stdout.readline() == "True\n"
        mine, daemon = leadership.Leadership(url), leadership.Leadership(url)
        stack.callback(mine.give_up)
        stack.callback(daemon.give_up)
        assert not mine.take()
        token = leadership._content(tmp_path / "pipekit.db.leader") if store == "sqlite" else _holder(mine)
        assert daemon.holds(token)
        old.send_signal(signal.SIGSTOP)
        began, fenced = time.monotonic(), 0.0
        while not mine.take():
            fenced = fenced or (time.monotonic() - began if daemon.holds(token) is False else 0.0)
            assert time.monotonic() - began < 60
            time.sleep(0.1)
        assert 0 < fenced < time.monotonic() - began, "its daemon stopped before another led"
        assert mine.keeps()
        assert mine.token != token
        assert (daemon.holds(mine.token), daemon.holds(token)) == (True, False)
        old.send_signal(signal.SIGCONT)
        assert old.stdout.readline() == "lost\n"
        assert mine.keeps()


def _holder(asker: leadership.Leadership) -> str:
    assert asker._session is not None
    row = asker._session.execute(leadership._HOLDER).first()
    assert row is not None
    return str(row.token)


def test_a_restore_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leadership, "SILENT_S", 0.2)
    url = f"sqlite:///{tmp_path}/pipekit.db"
    restore, server = leadership.Leadership(url, renewed=False), leadership.Leadership(url)
    assert restore.take()
    assert not server.take()
    time.sleep(0.5)
    assert not server.take()
    assert restore.keeps()
    restore.give_up()
    assert server.take()
    server.give_up()


def test_a_daemon_ends_when_its_lease_is_over(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/pipekit.db"
    lead = leadership.Leadership(url)
    assert lead.take()
    code = "import sys, time; from pipekit_dagster.serve.lease import work_under, require_lead\n"
    code += "work_under(*sys.argv[1:]); require_lead(); print('works', flush=True); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", code, url, lead.token], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as daemon:
        assert daemon.stdout is not None
        assert daemon.stdout.readline() == "works\n"
        lead.give_up()
        assert lead.take()
        assert daemon.wait(15) == -signal.SIGKILL
    lead.give_up()
