"""Dagster's own runs and ticks are as old as `retention` allows; what something needs stays."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    SensorInstigatorData,
    TickData,
    TickStatus,
)

from pipekit_dagster import build_pipekit_definitions
from pipekit_dagster.build import RETENTION_SENSOR
from pipekit_dagster.dagster_internals.instigation import purge_ticks
from pipekit_dagster.retention import prune_runs
from pipekit_engine.config import RetentionConfig
from tests.dagster.project import Project

OURS = "__repository__@pipekit"
NOW = timedelta(0)


def files(project: Project, run_id: str) -> list[Path]:
    return [path for path in project.home.rglob("*") if run_id in path.name]


@dg.asset
def one() -> None:
    """A table."""


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["a", "b"]), backfill_policy=dg.BackfillPolicy.single_run())
def days() -> None:
    """A table with partitions."""


@dg.asset
def bad() -> None:
    raise ValueError("no")


JOB = dg.Definitions(assets=[one, days, bad]).resolve_implicit_global_asset_job_def()


def ran(instance: dg.DagsterInstance, table: dg.AssetsDefinition, **options: Any) -> str:
    """The id of a run that has ended."""
    return JOB.execute_in_process(
        instance=instance, asset_selection=[table.key], raise_on_error=False, **options
    ).run_id


def test_ended_runs_go_with_their_events_and_files(project: Project) -> None:
    with project.instance() as instance:
        old, failed, newest = ran(instance, one), ran(instance, bad), ran(instance, one)
        filled_again = ran(instance, days, partition_key="a")
        span = {"dagster/asset_partition_range_start": "a", "dagster/asset_partition_range_end": "b"}
        filled = ran(instance, days, tags=span)
        elsewhere = ran(instance, bad, tags={".dagster/repository": "other@theirs"})
        awaited = ran(instance, bad, tags={"dagster/run_key": "t:1"})
        busy = instance.create_run_for_job(JOB, status=dg.DagsterRunStatus.STARTED).run_id
        assert files(project, old)
        assert prune_runs(instance, OURS, timedelta(hours=1), awaited={"t:1"}, budget_s=60) == (0, None)
        assert prune_runs(instance, OURS, NOW, awaited={"t:1"}, budget_s=-1) == (0, None), "no time for any"
        assert prune_runs(instance, OURS, NOW, awaited={"t:1"}, budget_s=60) == (3, None)
        assert {run.run_id for run in instance.get_runs()} == {newest, filled, elsewhere, awaited, busy}
        for run_id in (old, failed, filled_again):
            assert files(project, run_id) == []
            assert instance.all_logs(run_id) == []
        assert instance.get_latest_materialization_event(one.key) is not None
        assert instance.get_materialized_partitions(days.key) == {"a", "b"}
        assert prune_runs(instance, OURS, NOW, after=old, budget_s=60) == (0, None), (
            "a pass that cannot go on begins anew"
        )
        assert prune_runs(instance, OURS, NOW, budget_s=60) == (1, None)


def test_ticks_go_but_the_newest(project: Project) -> None:
    with project.instance() as instance:
        states = {}
        for location in ("pipekit", "theirs"):
            origin = RemoteRepositoryOrigin(
                RegisteredCodeLocationOrigin(location), "__repository__"
            ).get_instigator_origin("watch")
            data = SensorInstigatorData()
            states[location] = state = InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.RUNNING, data)
            instance.add_instigator_state(state)
            for at in (100.0, 200.0, 300.0):
                tick = TickData(
                    instigator_origin_id=state.instigator_origin_id,
                    instigator_name="watch",
                    instigator_type=InstigatorType.SENSOR,
                    status=TickStatus.SUCCESS,
                    timestamp=at,
                    selector_id=state.selector_id,
                    run_ids=[],
                )
                instance.create_tick(tick)

        def left(location: str) -> list[float]:
            state = states[location]
            return sorted(tick.timestamp for tick in instance.get_ticks(state.instigator_origin_id, state.selector_id))

        purge_ticks(instance, "pipekit", 150.0)
        assert left("pipekit") == [200.0, 300.0]
        purge_ticks(instance, "pipekit", 1000.0)
        assert (left("pipekit"), left("theirs")) == ([300.0], [100.0, 200.0, 300.0])


def test_the_sensor_is_there_where_runs_are_not_kept_for_ever(project: Project) -> None:
    def sensors(**retention: str) -> dict[str, Any]:
        config = project.config.model_copy(update={"retention": RetentionConfig(**retention)})
        return {item.name: item for item in build_pipekit_definitions(config).sensors or ()}

    assert RETENTION_SENSOR not in sensors()
    with project.instance() as instance:
        old = ran(instance, bad)
        told = sensors(runs="0d")[RETENTION_SENSOR].evaluate_tick(dg.build_sensor_context(instance=instance))
        assert told.skip_message == "1 run older than 0d deleted."
        assert instance.get_run_by_id(old) is None
