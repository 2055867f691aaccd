"""The workspace that the web server and the daemon look at: what the code server shows.

When the minor version changes, run tests/dagster/test_watching.py and test_scheduler.py.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

# Check: that `refresh_code_location` is called when a code server's id has changed.
from dagster._core.workspace.context import WorkspaceProcessContext

if TYPE_CHECKING:
    from dagster._core.remote_representation.code_location import CodeLocation

_log = logging.getLogger("pipekit.serve")


class WatchedWorkspace(WorkspaceProcessContext):
    """A workspace that does something whenever a code location shows what changed."""

    def refreshed(self, name: str, location: CodeLocation) -> None:
        """What is to be done. An error is logged: Dagster's storage may be away, and others wait to hear of the change."""
        raise NotImplementedError

    def refresh_code_location(self, name: str) -> None:
        """Show what changed."""
        super().refresh_code_location(name)
        entry = self.get_current_workspace().code_location_entries.get(name)
        if entry is None or entry.code_location is None:
            return
        try:
            self.refreshed(name, entry.code_location)
        except Exception as error:
            _log.warning("definitions have changed, but not all that follows could be done yet: %s", error)
