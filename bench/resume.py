"""What a load that goes on costs when nothing happens, and what it saves when its jrunner is killed on the way."""

from __future__ import annotations

import os
import re
import signal
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from bench.tables import mixed
from pipekit_engine.errors import PipekitError
from pipekit_engine.jrunner.pool import SessionPool
from pipekit_engine.running.events import RunEvent
from tests.running.workbench import Workbench
from tests.servers.postgresql import PostgreSQLServer

SHARES = (0.1, 0.5, 0.9)
RANGES = 12


def page(pg: PostgreSQLServer, folder: Path, rows: int, rounds: int) -> str:
    """A line for the plain load, the one in ranges, and each share at which that is killed; seconds, in turn."""
    home = folder / "resume"
    home.mkdir()
    with pg.fresh_database() as database, SessionPool(1) as pool:
        mixed(pg, database, rows, "big")
        pg.sql(database, "ALTER TABLE big ADD PRIMARY KEY (id)")
        pg.sql(database, "VACUUM ANALYZE big")
        bench = Workbench(home, pool)
        for name in ("from", "dst"):
            bench.connect(name, "postgresql", pg.jdbc_url(database), pg.user, pg.password)
        common = {"source": "from", "query": "SELECT * FROM big", "strategy": "full", "merge_key": ("id",)}
        bench.module("plain", dest_table="public.plain", **common)
        bench.module("ranged", dest_table="public.ranged", resume_every=max(1, rows // RANGES), **common)
        sides: dict[str, Callable[[], float]] = {
            "one piece": lambda: _load(bench, pg, database, "plain"),
            f"{RANGES} ranges": lambda: _load(bench, pg, database, "ranged"),
        }
        for share in SHARES:
            sides[f"{RANGES} ranges, killed at {share:.0%}"] = lambda share=share: _load(  # type: ignore[misc]
                bench, pg, database, "ranged", kill_at=int(rows * share)
            )
        seconds: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(rounds):
            for name, side in sides.items():
                seconds[name].append(side())
        bench.close()
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    plain, undisturbed = medians["one piece"], medians[f"{RANGES} ranges"]
    text = (
        f"# Loads that go on\n\n`full` from PostgreSQL into a new table of PostgreSQL, {rows:,} rows of ten mixed columns with a "
        f"primary key, medians of {rounds} in turn. Killed: jrunner, by SIGKILL; the time is that of both runs, the second "
        "with a jrunner that has to start.\n\n| load | seconds | to one piece | to undisturbed |\n|---|---|---|---|\n"
    )
    for name, median in medians.items():
        text += f"| {name} | {median:.2f} | {median / plain:.2f} | {median / undisturbed:.2f} |\n"
    return text


def _load(bench: Workbench, pg: PostgreSQLServer, database: str, module: str, kill_at: int | None = None) -> float:
    """Load into a table that is not there, and give the seconds of all runs that this takes."""
    pg.sql(database, f"DROP TABLE IF EXISTS public.{module}")
    pg.sql(database, "CHECKPOINT")
    killed = False

    def on_event(event: RunEvent) -> None:
        nonlocal killed
        staged = re.search(r"([0-9,]+) are staged for good", event.message)
        rows = int(staged[1].replace(",", "")) if staged else event.rows or 0
        if killed or kill_at is None or rows < kill_at:
            return
        lease = bench.store.leases.find("module", module)
        if lease is not None and lease.child is not None:
            killed = True
            os.kill(lease.child.pid, signal.SIGKILL)

    began = time.perf_counter()
    while True:
        try:
            bench.run(module, on_event=on_event)
        except PipekitError:
            if not killed:
                raise
            continue
        if kill_at is not None and not killed:
            raise RuntimeError("the load was over before it could be killed; give more --rows")
        return time.perf_counter() - began
