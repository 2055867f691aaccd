"""Watermark values set by hand: one that would change nothing is refused."""

from __future__ import annotations

import dagster as dg
import pytest

from tests.dagster.project import Project
from tests.dagster.test_jobs import run_job

SINCE = {"name": "since", "connection": "dst", "resolver_sql": "SELECT 0", "default": "0"}


@pytest.fixture
def marked(project: Project) -> Project:
    query = "SELECT id, name FROM numbers WHERE id > {since}"
    project.add_module("by-id", query=query, watermarks=[SINCE], dest_table="by_id")
    project.add_module("off", query=query, watermarks=[SINCE | {"name": "from_id"}], enabled=False)
    project.add_module("other")
    project.add_group("nightly", ("by-id",), ("other",))
    project.add_group("partly", ("other",), ("off",))
    return project


def overridden(project: Project, job: str, selection: list[str] | None, name: str) -> tuple[bool, str]:
    """Whether the run of a job with this watermark set to 2 succeeds, and what its events say."""
    config = {"resources": {"pipekit": {"config": {"watermarks": {name: "2"}}}}}
    with project.instance() as instance:
        result = run_job(project, instance, job, op_selection=selection, run_config=config)
    return result.success, " ".join(f"{event.message} {event.event_specific_data}" for event in result.all_events)


def test_a_value_that_no_module_of_the_run_declares_is_refused(marked: Project) -> None:
    for job, selection, name in [
        ("modules", ["other"], "since"),
        ("modules", ["other"], "by-id.since"),
        ("nightly", ["other"], "since"),
        ("partly", None, "from_id"),  # its module is disabled
    ]:
        success, said = overridden(marked, job, selection, name)
        assert not success, (job, selection, name)
        assert f"the modules of this run: There is no watermark {name!r}." in said


def test_a_value_that_a_selected_module_declares_counts(marked: Project) -> None:
    assert overridden(marked, "modules", ["by_id"], "by-id.since")[0]
    assert marked.rows("by_id") == [(3, "three")]


def test_from_failure_the_values_of_the_whole_run_stay(marked: Project) -> None:
    broken = marked.add_module("broken", query="SELECT nothing FROM numbers")
    marked.add_group("both", ("by-id",), ("broken",))
    config = {"resources": {"pipekit": {"config": {"watermarks": {"since": "2"}}}}}
    with marked.instance() as instance:
        first = run_job(marked, instance, "both", run_config=config)
        assert not first.success
        marked.save(broken.model_copy(update={"query": "SELECT id, name FROM numbers"}), action="change")
        options = dg.ReexecutionOptions.from_failure(first.run_id, instance)
        second = run_job(marked, instance, "both", run_config=config, reexecution_options=options)
    assert second.success
    assert not [event for event in second.all_events if event.step_key == "by_id"]
