"""What several connections gain: a source that is far away, one that has a lot to compute, and one that is near."""

from __future__ import annotations

import re
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from bench.tables import mixed
from pipekit_engine.jrunner.pool import SessionPool
from tests.running.workbench import Workbench
from tests.servers.postgresql import PostgreSQLServer
from tests.servers.proxy import CuttableProxy

#: Connections, and the delay of each block of 64 kB each way, half of the latency.
LANES = (1, 2, 4)
DELAY_S = 0.01
#: Rounds of a hash for each row.
COMPUTED = "SELECT id, name, day, (SELECT max(md5(name || g)) FROM generate_series(1, 30) g) AS digest FROM big"


@dataclass(frozen=True)
class Case:
    """A source by its connection, a query, a key, and which part of the rows is read."""

    title: str
    connection: str
    query: str
    split_by: str
    share: int = 1


CASES = (
    Case("near, by id", "near", "SELECT * FROM big", "id"),
    Case("near, by ctid", "near", "SELECT * FROM big", "ctid"),
    Case(f"behind {DELAY_S * 2000:.0f} ms, by id", "far", "SELECT * FROM big", "id", 3),
    Case(f"behind {DELAY_S * 2000:.0f} ms, by ctid", "far", "SELECT * FROM big", "ctid", 3),
    Case("a lot to compute, by id", "near", COMPUTED, "id", 3),
)


def page(pg: PostgreSQLServer, folder: Path, rows: int, rounds: int) -> str:
    """A line for each case: seconds with each number of connections, in turn, and what they gain."""
    home = folder / "split"
    home.mkdir()
    seconds: dict[tuple[str, int], list[float]] = {}
    ranges: dict[str, str] = {}
    with pg.fresh_database() as database, CuttableProxy(pg.port) as proxy, SessionPool(1) as pool:
        mixed(pg, database, rows, "big")
        pg.sql(database, "ALTER TABLE big ADD PRIMARY KEY (id)")
        pg.sql(database, "VACUUM ANALYZE big")
        bench = Workbench(home, pool)
        url = pg.jdbc_url(database)
        bench.connect("near", "postgresql", url, pg.user, pg.password)
        bench.connect("far", "postgresql", url.replace(f":{pg.port}/", f":{proxy.port}/"), pg.user, pg.password)
        bench.connect("dst", "postgresql", url, pg.user, pg.password)
        for number, case in enumerate(CASES):
            query = f"{case.query} WHERE id <= {rows // case.share}"
            for lanes in LANES:
                fields = {"split_by": case.split_by, "parallel": lanes} if lanes > 1 else {}
                bench.module(
                    f"m{number}_{lanes}", source=case.connection, query=query, dest_table="public.loaded", **fields
                )
        bench.run("m0_1")  # starts the JVM
        for _ in range(rounds):
            for number, case in enumerate(CASES):
                for lanes in LANES:
                    pg.sql(database, "DROP TABLE IF EXISTS public.loaded")
                    pg.sql(database, "CHECKPOINT")
                    proxy.slow(DELAY_S)
                    began = time.perf_counter()
                    record = bench.run(f"m{number}_{lanes}")
                    seconds.setdefault((case.title, lanes), []).append(time.perf_counter() - began)
                    proxy.mend()
                    if record.rows_read != rows // case.share:
                        raise RuntimeError(f"{case.title}: {record.rows_read} rows read")
                    told = re.search(r"([0-9,]+) ranges over", bench.store.runs.get(record.id).live_log)
                    ranges[case.title] = told[1] if told else "1"
        bench.close()
    medians = {key: statistics.median(times) for key, times in seconds.items()}
    text = (
        f"# Several connections\n\n`full` from PostgreSQL into a new table of PostgreSQL, medians of {rounds} in turn. A source "
        "behind a latency is behind a proxy that forwards each 64 kB so much later: what one connection gets is bound by that, "
        "not by the line. One connection copies the rows as they are (`copy-raw`), several decode them.\n\n"
        "| source | rows | ranges | "
        + " | ".join(f"{lanes} connection{'s' * (lanes > 1)}" for lanes in LANES)
        + " | gain |\n"
        "|---|---|---|" + "---|" * (len(LANES) + 1) + "\n"
    )
    for case in CASES:
        one, most = medians[case.title, LANES[0]], medians[case.title, LANES[-1]]
        cells = " | ".join(f"{medians[case.title, lanes]:.2f} s" for lanes in LANES)
        text += f"| {case.title} | {rows // case.share:,} | {ranges[case.title]} | {cells} | {one / most:.2f} |\n"
    return text
