"""What pipekit adds to a module: a group of a hundred small ones on one warm session, phase by phase."""

from __future__ import annotations

import sqlite3
import statistics
import time
from pathlib import Path
from typing import Any

from pipekit_engine.config import Config
from pipekit_engine.databases.dialects import builtin_drivers
from pipekit_engine.engine import Engine
from pipekit_engine.models import Connection, DefinitionKind, Group, Module
from pipekit_engine.security.secrets import Secrets
from pipekit_engine.store import Change, Store
from tests.servers.postgresql import PostgreSQLServer

MODULES = 100
ROWS = 10


def page(pg: PostgreSQLServer, folder: Path) -> str:
    """Medians in milliseconds over all modules of the group but the first, which opens the connections."""
    text = "# A hundred small modules\n\nTen rows each, `full`, one group run, one session.\n\n"
    text += "| from, to | group | a module, median | slowest | of which resolve, plan, stage, verify, merge, hooks |\n"
    text += "|---|---|---|---|---|\n"
    with pg.fresh_database() as database:
        targets = {
            "SQLite, SQLite": Connection(name="dst", driver="sqlite", jdbc_url=f"jdbc:sqlite:{folder}/small-dest.db"),
            "SQLite, PostgreSQL": Connection(
                name="dst", driver="postgresql", jdbc_url=pg.jdbc_url(database), username=pg.user, password="$PG"
            ),
        }
        for title, target in targets.items():
            text += _line(title, *_measure(folder, title, target, pg.password))
    return text


def _measure(folder: Path, title: str, target: Connection, password: str) -> tuple[float, list[dict[str, float]]]:
    """Seconds of the second run of the group, and seconds per phase of each module."""
    home = folder / title.replace(", ", "-")
    home.mkdir()
    with sqlite3.connect(home / "source.db") as source:
        source.execute("CREATE TABLE t (id INTEGER, name TEXT, at TIMESTAMP)")
        source.executemany("INSERT INTO t VALUES (?, ?, '2024-01-01')", [(n, f"name {n}") for n in range(ROWS)])
    source.close()
    config = Config(database=str(home / "pipekit.db"), secrets=home / "secrets.env")
    Secrets.load(config.secrets_file).set("PG", password)
    Store.init(config.database_url)
    names = [f"m{number:03}" for number in range(MODULES)]
    fields = {"source": "src", "dest": "dst", "query": "SELECT * FROM t", "strategy": "full"}
    source_file = Connection(name="src", driver="sqlite", jdbc_url=f"jdbc:sqlite:{home}/source.db")
    records: list[tuple[DefinitionKind, Any]] = [("drivers", driver) for driver in builtin_drivers()]
    records += [("connections", source_file), ("connections", target)]
    records += [("modules", Module(name=name, dest_table=name, **fields)) for name in names]
    records += [("groups", Group(name="all", layers=tuple((name,) for name in names)))]
    with Engine(config) as engine:
        engine.store.definitions.save([Change("create", kind, item.name, item) for kind, item in records])
        engine.run_group("all")
        began = time.perf_counter()
        result = engine.run_group("all")
        seconds = time.perf_counter() - began
    assert result.record.status == "success", result.record.error
    return seconds, [{**run.timings, "total": run.duration_s or 0} for run in result.runs[1:]]


def _line(title: str, seconds: float, runs: list[dict[str, float]]) -> str:
    total = [run["total"] for run in runs]
    phases = ", ".join(
        f"{statistics.median(run[name] for run in runs) * 1000:.1f}"
        for name in ("resolve", "plan", "stage", "verify", "merge", "hooks")
    )
    median, slowest = statistics.median(total) * 1000, max(total) * 1000
    return f"| {title} | {seconds:.2f} s | {median:.1f} ms | {slowest:.1f} ms | {phases} ms |\n"
