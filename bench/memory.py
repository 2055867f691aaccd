"""Peak memory of the JVM while it moves one, three and ten million rows: it must not grow with the table."""

from __future__ import annotations

import re
from pathlib import Path

from bench import jrun, tables
from pipekit_engine.jrunner import MigrateRequest, Session
from tests.servers.postgresql import PostgreSQLServer

MILLIONS = (1, 3, 10)


def peak_mb(pid: int) -> int:
    """The most memory that a process has had in RAM, in MB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) // 1000


def page(pg: PostgreSQLServer) -> str:
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
    return text
