"""The only place in pipekit that starts a JVM for a run, and one that is started before anything else is imported.

A command that will run a module has its JVM started first, beside Python's imports: those take longer than the JVM does. The
first session that wants just what was started takes it; what nobody took ends with the command.
"""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipekit_engine.errors import PipekitError, RuntimeMissing
from pipekit_engine.jrunner import jvm
from pipekit_engine.jrunner.folders import SessionFolder
from pipekit_engine.jrunner.lending import Settings
from pipekit_engine.jrunner.locate import Java, find_jar, find_java
from pipekit_engine.jrunner.rehearsal import kinds_used

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipekit_engine.config import Config

#: Seconds that a JVM which nobody took has to end.
_END_S = 2.0


def start_process(
    java: Java,
    temporary: SessionFolder,
    *,
    heap: str = jvm.DEFAULT_HEAP,
    jar: Path | None = None,
    cwd: Path | None = None,
    rehearsed: Sequence[str] = (),
) -> subprocess.Popen[bytes]:
    """Starts a session's JVM, whose temporary files are in `temporary`. Raises RuntimeMissing.

    It prepares the first connection to `rehearsed`, kinds of databases.
    """
    try:
        return subprocess.Popen(
            jvm.command(
                java,
                jar or find_jar(),
                "session",
                *rehearsed,
                heap=heap,
                users=jvm.SESSIONS_PER_JVM,
                temporary=temporary.path,
            ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=jvm.environment(),
            cwd=cwd,
            start_new_session=True,
        )
    except BaseException as error:
        temporary.remove()
        if isinstance(error, OSError):
            raise RuntimeMissing(f"jrunner cannot be started: {error}") from None
        raise


@dataclass(frozen=True)
class StartedProcess:
    """A JVM that runs for a session to come, and what it was started with."""

    settings: Settings
    process: subprocess.Popen[bytes]
    temporary: SessionFolder


def start_for(config: Config) -> StartedProcess:
    """Start a JVM as a configuration wants it, for connections of the kinds that it has. Raises RuntimeMissing."""
    kinds = kinds_used(str(config.folder / config.database))
    return _start(find_java(config.jrunner.java), config.jrunner.heap, config.folder, kinds)


def _start(java: Java, heap: str, folder: Path, kinds: Sequence[str]) -> StartedProcess:
    settings = Settings.here(java, heap, folder)
    temporary = SessionFolder()
    return StartedProcess(settings, start_process(java, temporary, heap=heap, cwd=folder, rehearsed=kinds), temporary)


_started: StartedProcess | None = None


def start_early(folder: Path, kinds: Sequence[str] = ()) -> None:
    """Start the JVM of a configuration in `folder` that says nothing of jrunner, for connections of these kinds.

    One that cannot be started is told later.
    """
    with suppress(PipekitError, OSError):
        _keep(_start(find_java(), jvm.DEFAULT_HEAP, folder, kinds))


def start_early_for(config: Config) -> None:
    """Start the JVM of a configuration, unless it names an external jrunner. One that cannot be started is told later."""
    if config.jrunner.command is None:
        with suppress(PipekitError, OSError):
            _keep(start_for(config))


def _keep(started: StartedProcess) -> None:
    """Have it for the first session that wants its like."""
    global _started
    _started = started
    atexit.register(_end_unused)


def take_started(config: Config) -> StartedProcess | None:
    """The JVM that was started early, if it is what a configuration wants; None once it was given out."""
    global _started
    if _started is None or _started.settings != Settings.of(config):
        return None
    started, _started = _started, None
    return started


def _end_unused() -> None:
    global _started
    if _started is None:
        return
    started, _started = _started, None
    with suppress(OSError):
        os.killpg(started.process.pid, signal.SIGTERM)
    try:
        started.process.wait(_END_S)
    except subprocess.TimeoutExpired:
        started.process.kill()
        started.process.wait()
    started.temporary.remove()
