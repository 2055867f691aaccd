"""Runs that Dagster made and nobody ever started."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import dagster as dg
import pytest

from pipekit_dagster.progress import group_in_progress
from tests.dagster.project import Project


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING])
def test_a_run_whose_maker_died_before_it_was_queued_blocks_its_group_for_a_minute_only(
    project: Project, status: dg.DagsterRunStatus
) -> None:
    project.add_module("one")
    project.add_group("nightly", ("one",))

    @dg.job(name="nightly")
    def empty() -> None:
        pass

    with project.instance() as instance, project.store() as store:
        made = datetime.now(timezone.utc)
        instance.create_run_for_job(empty, status=status)
        assert status.value in (group_in_progress(instance, store, "nightly", "nightly", made) or "")
        later = group_in_progress(instance, store, "nightly", "nightly", made + timedelta(hours=1))
        assert (later is None) == (status is dg.DagsterRunStatus.NOT_STARTED)
