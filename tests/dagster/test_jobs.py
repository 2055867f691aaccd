"""Group jobs, run for real: SQLite to SQLite through jrunner, inside a Dagster run in this process."""

from __future__ import annotations

import importlib
import itertools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.reconstruct import ReconstructableRepository

from pipekit_dagster import executor as executor_module
from pipekit_dagster.resource import asked_by
from pipekit_dagster.tags import TRIGGERED_BY_TAG
from tests.dagster.project import SLOW_QUERY, Project
from tests.servers.postgresql import PostgreSQLServer


def run_job(project: Project, instance: dg.DagsterInstance, job: str, **kwargs: Any) -> dg.JobExecutionResult:
    # The definitions are read when the module is loaded, and Dagster keeps what it read of a module in a folder.
    importlib.reload(importlib.import_module("pipekit_dagster.definitions"))
    folder = project.folder / f"load {time.monotonic_ns()}"
    repository = ReconstructableRepository.for_module("pipekit_dagster.definitions", "defs", str(folder))
    return dg.execute_job(repository.get_reconstructable_job(job), instance=instance, raise_on_error=False, **kwargs)


def step_logs(result: dg.JobExecutionResult, instance: dg.DagsterInstance) -> dict[str, str]:
    """Each op's own stdout."""
    found = {}
    for entry in instance.all_logs(result.run_id):
        if entry.dagster_event_type is dg.DagsterEventType.LOGS_CAPTURED:
            data: Any = entry.get_dagster_event().event_specific_data
            key = [*instance.compute_log_manager.build_log_key_for_run(result.run_id, data.file_key)]
            logs = instance.compute_log_manager.get_log_data(key)
            for step in data.step_keys:
                found[step] = (logs.stdout or b"").decode() + (logs.stderr or b"").decode()
    return found


def materializations(result: dg.JobExecutionResult, instance: dg.DagsterInstance) -> dict[str, dg.AssetMaterialization]:
    found = {}
    for entry in instance.all_logs(result.run_id):
        made = entry.asset_materialization
        if made is not None:
            found[entry.step_key or ""] = made
    return found


def test_a_group_runs_as_a_job(project: Project) -> None:
    project.add_module("one")
    project.add_module("two", strategy="incremental", merge_key=["id"])
    project.add_group("nightly", ("one",), ("two",))
    with project.instance() as instance:
        result = run_job(project, instance, "nightly")
        assert result.success
        assert project.rows("one") == project.rows("two") == [(1, "one"), (2, "two"), (3, "three")]
        logs = step_logs(result, instance)
        made = materializations(result, instance)["one"]
    assert set(logs) == {"one", "two"}
    assert "module one" in logs["one"]
    assert "module two" not in logs["one"]
    assert made.asset_key == dg.AssetKey(["dst", "one"])
    assert made.metadata["rows_inserted"].value == 3
    assert made.metadata["dagster/row_count"].value == 3
    assert isinstance(made.metadata["duration_s"].value, float)
    schema: Any = made.metadata["dagster/column_schema"].value
    assert [column.name for column in schema.columns] == ["id", "name"]
    lineage: Any = made.metadata["dagster/column_lineage"].value
    assert lineage.deps_by_column["name"][0].asset_key == dg.AssetKey(["src", "numbers"])
    with project.store() as store:
        group_run = store.group_runs.list(group="nightly")[0]
        assert group_run.status == "success"
        assert group_run.dagster_run_id == result.run_id
        runs = store.runs.list(group_run_id=group_run.id)
        assert {run.module: run.status for run in runs} == {"one": "success", "two": "success"}
        assert {run.dagster_run_id for run in runs} == {result.run_id}
        assert store.leases.all() == []


@pytest.mark.postgresql
def test_the_state_may_stand_on_postgresql(tmp_path: Path, java: str, postgresql: PostgreSQLServer) -> None:
    with postgresql.fresh_database() as database:
        project = Project(tmp_path, postgresql.url(database))
        project.add_module("one")
        project.add_module("bad", query="SELECT nothing")
        project.add_group("nightly", ("one", "bad"), max_parallel=2)
        with project.instance() as instance:
            assert not run_job(project, instance, "nightly").success
        with project.store() as store:
            assert {run.module: run.status for run in store.runs.list()} == {"one": "success", "bad": "error"}
            assert store.group_runs.list()[0].status == "error"
            assert store.leases.all() == []


def test_a_failed_member_is_red_and_stops_nobody(project: Project) -> None:
    project.add_module("good")
    project.add_module("bad", query="SELECT id, no_such_column FROM numbers")
    project.add_module("last")
    project.add_group("nightly", ("good", "bad"), ("last",), max_parallel=2)
    with project.instance() as instance:
        result = run_job(project, instance, "nightly")
        assert not result.success
        failed = [event for event in result.all_events if event.is_step_failure]
        assert [event.step_key for event in failed] == ["bad"]
        failure: Any = failed[0].step_failure_data.user_failure_data
        assert "no_such_column" in failure.description
        assert failure.metadata["merge_committed"].value is False
        assert failure.metadata["phase"].value
        assert "no_such_column" in step_logs(result, instance)["bad"]
    assert project.rows("last") == project.rows("good")
    with project.store() as store:
        assert store.group_runs.list(group="nightly")[0].status == "error"
        assert store.leases.all() == []


def test_a_disabled_member_is_skipped_and_said_to_be(project: Project) -> None:
    project.add_module("one")
    project.add_module("off", enabled=False)
    project.add_group("nightly", ("off",), ("one",))
    with project.instance() as instance:
        result = run_job(project, instance, "nightly")
        assert result.success
        assert any("off is skipped" in entry.user_message for entry in instance.all_logs(result.run_id))
    with project.store() as store:
        assert [run.module for run in store.runs.list()] == ["one"]


def test_on_failure_stop(project: Project) -> None:
    project.add_module("bad", query="SELECT nothing")
    project.add_module("never")
    project.add_group("nightly", ("bad",), ("never",), on_failure="stop")
    with project.instance() as instance:
        assert not run_job(project, instance, "nightly").success
    with project.store() as store:
        assert [run.module for run in store.runs.list()] == ["bad"]
        assert store.group_runs.list()[0].status == "error"


def test_dry_run_from_the_launchpad_materializes_nothing(project: Project) -> None:
    project.add_module("one")
    project.add_group("nightly", ("one",))
    with project.instance() as instance:
        config = {"resources": {"pipekit": {"config": {"dry_run": True}}}}
        result = run_job(project, instance, "nightly", run_config=config)
        assert result.success
        assert materializations(result, instance) == {}
        assert "INSERT INTO" in step_logs(result, instance)["one"]
    assert project.sql(project.dest, "SELECT count(*) FROM sqlite_master WHERE name = 'one'") == [(0,)]
    with project.store() as store:
        assert store.group_runs.list()[0].status == "dry_run"


def test_watermarks_from_the_launchpad(project: Project) -> None:
    since = {"name": "since", "connection": "dst", "resolver_sql": "SELECT max(id) FROM one", "default": "0"}
    project.add_module(
        "one", query="SELECT id, name FROM numbers WHERE id > {since}", strategy="append", watermarks=[since]
    )
    project.add_module("other")
    project.add_group("nightly", ("one", "other"))
    with project.instance() as instance:
        config = {"resources": {"pipekit": {"config": {"watermarks": {"since": "2"}}}}}
        result = run_job(project, instance, "nightly", run_config=config)
        assert result.success
        assert project.rows("one") == [(3, "three")]
        assert materializations(result, instance)["one"].metadata["watermark/since"].value == "2 (override)"
        config = {"resources": {"pipekit": {"config": {"watermarks": {"sinse": "2"}}}}}
        refused = run_job(project, instance, "nightly", run_config=config)
    assert not refused.success
    assert any("sinse" in (event.message or "") + str(event.event_specific_data) for event in refused.all_events)


def test_reexecution_from_failure(project: Project) -> None:
    project.add_module("good")
    broken = project.add_module("bad", query="SELECT no_such_column FROM numbers")
    project.add_module("last")
    project.add_group("nightly", ("good",), ("bad",), ("last",))
    with project.instance() as instance:
        first = run_job(project, instance, "nightly", tags={"pipekit/triggered_by": "schedule:1"})
        assert not first.success
        project.save(broken.model_copy(update={"query": "SELECT id, name FROM numbers"}), action="change")
        again = dg.ReexecutionOptions.from_failure(first.run_id, instance)
        assert run_job(project, instance, "nightly", reexecution_options=again).success
    with project.store() as store:
        newest, oldest = store.group_runs.list(group="nightly")
        assert (newest.status, newest.triggered_by) == ("success", "manual")
        assert (oldest.status, oldest.triggered_by) == ("error", "schedule:1")
        assert sorted(run.module for run in store.runs.list(group_run_id=newest.id)) == ["bad", "last"]


@pytest.mark.parametrize(
    ("asked", "again"),
    [("schedule:1", "manual"), ("automation", "manual"), ("user:anna", "user:anna"), ("token:ci", "token:ci")],
)
def test_who_asked_for_a_reexecution(asked: str, again: str) -> None:
    tags = {TRIGGERED_BY_TAG: asked}
    assert [asked_by(tags, repeated=repeated) for repeated in (False, True)] == [asked, again]


def test_one_module_by_op_selection(project: Project) -> None:
    project.add_module("one")
    project.add_module("two")
    with project.instance() as instance:
        assert run_job(project, instance, "modules", op_selection=["two"]).success
    with project.store() as store:
        assert [(run.module, run.group_run_id) for run in store.runs.list()] == [("two", None)]


def test_a_group_that_is_running_is_not_run_again(project: Project) -> None:
    project.add_module("one")
    project.add_group("nightly", ("one",))
    with project.store() as store, project.instance() as instance:
        started = store.group_runs.start("nightly", triggered_by="manual")
        assert started is not None
        result = run_job(project, instance, "nightly")
        assert not result.success
        assert any("never overlaps itself" in str(event.event_specific_data) for event in result.all_events)
        store.group_runs.finish(started[0], "success", started[1])
        assert run_job(project, instance, "nightly").success


@contextmanager
def while_it_stages(project: Project, act: Callable[[int], object]) -> Iterator[None]:
    """While the block runs, call `act` with the number of a run that moves rows, as soon as there is one."""
    over = threading.Event()

    def look() -> None:
        with project.store() as store:
            while not over.wait(0.1):
                runs = store.runs.list(status="running")
                if runs and runs[0].phase == "stage":
                    act(runs[0].id)
                    return

    looker = threading.Thread(target=look, daemon=True)
    looker.start()
    try:
        yield
    finally:
        over.set()
        looker.join()


@pytest.mark.parametrize("threads", [True, False])
def test_an_interrupt_cancels_jrunner_and_is_written_down(
    project: Project, threads: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On threads, and on Dagster's in-process executor, where the interrupt is raised inside the op."""
    monkeypatch.setattr(executor_module, "THREADS", threads)
    project.add_module("slow", query=SLOW_QUERY)
    project.add_module("after")
    project.add_group("nightly", ("slow",), ("after",))
    with project.instance() as instance, while_it_stages(project, lambda _: os.kill(os.getpid(), signal.SIGINT)):
        result = run_job(project, instance, "nightly")
    assert not result.success
    with project.store() as store:
        assert {run.module: run.status for run in store.runs.list()} == {"slow": "cancelled"}
        assert store.group_runs.list()[0].status == "cancelled"
        assert store.leases.all() == []
    assert list(project.folder.glob("*.staging*")) == []


def test_a_module_cancelled_by_the_command_fails_its_op_alone(project: Project) -> None:
    project.add_module("slow", query=SLOW_QUERY)
    project.add_module("after")
    project.add_group("nightly", ("slow",), ("after",))

    def cancel(run: int) -> None:
        with project.store() as store:
            store.runs.request_cancel(run)

    with project.instance() as instance, while_it_stages(project, cancel):
        result = run_job(project, instance, "nightly")
    assert not result.success
    with project.store() as store:
        assert {run.module: run.status for run in store.runs.list()} == {"slow": "cancelled", "after": "success"}


@pytest.mark.parametrize("limit", [1])
def test_a_connections_limit_holds_within_a_run(project: Project, limit: int) -> None:
    from pipekit_engine.models import Connection

    limited = Connection(name="src", driver="sqlite", jdbc_url=f"jdbc:sqlite:{project.source}", max_parallel=limit)
    project.save(limited, action="change")
    names = tuple(f"m{number}" for number in range(3))
    for name in names:
        project.add_module(name)
    project.add_group("nightly", names, max_parallel=3)
    with project.instance() as instance:
        assert run_job(project, instance, "nightly").success
    with project.store() as store:
        spans = sorted((run.started_at, run.finished_at) for run in store.runs.list())
        for (_, ended), (began, _) in itertools.pairwise(spans):
            assert ended is not None
            assert began >= ended
