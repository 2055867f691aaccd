"""Peak memory of whole runs, all processes of a side together, beside ingestr's: it must not grow with the table."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from bench import peers, tables
from bench.tools import Missing, pypi_program
from pipekit_engine.models import Module
from tests.dagster.served import descendants
from tests.servers.postgresql import PostgreSQLServer

#: Seconds between two looks at the processes.
_EVERY_S = 0.2


def peak_mb(run: Callable[[], None]) -> int:
    """The most memory that the processes which a run starts have had in RAM, shared pages by their share, in MB."""
    before = set(descendants(os.getpid()))
    done = threading.Event()
    peak = 0

    def look() -> None:
        nonlocal peak
        while not done.wait(_EVERY_S):
            begun = [pid for pid in set(descendants(os.getpid())) - before if not _is_server(pid)]
            peak = max(peak, sum(map(_proportional_kb, begun)))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        run()
    finally:
        done.set()
        watcher.join()
    return peak // 1000


def _is_server(pid: int) -> bool:
    """Whether it is one of the servers' processes: each connection has one."""
    with suppress(OSError):
        return os.path.basename(os.readlink(f"/proc/{pid}/exe")) in ("postgres", "mariadbd")
    return False


def _proportional_kb(pid: int) -> int:
    with suppress(OSError):
        found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
        return int(found[1]) if found else 0
    return 0


def page(pg: PostgreSQLServer, folder: Path, millions: Sequence[int]) -> str:
    """The table of peaks, by the number of rows."""
    text = (
        "# Peak memory of whole runs\n\nAll processes of a side together, PostgreSQL to PostgreSQL, ten mixed columns, strategy "
        "`full` with staging; the servers' own memory is not in it.\n\n"
        f"| side | {' | '.join(f'{n} million rows' for n in millions)} | largest / smallest |\n"
        f"|---|{'---|' * (len(millions) + 1)}\n"
    )
    peaks: dict[str, list[int]] = {}
    with pg.fresh_database() as one, pg.fresh_database() as two:
        tables.mixed(pg, one, max(millions) * 1_000_000)
        home = folder / "run-memory"
        connections = [peers.connection("src", pg, one), peers.connection("dst", pg, two)]
        project = peers.Project(home, connections, {"POSTGRESQL": pg.password})
        places = peers.Places(peers.url(pg, one), peers.url(pg, two), home)
        for count in millions:
            name = f"m{count}"
            pg.sql(one, f"CREATE VIEW {name} AS SELECT * FROM mixed WHERE id <= {count * 1_000_000}")
            query = f"SELECT * FROM {name}"
            project.add(Module(name=name, source="src", dest="dst", dest_table=name, strategy="full", query=query))
            sides = {"pipekit": project.command("run", name)}
            with suppress(Missing):
                pypi_program("ingestr")
                sides["ingestr"] = places.ingestr(f"public.{name}", f"public.ingestr_{name}", "replace")
            for side, run in sides.items():
                peaks.setdefault(side, []).append(peak_mb(run))
                table = name if side == "pipekit" else f"ingestr_{name}"
                assert pg.sql(two, f"SELECT count(*) FROM {table}") == [(count * 1_000_000,)], side
                pg.sql(two, f"DROP TABLE {table}")
    for side, measured in peaks.items():
        cells = " | ".join(f"{peak} MB" for peak in measured)
        text += f"| {side} | {cells} | {max(measured) / min(measured):.2f} |\n"
    return text
