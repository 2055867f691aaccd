"""Destination tables as Dagster assets: materialized one by one, with what they read, by hand and by `automation`."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import dagster as dg
import pytest

from pipekit_dagster import DagsterPipekitTranslator, build_pipekit_definitions
from pipekit_dagster.build import AUTOMATION_SENSOR, assemble
from pipekit_dagster.outcome import page_metadata
from pipekit_dagster.serve.home import PAGES
from pipekit_engine.config import Config
from pipekit_engine.definitions.export import to_yaml
from pipekit_engine.definitions.load import load_definitions
from tests.dagster.project import Project
from tests.dagster.test_build import build, definitions, module
from tests.dagster.test_jobs import run_job


def key(table: str) -> dg.AssetKey:
    return dg.AssetKey(["dst", table])


def run_assets(
    project: Project, instance: dg.DagsterInstance, *tables: str, **options: Any
) -> dg.ExecuteInProcessResult:
    """Materialize tables as the UI does: a run of Dagster's own job for the assets that are selected."""
    job = build_pipekit_definitions(project.config).resolve_implicit_global_asset_job_def()
    return job.execute_in_process(
        instance=instance, asset_selection=[key(table) for table in tables] or None, raise_on_error=False, **options
    )


def told(result: dg.ExecuteInProcessResult) -> str:
    return " ".join(f"{event.message} {event.event_specific_data}" for event in result.all_events)


def chain(project: Project) -> None:
    """Module `first`, and `second`, which reads its table."""
    project.add_module("second", source="dst", query="SELECT id, name FROM first WHERE id > 1", tags={"owner": "data"})
    project.add_module("first")
    project.add_module("off", source="dst", query="SELECT id, name FROM second", enabled=False)


def test_one_two_and_all_are_materialized_in_the_order_of_what_they_read(project: Project) -> None:
    chain(project)
    with dg.DagsterInstance.ephemeral() as instance:
        assert run_assets(project, instance, "first").success
        with project.store() as store:
            assert [run.module for run in store.runs.list()] == ["first"]
        both = run_assets(project, instance, "second", "first")
        assert both.success
        made = both.get_asset_materialization_events()
        assert [event.asset_key for event in made] == [key("first"), key("second")]
        metadata = made[1].materialization.metadata
        assert metadata["rows_inserted"].value == 2
        assert metadata["dagster/row_count"].value == 2
        assert [column.name for column in metadata["dagster/column_schema"].value.columns] == ["id", "name"]
        assert metadata["dagster/column_lineage"].value.deps_by_column["id"][0].asset_key == key("first")
        assert project.rows("second") == [(2, "two"), (3, "three")]
        refused = run_assets(project, instance)
        assert not refused.success
        assert "no asset is selected" in told(refused)
    with project.store() as store:
        assert [run.module for run in store.runs.list()] == ["second", "first", "first"]


def test_a_click_on_launch_of_the_job_of_all_modules_runs_nothing(project: Project) -> None:
    chain(project)
    job = build_pipekit_definitions(project.config).resolve_job_def("modules")
    result = job.execute_in_process(raise_on_error=False)
    assert not result.success
    assert "Give an op selection" in told(result)
    with project.store() as store:
        assert store.runs.list() == []


def test_what_fails_upstream_is_not_followed_and_is_tried_again(project: Project) -> None:
    project.add_module("second", source="dst", query="SELECT id, name FROM first")
    broken = project.add_module("first", query="SELECT no_such_column FROM numbers")
    with project.instance() as instance:
        result = run_job(project, instance, "__ASSET_JOB", asset_selection=[key("first"), key("second")])
        assert not result.success
        with project.store() as store:
            assert [run.module for run in store.runs.list()] == ["first"]
        project.save(broken.model_copy(update={"query": "SELECT id, name FROM numbers"}), action="change")
        again = dg.ReexecutionOptions.from_failure(result.run_id, instance)
        assert run_job(project, instance, "__ASSET_JOB", reexecution_options=again).success
    assert len(project.rows("second")) == 3


def test_a_locked_module_says_so(project: Project) -> None:
    project.add_module("first")
    with project.store() as store, dg.DagsterInstance.ephemeral() as instance:
        held = store.runs.start("first", triggered_by="manual")
        assert held is not None
        result = run_assets(project, instance, "first")
        assert not result.success
        assert "first" in told(result)
        assert "running" in told(result)
        assert not result.get_asset_materialization_events()


def test_a_dry_run_is_tagged_and_materializes_nothing(project: Project) -> None:
    chain(project)
    with dg.DagsterInstance.ephemeral() as instance:
        config = {"resources": {"pipekit": {"config": {"dry_run": True}}}}
        result = run_assets(project, instance, "first", run_config=config)
        assert result.success
        assert not result.get_asset_materialization_events()
        observed = [event for event in result.all_events if event.event_type_value == "ASSET_OBSERVATION"]
        assert "plan" in observed[0].asset_observation_data.asset_observation.metadata
        run = instance.get_run_by_id(result.run_id)
        assert run is not None
        assert run.tags["pipekit/dry_run"] == "true"


def test_a_disabled_module_is_marked_and_is_not_materialized(project: Project) -> None:
    chain(project)
    defs = build_pipekit_definitions(project.config)
    graph = defs.resolve_asset_graph()
    assert not graph.get(key("off")).is_executable
    spec = next(spec for spec in defs.resolve_all_asset_specs() if spec.key == key("off"))
    assert spec.tags["pipekit/disabled"] == "true"
    assert "disabled" in (spec.description or "")
    # Disabled after the code location was loaded.
    with dg.DagsterInstance.ephemeral() as instance:
        job = defs.resolve_implicit_global_asset_job_def()
        with project.store() as store:
            found = store.definitions.module("first")
        project.save(found.model_copy(update={"enabled": False}), action="change")
        result = job.execute_in_process(instance=instance, asset_selection=[key("first")], raise_on_error=False)
    assert not result.success
    assert "Nothing was run: first" in told(result)


def test_two_modules_that_fill_one_table_are_one_asset(project: Project) -> None:
    project.add_module("b", dest_table="t", strategy="append", query="SELECT id, name FROM numbers WHERE id = 3")
    project.add_module("a", dest_table="t", query="SELECT id, name FROM numbers WHERE id < 3")
    with dg.DagsterInstance.ephemeral() as instance:
        result = run_assets(project, instance, "t")
        assert result.success
        (event,) = result.get_asset_materialization_events()
        assert event.materialization.metadata["a/rows_inserted"].value == 2
        assert event.materialization.metadata["b/rows_inserted"].value == 1
    assert len(project.rows("t")) == 3


def test_owners_tags_pools_freshness_and_automation_reach_dagster() -> None:
    found = definitions(
        module(
            "orders", tags={"owner": "ada@example.org", "tier": "gold", "note": "free text, odd"}, fresh_within="36h"
        ),
        module("report", source="dw", query="SELECT * FROM analytics.orders", automation="eager", tags={"owner": "bi"}),
        module("nightly", automation="0 5 * * *"),
    )
    repository = build(found)
    graph = repository.asset_graph
    orders, report, nightly = (
        graph.get(dg.AssetKey(["dw", "analytics", name])) for name in ("orders", "report", "nightly")
    )
    assert orders.owners == ["ada@example.org"]
    assert report.owners == ["team:bi"]
    assert orders.tags["tier"] == "gold"
    assert "note" not in orders.tags
    assert orders.freshness_policy == dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=36))
    assert orders.automation_condition is None
    assert "eager" in str(report.automation_condition)
    assert "0 5 * * *" in str(nightly.automation_condition)
    assert orders.assets_def.op.pool == "pipekit_ops"
    sensor = repository.get_sensor_def(AUTOMATION_SENSOR)
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING


def test_eager_follows_what_a_groups_job_filled(project: Project) -> None:
    project.add_module("first")
    project.add_module("second", source="dst", query="SELECT id, name FROM first", automation="eager")
    project.add_group("nightly", ("first",))
    defs = build_pipekit_definitions(project.config)
    with dg.DagsterInstance.ephemeral() as instance:
        looked = dg.evaluate_automation_conditions(defs, instance)
        assert defs.resolve_job_def("nightly").execute_in_process(instance=instance).success
        looked = dg.evaluate_automation_conditions(defs, instance, cursor=looked.cursor)
        assert looked.get_num_requested(key("second")) == 1
        looked = dg.evaluate_automation_conditions(defs, instance, cursor=looked.cursor)
        assert looked.get_num_requested(key("second")) == 0


def test_a_cron_waits_for_no_table_that_no_module_fills(project: Project) -> None:
    project.add_module("first", automation="0 5 * * *")
    defs = build_pipekit_definitions(project.config)
    with dg.DagsterInstance.ephemeral() as instance:
        before = datetime(2026, 3, 1, 4, 59, tzinfo=timezone.utc)
        looked = dg.evaluate_automation_conditions(defs, instance, evaluation_time=before)
        assert looked.total_requested == 0
        after = before + timedelta(minutes=2)
        looked = dg.evaluate_automation_conditions(defs, instance, cursor=looked.cursor, evaluation_time=after)
        assert looked.get_num_requested(key("first")) == 1


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("automation", "sometimes", "must be eager or a cron expression"),
        ("automation", "0 25 * * *", "the hour 25 is not between 0 and 23"),
        ("fresh_within", "2 fortnights", "is no age"),
        ("fresh_within", "0h", "is no age"),
    ],
)
def test_anything_else_is_refused(field: str, value: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        module("x", **{field: value})


def test_metadata_links_to_pipekits_pages_where_they_are_served(monkeypatch: pytest.MonkeyPatch) -> None:
    def links() -> list[object]:
        node = build(definitions(module("orders"))).asset_graph.get(dg.AssetKey(["dw", "analytics", "orders"]))
        return [node.metadata.get("pipekit_page"), page_metadata("runs/7").get("pipekit_page")]

    assert links() == [None, None]
    monkeypatch.setenv(PAGES, "https://etl.example.org/pipekit/")
    urls = [f"https://etl.example.org/pipekit/{page}" for page in ("modules/orders", "runs/7")]
    assert links() == [dg.MetadataValue.url(url) for url in urls]


def test_names_with_odd_characters_and_meeting_ones_load() -> None:
    found = definitions(
        module("dw__a", dest_table='"a/b"."c d"'),
        module("x", dest_table="a__b"),
        module("y", dest_table='a."_b"'),
        module("z", dest_table="a"),
        module("class", dest_table='"ünï"', tags={"owner": "%a@b.co", "dagster/priority": "7"}),
        module("team", tags={"owner": "team:"}),
    )
    repository = build(found)
    assert len(repository.asset_graph.executable_asset_keys) == 6
    assert assemble(Config(), found, [], DagsterPipekitTranslator()).resolve_implicit_global_asset_job_def()


def test_automation_and_freshness_go_into_the_store_and_back(project: Project) -> None:
    written = project.add_module("x", automation="0 5 * * *", fresh_within="36h")
    with project.store() as store:
        found, broken = store.definitions.load_checked()
    assert not broken
    assert found.modules["x"] == written
    file = project.folder / "x.yaml"
    file.write_text(to_yaml(found.model_copy(update={"modules": {"x": written}}), ["modules"]))
    assert "fresh_within: 36h" in file.read_text()
    assert load_definitions(file, {"connections": ["src", "dst"]}).definitions.modules["x"] == written
