"""The JVMs that an agent keeps warm and lends to the processes it forks, each to one at a time."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from typing import IO, TYPE_CHECKING, cast

from pipekit_engine.errors import RuntimeMissing
from pipekit_engine.jrunner.lending import LentProcess
from pipekit_engine.jrunner.process import TERM_TIMEOUT_S
from pipekit_engine.jrunner.protocol import PROTOCOL_VERSION
from pipekit_engine.jrunner.starting import start_for

if TYPE_CHECKING:
    import subprocess

    from pipekit_engine.config import Config

#: JVMs that are kept: one works while the other is there for the next. Runs beyond these start their own.
KEPT = 2
#: Borrowers after which a JVM is replaced by a new one.
_USES = 200
#: Numbers of requests that each borrower has for itself.
_IDS = 1 << 20


class WarmProcess:
    """One jrunner process of the agent's."""

    def __init__(self, config: Config) -> None:
        started = start_for(config)
        self.settings = started.settings
        self.temporary = started.temporary
        self.process: subprocess.Popen[bytes] = started.process
        assert self.process.stdout is not None
        os.set_blocking(self.process.stdout.fileno(), False)
        self.uses = 0
        self.lent = False
        self._said = b""
        self._version: str | None = None

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process.poll() is None

    def ready(self) -> bool:
        """Whether it has said that it is; never waits."""
        if self._version is not None:
            return True
        output = cast("IO[bytes]", self.process.stdout)
        with suppress(BlockingIOError, ValueError):
            self._said += os.read(output.fileno(), 65536)
        for line in self._said.split(b"\n")[:-1]:
            with suppress(ValueError):
                event = json.loads(line)
                if event.get("event") == "ready" and event.get("protocol") == PROTOCOL_VERSION:
                    os.set_blocking(output.fileno(), True)
                    self._version = str(event.get("version", ""))
        return self._version is not None

    def lend(self) -> LentProcess:
        """The process for a child that is about to be forked."""
        self.uses += 1
        self.lent = True
        pipes = (self.process.stdin, self.process.stdout, self.process.stderr)
        return LentProcess(
            self.settings,
            self.process.pid,
            cast("tuple[IO[bytes], IO[bytes], IO[bytes]]", pipes),
            version=self._version or "",
            first_id=self.uses * _IDS,
        )

    def forget(self) -> None:
        """Close this process's ends of the pipes: another's child must not keep them open."""
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                with suppress(OSError):
                    os.close(pipe.fileno())

    def end(self) -> None:
        """Ends it: SIGTERM, on which jrunner rolls back, after two seconds SIGKILL."""
        for number, patience_s in ((signal.SIGTERM, TERM_TIMEOUT_S), (signal.SIGKILL, TERM_TIMEOUT_S)):
            if self.process.poll() is None:
                with suppress(OSError):
                    os.killpg(self.process.pid, number)
            until = time.monotonic() + patience_s
            while self.process.poll() is None and time.monotonic() < until:
                time.sleep(0.01)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        self.temporary.remove()


class WarmProcesses:
    """All of them. Not for use by several threads."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.all: list[WarmProcess] = []

    def keep_ready(self) -> None:
        """Have as many as are kept, and forget those that died. Where no Java is, there are none."""
        for gone in [item for item in self.all if not item.alive and not item.lent]:
            self.all.remove(gone)
            gone.end()
        if self._config.jrunner.command is None and len(self.all) < KEPT:
            with suppress(RuntimeMissing):
                self.all.append(WarmProcess(self._config))

    def take(self) -> WarmProcess | None:
        """One that is ready and that nobody has, the warmest first."""
        free = [item for item in self.all if not item.lent and item.alive and item.ready()]
        return max(free, key=lambda item: item.uses, default=None)

    def give_back(self, item: WarmProcess, *, usable: bool) -> None:
        """Take a process back from its borrower, whose process has ended."""
        item.lent = False
        if not usable or not item.alive or item.uses >= _USES:
            self.all.remove(item)
            item.end()

    def end(self) -> None:
        """Ends all."""
        for item in self.all:
            item.end()
        self.all.clear()
