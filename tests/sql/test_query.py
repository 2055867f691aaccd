"""What a query reads, in each database's own spelling: no table and no column is made up."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipekit_engine.databases.dialects import get_dialect, kinds
from pipekit_engine.sql.query import Query, read_query


def read(kind: str, sql: str) -> Query:
    return read_query(sql, get_dialect(kind).capabilities.syntax)


def tables(kind: str, sql: str) -> str:
    """The tables, or `?` for a query that cannot be read."""
    query = read(kind, sql)
    return " ".join(".".join(parts) for parts in query.tables) if query.known else "?"


TABLES = [
    # Comments and literals of one database's own.
    ("mysql", "SELECT a FROM t # , u\n JOIN v # FROM w\n ON 1 = 1", "t v"),
    ("mysql", "SELECT 'it\\'s FROM u, v' AS x FROM t", "t"),
    ("mysql", 'SELECT "FROM u, v \\" FROM w" AS x FROM t', "t"),
    ("mysql", "SELECT 5--3 AS n FROM t -- , u", "t"),
    ("postgresql", "SELECT $$ FROM u, v $$ AS q, $a$ it's FROM w $a$ AS r FROM t", "t"),
    ("postgresql", "SELECT E'\\' FROM u' AS q FROM t", "t"),
    ("postgresql", "SELECT 'C:\\' AS q FROM t WHERE a = 'FROM u, v'", "t"),
    ("postgresql", "SELECT a FROM t /* FROM u /* FROM v */ , w */", "t"),
    ("oracle", "SELECT q'[it's FROM u, v]' AS q, nq'!a' FROM w!' AS r, N'..' AS s FROM t", "T"),
    ("sqlserver", "SELECT [a--b], [it's], [x]]y] FROM [dbo].[T.u] WITH (NOLOCK) -- , v", "dbo.T.u"),
    ("sqlserver", "SELECT a FROM t WHERE b LIKE '%!_%' ESCAPE '\\' AND c = 'FROM u'", "t"),
    ("sqlite", "SELECT [it's], `b`, \"c\" FROM [my table]", "my table"),
    ("postgresql", "SELECT a /* , */ . b FROM /* u */ s -- v\n . t", "s.t"),
    ("mariadb", "SELECT `a``b` FROM `s`.`t.u`", "s.t.u"),
    ("postgresql", 'SELECT a FROM "s""p"."T.u"', 's"p.T.u'),
    # DB2's system naming.
    ("db2", "SELECT * FROM LIB/ORDHDR", "LIB.ORDHDR"),
    ("db2", "SELECT a/b FROM LIB/A a, LIB/B b JOIN lib.c ON a/b > 1 WHERE x = 1 / 2 WITH UR", "LIB.A LIB.B LIB.C"),
    ("db2", 'SELECT ORD#, D + 5 DAYS FROM "lib"/"My T" FETCH FIRST 5 ROWS ONLY OPTIMIZE FOR 5 ROWS FOR READ ONLY', "lib.My T"),
    ("db2", "SELECT x FROM T WHERE EXTRACT(YEAR FROM a/b) = 1", "T"),
    # WITH clauses.
    ("postgresql", "WITH t AS (SELECT id FROM t) SELECT id FROM t", "t"),
    ("postgresql", "WITH RECURSIVE t AS (SELECT id FROM s UNION SELECT id FROM t) SELECT id FROM t", "s"),
    ("sqlserver", "WITH t AS (SELECT id FROM s UNION ALL SELECT id FROM t) SELECT id FROM t", "s"),
    ("postgresql", 'WITH "T" AS (SELECT 1 AS id) SELECT id FROM t, "T"', "t"),
    ("postgresql", "WITH x AS (SELECT 1), y AS (WITH x AS (SELECT * FROM z) SELECT * FROM x) SELECT * FROM y, x", "z"),
    ("postgresql", "WITH t AS (SELECT 1) SELECT * FROM s.t", "s.t"),
    # What is no table.
    ("postgresql", "SELECT * FROM (VALUES (1)) v(a), t, LATERAL (SELECT t.x FROM u) l, unnest(t.a), series(1, 2)", "t u"),
    ("oracle", "SELECT * FROM TABLE(f(1)) x, t PARTITION (p1)", "T"),
    ("sqlserver", "SELECT * FROM #tmp, @v v, dbo.f(1) f CROSS APPLY x.nodes('/a') AS n(c)", ""),
    ("postgresql", "SELECT extract(year FROM d), substring(a FROM 2), a IS DISTINCT FROM b FROM t FOR UPDATE OF t", "t"),
    ("postgresql", "SELECT a FROM t WHERE x > {n} AND y >= '{since} FROM u' LIMIT {n}", "t"),
    ("postgresql", "SELECT a FROM b UNION SELECT a FROM c EXCEPT SELECT (SELECT max(x) FROM d) FROM e", "b c d e"),
    # What is not known.
    ("oracle", "SELECT a FROM t@far", "?"),
    ("postgresql", "SELECT a FROM {schema}.t", "?"),
    ("postgresql", "SELECT a FROM t_{year}", "?"),
    ("postgresql", 'SELECT a FROM "{schema}".t', "?"),
    ("postgresql", "WITH d AS (DELETE FROM t RETURNING id) SELECT id FROM d", "?"),
    ("postgresql", "SELECT a INTO n FROM t", "?"),
    ("postgresql", "SELECT ((a FROM t", "?"),
    ("postgresql", "SELECT a FROM t)", "?"),
    ("postgresql", "TABLE t", "?"),
    ("sqlserver", "EXEC p", "?"),
    ("db2", "SELECT a CONCAT b FROM T", "?"),
    ("generic", "SELECT 'it\\'s FROM u' FROM t", "?"),
    ("generic", "SELECT 1 # FROM u\n FROM t", "?"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "sql", "expected"), TABLES, ids=[f"{kind}: {sql}" for kind, sql, _ in TABLES])
def test_tables(kind: str, sql: str, expected: str) -> None:
    assert tables(kind, sql) == expected


#: Inputs of columns; `=` before those that are copied, `|` between tables one of which has it.
COLUMNS = [
    ("postgresql", "WITH x AS (SELECT a.id, b.n AS m FROM a JOIN b USING (k)) SELECT x.id, m FROM x, c", "=a.id =b.n"),
    ("postgresql", "WITH x (p, q) AS (SELECT id, n FROM a) SELECT q, p FROM x", "=a.n =a.id"),
    ("postgresql", "WITH x AS (SELECT * FROM a), y AS (SELECT x.* FROM x) SELECT id FROM y", "=a.id"),
    ("postgresql", "SELECT s.id FROM (SELECT upper(n) AS id FROM a) s", "a.n"),
    ("postgresql", "SELECT a.x || b.y AS xy, 1 AS one, now() AS at FROM a, b", "a.x+b.y - -"),
    ("postgresql", "SELECT id FROM a UNION ALL SELECT k FROM b", "a.id+b.k"),
    ("postgresql", "SELECT * FROM a UNION ALL SELECT * FROM b", "?"),
    ("postgresql", "SELECT id FROM a JOIN b ON true", "a|b"),
    ("postgresql", "SELECT id FROM x JOIN (SELECT id FROM b) y USING (id)", "?"),
    ("postgresql", "SELECT (SELECT max(x) FROM u) AS m, l.y FROM t, LATERAL (SELECT y FROM u) l", "? ?"),
    ("postgresql", "SELECT x.id, y.n FROM t AS x(id), generate_series(1, 2) AS y(n)", "? ?"),
    ("postgresql", "WITH RECURSIVE t AS (SELECT id, p FROM s UNION SELECT s.id, t.p FROM s JOIN t ON true) SELECT id, p FROM t",
     "=s.id =s.p"),
    ("sqlserver", "SELECT total = A.[x y], Id FROM [A] a", "=A.x y =A.Id"),
    ("sqlserver", "SELECT id FROM T PIVOT (SUM(x) FOR y IN ([a], [b])) p", "?"),
    ("mysql", "SELECT id AS \"an id\", n AS 'its name' FROM t", "=t.id =t.n"),
    ("oracle", "SELECT id, ROWNUM AS rn, SYSDATE AS at FROM t", "=T.ID - -"),
    ("db2", "SELECT ORD#, D + 5 DAYS AS due FROM LIB/T WITH UR", "=LIB.T.ORD# LIB.T.D"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "sql", "expected"), COLUMNS, ids=[f"{kind}: {sql}" for kind, sql, _ in COLUMNS])
def test_origins_of_columns(kind: str, sql: str, expected: str) -> None:
    from pipekit_engine.sql.select_list import select_list

    syntax = get_dialect(kind).capabilities.syntax
    listed = select_list(sql, syntax)
    assert listed is not None
    found = []
    for item in listed.items:
        lineage = read(kind, sql).column(item.name or "id")
        if lineage is None:
            found.append("?")
        elif lineage.among:
            found.append("|".join(origin.table[-1] for origin in lineage.among))
        else:
            inputs = sorted(".".join((*origin.table, origin.column)) for origin in lineage.inputs)
            found.append(("=" if lineage.copied else "") + "+".join(inputs) or "-")
    assert " ".join(found) == expected


def test_a_column_whose_name_a_database_makes_up_is_not_behind_the_star() -> None:
    query = read("postgresql", "SELECT *, count(*) OVER () FROM t")
    assert query.column("count") is None
    assert query.column("id") is not None


PATHOLOGICAL = {
    "a megabyte": "SELECT 1 FROM t WHERE x IN (" + "1," * 500_000 + "1)",
    "parentheses": "SELECT " + "(" * 5000 + "1" + ")" * 5000 + " FROM t",
    "unions": "SELECT 1 FROM a " + "UNION ALL SELECT 1 FROM a " * 1800,
    "sums": "SELECT 1 " + "+1 " * 10_000 + "FROM t",
    "cases": "SELECT " + "CASE WHEN a THEN " * 1500 + "1" + " END" * 1500 + " FROM t",
    "negations": "SELECT " + "NOT " * 9000 + "a FROM t",
    "quotes": "SELECT '" + "q'" * 20_000,
    "comments": "SELECT " + "/*" * 20_000,
}


@pytest.mark.parametrize(
    "sql",
    [
        pytest.param(sql, id=name, marks=[pytest.mark.slow] if name == "a megabyte" else [])
        for name, sql in PATHOLOGICAL.items()
    ],
)
def test_odd_texts_are_bounded(sql: str) -> None:
    for kind in ("postgresql", "sqlserver", "mysql", "db2"):
        started = time.process_time()
        read(kind, sql).column("x")
        assert time.process_time() - started < 10


_PIECES = "SELECT FROM WITH x AS ( ) , a b.c * JOIN ON 1=1 UNION WHERE '{s}' {n} \"q\" [q] `q` # -- /* */ $$ q'[ ' \\ / . ; \n"


@given(st.lists(st.sampled_from(_PIECES.split(" ")), max_size=25), st.sampled_from(kinds()))
def test_no_text_makes_it_fall_over(pieces: list[str], kind: str) -> None:
    query = read(kind, "SELECT " + " ".join(pieces))
    query.column("a")
    assert query.known or not query.tables


def test_the_parser_is_imported_when_the_first_query_is_read_and_says_nothing() -> None:
    code = (
        "import sys, pipekit_engine.engine, pipekit_engine.lint, pipekit_engine.sql.query as q\n"
        "from pipekit_engine.sql.syntax import UNKNOWN\n"
        "assert 'sqlglot' not in sys.modules\n"
        "q.read_query('SELECT a FROM', UNKNOWN); q.read_query('SELECT p -> 1 FROM t', UNKNOWN)\n"
        "assert 'sqlglot' in sys.modules"
    )
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert made.stdout == made.stderr == ""
