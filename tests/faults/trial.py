"""One trial: a run comes to a checkpoint, something breaks there, and everything that a person could see is judged."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Protocol

from pipekit_engine.common.processes import ProcessName
from pipekit_engine.models import RunRecord
from tests.faults.breaking import SPOILS_ENGINE, Breaker, Fault
from tests.faults.checkpoints import Checkpoint
from tests.faults.child import EngineProcess, Running
from tests.faults.model import Row
from tests.faults.report import Report
from tests.faults.site import MODULE, Site
from tests.waiting import LIMIT, wait_until


class RunningSource(Protocol):
    """Where trials get the process from."""

    def get(self) -> Running: ...

    def end(self, *, kindly: bool = False) -> None: ...


class Engines:
    """The process that trials run in, made anew after one that ended it."""

    def __init__(self) -> None:
        self._process: EngineProcess | None = None

    def get(self) -> EngineProcess:
        if self._process is None or not self._process.alive:
            self.end()
            self._process = EngineProcess()
        return self._process

    def end(self, *, kindly: bool = False) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.end(kindly=kindly)


class Trial:
    """A run of a site's module in a process of its own, broken by `fault` at `checkpoint`."""

    def __init__(self, site: Site, engines: RunningSource, checkpoint: Checkpoint, fault: Fault) -> None:
        self.site, self.engines, self.checkpoint, self.fault = site, engines, checkpoint, fault
        self.came = False  #: whether the checkpoint was reached: not every strategy and database has each
        self._run_id = 0

    def report(self, report: Report, fault: str) -> None:
        """Execute it, and note under this name of the fault whether it was survived."""
        cell = {
            "kind": self.site.kind,
            "strategy": self.site.model.strategy + (" directly" if self.site.direct else ""),
            "checkpoint": self.checkpoint.name,
            "fault": fault,
        }
        try:
            self.execute()
        except Exception:
            report.add(**cell, reached=self.came, survived=False)
            raise
        report.add(**cell, reached=self.came, survived=True)

    def execute(self) -> None:
        """Break a run, look at what is there, run again, look once more. AssertionError tells what is wrong."""
        before, after = self.site.model.dest, self.site.model.after_run()
        engine = self.engines.get()
        try:
            engine.run(self.site.bench.folder, self.site.store, MODULE)
            self._come_to_checkpoint(engine)
            lease = self.site.bench.store.leases.find("module", MODULE)
            child = lease.child if lease is not None else None
            self._run_id = self.site.bench.store.runs.list(MODULE, limit=1)[0].id
            if self.came:
                self._breaker(child).do(self.fault)
            else:
                engine.go_freely()
            assert engine.wait(LIMIT), "the engine did not end"
            if self.fault in SPOILS_ENGINE:
                self.engines.end(kindly=True)
            if child is not None and not engine.alive:
                wait_until(lambda: not child.alive(), "the end of jrunner")
            self.site.mend()
            self._judge_rows(before, after, engine)
            self._judge_end(after)
        except BaseException:
            self.engines.end()
            raise

    def _breaker(self, child: ProcessName | None) -> Breaker:
        return Breaker(self.site, self.engines.get(), child)

    def _come_to_checkpoint(self, engine: Running) -> None:
        """The engine waits at the checkpoint, or `came` stays False and it ends by itself."""
        wanted = self.checkpoint
        while (phase := engine.checkpoint(LIMIT)) != wanted.phase:
            if phase is None:
                return
            engine.go()
        if not wanted.request:
            self.came = True
            return
        assert self.site.proxy is not None, "a request can be held on a wire only"
        self.site.proxy.arm(wanted.request, wanted.side)
        engine.go()
        reached: list[str | None] = []

        def next_phase() -> None:
            with suppress(TimeoutError):
                reached.append(engine.checkpoint(LIMIT))

        watcher = threading.Thread(target=next_phase, daemon=True)
        watcher.start()
        while watcher.is_alive() and not self.site.proxy.held.wait(0.01):
            pass
        self.came = self.site.proxy.held.is_set()
        if not self.came:
            self.site.proxy.disarm()
        else:
            # What it comes to from here on concerns nobody.
            engine.go_freely()

    # What is judged

    def _judge_rows(self, before: frozenset[Row], after: frozenset[Row], engine: Running) -> None:
        """Right after the fault: the rows from before the run or those from after it, and what its record says of them."""
        self._settle(gone=not engine.alive)
        found = self.site.rows()
        assert found in (before, after), "the destination is half done"
        woken = self.fault == "frozen and woken" and self.came
        run = self._last(2 if woken else 1)
        if run.status == "success":
            assert found == after, "success, but the rows are not there"
        if self.came and self.checkpoint.has_committed and not woken:
            assert found == after, "committed rows are gone"
        if run.status in ("error", "cancelled") and run.error and not woken:
            if "the destination is as it was" in run.error or "was rolled back" in run.error:
                assert found == before, f"not as it was, as the record says: {run.error}"
            if "committed before" in run.error:
                assert found == after, f"not committed, as the record says: {run.error}"

    def _last(self, place: int) -> RunRecord:
        return self.site.bench.store.runs.list(MODULE, limit=place)[place - 1]

    def _settle(self, *, gone: bool) -> None:
        """Wait for the end of a transaction that was left in the destination (what is in COMMIT may still come).

        With `gone`, of the sessions of that run, too: no process of it lives.
        """
        server = self.site.server
        if server is None or server.kind != "postgresql":
            return
        busy = (
            f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{self.site.database}' "
            f"AND application_name LIKE 'pipekit {MODULE} {self._run_id}%'" + ("" if gone else " AND state <> 'idle'")
        )
        wait_until(lambda: server.sql("postgres", busy) == [(0,)], "the end of what the run left at the server")

    def _judge_end(self, after: frozenset[Row]) -> None:
        """After one more run: the right rows, one true status for every run, and nothing left behind."""
        bench = self.site.bench
        record = bench.run(MODULE)
        assert record.status == "success"
        found = self.site.rows()
        assert found == after, f"after another run: {len(found - after)} too many, {len(after - found)} missing"
        self.site.model.dest = after
        for run in bench.store.runs.list(MODULE, limit=20):
            assert run.status in ("success", "dry_run", "error", "cancelled"), f"run {run.id} is still {run.status}"
            assert run.status in ("success", "dry_run") or run.error, f"run {run.id} failed and does not say why"
        assert bench.store.leases.all() == [], "a lock is left"
        assert bench.staging_left() == [], "staging is left"
