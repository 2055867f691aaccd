"""Trials in which Dagster runs the module: a served site, whose run processes wait at the checkpoints, and what can end there."""

from __future__ import annotations

import os
import queue
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal, get_args

import yaml

from pipekit_engine.common.processes import ProcessName
from tests.dagster.project import Configured
from tests.dagster.served import ROOT, Served, jrunners_of, worker_of
from tests.faults.breaking import Breaker, Fault
from tests.faults.checkpoints import Checkpoint
from tests.faults.site import MODULE, Site
from tests.faults.trial import Trial
from tests.jars import JAR_FOLDERS
from tests.waiting import LIMIT, wait_until

ServedFault = Literal[
    "run process killed", "jrunner of a run process killed", "run process and jrunner killed", "run process frozen and woken",
    "run terminated", "run cancelled by command", "daemon killed", "code server killed", "web server killed",
    "all of serve killed",
]  # fmt: skip
SERVED_FAULTS: tuple[ServedFault, ...] = get_args(ServedFault)
#: What the engine of a run suffers, whoever started it.
_AS_BY_HAND: dict[ServedFault, Fault] = {
    "run process killed": "engine killed", "jrunner of a run process killed": "jrunner killed",
    "run process and jrunner killed": "both killed", "run process frozen and woken": "frozen and woken",
    "run terminated": "cancelled", "run cancelled by command": "cancelled by command",
}  # fmt: skip
#: What no run may notice.
UNNOTICED: frozenset[ServedFault] = frozenset(["daemon killed", "code server killed", "web server killed"])
#: Dagster's word for a run, and ours for its module. A run that was asked to end is canceled, also where its module was done; a
#: module that was cancelled by command is a failed step of its group, which goes on or not by its `on_failure`.
_STATUSES = {"success": ("success",), "failure": ("error", "cancelled"), "canceled": ("cancelled", "success")}


class Checkpoints:
    """Where the run processes of one server wait: a socket in a folder that they know by an environment variable."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "checkpoints")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen()
        self.seen: queue.Queue[str | None] = queue.Queue()
        self._current: socket.socket | None = None
        threading.Thread(target=self._accept, daemon=True).start()

    def forget(self) -> None:
        """What the last run came to."""
        self.seen, self._current = queue.Queue(), None

    def answer(self, word: str) -> None:
        if self._current is not None:
            with suppress(OSError):
                self._current.sendall(f"{word}\n".encode())

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._current = connection
                threading.Thread(target=self._listen, args=(connection, self.seen), daemon=True).start()

    @staticmethod
    def _listen(connection: socket.socket, seen: queue.Queue[str | None]) -> None:
        with suppress(OSError), connection, connection.makefile(encoding="utf-8") as lines:
            for line in lines:
                seen.put(line.strip())
        seen.put(None)


class ServedEngine:
    """`pipekit serve` on a site's folder; `run` starts a run through it, whose process is then the engine of the trial."""

    def __init__(self, site: Site) -> None:
        settings = {
            "database": site.store,
            "secrets": "secrets.env",
            "jars": [str(folder) for folder in JAR_FOLDERS],
            "connect_timeout_s": 10,
        }
        self.site = site
        self._checkpoints = Checkpoints(site.bench.folder)
        here = Path(__file__).parent / "in_runs"
        self.server = Served(
            Configured(site.bench.folder, yaml.safe_dump(settings)),
            env={"PYTHONPATH": f"{here}{os.pathsep}{ROOT}", "PIPEKIT_TEST_CHECKPOINTS": self._checkpoints.path},
        )
        self.run_id = ""
        self._worker: ProcessName | None = None
        self.server.start()

    @property
    def pid(self) -> int:
        assert self._worker is not None, "the run's process has not named itself"
        return self._worker.pid

    @property
    def alive(self) -> bool:
        return self._worker is not None and self._worker.alive() is True

    def run(self, folder: Path, database: str, module: str) -> None:
        """Start a run of a module through the REST interface; the engine's process is the one that Dagster starts for it."""
        self._checkpoints.forget()
        self._worker = None
        status, answer = self.server.post(f"/api/modules/{module}/run")
        assert status == 202, answer
        self.run_id = str(answer["dagster_run_id"])

    def checkpoint(self, timeout: float) -> str | None:
        try:
            found = self._checkpoints.seen.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError(f"the run came to no checkpoint within {timeout} s") from None
        if self._worker is None:
            self._worker = worker_of(self.server, self.run_id)
        return found

    def go(self) -> None:
        self._checkpoints.answer("go")

    def go_freely(self) -> None:
        self._checkpoints.answer("free")

    def wait(self, timeout: float) -> bool:
        """Whether Dagster says that the run has ended, and its process has."""
        with suppress(AssertionError):
            wait_until(lambda: self.status() in _STATUSES and not self.alive, "the run's end", timeout)
            return True
        return False

    def status(self) -> str:
        """As Dagster tells it; empty while nobody answers."""
        with suppress(OSError, AssertionError):
            return str(self.server.get(f"/api/runs/{self.run_id}")["status"])
        return ""

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def join(self) -> None:
        wait_until(lambda: not self.alive, "the end of the run's process")

    def cancel(self) -> None:
        """*Terminate* in Dagster's pages."""
        query = "mutation T($id: String!) { terminateRun(runId: $id) { __typename } }"
        assert self.server.graphql(query, id=self.run_id)["terminateRun"]["__typename"] == "TerminateRunSuccess"

    def end(self, *, kindly: bool = False) -> None:
        """Stop the server, and what it runs."""
        if self.server.process is not None:
            assert self.server.stop() == 0
        if self.alive:
            self.kill()
        self._checkpoints.close()


class ServedEngines:
    """The server of the site that trials use; one at a time."""

    def __init__(self) -> None:
        self._engine: ServedEngine | None = None

    def of(self, site: Site) -> ServedEngines:
        """For trials of this site from now on."""
        if self._engine is not None and self._engine.site is not site:
            self.end()
        if self._engine is None:
            self._engine = ServedEngine(site)
        return self

    def get(self) -> ServedEngine:
        assert self._engine is not None
        return self._engine

    def end(self, *, kindly: bool = False) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.end(kindly=kindly)


class _ServedBreaker(Breaker):
    """Ends a service, or does to the run's process what is done to an engine elsewhere."""

    def __init__(self, site: Site, engine: ServedEngine, child: ProcessName | None, fault: ServedFault) -> None:
        super().__init__(site, engine, child)
        self._served, self._fault = engine.server, fault

    def _cuts(self, fault: Fault) -> bool:
        return self._fault not in UNNOTICED and super()._cuts(fault)

    def _break(self, fault: Fault) -> Callable[[], object] | None:
        if self._fault in _AS_BY_HAND:
            return super()._break(fault)
        if self._fault == "all of serve killed":
            self._engine.kill()
            self._engine.join()
            self._served.kill_everything()
            return self._served.start
        before = self._served.service(self._fault.removesuffix(" killed"))
        os.kill(before.pid, signal.SIGKILL)
        wait_until(lambda: not before.alive(), "the end of the service")
        return lambda: self._served.wait_for(lambda: self._served.health()[0] == 200, "the service again")


class ServedTrial(Trial):
    """A run that Dagster starts, broken at a checkpoint; what Dagster says of it is judged, too."""

    def __init__(self, site: Site, engines: ServedEngines, checkpoint: Checkpoint, fault: ServedFault) -> None:
        super().__init__(site, engines.of(site), checkpoint, _AS_BY_HAND.get(fault, "engine killed"))
        self._served, self._served_fault = engines, fault

    def _breaker(self, child: ProcessName | None) -> Breaker:
        return _ServedBreaker(self.site, self._served.get(), child, self._served_fault)

    def _judge_end(self, after: frozenset[tuple[int, int, int]]) -> None:
        super()._judge_end(after)
        engine = self._served.get()
        record = self.site.bench.store.runs.get(self._run_id)
        assert record.status in _STATUSES[engine.status()], (
            f"Dagster says {engine.status()}, the run log {record.status}"
        )
        if self._served_fault in UNNOTICED:
            assert record.status == "success", f"the run noticed: {record.error}"
        assert record.dagster_run_id == engine.run_id
        wait_until(lambda: jrunners_of(self.site.bench.folder) == [], "the end of all jrunners", LIMIT)
        assert record.module == MODULE
