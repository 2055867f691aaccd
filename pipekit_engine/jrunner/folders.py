"""A folder for the temporary files of one jrunner session.

Drivers unpack native libraries there (DuckDB's has 70 MB), and what a driver wants to read of a certificate's key lies there
while its connection is open. The folder goes with the session; jrunner removes it when this process is gone; and what both left
behind, killed together, is removed by the next session on this machine.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from pipekit_engine.common.processes import ProcessName

_PREFIX = "pipekit-jrunner-"
_OWNER = "owner"


class SessionFolder:
    """The folder: readable by this user only."""

    def __init__(self) -> None:
        _remove_left()
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        (self.path / _OWNER).write_text(str(ProcessName.current()), encoding="utf-8")

    def remove(self) -> None:
        """Remove it and what is in it; safe to call twice."""
        shutil.rmtree(self.path, ignore_errors=True)


def _remove_left() -> None:
    """Remove the folders of processes of this machine that have ended, as far as they are this user's."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):
            owner = ProcessName.parse((folder / _OWNER).read_text(encoding="utf-8"))
            if owner is not None and owner.alive() is False:
                shutil.rmtree(folder, ignore_errors=True)
