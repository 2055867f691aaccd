"""The queue of `pipekit serve`: a run is taken as soon as it is queued, and one that must wait is not asked for all the time."""

from __future__ import annotations

import time
from itertools import islice
from unittest.mock import Mock

import dagster as dg
import pytest
from dagster import DagsterEvent, DagsterEventType, DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin

from pipekit_dagster.dagster_internals.daemon import PromptQueue


@dg.job
def nothing() -> None:
    """A job without an op."""


def queued(instance: DagsterInstance) -> DagsterRun:
    """A run that has just been queued."""
    origin = RemoteJobOrigin(RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("there"), "repository"), nothing.name)
    run = instance.create_run_for_job(nothing, remote_job_origin=origin)
    event = DagsterEvent(event_type_value=DagsterEventType.PIPELINE_ENQUEUED.value, job_name=run.job_name)
    instance.report_dagster_event(event, run_id=run.run_id)
    return run


def looks(queue: PromptQueue, instance: DagsterInstance, most: int = 1_000) -> int:
    """How often the queue waits before it looks at the runs."""
    return len(list(islice(queue._until_queued(instance), most)))


def test_a_queued_run_is_taken_at_once_and_one_that_waits_after_the_interval() -> None:
    with dg.instance_for_test() as instance:
        queue = PromptQueue(interval_seconds=0.3)
        assert looks(queue, instance) >= 2
        instance.create_run_for_job(nothing, status=DagsterRunStatus.STARTED)
        assert looks(queue, instance) >= 2
        first = queued(instance)
        assert looks(queue, instance) == 0
        # It is still queued, as when its group runs already: it is asked for as often as by Dagster's own queue.
        assert looks(queue, instance) >= 2
        second = queued(instance)
        assert looks(queue, instance) == 0
        # The newest is taken, an older one waits on.
        instance.delete_run(second.run_id)
        assert looks(queue, instance) == 0
        assert looks(queue, instance) >= 2
        instance.delete_run(first.run_id)
        assert looks(queue, instance) >= 2


def test_a_run_that_comes_while_it_waits_ends_the_wait() -> None:
    with dg.instance_for_test() as instance:
        queue = PromptQueue(interval_seconds=3600)
        waiting = queue._until_queued(instance)
        next(waiting)
        queued(instance)
        assert list(waiting) == []


def test_a_storage_that_is_away_is_asked_for_a_whole_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the queue's own complaint would come as fast as it can fail."""
    with dg.instance_for_test() as instance:
        monkeypatch.setattr(instance, "get_run_ids", Mock(side_effect=OSError("away")))
        began = time.monotonic()
        assert looks(PromptQueue(interval_seconds=0.3), instance) >= 2
        assert time.monotonic() - began >= 0.3
