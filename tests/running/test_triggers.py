"""Triggers of the destination that keep rows or write other values: told, or refused, never a silent wrong row."""

from __future__ import annotations

import pytest

from pipekit_engine.errors import MergeError
from tests.running.workbench import Workbench

ROWS = [(1, "one"), (2, "two"), (3, "three")]
STRATEGIES = ["full", "incremental", "upsert"]


def start(bench: Workbench, *, key: str = "PRIMARY KEY") -> None:
    bench.source("CREATE TABLE t (id INTEGER, name TEXT)")
    bench.fill("t", ROWS)
    bench.execute(f"CREATE TABLE t (id INTEGER NOT NULL {key}, name VARCHAR(40))")


def module(bench: Workbench, name: str, strategy: str, **fields: object) -> None:
    bench.module(name, strategy=strategy, **({} if strategy == "full" else {"merge_key": "id"}), **fields)


def trigger(bench: Workbench, event: str, body: str) -> None:
    """A row trigger whose body is written for each kind: PostgreSQL's function, MariaDB's statement, SQLite's."""
    kind = bench.store.definitions.connection("dst").driver
    if kind == "postgresql":
        bench.execute(
            f"CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$",
            f"CREATE TRIGGER meddler BEFORE {event} ON t FOR EACH ROW EXECUTE FUNCTION meddle()",
        )
    else:
        verb = event.partition(" ")[0]
        when, body = ("BEFORE", body) if kind == "mariadb" else ("AFTER", f"BEGIN {body} END")
        bench.execute(f"CREATE TRIGGER meddler {when} {verb} ON t FOR EACH ROW {body}")


SHOUTS = {
    "postgresql": "NEW.name := upper(NEW.name); RETURN NEW;",
    "mariadb": "SET NEW.name = upper(NEW.name)",
    "sqlite": "UPDATE t SET name = upper(name) WHERE id = NEW.id;",
}


@pytest.mark.parametrize("keyed", [True, False])
def test_values_that_an_insert_trigger_changes_are_told_or_refused(main_bench: Workbench, keyed: bool) -> None:
    start(main_bench, key="PRIMARY KEY" if keyed else "")
    kind = main_bench.store.definitions.connection("dst").driver
    trigger(main_bench, "INSERT", SHOUTS[kind])
    for strategy in STRATEGIES if keyed else ["full"]:
        main_bench.execute("DELETE FROM t")
        module(main_bench, f"strict_{strategy}", strategy, verify="values")
        with pytest.raises(MergeError, match=r"(?s)found 3 rows, expected 0.*[Tt]rigger"):
            main_bench.run(f"strict_{strategy}")
        assert main_bench.rows("SELECT id FROM t") == []
        module(main_bench, strategy, strategy)
        record = main_bench.run(strategy)
        assert record.status == "success"
        assert "warning: 3 rows of" in record.live_log
        assert "are not as read: changed or kept by a trigger of it (meddler)" in record.live_log
        assert (record.rows_inserted, record.rows_updated) == (3, 0)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.sample(3)
def test_triggers_that_change_nothing_are_not_worth_a_word(main_bench: Workbench, strategy: str) -> None:
    start(main_bench)
    kind = main_bench.store.definitions.connection("dst").driver
    calm = {"postgresql": "RETURN NEW;", "mariadb": "SET @seen = 1", "sqlite": "SELECT 1;"}[kind]
    trigger(main_bench, "INSERT OR UPDATE", calm)
    module(main_bench, "m", strategy, verify="values")
    for number in range(3):
        record = main_bench.run()
        assert "warning" not in record.live_log
        main_bench.source(
            f"UPDATE t SET name = 'round {number}' WHERE id = 2", f"INSERT INTO t VALUES (1{number}, 'new')"
        )


@pytest.mark.parametrize("verify", ["counts", "values"])
def test_an_update_that_a_trigger_undoes(main_bench: Workbench, verify: str) -> None:
    """PostgreSQL counts the row as updated all the same, and so do MariaDB and SQLite."""
    start(main_bench)
    kind = main_bench.store.definitions.connection("dst").driver
    module(main_bench, "m", "upsert", verify=verify)
    main_bench.run()
    undo = {
        "postgresql": "IF NEW.id = 2 THEN RETURN OLD; END IF; RETURN NEW;",
        "mariadb": "SET NEW.name = IF(NEW.id = 2, OLD.name, NEW.name)",
        "sqlite": "UPDATE t SET name = OLD.name WHERE id = 2 AND NEW.id = 2;",
    }
    trigger(main_bench, "UPDATE", undo[kind])
    main_bench.source("UPDATE t SET name = name || '!'")
    if verify == "values":
        with pytest.raises(MergeError, match=r"(?s)found 1 row, expected 0.*[Tt]rigger"):
            main_bench.run()
        assert [row[1] for row in main_bench.rows("SELECT id, name FROM t")] == ["one", "two", "three"]
        return
    record = main_bench.run()
    assert "warning: 1 row of" in record.live_log
    assert "is not as read" in record.live_log
    assert [row[1] for row in main_bench.rows("SELECT id, name FROM t")] == ["one!", "two", "three!"]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_rows_that_a_trigger_keeps_take_the_merge_back(pg_bench: Workbench, strategy: str) -> None:
    start(pg_bench)
    module(pg_bench, "m", strategy)
    pg_bench.run()
    trigger(
        pg_bench, "UPDATE" if strategy == "upsert" else "INSERT", "IF NEW.id = 2 THEN RETURN NULL; END IF; RETURN NEW;"
    )
    pg_bench.source("UPDATE t SET name = name || '!'")
    with pytest.raises(MergeError, match=r"(?s)expected 3.*[Tt]rigger"):
        pg_bench.run()
    assert [row[1] for row in pg_bench.rows("SELECT id, name FROM t")] == ["one", "two", "three"]


def test_triggers_that_the_login_may_not_see(request: pytest.FixtureRequest, main_bench: Workbench) -> None:
    """MariaDB's catalogue shows none without the privilege TRIGGER."""
    if main_bench.store.definitions.connection("dst").driver != "mariadb":
        pytest.skip("others show them")
    start(main_bench)
    trigger(main_bench, "INSERT", SHOUTS["mariadb"])
    server = request.getfixturevalue("mariadb")
    database = main_bench.store.definitions.connection("dst").jdbc_url.rpartition("/")[2].partition("?")[0]
    rights = "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, INDEX, ALTER, LOCK TABLES"
    login = f"'low_{database[-8:]}'@'%'"
    server.sql(
        database,
        f"CREATE USER {login} IDENTIFIED BY 'low'; CREATE DATABASE IF NOT EXISTS {database}_staging; "
        f"GRANT {rights} ON {database}.* TO {login}; GRANT {rights} ON {database}_staging.* TO {login}",
    )
    try:
        main_bench.connect(
            "low",
            "mariadb",
            server.jdbc_url(database),
            login.split("'")[1],
            "low",
            staging_schema=f"{database}_staging",
        )
        module(main_bench, "m", "upsert", dest="low")
        record = main_bench.run()
        assert "3 rows of" in record.live_log
        assert "any that the login may not see)" in record.live_log
        server.sql(database, f"DELETE FROM t; DROP TRIGGER meddler; GRANT TRIGGER ON {database}.* TO {login}")
        plan = main_bench.engine.run("m", sessions=main_bench.pool, dry_run=True).plan
        assert plan is not None
        assert plan.triggers == ()
    finally:
        server.sql("", f"DROP USER {login}")
