"""What else a run promises: hooks, schema changes, clear errors, truthful records, free locks."""

from __future__ import annotations

import threading

import pytest

from pipekit_engine.config import JRunnerConfig
from pipekit_engine.engine import Engine
from pipekit_engine.errors import (
    ConfigurationError,
    ConnectError,
    DestinationError,
    HookError,
    ModuleLocked,
    NotFoundError,
    PipekitError,
    RunCancelled,
    RuntimeMissing,
    SecretError,
    SourceError,
    StagingError,
)
from pipekit_engine.jrunner.pool import SessionPool
from pipekit_engine.models import Column, Hook
from pipekit_engine.running import module_run
from pipekit_engine.running.cancellation import CancelToken
from pipekit_engine.running.events import RunEvent
from pipekit_engine.running.monitor import RunMonitor
from pipekit_engine.security.redact import Redactor
from tests.jars import PINNED
from tests.jrunner.test_external import stand_in
from tests.running.workbench import Workbench
from tests.waiting import wait_until


def small(bench: Workbench, **fields: object) -> None:
    bench.source("CREATE TABLE t (id INTEGER, name TEXT)")
    bench.fill("t", [(1, "a"), (2, "b")])
    bench.module(**fields)


def failed(bench: Workbench, error: type[PipekitError], match: str, **options: object) -> str:
    """Run `m`, which must fail; its error text from run_log. The lock must be free and staging gone."""
    with pytest.raises(error, match=match):
        bench.run(**options)
    record = bench.store.runs.list(module="m")[0]
    assert record.status == "error"
    assert bench.store.leases.all() == []
    assert not list(bench.folder.glob("*.staging*"))
    return record.error or ""


@pytest.mark.parametrize("behaviour", ["talks", "talks-and-fails"])
def test_what_an_external_jrunner_says_is_kept(bench: Workbench, behaviour: str) -> None:
    """Its stdout and its stderr apart, whether it worked or not, and without the addresses' passwords."""
    bench.connect("own", "sqlite", f"jdbc:sqlite:{bench.folder}/own.db", "u", "s3ntinel-said")
    bench.source("CREATE TABLE t (id INTEGER)")
    bench.module(dest="own")
    config = bench.config.model_copy(update={"jrunner": JRunnerConfig(command=stand_in(behaviour))})
    engine = Engine(config)
    if behaviour == "talks":
        engine.run("m")
    else:
        with pytest.raises(StagingError, match="ended with status 3"):
            engine.run("m")
    engine.close()
    record = bench.store.runs.get(bench.store.runs.list(module="m")[0].id)
    assert record.stdout.startswith("0 rows for jdbc:sqlite:")
    assert record.stderr == "an old driver"


class TestHooks:
    def test_they_run_in_order_on_their_connection(self, bench: Workbench) -> None:
        small(
            bench,
            hooks=(
                Hook(sql="INSERT INTO log VALUES ('second')", run_order=2),
                Hook(sql="CREATE TABLE IF NOT EXISTS log (w TEXT); INSERT INTO log VALUES ('fi;rst')", run_order=1),
                Hook(sql="CREATE TABLE seen AS SELECT 1 AS one", connection="src", run_order=3),
                Hook(sql="INSERT INTO log VALUES ('failed')", run_on="failure"),
                Hook(sql="INSERT INTO log VALUES ('third')", run_on="always", run_order=4),
            ),
        )
        bench.run()
        assert bench.rows("SELECT w FROM log") == [("fi;rst",), ("second",), ("third",)]
        assert bench.rows("SELECT one FROM seen", "src") == [("1",)]

    def test_one_that_fails_says_that_the_merge_was_committed(self, main_bench: Workbench) -> None:
        small(main_bench, hooks=(Hook(sql="INSERT INTO nowhere VALUES (1)"),))
        with pytest.raises(
            HookError, match=r"The merge was committed; a hook \(run_on success\) failed on dst"
        ) as caught:
            main_bench.run()
        assert caught.value.merge_committed
        assert len(main_bench.rows("SELECT id FROM t")) == 2
        assert main_bench.store.runs.list()[0].status == "error"

    def test_failure_hooks_run_after_a_failure(self, bench: Workbench) -> None:
        bench.execute("CREATE TABLE log (w TEXT)")
        small(
            bench,
            hooks=(
                Hook(sql="INSERT INTO log VALUES ('ok')"),
                Hook(sql="INSERT INTO log VALUES ('bad')", run_on="failure"),
                Hook(sql="INSERT INTO log VALUES ('any')", run_on="always"),
            ),
        )
        bench.execute("CREATE TABLE t (id INTEGER CHECK (id < 2), name TEXT)")
        failed(bench, PipekitError, "rolled back")
        assert bench.rows("SELECT w FROM log") == [("any",), ("bad",)]

    @pytest.mark.parametrize("phase", ["no value", "resolve", "query", "describe", "connect", "placeholder"])
    def test_they_run_whatever_failed(self, main_bench: Workbench, phase: str) -> None:
        """They once needed a plan, and a run that failed before it had one ran none of them."""
        small(main_bench)
        main_bench.execute("CREATE TABLE bell (w TEXT)")
        since = {"no value": "SELECT NULL", "resolve": "SELECT max(id) FROM nowhere"}.get(phase, "SELECT 1")
        main_bench.connect("lost", "sqlite", "jdbc:sqlite:/nowhere/at/all.db")
        main_bench.module(
            "night",
            source="lost" if phase == "connect" else "src",
            query={
                "query": "SELECT id FROM gone WHERE id >= {since}",
                "describe": "SELECT id, name, 1 AS more FROM t WHERE id >= {since}",
                "placeholder": "SELECT id FROM t WHERE id >= {sinc}",
            }.get(phase, "SELECT id FROM t WHERE id >= {since}"),
            dest_table="t",
            watermarks={"since": ("src", since, None)},
            hooks=(
                Hook(sql="INSERT INTO bell VALUES ('ok')"),
                Hook(sql="INSERT INTO bell VALUES ('bad')", run_on="failure"),
                Hook(sql="INSERT INTO bell VALUES ('any')", run_on="always"),
            ),
        )
        if phase == "describe":
            main_bench.execute("CREATE TABLE t (id INTEGER)")
        with pytest.raises(PipekitError):
            main_bench.run("night")
        assert main_bench.rows("SELECT w FROM bell") == [("any",), ("bad",)]
        with pytest.raises(PipekitError):
            main_bench.run("night", dry_run=True)
        assert len(main_bench.rows("SELECT w FROM bell")) == 2

    @pytest.mark.parametrize("phase", ["resolve", "plan", "stage", "merge"])
    def test_they_run_after_a_cancel(self, main_bench: Workbench, phase: str) -> None:
        main_bench.execute("CREATE TABLE bell (w TEXT)")
        small(main_bench, hooks=(Hook(sql="INSERT INTO bell VALUES ('any')", run_on="always"),))
        cancel = threading.Event()

        def watch(event: RunEvent) -> None:
            if event.kind == "phase" and event.phase == phase:
                cancel.set()

        with pytest.raises(RunCancelled):
            main_bench.run(cancel=cancel, on_event=watch)
        assert main_bench.rows("SELECT w FROM bell") == [("any",)]

    @pytest.mark.postgresql
    @pytest.mark.parametrize("when", ["before the hook", "in the hook"])
    def test_a_hook_that_hangs_does_not_keep_a_cancelled_run(
        self, pg_bench: Workbench, monkeypatch: pytest.MonkeyPatch, when: str
    ) -> None:
        """Nothing could end it: whoever pressed Ctrl-C waited for the hook, or had to kill."""
        monkeypatch.setattr(module_run, "HOOKS_AFTER_CANCEL_S", 1.0)
        query = "SELECT * FROM t" if when == "before the hook" else "SELECT * FROM nowhere"
        small(pg_bench, query=query, hooks=(Hook(sql="SELECT pg_sleep(600)", run_on="failure"),))
        cancel = threading.Event()

        def watch(event: RunEvent) -> None:
            if when == "before the hook" and event.phase == "stage":
                cancel.set()

        def cancel_later() -> None:
            asked = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(600)%' AND state = 'active'"
            wait_until(lambda: bool(pg_bench.rows(asked)), "the hook")
            cancel.set()

        thread = threading.Thread(target=cancel_later)
        if when == "in the hook":
            thread.start()
        with (
            pytest.raises(RunCancelled if when == "before the hook" else SourceError) as caught,
            SessionPool(1) as pool,
        ):
            pg_bench.engine.run("m", sessions=pool, cancel=cancel, on_event=watch)
        if when == "in the hook":
            thread.join()
        assert caught.value.record is not None
        assert "hook on failure cancelled: SELECT pg_sleep(600)" in caught.value.record.live_log
        assert pg_bench.store.leases.all() == []


class TestSchemaChange:
    def test_fail_names_every_difference(self, main_bench: Workbench) -> None:
        small(main_bench)
        main_bench.execute("CREATE TABLE t (id TIMESTAMP NULL, extra INTEGER)")
        text = failed(main_bench, DestinationError, "does not fit")
        assert "column id is" in text
        assert "column name is missing" in text
        assert "column extra is not in the query" in text
        assert main_bench.rows("SELECT * FROM t") == []

    def test_add_columns(self, main_bench: Workbench) -> None:
        small(main_bench, on_schema_change="add_columns")
        main_bench.run()
        main_bench.source("ALTER TABLE t ADD COLUMN more TEXT DEFAULT 'm'")
        main_bench.run()
        assert main_bench.rows("SELECT id, more FROM t") == [("1", "m"), ("2", "m")]

    def test_ignore_leaves_out_what_the_destination_lacks(self, main_bench: Workbench) -> None:
        small(main_bench, on_schema_change="ignore")
        main_bench.execute("CREATE TABLE t (id INTEGER, extra INTEGER)")
        main_bench.run()
        assert main_bench.rows("SELECT id, extra FROM t") == [("1", None), ("2", None)]

    def test_columns_are_matched_by_name(self, main_bench: Workbench) -> None:
        small(main_bench)
        main_bench.execute("CREATE TABLE t (name VARCHAR(9), id INTEGER)")
        main_bench.run()
        assert main_bench.rows("SELECT id, name FROM t") == [("1", "a"), ("2", "b")]

    def test_renamed_columns_with_types_of_their_own(self, main_bench: Workbench) -> None:
        small(
            main_bench,
            columns=(
                Column(source_name="ID", dest_name="key", dest_type="BIGINT"),
                Column(source_name="name", dest_name="label", dest_type="VARCHAR(40)"),
            ),
            strategy="upsert",
            merge_key="key",
        )
        main_bench.run()
        main_bench.run()
        quote = "`" if main_bench.store.definitions.connection("dst").driver == "mariadb" else '"'
        assert main_bench.rows(f"SELECT {quote}key{quote}, label FROM t") == [("1", "a"), ("2", "b")]


class TestClearErrors:
    def test_a_wrong_column(self, main_bench: Workbench) -> None:
        small(main_bench, query="SELECT id, wrong FROM t")
        text = failed(main_bench, SourceError, "no such column: wrong")
        assert "in: SELECT id, wrong FROM t" in text
        assert "connection src" in text

    def test_columns_of_one_name(self, bench: Workbench) -> None:
        small(bench, query="SELECT id, id, name AS x, name AS x FROM t")
        failed(bench, SourceError, r"several columns named id, x\. Name them apart with AS")

    def test_names_that_differ_in_case_alone(self, bench: Workbench) -> None:
        small(bench, query='SELECT id, name AS "ID" FROM t')
        failed(bench, DestinationError, "would both become")

    def test_a_key_that_the_query_lacks(self, bench: Workbench) -> None:
        small(bench, strategy="upsert", merge_key="idd")
        failed(bench, ConfigurationError, r"merge_key: There is no column 'idd'\. Did you mean 'id'")

    def test_a_destination_that_is_staging(self, bench: Workbench) -> None:
        small(bench, dest_table="pipekit_staging.m")
        failed(bench, DestinationError, "also where module 'm' stages its rows")

    def test_an_unknown_module(self, bench: Workbench) -> None:
        small(bench)
        with pytest.raises(NotFoundError, match="no module 'n'"):
            bench.run("n")

    def test_an_unset_secret(self, bench: Workbench) -> None:
        bench.source("CREATE TABLE t (id INTEGER)")
        bench.connect("other", "postgresql", "jdbc:postgresql://127.0.0.1:1/x", "me", "secret")
        bench.engine.config.secrets_file.write_text("")
        bench.module(dest="other")
        failed(bench, SecretError, r"\$OTHER_PW is not set")

    def test_an_unreachable_host(self, bench: Workbench) -> None:
        bench.source("CREATE TABLE t (id INTEGER)")
        bench.connect("other", "postgresql", "jdbc:postgresql://127.0.0.1:1/x", "me", "hidden-word")
        bench.module(dest="other")
        text = failed(bench, ConnectError, r"Connection 'other' \(PostgreSQL\) could not be opened")
        assert "hidden-word" not in text

    def test_a_missing_jar(self, bench: Workbench) -> None:
        bench.config.jars.remove(PINNED)
        bench.source("CREATE TABLE t (id INTEGER)")
        bench.connect("other", "oracle", "jdbc:oracle:thin:@//127.0.0.1:1/x", "me", "pw")
        bench.module(dest="other")
        failed(bench, RuntimeMissing, r"No JDBC jar for driver 'oracle': looked for ojdbc\*\.jar in /usr/share/java")


class TestCancel:
    def endless(self, bench: Workbench) -> None:
        bench.source("CREATE TABLE t (id INTEGER)")
        bench.module(query="WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) SELECT id FROM n")
        bench.execute("CREATE TABLE t (id INTEGER)", "INSERT INTO t VALUES (7)")

    def test_by_the_caller(self, main_bench: Workbench) -> None:
        self.endless(main_bench)
        cancel = threading.Event()

        def stop(event: object) -> None:
            if getattr(event, "kind", "") == "progress":
                cancel.set()

        with pytest.raises(RunCancelled, match="was cancelled; the destination is as it was"):
            main_bench.run(cancel=cancel, on_event=stop)
        self.check(main_bench)

    def test_from_another_process(self, main_bench: Workbench) -> None:
        self.endless(main_bench)

        def ask(event: object) -> None:
            if getattr(event, "kind", "") == "progress":
                main_bench.engine.cancel(main_bench.store.runs.list()[0].id)

        with pytest.raises(RunCancelled):
            main_bench.run(on_event=ask)
        self.check(main_bench)

    def check(self, bench: Workbench) -> None:
        assert bench.store.runs.list()[0].status == "cancelled"
        assert bench.store.leases.all() == []
        assert bench.rows("SELECT id FROM t") == [("7",)]
        assert bench.staging_left() == []
        # The session goes on.
        bench.module("after", query="SELECT 1 AS id", dest_table="after_t")
        assert bench.run("after").status == "success"


class TestLock:
    def test_a_second_run_fails_at_once(self, bench: Workbench) -> None:
        small(bench)
        token = bench.store.leases.acquire("module", "m")
        with pytest.raises(ModuleLocked, match=r"Module 'm' is being run by process \d+ on .* since"):
            bench.run()
        assert token is not None
        bench.store.leases.release("module", "m", token)
        assert bench.run().status == "success"

    def test_a_run_that_lost_its_lock_does_not_write(self, bench: Workbench) -> None:
        small(bench)

        def rob(event: object) -> None:
            if getattr(event, "kind", "") == "phase" and getattr(event, "phase", "") == "verify":
                bench.engine.unlock("m", force=True)

        with pytest.raises(PipekitError, match="must not write"):
            bench.run(on_event=rob)
        with pytest.raises(PipekitError):
            bench.rows("SELECT * FROM t")
        assert "unlocked by hand" in (bench.store.runs.list()[0].error or "")

    def test_unlock_leaves_a_live_owner_alone(self, bench: Workbench) -> None:
        small(bench)
        bench.store.leases.acquire("module", "m")
        with pytest.raises(ModuleLocked, match="which is alive"):
            bench.engine.unlock("m")
        assert bench.engine.unlock("m", force=True) is not None
        assert bench.engine.unlock("m") is None
        with pytest.raises(NotFoundError):
            bench.engine.unlock("mm")


class TestRecord:
    def test_what_a_run_leaves_to_read(self, bench: Workbench) -> None:
        small(bench, strategy="incremental", merge_key="id")
        record = bench.store.runs.get(bench.run(triggered_by="schedule:3").id)
        assert record.triggered_by == "schedule:3"
        assert record.source_sql == "SELECT * FROM t"
        assert set(record.timings) == {"resolve", "plan", "stage", "verify", "merge", "hooks"}
        assert "2 rows read, 2 written by" in record.live_log
        assert "committed: 2 inserted" in record.live_log
        assert record.bytes is not None
        assert record.duration_s is not None

    def test_the_database_keeps_a_finished_run_as_it_was(self, bench: Workbench) -> None:
        small(bench)
        record = bench.run()
        with pytest.raises(PipekitError, match="a finished run is never changed"):
            bench.store.runs.update(record.id, phase="stage")

    def test_a_long_run_does_not_fill_its_log_with_progress(self, bench: Workbench) -> None:
        """Each line rewrites the whole log in the store: one a second would be gigabytes for a run of some hours."""
        small(bench)
        started = bench.store.runs.start("m", triggered_by="manual")
        assert started is not None
        events: list[RunEvent] = []
        monitor = RunMonitor(
            bench.store,
            module="m",
            run_id=started[0],
            token=started[1],
            cancel=CancelToken(),
            redactor=Redactor(),
            on_event=events.append,
        )
        hours = 12 * 3600
        for second in range(1, hours + 1):
            monitor.progress(second * 1000, second, float(second))
        monitor.flush()
        bench.store.runs.finish(started[0], "success")
        lines = bench.store.runs.get(started[0]).live_log.splitlines()
        assert len(events) == hours
        assert 100 <= len(lines) < 2000
        assert "1,000 rows" in lines[0]
