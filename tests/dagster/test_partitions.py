"""Partitions of modules as Dagster's: the same bounds, one and many in a run, what each materialization says."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import dagster as dg
import pytest

from pipekit_dagster import build_pipekit_definitions
from pipekit_dagster.partitions import partitions_definition
from pipekit_engine.models import Partition
from tests.dagster.project import Project
from tests.dagster.test_assets import key, run_assets, told
from tests.dagster.test_jobs import run_job

ZONES = [
    "UTC",
    "Europe/Paris",
    "America/Sao_Paulo",
    "America/Havana",
    "Asia/Beirut",
    "Pacific/Auckland",
    "Asia/Kolkata",
]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("by", ["hour", "day", "week", "month"])
def test_the_bounds_are_those_of_dagster(by: Any, zone: str) -> None:
    """Also where a clock jumps at midnight (Sao Paulo, Beirut) or shows midnight twice (Havana)."""
    if by == "hour" and zone != "UTC":
        pytest.skip("hours are those of UTC")
    start = "2018-01-01" if by != "hour" else "2018-03-24 05:00"
    partition = Partition(by=by, start=start, column="at", timezone=zone)
    until = (
        datetime(2019, 3, 20, tzinfo=timezone.utc)
        if by != "hour"
        else datetime(2018, 3, 26, 7, 30, tzinfo=timezone.utc)
    )
    ours = [
        (item.key, partition.instant(item.start), partition.instant(item.end)) for item in partition.complete(until)
    ]
    definition = partitions_definition(partition)
    assert isinstance(definition, dg.TimeWindowPartitionsDefinition)
    theirs = []
    for name in definition.get_partition_keys(current_time=until):
        window = definition.time_window_for_partition_key(name)
        theirs.append((name, window.start.astimezone(timezone.utc), window.end.astimezone(timezone.utc)))
    assert ours == theirs
    assert partition.count_complete(until) == len(ours)
    newest = partition.newest(until)
    assert newest is not None
    assert newest.key == ours[-1][0]


def days(project: Project, name: str = "days", **fields: Any) -> None:
    project.sql(project.source, "CREATE TABLE IF NOT EXISTS t (id INTEGER, at TIMESTAMP)")
    project.sql(project.source, "DELETE FROM t")
    project.sql(
        project.source,
        "INSERT INTO t VALUES (1, '2024-01-01 10:00:00'), (2, '2024-01-02 00:00:00'), (3, '2024-01-03 23:59:59.5')",
    )
    query = "SELECT id, at FROM t WHERE at >= '{partition_start}' AND at < '{partition_end}'"
    partition = Partition(by="day", start="2024-01-01", end="2024-01-05", column="at")
    project.add_module(name, query=query, **{"partition": partition, **fields})


def test_one_partition_and_a_range_in_one_run(project: Project) -> None:
    days(project)
    with dg.DagsterInstance.ephemeral() as instance:
        one = run_assets(project, instance, "days", partition_key="2024-01-02")
        assert one.success, told(one)
        (event,) = one.get_asset_materialization_events()
        assert event.partition == "2024-01-02"
        assert event.materialization.metadata["partition"].value == "2024-01-02"
        assert event.materialization.metadata["dagster/partition_row_count"].value == 1
        span = {"dagster/asset_partition_range_start": "2024-01-01", "dagster/asset_partition_range_end": "2024-01-04"}
        many = run_assets(project, instance, "days", tags=span)
        assert many.success, told(many)
        found = {item.partition: item.materialization.metadata for item in many.get_asset_materialization_events()}
        assert list(found) == ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04"]
        assert [found[name]["rows_inserted"].value for name in found] == [1, 1, 1, 0]
    with project.store() as store:
        assert [run.partition for run in store.runs.list()][::-1] == ["2024-01-02", *found]
        assert len(store.partitions.of("days")) == 4
    assert [row[0] for row in project.rows("days")] == [1, 2, 3]


def test_partitions_before_a_failed_one_are_told(project: Project) -> None:
    days(project, dedupe="error", merge_key="id")
    project.sql(project.source, "INSERT INTO t VALUES (3, '2024-01-03 10:00:00')")
    span = {"dagster/asset_partition_range_start": "2024-01-01", "dagster/asset_partition_range_end": "2024-01-04"}
    with dg.DagsterInstance.ephemeral() as instance:
        result = run_assets(project, instance, "days", tags=span)
        assert not result.success
        assert [item.partition for item in result.get_asset_materialization_events()] == ["2024-01-01", "2024-01-02"]


def test_a_group_takes_the_newest_partition_or_the_one_of_its_settings(project: Project) -> None:
    days(project)
    project.add_group("g", ("days",))
    with project.instance() as instance:
        assert run_job(project, instance, "g").success
        config = {"resources": {"pipekit": {"config": {"partition": "2024-01-01"}}}}
        assert run_job(project, instance, "g", run_config=config).success
        tick = {".dagster/scheduled_execution_time": "2024-01-03T00:05:00+00:00"}
        assert run_job(project, instance, "g", tags=tick).success
    with project.store() as store:
        assert [run.partition for run in store.runs.list()] == ["2024-01-02", "2024-01-01", "2024-01-04"]


def test_the_settings_of_a_run_name_the_partitions_of_a_backfill(project: Project) -> None:
    """What the pages ask Dagster for: each is a materialization; one that fails ends it unless it is to go on."""
    days(project, dedupe="error", merge_key="id")
    project.sql(project.source, "INSERT INTO t VALUES (2, '2024-01-02 10:00:00')")
    project.add_group("g", ("days",))
    config: dict[str, Any] = {"partitions": ["2024-01-01", "2024-01-02", "2024-01-03"]}
    with project.instance() as instance:
        for more, filled in ({}, ["2024-01-01"]), ({"keep_going": True}, ["2024-01-01", "2024-01-03"]):
            result = run_job(
                project, instance, "g", run_config={"resources": {"pipekit": {"config": {**config, **more}}}}
            )
            assert not result.success
            events = result.filter_events(lambda event: event.is_step_materialization)
            assert [event.partition for event in events] == filled
    with project.store() as store:
        assert list(store.partitions.of("days")) == ["2024-01-01", "2024-01-03"]
        assert [run.status for run in store.runs.list()][::-1] == ["success", "error", "success", "error", "success"]


def test_ranges_of_numbers_are_static_partitions(project: Project) -> None:
    partition = Partition(by="number", start="0", end="25", step=10, column="id")
    query = "SELECT id, name FROM numbers WHERE id >= {partition_start} AND id < {partition_end}"
    project.add_module("numbers", query=query, partition=partition)
    graph = build_pipekit_definitions(project.config).resolve_asset_graph()
    definition = graph.get(key("numbers")).partitions_def
    assert definition is not None
    assert definition.get_partition_keys() == ["0", "10", "20"]
