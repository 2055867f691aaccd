"""What a driver's record promises, held against the real database; names of every spelling; secrets that stay secret."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pipekit_engine.databases.dialects import get_dialect
from pipekit_engine.errors import PipekitError
from pipekit_engine.jrunner.errors import JRunnerError
from tests.running.workbench import Workbench

SENTINEL = "s3ntinel-Pa$$w0rd"


def kind_of(bench: Workbench) -> str:
    return bench.store.definitions.connection("dst").driver


def test_transactional_ddl(any_bench: Workbench) -> None:
    """CREATE TABLE is rolled back with its transaction exactly where the record says so."""
    dialect = get_dialect(kind_of(any_bench))
    table = dialect.table_sql(dialect.table_name("probe"))
    with any_bench.session("dst") as (session, handle):
        with pytest.raises(JRunnerError):
            session.execute(handle, [f"CREATE TABLE {table} (a INTEGER)", "SELECT nonsense FROM nowhere"])
        if not dialect.capabilities.transactional_ddl:
            assert session.describe(handle, table=table)
            return
        with pytest.raises(JRunnerError) as caught:
            session.describe(handle, table=table)
    error = caught.value
    assert dialect.is_missing_table(error.sqlstate, error.vendor_code, error.message), str(error)


def test_transactional_truncate(any_bench: Workbench) -> None:
    """DML, TRUNCATE, ROLLBACK, look."""
    dialect = get_dialect(kind_of(any_bench))
    if dialect.kind == "sqlite":
        pytest.skip("SQLite has no TRUNCATE statement")
    any_bench.execute("CREATE TABLE probe (a INTEGER)", "INSERT INTO probe VALUES (1)")
    with any_bench.session("dst") as (session, handle), pytest.raises(JRunnerError):
        session.execute(
            handle, ["INSERT INTO probe VALUES (2)", "TRUNCATE TABLE probe", "SELECT nonsense FROM nowhere"]
        )
    rolled_back = any_bench.rows("SELECT a FROM probe") == [("1",)]
    if dialect.capabilities.transactional_truncate:
        assert rolled_back


def test_the_longest_identifier(any_bench: Workbench) -> None:
    dialect = get_dialect(kind_of(any_bench))
    longest = "C" * dialect.capabilities.max_identifier_length
    dialect.check_identifier(longest)
    any_bench.execute(f"CREATE TABLE probe ({dialect.quote_identifier(longest)} INTEGER)")
    with any_bench.session("dst") as (session, handle):
        described = session.describe(handle, table="probe")
    assert [column.name for column in described] == [longest]


NAMES = [
    "order",
    "Mixed Case",
    "with-hyphen",
    "naïve",
    "日本",
    "semi;colon",
    "dot.ted",
    "per%cent",
    "col:on",
    "br[ack]et",
    "q?mark",
]


def test_names_of_every_spelling_make_the_round_trip(any_bench: Workbench) -> None:
    """Reserved words, mixed case, hyphens, letters of all scripts."""
    names = NAMES + (['"quoted"'] if kind_of(any_bench) not in ("h2",) else [])
    columns = ", ".join('"' + name.replace('"', '""') + '" INTEGER' for name in names)
    any_bench.source(f"CREATE TABLE t ({columns})")
    any_bench.fill("t", [tuple(range(len(names)))])
    any_bench.module(strategy="incremental", merge_key=["order", "with-hyphen"])
    for _ in range(2):
        any_bench.run()
    dialect = get_dialect(kind_of(any_bench))
    table = dialect.table_sql(dialect.table_name("t"))
    with any_bench.session("dst") as (session, handle):
        described = [column.name for column in session.describe(handle, table=table)]
    assert described == [dialect.fold(name) if name == "order" else name for name in names]
    assert any_bench.rows(f"SELECT * FROM {table}") == [tuple(str(i) for i in range(len(names)))]


def test_a_password_is_nowhere_to_be_found(pg_bench: Workbench, postgresql: object) -> None:
    """No argument list, environment, log, error or state file holds it, while it runs or afterwards."""
    bench, server = pg_bench, postgresql
    role = f"sentinel_{time.monotonic_ns()}"
    database = bench.store.definitions.connection("dst").jdbc_url.rsplit("/", 1)[1].split("?")[0]
    server.sql(database, f"CREATE ROLE {role} LOGIN SUPERUSER PASSWORD '{SENTINEL}'")  # type: ignore[attr-defined]
    try:
        bench.connect("secret", "postgresql", bench.store.definitions.connection("dst").jdbc_url, role, SENTINEL)
        bench.source("CREATE TABLE t (id INTEGER)")
        bench.fill("t", [(i,) for i in range(10)])
        # The source itself gives the password, as an error message may.
        bench.module(
            "good",
            dest="secret",
            query="SELECT id FROM t WHERE '{mark}' <> ''",
            watermarks={"mark": ("src", f"SELECT '{SENTINEL}'", None)},
        )
        bench.module("bad", dest="secret", query=f"SELECT '{SENTINEL}' FROM nowhere")
        seen: list[str] = []
        stop = threading.Event()

        def look() -> None:
            while not stop.is_set():
                for process in Path("/proc").glob("[0-9]*"):
                    for name in ("cmdline", "environ"):
                        try:
                            if SENTINEL.encode() in (process / name).read_bytes():
                                seen.append(f"{process.name}/{name}")
                        except OSError:
                            continue

        watcher = threading.Thread(target=look)
        watcher.start()
        try:
            with bench.engine.session_pool() as pool:
                bench.engine.run("good", sessions=pool)
                with pytest.raises(PipekitError) as caught:
                    bench.engine.run("bad", sessions=pool)
        finally:
            stop.set()
            watcher.join()
        assert seen == []
        assert SENTINEL not in bench.store.runs.list()[0].model_dump_json()
        assert SENTINEL not in str(caught.value)
        logs = "".join(run.model_dump_json() for run in map(bench.store.runs.get, (1, 2)))
        assert SENTINEL not in logs
    finally:
        server.sql(database, f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")  # type: ignore[attr-defined]


def test_importing_the_engine_is_quick_and_light() -> None:
    """`import pipekit_engine` pulls in neither Dagster nor SQLAlchemy nor pydantic."""
    code = "import sys, pipekit_engine; print([m for m in ('dagster', 'sqlalchemy', 'pydantic') if m in sys.modules])"

    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
