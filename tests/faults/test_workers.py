"""Three workers in network namespaces, with a PostgreSQL and a Redis that all reach: 200 modules, while something breaks.

The modules append one row each to a table of their own, so that these count how often each was committed. Whatever happens, a
run in run_log that succeeded has its row, one that did not has none (or says that nobody knows), and no module ran twice.
"""

from __future__ import annotations

import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import dagster as dg
import pytest

from pipekit_engine.demo.local_server import ServerUnavailable
from pipekit_engine.models import Connection, Group, Module
from tests.conftest import unavailable
from tests.deploy.cluster import Cluster
from tests.faults.namespaces import Host, Network
from tests.faults.site import crash
from tests.faults.test_hosts import HubServer
from tests.servers.redis import RedisServer

pytestmark = [pytest.mark.all_faults, pytest.mark.postgresql, pytest.mark.daemon, pytest.mark.timeout(1800)]

MODULES, AT_ONCE = 200, 4
WORKERS = ("w1", "w2", "w3")
#: How long a network is cut: longer than a worker may be silent.
CUT_S = 70.0
PATIENCE_S = 900.0


class Hosts(Cluster):
    """A cluster whose workers are namespaces; the server is on the hub."""

    namespaces: dict[str, Host]
    data: HubServer

    def as_host(self, host: str, command: list[str]) -> list[str]:
        inside = super().as_host(host, command)
        return ["ip", "netns", "exec", self.namespaces[host].name, *inside] if host in self.namespaces else inside


@contextmanager
def cluster(at_once: int) -> Iterator[tuple[Hosts, Connection]]:
    """A server's place, three hosts, and all that they need; nothing is started yet. The connection to what the modules fill.

    Raises ServerUnavailable where PostgreSQL or Redis is not to be had.
    """
    with ExitStack() as stack:
        network = stack.enter_context(Network())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pipekit-workers-")))
        folder.chmod(0o755)
        store, data = HubServer(network.address), HubServer(network.address)
        stack.callback(store.stop)
        stack.callback(data.stop)
        redis = RedisServer(folder, network.address)
        stack.callback(redis.stop)
        for name in ("state", "dagster"):
            store.create_database(name)
            # A crash must not take what was committed: the tests' servers answer COMMIT before it is written.
            store.sql("postgres", f"ALTER DATABASE {name} SET synchronous_commit = on")
        data.create_database("data")
        made = Hosts(folder, store, redis, "state", "dagster", at_once=at_once, hub=network.address)
        made.data = data
        made.namespaces = {name: network.add() for name in WORKERS}
        made.secrets_file({"PG_PASSWORD": data.password, "BROKER_PASSWORD": redis.password})
        stack.callback(made.close)
        url = data.jdbc_url("data").replace("127.0.0.1", network.address)
        yield (
            made,
            Connection(name="pg", driver="postgresql", jdbc_url=url, username=data.user, password="$PG_PASSWORD"),
        )


@pytest.fixture(scope="module")
def hosts() -> Iterator[Hosts]:
    with ExitStack() as stack:
        try:
            made, connection = stack.enter_context(cluster(AT_ONCE))
        except ServerUnavailable as error:
            unavailable(str(error))
        made.save(
            connection,
            *(
                Module(
                    name=f"m{n}",
                    source="pg",
                    dest="pg",
                    query="SELECT 1 AS id, pg_sleep(0.5)::text AS z",
                    dest_table=f"public.m{n}",
                    strategy="append",
                )
                for n in range(MODULES)
            ),
            Group(
                name="all",
                layers=(tuple(f"m{n}" for n in range(MODULES)),),
                max_parallel=3 * AT_ONCE,
                spread=True,
            ),
        )
        made.start("server", *made.namespaces)
        yield made


@contextmanager
def _killed(hosts: Hosts, worker: str) -> Iterator[None]:
    hosts.namespaces[worker].signal(signal.SIGKILL)
    hosts.kill(worker)
    time.sleep(5)
    hosts.start(worker)
    yield


@contextmanager
def _broker_restarts(hosts: Hosts, worker: str) -> Iterator[None]:
    hosts.broker.stop()
    time.sleep(5)
    hosts.broker.start()
    yield


@contextmanager
def _store_restarts(hosts: Hosts, worker: str) -> Iterator[None]:
    crash(hosts.database, "state")
    time.sleep(2)
    yield


@contextmanager
def _cut(fault: AbstractContextManager[None]) -> Iterator[None]:
    with fault:
        time.sleep(CUT_S)
    yield


#: What is done to the cluster, or to one of its workers.
FAULTS: dict[str, Callable[[Hosts, str], AbstractContextManager[None]]] = {
    "a worker is killed": _killed,
    "the broker restarts": _broker_restarts,
    "a worker is cut off": lambda hosts, worker: _cut(hosts.namespaces[worker].cut_off()),
    "a worker is mute": lambda hosts, worker: _cut(hosts.namespaces[worker].mute()),
    "the store restarts": _store_restarts,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_module_runs_as_often_as_it_should(hosts: Hosts, fault: str) -> None:
    """With a worker other than the one that has the group's run: without that run, no member begins any more."""
    before = _rows(hosts)
    with hosts.store() as store:
        run_id = hosts.run_group("all")
        hosts.wait(lambda: len(_ran(hosts, run_id)) > MODULES // 10, "the first members", PATIENCE_S)
        group_at = store.dispatches.find(run_id)
        assert group_at is not None
        assert group_at.worker is not None
        victim = next(name for name in hosts.namespaces if group_at.worker.host != f"pk-{name}")
        with FAULTS[fault](hosts, victim):
            pass
        with hosts.instance() as instance:

            def ended() -> bool:
                run = instance.get_run_by_id(run_id)
                return run is not None and run.is_finished and not store.leases.all()

            hosts.wait(ended, "the end", PATIENCE_S)
            run = instance.get_run_by_id(run_id)
        assert run is not None
        (group_run,) = [each for each in store.group_runs.list("all") if each.dagster_run_id == run_id]
        ran = _ran(hosts, run_id)
        after = _rows(hosts)
        merged = {module: after[module] - before[module] for module in after}
        said = Counter(ran.values())
        print(f"{fault}: {dict(said)}, group {group_run.status}, Dagster {run.status.value}, {group_run.error}")
        assert "running" not in said
        succeeded = {module for module, status in ran.items() if status == "success"}
        unknown = {
            each.module for each in store.runs.list(group_run_id=group_run.id, limit=None) if _unknown(each.error)
        }
        assert {module for module, count in merged.items() if count == 1} - unknown == succeeded
        assert set(merged.values()) <= {0, 1}
        assert (group_run.status == "success") == (run.status == dg.DagsterRunStatus.SUCCESS)
        if fault == "the broker restarts":
            assert said == {"success": MODULES}
        elif fault != "the store restarts":
            # What the lost worker had at work; one that it had taken and not begun has no row.
            assert MODULES - said["success"] <= AT_ONCE
            assert len(ran) >= MODULES - AT_ONCE
        assert group_run.status == ("success" if said["success"] == MODULES else "error")
        # The run itself is known to have ended when the server looks next.
        hosts.wait(lambda: not store.dispatches.taken(), "the end of what was sent")


def _unknown(error: str | None) -> bool:
    return error is not None and "outcome unknown" in error


def _ran(hosts: Hosts, run_id: str) -> dict[str, str]:
    """How each module stands that this run has begun. One that was begun twice is an error."""
    with hosts.store() as store:
        runs = store.runs.list(dagster_run_id=run_id, limit=None)
    assert len({run.module for run in runs}) == len(runs)
    return {run.module: run.status for run in runs}


def _rows(hosts: Hosts) -> Counter[str]:
    """How many rows the modules' tables have."""
    tables = {row[0] for row in hosts.data.sql("data", "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
    query = " UNION ALL ".join(f"SELECT '{table}', count(*) FROM public.{table}" for table in sorted(tables))
    return Counter(dict(hosts.data.sql("data", query)) if tables else {})  # type: ignore[arg-type]
