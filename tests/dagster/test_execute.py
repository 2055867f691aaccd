"""Runs without a server are those of the code location that `pipekit serve` shows."""

from __future__ import annotations

import sys

import dagster as dg
import pytest

from pipekit_dagster import execute
from tests.dagster.project import Project


def test_a_run_stands_under_its_job(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "pipekit_dagster.definitions", raising=False)  # those of another test's project
    project.add_module("bad", query="SELECT no_such_column FROM numbers")
    project.add_module("one")
    project.add_group("nightly", ("one",))
    project.add_group("failing", ("bad",))
    with project.instance() as instance:
        assert execute.main("failing") == 1
        assert execute.main("nightly") == 0
        ours = dg.RunsFilter(job_name="nightly", tags={".dagster/repository": "__repository__@pipekit"})
        (run,) = instance.get_runs(ours)
    assert run.is_success
    assert run.remote_job_origin is not None
    location = run.remote_job_origin.repository_origin.code_location_origin.location_name
    assert (location, run.remote_job_origin.job_name) == ("pipekit", "nightly")
    assert len(project.rows("one")) == 3
