"""What the state store does with 100,000 modules and 100 workers: `python -m bench.scale [--modules N] [--runs N] [--seconds S]`.

The page goes to bench/results/scale.md. A PostgreSQL whose commits wait for the disk holds the store, filled by SQL; all that is
measured is asked by the store's own methods. Workers are simulated: what each asks of the store for a member is asked, and
nothing is run. `--locations` are the sizes at which Dagster's code location is loaded, in a process of its own each.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from bench.tools import loads, write_page
from pipekit_dagster.sensors import RECONCILE_EVERY_S
from pipekit_dagster.serve.reload import _POLL_S, _RELOAD_TIMEOUT_S
from pipekit_engine.common.processes import ProcessName
from pipekit_engine.config import Config
from pipekit_engine.databases.dialects import builtin_drivers
from pipekit_engine.demo import local_postgresql
from pipekit_engine.models import Connection, DefinitionKind, Group, Module, Schedule, Watermark
from pipekit_engine.running.recovery import recover
from pipekit_engine.store import Change, Store
from pipekit_web.views.overview import overview
from tests.servers.postgresql import PostgreSQLServer

RESULT = Path(__file__).parent / "results" / "scale.md"
PER_GROUP = 10
#: The plan: all modules once an hour.
PLANNED_MODULES, PLANNED_WORKERS = 100_000, 100
LASTING = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
#: Members that a worker takes; calls a second for one at work: the lock renewed, a cancel looked for, its end looked for.
AT_ONCE, CALLS_AT_WORK = 4, 0.2 + 2 + 1
FINGERPRINT, OVERVIEW = "the fingerprint of all definitions", "the first page's record (`overview`)"
#: Processes that the simulated workers are threads of.
PROCESSES = 4
#: Phases that a run notes besides its start and its end.
UPDATES = 7
Latencies = dict[str, list[float]]

_FILL = """
SET synchronous_commit = off;
INSERT INTO module (name, source, dest, query, dest_table, strategy, merge_key, columns_json, enabled, options_json, updated_at)
    SELECT 'm' || n, source, dest, query, 'public.m' || n, strategy, merge_key, columns_json, enabled, options_json, updated_at
    FROM module, generate_series({per_group}, {modules} - 1) AS n WHERE name = 'm0';
INSERT INTO watermark (module_id, position, name, connection, resolver_sql, default_value)
    SELECT module.id, w.position, w.name, w.connection, w.resolver_sql, w.default_value
    FROM module, (SELECT * FROM watermark LIMIT 1) AS w WHERE module.id NOT IN (SELECT module_id FROM watermark);
INSERT INTO grp (name, max_parallel, on_failure, spread, updated_at)
    SELECT 'g' || n, max_parallel, on_failure, spread, updated_at
    FROM grp, generate_series(1, {modules} / {per_group} - 1) AS n WHERE name = 'g0';
INSERT INTO group_member (group_id, module_id, run_order, position)
    SELECT grp.id, module.id, 1, n % {per_group} FROM generate_series({per_group}, {modules} - 1) AS n
    JOIN module ON module.name = 'm' || n JOIN grp ON grp.name = 'g' || (n / {per_group});
INSERT INTO schedule (name, group_id, cron, timezone, enabled, misfire_grace, last_fired_at, updated_at)
    SELECT 's' || n, grp.id, n % 60 || ' * * * *', timezone, s.enabled, misfire_grace, now(), s.updated_at
    FROM schedule AS s, generate_series(1, {modules} / {per_group} - 1) AS n JOIN grp ON grp.name = 'g' || n WHERE s.name = 's0';
INSERT INTO group_run (group_name, status, triggered_by, dagster_run_id, started_at, finished_at)
    SELECT 'g' || n % ({modules} / {per_group}), 'success', 'schedule', gen_random_uuid(), at, at + interval '60 s'
    FROM generate_series(1, {runs} / {per_group}) AS n,
    LATERAL (SELECT now() - (1 - n / ({runs} / {per_group})::float8) * interval '30 days' - interval '2 minutes' AS at) AS t;
INSERT INTO run_log (module, group_run_id, dagster_run_id, triggered_by, status, phase, token, started_at, finished_at,
    source_sql, merge_sql, watermarks, rows_read, rows_staged, rows_inserted, rows_updated, bytes, timings, error, live_log)
    SELECT 'm' || (substr(r.group_name, 2)::int * {per_group} + n), r.id, r.dagster_run_id, 'schedule',
    CASE WHEN (r.id + n) % 50 = 0 THEN 'error' ELSE 'success' END, 'finish', gen_random_uuid(), r.started_at,
    r.started_at + interval '5 s', module.query, 'MERGE ' || repeat('x', 200), '{{}}', 1000, 1000, 900, 100,
    64000, '{{"resolve": 0.1, "plan": 0.2, "stage": 3.0, "verify": 0.1, "merge": 1.0}}',
    CASE WHEN (r.id + n) % 50 = 0 THEN 'source: the connection was reset' END, 'stage: 1,000 rows'
    FROM group_run AS r CROSS JOIN generate_series(0, {per_group} - 1) AS n CROSS JOIN module
    WHERE module.name = 'm0' ORDER BY r.id, n;
ANALYZE
"""


def fill(pg: PostgreSQLServer, database: str, modules: int, runs: int = 0) -> None:
    """A store of groups of ten modules, each with an hourly schedule, and a month of runs. One of each is the store's own."""
    Store.init(pg.url(database))
    query = "SELECT id, name, amount, changed_at FROM sales.orders WHERE changed_at > {{since}}"
    first = Module(
        name="m0",
        source="src",
        dest="dst",
        query=query,
        dest_table="public.m0",
        strategy="upsert",
        merge_key=("id",),
        watermarks=(
            Watermark(
                name="since", connection="dst", resolver_sql="SELECT max(changed_at) FROM t", default="1900-01-01"
            ),
        ),
    )
    names = tuple(f"m{n}" for n in range(PER_GROUP))
    members = [first.model_copy(update={"name": name, "dest_table": f"public.{name}"}) for name in names]
    records: list[tuple[DefinitionKind, Any]] = [("drivers", driver) for driver in builtin_drivers()]
    records += [
        ("connections", Connection(name=name, driver="postgresql", jdbc_url=pg.jdbc_url(database), username=pg.user))
        for name in ("src", "dst")
    ]
    records += [("modules", member) for member in members]
    records += [
        ("groups", Group(name="g0", layers=(names,), max_parallel=4, spread=True)),
        ("schedules", Schedule(name="s0", group="g0", cron="0 * * * *")),
    ]
    with Store.open(pg.url(database)) as store:
        store.definitions.save([Change("create", kind, record.name, record) for kind, record in records])
    pg.sql(database, _FILL.format(modules=modules, runs=runs, per_group=PER_GROUP))


@contextmanager
def lasting_server() -> Iterator[PostgreSQLServer]:
    """A server whose commits wait for the disk, as one that holds a store does."""
    with mock.patch.dict(local_postgresql.FAST, LASTING):
        server = PostgreSQLServer(max_connections=500)
    with server:
        yield server


def median_ms(ask: Callable[[], object], rounds: int = 5) -> float:
    """The median of some calls, after one that warms up."""
    ask()
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        ask()
        took.append(time.perf_counter() - began)
    return 1000 * statistics.median(took)


def in_process(work: Callable[..., tuple[float, ...]], *arguments: object) -> tuple[float, ...]:
    """What `work` gives, called in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(work, arguments)


def _resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def load_all(url: str) -> tuple[float, ...]:
    """Seconds, and megabytes that the process has grown by, of `load_checked`."""
    with Store.open(url) as store:
        store.definitions.module("m0")
        gc.collect()
        before, began = _resident_mb(), time.perf_counter()
        definitions = store.definitions.load_checked()
        took = time.perf_counter() - began
        assert not definitions[1]
    return took, _resident_mb() - before


def load_location(url: str) -> tuple[float, ...]:
    """Seconds until Dagster's repository is whole, seconds of these in the store, and the process's megabytes."""
    from pipekit_dagster.build import build_pipekit_definitions

    config = Config(database=url)
    began = time.perf_counter()
    repository = build_pipekit_definitions(config).get_repository_def()
    jobs = len(repository.get_all_jobs())
    took = time.perf_counter() - began
    began = time.perf_counter()
    with Store.open(url) as store:
        groups = len(store.definitions.load_checked()[0].groups)
    assert jobs >= groups
    return took, time.perf_counter() - began, _resident_mb()


def single(url: str, modules: int) -> list[tuple[str, float]]:
    """Milliseconds of each thing that is asked of the store, by one client."""
    middle = modules // 2
    count = iter(range(10**9))
    rows: list[tuple[str, float]] = []
    with Store.open(url) as store:

        def leased() -> None:
            token = store.leases.acquire("module", f"m{middle}")
            assert token is not None
            store.leases.release("module", f"m{middle}", token)

        def run() -> None:
            started = store.runs.start(f"m{middle}", triggered_by="bench")
            assert started is not None
            store.runs.finish(started[0], "success", rows_read=1)

        def dispatched() -> None:
            id_ = f"single:{next(count)}"
            store.dispatches.add(id_, "pipekit.members")
            assert store.dispatches.claim(id_)
            store.dispatches.forget([id_])

        started = store.runs.start(f"m{middle + 1}", triggered_by="bench")
        assert started is not None
        base = datetime.now(timezone.utc)
        asked: list[tuple[str, Callable[[], object]]] = [
            ("one module's definition", lambda: store.definitions.module(f"m{middle}")),
            ("one group's definition", lambda: store.definitions.group("g1")),
            ("one schedule's definition", lambda: store.definitions.schedule("s1")),
            ("a lease, taken and given back", leased),
            ("a run, begun and finished", run),
            ("a dispatch: added, taken, forgotten", dispatched),
            ("a tick claimed", lambda: store.ticks.claim("s1", base + timedelta(seconds=next(count)))),
            ("`runs.list`, the newest 50", lambda: store.runs.list(limit=50)),
            ("`runs.list`, the newest 50 of one module", lambda: store.runs.list(f"m{middle}", limit=50)),
            ("`runs.list`, those that run", lambda: store.runs.list(status="running", limit=20)),
            ("`group_runs.list`, the newest 20", lambda: store.group_runs.list()),
            ("group runs that have not ended (`unfinished`)", lambda: store.group_runs.unfinished()),
            ("all locks (`leases.all`)", lambda: store.leases.all()),
            ("the run that holds a lock (`running`)", lambda: store.runs.running(started[1])),
            ("runs without a lock (`orphans`)", lambda: store.runs.orphans()),
            ("what each worker asks every 5 s (`recover`)", lambda: recover(store)),
        ]
        rows += [(what, median_ms(ask)) for what, ask in asked]
        slow: list[tuple[str, Callable[[], object]]] = [
            ("all ticks that fired (`all_fired`)", store.ticks.all_fired),
            ("the newest run of each module (`newest_of_each`)", lambda: store.runs.newest_of_each(1)),
            (FINGERPRINT, store.definitions.fingerprint),
            (OVERVIEW, lambda: overview(store)),
        ]
        for what, ask in slow:
            began = time.perf_counter()
            ask()
            rows.append((what, 1000 * (time.perf_counter() - began)))
        store.runs.finish(started[0], "success")
    return rows


def retention(url: str) -> list[tuple[str, float]]:
    """Seconds of `prune`: with nothing to delete, and the oldest day."""
    rows = []
    with Store.open(url) as store:
        for what, age in (
            ("nothing is old enough", timedelta(days=90)),
            ("the oldest of thirty days", timedelta(days=29)),
        ):
            began = time.perf_counter()
            gone = store.runs.prune(age)
            rows.append((f"retention (`prune`), {what}: {gone:,} runs", 1000 * (time.perf_counter() - began)))
    return rows


def member(store: Store, id_: str, module: str, timed: Callable[[str, Callable[[], Any]], Any]) -> None:
    """What a member of a group that is spread asks of the store, from whoever sends it and from its worker."""
    dispatches, runs = store.dispatches, store.runs
    payload: dict[str, Any] = {"module": module, "group_run_id": None, "watermarks": {}}
    timed("send", lambda: dispatches.add(id_, "pipekit.members", payload=payload))
    assert timed("claim", lambda: dispatches.claim(id_))
    timed("read what to do", lambda: dispatches.payload(id_))
    timed("definition", lambda: store.definitions.module(module))
    timed("connections", lambda: [store.definitions.connection(name) for name in ("src", "dst")])
    run_id, token = timed("lock and start", lambda: runs.start(module, triggered_by="bench"))
    timed("begin work", lambda: runs.begin_work(run_id, module, token, ProcessName.current(), phase="resolve"))
    for number in range(UPDATES - 1):
        timed("note a phase", partial(runs.update, run_id, phase="stage", rows_read=number))
    assert timed("renew", lambda: store.leases.renew("module", module, token))
    assert timed("still held?", lambda: store.leases.held("module", module, token))
    timed("cancel asked for?", lambda: runs.cancel_requested(run_id))
    assert timed("finish and free", lambda: runs.finish(run_id, "success", rows_read=100, rows_inserted=100))
    timed("outcome", lambda: dispatches.end(id_, {"run_id": run_id, "error": None}))
    timed("look for the outcome", lambda: dispatches.find(id_))
    timed("forget", lambda: dispatches.forget([id_]))


def _work(url: str, first: int, workers: int, modules: int, until: float) -> tuple[int, Latencies]:
    """Some workers as threads of this process, each with a store of its own and without a pause; members, and latencies."""
    found: list[tuple[int, Latencies]] = []

    def work(worker: int) -> None:
        took: Latencies = {}

        def timed(what: str, ask: Callable[[], Any]) -> Any:
            began = time.perf_counter()
            answer = ask()
            took.setdefault(what, []).append(time.perf_counter() - began)
            return answer

        done = 0
        with Store.open(url) as store:
            while time.time() < until:
                # No two workers ever have the same module.
                number = (worker + done * PLANNED_WORKERS * PROCESSES) % modules
                member(store, f"{worker}:{done}", f"m{number}", timed)
                done += 1
        found.append((done, took))

    threads = [threading.Thread(target=work, args=(first + n,)) for n in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == workers, "a worker failed"
    total: Latencies = {}
    for _, took in found:
        for what, values in took.items():
            total.setdefault(what, []).extend(values)
    return sum(done for done, _ in found), total


@dataclass(frozen=True)
class Load:
    """What some simulated workers got done, as often as they could."""

    workers: int
    seconds: float
    members: int
    latencies: Latencies

    @property
    def asked(self) -> list[float]:
        """The seconds of every single call, in order."""
        return sorted(value for values in self.latencies.values() for value in values)

    @property
    def rate(self) -> float:
        """Members a second."""
        return self.members / self.seconds


def load(url: str, workers: int, modules: int, seconds: float) -> Load:
    """Simulated workers for some seconds."""
    processes = min(PROCESSES, workers)
    each = [workers // processes + (n < workers % processes) for n in range(processes)]
    starts = [sum(each[:n]) for n in range(processes)]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        pool.map(_warm, range(processes), chunksize=1)
        began = time.time()
        parts = [(url, starts[n], each[n], modules, began + seconds) for n in range(processes)]
        answers = pool.starmap(_work, parts, chunksize=1)
        took = time.time() - began
    total: Latencies = {}
    for _, latencies in answers:
        for what, values in latencies.items():
            total.setdefault(what, []).extend(values)
    return Load(workers, took, sum(done for done, _ in answers), total)


def _warm(_: int) -> None:
    """Start a process, with its imports."""
    import pipekit_engine.store.dispatches  # noqa: F401

    time.sleep(0.5)


def _at(ordered: list[float], share: float) -> float:
    return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _load_tables(loads: list[Load]) -> list[str]:
    lines = [
        "| workers | members a second | calls a second | p50 | p99 | slowest |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for item in loads:
        asked = item.asked
        lines.append(
            f"| {item.workers} | {item.rate:.0f} | {len(asked) / item.seconds:,.0f} | {_at(asked, 0.5):.1f} ms "
            f"| {_at(asked, 0.99):.0f} ms | {1000 * asked[-1]:.0f} ms |"
        )
    head = " | ".join(f"{item.workers} workers, p50 | p99" for item in loads)
    lines += ["", f"| call | {head} |", "|---|" + "---:|---:|" * len(loads)]
    for what in loads[0].latencies:
        cells = []
        for item in loads:
            ordered = sorted(item.latencies[what])
            cells.append(f"{_at(ordered, 0.5):.1f} ms | {_at(ordered, 0.99):.0f} ms")
        lines.append(f"| {what} | {' | '.join(cells)} |")
    return lines


def _extrapolated(sizes: list[int], values: list[float]) -> float:
    """The value at the planned size, on the line through the two largest sizes; in proportion where there is but one."""
    if len(sizes) < 2:
        return values[0] * PLANNED_MODULES / sizes[0]
    slope = (values[-1] - values[-2]) / (sizes[-1] - sizes[-2])
    return values[-1] + slope * (PLANNED_MODULES - sizes[-1])


def page(options: argparse.Namespace) -> str:
    """Fill, measure, and say what it comes to."""
    modules, runs = options.modules, options.runs
    sizes = [int(size) for size in options.locations.split(",") if size]
    with lasting_server() as pg:
        with pg.fresh_database() as database:
            url = pg.url(database)
            fill(pg, database, modules, runs)
            _say("filled")
            whole_s, whole_mb = in_process(load_all, url)
            _say(f"loaded in {whole_s:.1f} s")
            rows = single(url, modules)
            _say("\n".join(f"{what}: {value:.1f} ms" for what, value in rows))
            loads = [load(url, int(count), modules, options.seconds) for count in options.workers.split(",")]
            _say("\n".join(_load_tables(loads)))
            rows += retention(url)
            _say("\n".join(f"{what}: {value:.1f} ms" for what, value in rows[-2:]))
        locations = []
        for size in sizes:
            with pg.fresh_database() as database:
                fill(pg, database, size)
                locations.append(in_process(load_location, pg.url(database)))
                _say(f"location of {size}: {locations[-1]}")
    return "\n".join(_lines(modules, runs, (whole_s, whole_mb), rows, loads, sizes, locations))


def _say(text: str) -> None:
    print(text, flush=True)


def _lines(
    modules: int,
    runs: int,
    whole: tuple[float, ...],
    rows: list[tuple[str, float]],
    loads: list[Load],
    sizes: list[int],
    locations: list[tuple[float, ...]],
) -> list[str]:
    calls = len(loads[-1].asked) / loads[-1].members
    return [
        f"# {PLANNED_MODULES:,} modules, {PLANNED_WORKERS} workers",
        "",
        f"A state store on PostgreSQL with {modules:,} modules in {modules // PER_GROUP:,} groups, a schedule each, and {runs:,} "
        f"runs. The server's commits wait for the disk (`fsync`); it shares {os.cpu_count()} cores with everything that asks it. "
        "All is asked by the store's own methods; workers are simulated, and nothing is run.",
        "",
        *_on_paper(calls, loads[-1].workers, len(loads[-1].asked) / loads[-1].seconds, loads[-1].rate),
        *(_first_to_break(modules, whole, dict(rows), sizes, locations) if locations else ()),
        "## One client",
        "",
        "| asked | took |",
        "|---|---:|",
        f"| all definitions (`load_checked`) | {whole[0]:.1f} s, {whole[1]:,.0f} MB |",
        *(f"| {what} | {value:,.1f} ms |" for what, value in rows),
        "",
        "## Many workers",
        "",
        f"Each does what one member asks of the store ({calls:.0f} calls), again and again, with a connection of its own.",
        "",
        *_load_tables(loads),
        "",
        *(_location_table(sizes, locations) if locations else ()),
    ]


def _on_paper(calls: float, workers: int, sustained: float, rate: float) -> list[str]:
    """What the plan needs, and what was reached."""
    hourly, places = PLANNED_MODULES / 3600, PLANNED_WORKERS * AT_ONCE
    at_work = places * CALLS_AT_WORK
    return [
        "## On paper",
        "",
        f"- {PLANNED_MODULES:,} modules once an hour are {hourly:.0f} a second.",
        f"- {PLANNED_WORKERS} workers with `at_once: {AT_ONCE}` have {places} places: at that rate a module may take "
        f"{places / hourly:.0f} s.",
        f"- A member of a group that is spread asks the store {calls:.0f} times when it takes a moment: {hourly * calls:,.0f} "
        "calls a second. While it is at work its worker renews the lock every 5 s and looks twice a second for a cancel, and "
        f"the group's run looks for its end once a second: {at_work:,.0f} more with all places taken, "
        f"{hourly * calls + at_work:,.0f} in all.",
        f"- Here {workers} workers without a pause got {sustained:,.0f} calls answered a second, {rate:.0f} members: "
        f"{rate / hourly:.1f} times the members of the plan, {sustained / (hourly * calls + at_work):.2f} times all its calls, "
        "on cores that the clients share.",
        "",
    ]


def _first_to_break(
    modules: int, whole: tuple[float, ...], rows: dict[str, float], sizes: list[int], locations: list[tuple[float, ...]]
) -> list[str]:
    """What reads all definitions, and how often."""
    groups, size = PLANNED_MODULES / PER_GROUP / 3600, sizes[len(sizes) // 2]
    built, memory = (_extrapolated(sizes, [item[part] for item in locations]) for part in (0, 2))
    return [
        "## What breaks first",
        "",
        "Long before the store, whatever reads all definitions at once, as most of pipekit does:",
        "",
        f"| who | how often | seconds, with {modules:,} modules |",
        "|---|---|---:|",
        "| Dagster's code location, built anew | each change of a definition, each start of the server; a change is given up "
        f"after {_RELOAD_TIMEOUT_S} s | {built:.0f}, extrapolated, and {memory:,.0f} MB |",
        "| the process of a group's run on a worker: the same definitions, and `load_checked` once more "
        f"| {groups:.1f} times a second in the plan | more than {whole[0]:.1f} |",
        f"| the server's look for changes (`fingerprint`) | again {_POLL_S:g} s after each "
        f"| {rows[FINGERPRINT] / 1000:.1f} |",
        f"| the sensor that ends what died (`load_checked`, pools, switches) | every {RECONCILE_EVERY_S} s "
        f"| more than {whole[0]:.1f} |",
        f"| the first page | each view | {rows[OVERVIEW] / 1000:.0f} |",
        "",
        f"The processes of groups' runs alone would keep {groups * whole[0]:.0f} cores busy with reading definitions. One store "
        f"takes some thousands of modules: with {sizes[-1]:,} the code location is built in {locations[-1][0]:.0f} s.",
        "",
        "Beyond that, several stores: a project each, with a configuration, a state store and a server of its own, and workers "
        "that belong to it. Their databases may be on one PostgreSQL, and their queues in one Redis under names of their own "
        f"(`workers: queue`). {PLANNED_MODULES:,} modules in stores of {size:,} are {-(-PLANNED_MODULES // size)} stores. A "
        "group, and what a trigger waits for, is within one. "
        "Several code locations over one store (`groups` of the component) build less each, and still read the whole of it.",
        "",
    ]


def _location_table(sizes: list[int], locations: list[tuple[float, ...]]) -> list[str]:
    lines = [
        "## Dagster's code location",
        "",
        "`build_pipekit_definitions` in a process of its own, imports included, until each job is there.",
        "",
        "| modules | groups | built in | of which the store | memory of the process |",
        "|---:|---:|---:|---:|---:|",
    ]
    for size, (took, stored, memory) in zip(sizes, locations, strict=True):
        lines.append(f"| {size:,} | {size // PER_GROUP:,} | {took:.1f} s | {stored:.1f} s | {memory:,.0f} MB |")
    took, memory = (_extrapolated(sizes, [item[part] for item in locations]) for part in (0, 2))
    return [
        *lines,
        f"| *{PLANNED_MODULES:,}, extrapolated* | *{PLANNED_MODULES // PER_GROUP:,}* | *{took:.0f} s* | | *{memory:,.0f} MB* |",
        "",
    ]


def main() -> None:
    """Measure, print and write the page."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--modules", type=int, default=PLANNED_MODULES)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--workers", default="10,100", help="numbers of simulated workers")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each number of them works")
    parser.add_argument("--locations", default="1000,5000,20000", help="modules of the code locations; empty for none")
    parser.add_argument("--out", type=Path, default=RESULT, help="the page")
    options = parser.parse_args()
    began = loads()
    write_page(options.out, page(options), began)


if __name__ == "__main__":
    main()
