"""The checks of modules as Dagster's asset checks: in a materialization, in a group's job, and alone."""

from __future__ import annotations

from typing import Any

import dagster as dg
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run

from pipekit_dagster import build_pipekit_definitions
from pipekit_engine.models import Check
from tests.dagster.project import Project
from tests.dagster.test_assets import key, run_assets, told
from tests.dagster.test_jobs import run_job

CHECKS = (
    Check(name="rows"),
    Check(name="no-zero", sql="SELECT 1 FROM {table} WHERE id = 0", on="staging"),
    Check(name="few", sql="SELECT 1 FROM {table} WHERE id > 1", severity="warning"),
)


def evaluated(events: Any) -> dict[str, tuple[bool, str, object]]:
    """What is told of each check: passed or not, how severe, how many rows are wrong."""
    found = {}
    for event in events:
        if event.event_type_value == "ASSET_CHECK_EVALUATION":
            told = event.event_specific_data
            assert told.check_name not in found, "each check is told once"
            count = told.metadata.get("count")
            found[told.check_name] = (told.passed, told.severity.value, count and count.value)
    return found


def test_checks_belong_to_the_step_that_materializes(project: Project) -> None:
    project.add_module("first", checks=CHECKS, owners=("ada@example.org", "data"))
    project.add_module("second", source="dst", query="SELECT id, name FROM first")
    defs = build_pipekit_definitions(project.config)
    (node,) = (item for item in defs.resolve_asset_graph().asset_nodes if item.key == key("first"))
    assert sorted(item.name for item in node.check_keys) == ["few", "no_zero", "rows"]
    assert sorted(node.owners) == ["ada@example.org", "team:data"]
    with dg.DagsterInstance.ephemeral() as instance:
        result = run_assets(project, instance, "first", "second")
        assert result.success
        expected = {"rows": (True, "ERROR", 0), "no_zero": (True, "ERROR", 0), "few": (False, "WARN", 2)}
        assert evaluated(result.all_events) == expected
        # Alone, as the UI starts it: no run of the module.
        few = frozenset({dg.AssetCheckKey(key("first"), "few")})
        job = defs.resolve_implicit_global_asset_job_def().get_subset(asset_selection=set(), asset_check_selection=few)
        run = instance.create_run_for_job(job, asset_selection=frozenset())
        alone = execute_run(InMemoryJob(job), run._replace(asset_check_selection=few), instance)
        assert alone.success
        assert evaluated(alone.all_events) == {"few": (False, "WARN", 2)}
        assert all(event.event_type_value != "ASSET_MATERIALIZATION" for event in alone.all_events)
    with project.store() as store:
        assert len(store.runs.list()) == 2


def test_a_failing_check_before_the_merge_stops_what_comes_after(project: Project) -> None:
    project.add_module("first", checks=(Check(name="none", sql="SELECT 1 FROM {table}", on="staging"),))
    project.add_module("second", source="dst", query="SELECT id, name FROM first")
    with dg.DagsterInstance.ephemeral() as instance:
        result = run_assets(project, instance, "first", "second")
        assert not result.success
        assert evaluated(result.all_events) == {"none": (False, "ERROR", 3)}
        assert "Nothing was merged" in told(result)
    with project.store() as store:
        assert [run.module for run in store.runs.list()] == ["first"]


def test_a_groups_job_tells_the_checks_too(project: Project) -> None:
    project.add_module("first", checks=CHECKS)
    project.add_module("last")
    project.add_group("nightly", ("first",), ("last",), on_failure="stop")
    with project.instance() as instance:
        result = run_job(project, instance, "nightly")
        assert result.success
        records = instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(key("first"), "few"), limit=5
        )
        assert [record.run_id for record in records] == [result.run_id]
        assert evaluated(result.all_events)["few"] == (False, "WARN", 2)
