"""Runs spread over hosts: one server, two workers, a broker that loses what it holds.

Each host has a name of its own, so that to the others its processes are those of another machine. The tests run in their order,
on one cluster for each kind of broker.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import dagster as dg
import pytest

from pipekit_dagster.launcher import WORKER_TAG
from pipekit_engine.common.processes import ProcessName
from pipekit_engine.demo.local_server import ServerUnavailable
from pipekit_engine.models import Connection, Group, Module
from tests.conftest import unavailable
from tests.deploy.cluster import PATIENCE_S, Cluster
from tests.servers.postgresql import PostgreSQLServer
from tests.servers.rabbitmq import RabbitMQServer
from tests.servers.redis import RedisServer

#: Seconds that RabbitMQ waits for an acknowledgement, and those of a run that takes longer.
ACKNOWLEDGED_S, LONG_S = 6, 15

pytestmark = [
    pytest.mark.slow,
    pytest.mark.postgresql,
    pytest.mark.daemon,
    pytest.mark.timeout(900),
    pytest.mark.skipif(os.geteuid() != 0, reason="host names of their own need root"),
]


@pytest.fixture(scope="module", params=["redis", "rabbitmq"])
def cluster(
    request: pytest.FixtureRequest, postgresql: PostgreSQLServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    with ExitStack() as stack:
        try:
            broker: RedisServer | RabbitMQServer = (
                RedisServer(folder)
                if request.param == "redis"
                else RabbitMQServer(folder, vhost="pipekit", consumer_timeout_s=ACKNOWLEDGED_S)
            )
        except ServerUnavailable as error:
            unavailable(str(error))
        stack.callback(broker.stop)
        state, dagster, data = (stack.enter_context(postgresql.fresh_database()) for _ in range(3))
        made = Cluster(folder, postgresql, broker, state, dagster)
        stack.callback(made.close)
        url = postgresql.jdbc_url(data)
        pg = Connection(name="pg", driver="postgresql", jdbc_url=url, username=postgresql.user, password="$PG_PASSWORD")
        quick = [
            Module(
                name=f"m{n}", source="pg", dest="pg", query="SELECT 1 AS id", dest_table=f"public.m{n}", strategy="full"
            )
            for n in range(6)
        ]
        endless = Module(
            name="endless",
            source="pg",
            dest="pg",
            query="SELECT i AS id, pg_sleep(0.01)::text AS z FROM generate_series(1, 1000000) AS i",
            dest_table="public.endless",
            strategy="full",
        )
        members = [
            Module(name=f"s{n}", source="pg", dest="pg", query=query, dest_table=f"public.s{n}", strategy="full")
            for n, query in enumerate(["SELECT 1 AS id"] * 8 + ["SELECT 1 / 0 AS id", "SELECT 1 AS id"])
        ]
        long = [
            Module(
                name=f"long{n}",
                source="pg",
                dest="pg",
                query=f"SELECT 1 AS id, pg_sleep({LONG_S})::text AS z",
                dest_table=f"public.long{n}",
                strategy="full",
            )
            for n in range(2)
        ]
        spread = Group(name="spread", layers=(tuple(f"s{n}" for n in range(9)), ("s9",)), max_parallel=4, spread=True)
        far = Group(name="far", layers=(("endless",),), spread=True)
        made.save(
            pg,
            *quick,
            *members,
            *long,
            endless,
            spread,
            far,
            *(Group(name=f"g{n}", layers=((f"m{n}",),)) for n in range(6)),
            Group(name="endless", layers=(("endless",),)),
            Group(name="long", layers=(("long0",),)),
            Group(name="far-long", layers=(("long1",),), spread=True),
        )
        made.start("server", "w1", "w2")
        yield made


def _ended(cluster: Cluster, run_ids: list[str]) -> dict[str, dg.DagsterRun]:
    """The runs, once all have ended."""
    found: dict[str, dg.DagsterRun] = {}

    def look() -> bool:
        with cluster.instance() as instance:
            found.update((run.run_id, run) for run in instance.get_runs(dg.RunsFilter(run_ids=run_ids)))
        return len(found) == len(run_ids) and all(run.is_finished for run in found.values())

    cluster.wait(look, f"the end of {len(run_ids)} runs")
    return found


def _host(run: dg.DagsterRun) -> str:
    name = ProcessName.parse(run.tags.get(WORKER_TAG))
    return name.host if name else ""


def test_runs_are_spread_over_the_workers_and_each_runs_once(cluster: Cluster) -> None:
    runs = _ended(cluster, [cluster.run_group(f"g{n}") for n in range(6)])
    assert {run.status for run in runs.values()} == {dg.DagsterRunStatus.SUCCESS}
    assert {_host(run) for run in runs.values()} == {"pk-w1", "pk-w2"}
    with cluster.store() as store:
        assert Counter(run.module for run in store.runs.list(limit=None)) == Counter(f"m{n}" for n in range(6))
        cluster.wait(lambda: not store.dispatches.taken(), "the end of what was sent")


def test_members_of_a_spread_group_run_on_all_workers_in_their_order(cluster: Cluster) -> None:
    run_id = cluster.run_group("spread")
    run = _ended(cluster, [run_id])[run_id]
    assert run.status == dg.DagsterRunStatus.FAILURE
    with cluster.store() as store, cluster.instance() as instance:
        (group_run,) = store.group_runs.list("spread")
        runs = {record.module: record for record in store.runs.list(group_run_id=group_run.id, limit=None)}
        assert group_run.status == "error"
        assert sorted(runs) == [f"s{n}" for n in range(10)]
        assert {name for name, record in runs.items() if record.status != "success"} == {"s8"}
        assert runs["s9"].started_at >= max(record.finished_at for name, record in runs.items() if name != "s9")
        assert not store.dispatches.taken()
        (event,) = [
            entry.dagster_event
            for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
            if entry.dagster_event and entry.dagster_event.step_key == "s0"
        ]
        metadata = event.step_materialization_data.materialization.metadata
        assert [column.name for column in metadata["dagster/column_schema"].value.columns] == ["id"]
        (failed,) = [
            entry.dagster_event
            for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
            if entry.dagster_event
        ]
        assert "division by zero" in str(failed.step_failure_data)


def test_a_run_whose_member_is_elsewhere_is_cancelled(cluster: Cluster) -> None:
    run_id = cluster.run_group("far")
    with cluster.store() as store:
        cluster.wait(lambda: [run for run in store.runs.list("endless") if run.phase == "stage"], "the endless member")
        query = f'mutation {{ terminateRun(runId: "{run_id}") {{ __typename }} }}'
        answer = cluster.http("/graphql", {"query": query})
        assert answer == (200, {"data": {"terminateRun": {"__typename": "TerminateRunSuccess"}}})
        assert _ended(cluster, [run_id])[run_id].status == dg.DagsterRunStatus.CANCELED
        assert store.runs.list("endless")[0].status == "cancelled"
        assert store.group_runs.list("far")[0].status == "cancelled"
        assert store.leases.find("module", "endless") is None


def test_a_run_that_takes_longer_than_the_broker_waits_runs_once_and_more_is_taken_afterwards(cluster: Cluster) -> None:
    """RabbitMQ closes the channel of a consumer that does not acknowledge a message."""
    runs = _ended(cluster, [cluster.run_group(name) for name in ("long", "far-long")])
    assert {run.status for run in runs.values()} == {dg.DagsterRunStatus.SUCCESS}
    again = _ended(cluster, [cluster.run_group(name) for name in ("g5", "spread")])
    assert {run.status for run in again.values()} == {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE}
    with cluster.store() as store:
        for n in range(2):
            (run,) = store.runs.list(module=f"long{n}", limit=None)
            assert run.finished_at is not None
            assert (run.finished_at - run.started_at).total_seconds() > LONG_S > ACKNOWLEDGED_S
        cluster.wait(lambda: not store.dispatches.taken(), "the end of what was sent")


def test_a_message_that_comes_again_does_nothing(cluster: Cluster) -> None:
    from pipekit_dagster.workers.broker import Broker
    from pipekit_engine.config import load_config

    broker = Broker(load_config(cluster.config_file("server")))
    run_id = cluster.run_group("g0")
    for _ in range(4):
        broker.send(run_id, "pipekit")
    assert _ended(cluster, [run_id])[run_id].status == dg.DagsterRunStatus.SUCCESS
    for _ in range(4):
        broker.send(run_id, "pipekit")
    assert _ended(cluster, [cluster.run_group("g1")])
    with cluster.store() as store:
        assert len(store.runs.list(module="m0", limit=None)) == 2


def test_what_the_broker_loses_is_sent_again(cluster: Cluster) -> None:
    cluster.broker.pause(forget=True)
    runs = [cluster.run_group(f"g{n}") for n in (2, 3)]
    with cluster.instance() as instance:
        cluster.wait(
            lambda: all(
                run.status == dg.DagsterRunStatus.STARTING for run in instance.get_runs(dg.RunsFilter(run_ids=runs))
            ),
            "both launched without a broker",
        )
    cluster.broker.start()
    assert {run.status for run in _ended(cluster, runs).values()} == {dg.DagsterRunStatus.SUCCESS}
    with cluster.store() as store:
        assert [len(store.runs.list(module=f"m{n}", limit=None)) for n in (2, 3)] == [2, 2]


def test_a_run_that_nobody_has_taken_is_ended_by_force_and_never_begins(cluster: Cluster) -> None:
    """Dagster lets a run that starts be terminated by force alone."""
    cluster.broker.pause(forget=True)
    run_id = cluster.run_group("g4")
    with cluster.instance() as instance, cluster.store() as store:
        before = len(store.runs.list("m4", limit=None))
        cluster.wait(lambda: store.dispatches.is_open(run_id), "the launch")
        force = "terminatePolicy: MARK_AS_CANCELED_IMMEDIATELY"
        query = f'mutation {{ terminateRun(runId: "{run_id}", {force}) {{ __typename }} }}'
        answer = cluster.http("/graphql", {"query": query})
        assert answer == (200, {"data": {"terminateRun": {"__typename": "TerminateRunSuccess"}}})
        cluster.broker.start()
        cluster.wait(lambda: store.dispatches.find(run_id) is None, "the end of what was sent")
        run = instance.get_run_by_id(run_id)
        assert run is not None
        assert run.status == dg.DagsterRunStatus.CANCELED
        assert len(store.runs.list("m4", limit=None)) == before


def test_the_password_of_the_broker_is_in_no_process_and_no_record(cluster: Cluster) -> None:
    cluster.run_group("endless")
    with cluster.store() as store:
        cluster.wait(lambda: store.leases.find("module", "endless"), "the endless module")
    secret = cluster.broker.password.encode()
    pids = [pid for host in ("server", "w1", "w2") for pid in cluster.pids(host)]
    assert len(pids) > 6
    for pid in pids:
        with suppress(FileNotFoundError, ProcessLookupError):
            assert secret not in Path(f"/proc/{pid}/environ").read_bytes()
            assert secret not in Path(f"/proc/{pid}/cmdline").read_bytes()
    for host in ("server", "w1", "w2"):
        for file in (cluster.folder / host).rglob("*"):
            assert not file.is_file() or secret not in file.read_bytes(), file


def test_a_worker_that_vanishes_is_told_and_its_module_is_free_within_a_minute(cluster: Cluster) -> None:
    """Follows the test before, whose run is at work."""
    with cluster.store() as store, cluster.instance() as instance:
        lease = store.leases.find("module", "endless")
        assert lease is not None
        assert lease.owner is not None
        host = lease.owner.host.removeprefix("pk-")
        (record,) = store.runs.list(module="endless", status="running")
        run_id = record.dagster_run_id or ""
        cluster.kill(host)
        vanished = time.monotonic()
        cluster.wait(lambda: store.leases.find("module", "endless") is None, "the free module", PATIENCE_S)
        freed = time.monotonic() - vanished
        assert "interrupted" in (store.runs.get(record.id).error or "")

        def failed() -> bool:
            run = instance.get_run_by_id(run_id)
            return run is not None and run.status == dg.DagsterRunStatus.FAILURE

        cluster.wait(failed, "the failed run")
        told = time.monotonic() - vanished
        print(f"freed after {freed:.1f} s, told after {told:.1f} s")
        assert freed < 60
        assert told < 60
    assert _ended(cluster, [cluster.run_group("g5")])
