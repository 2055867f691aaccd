"""What a statement does to a table's rows, in each database's own spelling; what is not read for sure is not carried over."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipekit_engine.databases.dialects import get_dialect
from pipekit_engine.sql.changes import Change, read_change


def read(kind: str, sql: str) -> Change:
    return read_change(sql, get_dialect(kind).capabilities.syntax)


def told(change: Change) -> str:
    """`kind table < other by keys`."""
    other = f" < {change.other}" if change.other else ""
    return f"{change.kind} {change.table}".strip() + other + (f" by {','.join(change.keys)}" if change.keys else "")


#: Statements that can be carried over.
READ = [
    # Literals, comments and names of one database's own.
    ("mysql", "DELETE # FROM u\n FROM t -- all\n # WHERE a = 1", "clear t"),
    ("mysql", "DELETE FROM t WHERE day >= 'it\\'s FROM u' # AND b", "delete_range t by day"),
    ("mysql", "DELETE FROM t WHERE day >= \"2024' OR 1\"", "delete_range t by day"),
    ("postgresql", "DELETE FROM t WHERE day >= $$x' AND y$$", "delete_range t by day"),
    ("postgresql", "DELETE FROM t WHERE day >= $a$;'$a$", "delete_range t by day"),
    ("postgresql", "DELETE FROM t /* USING u /* , v */ WHERE */ USING s WHERE t.id = s.id", "delete_keys t < s by id"),
    ("oracle", "DELETE FROM t WHERE day >= q'[it's AND x]'", "delete_range t by day"),
    ("postgresql", 'DELETE FROM "a.b"."T" USING s WHERE "T"."I.d" = s."I.d"', 'delete_keys "a.b"."T" < s by I.d'),
    ("sqlserver", "DELETE FROM [dbo].[My T]", 'clear dbo."My T"'),
    ("mariadb", "DELETE FROM `s`.`t`", "clear s.t"),
    ("postgresql", 'DELETE FROM "s"."t"', "clear s.t"),
    ("oracle", 'DELETE FROM "s".T', 'clear "s".T'),
    # TRUNCATE and DELETE of everything.
    ("postgresql", "TRUNCATE ONLY a.t RESTART IDENTITY CASCADE", "clear a.t"),
    ("db2", "TRUNCATE TABLE LIB/T IMMEDIATE", "clear LIB.T"),
    ("oracle", "truncate table t drop storage", "clear t"),
    ("sqlserver", "DELETE t", "clear t"),
    ("h2", "DELETE FROM t WHERE 1=1", "clear t"),
    ("postgresql", "DELETE FROM t WHERE TRUE", "clear t"),
    # DELETE by another table's keys.
    ("db2", "DELETE FROM LIB/ORD# WHERE no# IN (SELECT no# FROM STG/ORD#)", "delete_keys LIB.ORD# < STG.ORD# by no#"),
    ("oracle", "DELETE t WHERE (a, b) IN (SELECT DISTINCT a, b FROM s)", "delete_keys t < s by a,b"),
    ("postgresql", "DELETE FROM x.t AS d USING s AS n WHERE (d.a, d.b) = (n.a, n.b)", "delete_keys x.t < s by a,b"),
    ("sqlserver", "DELETE t FROM t JOIN s ON t.id = s.id", "delete_keys t < s by id"),
    ("sqlserver", "DELETE d FROM dbo.t d INNER JOIN s ON d.id = s.id AND d.n = s.n", "delete_keys dbo.t < s by id,n"),
    ("mysql", "DELETE t FROM s JOIN t ON s.id = t.id", "delete_keys t < s by id"),
    ("mysql", "DELETE FROM t USING t JOIN s USING (id, n)", "delete_keys t < s by id,n"),
    ("mysql", "DELETE t FROM t, s WHERE t.id = s.id", "delete_keys t < s by id"),
    (
        "db2",
        "DELETE FROM t x WHERE EXISTS (SELECT 1 FROM LIB/S y WHERE y.a = x.a AND (x.b = y.b))",
        "delete_keys t < LIB.S by a,b",
    ),
    # DELETE from a value on.
    ("postgresql", "DELETE FROM t WHERE day BETWEEN '1' AND '2'", "delete_range t by day"),
    ("postgresql", "DELETE FROM t WHERE day >= (SELECT min(extract(year FROM day)) FROM s)", "delete_range t < s by day"),
    ("generic", "DELETE FROM t WHERE n >= ${N}", "delete_range t by n"),
    ("db2", "DELETE FROM t WHERE day >= CURRENT DATE - 5 DAYS", "delete_range t by day"),
    # INSERT.
    ("db2", "INSERT INTO LIB/T (a, b) SELECT a, b FROM STG/T", "insert LIB.T < STG.T"),
    ("postgresql", "INSERT INTO t (SELECT s.* FROM s)", "insert t < s"),
    ("postgresql", "INSERT INTO t SELECT * FROM s ON CONFLICT (a, b) DO UPDATE SET c = excluded.c", "insert t < s by a,b"),
    ("mysql", "INSERT INTO t (a) SELECT a FROM s ON DUPLICATE KEY UPDATE a = VALUES(a)", "insert t < s"),
    ("mysql", "REPLACE INTO t SELECT * FROM s", "insert t < s"),
    ("sqlite", "INSERT OR REPLACE INTO t SELECT * FROM s", "insert t < s"),
    # MERGE and UPDATE.
    (
        "sqlserver",
        "MERGE INTO t AS d USING s AS n ON d.id = n.id WHEN MATCHED THEN UPDATE SET d.a = n.a "
        "WHEN NOT MATCHED THEN INSERT (id, a) VALUES (n.id, n.a)",
        "merge t < s by id",
    ),
    (
        "db2",
        "MERGE INTO LIB/T t USING (SELECT id, a FROM STG/T) s ON (t.id = s.id) WHEN MATCHED THEN UPDATE SET a = s.a "
        "WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.a)",
        "merge LIB.T < STG.T by id",
    ),
    ("postgresql", "UPDATE t x SET a = s.a, b = s.b FROM s WHERE x.id = s.id", "update t < s by id"),
    ("sqlserver", "UPDATE x SET a = s.a FROM dbo.t x JOIN s ON x.id = s.id", "update dbo.t < s by id"),
    ("mysql", "UPDATE t JOIN s ON t.id = s.id SET t.a = s.a", "update t < s by id"),
    # What no parser is asked for.
    ("oracle", "CREATE GLOBAL TEMPORARY TABLE \"S\".t (id NUMBER) PCTFREE 5 ORGANIZATION HEAP", "housekeeping S.t"),
    ("db2", "DROP TABLE LIB/T", "housekeeping LIB.T"),
    ("postgresql", "ALTER TABLE IF EXISTS ONLY a.t SET UNLOGGED", "housekeeping a.t"),
    ("postgresql", "CREATE INDEX i ON t (a)", "other"),
    ("sqlserver", "BEGIN TRAN", "noise"),
    ("mysql", "SET NAMES utf8mb4", "noise"),
    ("postgresql", "/* nothing */", "noise"),
    # Read as they are by whoever runs them.
    ("postgresql", "WITH d AS (SELECT * FROM s) INSERT INTO t SELECT * FROM d", "other"),
    ("postgresql", "INSERT INTO t WITH d AS (SELECT * FROM s) SELECT * FROM d", "other"),
    ("postgresql", "WITH d AS (DELETE FROM s RETURNING *) INSERT INTO t SELECT * FROM d", "other"),
    ("postgresql", "INSERT INTO t VALUES (1)", "other"),
    ("oracle", "INSERT ALL INTO t VALUES (a) INTO u VALUES (a) SELECT a FROM s", "other"),
    ("postgresql", "UPDATE t SET a = 1 WHERE b = 2", "other"),
    ("oracle", "UPDATE t SET (a, b) = (SELECT a, b FROM s WHERE s.id = t.id)", "other"),
    ("postgresql", "INSERT INTO t_{day} SELECT * FROM s", "other"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "sql", "expected"), READ, ids=[f"{kind}: {sql}" for kind, sql, _ in READ])
def test_statements_that_can_be_carried_over(kind: str, sql: str, expected: str) -> None:
    change = read(kind, sql)
    assert (told(change), change.problem) == (expected, "")


_MATCHED = "WHEN MATCHED THEN UPDATE SET a = s.a"
_NEW = "WHEN NOT MATCHED THEN INSERT (id, a) VALUES (s.id, s.a)"
#: Statements that a strategy would carry out in another way, and what is said of them.
PROBLEMS = [
    ("postgresql", "TRUNCATE a, b", "other", "several tables"),
    ("mysql", "DELETE FROM t LIMIT 5", "other", "no strategy"),
    ("sqlserver", "DELETE TOP (5) FROM t", "other", "no strategy"),
    ("sqlserver", "DELETE FROM t FROM t JOIN s ON t.id = s.id", "other", "no strategy"),
    ("mysql", "DELETE t, u FROM t JOIN u ON t.id = u.id", "other", "no strategy"),
    ("mysql", "DELETE t FROM t LEFT JOIN s ON t.id = s.id WHERE s.id IS NULL", "other", "no strategy"),
    ("postgresql", "DELETE FROM t USING s, u WHERE t.id = s.id AND t.id = u.id", "other t", "no strategy"),
    ("postgresql", "DELETE FROM t WHERE id IN (SELECT id FROM s WHERE x)", "other t", "no strategy"),
    ("postgresql", "DELETE FROM t WHERE id IN (1, 2)", "other t", "no strategy"),
    ("postgresql", "DELETE FROM t WHERE day >= '1' OR a = 1", "other t", "no strategy"),
    ("postgresql", "DELETE FROM t WHERE extract(year FROM day) = 1", "other t", "no strategy"),
    ("generic", "DELETE FROM t WHERE a = 'it\\'s'", "other", "no strategy"),
    ("postgresql", "DELETE FROM t WHERE day >= '1' AND a = 1", "delete_range t by day", "more than one condition"),
    ("postgresql", "DELETE FROM t WHERE a IN (SELECT b FROM s)", "delete_keys t < s by a", "two names"),
    ("postgresql", "DELETE FROM t USING s WHERE t.a = s.b", "delete_keys t < s", "it matches by t.a = s.b"),
    ("postgresql", "DELETE FROM t USING s WHERE t.a = s.a AND s.x = 'q'", "delete_keys t < s by a", "it matches by s.x = 'q'"),
    ("postgresql", "DELETE FROM t USING s WHERE s.a = s.a", "delete_keys t < s", "it matches by"),
    ("postgresql", "DELETE FROM t USING s", "delete_keys t < s", "it matches by nothing"),
    ("mysql", "DELETE t FROM t JOIN s ON t.a <=> s.a", "delete_keys t < s", "it matches by"),
    ("postgresql", "INSERT INTO t SELECT now()", "insert t", "does not read from a table"),
    ("postgresql", "INSERT INTO t SELECT DISTINCT * FROM s", "insert t < s", "on the way (DISTINCT)"),
    ("postgresql", "INSERT INTO t SELECT * FROM s WHERE a > 1 LIMIT 3", "insert t < s", "(LIMIT, WHERE)"),
    ("postgresql", "INSERT INTO t SELECT * FROM a UNION ALL SELECT * FROM b", "insert t < a", "(UNION)"),
    ("postgresql", "INSERT INTO t SELECT * FROM (SELECT * FROM s) x", "insert t < s", "(SUBQUERY)"),
    ("postgresql", "INSERT INTO t SELECT * FROM s TABLESAMPLE BERNOULLI (1)", "insert t < s", "on the way"),
    (
        "postgresql",
        "INSERT INTO t SELECT * FROM s WHERE NOT EXISTS (SELECT 1 FROM t x WHERE x.id = s.id) AND a > 1",
        "insert t < s", "(WHERE)",
    ),
    ("postgresql", "INSERT INTO t SELECT * FROM s WHERE id NOT IN (1, 2)", "insert t < s", "(WHERE)"),
    (
        "postgresql",
        "INSERT INTO t SELECT * FROM s WHERE NOT EXISTS (SELECT 1 FROM u WHERE u.id = s.id)",
        "insert t < s", "(WHERE)",
    ),
    (
        "postgresql",
        "INSERT INTO t SELECT * FROM s ON CONFLICT (a) DO UPDATE SET n = t.n + 1",
        "insert t < s by a", "it computes n",
    ),
    (
        "postgresql",
        "INSERT INTO t SELECT * FROM s ON CONFLICT (a) DO UPDATE SET b = excluded.b WHERE t.b < 3",
        "insert t < s by a", "some of the old",
    ),
    ("mysql", "INSERT INTO t SELECT * FROM s ON DUPLICATE KEY UPDATE id = id", "insert t < s", "it computes id"),
    ("sqlite", "INSERT OR ABORT INTO t SELECT * FROM s", "insert t < s", "OR ABORT"),
    ("postgresql", "UPDATE t SET a = s.a * 2 FROM s WHERE t.id = s.id", "update t < s by id", "it computes a"),
    ("postgresql", f"MERGE INTO t USING s ON t.id = s.id {_MATCHED}", "merge t < s by id", "inserts no new"),
    ("postgresql", f"MERGE INTO t USING s ON t.id = s.id {_NEW}", "merge t < s by id", "leaves old rows"),
    (
        "postgresql",
        f"MERGE INTO t USING s ON t.id = s.id WHEN MATCHED AND s.gone THEN DELETE {_MATCHED} {_NEW}",
        "merge t < s by id", "a branch",
    ),
    (
        "sqlserver",
        f"MERGE t USING s ON t.id = s.id {_MATCHED} {_NEW} WHEN NOT MATCHED BY SOURCE THEN DELETE",
        "merge t < s by id", "a branch",
    ),
    (
        "oracle",
        f"MERGE INTO t USING s ON (t.id = s.id) WHEN MATCHED THEN UPDATE SET a = upper(s.a) {_NEW}",
        "merge t < s by id", "it computes a",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "sql", "expected", "problem"), PROBLEMS, ids=[f"{item[0]}: {item[1]}" for item in PROBLEMS]
)
def test_statements_that_a_strategy_would_carry_out_differently(
    kind: str, sql: str, expected: str, problem: str
) -> None:
    change = read(kind, sql)
    assert told(change) == expected
    assert problem in change.problem, change.problem
    assert change.problem


@pytest.mark.parametrize(
    ("kind", "sql", "conflict", "only_new", "latest", "sources"),
    [
        ("mysql", "INSERT IGNORE INTO t SELECT a, s.b FROM s", "nothing", False, "", ("a", "b")),
        ("sqlite", "INSERT OR IGNORE INTO t SELECT a AS x FROM s", "nothing", False, "", ("a",)),
        ("mysql", "REPLACE INTO t (a) SELECT upper(a) FROM s", "update", False, "", None),
        ("postgresql", "INSERT INTO t SELECT * FROM s ON CONFLICT ON CONSTRAINT k DO NOTHING", "nothing", False, "", ()),
        ("db2", "INSERT INTO t SELECT * FROM s WHERE NOT EXISTS (SELECT 1 FROM t x WHERE x.id = s.id)", "", True, "", ()),
        ("oracle", "INSERT INTO t SELECT * FROM s WHERE id NOT IN (SELECT id FROM t)", "", True, "", ()),
        ("mysql", "INSERT INTO t SELECT s.* FROM s LEFT JOIN t ON t.id = s.id WHERE t.id IS NULL", "", True, "", ()),
        ("postgresql", "INSERT INTO t SELECT DISTINCT ON (id) id, a FROM s ORDER BY id, at DESC", "", False, "at", ("id", "a")),
    ],
)  # fmt: skip
def test_what_an_insert_does(
    kind: str, sql: str, conflict: str, only_new: bool, latest: str, sources: tuple[str, ...] | None
) -> None:
    found = read(kind, sql)
    assert (found.conflict, found.only_new, found.latest_by, found.sources) == (conflict, only_new, latest, sources)
    assert not found.problem


_WORDS = (
    "DELETE FROM t|WHERE|a = 1|IN (SELECT|)|INSERT INTO t|SELECT *|FROM s|USING s|MERGE INTO t|ON t.a = s.a|WHEN MATCHED THEN|"
    "UPDATE SET a = 1|UPDATE t SET|JOIN u|TRUNCATE|REPLACE INTO|{x}|'|\"|`|[|$$|#|--|(|,|.|/|AS"
)


@given(
    st.sampled_from(["generic", "mysql", "sqlserver", "db2"]), st.lists(st.sampled_from(_WORDS.split("|")), max_size=9)
)
def test_no_text_makes_the_reader_fall_over(kind: str, words: list[str]) -> None:
    read(kind, " ".join(words))
