"""How long and how large the pages are on many modules: `python -m bench.pages [--modules 1000]`.

The table goes to bench/results/pages.md.
The application is asked as its server asks it (ASGI), so a network's time is not in it. Processor time, medians.
"""

from __future__ import annotations

import argparse
import gzip
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

from pipekit_engine.models import Group, Module, Schedule
from tests.web.conftest import Site

RESULT = Path(__file__).parent / "results" / "pages.md"
ROUNDS = 5
PAGES = (
    "",
    "modules",
    "modules?q=m99",
    "modules/m1",
    "form/modules/m1",
    "edit/modules/m1",
    "groups",
    "groups/g1",
    "schedules",
    "runs",
    "connections",
    "search?q=m99",
    "lint",
    "history",
    "wizard",
)


def fill(site: Site, modules: int) -> None:
    """Modules in groups of twenty, each group with a schedule; five runs of each module."""
    names = [f"m{number}" for number in range(modules)]
    site.save(
        *(
            Module(name=name, source="src", dest="dw", query=f"SELECT id FROM {name}", dest_table=name, strategy="full")
            for name in names
        )
    )
    groups = [tuple((name,) for name in names[at : at + 20]) for at in range(0, modules, 20)]
    site.save(*(Group(name=f"g{number}", layers=layers) for number, layers in enumerate(groups)))
    site.save(*(Schedule(name=f"s{number}", group=f"g{number}", cron="0 2 * * *") for number in range(len(groups))))
    with site.store() as store:
        for name in names:
            for _ in range(5):
                started = store.runs.start(name, triggered_by="user:ada")
                assert started is not None
                store.runs.finish(
                    started[0], "success", rows_read=100, rows_inserted=100, timings={"stage": 1.0, "merge": 0.5}
                )


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.pages", description=__doc__)
    parser.add_argument("--modules", type=int, default=1000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pipekit-bench-") as name:
        folder = Path(name)
        (folder / "pipekit.yaml").write_text("database: pipekit.db\nsecrets: secrets.env\n")
        (folder / "secrets.env").touch(mode=0o600)
        site = Site(folder)
        site.fill()
        fill(site, options.modules)
        browser = site.browser("editor")
        lines = [
            f"# The pages on {options.modules:,} modules with {5 * options.modules:,} runs",
            "",
            f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; medians of {ROUNDS}.",
            "",
            "| page | ms of the processor | kB | kB compressed |",
            "|---|---:|---:|---:|",
        ]
        for page in PAGES:
            took, text = [], ""
            for _ in range(ROUNDS):
                began = time.process_time()
                text = browser.get(f"/pipekit/{page}")
                took.append(1000 * (time.process_time() - began))
            size, small = len(text.encode()) / 1000, len(gzip.compress(text.encode())) / 1000
            lines.append(f"| `/pipekit/{page}` | {statistics.median(took):.0f} | {size:.0f} | {small:.0f} |")
    text = "\n".join(lines) + "\n"
    print(text)
    RESULT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
