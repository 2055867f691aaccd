"""Starts runs that were asked for on a page: what any server of these pages must be able to do, and how without Dagster.

A run is a process of its own: it goes on when the server stops.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import uuid
from collections import OrderedDict
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from pipekit_engine.errors import NotFoundError, PipekitError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request

    from pipekit_engine.config import Config
    from pipekit_engine.store import Store
    from pipekit_web.api.answers import DagsterRun

_log = logging.getLogger("pipekit.web")
#: Starts that are kept in mind, so that their page can be looked at again.
_KEPT = 1000


class LaunchRefused(PipekitError):
    """The run was not taken; the message says why."""


@dataclass(frozen=True)
class Wanted:
    """A run that a person asks for."""

    kind: Literal["modules", "groups"]
    name: str
    by: str
    dry_run: bool = False
    watermarks: Mapping[str, str] = field(default_factory=dict)
    #: The partition of modules that have them; None is the newest that has ended.
    partition: str | None = None
    #: Of a module: the partitions of a backfill, one run each in this order, and whether it goes on after one that failed.
    partitions: Sequence[str] = ()
    keep_going: bool = False


@dataclass(frozen=True)
class Begun:
    """What became of it so far: the run once there is one, or why there will be none."""

    run_id: int | None = None
    group_run_id: int | None = None
    problem: str | None = None


class Launcher(Protocol):
    """Starts runs for the pages."""

    #: Whether Dagster's own pages are served beside these.
    dagster: bool

    def start(self, request: Request, store: Store, wanted: Wanted) -> str:
        """Begin a run; a ticket for `look`. Raises PipekitError when it is refused at once."""
        ...

    def look(self, request: Request, store: Store, ticket: str) -> Begun:
        """What became of a start. Raises NotFoundError for a ticket that nobody gave."""
        ...

    def describe(self, request: Request, store: Store, ticket: str) -> DagsterRun:
        """All that is known of a start, for programs. Raises NotFoundError for a ticket that nobody gave."""
        ...


class ProcessLauncher:
    """Runs each in a process of `pipekit_web.worker`, for a server without Dagster."""

    dagster = False

    def __init__(self, config: Config) -> None:
        self._config = config
        self._begun: OrderedDict[str, Begun] = OrderedDict()

    def start(self, request: Request, store: Store, wanted: Wanted) -> str:
        """As `Launcher.start`."""
        env = dict(os.environ)
        if self._config.path is not None:
            env["PIPEKIT_CONFIG"] = str(self._config.path)
        process = subprocess.Popen(
            [sys.executable, "-m", "pipekit_web.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=env,
            text=True,
            start_new_session=True,
        )
        ticket = str(uuid.uuid4())
        self._begun[ticket] = Begun()
        while len(self._begun) > _KEPT:
            self._begun.popitem(last=False)
        assert process.stdin is not None
        process.stdin.write(json.dumps(asdict(wanted)))
        process.stdin.close()
        threading.Thread(target=self._listen, args=(ticket, process), name=f"run {wanted.name}", daemon=True).start()
        return ticket

    def _listen(self, ticket: str, process: subprocess.Popen[str]) -> None:
        """Take the one line that the worker says, and wait for its end, so that it leaves no zombie."""
        assert process.stdout is not None
        with process.stdout:
            line = process.stdout.readline()
        try:
            begun = Begun(**json.loads(line))
        except (ValueError, TypeError):
            begun = Begun(problem="The process of the run ended before it began; the server's log says why.")
        if ticket in self._begun:
            self._begun[ticket] = begun
        status = process.wait()
        _log.debug("a run's process ended with status %s", status)

    def look(self, request: Request, store: Store, ticket: str) -> Begun:
        """As `Launcher.look`."""
        if ticket not in self._begun:
            raise NotFoundError("start", ticket)
        return self._begun[ticket]

    def describe(self, request: Request, store: Store, ticket: str) -> DagsterRun:
        """As `Launcher.describe`."""
        from pipekit_web.api.answers import DagsterRun

        begun = self.look(request, store, ticket)
        runs, status = [], "failure" if begun.problem is not None else "started"
        if begun.group_run_id is not None:
            runs = store.runs.list(group_run_id=begun.group_run_id, limit=None)[::-1]
            status = _ended(store.group_runs.get(begun.group_run_id).status)
        elif begun.run_id is not None:
            runs = [store.runs.get(begun.run_id)]
            status = _ended(runs[0].status)
        return DagsterRun(dagster_run_id=ticket, job="", status=status, tags={}, runs=runs, error=begun.problem)


def _ended(status: str) -> str:
    """The status of one of our runs in Dagster's words."""
    words = {"running": "started", "error": "failure", "cancelled": "canceled"}
    return words.get(status, "success")
