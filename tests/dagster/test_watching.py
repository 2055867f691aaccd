"""How the web server takes notice of a new code server."""

from __future__ import annotations

import logging

import pytest
from dagster._core.workspace.load_target import ModuleTarget

from pipekit_dagster.serve.web import ProcessContext
from pipekit_engine.models import Schedule
from tests.dagster.project import Project


def test_a_storage_that_is_away_does_not_keep_changes_from_showing(
    project: Project, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    project.add_module("one")
    project.add_group("nightly", ("one",))
    project.save(Schedule(name="at-two", group="nightly", cron="0 2 * * *"))
    target = ModuleTarget("pipekit_dagster.definitions", "defs", None, "pipekit")
    with project.instance() as instance, ProcessContext(instance, target) as workspace:

        def away(**_: object) -> None:
            raise OSError("the storage is away")

        with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
            patch.setattr(instance, "all_instigator_state", away)
            workspace.refresh_code_location("pipekit")
        assert "the storage is away" in caplog.text
        workspace.refresh_code_location("pipekit")
        assert [state.instigator_name for state in instance.all_instigator_state()] == ["at_two"]
