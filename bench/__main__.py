"""Runs the benchmarks:  python -m bench [--rows N] [--scale S] [--rounds N] [--only SECTION,SECTION] [--threshold SHARE,SHARE]

The whole of `merges` takes most of an hour; --servers, --strategies and --shares ask for a part of it.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from pathlib import Path

from bench import compare, latency, limits, memory, merges, modules, peers, resume, run_memory, split
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer

RESULTS = Path(__file__).parent / "results"
SECTIONS = (
    "copy",
    "sqlite",
    "mariadb",
    "memory",
    "latency",
    "modules",
    "merges",
    "resume",
    "split",
    "limits",
    "run_memory",
    "peers",
)


def main() -> None:
    """Run the sections asked for and write a page for each."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rows", type=int, default=3_000_000, help="rows of the mixed table")
    parser.add_argument("--scale", type=float, default=0.5, help="scale factor of TPC-H's lineitem")
    parser.add_argument("--rounds", type=int, default=3, help="times that the sides are run in turn")
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections to run, of " + ", ".join(SECTIONS))
    parser.add_argument(
        "--threshold",
        metavar="SHARES",
        help="merges: `full` alone, with these shares changed, such as 0.2,0.5; the difference is taken whatever a sample says",
    )
    parser.add_argument("--servers", default="postgresql,mariadb", help="merges: of these")
    parser.add_argument("--strategies", default=",".join(merges.STRATEGIES), help="merges: by these")
    parser.add_argument("--shares", default=",".join(map(str, merges.SHARES)), help="merges: with these shares changed")
    parser.add_argument(
        "--sizes", default="1000000,3000000,10000000", help="peers: rows of the tables that get increments"
    )
    options = parser.parse_args()
    sections = options.only.split(",")
    unknown = set(sections) - set(SECTIONS)
    if unknown:
        parser.error(f"no section {', '.join(sorted(unknown))}")
    RESULTS.mkdir(exist_ok=True)
    pg = PostgreSQLServer()
    with tempfile.TemporaryDirectory(prefix="pipekit-bench-") as name, pg:
        folder = Path(name)
        folder.chmod(0o755)
        if "copy" in sections:
            write("copy", compare.copy(pg, folder, options.rows, options.scale, options.rounds))
        if "sqlite" in sections:
            write("sqlite", compare.sqlite(pg, folder, options.rows, options.scale, options.rounds))
        if {"mariadb", "memory"} & set(sections):
            mariadb = MariaDBServer()
            try:
                if "mariadb" in sections:
                    write("mariadb", compare.mariadb(pg, mariadb, options.rows, options.rounds))
                if "memory" in sections:
                    write("memory", memory.page(pg, mariadb, folder))
            finally:
                mariadb.stop()
        if "limits" in sections:
            mariadb = MariaDBServer()
            try:
                write("limits", limits.page(pg, mariadb, folder, options.rows, options.rounds))
            finally:
                mariadb.stop()
        if "peers" in sections:
            mariadb = MariaDBServer()
            try:
                sizes = [int(size) for size in options.sizes.split(",")]
                write("peers", peers.page(pg, mariadb, folder, sizes, options.rows, options.rounds))
            finally:
                mariadb.stop()
        if "run_memory" in sections:
            write("run_memory", run_memory.page(pg, folder, (1, 10, 30)))
        if "latency" in sections:
            write("latency", latency.page(pg, folder))
        if "modules" in sections:
            write("modules", modules.page(pg, folder))
        if "resume" in sections:
            write("resume", resume.page(pg, folder, options.rows, options.rounds))
        if "split" in sections:
            write("split", split.page(pg, folder, options.rows, options.rounds))
        if "merges" in sections:
            logging = MariaDBServer(*merges.MARIADB_OPTIONS)
            try:
                if options.threshold:
                    shares = [float(share) for share in options.threshold.split(",")]
                    text = merges.page((pg, logging), folder, options.rows, shares, ("full",), forced=True)
                    write("merges-threshold", text)
                else:
                    servers = [each for each in (pg, logging) if each.kind in options.servers.split(",")]
                    shares = [float(share) for share in options.shares.split(",")]
                    strategies = options.strategies.split(",")
                    write("merges", merges.page(servers, folder, options.rows, shares, strategies))
            finally:
                logging.stop()


def write(section: str, body: str) -> None:
    """Print a section's page and keep it."""
    load = ", ".join(f"{part:.1f}" for part in os.getloadavg())
    head = f"{platform.machine()}, {os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}, load average {load} at the end"
    text = f"{body}\n*{head}*\n"
    print(text, flush=True)
    (RESULTS / f"{section}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
