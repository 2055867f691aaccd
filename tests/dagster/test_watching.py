"""How the web server and the daemon take notice of a new code server."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget

from pipekit_dagster.dagster_internals.daemon import DaemonWorkspace
from pipekit_dagster.serve.web import ProcessContext
from pipekit_engine.models import Schedule
from tests.dagster.project import Project


@pytest.fixture(params=[ProcessContext, DaemonWorkspace])
def workspace(project: Project, request: pytest.FixtureRequest) -> Iterator[WorkspaceProcessContext]:
    """What the web server looks at, and what the daemon does, with a schedule that it has not shown yet."""
    project.add_module("one")
    project.add_group("nightly", ("one",))
    project.save(Schedule(name="at-two", group="nightly", cron="0 2 * * *"))
    target = ModuleTarget("pipekit_dagster.definitions", "defs", None, "pipekit")
    with project.instance() as instance, request.param(instance, target) as made:
        made.config = project.config
        yield made


def test_a_storage_that_is_away_does_not_keep_changes_from_showing(
    workspace: WorkspaceProcessContext, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*_: object, **__: object) -> None:
        raise OSError("the storage is away")

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(workspace.instance, "all_instigator_state", away)
        workspace.refresh_code_location("pipekit")
    assert "the storage is away" in caplog.text
    caplog.clear()
    workspace.refresh_code_location("pipekit")
    assert caplog.text == ""
    started = [state.instigator_name for state in workspace.instance.all_instigator_state()]
    assert started == (["at_two"] if isinstance(workspace, DaemonWorkspace) else [])
