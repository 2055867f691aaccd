"""`@pipekit_assets`, `PipekitResource.run(context)`, and the component in a project of one's own."""

# No `from __future__ import annotations` here: Dagster looks at the annotations of the functions.

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest
from dagster.components.testing import create_defs_folder_sandbox

import pipekit_dagster
from pipekit_dagster import PipekitComponent, PipekitResource, pipekit_assets
from pipekit_engine.errors import ConfigurationError, NotFoundError
from pipekit_engine.models import Check
from tests.dagster.project import Project
from tests.dagster.test_asset_checks import evaluated
from tests.dagster.test_assets import key


def test_assets_of_ones_own(project: Project) -> None:
    project.add_module("second", source="dst", query="SELECT id, name FROM first", owners=("data",))
    project.add_module("first", checks=(Check(name="rows"),))
    project.add_module("off", enabled=False)
    project.add_group("nightly", ("first",), ("second",))

    @pipekit_assets(groups=["nightly"], config=project.config)
    def nightly_tables(context: dg.AssetExecutionContext, pipekit: PipekitResource) -> Iterator[Any]:
        yield from pipekit.run(context)

    specs = nightly_tables.specs_by_key
    assert set(specs) == {key("first"), key("second")}
    assert list(specs[key("second")].owners) == ["team:data"]
    assert [dep.asset_key for dep in specs[key("second")].deps] == [key("first")]
    resources = {"pipekit": PipekitResource.bound_to(project.config)()}
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([nightly_tables], instance=instance, resources=resources)
        assert [event.asset_key for event in result.get_asset_materialization_events()] == [key("first"), key("second")]
        assert result.get_asset_materialization_events()[0].materialization.metadata["rows_inserted"].value == 3
        assert evaluated(result.all_events) == {"rows": (True, "ERROR", 0)}
        one = dg.materialize([nightly_tables], instance=instance, resources=resources, selection=[key("second")])
        assert [event.asset_key for event in one.get_asset_materialization_events()] == [key("second")]
        project.add_module("third", query="SELECT no_such FROM numbers")

        @pipekit_assets(modules=["third"], config=project.config)
        def failing(context: dg.AssetExecutionContext, pipekit: PipekitResource) -> Iterator[Any]:
            yield from pipekit.run(context)

        failed = dg.materialize([failing], instance=instance, resources=resources, raise_on_error=False)
        assert not failed.success
    with pytest.raises(NotFoundError, match="There is no group 'nightly2'"):
        pipekit_assets(groups=["nightly2"], config=project.config)
    with pytest.raises(ConfigurationError, match="there is nothing to run"):
        pipekit_assets(modules=["off"], config=project.config)


def test_the_component_reads_yaml_in_git_and_leaves_out_what_it_is_told_to(project: Project) -> None:
    assert set(pipekit_dagster.__all__) == set(dir(pipekit_dagster))
    definitions = """
connections:
  src: {driver: sqlite, jdbc_url: "jdbc:sqlite:a.db"}
modules:
  copy: {source: src, dest: src, query: SELECT 1 AS id, dest_table: t, strategy: full, automation: eager}
groups: {nightly: {members: [copy]}}
schedules: {at-two: {group: nightly, cron: "0 2 * * *"}}
triggers: {changed: {group: nightly, kind: watermark, connection: src, sql: SELECT 1}}
"""
    attributes = {"database": "pipekit.db", "definitions": "./definitions"}
    with create_defs_folder_sandbox() as sandbox:
        found = {}
        for name, more in (("all", {}), ("some", {"with_schedules": False, "with_sensors": False})):
            path = sandbox.scaffold_component(
                component_cls=PipekitComponent,
                defs_path=name,
                defs_yaml_contents={"type": "pipekit_dagster.PipekitComponent", "attributes": {**attributes, **more}},
            )
            (path / "definitions").mkdir()
            (path / "definitions" / "all.yaml").write_text(definitions)
            for _ in range(2):  # the second time nothing changes
                with sandbox.load_component_and_build_defs(defs_path=path) as (_, defs):
                    found[name] = defs
            repository = found[name].get_repository_def()
            assert repository.has_job("nightly")
    assert [item.name for item in found["all"].get_repository_def().schedule_defs] == ["at_two"]
    assert len(found["all"].get_repository_def().sensor_defs) == 3
    assert not found["some"].get_repository_def().schedule_defs
    # Dagster's own, which waits to be switched on.
    own = [item.name for item in found["some"].get_repository_def().sensor_defs]
    assert own == ["default_automation_condition_sensor"]
