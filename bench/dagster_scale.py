"""How much Dagster costs: many jobs in one code location, and one group of many small modules through the queue.

    python bench/dagster_scale.py [--groups 100] [--members 10] [--modules 50] [--minute]

And a thousand modules in a hundred groups that are all due in one minute of the clock (--minute alone: only that).

Everything is real: `pipekit serve`, its daemon, a run process, jrunner, SQLite to SQLite. Prints a table and writes it to
bench/results/dagster_scale.md, that of the minute to dagster_minute.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import bench  # noqa: E402, F401  (its environment)
from pipekit_engine.engine import Engine  # noqa: E402
from pipekit_engine.models import Group, Module, Schedule  # noqa: E402
from tests.dagster import test_thousand  # noqa: E402
from tests.dagster.project import Project  # noqa: E402
from tests.dagster.served import Served, descendants  # noqa: E402

#: Runs of one module that are launched one after another.
LAUNCHES = 9


def small_module(name: str) -> Module:
    """Three rows from one SQLite file to another."""
    query = "SELECT id, name FROM numbers"
    return Module(name=name, source="src", dest="dst", query=query, dest_table=name, strategy="full")


def resident_mb(pid: int) -> float:
    """Resident memory of a process."""
    with suppress(OSError):  # it has ended
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
        project.save(small_module("one"), Group(name="alone", layers=(("one",),)))
        served = Served(project)
        served.start()
        try:
            locked, ended = zip(*(_launched(served, project) for _ in range(LAUNCHES)), strict=True)
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
        (
            f"a run of one module: launch to its lock, median of {LAUNCHES}",
            f"{statistics.median(locked):.2f} s ({min(locked):.2f} to {max(locked):.2f})",
        ),
        ("  launch to its end in the UI", f"{statistics.median(ended):.2f} s ({min(ended):.2f} to {max(ended):.2f})"),
        (f"the {modules} modules as a Dagster run, request to end", f"{total:.2f} s"),
        ("  of which before the first module (queue, process, locks)", f"{total - span:.2f} s"),
        ("  of which modules at work", f"{working:.2f} s"),
        (
            "  of which Dagster between modules",
            f"{span - working:.2f} s ({1000 * (span - working) / modules:.0f} ms a module)",
        ),
        ("Dagster's share of the total", f"{100 * (total - working) / total:.0f} %"),
    ]


def _launched(served: Served, project: Project) -> tuple[float, float]:
    """Seconds from a launch to the module's lock, and to the run's end as the UI shows it."""
    time.sleep(3)  # as a person would, who has seen the one before end
    began = datetime.now(timezone.utc)
    run_id = served.run_group("alone")
    served.ended(run_id)
    ended = datetime.now(timezone.utc)
    with project.store() as store:
        (run,) = store.runs.list(dagster_run_id=run_id)
    return (run.started_at - began).total_seconds(), (ended - began).total_seconds()


def measure_minute() -> list[tuple[str, str]]:
    """A hundred groups of ten modules in one cron minute: when they ran, what the processes took, how the store answered."""
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder))
        minute = test_thousand.fill(project)
        groups, members = test_thousand.GROUPS, test_thousand.MEMBERS
        served = Served(project)
        served.start()
        peak: dict[str, float] = {}
        answers: list[float] = []
        try:
            with project.store() as store:
                while True:
                    time.sleep(1)
                    began = time.perf_counter()
                    found = store.group_runs.list(limit=2 * groups)
                    answers.append(time.perf_counter() - began)
                    _note_memory(served, peak)
                    if len(found) >= groups and all(run.status != "running" for run in found):
                        break
                    assert datetime.now(timezone.utc) - minute < timedelta(seconds=test_thousand.RUNS_S)
                runs = store.runs.list(limit=None)
        finally:
            served.stop()
    assert len(runs) == groups * members == len({run.module for run in runs})
    assert all(run.status == "success" for run in runs)
    starts = sorted((run.started_at - minute).total_seconds() for run in runs)
    ends = max((run.finished_at - minute).total_seconds() for run in runs if run.finished_at)
    took = sorted(run.duration_s or 0 for run in runs)
    rows = [
        (
            f"{groups} groups x {members} modules due in one minute: all ran, each once, until",
            f"{ends:.0f} s after the minute",
        ),
        ("  the first module's lock", f"{starts[0]:.1f} s after the minute"),
        ("  modules a second", f"{len(runs) / (ends - starts[0]):.1f}"),
        ("  a module's run, median and slowest", f"{statistics.median(took):.2f} s, {took[-1]:.2f} s"),
        (
            "  the list of group runs meanwhile, median and slowest",
            f"{1000 * statistics.median(answers):.0f} ms, {1000 * max(answers):.0f} ms",
        ),
    ]
    return rows + [(f"  most memory of {name}", f"{value:.0f} MB") for name, value in peak.items()]


def _note_memory(served: Served, peak: dict[str, float]) -> None:
    """Keep the most that each service has had, and all processes of runs together."""
    services = {name: served.service(name).pid for name in ("code server", "daemon", "web server", "run server")}
    assert served.process is not None
    loaded = descendants(services["code server"])  # the server with the definitions stands behind a proxy
    runs = processes_in(served.project.folder) - {served.process.pid, *services.values(), *loaded}
    now = {f"the {name}": resident_mb(pid) for name, pid in services.items()}
    now["the code server"] += sum(map(resident_mb, loaded))
    now["all runs at work, with their jrunners"] = sum(map(resident_mb, runs))
    for name, value in now.items():
        peak[name] = max(value, peak.get(name, 0.0))


def processes_in(folder: Path) -> set[int]:
    """Processes that work in a folder."""
    found = set()
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and Path(os.readlink(entry / "cwd")) == folder:
                found.add(int(entry.name))
    return found


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--groups", type=int, default=100)
    parser.add_argument("--members", type=int, default=10)
    parser.add_argument("--modules", type=int, default=50)
    parser.add_argument("--minute", action="store_true", help="only the cron minute, into dagster_minute.md")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    if options.minute:
        rows, title, page = measure_minute(), "A thousand modules in one cron minute", "dagster_minute.md"
    else:
        rows = measure_group(options.modules) + measure_location(options.groups, options.members)
        title, page = "Dagster at scale", "dagster_scale.md"
    width = max(len(name) for name, _ in rows)
    lines = [f"| {name.ljust(width)} | {value} |" for name, value in rows]
    text = "\n".join(
        [
            f"# {title}",
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
    (results / page).write_text(text + "\n")


if __name__ == "__main__":
    main()
