"""How many modules a second workers get done: `python -m bench.workers [--modules 60] [--wait 1] [--no-quick]`.

The table goes to bench/results/workers.md. The hosts are network namespaces of this machine, as in tests/faults/test_workers.py,
with a PostgreSQL for the state and Dagster's records, another for the data, and a Redis; it needs root.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.tools import loads, write_page
from pipekit_engine.models import Group, Module
from pipekit_engine.records.runs import RunRecord
from tests.faults.test_workers import WORKERS, Hosts, cluster

RESULT = Path(__file__).parent / "results" / "workers.md"
AT_ONCE = 4
PATIENCE_S = 600.0
#: The groups. The members of the last are those of the second, and run in the process of the group's run.
WAITING, QUICK, TOGETHER = "waiting", "quick", "together"


@dataclass(frozen=True)
class Measured:
    """One run of a group. `total_s` is from the request to the end, `span_s` from the first module's start to the last's end."""

    workers: int
    modules: int
    side_by_side: int
    total_s: float
    span_s: float
    #: The machine's load in the minute before the end: others may work on it, too.
    load: float


@contextmanager
def filled(modules: int, wait_s: float) -> Iterator[Hosts]:
    """The server with the groups; no worker is started yet."""
    with cluster(AT_ONCE) as (made, connection):
        made.save(
            connection,
            *(_module(f"{WAITING}{n}", f"SELECT 1 AS id, pg_sleep({wait_s})::text AS z") for n in range(modules)),
            *(_module(f"{QUICK}{n}", "SELECT 1 AS id, ''::text AS z") for n in range(modules)),
            _group(WAITING, WAITING, modules, spread=True),
            _group(QUICK, QUICK, modules, spread=True),
            _group(TOGETHER, QUICK, modules, spread=False),
        )
        for name in (WAITING, QUICK):
            for n in range(modules):
                made.data.sql("data", f"CREATE TABLE public.{name}{n} (id integer, z text)")
        made.start("server")
        yield made


def _module(name: str, query: str) -> Module:
    """One row, appended: the rows of the table say how often it ran."""
    return Module(name=name, source="pg", dest="pg", query=query, dest_table=f"public.{name}", strategy="append")


def _group(name: str, members: str, modules: int, *, spread: bool) -> Group:
    """All modules in one layer. Twice the places of all workers: a place that gets free finds a member in the queue."""
    layer = tuple(f"{members}{n}" for n in range(modules))
    parallel = 2 * len(WORKERS) * AT_ONCE if spread else AT_ONCE
    return Group(name=name, layers=(layer,), max_parallel=parallel, spread=spread)


def measure(hosts: Hosts, group: str, workers: int) -> Measured:
    """Run a group. Fails unless each of its modules succeeded, and was committed, exactly once."""
    with hosts.store() as store:
        members = sorted(name for layer in store.definitions.group(group).layers for name in layer)
        before = _rows(hosts, members)
        began = time.monotonic()
        run_id = hosts.run_group(group)
        hosts.wait(lambda: _ended(hosts, run_id), f"the end of {group}", PATIENCE_S)
        total = time.monotonic() - began
        runs = store.runs.list(dagster_run_id=run_id, limit=None)
        (group_run,) = [run for run in store.group_runs.list(group) if run.dagster_run_id == run_id]
    assert group_run.status == "success", group_run.error
    assert sorted(run.module for run in runs) == members
    assert {run.status for run in runs} == {"success"}
    assert _rows(hosts, members) == before + Counter(members)
    ends = [run.finished_at for run in runs if run.finished_at is not None]
    span = (max(ends) - min(run.started_at for run in runs)).total_seconds()
    measured = Measured(workers, len(members), _most_at_once(runs), total, span, os.getloadavg()[0])
    print(measured, flush=True)
    return measured


def _ended(hosts: Hosts, run_id: str) -> bool:
    with hosts.store() as store:
        runs = [run for run in store.group_runs.list(limit=1) if run.dagster_run_id == run_id]
    return bool(runs) and runs[0].finished_at is not None


def _rows(hosts: Hosts, members: list[str]) -> Counter[str]:
    query = " UNION ALL ".join(f"SELECT '{name}', count(*) FROM public.{name}" for name in members)
    return Counter(dict(hosts.data.sql("data", query)))


def _most_at_once(runs: list[RunRecord]) -> int:
    """How many modules were at work side by side, at most."""
    changes = [(run.started_at, 1) for run in runs] + [(run.finished_at, -1) for run in runs if run.finished_at]
    now = most = 0
    for _, change in sorted(changes):
        now += change
        most = max(most, now)
    return most


def _table(title: str, rows: list[Measured]) -> list[str]:
    lines = [
        f"## {title}",
        "",
        "| workers | side by side, at most | launch to end | modules a second | speed-up | first module to last "
        "| modules a second | speed-up | load |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    one = rows[0]
    for row in rows:
        lines.append(
            f"| {row.workers} | {row.side_by_side} "
            f"| {row.total_s:.1f} s | {row.modules / row.total_s:.2f} | {one.total_s / row.total_s:.2f} "
            f"| {row.span_s:.1f} s | {row.modules / row.span_s:.2f} | {one.span_s / row.span_s:.2f} | {row.load:.1f} |"
        )
    return [*lines, ""]


def page(modules: int, wait_s: float, *, with_quick: bool) -> str:
    """Measure with one worker, then with another, then with a third."""
    waiting: list[Measured] = []
    quick: list[Measured] = []
    together = None
    with filled(modules, wait_s) as hosts:
        for count, worker in enumerate(WORKERS, start=1):
            hosts.start(worker)
            if with_quick:
                measure(hosts, QUICK, count)  # the JVMs, the forms of statements
                if count == 1:
                    measure(hosts, TOGETHER, count)
                    together = measure(hosts, TOGETHER, count)
                quick.append(measure(hosts, QUICK, count))
            waiting.append(measure(hosts, WAITING, count))
    return "\n".join(_lines(wait_s, waiting, quick, together))


def _lines(wait_s: float, waiting: list[Measured], quick: list[Measured], together: Measured | None) -> list[str]:
    modules = waiting[0].modules
    lines = [
        "# Workers",
        "",
        f"One group of {modules} modules with `spread: true`, on one, two and three workers that take {AT_ONCE} members at once "
        f"each (`max_parallel` {2 * len(WORKERS) * AT_ONCE}). Every module succeeded and was committed exactly once: the program "
        "fails otherwise.",
        "",
        f"Server, workers, both databases and the Redis share the {os.cpu_count()} cores of one machine. What a module computes "
        "gets no faster by another worker here: only waiting does. *Launch to end* holds the start of the group's run, from "
        "Dagster's queue to the first module.",
        "",
        *_table(f"Each module waits {wait_s:g} s for its source", waiting),
        f"The waiting alone would take one worker {modules * wait_s / AT_ONCE:.1f} s, and {len(waiting)} workers "
        f"{modules * wait_s / AT_ONCE / len(waiting):.1f} s.",
        "",
    ]
    if quick and together is not None:
        best = max(row.modules / row.span_s for row in quick)
        lines += [
            *_table("No module waits", quick),
            f"This is what the cores get done: {best:.1f} modules a second at best, however many workers there are. Modules that "
            "wait cannot get beyond it here, either.",
            "",
            "## The queue's own cost",
            "",
            "The modules that do not wait, on one worker, first module to last.",
            "",
            "| group | first module to last | a module |",
            "|---|---:|---:|",
            f"| not spread: one process, {AT_ONCE} side by side | {together.span_s:.1f} s "
            f"| {1000 * together.span_s / modules:.0f} ms |",
            f"| `spread: true`: each over the queue | {quick[0].span_s:.1f} s | {1000 * quick[0].span_s / modules:.0f} ms |",
            "",
        ]
    return lines


def main() -> None:
    """Measure, print and write the page."""
    parser = argparse.ArgumentParser(prog="python -m bench.workers", description=__doc__)
    parser.add_argument("--modules", type=int, default=60)
    parser.add_argument("--wait", type=float, default=1.0, help="seconds that each waits for its source")
    parser.add_argument(
        "--quick", action=argparse.BooleanOptionalAction, default=True, help="also modules that do not wait"
    )
    parser.add_argument("--out", type=Path, default=RESULT, help="the page")
    options = parser.parse_args()
    began = loads()
    write_page(options.out, page(options.modules, options.wait, with_quick=options.quick), began)


if __name__ == "__main__":
    main()
