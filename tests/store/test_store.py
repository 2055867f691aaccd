"""The state store: definitions, locks, runs, ticks, on SQLite and on PostgreSQL."""

from __future__ import annotations

import multiprocessing
import re
import stat
from collections.abc import Callable
from datetime import datetime, timedelta, timezone, tzinfo
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Boolean, make_url, text
from sqlalchemy.dialects.postgresql.psycopg import dialect as psycopg_dialect

from pipekit_engine.common.processes import ProcessName
from pipekit_engine.errors import ConfigurationError, NotFoundError, StoreError
from pipekit_engine.models import Column, Connection, Driver, Group, Hook, Module, Schedule, Watermark
from pipekit_engine.records.certificates import Certificate
from pipekit_engine.store import Change, Store, dbapi, leases, schema
from pipekit_engine.store.database import Database
from pipekit_engine.store.upgrade import HEAD, _alembic_config, known_revisions

LONG_AGO = datetime(2020, 1, 2, 3, 4, 5, 678901, tzinfo=timezone.utc)


class TestInit:
    def test_twice_and_what_is_missing(self, url: str) -> None:
        with pytest.raises(StoreError, match="Run `pipekit init`"):
            Store.open(url)
        first, second = Store.init(url), Store.init(url)
        assert first.changed
        assert not second.changed
        Store.open(url).close()

    def test_a_store_from_a_newer_pipekit_is_left_alone(self, url: str) -> None:
        Store.init(url)
        database = Database(url)
        with database.write() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        for call in (Store.open, Store.init):
            with pytest.raises(StoreError, match=r"of a newer pipekit \(revision 9999"):
                call(url)
        with database.read() as connection:
            assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == "9999"
        database.close()

    def test_head_is_the_newest_migration(self) -> None:
        assert max(known_revisions()) == HEAD

    def test_runs_of_an_older_store_have_no_count_of_unchanged_rows(self, url: str) -> None:
        from alembic import command

        database = Database(url)
        with database.write() as connection:
            config = _alembic_config()
            config.attributes["connection"] = connection
            command.upgrade(config, "0001")
        with database.write() as connection:
            connection.execute(
                text(
                    "INSERT INTO run_log (module, triggered_by, status, started_at, finished_at, rows_inserted) "
                    "VALUES ('m', 'manual', 'success', '2026-01-01 00:00:00', '2026-01-01 00:00:01', 7)"
                )
            )
        database.close()
        assert (Store.init(url).before, Store.init(url).before) == ("0001", HEAD)
        with Store.open(url) as store:
            record = store.runs.list()[0]
            assert (record.rows_inserted, record.rows_unchanged) == (7, None)

    def test_migrations_lead_to_the_schema(self, url: str) -> None:
        from alembic.autogenerate import compare_metadata
        from alembic.migration import MigrationContext

        Store.init(url)
        database = Database(url)
        with database.read() as connection:
            context = MigrationContext.configure(connection)
            differences = [item for item in compare_metadata(context, schema.metadata) if item[0] != "remove_table"]
        database.close()
        assert differences == []

    def test_plain_sql_reads_times_and_flags_as_the_schema_has_them(self) -> None:
        by_sqlalchemy = {"audit", "definitions_version", "token"}
        tables = [table for table in schema.metadata.sorted_tables if table.name not in by_sqlalchemy]
        kinds = {(column.name, type(column.type)) for table in tables for column in table.c}
        assert {name for name, kind in kinds if kind is schema.UTCDateTime} == dbapi._TIMES
        assert {name for name, kind in kinds if kind is Boolean} == dbapi._FLAGS
        assert not {name for name, kind in kinds if kind not in (schema.UTCDateTime, Boolean)} & (
            dbapi._TIMES | dbapi._FLAGS
        )

    def test_a_naive_time_is_refused(self, store: Store) -> None:
        with pytest.raises(ValueError, match="aware"), store._database.plain_write() as transaction:
            transaction.execute("UPDATE module SET running_since = :at", {"at": datetime(2026, 1, 1)})

    @pytest.mark.parametrize(
        ("url", "arguments"),
        [
            ("postgresql://u:p@h:5433/d", {"user": "u", "password": "p", "host": "h", "port": "5433", "dbname": "d"}),
            ("postgresql+psycopg://u@h/d", {"user": "u", "host": "h", "dbname": "d"}),
            ("postgresql://u:p%40@h/d", None),
            ("postgresql://u@h/d?sslmode=require", None),
            ("postgresql+psycopg2://u@h/d", None),
        ],
    )
    def test_a_url_that_needs_no_sqlalchemy_is_read_as_sqlalchemy_reads_it(
        self, url: str, arguments: dict[str, str] | None
    ) -> None:
        assert dbapi.postgresql_arguments(url) == arguments
        if arguments is not None:
            theirs = psycopg_dialect().create_connect_args(make_url(url))[1]
            assert {name: str(value) for name, value in theirs.items() if name in arguments} == arguments

    def test_a_read_only_file(self, tmp_path: Path) -> None:
        url = f"sqlite:///{tmp_path}/pipekit.db"
        Store.init(url)
        database = Database(url)
        with database.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA query_only = ON")
            with pytest.raises(Exception, match="readonly"):
                connection.exec_driver_sql("DELETE FROM module")
        database.close()

    def test_a_path_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(StoreError, match="cannot be made or opened"):
            Store.init(f"sqlite:///{tmp_path}/file/pipekit.db")

    def test_a_url_with_a_password_is_never_quoted(self) -> None:
        for url in ("nonsense://u:hidden-word@h/d", "://hidden-word"):
            with pytest.raises(StoreError) as caught:
                Store.open(url)
            assert "hidden-word" not in str(caught.value)


class TestDefinitions:
    def test_every_field_comes_back(self, store: Store) -> None:
        module = Module(
            name="n",
            source="c",
            dest="c",
            query="SELECT 'ü'",
            dest_table="a.b",
            strategy="upsert",
            merge_key=("x", "y"),
            columns=(Column(source_name="X", dest_name="x", dest_type="BIGINT"),),
            enabled=False,
            dedupe="latest by y",
            on_schema_change="ignore",
            retry=2,
            retry_merge=5,
            verify="values",
            watermarks=(Watermark(name="since", connection="c", resolver_sql="SELECT 1", default="0"),),
            hooks=(Hook(sql="ANALYZE", run_on="always", run_order=3), Hook(sql="x", connection="c")),
            tags={"team": "a"},
            split_by=("x",),
            parallel=4,
        )
        group = Group(name="h", layers=(("m",), ("n",)), max_parallel=3, on_failure="stop")
        schedule = Schedule(
            name="r", group="h", cron="@daily", timezone="Asia/Kathmandu", enabled=False, misfire_grace=60
        )
        for kind, record in (("modules", module), ("groups", group), ("schedules", schedule)):
            store.definitions.save([Change("create", kind, record.name, record)])  # type: ignore[arg-type, attr-defined]
        found = store.definitions.load()
        assert found.modules["n"] == store.definitions.module("n") == module
        assert found.groups["h"] == group
        assert found.schedules["r"] == schedule

    def test_a_note_of_the_sources_type_from_before_is_left_out(self, store: Store, url: str) -> None:
        database = Database(url)
        columns = '[{"source_name": "X", "source_type": "int", "dest_name": "x", "dest_type": null}]'
        with database.write() as connection:
            connection.execute(schema.module.update().values(columns_json=columns))
        database.close()
        assert store.definitions.module("m").columns == (Column(source_name="X", dest_name="x"),)

    def test_all_or_nothing(self, store: Store) -> None:
        before = store.definitions.fingerprint()
        good = Group(name="h", layers=(("m",),))
        bad = Group(name="i", layers=(("nobody",),))
        with pytest.raises(ConfigurationError, match=r"group i: members: There is no module 'nobody'"):
            store.definitions.save([Change("create", "groups", "h", good), Change("create", "groups", "i", bad)])
        assert store.definitions.fingerprint() == before

    def test_what_is_used_is_not_deleted(self, store: Store) -> None:
        for kind, name, user in (
            ("connections", "c", "module m"),
            ("modules", "m", "group g"),
            ("groups", "g", "schedule s"),
            ("drivers", "sqlite", "connection c"),
        ):
            with pytest.raises(ConfigurationError, match=f"{name} is still used by {user}"):
                store.definitions.save([Change("delete", kind, name)])  # type: ignore[arg-type]

    def test_a_change_leaves_locks_and_ticks_alone(self, store: Store) -> None:
        started = store.runs.start("m", triggered_by="manual")
        assert started is not None
        tick = datetime.now(timezone.utc) + timedelta(days=1)
        store.ticks.claim("s", tick)
        module = store.definitions.module("m").model_copy(update={"query": "SELECT 2"})
        schedule = store.definitions.schedule("s").model_copy(update={"cron": "0 3 * * *"})
        before = store.definitions.fingerprint()
        store.definitions.save([Change("change", "modules", "m", module), Change("change", "schedules", "s", schedule)])
        assert store.definitions.fingerprint() != before
        assert store.leases.held("module", "m", started[1])
        assert store.ticks.last_fired_at("s") == tick

    def test_neither_runs_nor_ticks_change_the_fingerprint(self, store: Store) -> None:
        before = store.definitions.fingerprint()
        started = store.runs.start("m", triggered_by="manual")
        assert started is not None
        store.runs.finish(started[0], "success")
        store.ticks.claim("s", datetime.now(timezone.utc) + timedelta(days=1))
        store.ticks.set_trigger_cursor("t", "5")
        assert store.definitions.fingerprint() == before

    def test_a_change_that_was_taken_back_is_told_from_none(self, store: Store) -> None:
        before, number = store.definitions.fingerprint(), store.definitions.last_change()
        module = store.definitions.module("m")
        for record in (module.model_copy(update={"query": "SELECT 2"}), module):
            store.definitions.save([Change("change", "modules", "m", record)])
        assert store.definitions.fingerprint() == before
        assert store.definitions.last_change() == number + 2
        with pytest.raises(ConfigurationError):
            store.definitions.save([Change("delete", "modules", "m")])
        assert store.definitions.last_change() == number + 2

    def test_a_row_edited_by_hand_changes_it_and_a_broken_one_hides_nothing(self, store: Store, url: str) -> None:
        before = store.definitions.fingerprint()
        database = Database(url)
        with database.write() as connection:
            connection.execute(text("UPDATE module SET strategy = 'sideways'"))
        database.close()
        assert store.definitions.fingerprint() != before
        found, broken = store.definitions.load_checked()
        assert found.groups["g"].members == ("m",)
        assert [(item.kind, item.name) for item in broken] == [("modules", "m")]
        assert "strategy" in broken[0].problem
        with pytest.raises(ConfigurationError, match="module m: strategy"):
            store.definitions.module("m")

    def test_the_nearest_name_is_offered(self, store: Store) -> None:
        with pytest.raises(NotFoundError, match="Did you mean 'm'"):
            store.definitions.module("mm")


class TestRuns:
    def test_start_locks_and_finish_frees_in_one_step(self, store: Store) -> None:
        started = store.runs.start("m", triggered_by="manual")
        assert started is not None
        run_id, token = started
        assert store.runs.start("m", triggered_by="manual") is None
        assert store.leases.held("module", "m", token)
        assert store.runs.finish(run_id, "success", rows_read=5_000_000_000)
        assert store.leases.all() == []
        assert not store.runs.finish(run_id, "error")
        assert store.runs.get(run_id).rows_read == 5_000_000_000

    def test_a_finished_run_is_final(self, store: Store) -> None:
        started = store.runs.start("m", triggered_by="manual")
        assert started is not None
        store.runs.finish(started[0], "success")
        with pytest.raises(StoreError, match="a finished run is never changed"):
            store.runs.append_log(started[0], "later")

    def test_finish_does_not_free_anothers_lock(self, store: Store) -> None:
        first = store.runs.start("m", triggered_by="manual")
        assert first is not None
        store.leases.release("module", "m", first[1])
        second = store.runs.start("m", triggered_by="manual")
        assert second is not None
        store.runs.finish(first[0], "error")
        assert store.leases.held("module", "m", second[1])

    def test_the_live_log_grows_and_is_cut_in_time(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("pipekit_engine.store.runs.LIVE_LOG_LIMIT", 20)
        started = store.runs.start("m", triggered_by="manual")
        assert started is not None
        store.runs.append_log(started[0], "one\n")
        assert store.runs.tail(started[0], 0) == "one\n"
        store.runs.append_log(started[0], "two\n")
        assert store.runs.tail(started[0], 4) == "two\n"
        assert store.runs.tail(started[0], 2**53 - 1) == ""
        store.runs.append_log(started[0], "x" * 50)
        store.runs.append_log(started[0], "gone")
        log = store.runs.get(started[0]).live_log
        assert log.endswith("\n… the log was cut here\n")
        assert "gone" not in log

    def test_prune(self, store: Store) -> None:
        group = store.group_runs.start("g", triggered_by="manual")
        assert group is not None
        old = store.runs.start("m", triggered_by="manual", group_run_id=group[0])
        assert old is not None
        store.runs.finish(old[0], "success")
        store.group_runs.finish(group[0], "success", group[1])
        running = store.runs.start("m", triggered_by="manual")
        assert running is not None
        assert store.runs.prune(timedelta(days=1)) == 0
        assert store.runs.prune(timedelta(seconds=-1)) == 1
        assert [run.id for run in store.runs.list()] == [running[0]]
        assert store.group_runs.list() == []
        store.runs.finish(running[0], "success")
        again = store.runs.start("m", triggered_by="manual")
        assert again is not None
        assert again[0] > running[0], "a pruned run's number is not given out again"

    def test_cancel_is_asked_for_only_while_it_runs(self, store: Store) -> None:
        started = store.runs.start("m", triggered_by="manual")
        assert started is not None
        assert store.runs.request_cancel(started[0])
        assert store.runs.cancel_requested(started[0])
        store.runs.finish(started[0], "cancelled")
        assert not store.runs.request_cancel(started[0])
        with pytest.raises(NotFoundError):
            store.runs.request_cancel(999)


class TestLeases:
    def test_an_owner_elsewhere_is_judged_by_its_heartbeat(self, store: Store, url: str) -> None:
        token = store.leases.acquire("module", "m")
        assert token is not None
        elsewhere = ProcessName("another-host", "another-boot", 1, "1")
        database = Database(url)
        with database.write() as connection:
            connection.execute(schema.module.update().values(running_owner=str(elsewhere)))
        lease = store.leases.find("module", "m")
        assert lease is not None
        assert not lease.abandoned()
        with database.write() as connection:
            connection.execute(schema.module.update().values(heartbeat_at=LONG_AGO))
        database.close()
        lease = store.leases.find("module", "m")
        assert lease is not None
        assert lease.abandoned()
        assert store.leases.renew("module", "m", token)
        assert not store.leases.renew("module", "m", "another token")
        assert not store.leases.release("module", "m", "another token")
        assert store.leases.release("module", "m", token)

    def test_the_stores_server_tells_the_time(self, store: Store, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Two machines' clocks may differ by more than a heartbeat may be late: a live run would be robbed."""
        if url.startswith("sqlite"):
            pytest.skip("a file has one machine, and one clock")
        assert store.leases.acquire("module", "m") is not None
        elsewhere = ProcessName("another-host", "another-boot", 1, "1")
        database = Database(url)
        with database.write() as connection:
            connection.execute(schema.module.update().values(running_owner=str(elsewhere)))
        database.close()

        class Ahead(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
                return datetime.now(tz) + timedelta(hours=1)

        monkeypatch.setattr(leases, "datetime", Ahead)
        lease = store.leases.find("module", "m")
        assert lease is not None
        assert not lease.abandoned()

    def test_two_machines_of_one_name(self, store: Store, url: str) -> None:
        """Another boot under this machine's name: a restart, unless the store is shared. Then it may be another machine."""
        assert store.leases.acquire("module", "m") is not None
        me = ProcessName.current()
        database = Database(url)
        with database.write() as connection:
            namesake = ProcessName(me.host, "another-boot", 1, "1")
            connection.execute(schema.module.update().values(running_owner=str(namesake)))
        database.close()
        lease = store.leases.find("module", "m")
        assert lease is not None
        assert lease.abandoned() == url.startswith("sqlite")

    def test_a_group_that_runs_again_is_not_ended_with_its_former_run(self, store: Store) -> None:
        """Two who find the same dead run: the second comes when the group is running again."""
        first = store.group_runs.start("g", triggered_by="manual")
        assert first is not None
        assert store.group_runs.abandon("g", first[1], "interrupted")
        second = store.group_runs.start("g", triggered_by="manual")
        assert second is not None
        assert not store.group_runs.abandon("g", first[1], "interrupted")
        assert store.group_runs.get(first[0]).status == "error"
        assert store.group_runs.get(second[0]).status == "running"
        assert store.leases.held("group", "g", second[1])

    def test_a_process_is_known_by_its_start(self) -> None:
        me = ProcessName.current()
        assert ProcessName.parse(str(me)) == me
        assert me.alive() is True
        assert ProcessName(me.host, me.boot, me.pid, "1").alive() is False, "another process had this number once"
        assert ProcessName("elsewhere", "b", me.pid, me.started).alive() is None


class TestTicks:
    def test_compare_and_set(self, store: Store) -> None:
        tick = datetime.now(timezone.utc) + timedelta(hours=1)
        assert store.ticks.claim("s", tick) == "claimed"
        assert store.ticks.claim("s", tick) == "same"
        assert store.ticks.claim("s", tick - timedelta(minutes=1)) == "past"
        assert store.ticks.claim("s", tick + timedelta(minutes=1)) == "claimed"
        with pytest.raises(NotFoundError):
            store.ticks.claim("nobody", tick)

    def test_an_edit_never_fires_a_past_tick(self, store: Store) -> None:
        assert store.ticks.claim("s", datetime.now(timezone.utc) - timedelta(minutes=1)) == "past"


def _processes(number: int) -> Pool:
    """Processes that start quickly: the store is imported once, before they fork off."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pipekit_engine.store", __name__])
    return context.Pool(number)


def _write_a_lot(url: str, number: int) -> int:
    with Store.open(url) as store:
        won = 0
        for _ in range(3):
            started = store.runs.start("m", triggered_by=f"process {number}")
            if started is not None:
                store.runs.append_log(started[0], "line\n")
                store.runs.finish(started[0], "success")
                won += 1
            store.ticks.set_trigger_cursor("t", str(number))
        return won


def test_the_newest_runs_of_each_module_are_one_query(store: Store) -> None:
    module = store.definitions.module("m")
    store.definitions.save(
        [Change("create", "modules", name, module.model_copy(update={"name": name})) for name in "xy"]
    )
    for name, statuses in (("m", ["success", "error", "success", "dry_run"]), ("x", ["dry_run"])):
        for status in statuses:
            started = store.runs.start(name, triggered_by="manual")
            assert started is not None
            store.runs.finish(started[0], status)
    newest = store.runs.newest_of_each(2)
    assert {name: [run.status for run in runs] for name, runs in newest.items()} == {"m": ["success", "error"]}
    assert [run.status for run in store.runs.newest_of_each(9, ["m"])["m"]] == ["success", "error", "success"]
    assert store.runs.newest_of_each(1, ["x", "y"]) == {}
    assert [run.status for run in store.runs.list(before=newest["m"][0].id)] == ["error", "success"]


@pytest.mark.sample(2)
def test_fifty_processes_write_at_once(store: Store, url: str) -> None:
    """No `database is locked`, and every run that was begun is there, ended."""
    with _processes(50) as pool:
        won = pool.starmap(_write_a_lot, [(url, number) for number in range(50)], chunksize=1)
    runs = store.runs.list(limit=None)
    assert len(runs) == sum(won) > 0
    assert {run.status for run in runs} == {"success"}
    assert store.leases.all() == []


def test_init_by_two_processes_at_once(url: str) -> None:
    with _processes(4) as pool:
        reports = pool.map(Store.init, [url] * 4)
    assert sum(report.changed for report in reports) == 1
    Store.open(url).close()


def test_the_state_file_is_not_made_wider_than_it_was(tmp_path: Path) -> None:
    path = tmp_path / "pipekit.db"
    Store.init(f"sqlite:///{path}")
    path.chmod(0o640)
    Store.init(f"sqlite:///{path}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_certificate_is_the_newest_and_goes_with_its_connection(store: Store) -> None:
    certificate = Certificate(
        connection="dw", kind="sqlite", product="SQLite", product_version="3", driver="d", driver_version="1", pipekit="0",
        certified_at=datetime(2026, 1, 2, tzinfo=timezone.utc), held=5, refused=1, broken=("keys: case",),
    )  # fmt: skip
    with pytest.raises(NotFoundError):
        store.certificates.save(certificate)
    store.definitions.save(
        [
            Change("create", "drivers", "sqlite", Driver(name="sqlite", kind="sqlite")),
            Change("create", "connections", "dw", Connection(name="dw", driver="sqlite", jdbc_url="jdbc:sqlite:x")),
        ]
    )
    store.certificates.save(certificate)
    newest = certificate.model_copy(update={"held": 6, "broken": ()})
    assert store.certificates.all() == {"dw": certificate}
    store.certificates.save(newest)
    assert store.certificates.all() == {"dw": newest}
    store.definitions.save([Change("delete", "connections", "dw")])
    assert store.certificates.all() == {}


@pytest.mark.parametrize(
    "ask",
    [
        lambda store: store.leases.all(),
        lambda store: store.runs.orphans(),
        lambda store: store.runs.running("token"),
        lambda store: store.runs.list("m", limit=50),
        lambda store: store.runs.list(status="running", limit=20),
        lambda store: store.runs.prune(timedelta(days=30)),
        lambda store: store.group_runs.unfinished(),
        lambda store: store.definitions.module("m"),
        lambda store: store.definitions.group("g"),
        lambda store: store.definitions.schedule("s"),
        lambda store: store.definitions.trigger("t"),
    ],
    ids=[
        "locks",
        "orphans",
        "holder",
        "runs of a module",
        "what runs",
        "prune",
        "group runs",
        "module",
        "group",
        "schedule",
        "trigger",
    ],
)
def test_what_is_asked_all_the_time_reads_no_table_from_end_to_end(
    store: Store, monkeypatch: pytest.MonkeyPatch, ask: Callable[[Store], object]
) -> None:
    """With 100,000 modules and a million runs, every worker would read all of them every few seconds."""
    execute, plans = dbapi.Transaction.execute, list[str]()

    def explained(self: dbapi.Transaction, sql: str, values: dict[str, Any] | None = None) -> dbapi.Result:
        if not self.is_sqlite:
            # The tables of a test are small: the planner is to look for an index all the same.
            execute(self, "SET LOCAL enable_seqscan = off")
        rows = execute(self, f"{'EXPLAIN QUERY PLAN' if self.is_sqlite else 'EXPLAIN'} {sql}", values).rows
        plans.extend(str(row.get("detail", row.get("QUERY PLAN"))) for row in rows)
        return execute(self, sql, values)

    monkeypatch.setattr(dbapi.Transaction, "execute", explained)
    ask(store)
    assert plans
    assert not [line for line in plans if "Seq Scan" in line or re.match(r"SCAN \w+$", line)], "\n".join(plans)
