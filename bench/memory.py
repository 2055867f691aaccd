"""Peak memory of the JVM while it moves one, three and ten million rows: it must not grow with the table."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from bench import jrun, tables
from pipekit_engine.jrunner import MigrateRequest, OpenRequest, Session, SessionPool
from pipekit_engine.jrunner.jvm import SESSIONS_PER_JVM
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer

MILLIONS = (1, 3, 10)


def peak_mb(pid: int) -> int:
    """The most memory that a process has had in RAM, in MB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) // 1000


#: Queries that make their rows as they are read, so that only the reading side's memory can grow.
GENERATED = {
    "sqlite": "WITH RECURSIVE g(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM g WHERE id < {0}) "
    "SELECT id, 'some text of row ' || id AS v FROM g",
    "mariadb": "SELECT seq AS id, concat('some text of row ', seq) AS v FROM seq_1_to_{0}",
}


def generated(pg: PostgreSQLServer, my: MariaDBServer, folder: Path) -> str:
    """Peaks of the drivers that would like to hold a whole result."""
    text = (
        "\n| source, rows made by the query | "
        + " | ".join(f"{n} million rows" for n in (1, 5))
        + " |\n|---|---|---|\n"
    )
    with pg.fresh_database() as two, my.fresh_database() as one:
        pg.sql(two, "CREATE UNLOGGED TABLE g (id bigint, v text)")
        sources = {"sqlite": jrun.sqlite("from", folder / "generated.db"), "mariadb": jrun.server("from", my, one)}
        for kind, source in sources.items():
            peaks = []
            for millions in (1, 5):
                with Session() as session:
                    session.open(source)
                    session.open(jrun.server("to", pg, two))
                    sql = GENERATED[kind].format(millions * 1_000_000)
                    request = MigrateRequest(source="from", sql=sql, dest="to", table="g", clear=True)
                    assert session.migrate(request).rows_written == millions * 1_000_000
                    peaks.append(f"{peak_mb(session.pid)} MB")
            text += f"| {kind} | {' | '.join(peaks)} |\n"
    return text


def _peak_of(members: int, source: OpenRequest, sql: str, dest: Callable[[str], OpenRequest], path: str) -> int:
    """Peak of the JVM that so many share, each of which moves the query's rows into a table of its own."""
    with SessionPool(members, share=True) as pool:

        def work(member: int) -> int:
            with pool.session() as session:
                ends = [f"{session.prefix}{end}" for end in ("from", "to")]
                session.open(replace(source, connection=ends[0]))
                session.open(dest(ends[1]))
                session.migrate(MigrateRequest(source=ends[0], sql=sql, dest=ends[1], table=f"t{member}", path=path))
                return session.pid

        with ThreadPoolExecutor(members) as threads:
            (pid,) = set(threads.map(work, range(members)))
        return peak_mb(pid)


def side_by_side(pg: PostgreSQLServer, my: MariaDBServer, folder: Path) -> str:
    """Peaks of one member, and of as many as share a JVM, by source; also with rows of 100 KB."""
    text = f"\n| a million rows each, into PostgreSQL | one member | {SESSIONS_PER_JVM} side by side | ratio |\n"
    text += "|---|---|---|---|\n"
    long_text = "SELECT i AS id, repeat(md5(i::text), 3200) AS v FROM generate_series(1, 5000) i"
    two_columns = "id bigint, v text"
    with pg.fresh_database() as one, pg.fresh_database() as two, my.fresh_database() as three:
        columns = tables.mixed(pg, one, 1_000_000).columns
        rows, lite, maria = (
            jrun.server("from", pg, one),
            jrun.sqlite("from", folder / "side.db"),
            jrun.server("from", my, three),
        )
        sides = (
            ("PostgreSQL, copy-raw", rows, "SELECT * FROM mixed", columns, "auto"),
            ("PostgreSQL, copy-binary", rows, "SELECT * FROM mixed", columns, "copy-binary"),
            ("PostgreSQL, 5,000 texts of 100 KB", rows, long_text, two_columns, "copy-binary"),
            ("SQLite", lite, GENERATED["sqlite"].format(1_000_000), two_columns, "auto"),
            ("MariaDB", maria, GENERATED["mariadb"].format(1_000_000), two_columns, "auto"),
        )
        for name, source, sql, shape, path in sides:
            peaks = []
            for members in (1, SESSIONS_PER_JVM):
                for member in range(members):
                    pg.sql(two, f"DROP TABLE IF EXISTS t{member}; CREATE UNLOGGED TABLE t{member} ({shape})")
                peaks.append(_peak_of(members, source, sql, lambda end: jrun.server(end, pg, two), path))
            text += f"| {name} | {peaks[0]} MB | {peaks[1]} MB | {peaks[1] / peaks[0]:.2f} |\n"
    return text


def page(pg: PostgreSQLServer, my: MariaDBServer, folder: Path) -> str:
    """The table of peaks, by path and number of rows."""
    text = "# Peak memory of the jrunner process\n\nAim: under 350 MB, and the same within 10 % whatever the number of rows.\n\n"
    text += (
        "| path | "
        + " | ".join(f"{n} million rows" for n in MILLIONS)
        + " | largest / smallest |\n|---|"
        + "---|" * (len(MILLIONS) + 1)
        + "\n"
    )
    peaks: dict[str, list[int]] = {"copy-raw": [], "copy-binary": []}
    with pg.fresh_database() as one, pg.fresh_database() as two:
        for millions in MILLIONS:
            table = tables.mixed(pg, one, millions * 1_000_000)
            for path, measured in peaks.items():
                pg.sql(two, f"DROP TABLE IF EXISTS mixed; CREATE UNLOGGED TABLE mixed ({table.columns})")
                with Session() as session:
                    session.open(jrun.server("from", pg, one))
                    session.open(jrun.server("to", pg, two))
                    request = MigrateRequest(
                        source="from", sql="SELECT * FROM mixed", dest="to", table="mixed", path=path
                    )
                    assert session.migrate(request).rows_written == table.rows
                    measured.append(peak_mb(session.pid))
            pg.sql(one, "DROP TABLE mixed")
    for path, measured in peaks.items():
        cells = " | ".join(f"{peak} MB" for peak in measured)
        text += f"| PostgreSQL to PostgreSQL, {path} | {cells} | {max(measured) / min(measured):.2f} |\n"
    return text + generated(pg, my, folder) + side_by_side(pg, my, folder)
