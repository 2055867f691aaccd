"""One trial: a run comes to a checkpoint, something breaks there, and everything that a person could see is judged."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Literal

from pipekit_engine.common.processes import ProcessName
from pipekit_engine.errors import EarlierMergeActive
from pipekit_engine.models import Hook, RunRecord
from tests.faults.child import EngineProcess
from tests.faults.model import Model, Row
from tests.faults.wire import HoldingProxy, Side
from tests.running.workbench import Workbench
from tests.waiting import LIMIT, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.mariadb import MariaDBServer
    from tests.servers.postgresql import PostgreSQLServer

MODULE = "m"
HOOK = "UPDATE hooked SET n = n + 1"

Fault = Literal[
    "engine killed", "jrunner killed", "both killed", "backend ended", "server crashed", "network cut", "network silent",
    "frozen and woken", "cancelled", "store locked",
]  # fmt: skip


@dataclass(frozen=True)
class Checkpoint:
    """A place in a run: where a phase begins, or a request in it, before it is sent or after it was answered."""

    name: str
    #: The phase whose beginning it is, or in which its request comes; "before commit" is when all statements have run.
    phase: str
    #: A pattern of the request's SQL; empty for the beginning itself.
    request: str = ""
    side: Side = "before"
    #: Whether the destination may have changed already.
    may_have_committed: bool = False
    has_committed: bool = False


CHECKPOINTS = [
    Checkpoint("before its first request", "resolve"),
    Checkpoint("asking for its watermark", "resolve", r"max\(id\)"),
    Checkpoint("before the plan", "plan"),
    Checkpoint("before staging", "stage"),
    Checkpoint("loading", "stage", r"^(COPY|LOAD DATA|INSERT)"),
    Checkpoint("loaded", "stage", r"^(COPY|LOAD DATA|INSERT)", "after"),
    Checkpoint("before verifying", "verify"),
    Checkpoint("counting", "verify", r"count\(\*\)"),
    Checkpoint("before the merge", "merge"),
    Checkpoint("first change", "merge", r"^(DELETE|INSERT|UPDATE)"),
    Checkpoint("first change answered", "merge", r"^(DELETE|INSERT|UPDATE)", "after"),
    Checkpoint("last change answered", "before commit"),
    Checkpoint("before COMMIT", "before commit", r"^COMMIT"),
    Checkpoint("after COMMIT, unanswered", "before commit", r"^COMMIT", "after", may_have_committed=True),
    Checkpoint("before the hooks", "hooks", may_have_committed=True, has_committed=True),
    Checkpoint("in a hook", "hooks", r"^UPDATE hooked", may_have_committed=True, has_committed=True),
    Checkpoint("hook answered", "hooks", r"^UPDATE hooked", "after", may_have_committed=True, has_committed=True),
]


@dataclass
class Site:
    """A workbench whose destination is reached through a proxy that can hold, and the model of its table."""

    bench: Workbench
    kind: str
    model: Model
    proxy: HoldingProxy | None = None
    server: PostgreSQLServer | MariaDBServer | None = None
    database: str = ""
    log: list[str] = field(default_factory=list)

    def prepare(self, strategy: str) -> None:
        """Source, destination and module; one good run."""
        self.model.create()
        self.model.insert(30)
        self.bench.execute(
            "CREATE TABLE t (id INTEGER NOT NULL, day INTEGER NOT NULL, version INTEGER NOT NULL)",
            "CREATE TABLE hooked (n INTEGER NOT NULL)",
            "INSERT INTO hooked VALUES (0)",
        )
        key = {"upsert": ("id",), "incremental": ("day",)}.get(strategy, ())
        appends = strategy == "append"
        self.bench.module(
            MODULE,
            strategy=strategy,
            merge_key=key,
            query="SELECT id, day, version FROM t" + (" WHERE id > {last}" if appends else ""),
            watermarks={"last": ("dst", "SELECT max(id) FROM t", "0")} if appends else {},
            hooks=[Hook(run_on="success", sql=HOOK)],
        )
        self.run()

    def run(self) -> RunRecord:
        """A run that nothing disturbs, in the test's own process; the destination must be what the model says."""
        record = self.bench.run(MODULE)
        assert record.status == "success"
        self.model.dest = self.model.after_run()
        assert self.rows() == self.model.dest
        return record

    def rows(self) -> frozenset[Row]:
        """The destination's rows. Fails when one is there twice."""
        found = [
            (int(a or 0), int(b or 0), int(c or 0)) for a, b, c in self.bench.rows("SELECT id, day, version FROM t")
        ]
        assert len(found) == len(set(found)), "rows are there twice"
        return frozenset(found)

    def disturb(self, random: Random) -> None:
        """What happens to a source between two runs."""
        self.model.insert(random.randint(1, 10))
        if self.model.strategy != "append":
            self.model.change(random, random.randint(0, 5))
            self.model.delete(random, random.randint(0, 3))


class Trial:
    """A run of a site's module in a process of its own, broken by `fault` at `checkpoint`."""

    def __init__(self, site: Site, checkpoint: Checkpoint, fault: Fault) -> None:
        self.site, self.checkpoint, self.fault = site, checkpoint, fault
        self.came = False  #: whether the checkpoint was reached: not every strategy and database has each

    def execute(self) -> None:
        """Break a run, look at what is there, run again, look once more. AssertionError tells what is wrong."""
        before, after = self.site.model.dest, self.site.model.after_run()
        with ExitStack() as stack:
            engine = EngineProcess(self.site.bench.folder, MODULE)
            stack.callback(engine.end)
            self._come_to_checkpoint(engine)
            lease = self.site.bench.store.leases.find("module", MODULE)
            child = lease.child if lease is not None else None
            if self.came:
                self._break(engine, child)
            else:
                engine.go_freely()
            assert engine.wait(LIMIT), "the engine did not end"
            if child is not None:
                wait_until(lambda: not child.alive(), "the end of jrunner")
            self._mend()
            self._judge_rows(before, after)
        self._judge_end(before, after)

    def _come_to_checkpoint(self, engine: EngineProcess) -> None:
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
            threading.Thread(target=lambda: (watcher.join(), engine.go_freely()), daemon=True).start()

    def _break(self, engine: EngineProcess, child: ProcessName | None) -> None:
        proxy = self.site.proxy
        if self.fault in ("engine killed", "both killed"):
            os.kill(engine.pid, signal.SIGKILL)
        if self.fault in ("jrunner killed", "both killed") and child is not None:
            os.kill(child.pid, signal.SIGKILL)
        if self.fault == "cancelled":
            os.kill(engine.pid, signal.SIGINT)
        if self.fault in ("backend ended", "server crashed"):
            self._end_backends(crash=self.fault == "server crashed")
        if self.fault == "network cut":
            assert proxy is not None
            proxy.cut()
        if self.fault == "network silent":
            assert proxy is not None
            proxy.stall()
            os.kill(engine.pid, signal.SIGINT)  # what a person does who sees it stand still
        if self.fault == "frozen and woken":
            self._freeze(engine, child)
        held = self._locked_store() if self.fault == "store locked" else None
        if proxy is not None:
            proxy.release(drop=self.fault in ("engine killed", "jrunner killed", "both killed", "network cut"))
        engine.go_freely()
        if held is not None:
            held.join()

    def _end_backends(self, *, crash: bool) -> None:
        """The sessions of this run, ended by the server; with `crash`, one is killed, and the server starts anew with all."""
        server = self.site.server
        assert server is not None
        if server.kind == "postgresql":
            who = f"application_name LIKE 'pipekit {MODULE} %' AND datname = '{self.site.database}'"
            pids = server.sql("postgres", f"SELECT pid FROM pg_stat_activity WHERE {who} AND pid <> pg_backend_pid()")
            for (pid,) in pids:
                if crash:
                    with suppress(ProcessLookupError):
                        os.kill(int(pid or 0), signal.SIGKILL)
                else:
                    server.sql("postgres", f"SELECT pg_terminate_backend({pid})")
            if crash:
                wait_until(lambda: _answers(lambda: server.sql("postgres", "SELECT 1")), "the server")
            return
        ids = server.sql("", f"SELECT id FROM information_schema.processlist WHERE db = '{self.site.database}'")
        for (number,) in ids:
            with suppress(RuntimeError, AssertionError):
                server.sql("", f"KILL {number}")

    def _freeze(self, engine: EngineProcess, child: ProcessName | None) -> None:
        """Both stand still; another host takes over and runs; they wake when it is done."""
        pids = [engine.pid, *([child.pid] if child is not None else [])]
        self._stop_outside_of_the_store(pids)
        store = self.site.bench.store
        lease = store.leases.find("module", MODULE)
        try:
            if lease is not None:
                store.leases.release("module", MODULE, lease.token)  # as another host does after a minute of silence
                # A file that a frozen process has locked can be freed by nobody: the run is refused, having done nothing.
                with suppress(*[EarlierMergeActive] if self.site.kind == "sqlite" else []):
                    self.site.run()
        finally:
            for pid in reversed(pids):
                os.kill(pid, signal.SIGCONT)

    def _stop_outside_of_the_store(self, pids: list[int]) -> None:
        """Stop the processes while they do not write to the state file: whoever is frozen in there keeps everybody out."""
        while True:
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            with closing(sqlite3.connect(self.site.bench.folder / "pipekit.db", timeout=0.1)) as store:
                try:
                    store.execute("BEGIN IMMEDIATE")
                except sqlite3.OperationalError:
                    for pid in pids:
                        os.kill(pid, signal.SIGCONT)
                    time.sleep(0.05)
                    continue
                return

    def _locked_store(self) -> threading.Thread:
        """The state store's file is locked by somebody else for two seconds."""
        locked = threading.Event()

        def hold() -> None:
            store = sqlite3.connect(self.site.bench.folder / "pipekit.db", timeout=30)
            store.execute("BEGIN EXCLUSIVE")
            locked.set()
            threading.Event().wait(2)
            store.rollback()
            store.close()

        thread = threading.Thread(target=hold)
        thread.start()
        locked.wait(LIMIT)
        return thread

    def _mend(self) -> None:
        if self.site.proxy is not None:
            self.site.proxy.mend()
            self.site.proxy.disarm()

    # What is judged

    def _judge_rows(self, before: frozenset[Row], after: frozenset[Row]) -> None:
        """Right after the fault: the rows from before the run or those from after it, and what its record says of them."""
        with self.settled():
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

    @contextmanager
    def settled(self) -> Iterator[None]:
        """The destination once a transaction that was left in it has ended: what is in COMMIT may still come."""
        server = self.site.server
        if server is not None and server.kind == "postgresql":
            busy = (
                f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{self.site.database}' "
                f"AND application_name LIKE 'pipekit {MODULE} %' AND state <> 'idle'"
            )
            wait_until(lambda: server.sql("postgres", busy) == [(0,)], "the end of what the run left at the server")
        yield

    def _judge_end(self, before: frozenset[Row], after: frozenset[Row]) -> None:
        """After one more run: the right rows, one true status for every run, and nothing left behind."""
        bench = self.site.bench
        record = bench.run(MODULE)
        assert record.status == "success"
        found = self.site.rows()
        assert found == after, f"after another run: {len(found - after)} too many, {len(after - found)} missing"
        self.site.model.dest = after
        for run in bench.store.runs.list(MODULE, limit=20):
            assert run.status in ("success", "error", "cancelled"), f"run {run.id} is still {run.status}"
            assert run.status == "success" or run.error, f"run {run.id} failed and does not say why"
        assert bench.store.leases.all() == [], "a lock is left"
        assert bench.staging_left() == [], "staging is left"


def _answers(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except Exception:
        return False
    return True
