"""Schedules and triggers: what fires, what does not, and that nothing fires twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import dagster as dg
import pytest

from pipekit_dagster.pools import sync_pools
from pipekit_dagster.schedules import evaluate_tick
from pipekit_dagster.sensors import evaluate_trigger
from pipekit_dagster.translator import DagsterPipekitTranslator
from pipekit_engine.models import Connection, Schedule, Trigger
from pipekit_engine.store import Store
from tests.dagster.project import Project

#: A tick after everything that the tests write, however long they take.
NOW = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(days=1)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def store(project: Project) -> Iterator[Store]:
    project.add_module("one")
    project.add_group("nightly", ("one",))
    project.add_group("other", ("one",))
    with project.store() as opened:
        yield opened


@pytest.fixture
def tick(project: Project, store: Store, instance: dg.DagsterInstance) -> Callable[..., Any]:
    project.save(Schedule(name="at-two", group="nightly", cron="0 2 * * *", misfire_grace=600))

    def evaluate(at: datetime = NOW, **kwargs: Any) -> Any:
        given = {"instance": instance, "job_name": "nightly", "now": at + timedelta(seconds=1), **kwargs}
        return evaluate_tick(store, "at-two", at, **given)

    return evaluate


def test_a_tick_fires_once_and_is_written_before_the_run(tick: Callable[..., Any], store: Store) -> None:
    first = tick()
    assert isinstance(first, dg.RunRequest)
    assert store.ticks.last_fired_at("at-two") == NOW
    assert first.tags["pipekit/triggered_by"] == "schedule:at-two"
    again = tick()
    assert isinstance(again, dg.RunRequest)
    assert again.run_key == first.run_key, "the daemon died before it launched the run: the same request"
    later = tick(NOW + timedelta(days=1))
    assert isinstance(later, dg.RunRequest)
    assert later.run_key != first.run_key
    assert isinstance(tick(), dg.SkipReason), "an older tick after a newer one"


def test_the_test_button_leaves_no_trace(tick: Callable[..., Any], store: Store) -> None:
    assert isinstance(tick(is_test=True), dg.RunRequest)
    assert store.ticks.last_fired_at("at-two") is None


def test_too_late_is_skipped(tick: Callable[..., Any], store: Store) -> None:
    assert isinstance(tick(now=NOW + timedelta(seconds=599)), dg.RunRequest)
    skipped = tick(NOW + timedelta(days=1), now=NOW + timedelta(days=1, seconds=601))
    assert isinstance(skipped, dg.SkipReason)
    assert "misfire_grace" in str(skipped.skip_message)


def test_an_edit_fires_no_past_tick(tick: Callable[..., Any], project: Project, store: Store) -> None:
    past = datetime.now(timezone.utc) - timedelta(minutes=1)
    project.save(Schedule(name="at-two", group="nightly", cron="*/5 * * * *"), action="change")
    skipped = tick(past)
    assert isinstance(skipped, dg.SkipReason)
    assert "last edit" in str(skipped.skip_message)
    assert store.ticks.last_fired_at("at-two") is None


def test_disabled_and_deleted(tick: Callable[..., Any], project: Project) -> None:
    off = Schedule(name="at-two", group="nightly", cron="0 2 * * *", enabled=False)
    project.save(off, action="change")
    assert "disabled" in str(tick().skip_message)
    project.save(off, action="delete")
    assert "gone" in str(tick().skip_message)


def test_a_running_group_is_not_started_again(tick: Callable[..., Any], store: Store) -> None:
    started = store.group_runs.start("nightly", triggered_by="manual")
    assert started is not None
    skipped = tick()
    assert isinstance(skipped, dg.SkipReason)
    assert "nightly" in str(skipped.skip_message)
    assert store.ticks.last_fired_at("at-two") is None
    store.group_runs.finish(started[0], "success", started[1])
    assert isinstance(tick(), dg.RunRequest)


def test_a_run_that_dagster_is_starting_counts_as_running(
    tick: Callable[..., Any], instance: dg.DagsterInstance
) -> None:
    with_status(instance, "nightly", dg.DagsterRunStatus.STARTING)
    assert "STARTING" in str(tick().skip_message)


def with_status(instance: dg.DagsterInstance, job: str, status: dg.DagsterRunStatus, **tags: str) -> None:
    @dg.job(name=job)
    def empty() -> None:
        pass

    instance.create_run_for_job(empty, status=status, tags=tags)


@pytest.fixture
def look(project: Project, store: Store, instance: dg.DagsterInstance) -> Callable[..., Any]:
    project.save(Trigger(name="changed", group="nightly", kind="watermark", connection="src", sql="SELECT 1"))

    def evaluate(value: str | None, **kwargs: Any) -> Any:
        return evaluate_trigger(store, "changed", look=lambda _: value, instance=instance, job_name="nightly", **kwargs)

    return evaluate


def launched(instance: dg.DagsterInstance, request: dg.RunRequest) -> None:
    """Dagster has made the run that was asked for, and it has ended."""
    with_status(instance, "nightly", dg.DagsterRunStatus.SUCCESS, **{"dagster/run_key": str(request.run_key)})


def test_a_trigger_fires_when_the_value_changes(look: Callable[..., Any], instance: dg.DagsterInstance) -> None:
    assert isinstance(look(None), dg.SkipReason), "nothing there yet"
    first = look("7")
    assert isinstance(first, dg.RunRequest)
    launched(instance, first)
    assert isinstance(look("7"), dg.SkipReason)
    second = look("8")
    assert isinstance(second, dg.RunRequest)
    launched(instance, second)
    back = look("7")
    assert isinstance(back, dg.RunRequest), "a value that returns is a change"
    assert len({first.run_key, second.run_key, back.run_key}) == 3


def test_a_request_that_was_lost_is_made_again(look: Callable[..., Any], instance: dg.DagsterInstance) -> None:
    first = look("7")
    assert isinstance(first, dg.RunRequest)
    again = look("9")
    assert isinstance(again, dg.RunRequest)
    assert again.run_key == first.run_key
    launched(instance, first)
    assert isinstance(look("9"), dg.RunRequest), "what changed meanwhile is not lost"


def test_a_change_waits_while_the_group_runs(look: Callable[..., Any], store: Store) -> None:
    started = store.group_runs.start("nightly", triggered_by="manual")
    assert started is not None
    assert isinstance(look("7"), dg.SkipReason)
    store.group_runs.finish(started[0], "success", started[1])
    assert isinstance(look("7"), dg.RunRequest)


def test_a_triggers_test_button_leaves_no_trace(look: Callable[..., Any], store: Store) -> None:
    assert isinstance(look("7", is_test=True), dg.RunRequest)
    assert store.ticks.trigger_cursor("changed") is None


def test_a_group_trigger_fires_after_the_next_success(
    project: Project, store: Store, instance: dg.DagsterInstance
) -> None:
    from pipekit_dagster.sensors import _look

    project.save(Trigger(name="then", group="nightly", kind="group", after="other"))

    def evaluate() -> Any:
        return evaluate_trigger(
            store,
            "then",
            look=lambda trigger: _look(project.config, store, trigger),
            instance=instance,
            job_name="nightly",
        )

    def end(status: str) -> None:
        started = store.group_runs.start("other", triggered_by="manual")
        assert started is not None
        store.group_runs.finish(started[0], status, started[1])

    end("success")
    assert isinstance(evaluate(), dg.SkipReason), "what succeeded before the trigger was there is no event"
    end("error")
    end("dry_run")
    assert isinstance(evaluate(), dg.SkipReason)
    end("success")
    request = evaluate()
    assert isinstance(request, dg.RunRequest)
    launched(instance, request)
    assert isinstance(evaluate(), dg.SkipReason)


def test_limits_of_connections_become_pools(project: Project, tmp_path: Any) -> None:
    with project.instance() as instance, project.store() as store:
        limited = Connection(name="src", driver="sqlite", jdbc_url="jdbc:sqlite:x", max_parallel=3)
        project.save(limited, action="change")
        instance.event_log_storage.set_concurrency_slots("somebody_elses", 5)

        def sync() -> dict[str, int]:
            sync_pools(instance, store.definitions.load(), DagsterPipekitTranslator())
            return {pool.name: pool.limit for pool in instance.event_log_storage.get_pool_limits()}

        assert sync() == {"pipekit_src": 3, "somebody_elses": 5}
        project.save(Connection(name="src", driver="sqlite", jdbc_url="jdbc:sqlite:x"), action="change")
        assert sync() == {"somebody_elses": 5}
