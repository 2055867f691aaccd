"""Merges write only what changes: rows that are there already fire no trigger, and what differs in the least is written."""

from __future__ import annotations

import pytest

from pipekit_engine.databases.dialects.postgresql import PostgreSQL
from pipekit_engine.errors import MergeError
from pipekit_engine.models import RunRecord
from pipekit_engine.running import verification
from tests.running.workbench import Workbench

STRATEGIES = ["full", "incremental", "upsert"]
ROWS = [(1, "one", "1.50"), (2, None, "2.25"), (3, "", None), (4, "a", "0.00")]


def start(bench: Workbench, strategy: str, *, key: str = "PRIMARY KEY", **fields: object) -> None:
    """Rows at the source, and a destination of one's own."""
    bench.source("CREATE TABLE t (id INTEGER, name TEXT, amount DECIMAL(12,2))")
    bench.fill("t", ROWS)
    bench.execute(f"CREATE TABLE t (id INTEGER NOT NULL {key}, name VARCHAR(40), amount DECIMAL(12,2))")
    bench.module(strategy=strategy, **{**({} if strategy == "full" else {"merge_key": "id"}), **fields})


def counts(record: RunRecord) -> tuple[int | None, ...]:
    return record.rows_inserted, record.rows_updated, record.rows_deleted, record.rows_unchanged


def count_writes(bench: Workbench) -> None:
    """Triggers on the destination that write down each row that is written."""
    bench.execute("CREATE TABLE written (what VARCHAR(10))")
    kind = bench.store.definitions.load().connections["dst"].driver
    if kind == "postgresql":
        bench.execute(
            "CREATE FUNCTION count_write() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN INSERT INTO written VALUES (TG_OP); RETURN NULL; END $$",
            "CREATE TRIGGER w AFTER INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION count_write()",
        )
        return
    for verb in ("INSERT", "UPDATE", "DELETE"):
        body = f"INSERT INTO written VALUES ('{verb}')"
        body = f"BEGIN {body}; END" if kind == "sqlite" else body
        bench.execute(f"CREATE TRIGGER w_{verb} AFTER {verb} ON t FOR EACH ROW {body}")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_equal_rows_fire_no_trigger_and_others_do(main_bench: Workbench, strategy: str) -> None:
    start(main_bench, strategy)
    main_bench.run()
    count_writes(main_bench)
    assert counts(main_bench.run()) == (0, 0, 0, 4)
    assert main_bench.rows("SELECT what FROM written") == []
    main_bench.source("UPDATE t SET name = 'One' WHERE id = 1", "DELETE FROM t WHERE id = 4")
    main_bench.fill("t", [(5, "five", "5")])
    expected = {"full": (2, 0, 2, 2), "incremental": (2, 0, 1, 2), "upsert": (1, 1, 0, 2)}[strategy]
    assert counts(main_bench.run()) == expected
    assert len(main_bench.rows("SELECT what FROM written")) == sum(expected[:3])
    there = main_bench.rows("SELECT id, name FROM t")
    kept = [] if strategy == "full" else [("4", "a")]
    assert there == [("1", "One"), ("2", None), ("3", ""), *kept, ("5", "five")]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(
    "change",
    ["name = 'a '", "name = 'A'", "name = 'ä'", "name = ''", "name = NULL", "amount = NULL", "amount = 0.01"],
)
@pytest.mark.sample(3)
def test_the_least_difference_is_written(any_bench: Workbench, strategy: str, change: str) -> None:
    """Also under a collation that takes the texts for equal."""
    start(any_bench, strategy)
    any_bench.run()
    any_bench.source(f"UPDATE t SET {change} WHERE id = 4")
    record = any_bench.run()
    # Derby cannot update from a part of the staged rows.
    everything = strategy == "upsert" and any_bench.store.definitions.load().connections["dst"].driver == "derby"
    assert record.rows_unchanged == (0 if everything else 3)
    there = any_bench.rows("SELECT name, amount FROM t WHERE id = 4")
    wanted = any_bench.rows("SELECT name, amount FROM t WHERE id = 4", "src")
    assert there[0][0] == wanted[0][0]
    assert any_bench.run().rows_unchanged == (0 if everything else 4)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_was_changed_by_hand_is_mended(main_bench: Workbench, strategy: str) -> None:
    start(main_bench, strategy)
    main_bench.run()
    main_bench.execute("UPDATE t SET name = 'mine' WHERE id = 1", "DELETE FROM t WHERE id = 2")
    main_bench.execute("INSERT INTO t VALUES (9, 'extra', 9)")
    record = main_bench.run()
    assert record.rows_unchanged == 2
    rows = main_bench.rows("SELECT id, name FROM t")
    extra = [] if strategy == "full" else [("9", "extra")]
    assert rows == [("1", "one"), ("2", None), ("3", ""), ("4", "a"), *extra]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.sample(3)
def test_no_rows_and_only_new_rows(any_bench: Workbench, strategy: str) -> None:
    start(any_bench, strategy)
    any_bench.run()
    any_bench.source("DELETE FROM t")
    assert counts(any_bench.run()) == ((0, 0, 4, 0) if strategy == "full" else (0, 0, 0, 0))
    any_bench.fill("t", [(7, "x", "1"), (8, "y", "2")])
    assert counts(any_bench.run()) == (2, 0, 0, 0)
    record = any_bench.run()
    assert (record.rows_unchanged or 0) + (record.rows_updated or 0) == 2
    assert (record.rows_inserted, record.rows_deleted) == (0, 0)


@pytest.mark.parametrize("strategy", ["incremental", "upsert"])
def test_a_key_that_changed_at_the_source(main_bench: Workbench, strategy: str) -> None:
    """Its old row stays, as without a difference."""
    start(main_bench, strategy)
    main_bench.run()
    main_bench.source("UPDATE t SET id = 40 WHERE id = 4")
    assert counts(main_bench.run()) == (1, 0, 0, 3)
    assert [row[0] for row in main_bench.rows("SELECT id FROM t")] == ["1", "2", "3", "4", "40"]


def test_an_unchanged_parent_keeps_its_children(main_bench: Workbench) -> None:
    start(main_bench, "full")
    main_bench.run()
    main_bench.execute(
        "CREATE TABLE child (id INTEGER, parent INTEGER, FOREIGN KEY (parent) REFERENCES t (id) ON DELETE CASCADE)",
        "INSERT INTO child VALUES (10, 1)",
        "INSERT INTO child VALUES (20, 2)",
    )
    main_bench.source("UPDATE t SET name = 'changed' WHERE id = 3")
    module = main_bench.store.definitions.module("m")
    main_bench.replace(module.model_copy(update={"cascades": "allow"}))
    assert counts(main_bench.run()) == (1, 0, 1, 3)
    assert len(main_bench.rows("SELECT id FROM child")) == 2


@pytest.mark.parametrize("repeated", [False, True])
def test_rows_that_share_a_key_are_compared_together(main_bench: Workbench, repeated: bool) -> None:
    """`incremental` into a table without a unique key: a key's rows are left alone only if they are the very same ones."""
    start(main_bench, "incremental", key="")
    if repeated:
        main_bench.fill("t", [(1, "one", "1.50"), (1, "uno", None)])
    main_bench.run()
    count_writes(main_bench)
    staged = 6 if repeated else 4
    assert counts(main_bench.run()) == (0, 0, 0, staged)
    assert main_bench.rows("SELECT what FROM written") == []
    main_bench.execute("INSERT INTO t VALUES (2, NULL, 2.25)")
    assert counts(main_bench.run()) == (1, 0, 2, staged - 1), "a row that is there twice, and staged once"
    main_bench.execute("DELETE FROM t WHERE id = 1 AND name = 'one'")
    expected = (3, 0, 1, 3) if repeated else (1, 0, 0, 3)
    assert counts(main_bench.run()) == expected
    assert len(main_bench.rows("SELECT id FROM t")) == staged
    assert counts(main_bench.run()) == (0, 0, 0, staged)


def test_the_latest_of_repeated_rows_is_compared(main_bench: Workbench) -> None:
    start(main_bench, "upsert", dedupe="latest by amount")
    main_bench.fill("t", [(1, "older", "0.50")])
    main_bench.run()
    assert counts(main_bench.run()) == (0, 0, 0, 4)
    main_bench.fill("t", [(1, "newer", "3.50")])
    assert counts(main_bench.run()) == (0, 1, 0, 3)


def test_a_destination_with_a_repeated_key_is_refused_by_upsert(main_bench: Workbench) -> None:
    start(main_bench, "upsert", key="")
    main_bench.run()
    main_bench.execute("INSERT INTO t VALUES (1, 'again', 1)")
    with pytest.raises(MergeError, match="changed 2 rows, expected 1"):
        main_bench.run()
    assert len(main_bench.rows("SELECT id FROM t")) == 5


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_unique_values_that_are_swapped(main_bench: Workbench, strategy: str) -> None:
    start(main_bench, strategy)
    main_bench.run()
    main_bench.execute("CREATE UNIQUE INDEX names ON t (name)")
    main_bench.source("UPDATE t SET name = CASE id WHEN 1 THEN 'a' ELSE 'one' END WHERE id IN (1, 4)")
    if strategy == "upsert":
        with pytest.raises(MergeError):
            main_bench.run()
        return
    assert counts(main_bench.run()) == (2, 0, 2, 2)


def test_columns_that_the_query_lacks(main_bench: Workbench) -> None:
    """Rows that are replaced get the default, rows that are equal keep what they have."""
    start(main_bench, "full", on_schema_change="ignore")
    main_bench.run()
    main_bench.execute("ALTER TABLE t ADD COLUMN note VARCHAR(10) DEFAULT 'new'", "UPDATE t SET note = 'kept'")
    main_bench.source("UPDATE t SET name = 'x' WHERE id = 1")
    main_bench.run()
    assert [row[1] for row in main_bench.rows("SELECT id, note FROM t")] == ["new", "kept", "kept", "kept"]


def test_the_log_tells_what_is_written(bench: Workbench) -> None:
    start(bench, "full", key="")
    bench.run()
    plan = bench.engine.run("m", sessions=bench.pool, dry_run=True).plan
    assert plan is not None
    assert "all rows are written: the destination has no primary or unique key" in plan.render()
    bench.module("k", strategy="upsert", merge_key="id")
    plan = bench.engine.run("k", sessions=bench.pool, dry_run=True).plan
    assert plan is not None
    assert "only rows that differ are written: rows are told apart by id" in plan.render()


def test_a_sample_decides_whether_rows_are_compared(main_bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nearly all rows of a large table change, all are written."""
    kind = main_bench.store.definitions.connection("dst").driver
    if kind == "sqlite":
        pytest.skip("takes no samples")
    # As with ten times the rows.
    monkeypatch.setattr(verification, "MIN_SAMPLE", 10)
    sample = "{} {} TABLESAMPLE SYSTEM (20) REPEATABLE (1)"
    monkeypatch.setattr(PostgreSQL, "sample_sql", lambda self, table, alias, key: sample.format(table, alias))
    main_bench.source("CREATE TABLE t (id INTEGER, n INTEGER)")
    main_bench.fill("t", [(number, 0) for number in range(20_000)])
    main_bench.execute("CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, n INTEGER)")
    main_bench.module()
    assert "all rows are written: of" in main_bench.run().live_log
    for share, unchanged in ((50, 10_000), (90, 0), (100, 0), (0, 20_000)):
        main_bench.source(f"UPDATE t SET n = n + 1 WHERE id * 37 % 100 < {share}")
        record = main_bench.run()
        assert record.rows_unchanged == unchanged
        assert ("staged rows of a sample only" in record.live_log) is (share >= 90)
    main_bench.source("UPDATE t SET n = n + 1")
    main_bench.replace(main_bench.store.definitions.module("m").model_copy(update={"cascades": "allow"}))
    assert "all rows are written" not in main_bench.run().live_log
