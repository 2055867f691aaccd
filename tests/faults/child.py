"""The engine of trials: a process that waits at each checkpoint until the test says go, and plays one run after another.

It is forked from a server that has imported the engine already, and its jrunner outlives a run, so that a trial costs a
start of Python and of a JVM only after one that killed them.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import sys
import threading
import time
from contextlib import suppress
from datetime import datetime, timedelta, tzinfo
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pipekit_engine.running.events import RunEvent
    from pipekit_engine.running.phases import Phases

#: How far the engine's clock jumps at `JUMP`; what it has read is then a day old.
JUMP, JUMP_BY = signal.SIGUSR1, timedelta(days=1)
_context: ForkServerContext | None = None


def context() -> ForkServerContext:
    """The context whose processes are forked from a warm one."""
    global _context
    if _context is None:
        _context = multiprocessing.get_context("forkserver")
        _context.set_forkserver_preload(["pipekit_engine.engine", "tests.faults.child"])
    return _context


class Running(Protocol):
    """The process that a trial's run is in."""

    @property
    def pid(self) -> int: ...

    @property
    def alive(self) -> bool: ...

    def run(self, folder: Path, database: str, module: str) -> None:
        """Begin a run of a module of the state store at `database`, whose secrets are in `folder`."""

    def checkpoint(self, timeout: float) -> str | None:
        """The next checkpoint that it has come to; None when the run has ended. Raises TimeoutError."""

    def go(self) -> None: ...

    def go_freely(self) -> None:
        """Let it go on, past all checkpoints of this run that are to come."""

    def wait(self, timeout: float) -> bool:
        """Whether the run has ended."""

    def kill(self) -> None: ...

    def join(self) -> None:
        """Wait for the end of a process that was killed."""

    def cancel(self) -> None: ...


class EngineProcess:
    """Runs modules in a process. `checkpoint()` gives the next one that a run has come to; `go()` lets it go on."""

    def __init__(self) -> None:
        self._channel, theirs = context().Pipe()
        self.process: ForkServerProcess = context().Process(target=_main, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()
        self._seen: queue.Queue[str | None] = queue.Queue()
        self._ended = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.is_alive()

    def run(self, folder: Path, database: str, module: str, *, waits: bool = True) -> None:
        """Begin a run of a module of the state store at `database`, whose secrets are in `folder`."""
        self._ended.clear()
        self._seen = queue.Queue()
        self._channel.send((str(folder), database, module, waits))

    def checkpoint(self, timeout: float) -> str | None:
        """The next checkpoint; None when the run has ended. Raises TimeoutError."""
        try:
            return self._seen.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError(f"the engine came to no checkpoint within {timeout} s") from None

    def go(self) -> None:
        self._answer("go")

    def go_freely(self) -> None:
        """Let it go on, past all checkpoints of this run that are to come."""
        self._answer("free")

    def wait(self, timeout: float) -> bool:
        """Whether the run has ended."""
        return self._ended.wait(timeout)

    def kill(self) -> None:
        """SIGKILL."""
        os.kill(self.pid, signal.SIGKILL)

    def join(self) -> None:
        """Wait for the end of a process that was killed."""
        self.process.join()

    def cancel(self) -> None:
        """Ctrl-C."""
        os.kill(self.pid, signal.SIGINT)

    def end(self, *, kindly: bool = False) -> None:
        """End the process; `kindly` lets it end its jrunner itself."""
        if kindly:
            self._answer("end")
            self.process.join(20)
        if self.process.is_alive():
            self.process.kill()
        self.process.join()
        self._channel.close()

    def _answer(self, word: str) -> None:
        with suppress(OSError):
            self._channel.send(word)

    def _listen(self) -> None:
        with suppress(EOFError, OSError, TypeError):  # TypeError: the channel is closed at this end
            while True:
                said: str | None = self._channel.recv()
                self._seen.put(said)
                if said is None:
                    self._ended.set()
        self._seen.put(None)
        self._ended.set()


def _jump(*_: object) -> None:
    """Give every module of the engine a clock that is a day ahead."""
    now, moment = datetime.now, time.time

    class Ahead(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return now(tz) + JUMP_BY

    for name, module in list(sys.modules.items()):
        if name.startswith("pipekit_engine") and getattr(module, "datetime", None) is datetime:
            module.datetime = Ahead  # type: ignore[attr-defined]
    time.time = lambda: moment() + JUMP_BY.total_seconds()


def _main(channel: Connection) -> None:
    from pipekit_engine.config import Config
    from pipekit_engine.engine import Engine
    from pipekit_engine.errors import PipekitError
    from pipekit_engine.jrunner.pool import SessionPool
    from pipekit_engine.running.phases import Phases
    from tests.jars import JAR_FOLDERS

    listening = playing = False

    def interrupt(*_: object) -> None:
        if playing:  # not one that comes when the run has just ended
            raise KeyboardInterrupt

    def reach(name: str) -> None:
        nonlocal listening
        if listening:
            channel.send(name)
            listening = channel.recv() != "free"

    def on_event(event: RunEvent) -> None:
        if event.kind == "phase":
            reach(event.phase)

    renew = Phases._assert_lock

    def before_commit(phases: Phases) -> None:
        renew(phases)
        reach("before commit")

    Phases._assert_lock = before_commit  # type: ignore[method-assign]
    signal.signal(JUMP, _jump)
    signal.signal(signal.SIGINT, interrupt)
    pool: SessionPool | None = None
    try:
        while True:
            order = channel.recv()
            if order == "end":
                break
            if not isinstance(order, tuple):
                continue  # an answer to a checkpoint that the last run did not come to
            folder, database, module, listening = order
            secrets = Path(folder, "secrets.env")
            config = Config(database=database, secrets=secrets, jars=JAR_FOLDERS, connect_timeout_s=10)
            with suppress(PipekitError, KeyboardInterrupt), Engine(config) as engine:
                pool = pool or engine.session_pool()
                playing = True
                try:
                    engine.run(module, on_event=on_event, sessions=pool)
                finally:
                    playing = False
            channel.send(None)
    except (EOFError, OSError):
        pass
    if pool is not None:
        pool.close()
    os._exit(0)
