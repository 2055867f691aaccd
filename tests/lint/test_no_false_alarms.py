"""Right queries in the words of each database: lint has nothing to say about them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pipekit_engine.config import Config
from pipekit_engine.lint import lint_files

CONNECTIONS = {
    "pg": {"driver": "postgresql", "jdbc_url": "jdbc:postgresql://h/a"},
    "ora": {"driver": "oracle", "jdbc_url": "jdbc:oracle:thin:@//h:1521/x"},
    "db2": {"driver": "db2", "jdbc_url": "jdbc:as400://h"},
    "ms": {"driver": "sqlserver", "jdbc_url": "jdbc:sqlserver://h;databaseName=x"},
    "my": {"driver": "mariadb", "jdbc_url": "jdbc:mariadb://h/x"},
}
#: Each gives `id`; {since} is a timestamp, {n} a number.
QUERIES = [
    ("ora", "SELECT /*+ PARALLEL(4) */ id, TO_CHAR(ts, 'YYYY') ts FROM t WHERE ts >= TO_DATE('{since}', 'YYYY-MM-DD')"),
    ("ora", "SELECT id, ROWNUM rn FROM (SELECT id FROM t ORDER BY id) WHERE id >= {n}"),
    ("ora", "SELECT a.id, b.descr description FROM a, b WHERE a.k = b.k(+) AND a.id >= {n} CONNECT BY PRIOR a.id = a.parent"),
    ("ora", "SELECT id, q'[it's; so]' AS text FROM t WHERE id >= {n}"),
    ("db2", "SELECT ORNBR AS id, DATE(ORDAT) AS d, ORDAT + 5 DAYS AS due FROM LIB.ORD WHERE ORTS >= '{since}' WITH UR"),
    ("db2", "SELECT ORNBR AS id, TIMESTAMP(OD, OT) AS ts FROM LIB/ORD WHERE TIMESTAMP(OD, OT) >= '{since}' FOR READ ONLY"),
    ("ms", "SELECT [Id] AS id, CONVERT(date, [C]) AS c FROM [T] WITH (NOLOCK) WHERE [C] >= CONVERT(datetime2, '{since}', 121)"),
    ("ms", "SELECT TOP (100) WITH TIES id = [Order Id], total = a + b FROM T WHERE Id >= {n} ORDER BY Id OPTION (RECOMPILE)"),
    ("ms", "WITH x AS (SELECT Id AS id, RANK() OVER (ORDER BY C DESC) AS rn FROM T) SELECT id, rn FROM x WHERE id >= {n}"),
    ("my", "SELECT `id`, `order` AS `or``d`, IF(a, 1, 0) f, CASE b WHEN 1 THEN 2 ELSE 3 END kind FROM t WHERE at >= '{since}'"),
    ("my", "SELECT id, 'it\\'s; so' AS text FROM t FORCE INDEX (i) WHERE at >= '{since}' LOCK IN SHARE MODE"),
    ("pg", "SELECT id, p->>'a' AS a, tags[1] AS t1, ts AT TIME ZONE 'UTC' AS ts, (x).y AS y FROM t WHERE ts >= '{since}'::date"),
    ("pg", "SELECT id, '{\"a\": 1}'::jsonb AS j, $$it's; fine$$ AS q FROM t WHERE ts >= '{since}'"),
    ("pg", "SELECT DISTINCT ON (id) id, ts FROM t WHERE ts >= '{since}' ORDER BY id, ts DESC"),
    ("pg", "SELECT id FROM a WHERE ts >= '{since}' UNION ALL SELECT id FROM b WHERE ts >= '{since}'"),
    ("pg", "SELECT t.id FROM t LEFT JOIN LATERAL (SELECT 1 FROM u ORDER BY 1 LIMIT 1) l ON true WHERE t.xid >= {n}::bigint"),
    ("pg", "SELECT id FROM t WHERE ts >= '{since}' -- ; order by x"),
    ("pg", "SELECT u.id FROM users u JOIN old o ON o.password = u.password WHERE u.ts >= '{since}'"),
    ("pg", "TABLE t"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "query"), QUERIES, ids=[f"{kind}: {query[:50]}" for kind, query in QUERIES])
def test_a_right_query(source: str, query: str, tmp_path: Path) -> None:
    module = {
        "source": source,
        "dest": "pg",
        "query": query,
        "dest_table": "x.t",
        "strategy": "upsert",
        "merge_key": ["id"],
    }
    defaults = {"since": "2000-01-01", "n": "0"}
    marks = {name: default for name, default in defaults.items() if f"{{{name}}}" in query}
    watermarks = {
        name: {"connection": "pg", "resolver_sql": "SELECT max(ts) FROM x.t", "default": default}
        for name, default in marks.items()
    }
    document = {
        "connections": CONNECTIONS,
        "modules": {"m": {**module, **({"watermarks": watermarks} if watermarks else {})}},
        "groups": {"g": {"members": ["m"]}},
        "schedules": {"s": {"group": "g", "cron": "0 1 * * *"}},
    }
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    found = lint_files(tmp_path, Config(database=str(tmp_path / "none.db")))
    assert [str(finding) for finding in found] == []
