"""Two and three hosts on one PostgreSQL state store, which lose each other, freeze, and disagree about the day.

Each runs one module as often as it can. Whatever happens, the destination must hold each row of the source once, no two runs
that succeeded may have overlapped, and no two hosts may have led at one time.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pipekit_engine.demo.local_server import ServerUnavailable
from pipekit_engine.jrunner.pool import SessionPool
from tests.conftest import unavailable
from tests.faults.host import MODULE, TIMEOUT_S
from tests.faults.namespaces import Host, Network
from tests.faults.site import crash
from tests.running.workbench import Workbench
from tests.servers.postgresql import PostgreSQLServer
from tests.waiting import wait_until

pytestmark = [pytest.mark.all_faults, pytest.mark.postgresql, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
#: How long a fault lasts: longer than a host may be silent.
LASTS_S, CALM_S = TIMEOUT_S + 8, 6.0
PATIENCE_S = 180.0


class HubServer(PostgreSQLServer):
    """A server that other hosts reach."""

    def __init__(self, address: str, folder: Path | None = None, port: int | None = None) -> None:
        super().__init__(folder, listen=f"127.0.0.1,{address}", port=port)
        with (self.data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all 10.0.0.0/8 scram-sha-256\n")
        self.sql("postgres", "SELECT pg_reload_conf()")


@dataclass
class Scene:
    """The hosts at work, the store, the data, and a writer at the source."""

    hosts: list[Host]
    network: Network
    store: HubServer
    data: HubServer
    bench: Workbench
    folder: Path
    database: str
    inserted: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def told(self, host: Host) -> list[dict[str, Any]]:
        lines = (self.folder / f"{host.name}.log").read_text(errors="replace").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def write(self) -> None:
        """New rows at the source, all the time."""
        with self.data.connect(self.database) as source:
            while not self.stop.wait(0.1):
                self.inserted += 1
                source.execute("INSERT INTO s VALUES (%s)", (self.inserted,))

    def succeeded(self, host: Host) -> int:
        return sum(told.get("run") == "success" for told in self.told(host))


@pytest.fixture
def network() -> Iterator[Network]:
    with Network() as network:
        yield network


@contextmanager
def scene(network: Network, folder: Path, pool: SessionPool, count: int, skewed: bool) -> Iterator[Scene]:
    with ExitStack() as stack:
        try:
            store_home = stack.enter_context(_kept_folder())
            store, data = HubServer(network.address, store_home), HubServer(network.address)
        except ServerUnavailable as error:
            unavailable(str(error))
        stack.callback(lambda: made.store.stop())
        stack.callback(data.stop)
        store.create_database("state")
        data.create_database("data")
        data.sql("data", "CREATE TABLE s (id int)")
        data.sql("data", "CREATE TABLE t (id int)")
        url = store.url("state").replace("127.0.0.1", network.address)
        bench = Workbench(folder, pool, database=url)
        stack.callback(bench.close)
        jdbc = data.jdbc_url("data").replace("127.0.0.1", network.address)
        for name in ("pg", "dst"):
            bench.connect(name, "postgresql", jdbc, data.user, data.password)
        bench.module(
            MODULE,
            source="pg",
            query="SELECT id FROM s WHERE id > {last}",
            strategy="append",
            watermarks={"last": ("dst", "SELECT max(id) FROM t", "0")},
        )
        hosts = [network.add() for _ in range(count)]
        made = Scene(hosts, network, store, data, bench, folder, "data")
        for number, host in enumerate(hosts):
            environment = {"PYTHONPATH": str(ROOT)}
            if skewed and number == 0:
                environment |= {"LD_PRELOAD": str(FAKETIME), "FAKETIME": "+1d", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
            command = [sys.executable, "-m", "tests.faults.host", str(folder), url]
            stack.enter_context(host.running(command, out=folder / f"{host.name}.log", environment=environment))
        writer = threading.Thread(target=made.write)
        writer.start()
        try:
            yield made
        finally:
            made.stop.set()
            writer.join()
            (folder / "stop").touch()


@contextmanager
def _kept_folder() -> Iterator[Path]:
    """A folder that outlives a server's stop."""
    folder = Path(tempfile.mkdtemp(prefix="pipekit-store-"))
    os.chmod(folder, 0o755)
    try:
        yield folder / "pg"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _fails_over(scene: Scene) -> Iterator[None]:
    """The store's server ends, and another one with its data takes its address."""
    old = scene.store
    home, port = old.data.parent, old.port
    old.stop()
    time.sleep(5)
    scene.store = HubServer(scene.network.address, home, port)
    yield


@contextmanager
def _restarts(scene: Scene) -> Iterator[None]:
    for _ in range(3):
        crash(scene.store, "state")
        time.sleep(2)
    yield


FAULTS: dict[str, Callable[[Scene], AbstractContextManager[None]]] = {
    "cut off": lambda scene: scene.hosts[0].cut_off(),
    "mute": lambda scene: scene.hosts[0].mute(),
    "deaf": lambda scene: scene.hosts[0].deaf(),
    "frozen": lambda scene: scene.hosts[0].frozen(),
    "a day ahead": lambda _: nullcontext(),
    "store restarts": _restarts,
    "store fails over": _fails_over,
}


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("fault", FAULTS)
def test_hosts(network: Network, tmp_path: Path, pool: SessionPool, fault: str, count: int) -> None:
    if fault == "a day ahead" and FAKETIME is None:
        pytest.skip("libfaketime is not there; on Debian: apt-get install faketime")
    with scene(network, tmp_path, pool, count, fault == "a day ahead") as made:
        for host in made.hosts:
            wait_until(lambda host=host: bool(made.told(host)), f"{host.name} at work", PATIENCE_S)  # type: ignore[misc]
        wait_until(lambda: any(made.succeeded(host) for host in made.hosts), "a first run", PATIENCE_S)
        time.sleep(CALM_S)
        began = time.monotonic()
        with FAULTS[fault](made):
            time.sleep(LASTS_S)
        ended = time.monotonic()
        others = made.hosts[1:]
        wait_until(
            lambda: any(_runs_after(made, host, ended) for host in made.hosts), "a run after the fault", PATIENCE_S
        )
        time.sleep(CALM_S)
        if "store" not in fault:
            assert any(_runs_after(made, host, began + TIMEOUT_S) for host in others), "nobody took over"
        made.stop.set()
        (tmp_path / "stop").touch()
        wait_until(lambda: made.bench.store.leases.all() == [], "the end of all runs", PATIENCE_S)
        _judge(made)


def _runs_after(made: Scene, host: Host, moment: float) -> bool:
    return any(told.get("run") == "success" and told["at"] > moment for told in made.told(host))


def _judge(made: Scene) -> None:
    time.sleep(1)  # the last row of the writer
    made.bench.run(MODULE)
    rows = made.data.sql("data", "SELECT count(*), count(DISTINCT id), max(id) FROM t")
    assert rows == [(made.inserted,) * 3], "rows are lost or doubled"
    runs = made.bench.store.runs.list(limit=None)
    assert {run.status for run in runs} <= {"success", "error", "cancelled"}
    assert all(run.error for run in runs if run.status == "error")
    # By one clock: what each host saw of its own runs.
    spans = sorted(
        (told["began"], told["ended"])
        for host in made.hosts
        for told in made.told(host)
        if told.get("run") == "success"
    )
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans)), "two runs overlapped"
    for one, other in itertools.permutations(made.hosts, 2):
        theirs = [told["at"] for told in made.told(other) if told.get("leads")]
        looks = [(told["at"], told["leads"]) for told in made.told(one) if "leads" in told]
        for (first, leads), (second, still_leads) in itertools.pairwise(looks):
            if leads and still_leads:
                assert not [moment for moment in theirs if first < moment < second], "two hosts led at one time"
