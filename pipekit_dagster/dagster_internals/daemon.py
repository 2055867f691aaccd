"""Dagster's daemon, and the workspace that it looks at. Imported in the daemon's process only.

When the minor version changes, compare with `dagster/_daemon/controller.py`, and run tests/dagster/test_scheduler.py and
test_serve.py.
"""

from __future__ import annotations

import runpy
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dagster import DagsterRunStatus, RunsFilter

# Check: that `daemon_controller_from_instance` makes its workspace by the name WorkspaceProcessContext, and that
# `create_daemon_of_type` makes the queue's daemon by the name QueuedRunCoordinatorDaemon.
from dagster._daemon import controller
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon

from pipekit_dagster.dagster_internals.code_server import DAEMON_MODULE
from pipekit_dagster.dagster_internals.instigation import start_new_schedules
from pipekit_dagster.dagster_internals.workspace import WatchedWorkspace

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from dagster import DagsterInstance
    from dagster._core.remote_representation.code_location import CodeLocation

#: Seconds between two looks for a run that has just been queued: a query for one id.
_LOOK_S = 0.1


class DaemonWorkspace(WatchedWorkspace):
    """The daemon's workspace. A schedule that it shows for the first time counts its ticks from then on.

    The daemon itself would count from its next look, and miss the minute at which it looks. No other process may write the
    schedule's state down: a daemon that does not show the schedule yet takes that state for what is left of a schedule that is
    gone, and deletes it.
    """

    def refreshed(self, name: str, location: CodeLocation) -> None:
        """Let new schedules begin; what fails here the daemon does at its next look."""
        start_new_schedules(self.instance, location)


class PromptQueue(QueuedRunCoordinatorDaemon):
    """Dagster's queue, which takes a run as soon as it is queued. Runs that wait for a place are looked at once an interval."""

    def __init__(self, interval_seconds: float, **settings: Any) -> None:
        super().__init__(interval_seconds=0, **settings)
        self._longest_s = interval_seconds
        self._newest: str | None = None

    def run_iteration(self, workspace_process_context: Any, *fixed: Any) -> Generator[Any, None, None]:
        """Take what may start, after the wait for it."""
        yield from self._until_queued(workspace_process_context.instance)
        yield from super().run_iteration(workspace_process_context, *fixed)

    def _until_queued(self, instance: DagsterInstance) -> Iterator[None]:
        until = time.monotonic() + self._longest_s
        queued = RunsFilter(statuses=[DagsterRunStatus.QUEUED])
        while time.monotonic() < until:
            newest = None
            with suppress(Exception):  # the storage may be away: the queue itself says so, once an interval
                newest = next(iter(instance.get_run_ids(queued, limit=1)), None)
            if newest not in (None, self._newest):
                self._newest = newest
                return
            time.sleep(_LOOK_S)
            yield None


def run_daemon() -> None:
    """Dagster's daemon with this process's arguments, until it is told to end."""
    if hasattr(controller, "WorkspaceProcessContext"):
        controller.WorkspaceProcessContext = DaemonWorkspace
    if hasattr(controller, "QueuedRunCoordinatorDaemon"):
        controller.QueuedRunCoordinatorDaemon = PromptQueue
    runpy.run_module(DAEMON_MODULE, run_name="__main__", alter_sys=True)
