"""What a small module pays: the start of a session, its first answer, and a migration of ten rows on a warm one."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from bench import jrun
from pipekit_engine.jrunner import MigrateRequest, Session
from tests.servers.postgresql import PostgreSQLServer

STARTS = 15
MIGRATIONS = 100


def page(pg: PostgreSQLServer, folder: Path) -> str:
    """Medians in milliseconds."""
    ready, answered = [], []
    lite = jrun.sqlite("lite", folder / "small.db")
    for _ in range(STARTS):
        began = time.perf_counter()
        with Session() as session:
            ready.append(time.perf_counter() - began)
            session.open(lite)
            session.query("lite", "SELECT 1")
            answered.append(time.perf_counter() - began)
    text = "# Small things\n\n| what | median | best |\n|---|---|---|\n"
    text += _line("session: start to ready", ready) + _line(
        "session: start to the first row of an SQLite query", answered
    )
    with pg.fresh_database() as one, pg.fresh_database() as two, Session() as session:
        for request in (jrun.server("one", pg, one), jrun.server("two", pg, two), lite):
            session.open(request)
            session.execute(request.connection, ["CREATE TABLE IF NOT EXISTS small (id integer, name text)"])
        rows = ", ".join(f"({n}, 'name {n}')" for n in range(10))
        session.execute("one", [f"INSERT INTO small VALUES {rows}"])
        session.execute("lite", [f"INSERT INTO small VALUES {rows}"])
        for source, what in (("one", "PostgreSQL to PostgreSQL"), ("lite", "SQLite to PostgreSQL")):
            times = []
            for _ in range(MIGRATIONS):
                began = time.perf_counter()
                session.migrate(
                    MigrateRequest(source=source, sql="SELECT * FROM small", dest="two", table="small", clear=True)
                )
                times.append(time.perf_counter() - began)
            text += _line(f"migrate of ten rows on a warm session, {what}", times[MIGRATIONS // 4 :])
    return text


def _line(what: str, seconds: list[float]) -> str:
    return f"| {what} | {statistics.median(seconds) * 1000:.1f} ms | {min(seconds) * 1000:.1f} ms |\n"
