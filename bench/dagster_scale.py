"""How much Dagster costs: many jobs in one code location, and one group of many small modules through the queue.

    python bench/dagster_scale.py [--groups 100] [--members 10] [--modules 50]

Everything is real: `pipekit serve`, its daemon, a run process, jrunner, SQLite to SQLite. Prints a table and writes it to
bench/results/dagster_scale.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pipekit_engine.engine import Engine  # noqa: E402
from pipekit_engine.models import Group, Module, Schedule  # noqa: E402
from tests.dagster.project import Project  # noqa: E402
from tests.dagster.served import Served, descendants  # noqa: E402


def small_module(name: str) -> Module:
    """Three rows from one SQLite file to another."""
    query = "SELECT id, name FROM numbers"
    return Module(name=name, source="src", dest="dst", query=query, dest_table=name, strategy="full")


def resident_mb(pid: int) -> float:
    """Resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def measure_location(groups: int, members: int) -> list[tuple[str, str]]:
    """A code location with many groups: start, memory, and an edit's way to the UI."""
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder))
        modules = [small_module(f"m{group}_{member}") for group in range(groups) for member in range(members)]
        project.save(*modules)
        project.save(
            *(
                Group(name=f"g{group}", layers=tuple((f"m{group}_{member}",) for member in range(members)))
                for group in range(groups)
            )
        )
        project.save(*(Schedule(name=f"s{group}", group=f"g{group}", cron="0 2 * * *") for group in range(groups)))
        served = Served(project)
        began = time.monotonic()
        served.start()
        started = time.monotonic() - began
        try:
            asked = time.monotonic()
            assert len(served.shown()) >= groups
            listed = time.monotonic() - asked
            names = ("code server", "daemon", "web server")
            memory = {
                name: sum(resident_mb(pid) for pid in (process, *descendants(process)))
                for name in names
                for process in [served.service(name).pid]
            }
            shown = []
            for edit in (f"edited{number}" for number in range(5)):
                time.sleep(5)
                project.save(Group(name=edit, layers=(("m0_0",),)))
                shown.append(served.wait_for(partial(_is_shown, served, edit), "the edited group"))
        finally:
            served.stop()
    rows = [
        (f"serve with {groups} groups x {members} modules: start until healthy", f"{started:.1f} s"),
        ("list all jobs over GraphQL", f"{listed:.2f} s"),
        (
            "edited row until the UI shows it, median of five",
            f"{statistics.median(shown):.1f} s ({min(shown):.1f} to {max(shown):.1f})",
        ),
    ]
    return rows + [(f"memory of the {name}", f"{value:.0f} MB") for name, value in memory.items()]


def _is_shown(served: Served, name: str) -> bool:
    return name in served.shown()


def measure_group(modules: int) -> list[tuple[str, str]]:
    """One group of small modules: by the engine alone, and as a Dagster run through queue, daemon and launcher."""
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder))
        project.save(*(small_module(f"m{number}") for number in range(modules)))
        project.save(Group(name="many", layers=tuple((f"m{number}",) for number in range(modules))))
        with Engine(project.config) as engine:
            engine.run_group("many")  # makes the tables
            began = time.monotonic()
            engine.run_group("many")
            alone = time.monotonic() - began
        served = Served(project)
        served.start()
        try:
            began = time.monotonic()
            run_id = served.run_group("many")
            served.ended(run_id)
            total = time.monotonic() - began
            with project.store() as store:
                runs = store.runs.list(dagster_run_id=run_id, limit=None)
        finally:
            served.stop()
    assert len(runs) == modules
    assert all(run.status == "success" for run in runs)
    working = sum(run.duration_s or 0 for run in runs)
    span = (max(r.finished_at for r in runs if r.finished_at) - min(r.started_at for r in runs)).total_seconds()
    return [
        (f"group of {modules} small modules, engine alone", f"{alone:.2f} s"),
        ("the same as a Dagster run, request to end", f"{total:.2f} s"),
        ("  of which before the first module (queue, process, locks)", f"{total - span:.2f} s"),
        ("  of which modules at work", f"{working:.2f} s"),
        (
            "  of which Dagster between modules",
            f"{span - working:.2f} s ({1000 * (span - working) / modules:.0f} ms a module)",
        ),
        ("Dagster's share of the total", f"{100 * (total - working) / total:.0f} %"),
    ]


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--groups", type=int, default=100)
    parser.add_argument("--members", type=int, default=10)
    parser.add_argument("--modules", type=int, default=50)
    options = parser.parse_args()
    load = os.getloadavg()[0]
    rows = measure_group(options.modules) + measure_location(options.groups, options.members)
    width = max(len(name) for name, _ in rows)
    lines = [f"| {name.ljust(width)} | {value} |" for name, value in rows]
    text = "\n".join(
        [
            "# Dagster at scale",
            "",
            f"Python {platform.python_version()}, {os.cpu_count()} cores, load {load:.1f} when it began.",
            "",
            f"| {'what'.ljust(width)} | measured |",
            f"| {'-' * width} | --- |",
            *lines,
        ]
    )
    print(text)
    results = ROOT / "bench" / "results"
    results.mkdir(exist_ok=True)
    (results / "dagster_scale.md").write_text(text + "\n")


if __name__ == "__main__":
    main()
