"""Records that come back under an old name, and names that Dagster cannot tell apart."""

from __future__ import annotations

import dagster as dg

from pipekit_dagster.pools import sync_pools
from pipekit_dagster.sensors import evaluate_trigger
from pipekit_dagster.translator import DagsterPipekitTranslator
from pipekit_engine.models import Connection, Trigger
from pipekit_engine.store import Change
from tests.dagster.project import Project


def test_a_trigger_made_again_for_another_group_fires(project: Project) -> None:
    """Its first request must not have the run key of the trigger before it: Dagster has a run for that and launches nothing."""
    project.add_module("one")
    project.add_group("first", ("one",))
    project.add_group("second", ("one",))
    trigger = Trigger(name="changed", group="first", kind="watermark", connection="src", sql="SELECT 1")
    keys = []
    with project.instance() as instance, project.store() as store:
        for group in ("first", "second"):
            project.save(trigger.model_copy(update={"group": group}))
            request = evaluate_trigger(store, "changed", look=lambda _: "3", instance=instance, job_name=group)
            assert isinstance(request, dg.RunRequest)
            keys.append(request.run_key)
            store.definitions.save([Change("delete", "triggers", "changed", None)])
    assert keys[0] != keys[1]


def test_connections_that_share_a_pool_keep_the_tighter_limit(project: Project) -> None:
    for name, limit in (("dw-1", 3), ("dw_1", 8)):
        project.save(Connection(name=name, driver="sqlite", jdbc_url="jdbc:sqlite:x", max_parallel=limit))
    with project.instance() as instance, project.store() as store:
        sync_pools(instance, store.definitions.load(), DagsterPipekitTranslator())
        assert {pool.name: pool.limit for pool in instance.event_log_storage.get_pool_limits()} == {"pipekit_dw_1": 3}
