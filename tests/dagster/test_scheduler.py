"""Dagster's own scheduler on the served definitions: ticks whose evaluation fails, and a new schedule's first tick."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import dagster as dg
import pytest
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget
from dagster._daemon import daemon as _daemon  # noqa: F401  (the scheduler imports it in a circle: it goes first)
from dagster._scheduler.scheduler import launch_scheduled_runs

from pipekit_dagster.dagster_internals.daemon import DaemonWorkspace
from pipekit_engine.models import Schedule
from tests.dagster.project import Project
from tests.dagster.test_serve_outage import move_store


class Scheduler:
    """The daemon's scheduler at any moment: each call of `look` is one turn of its loop."""

    def __init__(self, workspace: WorkspaceProcessContext) -> None:
        self._workspace = workspace
        self._iteration_times: dict[str, Any] = {}

    def look(self, at: datetime) -> list[tuple[str, datetime]]:
        """What became of the ticks until this moment: status and time, newest first."""
        instance = self._workspace.instance
        retries = instance.scheduler.max_tick_retries  # type: ignore[union-attr]
        log = logging.getLogger("scheduler")
        turn = launch_scheduled_runs(self._workspace, log, at, self._iteration_times, max_tick_retries=retries)
        list(turn)
        ticks = [
            tick
            for state in instance.all_instigator_state()
            for tick in instance.get_ticks(state.instigator_origin_id, state.selector_id)
        ]
        return [(tick.status.value, datetime.fromtimestamp(tick.timestamp, timezone.utc)) for tick in ticks]


@pytest.fixture
def instance(project: Project) -> Iterator[dg.DagsterInstance]:
    project.add_module("one")
    project.add_group("nightly", ("one",))
    project.save(Schedule(name="at-two", group="nightly", cron="0 2 * * *"))
    with project.instance() as made:
        yield made


def test_a_tick_that_met_an_outage_of_the_store_fires_when_it_is_back(
    project: Project, instance: dg.DagsterInstance
) -> None:
    target = ModuleTarget("pipekit_dagster.definitions", "defs", None, "pipekit")
    with WorkspaceProcessContext(instance, target) as workspace:
        scheduler = Scheduler(workspace)
        two = (datetime.now(timezone.utc) + timedelta(days=2)).replace(hour=2, minute=0, second=0, microsecond=0)
        assert scheduler.look(two - timedelta(hours=3)) == []
        move_store(project.folder, "pipekit.db", "away.db")
        try:
            for seconds in (0, 5, 10):
                assert scheduler.look(two + timedelta(seconds=seconds)) == [("FAILURE", two)]
        finally:
            move_store(project.folder, "away.db", "pipekit.db")
        assert scheduler.look(two + timedelta(seconds=15)) == [("SUCCESS", two)]
        assert scheduler.look(two + timedelta(minutes=1)) == [("SUCCESS", two)]
    assert [run.job_name for run in instance.get_runs()] == ["nightly"]


def test_a_new_schedule_fires_at_the_minute_after_the_daemon_shows_it(
    project: Project, instance: dg.DagsterInstance
) -> None:
    """Also when it was there before the daemon's look at a minute, and shown after it."""
    target = ModuleTarget("pipekit_dagster.definitions", "defs", None, "pipekit")
    with DaemonWorkspace(instance, target) as workspace:
        scheduler = Scheduler(workspace)
        minute = datetime.now(timezone.utc).replace(second=0, microsecond=0) + timedelta(minutes=1)
        scheduler.look(minute - timedelta(minutes=1))
        project.save(Schedule(name="each-minute", group="nightly", cron="* * * * *"))
        assert scheduler.look(minute) == []
        workspace.reload_code_location("pipekit")
        workspace.refresh_code_location("pipekit")
        following = minute + timedelta(minutes=1)
        assert ("SUCCESS", following) in scheduler.look(following)
