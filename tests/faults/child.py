"""The engine of a trial: a process of its own that waits at each checkpoint until the test says go.

It is forked from a server that has imported the engine already, so that a trial costs a JVM's start and no Python's.
"""

from __future__ import annotations

import multiprocessing
import os
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

_context: ForkServerContext | None = None


def context() -> ForkServerContext:
    """The context whose processes are forked from a warm one."""
    global _context
    if _context is None:
        _context = multiprocessing.get_context("forkserver")
        _context.set_forkserver_preload(["pipekit_engine.engine", "tests.faults.child"])
    return _context


class EngineProcess:
    """Runs a module in a process. `checkpoint()` gives the next one that it has come to; `go()` lets it go on."""

    def __init__(self, folder: Path, module: str, *, waits: bool = True) -> None:
        self._channel, theirs = context().Pipe()
        self.process: ForkServerProcess = context().Process(
            target=_main, args=(theirs, str(folder), module, waits), daemon=True
        )
        self.process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def checkpoint(self, timeout: float) -> str | None:
        """The next checkpoint; None when the process has ended. Raises TimeoutError."""
        if not self._channel.poll(timeout):
            raise TimeoutError(f"the engine came to no checkpoint within {timeout} s")
        try:
            said: str = self._channel.recv()
        except (EOFError, OSError):
            return None
        return said

    def go(self) -> None:
        with suppress(OSError):
            self._channel.send("go")

    def go_freely(self) -> None:
        """Let it go on, past all checkpoints to come."""
        self._channel.close()

    def wait(self, timeout: float) -> bool:
        """Whether it has ended."""
        self.process.join(timeout)
        return self.process.exitcode is not None

    def end(self) -> None:
        if self.process.is_alive():
            self.process.kill()
        self.process.join()


def _main(channel: Connection, folder: str, module: str, waits: bool) -> None:
    from pipekit_engine.config import Config
    from pipekit_engine.engine import Engine
    from pipekit_engine.errors import PipekitError
    from pipekit_engine.running.events import RunEvent
    from pipekit_engine.running.phases import Phases
    from tests.jars import JAR_FOLDERS

    listening = waits

    def reach(name: str) -> None:
        nonlocal listening
        if not listening:
            return
        try:
            channel.send(name)
            channel.recv()
        except (EOFError, OSError):
            listening = False

    def on_event(event: RunEvent) -> None:
        if event.kind == "phase":
            reach(event.phase)

    renew = Phases._assert_lock

    def before_commit(phases: Phases) -> None:
        renew(phases)
        reach("before commit")

    Phases._assert_lock = before_commit  # type: ignore[method-assign]
    config = Config(
        database=str(Path(folder, "pipekit.db")),
        secrets=Path(folder, "secrets.env"),
        jars=JAR_FOLDERS,
        connect_timeout_s=10,
    )
    status = 0
    with Engine(config) as engine:
        try:
            engine.run(module, on_event=on_event)
        except PipekitError as error:
            status = error.exit_status
        except KeyboardInterrupt:
            status = 130
    os._exit(status)
