"""Database files that sessions of one process have open, of kinds that let one write or several read.

Other processes are kept away by the database itself; within a process nothing is.
"""

from __future__ import annotations

import threading
from pathlib import Path


class OpenFiles:
    """Who has which file open. Usable from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: By the session's number and its connection's name: the file, and whether it is written.
        self._open: dict[tuple[int, str], tuple[Path, bool]] = {}

    def take(self, session: int, connection: str, file: Path, *, writes: bool) -> bool:
        """Whether that session may open the file now; then it has it until `release`."""
        with self._lock:
            others = [way for (number, _), (path, way) in self._open.items() if number != session and path == file]
            if others and (writes or any(others)):
                return False
            self._open[session, connection] = (file, writes)
            return True

    def release(self, session: int, connection: str) -> None:
        """The connection is closed, or never was open."""
        with self._lock:
            self._open.pop((session, connection), None)

    def clear(self) -> None:
        """All connections are closed."""
        with self._lock:
            self._open.clear()
