"""`max_parallel` of both connections of a module, across runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import dagster as dg
import pytest

from pipekit_dagster.cancellation import cancel_event
from pipekit_dagster.pools import sync_pools
from pipekit_dagster.translator import DagsterPipekitTranslator
from pipekit_engine.models import Connection
from tests.dagster.project import Project
from tests.dagster.test_jobs import run_job


@pytest.fixture
def instance(project: Project) -> Iterator[dg.DagsterInstance]:
    """With a module between two connections that one run at a time may use; another run uses the source."""
    for name, file in (("src", project.source), ("dst", project.dest)):
        limited = Connection(name=name, driver="sqlite", jdbc_url=f"jdbc:sqlite:{file}", max_parallel=1)
        project.save(limited, action="change")
    project.add_module("one")
    project.add_group("nightly", ("one",))
    with project.instance() as made, project.store() as store:
        sync_pools(made, store.definitions.load(), DagsterPipekitTranslator())
        assert made.event_log_storage.claim_concurrency_slot("pipekit_src", "another run", "its op").is_claimed
        yield made


def once_it_waits(instance: dg.DagsterInstance, then: Callable[[str], None]) -> threading.Thread:
    """Do something with the id of the run once its op waits for the source."""

    def look() -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            for run in instance.get_runs():
                if any(
                    "free place in the pool pipekit_src" in entry.message for entry in instance.all_logs(run.run_id)
                ):
                    then(run.run_id)
                    return
            time.sleep(0.1)

    thread = threading.Thread(target=look)
    thread.start()
    return thread


def places(instance: dg.DagsterInstance) -> dict[str, set[str]]:
    """Who has a place in each pool, or waits for one."""
    found = {}
    for pool in ("pipekit_src", "pipekit_dst"):
        info = instance.event_log_storage.get_concurrency_info(pool)
        found[pool] = {each.run_id for each in (*info.claimed_slots, *info.pending_steps)}
    return found


def test_an_op_waits_for_places_on_both_connections(project: Project, instance: dg.DagsterInstance) -> None:
    there: list[dict[str, set[str]]] = []

    def free(run_id: str) -> None:
        there.append(places(instance))
        assert project.sql(project.dest, "SELECT count(*) FROM sqlite_master WHERE name = 'one'") == [(0,)]
        instance.event_log_storage.free_concurrency_slots_for_run("another run")

    thread = once_it_waits(instance, free)
    result = run_job(project, instance, "nightly")
    thread.join()
    assert result.success
    assert there == [{"pipekit_dst": {result.run_id}, "pipekit_src": {"another run", result.run_id}}]
    assert project.rows("one") == [(1, "one"), (2, "two"), (3, "three")]
    assert places(instance) == {"pipekit_src": set(), "pipekit_dst": set()}


def test_a_run_that_is_cancelled_while_it_waits_ends(project: Project, instance: dg.DagsterInstance) -> None:
    def cancel(run_id: str) -> None:
        run = instance.get_run_by_id(run_id)
        assert run is not None
        instance.report_run_canceling(run)
        cancel_event(run_id).set()

    thread = once_it_waits(instance, cancel)
    result = run_job(project, instance, "nightly")
    thread.join()
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.status == dg.DagsterRunStatus.CANCELED
    assert places(instance)["pipekit_src"] == {"another run"}
    with project.store() as store:
        assert store.runs.list(module="one") == []
        assert not store.leases.all()
