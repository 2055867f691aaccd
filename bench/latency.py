"""What a small module pays: the start of a session, its first answer, and a migration of ten rows on a warm one.

And how long anything outlives an engine that was killed while a statement ran.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench import jrun
from pipekit_engine.common.processes import ProcessName
from pipekit_engine.jrunner import MigrateRequest, Session
from tests.servers.postgresql import PostgreSQLServer

STARTS = 15
MIGRATIONS = 100
KILLS = 7

#: Reads its request from stdin: passwords stand in no argument.
ENGINE = """
import sys
from pipekit_engine.jrunner import OpenRequest, Session
session = Session()
session.open(OpenRequest(**eval(sys.stdin.readline())))
print(session.pid, flush=True)
session.execute("pg", ["SELECT pg_sleep(600)"])
"""


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
    outlived = [_outlived(pg) for _ in range(KILLS)]
    return text + _line("`kill -9` of the engine until its JVM and its PostgreSQL session are gone", outlived)


def _outlived(pg: PostgreSQLServer) -> float:
    """Seconds that a JVM or its database session lives on after its engine was killed."""
    with pg.fresh_database() as database:
        request = jrun.server("pg", pg, database)
        fields = {**vars(request), "application_name": "pipekit orphan"}
        asleep = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pipekit orphan'"
        with subprocess.Popen(
            [sys.executable, "-c", ENGINE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as engine:
            assert engine.stdin is not None
            assert engine.stdout is not None
            engine.stdin.write(f"{fields!r}\n")
            engine.stdin.flush()
            jvm = ProcessName.of(int(engine.stdout.readline()))
            while pg.sql(database, f"{asleep} AND wait_event = 'PgSleep'")[0][0] == 0:
                time.sleep(0.01)
            began = time.perf_counter()
            engine.kill()
            engine.wait()
            while jvm.alive() or pg.sql(database, asleep)[0][0]:
                time.sleep(0.01)
            return time.perf_counter() - began


def _line(what: str, seconds: list[float]) -> str:
    return f"| {what} | {statistics.median(seconds) * 1000:.1f} ms | {min(seconds) * 1000:.1f} ms |\n"
