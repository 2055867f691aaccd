"""Dagster's daemon, and the workspace that it looks at. Imported in the daemon's process only.

When the minor version changes, compare with `dagster/_daemon/controller.py`, and run tests/dagster/test_scheduler.py and
test_serve.py.
"""

from __future__ import annotations

import logging
import runpy

from dagster._core.workspace.context import WorkspaceProcessContext

# Check: that `daemon_controller_from_instance` makes its workspace by this name.
from dagster._daemon import controller

from pipekit_dagster.dagster_internals.code_server import DAEMON_MODULE
from pipekit_dagster.dagster_internals.instigation import start_new_schedules

_log = logging.getLogger("pipekit.serve")


class DaemonWorkspace(WorkspaceProcessContext):
    """The daemon's workspace. A schedule that it shows for the first time counts its ticks from then on.

    The daemon itself would count from its next look, and miss the minute at which it looks. No other process may write the
    schedule's state down: a daemon that does not show the schedule yet takes that state for what is left of a schedule that is
    gone, and deletes it. Check: `refresh_code_location` is called when a code server's id has changed.
    """

    def refresh_code_location(self, name: str) -> None:
        """Show what changed, and let new schedules begin."""
        super().refresh_code_location(name)
        entry = self.get_current_workspace().code_location_entries.get(name)
        if entry is None or entry.code_location is None:
            return
        try:
            start_new_schedules(self.instance, entry.code_location)
        except Exception as error:
            # Dagster's storage may be away for a moment. Others wait to hear that the location has changed.
            _log.warning("new schedules begin at the daemon's next look: %s", error)


def run_daemon() -> None:
    """Dagster's daemon with this process's arguments, until it is told to end."""
    if hasattr(controller, "WorkspaceProcessContext"):
        controller.WorkspaceProcessContext = DaemonWorkspace
    runpy.run_module(DAEMON_MODULE, run_name="__main__", alter_sys=True)
