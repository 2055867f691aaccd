"""With `staging: auto` rows go straight into the destination where staging would add nothing, and nothing else changes."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable

import pytest

from pipekit_engine.common.processes import ProcessName
from pipekit_engine.errors import Interrupted, MergeError, RunCancelled, SourceError, StagingError
from pipekit_engine.models import Check, RunRecord
from pipekit_engine.running.events import RunEvent
from tests.running.test_crash import child, gone
from tests.running.workbench import Workbench
from tests.servers.postgresql import PostgreSQLServer
from tests.waiting import LIMIT, wait_until

CREATE = "CREATE TABLE t (id INTEGER, name TEXT, amount DECIMAL(12,2))"
ROWS = [(1, "one", "1.50"), (2, None, "2.25"), (3, "", None)]
#: More rows than any test waits for.
ENDLESS = "WITH RECURSIVE c(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM c LIMIT 200000000) SELECT id FROM c"


def start(bench: Workbench, strategy: str = "full", **fields: object) -> None:
    bench.source(CREATE)
    bench.fill("t", ROWS)
    key = {"merge_key": "id"} if strategy in ("incremental", "upsert") else {}
    bench.module(strategy=strategy, staging="auto", **{**key, **fields})


def kind(bench: Workbench) -> str:
    return bench.store.definitions.connection("dst").driver


def log(record: RunRecord, bench: Workbench) -> str:
    return bench.store.runs.get(record.id).live_log


def ids(bench: Workbench) -> list[str | None]:
    return [row[0] for row in bench.rows("SELECT id FROM t")]


@pytest.mark.parametrize("strategy", ["full", "incremental", "append", "upsert"])
def test_a_table_that_the_run_makes(main_bench: Workbench, strategy: str) -> None:
    """Of each strategy; not in MariaDB, whose DDL commits at once."""
    start(main_bench, strategy)
    record = main_bench.run()
    staged = kind(main_bench) == "mariadb"
    counts = (record.rows_read, record.rows_staged, record.rows_inserted, record.rows_deleted, record.rows_unchanged)
    assert (record.status, *counts) == ("success", 3, 3 if staged else None, 3, 0, 0)
    assert main_bench.rows("SELECT id, name FROM t") == [("1", "one"), ("2", None), ("3", "")]
    assert main_bench.staging_left() == []
    assert main_bench.store.leases.all() == []
    assert ("without staging: the destination is new" in log(record, main_bench)) != staged
    assert record.merge_sql is not None
    assert ("here come the rows of the source query" in record.merge_sql) != staged
    assert set(record.timings) >= {"stage", "hooks"}


def test_a_new_table_has_its_index_and_the_next_run_writes_what_differs(pg_bench: Workbench) -> None:
    start(pg_bench, "upsert")
    pg_bench.run()
    assert pg_bench.rows("SELECT count(*) FROM pg_indexes WHERE tablename = 't' AND indexdef LIKE '%UNIQUE%'") == [
        ("1",)
    ]
    pg_bench.source("UPDATE t SET name = 'deux' WHERE id = 2")
    record = pg_bench.run()
    assert (record.rows_staged, record.rows_updated, record.rows_unchanged) == (3, 1, 2)


@pytest.mark.parametrize("strategy", ["full", "append"])
def test_a_table_without_a_key(main_bench: Workbench, strategy: str) -> None:
    start(main_bench, strategy)
    main_bench.execute(
        "CREATE TABLE t (id INTEGER, name VARCHAR(40), amount DECIMAL(12,2))", "INSERT INTO t VALUES (9, 'x', 9)"
    )
    record = main_bench.run()
    assert (record.status, record.rows_read, record.rows_staged, record.rows_inserted) == ("success", 3, None, 3)
    assert record.rows_deleted == (1 if strategy == "full" else 0)
    assert ids(main_bench) == ["1", "2", "3", *(["9"] if strategy == "append" else [])]
    assert f"without staging: strategy {strategy} without a key" in log(record, main_bench)
    main_bench.source("DELETE FROM t")
    assert main_bench.run().rows_read == 0
    assert len(ids(main_bench)) == (0 if strategy == "full" else 4)
    assert main_bench.staging_left() == []


@pytest.mark.parametrize("strategy", ["full", "append"])
def test_a_row_that_the_destination_refuses_leaves_all_as_it_was(main_bench: Workbench, strategy: str) -> None:
    start(main_bench, strategy)
    main_bench.execute("CREATE TABLE t (id INTEGER, name VARCHAR(40), amount DECIMAL(12,2), CHECK (id < 3))")
    main_bench.execute("INSERT INTO t (id) VALUES (-1)")
    with pytest.raises(MergeError, match="the destination is as it was"):
        main_bench.run()
    assert ids(main_bench) == ["-1"]
    main_bench.source("DELETE FROM t WHERE id = 3")
    assert main_bench.run().rows_inserted == 2


def test_values_that_do_not_fit_and_a_source_that_breaks(pg_bench: Workbench) -> None:
    start(pg_bench)
    pg_bench.execute("CREATE TABLE t (id SMALLINT, name TEXT, amount NUMERIC)", "INSERT INTO t VALUES (-1)")
    pg_bench.source("INSERT INTO t VALUES (70000, NULL, NULL)")
    with pytest.raises(StagingError, match=r"rolled back; the destination is as it was.*'id'"):
        pg_bench.run()
    module = pg_bench.store.definitions.load().modules["m"]
    failing = ENDLESS.replace("200000000", "30000").replace(
        "SELECT id FROM", "SELECT id, 'x' AS name, abs(-9223372036854775807 - (id = 30000)) AS amount FROM"
    )
    pg_bench.replace(module.model_copy(update={"query": failing}))
    with pytest.raises(SourceError, match="rolled back"):
        pg_bench.run()
    assert ids(pg_bench) == ["-1"]


@pytest.mark.parametrize(
    ("rows", "told"), [([(1, "again", None)], "duplicate|unique"), ([(None, "no key", None)], "NULL|null")]
)
def test_a_new_table_whose_key_repeats_or_is_null_is_not_made(
    pg_bench: Workbench, rows: list[tuple[object, ...]], told: str
) -> None:
    start(pg_bench, "upsert")
    pg_bench.fill("t", rows)
    with pytest.raises(MergeError, match=told):
        pg_bench.run()
    assert pg_bench.rows("SELECT to_regclass('t')") == [(None,)]
    pg_bench.source("DELETE FROM t WHERE name IN ('again', 'no key')")
    assert pg_bench.run().rows_inserted == 3


def _trigger(bench: Workbench) -> None:
    bench.execute(
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
        "CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW WHEN (NEW.id < 0) EXECUTE FUNCTION f()",
    )


@pytest.mark.parametrize(
    ("fields", "prepare", "why"),
    [
        ({"verify": "values"}, None, "`verify: values` reads staging back"),
        ({"checks": [Check(name="c", sql="SELECT 1 FROM {table} WHERE id < 0", on="staging")]}, None, "checks ask"),
        ({"max_shrink_percent": 50}, None, "`max_shrink_percent` counts staged rows"),
        ({"merge_key": "id"}, None, "the key is checked in staging"),
        ({"merge_key": "id", "dedupe": "error"}, None, "`dedupe` compares staged rows"),
        ({"strategy": "incremental"}, None, "strategy incremental compares the destination with staged rows"),
        ({"on_schema_change": "add_columns"}, lambda b: b.execute("ALTER TABLE t DROP COLUMN amount"), "columns are added"),
        ({}, lambda b: b.execute("ALTER TABLE t ADD PRIMARY KEY (id)"), "only rows that differ are written"),
        ({}, _trigger, r"triggers of the destination \(x\) may change or keep rows"),
    ],
)  # fmt: skip
def test_where_staging_is_needed(
    pg_bench: Workbench, fields: dict[str, object], prepare: Callable[[Workbench], None] | None, why: str
) -> None:
    start(pg_bench, str(fields.pop("strategy", "full")), **fields)
    pg_bench.execute("CREATE TABLE t (id INTEGER, name TEXT, amount NUMERIC)")
    if prepare is not None:
        prepare(pg_bench)
    plan = pg_bench.engine.run("m", sessions=pg_bench.pool, dry_run=True).plan
    assert plan is not None
    assert plan.direct is None
    assert f"({why}" in plan.render().replace(" (x)", r" \(x\)")
    assert pg_bench.run().rows_staged == 3


def test_row_level_security_is_found(pg_bench: Workbench, postgresql: PostgreSQLServer) -> None:
    """COPY refuses such a table; a superuser is not held by it."""
    pg_bench.execute(
        "CREATE TABLE t (id INTEGER)", "ALTER TABLE t ENABLE ROW LEVEL SECURITY", "CREATE TABLE other (id INTEGER)"
    )
    dialect = pg_bench.engine._connections().dialect("dst")
    with postgresql.connect(_database(pg_bench), autocommit=False) as login:
        login.execute("CREATE ROLE plain_login_of_a_test")
        for role, table, found in (
            ("", "t", []),
            ("plain_login_of_a_test", "t", [("the destination has row-level security",)]),
            ("plain_login_of_a_test", "other", []),
        ):
            login.execute(f"SET ROLE {role or 'NONE'}")
            assert login.execute(dialect.no_bulk_load_sql(dialect.table_name(table)) or "").fetchall() == found
        login.rollback()


def _database(bench: Workbench) -> str:
    return bench.store.definitions.connection("dst").jdbc_url.rsplit("/", 1)[1].split("?")[0]


def test_a_dry_run_shows_the_way(pg_bench: Workbench) -> None:
    start(pg_bench, "upsert")
    plan = pg_bench.engine.run("m", sessions=pg_bench.pool, dry_run=True).plan
    assert plan is not None
    text = plan.render()
    order = [
        "in one transaction, without staging: the destination is new",
        "CREATE TABLE",
        "here come the rows",
        "CREATE UNIQUE",
    ]
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert "pipekit_staging" not in text
    pg_bench.replace(plan.module.model_copy(update={"staging": "always"}))
    plan = pg_bench.engine.run("m", sessions=pg_bench.pool, dry_run=True).plan
    assert plan is not None
    assert "here come the rows" not in plan.render()


def test_staging_that_an_earlier_run_left_is_taken_away(pg_bench: Workbench) -> None:
    start(pg_bench)
    pg_bench.execute("CREATE SCHEMA pipekit_staging", "CREATE TABLE pipekit_staging.m (id INTEGER)")
    assert pg_bench.run().rows_staged is None
    assert pg_bench.staging_left() == []


def test_a_load_that_the_database_took_back_is_done_by_way_of_staging(
    pg_bench: Workbench, postgresql: PostgreSQLServer
) -> None:
    """A lock that does not come in time: the rows are read again, and the merge is tried from staging until it comes."""
    start(pg_bench)
    pg_bench.execute("CREATE TABLE t (id INTEGER, name TEXT, amount NUMERIC)", "INSERT INTO t VALUES (9)")
    database = _database(pg_bench)
    pg_bench.execute(f"ALTER DATABASE {database} SET lock_timeout = '200ms'")
    with pg_bench.pool.session() as session:
        session.close()  # its connections have the old setting
    with postgresql.connect(database, autocommit=False) as rival:
        rival.execute("LOCK TABLE t IN SHARE MODE")

        def let_go(event: RunEvent) -> None:
            if "trying it again from staging" in (event.message or ""):
                rival.rollback()

        record = pg_bench.run(on_event=let_go)
    assert (record.status, record.rows_staged, record.rows_inserted, record.rows_deleted) == ("success", 3, 3, 1)
    said = log(record, pg_bench)
    assert "took the load back" in said
    assert "reading the rows again, into staging" in said
    assert record.merge_sql is not None
    assert "here come the rows" not in record.merge_sql
    with postgresql.connect(database, autocommit=False) as rival:
        rival.execute("LOCK TABLE t IN SHARE MODE")
        module = pg_bench.store.definitions.load().modules["m"]
        pg_bench.replace(module.model_copy(update={"retry_merge": 0}))
        with pytest.raises(MergeError, match="lock timeout"):
            pg_bench.run()


@pytest.mark.parametrize("strategy", ["full", "append"])
def test_a_run_whose_lock_was_taken_commits_nothing(main_bench: Workbench, strategy: str) -> None:
    start(main_bench, strategy)
    main_bench.execute(
        "CREATE TABLE t (id INTEGER, name VARCHAR(40), amount DECIMAL(12,2))", "INSERT INTO t (id) VALUES (9)"
    )

    def rob(event: RunEvent) -> None:
        if event.kind == "phase" and event.phase == "merge":
            main_bench.store.leases.release("module", "m", main_bench.store.leases.find("module", "m").token)  # type: ignore[union-attr]

    with pytest.raises(Interrupted):
        main_bench.run(on_event=rob)
    assert ids(main_bench) == ["9"]
    assert main_bench.run().status == "success"


def _loads(bench: Workbench) -> bool:
    """Whether rows are on their way straight into the table."""
    return bench.rows("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'COPY%\"t\"%' "
                      "AND state = 'active'") != [("0",)]  # fmt: skip


@pytest.mark.parametrize(
    ("dies", "exists"),
    [
        ("engine", False), ("jrunner", True), ("both", True), ("cancelled", False),
        *(pytest.param(*case, marks=pytest.mark.slow)
          for case in (("engine", True), ("jrunner", False), ("both", False), ("cancelled", True))),
    ],
)  # fmt: skip
def test_sigkill_while_the_rows_are_read(pg_bench: Workbench, dies: str, exists: bool) -> None:
    """Nobody sees a row of it; the run is told truthfully, and the next one is right."""
    start(pg_bench, query=ENDLESS)
    seen = "SELECT to_regclass('t')"
    if exists:
        pg_bench.execute("CREATE TABLE t (id BIGINT)", "INSERT INTO t VALUES (-1)")
        seen = "SELECT id FROM t"
    before = pg_bench.rows(seen)
    with child(pg_bench, "m") as process:
        wait_until(lambda: _loads(pg_bench), "the load")
        assert pg_bench.rows(seen) == before, "readers see the rows from before"
        lease = pg_bench.store.leases.find("module", "m")
        assert lease is not None
        assert lease.child is not None
        if dies == "cancelled":
            process.send_signal(signal.SIGINT)
        if dies in ("engine", "both"):
            process.kill()
        if dies in ("jrunner", "both"):
            os.kill(lease.child.pid, signal.SIGKILL)
        process.wait(LIMIT)
    _ended(pg_bench, lease.child)
    assert pg_bench.rows(seen) == before
    pg_bench.replace(pg_bench.store.definitions.load().modules["m"].model_copy(update={"query": "SELECT id FROM t"}))
    assert pg_bench.run().rows_inserted == 3
    assert ids(pg_bench) == ["1", "2", "3"]
    broken = pg_bench.store.runs.list("m")[-1]
    assert broken.status == ("cancelled" if dies == "cancelled" else "error")
    assert broken.phase == "stage"
    assert "outcome unknown" not in (broken.error or "")


def _ended(bench: Workbench, jrunner: ProcessName) -> None:
    wait_until(lambda: gone(jrunner), "the end of jrunner")
    wait_until(lambda: not _loads(bench), "the end of the load in the database")


@pytest.mark.parametrize("strategy", ["full", "append"])
def test_sigkill_before_the_commit(pg_bench: Workbench, strategy: str) -> None:
    """All rows are there and not committed: none is seen, and the next run is right."""
    start(pg_bench, strategy, query="SELECT * FROM t WHERE id > {last}" if strategy == "append" else "SELECT * FROM t",
          watermarks={"last": ("dst", "SELECT max(id) FROM t", "-1")} if strategy == "append" else {})  # fmt: skip
    process: subprocess.Popen[str] = child(pg_bench, "m", "merge")
    process.communicate(timeout=LIMIT)
    lease = pg_bench.store.leases.find("module", "m")
    assert lease is not None
    assert lease.child is not None
    _ended(pg_bench, lease.child)
    assert pg_bench.rows("SELECT to_regclass('t')") == [(None,)]
    record = pg_bench.run()
    assert (record.rows_inserted, ids(pg_bench)) == (3, ["1", "2", "3"])
    died = pg_bench.store.runs.list("m")[-1]
    assert (died.status, died.phase, died.rows_read) == ("error", "merge", 3)
    assert died.error is not None
    assert "outcome unknown" in died.error


def test_a_cancel_before_the_commit(main_bench: Workbench) -> None:
    start(main_bench, "append")
    main_bench.execute("CREATE TABLE t (id INTEGER, name VARCHAR(40), amount DECIMAL(12,2))")

    def cancel(event: RunEvent) -> None:
        if event.kind == "phase" and event.phase == "merge":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        main_bench.run(on_event=cancel)
    assert ids(main_bench) == []
    assert main_bench.store.runs.list("m")[0].status == "cancelled"
    assert main_bench.run().rows_inserted == 3


def test_a_request_to_cancel_while_the_rows_are_read(pg_bench: Workbench) -> None:
    start(pg_bench, query=ENDLESS)

    def cancel(event: RunEvent) -> None:
        if event.kind == "progress":
            pg_bench.store.runs.request_cancel(event.run_id)

    with pytest.raises(RunCancelled, match="the destination is as it was"):
        pg_bench.run(on_event=cancel)
    assert pg_bench.rows("SELECT to_regclass('t')") == [(None,)]
