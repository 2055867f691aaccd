"""A group's run says success only when all its members have succeeded, and a log that cannot be written costs no run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import dagster as dg
import pytest

from tests.dagster.project import Project
from tests.dagster.test_jobs import run_job


def end_of(project: Project, group: str) -> tuple[str, str]:
    """Status and error of a group's newest run."""
    with project.store() as store:
        record = store.group_runs.list(group=group, limit=1)[0]
        assert store.leases.all() == []
    return record.status, record.error or ""


def test_a_member_whose_definition_is_broken_makes_the_group_run_an_error(project: Project) -> None:
    project.add_module("good")
    project.add_module("odd")
    project.add_group("nightly", ("good", "odd"))
    project.sql(project.folder / "pipekit.db", "UPDATE module SET strategy = 'nonsense' WHERE name = 'odd'")
    with project.instance() as instance:
        assert not run_job(project, instance, "nightly").success
    status, error = end_of(project, "nightly")
    assert status == "error"
    assert "The definition of module odd is broken" in error
    assert project.rows("good")


def test_a_run_that_broke_off_between_its_members_is_no_success(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.add_module("first")
    project.add_module("second")
    project.add_group("nightly", ("first",), ("second",))
    with project.instance() as instance:
        storage = instance.event_log_storage
        store_event = storage.store_event

        def fails_at_second(event: dg.EventLogEntry) -> None:
            if event.step_key == "second":
                raise OSError("the storage is away")
            store_event(event)

        monkeypatch.setattr(storage, "store_event", fails_at_second)
        assert not run_job(project, instance, "nightly").success
    status, error = end_of(project, "nightly")
    assert status == "error"
    assert "ended early" in error
    assert "the storage is away" in error
    assert project.rows("first")


def test_a_priority_that_is_no_number_ends_no_run(project: Project) -> None:
    project.add_module("first")
    project.add_module("second", tags={"dagster/priority": "high"})
    project.add_module("third", tags={"dagster/priority": "-3", "team": "warehouse"})
    project.add_group("nightly", ("first", "second", "third"))
    with project.instance() as instance:
        assert run_job(project, instance, "nightly").success
    assert end_of(project, "nightly") == ("success", "")


def test_a_full_disk_below_the_logs_costs_no_run(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.add_module("one")
    project.add_group("nightly", ("one",))

    @contextmanager
    def full(*_: Any) -> Iterator[IO[str]]:
        with open("/dev/full", "w") as stream:
            yield stream

    with project.instance() as instance:
        monkeypatch.setattr(instance.compute_log_manager, "open_log_stream", full)
        result = run_job(project, instance, "nightly")
        assert result.success
    assert end_of(project, "nightly") == ("success", "")
    assert len(project.rows("one")) == 3
