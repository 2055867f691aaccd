"""DuckDB in runs: one process has a file, nobody's query reads this machine's files, and a failed load leaves nothing."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipekit_engine.databases import connections
from pipekit_engine.errors import ConnectError, MergeError, RunError
from pipekit_engine.jrunner import JRunnerDied, JRunnerError, OpenRequest, Session
from tests.conftest import unavailable
from tests.jars import jar
from tests.running.conftest import bench_to
from tests.running.workbench import Workbench
from tests.waiting import wait_until


@pytest.fixture
def bench(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Workbench]:
    yield from bench_to("duckdb", tmp_path, request)


def warehouse(bench: Workbench) -> OpenRequest:
    return OpenRequest("held", f"jdbc:duckdb:{bench.folder}/dest.duckdb", [jar("duckdb")], kind="duckdb")


def test_a_run_waits_for_another_and_gives_the_file_back(bench: Workbench) -> None:
    bench.source("CREATE TABLE t (id INTEGER)", "INSERT INTO t VALUES (1)")
    bench.module()
    bench.run()
    with Session() as other:
        other.open(warehouse(bench))  # the run has closed it
        threading.Timer(2, other.close).start()
        record = bench.run()
        other.end()
    assert record.status == "success"
    assert "waiting for process" in (record.live_log or "")
    assert bench.rows("SELECT id FROM t") == [("1",)]


def test_members_side_by_side_in_one_file(bench: Workbench) -> None:
    """They share a JVM, which DuckDB lets open a file twice: one writes while nobody else has it, and readers share it."""
    bench.source("CREATE TABLE t (id INTEGER)")
    bench.fill("t", [(n,) for n in range(1000)])
    bench.execute("CREATE TABLE s (id INTEGER)", "INSERT INTO s VALUES (1)")
    bench.connect("lite", "sqlite", f"jdbc:sqlite:{bench.folder}/lite.db")
    writers, readers = [f"w{n}" for n in range(3)], [f"r{n}" for n in range(3)]
    for name in writers:
        bench.module(name, dest_table=name)
    for name in readers:
        bench.module(name, source="dst", dest="lite", query="SELECT * FROM s", dest_table=name)
    bench.group((*writers, *readers), max_parallel=4)
    for _ in range(3):
        with bench.pool.session() as session:
            session.close()  # the group's own JVM wants the file
        result = bench.engine.run_group("g")
        assert result.record.status == "success", result.record.error
    logs = "".join(bench.store.runs.get(run.id).live_log or "" for run in result.runs)
    assert "waiting for another run of this process, which has the file of connection dst open" in logs
    for name in writers:
        assert bench.rows(f"SELECT count(*), sum(id) FROM {name}") == [("1000", "499500")]
    for name in readers:
        assert bench.rows(f"SELECT * FROM {name}", "lite") == [("1",)]


def test_who_has_the_file_is_said(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "RUN_WAIT_S", 0.5)
    bench.source("CREATE TABLE t (id INTEGER)")
    bench.module()
    bench.run()
    with Session() as other:
        other.open(warehouse(bench))
        began = time.monotonic()
        with pytest.raises(ConnectError, match=rf"one process write a file.*process {other.pid}.*has it open"):
            bench.run()
        assert time.monotonic() - began < 20
        other.end()


def test_source_and_destination_in_one_file(bench: Workbench) -> None:
    bench.execute("CREATE TABLE s (id INTEGER, name VARCHAR)", "INSERT INTO s VALUES (1, 'a'), (2, NULL)")
    bench.module(source="dst", query="SELECT * FROM s", dest_table="t", strategy="upsert", merge_key="id")
    for _ in range(2):
        bench.run()
    assert bench.rows("SELECT * FROM t") == [("1", "a"), ("2", None)]


def test_a_mistyped_source_makes_no_file(bench: Workbench) -> None:
    bench.connect("wrong", "duckdb", f"jdbc:duckdb:{bench.folder}/wrong.duckdb")
    bench.module(source="wrong", query="SELECT 1 AS id")
    with pytest.raises(ConnectError, match="there is no file"):
        bench.run()
    assert not (bench.folder / "wrong.duckdb").exists()


def test_a_query_reads_no_file_of_this_machine(bench: Workbench) -> None:
    bench.execute("CREATE TABLE s (id INTEGER)")
    for name, query in enumerate(
        ("SELECT content FROM read_text('/etc/hostname')", "SELECT * FROM read_csv('/etc/passwd')")
    ):
        bench.module(f"m{name}", source="dst", query=query)
        with pytest.raises(RunError, match="disabled by configuration"):
            bench.run(f"m{name}")
    for statement in ("SET enable_external_access = true", "COPY s TO '/tmp/pipekit.csv'", "ATTACH '/tmp/x' AS x"):
        with pytest.raises(JRunnerError, match=r"(?i)cannot enable|disabled by configuration"):
            bench.execute(statement)


def test_a_row_that_is_refused_leaves_nothing(bench: Workbench) -> None:
    """The appender commits by itself where no transaction was begun."""
    bench.source("CREATE TABLE t (id INTEGER, d TEXT)", "INSERT INTO t VALUES (1, '2024-01-01'), (2, 'no date')")
    bench.execute("CREATE TABLE t (id INTEGER, d DATE)", "INSERT INTO t VALUES (7, NULL)")
    bench.module(strategy="append")
    with pytest.raises(RunError, match="no date"):
        bench.run()
    assert bench.rows("SELECT id FROM t") == [("7",)]
    assert bench.staging_left() == []


def test_types_that_the_appender_does_not_take(bench: Workbench) -> None:
    """By way of text and a cast; columns that are left out get their defaults."""
    bench.source(
        "CREATE TABLE t (e TEXT, j TEXT, u TEXT, h TEXT, l TEXT)",
        "INSERT INTO t VALUES ('b', '{\"a\": 1}', '200', '170141183460469231731687303715884105727', '[1, 2]')",
    )
    bench.execute(
        "CREATE TABLE t (e ENUM('a', 'b'), j JSON, own INTEGER DEFAULT 5, u UTINYINT, h HUGEINT, l INTEGER[])"
    )
    bench.module(strategy="append", on_schema_change="ignore")
    bench.run()
    assert bench.rows("SELECT e, j, own, u, h, l[2] FROM t") == [
        ("b", '{"a": 1}', "5", "200", "170141183460469231731687303715884105727", "2")
    ]
    bench.source("UPDATE t SET j = '{bad'")
    with pytest.raises(RunError, match=r"(?i)malformed json"):
        bench.run()


def test_killed_in_the_middle_the_file_is_free(bench: Workbench) -> None:
    """A kill takes the process with its lock."""
    bench.execute("CREATE TABLE s (id INTEGER)")
    holder = Session()
    holder.open(warehouse(bench))
    holder.kill()
    bench.module(source="dst", query="SELECT 1 AS id", dest_table="t")
    assert bench.run().rows_inserted == 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], check=False).returncode
    ):
        unavailable("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_leaves_the_table_as_it_was(bench: Workbench, small_disk: Path) -> None:
    bench.connect("small", "duckdb", f"jdbc:duckdb:{small_disk}/d.duckdb")
    bench.source("CREATE TABLE t (id INTEGER, v TEXT)", "INSERT INTO t VALUES (1, 'kept')")
    bench.module(dest="small", merge_key="id", strategy="upsert")
    bench.run()
    bench.source("DELETE FROM t")
    bench.fill("t", [(i, os.urandom(500).hex()) for i in range(20_000)])
    with pytest.raises(RunError, match=r"(?i)no space left|could not write|disk"):
        bench.run()
    assert bench.rows("SELECT * FROM t", "small") == [("1", "kept")]
    bench.source("DELETE FROM t WHERE id > 10")
    assert bench.run().status == "success"
    assert bench.rows("SELECT count(*) FROM t", "small") == [("11",)]


def test_killed_before_the_commit_nothing_is_merged(bench: Workbench) -> None:
    """The engine and its jrunner at once, by SIGKILL at the beginning of the merge; then jrunner alone, in the midst of one."""
    bench.source("CREATE TABLE t (id INTEGER, v INTEGER)")
    bench.fill("t", [(i, 1) for i in range(1000)])
    bench.module(merge_key="id", strategy="upsert")
    bench.run()
    bench.source("UPDATE t SET v = 2", "INSERT INTO t VALUES (1000, 2)")
    killed = subprocess.run(
        [sys.executable, "-m", "tests.running.child", str(bench.folder), "m", "merge"],
        cwd=Path(__file__).parents[2], stdout=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL
    lease = bench.store.leases.find("module", "m")
    assert lease is not None
    child = lease.child
    assert child is not None
    wait_until(lambda: not child.alive(), "the end of jrunner with its engine")
    assert bench.rows("SELECT count(*), sum(v) FROM t") == [("1000", "1000")]
    assert bench.run().status == "success"
    assert bench.rows("SELECT count(*), sum(v) FROM t") == [("1001", "2002")]
    assert bench.staging_left() == []
    with Session() as session:
        session.open(dataclasses.replace(warehouse(bench), writes=True))
        endless = ["UPDATE t SET v = 3", "SELECT count(*) FROM range(1000000) a, range(1000000) b"]
        threading.Timer(2, os.kill, (session.pid, signal.SIGKILL)).start()
        with pytest.raises(JRunnerDied):
            session.execute("held", endless)
    assert bench.rows("SELECT count(*), sum(v) FROM t") == [("1001", "2002")]


def test_a_damaged_file_is_told(bench: Workbench) -> None:
    bench.source("CREATE TABLE t (id INTEGER)", "INSERT INTO t VALUES (1)")
    bench.module()
    bench.run()
    file = bench.folder / "dest.duckdb"
    content = bytearray(file.read_bytes())
    content[12:20] = bytes(8)
    file.write_bytes(content)
    with pytest.raises(ConnectError, match="Corrupt database file"):
        bench.run()
    assert file.read_bytes() == content


@pytest.mark.parametrize("strategy", ["full", "incremental"])
def test_rows_of_a_table_that_upsert_made_are_replaced(bench: Workbench, strategy: str) -> None:
    """DuckDB's unique indexes refuse a key that was deleted in the same transaction; its constraints do not."""
    bench.source("CREATE TABLE t (k INTEGER, v TEXT)", "INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    bench.module(strategy="upsert", merge_key="k")
    bench.run()
    bench.source("UPDATE t SET v = 'c' WHERE k = 2")
    bench.module("again", strategy=strategy, **({} if strategy == "full" else {"merge_key": "k"}))
    bench.run("again")
    assert bench.rows("SELECT k, v FROM t") == [("1", "a"), ("2", "c")]


def test_a_unique_index_that_is_in_the_way_is_told(bench: Workbench) -> None:
    bench.execute("CREATE TABLE t (k INTEGER, v VARCHAR)", "CREATE UNIQUE INDEX own ON t (k)")
    bench.execute("INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    bench.source("CREATE TABLE t (k INTEGER, v TEXT)", "INSERT INTO t VALUES (1, 'a'), (2, 'c')")
    bench.module()
    with pytest.raises(MergeError, match="DROP INDEX, then ALTER TABLE"):
        bench.run()
    bench.execute("DROP INDEX own", "ALTER TABLE t ADD PRIMARY KEY (k)")
    bench.run()
    assert bench.rows("SELECT k, v FROM t") == [("1", "a"), ("2", "c")]
