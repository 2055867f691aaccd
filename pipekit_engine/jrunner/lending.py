"""A jrunner process that its owner lends to another process of pipekit's: a warm JVM, for one run after another.

The owner (`pipekit_engine.agent.warm`) starts it and stays its parent: jrunner ends when the owner does. A borrower is a child
that was forked while the owner held the pipes, asks on them, closes every connection at its end and says so by `returned`. Only
then may the next one have it.
"""

from __future__ import annotations

import os
import select
from dataclasses import dataclass
from pathlib import Path
from subprocess import TimeoutExpired
from typing import IO, TYPE_CHECKING

from pipekit_engine.jrunner import jvm
from pipekit_engine.jrunner.locate import find_java

if TYPE_CHECKING:
    from pipekit_engine.config import Config
    from pipekit_engine.jrunner.locate import Java

#: What a borrower cannot tell: the exit status of a process that is another's child.
_STATUS_UNKNOWN = 255


@dataclass(frozen=True)
class Settings:
    """What a jrunner process was started with. Only who wants the very same may borrow it."""

    java: str
    heap: str
    folder: Path
    environment: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, config: Config) -> Settings:
        """The settings of a configuration in this process's environment. Raises RuntimeMissing."""
        return cls.here(find_java(config.jrunner.java), config.jrunner.heap, config.folder)

    @classmethod
    def here(cls, java: Java, heap: str, folder: Path) -> Settings:
        """The settings in this process's environment."""
        return cls(java.path, heap, folder, tuple(sorted(jvm.environment().items())))


class LentProcess:
    """As much of `subprocess.Popen` as a session needs, for a process that is another process's child."""

    def __init__(
        self,
        settings: Settings,
        pid: int,
        pipes: tuple[IO[bytes], IO[bytes], IO[bytes]],
        *,
        version: str,
        first_id: int,
    ) -> None:
        self.settings = settings
        self.pid = pid
        self.stdin: IO[bytes] | None
        self.stdout: IO[bytes] | None
        self.stderr: IO[bytes] | None
        self.stdin, self.stdout, self.stderr = pipes
        self.version = version
        #: Numbers of requests begin behind those of earlier borrowers.
        self.first_id = first_id
        #: Whether it may be lent again.
        self.returned = True
        self.pidfd = os.pidfd_open(pid)

    def poll(self) -> int | None:
        """None while it runs."""
        ended, _, _ = select.select([self.pidfd], [], [], 0)
        return _STATUS_UNKNOWN if ended else None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises TimeoutExpired."""
        ended, _, _ = select.select([self.pidfd], [], [], timeout)
        if not ended:
            raise TimeoutExpired("jrunner", timeout or 0)
        return _STATUS_UNKNOWN


_lent: LentProcess | None = None


def lend(process: LentProcess | None) -> None:
    """Let the first session of this process that wants its like have `process`."""
    global _lent
    _lent = process


def borrow(config: Config) -> LentProcess | None:
    """The process that was lent, if it is what the configuration wants; None once it was given out."""
    global _lent
    if _lent is None or _lent.settings != Settings.of(config):
        return None
    process, _lent = _lent, None
    # Until it is given back in order, nobody else may have it.
    process.returned = False
    return process
