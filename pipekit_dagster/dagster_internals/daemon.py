"""Dagster's daemon, and the workspace that it looks at. Imported in the daemon's process only.

When the minor version changes, compare with `dagster/_daemon/controller.py`, and run tests/dagster/test_scheduler.py and
test_serve.py.
"""

from __future__ import annotations

import runpy
from typing import TYPE_CHECKING

# Check: that `daemon_controller_from_instance` makes its workspace by the name WorkspaceProcessContext.
from dagster._daemon import controller

from pipekit_dagster.dagster_internals.code_server import DAEMON_MODULE
from pipekit_dagster.dagster_internals.instigation import start_new_schedules
from pipekit_dagster.dagster_internals.workspace import WatchedWorkspace

if TYPE_CHECKING:
    from dagster._core.remote_representation.code_location import CodeLocation


class DaemonWorkspace(WatchedWorkspace):
    """The daemon's workspace. A schedule that it shows for the first time counts its ticks from then on.

    The daemon itself would count from its next look, and miss the minute at which it looks. No other process may write the
    schedule's state down: a daemon that does not show the schedule yet takes that state for what is left of a schedule that is
    gone, and deletes it.
    """

    def refreshed(self, name: str, location: CodeLocation) -> None:
        """Let new schedules begin; what fails here the daemon does at its next look."""
        start_new_schedules(self.instance, location)


def run_daemon() -> None:
    """Dagster's daemon with this process's arguments, until it is told to end."""
    if hasattr(controller, "WorkspaceProcessContext"):
        controller.WorkspaceProcessContext = DaemonWorkspace
    runpy.run_module(DAEMON_MODULE, run_name="__main__", alter_sys=True)
