"""Whole runs beside today's peers: sling, ingestr, dlt and psql, each as a process of its own, in turn, on the same servers.

What is timed is what a person waits for: from the command to its end. Each side has a destination table of its own, which is
compared with the source after every round.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bench import tables
from bench.tools import PACKAGES, Missing, pypi_program, pypi_python, run, system_program
from pipekit_engine.config import Config
from pipekit_engine.databases.class_archive import make_class_archive
from pipekit_engine.databases.dialects import builtin_drivers
from pipekit_engine.models import Connection, Group, Module, Watermark
from pipekit_engine.security.secrets import Secrets
from pipekit_engine.store import Change, Store
from tests.jars import JAR_FOLDERS
from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer

#: Rows that an increment changes.
CHANGED = 10_000
SMALL_MODULES = 100
#: Seconds before each run: what the one before left to be done has been done then.
PAUSE_S = 1.0
#: Runs of an agent before those that count.
WARMING = 2
_PIPEKIT = Path(sys.executable).with_name("pipekit")
_DLT = """
import sys, dlt
from dlt.sources.sql_database import sql_table
source, dest, dataset, table, disposition, folder = sys.argv[1:]
fields = dict(incremental=dlt.sources.incremental("at"), primary_key="id") if disposition == "merge" else {}
rows = sql_table(credentials=source, table=table, backend="pyarrow", chunk_size=100_000, **fields)
rows.apply_hints(table_name="dlt_" + table)
there = dict(destination=dlt.destinations.postgres(dest), dataset_name=dataset, pipelines_dir=folder)
pipeline = dlt.pipeline("bench_" + dataset, **there)
pipeline.run(rows, write_disposition=disposition, loader_file_format="parquet").raise_on_failed_jobs()
"""


@dataclass
class Side:
    """A program that fills a table: its name, a run of it, the table (None where nothing is compared), and what was measured."""

    name: str
    run: Callable[[], None]
    table: str | None = None
    #: What is done before each run, and not timed.
    before: Callable[[], object] | None = None
    seconds: list[float] = field(default_factory=list)
    #: Seconds of CPU of its processes, as far as they are children of this one.
    cpu: list[float] = field(default_factory=list)

    def time(self) -> None:
        """Run it once."""
        if self.before is not None:
            self.before()
        before, began = _cpu(), time.perf_counter()
        self.run()
        self.seconds.append(time.perf_counter() - began)
        self.cpu.append(_cpu() - before)
        print(f"{self.name}: {self.seconds[-1]:.2f} s", file=sys.stderr, flush=True)

    @property
    def median(self) -> float:
        """Seconds."""
        return statistics.median(self.seconds)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Project:
    """A pipekit project in a folder of its own, whose commands are run as a person would."""

    def __init__(self, folder: Path, connections: Sequence[Connection], passwords: dict[str, str]) -> None:
        self.folder = folder
        folder.mkdir()
        jars = json.dumps([str(each) for each in JAR_FOLDERS])
        text = f"database: pipekit.db\nsecrets: secrets.env\njars: {jars}\n"
        (folder / "pipekit.yaml").write_text(text, encoding="utf-8")
        config = Config(database=str(folder / "pipekit.db"), secrets=folder / "secrets.env")
        secrets = Secrets.load(config.secrets_file)
        for name, password in passwords.items():
            secrets.set(name, password)
        Store.init(config.database_url)
        self._url = config.database_url
        self._connections = connections
        self._passwords = passwords
        self.save(*(Change("create", "drivers", driver.name, driver) for driver in builtin_drivers()))
        self.save(*(Change("create", "connections", each.name, each) for each in connections))

    def beside(self, name: str) -> Project:
        """Another project with the same connections."""
        return Project(self.folder.with_name(name), self._connections, self._passwords)

    def save(self, *changes: Change) -> None:
        with Store.open(self._url) as store:
            store.definitions.save(list(changes))

    def add(self, *modules: Module) -> None:
        self.save(*(Change("create", "modules", module.name, module) for module in modules))

    def command(self, *words: str) -> Callable[[], None]:
        """`pipekit ...` in this project."""
        return lambda: run([str(_PIPEKIT), *words], {"PIPEKIT_CONFIG": str(self.folder / "pipekit.yaml")})

    @contextmanager
    def agent(self) -> Iterator[None]:
        """A warm engine that takes this project's commands."""
        environment = {**os.environ, "PIPEKIT_CONFIG": str(self.folder / "pipekit.yaml")}
        with subprocess.Popen([str(_PIPEKIT), "agent"], env=environment, stderr=subprocess.DEVNULL) as agent:
            time.sleep(5)
            try:
                yield
            finally:
                agent.send_signal(signal.SIGINT)


def connection(name: str, server: PostgreSQLServer | MariaDBServer, database: str) -> Connection:
    return Connection(
        name=name,
        driver=server.kind,
        jdbc_url=server.jdbc_url(database),
        username=server.user,
        password=f"${server.kind.upper()}",
    )


def url(server: PostgreSQLServer | MariaDBServer, database: str) -> str:
    login = f"{server.user}:{server.password}@{server.host}:{server.port}/{database}"
    return f"mysql://{login}" if isinstance(server, MariaDBServer) else f"postgresql://{login}?sslmode=disable"


@dataclass
class Places:
    """Where the peers read and write: their URLs of both, the folder for what they leave."""

    source: str
    dest: str
    folder: Path

    def sling(self, stream: str, into: str, *mode: str) -> Callable[[], None]:
        environment = {
            "BENCH_FROM": self.source.replace("mysql://", "mariadb://"),
            "BENCH_TO": self.dest,
            "HOME": str(self.folder),
            "SLING_DISABLE_TELEMETRY": "TRUE",
        }
        command = [pypi_program("sling-linux-amd64"), "run", "--src-conn", "BENCH_FROM", "--src-stream", stream]
        return lambda: run([*command, "--tgt-conn", "BENCH_TO", "--tgt-object", into, "--mode", *mode], environment)

    def ingestr(self, table: str, into: str, *strategy: str) -> Callable[[], None]:
        command = [pypi_program("ingestr"), "ingest", "--yes", "--source-uri", self.source, "--source-table", table]
        command += ["--dest-uri", self.dest, "--dest-table", into, "--incremental-strategy", *strategy]
        environment = {"INGESTR_DISABLE_TELEMETRY": "true", "DISABLE_TELEMETRY": "true", "HOME": str(self.folder)}
        return lambda: run(command, environment)

    def dlt(self, table: str, dataset: str, disposition: str) -> Callable[[], None]:
        python = pypi_python("dlt")
        environment = {"RUNTIME__DLTHUB_TELEMETRY": "false", "HOME": str(self.folder)}
        words = [self.source, self.dest, dataset, table, disposition, str(self.folder / "dlt")]
        return lambda: run([python, "-c", _DLT, *words], environment)


def _installed(*sides: Callable[[], Side]) -> list[Side]:
    """Those of the sides whose program could be had."""
    found = []
    for make in sides:
        try:
            found.append(make())
        except Missing as missing:
            print(missing, file=sys.stderr)
    return found


def _warm_up(sides: list[Side]) -> None:
    """A few runs in an agent that has just begun."""
    for _ in range(WARMING):
        for side in sides:
            time.sleep(PAUSE_S)
            side.run()


def _working(sides: list[Side]) -> list[Side]:
    """Run each once, which makes its table; those that fail are left out and said."""
    found = []
    for side in sides:
        try:
            side.time()
        except RuntimeError as error:
            print(f"{side.name} is left out: {error}", file=sys.stderr)
            continue
        side.seconds.clear()
        side.cpu.clear()
        found.append(side)
    return found


def _table(title: str, sides: Sequence[Side], against: Sequence[str]) -> str:
    """The sides with their medians, and ours as a share of others'."""
    medians = {side.name: side.median for side in sides}
    others = [name for name in against if name in medians]
    text = f"\n## {title}\n\n| side | median | CPU of its processes |{''.join(f' : {name} |' for name in others)}\n"
    text += f"|---|---|---|{'---|' * len(others)}\n"
    for side in sides:
        ratios = "".join(f" {side.median / medians[name]:.2f} |" if side.name != name else " |" for name in others)
        text += f"| {side.name} | {side.median:.2f} s | {statistics.median(side.cpu):.2f} s |{ratios}\n"
    return text


def page(pg: PostgreSQLServer, my: MariaDBServer, folder: Path, sizes: Sequence[int], rows: int, rounds: int) -> str:
    """The tables: what a small run costs, increments into tables of these sizes, full loads of `rows` rows."""
    make_class_archive(folders=JAR_FOLDERS)  # as `pipekit init` does
    text = (
        "# Whole runs beside others\n\nEach a process of its own, from the command to its end, in turn; medians. *Warm*: "
        "`pipekit agent` has been running for some runs (its CPU is not in the table). The destination's rows "
        f"are compared with the source's after each round. {', '.join(_versions())}.\n"
    )
    text += _small(pg, folder, rounds)
    for size in sizes:
        text += _increments(pg, folder, size, rounds)
    return text + _full(pg, my, folder, rows, rounds)


def _versions() -> list[str]:
    return [PACKAGES[name].split(" ")[0] for name in ("sling-linux-amd64", "ingestr", "dlt")]


def _small(pg: PostgreSQLServer, folder: Path, rounds: int) -> str:
    with pg.fresh_database() as one, pg.fresh_database() as two:
        pg.sql(one, "CREATE TABLE small (id int PRIMARY KEY, name text, at timestamp)")
        pg.sql(one, "INSERT INTO small SELECT i, 'name ' || i, timestamp '2024-01-01' FROM generate_series(1, 10) i")
        home = folder / "small"
        project = Project(home, [connection("src", pg, one), connection("dst", pg, two)], {"POSTGRESQL": pg.password})
        full = {"source": "src", "dest": "dst", "strategy": "full", "query": "SELECT * FROM small"}
        names = [f"m{number:03}" for number in range(SMALL_MODULES)]
        project.add(*(Module(name=name, dest_table=name, **full) for name in (*names, "cold")))
        beside = project.beside("small-warm")
        beside.add(Module(name="warm", dest_table="warm", **full))
        project.save(Change("create", "groups", "all", Group(name="all", layers=(tuple(names),))))
        places = Places(url(pg, one), url(pg, two), home)
        psql = system_program("psql")
        piped = (
            f"{psql} -q '{url(pg, one)}' -c '\\copy small TO STDOUT' | "
            f"{psql} -q '{url(pg, two)}' -c 'TRUNCATE psql_small' -c '\\copy psql_small FROM STDIN'"
        )
        pg.sql(two, "CREATE TABLE psql_small (id int, name text, at timestamp)")
        cold = [
            Side("pipekit", project.command("run", "cold"), "cold"),
            *_installed(
                lambda: Side(
                    "sling", places.sling("public.small", "public.sling_small", "full-refresh"), "sling_small"
                ),
                lambda: Side(
                    "ingestr", places.ingestr("public.small", "public.ingestr_small", "replace"), "ingestr_small"
                ),
                lambda: Side("dlt", places.dlt("small", "dlt_set", "replace"), "dlt_set.dlt_small"),
            ),
            Side("psql", lambda: run(piped), "psql_small"),
        ]
        sides = _working(cold)
        warm = Side("pipekit, warm", beside.command("run", "warm"), "warm")
        with beside.agent():
            _warm_up([warm])
            for _ in range(rounds):
                for side in (warm, *sides):
                    time.sleep(PAUSE_S)
                    side.time()
        for side in (*sides, warm):
            assert pg.sql(two, f"SELECT count(*) FROM {side.table}")[0][0] == 10, side.name
        text = _table("Ten rows, PostgreSQL to PostgreSQL", [sides[0], warm, *sides[1:]], ("sling", "ingestr", "psql"))
        many = [Side("pipekit", project.command("run-group", "all"), "m000")]
        with suppress(Missing):
            many.append(Side("sling", _sling_many(places, names), "sling_m000"))
        hundred = _working(many)
        for _ in range(rounds):
            for side in hundred:
                side.time()
        return text + _table(f"{SMALL_MODULES} modules of ten rows in one go", hundred, ("sling",))


def _sling_many(places: Places, names: Sequence[str]) -> Callable[[], None]:
    """All tables by one file of sling's, as it would be used for many."""
    streams = "".join(
        f"  s{name}:\n    sql: SELECT * FROM public.small\n    object: public.sling_{name}\n" for name in names
    )
    file = places.folder / "many.yaml"
    file.write_text(f"source: BENCH_FROM\ntarget: BENCH_TO\ndefaults:\n  mode: full-refresh\nstreams:\n{streams}")
    environment = {
        "BENCH_FROM": places.source,
        "BENCH_TO": places.dest,
        "HOME": str(places.folder),
        "SLING_DISABLE_TELEMETRY": "TRUE",
    }
    return lambda: run([pypi_program("sling-linux-amd64"), "run", "-r", str(file)], environment)


def _increments(pg: PostgreSQLServer, folder: Path, rows: int, rounds: int) -> str:
    """`CHANGED` rows that changed at the source, into a table of `rows`; key and watermark have indexes on both sides."""
    with pg.fresh_database() as one, pg.fresh_database() as two:
        tables.mixed(pg, one, rows)
        pg.sql(one, "ALTER TABLE mixed ADD PRIMARY KEY (id); CREATE INDEX ON mixed (at)")
        pg.sql(one, "VACUUM ANALYZE mixed")
        home = folder / f"increments-{rows}"
        project = Project(home, [connection("src", pg, one), connection("dst", pg, two)], {"POSTGRESQL": pg.password})
        beside = project.beside(f"increments-{rows}-warm")
        for strategy in ("upsert", "incremental"):
            for way, place in (("cold", project), ("warm", beside)):
                table = f"{strategy}_{way}"
                place.add(
                    Module(
                        name=table,
                        source="src",
                        dest="dst",
                        dest_table=table,
                        strategy=strategy,
                        merge_key=("id",),
                        query="SELECT * FROM mixed WHERE at > '{since}'",
                        watermarks=(_watermark(table),),
                    )
                )
        places = Places(url(pg, one), url(pg, two), home)
        since: list[str] = []

        def ingestr() -> None:
            # It remembers nothing: whoever calls it says since when, as a scheduler does.
            behind = ("--interval-start", *since) if since else ()
            merge = ("merge", "--primary-key", "id", "--incremental-key", "at", *behind)
            places.ingestr("public.mixed", "public.ingestr_mixed", *merge)()

        def with_ingestr() -> Side:
            pypi_program("ingestr")
            return Side("ingestr", ingestr, "ingestr_mixed")

        sling = ("incremental", "--primary-key", "id", "--update-key", "at")
        sides = [
            *(
                Side(f"pipekit {name}", project.command("run", f"{name}_cold"), f"{name}_cold")
                for name in ("upsert", "incremental")
            ),
            *_installed(
                lambda: Side("sling", places.sling("public.mixed", "public.sling_mixed", *sling), "sling_mixed"),
                with_ingestr,
                lambda: Side("dlt", places.dlt("mixed", "dlt_set", "merge"), "dlt_set.dlt_mixed"),
            ),
        ]
        warm = [
            Side(f"pipekit {name}, warm", beside.command("run", f"{name}_warm"), f"{name}_warm")
            for name in ("upsert", "incremental")
        ]
        sides = _working(sides)
        for side in warm:
            side.run()
        for side in (*sides, *warm):  # what a table that is a day old has
            _index(pg, two, str(side.table))
        with beside.agent():
            _warm_up(warm)
            for _ in range(rounds):
                since[:] = [
                    pg.sql(two, "SELECT to_char(max(at), 'YYYY-MM-DD\"T\"HH24:MI:SS.MS') FROM incremental_cold")[0][0]
                ]
                _change(pg, one, rows)
                for side in (*sides, *warm):
                    time.sleep(PAUSE_S)
                    side.time()
                for side in (*sides, *warm):
                    _compare(pg, one, two, str(side.table), side.name)
    ordered = [side for side in (*sides, *warm) if side.name.startswith("pipekit")]
    ordered += [side for side in sides if side not in ordered]
    return _table(f"{CHANGED:,} changed rows into {rows:,}", ordered, ("sling", "ingestr"))


def _watermark(table: str) -> Watermark:
    newest = f"SELECT max(at) FROM {table}"
    return Watermark(name="since", connection="dst", resolver_sql=newest, default="1900-01-01")


def _index(pg: PostgreSQLServer, database: str, table: str) -> None:
    keyed = pg.sql(
        database,
        f"SELECT count(*) FILTER (WHERE indisunique) FROM pg_index WHERE indrelid = '{table}'::regclass",
    )[0][0]
    if not keyed:
        pg.sql(database, f"CREATE UNIQUE INDEX ON {table} (id)")
    pg.sql(database, f"CREATE INDEX ON {table} (at)")
    pg.sql(database, f"VACUUM ANALYZE {table}")


def _change(pg: PostgreSQLServer, database: str, rows: int) -> None:
    newest = "(SELECT max(at) FROM mixed)"
    pg.sql(
        database,
        f"UPDATE mixed SET qty = qty + 1, at = {newest} + (id % 1000 + 1) * interval '1 ms' "
        f"WHERE id IN (SELECT (i * 7919::bigint) % {rows} + 1 FROM generate_series(1, {CHANGED}) i)",
    )
    pg.sql(database, "VACUUM ANALYZE mixed")


def _compare(pg: PostgreSQLServer, source: str, dest: str, table: str, name: str) -> None:
    query = "SELECT count(*), sum(qty::bigint), sum(id), max(at)::timestamp FROM {}"
    expected, found = pg.sql(source, query.format("mixed"))[0], pg.sql(dest, query.format(table))[0]
    assert found == expected, f"{name}: {found} instead of {expected}"


def _replacing(places: Places, schema: str, suffix: str) -> list[Side]:
    """The peers, each with a table that it makes anew."""
    sides = [
        lambda: Side(
            "sling", places.sling(f"{schema}.mixed", f"public.sling_{suffix}", "full-refresh"), f"sling_{suffix}"
        ),
        lambda: Side(
            "ingestr", places.ingestr(f"{schema}.mixed", f"public.ingestr_{suffix}", "replace"), f"ingestr_{suffix}"
        ),
    ]
    if places.source.startswith("postgresql"):
        sides.append(lambda: Side("dlt", places.dlt("mixed", "dlt_full", "replace"), "dlt_full.dlt_mixed"))
    return _installed(*sides)


def _full(pg: PostgreSQLServer, my: MariaDBServer, folder: Path, rows: int, rounds: int) -> str:
    """Whole tables: from PostgreSQL and from MariaDB into PostgreSQL."""
    text = ""
    with pg.fresh_database() as one, pg.fresh_database() as two, my.fresh_database() as three:
        table = tables.mixed(pg, one, rows)
        home = folder / "full"
        project = Project(
            home,
            [connection("src", pg, one), connection("my", my, three), connection("dst", pg, two)],
            {"POSTGRESQL": pg.password, "MARIADB": my.password},
        )
        my.sql(three, f"CREATE TABLE mixed ({table.mariadb}) CHARACTER SET utf8mb4")
        full = {"strategy": "full", "query": "SELECT * FROM mixed"}
        project.add(Module(name="over", source="src", dest="my", dest_table="mixed", **full))
        for module, source in (("pg", "src"), ("my", "my")):
            for suffix, staging in (("", "always"), ("_directly", "auto"), ("_new", "auto")):
                name = f"of_{module}{suffix}"
                project.add(Module(name=name, source=source, dest="dst", dest_table=name, staging=staging, **full))
        project.command("run", "over")()
        limits = _limits(pg, one, two, table.columns)
        for title, module, source, schema in (
            (f"`full`, {rows:,} rows, PostgreSQL to PostgreSQL", "pg", url(pg, one), "public"),
            (f"`full`, {rows:,} rows, MariaDB to PostgreSQL", "my", url(my, three), three),
        ):
            new = f"of_{module}_new"
            drop = partial(pg.sql, two, f"DROP TABLE IF EXISTS {new}")
            sides = _working(
                [
                    Side("pipekit", project.command("run", f"of_{module}"), f"of_{module}"),
                    Side(
                        "pipekit, `staging: auto`",
                        project.command("run", f"{new[:-4]}_directly"),
                        f"{new[:-4]}_directly",
                    ),
                    Side("the same, a new table", project.command("run", new), new, drop),
                    *_replacing(Places(source, url(pg, two), home), schema, f"of_{module}"),
                    *(limits if module == "pg" else []),
                ]
            )
            for _ in range(rounds):
                for side in sides:
                    side.time()
                for side in sides:
                    _compare(pg, one, two, str(side.table), side.name)
            text += _table(title, sides, ("sling", "ingestr", *(side.name for side in limits)))
    return text


def _limits(pg: PostgreSQLServer, one: str, two: str, columns: str) -> list[Side]:
    """What psql takes: a pipe alone, and with the statements around it that a `full` has, without staging and with it."""
    psql = system_program("psql")
    out = f"{psql} -q '{url(pg, one)}' -c '\\copy mixed TO STDOUT (FORMAT binary)' | {psql} -q -1 '{url(pg, two)}'"

    def side(name: str, table: str, *commands: str) -> Side:
        pg.sql(two, f"CREATE TABLE {table} ({columns})")
        words = " ".join(f"-c '{command}'" for command in commands)
        return Side(name, lambda: run(f"{out} {words}"), table)

    into = "\\copy {} FROM STDIN (FORMAT binary)".format
    return [
        side("psql, the bare pipe", "of_psql", "TRUNCATE of_psql", into("of_psql")),
        side(
            "psql, the same directly",
            "psql_direct",
            "DELETE FROM psql_direct",
            into("psql_direct"),
            "SELECT count(*) FROM psql_direct",
        ),
        side(
            "psql, the same with staging",
            "psql_staged",
            "CREATE UNLOGGED TABLE staged AS SELECT * FROM psql_staged WITH NO DATA",
            into("staged"),
            "SELECT count(*) FROM staged",
            "DELETE FROM psql_staged",
            "INSERT INTO psql_staged SELECT * FROM staged",
            "SELECT count(*) FROM psql_staged",
            "DROP TABLE staged",
        ),
    ]
