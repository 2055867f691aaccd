"""The faults: each breaks something of a site while a run stands at a checkpoint, and lets the run go on."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Literal, get_args

import pytest

from pipekit_engine.common.processes import ProcessName
from pipekit_engine.errors import EarlierMergeActive, ModuleLocked
from tests.faults.child import JUMP, Running
from tests.faults.site import MODULE, Site, Variant, crash
from tests.waiting import LIMIT

Fault = Literal[
    "engine killed", "jrunner killed", "both killed", "backend ended", "server crashed", "network cut", "network silent",
    "network silent one way", "network slow", "frozen and woken", "cancelled", "store locked", "source cut", "source crashed",
    "store cut", "store restarted", "disk full", "clock a day ahead", "cancelled by command", "killed and unlocked",
]  # fmt: skip
FAULTS: tuple[Fault, ...] = get_args(Fault)
#: What needs a destination behind a proxy.
ON_A_WIRE: frozenset[Fault] = frozenset(
    ["backend ended", "server crashed", "network cut", "network silent", "network silent one way", "network slow"]
)
#: What goes through the state store: where in a phase it comes makes no difference.
BY_COMMAND: frozenset[Fault] = frozenset(["cancelled by command", "killed and unlocked"])
#: What needs a site of its own kind.
VARIANTS: dict[Fault, Variant] = {
    "source cut": "source", "source crashed": "source", "store cut": "store", "store restarted": "store", "disk full": "disk",
}  # fmt: skip
#: After these the process that ran is ended, as that of `pipekit run` does: it may still hold the lock of a run whose end could
#: not be written down, or has a wrong clock.
SPOILS_ENGINE: frozenset[Fault] = frozenset(["disk full", "clock a day ahead", "store cut", "store restarted"])
AWAY_S, SLOW_S = 2.0, 0.1


class Breaker:
    """Breaks a run of `engine`, whose jrunner is `child`."""

    def __init__(self, site: Site, engine: Running, child: ProcessName | None) -> None:
        self._site, self._engine, self._child = site, engine, child

    def do(self, fault: Fault) -> None:
        """Break it, and let the run go on; returns when it is as broken as it gets."""
        proxy = self._site.proxy
        later = self._break(fault)
        if proxy is not None:
            proxy.release(drop=self._cuts(fault))
        self._engine.go_freely()
        if later is not None:
            later()

    def _cuts(self, fault: Fault) -> bool:
        """Whether the connection that is held ends with this."""
        return fault in ("engine killed", "jrunner killed", "both killed", "network cut")

    def _break(self, fault: Fault) -> Callable[[], object] | None:
        """Break it; what is to be done once the run goes on."""
        site, proxy, far, pid = self._site, self._site.proxy, self._site.far_proxy, self._engine.pid
        if fault in ("engine killed", "both killed"):
            self._engine.kill()
        if fault in ("jrunner killed", "both killed") and self._child is not None:
            os.kill(self._child.pid, signal.SIGKILL)
        if fault in ("engine killed", "both killed"):
            self._engine.join()
        if fault == "cancelled":
            self._engine.cancel()
        if fault == "cancelled by command":
            assert site.bench.store.runs.request_cancel(site.bench.store.runs.list(MODULE, limit=1)[0].id)
        if fault == "killed and unlocked":
            with pytest.raises(ModuleLocked):
                site.bench.engine.unlock(MODULE)
            self._engine.kill()
            self._engine.join()
            freed = site.bench.engine.unlock(MODULE)
            assert freed is not None
            assert site.bench.store.leases.find("module", MODULE) is None
        if fault in ("backend ended", "server crashed"):
            self._end_backends(crashes=fault == "server crashed")
        if proxy is not None:
            if fault == "network cut":
                proxy.cut()
            if fault in ("network silent", "network silent one way"):
                proxy.stall(to_server=fault == "network silent")
                self._engine.cancel()  # what a person does who sees it stand still
            if fault == "network slow":
                proxy.slow(SLOW_S)
        if fault == "frozen and woken":
            self._freeze()
        if fault == "store locked":
            return self._locked_store().join
        if far is not None and site.far_server is not None:
            if fault in ("source cut", "store cut"):
                far.cut()
                threading.Timer(AWAY_S, far.mend).start()
            if fault in ("source crashed", "store restarted"):
                crash(site.far_server, site.far_database)
        if fault == "disk full":
            site.fill_disk()
        if fault == "clock a day ahead":
            os.kill(pid, JUMP)
        return None

    def _end_backends(self, *, crashes: bool) -> None:
        """The sessions of this run, ended by the server; with `crashes` the server is, and starts anew."""
        site, server = self._site, self._site.server
        assert server is not None
        if server.kind == "postgresql" and crashes:
            crash(server, site.database)
        elif server.kind == "postgresql":
            who = f"application_name LIKE 'pipekit {MODULE} %' AND datname = '{site.database}'"
            server.sql("postgres", f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {who}")
        else:
            for (number,) in server.sql(
                "", f"SELECT id FROM information_schema.processlist WHERE db = '{site.database}'"
            ):
                with suppress(RuntimeError, AssertionError):
                    server.sql("", f"KILL {number}")

    def _freeze(self) -> None:
        """Both stand still; another host takes over and runs; they wake when it is done."""
        pids = [self._engine.pid, *([self._child.pid] if self._child is not None else [])]
        self._stop_outside_of_the_store(pids)
        store = self._site.bench.store
        lease = store.leases.find("module", MODULE)
        try:
            if lease is not None:
                store.leases.release("module", MODULE, lease.token)  # as another host does after a minute of silence
                # A file that a frozen process has locked can be freed by nobody: the run is refused, having done nothing.
                with suppress(*[EarlierMergeActive] if self._site.kind == "sqlite" else []):
                    self._site.run()
        finally:
            for pid in reversed(pids):
                os.kill(pid, signal.SIGCONT)

    def _stop_outside_of_the_store(self, pids: list[int]) -> None:
        """Stop the processes while they do not write to the state file: whoever is frozen in there keeps everybody out."""
        while True:
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            with closing(sqlite3.connect(self._site.store, timeout=0.1)) as store:
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
            store = sqlite3.connect(self._site.store, timeout=30)
            store.execute("BEGIN EXCLUSIVE")
            locked.set()
            threading.Event().wait(AWAY_S)
            store.rollback()
            store.close()

        thread = threading.Thread(target=hold)
        thread.start()
        locked.wait(LIMIT)
        return thread
