"""Every rule on definitions that break it, and on definitions that nearly do."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from pipekit_engine.config import Config
from pipekit_engine.lint import RULES, Finding, lint_files

ROOT = Path(__file__).parents[2]

CONNECTIONS = """\
connections:
  src: {driver: sqlite, jdbc_url: "jdbc:sqlite:src.db"}
  dw: {driver: postgresql, jdbc_url: "jdbc:postgresql://db/dw", username: u, password: $DW}
  ora: {driver: oracle, jdbc_url: "jdbc:oracle:thin:@//db:1521/x", username: u, password: $ORA}
  mssql: {driver: sqlserver, jdbc_url: "jdbc:sqlserver://db;databaseName=x", username: u, password: $MS}
"""
SINCE = "since: {connection: dw, resolver_sql: SELECT max(at) FROM t, default: 2000-01-01}"
UNTIL = "until: {connection: src, resolver_sql: SELECT max(at) FROM s}"


def _module(name: str = "m", marks: str = "", **fields: str) -> str:
    values = {"source": "src", "dest": "dw", "query": "SELECT id, at FROM s", "dest_table": "t", "strategy": "full"}
    lines = [f"    {key}: {value}" for key, value in {**values, **fields}.items()]
    if marks:
        lines += ["    watermarks:", *(f"      {mark}" for mark in marks.split("\n"))]
    return "\n".join([f"  {name}:", *lines]) + "\n"


def _lint(folder: Path, text: str, *, group: bool = True) -> list[Finding]:
    """Findings of a file with connections, these modules, and a group that runs the module m every night."""
    runs = "groups: {g: {members: [m]}}\nschedules: {n: {group: g, cron: 0 2 * * *}}\n" if group else ""
    (folder / "all.yaml").write_text(CONNECTIONS + text + runs, encoding="utf-8")
    return lint_files(folder, Config(database=str(folder / "none.db")))


KEYED = {"strategy": "upsert", "merge_key": "[id]"}
BY_DAY = "{by: day, start: 2024-01-01, column: at}"
OF_DAY = "\"SELECT id, at FROM s WHERE at >= '{partition_start}' AND at < '{partition_end}'\""
AFTER = "\"SELECT id, at FROM s WHERE at {} '{{since}}'\""

#: name -> (codes, module fields). The query of most is fine; only what the name says is wrong.
CASES: dict[str, tuple[list[str], dict[str, str]]] = {
    "nothing": ([], {}),
    "keyed": ([], {**KEYED, "query": AFTER.format(">="), "marks": SINCE}),
    "placeholder without watermark": (["PK101"], {"query": "\"SELECT id FROM s WHERE a = '{x}'\""}),
    "JSON braces are no placeholder": ([], {"query": "'SELECT ''{\"a\": 1}'' AS j FROM s'"}),
    "placeholder in a comment": ([], {"query": '"SELECT id FROM s -- {x}"'}),
    "unused watermark": (["PK102"], {"marks": SINCE}),
    "key not selected": (["PK103"], {**KEYED, "merge_key": "[nr]"}),
    "key in another case": ([], {**KEYED, "merge_key": "[ID]"}),
    "key that SELECT * may give": (["PK113"], {**KEYED, "query": "SELECT * FROM s", "merge_key": "[nr]"}),
    "key that a function may give": (["PK108"], {**KEYED, "query": "SELECT nr(), at FROM s", "merge_key": "[nr]"}),
    "key under its new name": ([], {**KEYED, "merge_key": "[nr]", "columns": "[{source_name: id, dest_name: nr}, at]"}),
    "dedupe column not selected": (["PK104"], {**KEYED, "dedupe": "latest by changed"}),
    "column not selected": (["PK105"], {"columns": "[id, name]"}),
    "split_by not selected": (["PK106"], {"split_by": "nr", "parallel": "2"}),
    "parallel alone, with a key": (["PK115"], {**KEYED, "parallel": "2"}),
    "parallel alone": (["PK115"], {"parallel": "2"}),
    "parallel by a key": ([], {**KEYED, "parallel": "2", "split_by": "[at, id]"}),
    "rowid of one table": ([], {"parallel": "2", "split_by": "rowid"}),
    "rowid of a join": (
        ["PK116"],
        {"parallel": "2", "split_by": "rowid", "query": "SELECT s.id, s.at FROM s JOIN u ON u.id = s.id"},
    ),
    "ctid in SQLite": (["PK106"], {"parallel": "2", "split_by": "ctid"}),
    "one name twice": (["PK107"], {"query": "SELECT a.id, b.id FROM a, b"}),
    "names that differ in case, into PostgreSQL": ([], {"query": "'SELECT \"Id\", \"ID\" FROM s'"}),
    "names that differ in case, into SQL Server": (
        ["PK303"], {"query": "'SELECT \"Id\", \"ID\" FROM s'", "dest": "mssql"}
    ),
    "names that PostgreSQL folds": (["PK107"], {"source": "dw", "query": "SELECT a AS x, b AS X FROM s"}),
    "names that PostgreSQL does not fold": ([], {"source": "dw", "query": "'SELECT \"A\", a FROM s'"}),
    "two statements": (["PK109"], {"query": "SELECT 1 AS a; SELECT 2 AS b"}),
    "an empty query": (["PK109"], {"query": '"-- nothing"'}),
    "a query that writes": (["PK110"], {"query": "DELETE FROM s RETURNING id"}),
    "a CTE that writes": (["PK110"], {"query": '"WITH x AS (SELECT 1 AS a) INSERT INTO s SELECT a FROM x"'}),
    "a check that writes": (["PK114"], {"checks": "{mine: {sql: 'DELETE FROM {table}'}}"}),
    "a check of two statements": (["PK114"], {"checks": "{mine: {sql: 'SELECT 1; SELECT 2'}}"}),
    "a check that reads": ([], {"checks": "{rows: , mine: {sql: 'SELECT 1 FROM {table};'}}"}),
    "a semicolon": (["PK111"], {"query": "SELECT id FROM s;"}),
    "a semicolon in a string": ([], {"query": "SELECT ';' AS a FROM s"}),
    "MySQL's own literals are left alone": ([], {"query": "SELECT 'it\\'s; so, really' AS a FROM s"}),
    "Oracle's own literals are left alone": ([], {"query": "SELECT q'[it's; so, really]' AS a FROM s"}),
    "ORDER BY": (["PK112"], {"query": "SELECT id FROM s ORDER BY id"}),
    "ORDER BY with a limit": ([], {"query": "SELECT id FROM s ORDER BY id LIMIT 5"}),
    "ORDER BY in a window": ([], {"query": "SELECT rank() OVER (ORDER BY id) AS r FROM s"}),
    "SELECT * and add_columns": ([], {"query": "SELECT * FROM s", "on_schema_change": "add_columns"}),
    "full with watermark": (["PK201"], {"query": AFTER.format(">="), "marks": SINCE}),
    "partition": ([], {"query": OF_DAY, "partition": BY_DAY}),
    "partition of everything": (["PK211"], {"partition": BY_DAY}),
    "partition with a closed end": (["PK212"], {"query": OF_DAY.replace("<", "<="), "partition": BY_DAY}),
    "partition with an open start": (["PK212"], {"query": OF_DAY.replace(">=", ">"), "partition": BY_DAY}),
    "partitions of the future": (["PK215"], {"query": OF_DAY, "partition": BY_DAY.replace("2024", "2999")}),
    "partition column not selected": (["PK213"], {"query": OF_DAY.replace("id, at", "id"), "partition": BY_DAY}),
    "partition by number in a group": (
        ["PK214"],
        {
            "query": '"SELECT id FROM s WHERE id >= {partition_start} AND id < {partition_end}"',
            "partition": "{by: number, start: 0, end: 100, step: 10, column: id}",
        },
    ),
    "append of everything": (["PK202"], {"strategy": "append"}),
    "append of a half-open window": (
        [],
        {
            "strategy": "append",
            "query": "\"SELECT id, at FROM s WHERE at >= '{since}' AND at < '{until}'\"",
            "marks": f"{SINCE}\n{UNTIL}",
        },
    ),
    "keyed after >": (["PK203"], {**KEYED, "query": AFTER.format(">"), "marks": SINCE}),
    "keyed after > of a lagging resolver": (
        [],
        {
            **KEYED,
            "query": AFTER.format(">"),
            "marks": "since: {connection: dw, resolver_sql: SELECT max(at) - interval '1 hour' FROM t, default: 2000-01-01}",
        },
    ),
    "append after >": (["PK204"], {"strategy": "append", "query": AFTER.format(">"), "marks": SINCE}),
    "append from >=": (["PK205"], {"strategy": "append", "query": AFTER.format(">="), "marks": SINCE}),
    "append from the next number": (
        [],
        {
            "strategy": "append",
            "query": '"SELECT id FROM s WHERE id >= {next}"',
            "marks": "next: {connection: dw, resolver_sql: SELECT max(id) + 1 FROM t, default: 0}",
        },
    ),
    "append BETWEEN": (
        ["PK206"],
        {
            "strategy": "append",
            "query": "\"SELECT id, at FROM s WHERE at BETWEEN '{since}' AND '{until}'\"",
            "marks": f"{SINCE}\n{UNTIL}",
        },
    ),
    "keyed up to <=": (
        ["PK207"],
        {
            **KEYED,
            "query": "\"SELECT id, at FROM s WHERE at >= '{since}' AND at <= '{until}'\"",
            "marks": f"{SINCE}\n{UNTIL}",
        },
    ),
    "a date outside of quotes": (
        ["PK208"], {**KEYED, "query": '"SELECT id, at FROM s WHERE at >= {since}"', "marks": SINCE}
    ),
    "a number outside of quotes": (
        [],
        {
            **KEYED,
            "query": '"SELECT id FROM s WHERE id >= {n}"',
            "marks": "n: {connection: dw, resolver_sql: SELECT max(id) FROM t, default: 0}",
        },
    ),
    "no default in the first run": (
        ["PK209"],
        {**KEYED, "query": AFTER.format(">="), "marks": "since: {connection: dw, resolver_sql: SELECT max(at) FROM t}"},
    ),
    "a watermark in a hook": (
        ["PK210"],
        {**KEYED, "query": AFTER.format(">="), "marks": SINCE, "hooks": "[\"CALL done('{since}')\"]"},
    ),
    "a name too long for PostgreSQL": (["PK301"], {"query": f"SELECT 1 AS {'n' * 64}"}),
    "a table too long": (["PK301"], {"dest_table": "t" * 64}),
    "a long name for SQL Server": ([], {"query": f"SELECT 1 AS {'n' * 64}", "dest": "mssql"}),
    "no table's name": (["PK301"], {"dest_table": "a..b"}),
    "columns that become one": (
        ["PK303"], {"columns": "[{source_name: id, dest_name: x}, {source_name: at, dest_name: X}]", "dest": "mssql"}
    ),
    "columns that PostgreSQL tells apart": (
        [], {"columns": "[{source_name: id, dest_name: x}, {source_name: at, dest_name: X}]"}
    ),
    "a password in a hook": (
        ["PK502"], {"hooks": "[\"SELECT dblink('host=a password=hunter2', 'x')\"]"}
    ),
    "a password in a statement": (["PK502"], {"hooks": "[\"ALTER USER u IDENTIFIED BY hunter2\"]"}),
    "a password compared": (["PK502"], {"query": "SELECT id FROM s WHERE password = 'hunter2'"}),
    "a password of a foreign server by name": ([], {"hooks": "[\"ALTER USER u PASSWORD '{pw}'\"]"}),
    "a column called password": ([], {"query": "SELECT u.id FROM u JOIN s ON u.password = s.password AND u.a = s.a"}),
    "a key without strategy's need": (["PK001"], {"strategy": "incremental"}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_module(name: str, tmp_path: Path) -> None:
    codes, fields = CASES[name]
    found = _lint(tmp_path, "modules:\n" + _module(**fields))
    if "PK001" in codes:
        found = [item for item in found if "there is no module" not in item.message]
    assert [item.code for item in found] == codes, [str(item) for item in found]
    for item in found:
        assert item.file == str(tmp_path / "all.yaml")
        assert item.line is not None
        assert item.level == RULES[item.code].level


def test_writers_of_one_table(tmp_path: Path) -> None:
    modules = "modules:\n" + _module("m") + _module("other", dest_table="T", **KEYED)
    found = _lint(tmp_path, modules + _module("third", dest_table="T", enabled="false"))
    assert [(item.code, item.record) for item in found if item.level == "error"] == [("PK302", "module m")]
    assert "other" in found[0].message
    assert "third" not in found[0].message


def test_a_module_that_reads_what_it_writes(tmp_path: Path) -> None:
    modules = "modules:\n" + _module("m", source="dw", query="SELECT DISTINCT id FROM T x")
    modules += _module("grows", source="dw", query="SELECT id FROM g", dest_table="g", strategy="append")
    modules += _module("elsewhere", source="dw", query="SELECT id FROM a.e", dest_table="b.e")
    modules += _module(
        "beside", source="dw", query="SELECT id FROM o WHERE id NOT IN (SELECT id FROM b)", dest_table="b"
    )
    modules += _module("from_another", query="SELECT id FROM f", dest_table="f")
    found = {item.record: item.message for item in _lint(tmp_path, modules) if item.code == "PK304"}
    assert sorted(found) == ["module grows", "module m"]
    assert "what others write meanwhile is lost" in found["module m"]
    assert "each run adds its rows again" in found["module grows"]


def test_groups(tmp_path: Path) -> None:
    text = "modules:\n" + _module("a", enabled="false") + _module("b", dest_table="b") + _module("c", dest_table="c")
    text += textwrap.dedent("""\
        groups: {ga: {members: [a]}, gb: {members: [b]}, gx: {members: [b]}, gy: {members: [b]}}
        schedules: {s: {group: ga, cron: "0 1 * * *"}}
        triggers:
          x: {group: gx, kind: group, after: gy}
          y: {group: gy, kind: group, after: gx}
    """)
    found = {(item.code, item.record) for item in _lint(tmp_path, text, group=False)}
    assert found == {
        ("PK401", "group gb"),
        ("PK402", "module c"),
        ("PK403", "schedule s"),
        ("PK404", "trigger x"),
        ("PK404", "trigger y"),
    }


def test_a_secret_in_a_connection_is_found_and_not_repeated(tmp_path: Path) -> None:
    text = CONNECTIONS.replace("//db/dw", "//u:hunter2@db/dw") + "modules:\n" + _module()
    (tmp_path / "all.yaml").write_text(text, encoding="utf-8")
    found = lint_files(tmp_path, Config(database=str(tmp_path / "none.db")))
    first = found[0]
    assert (first.code, first.line, first.record) == ("PK001", 3, "connection dw")
    assert "hunter2" not in " ".join(map(str, found))


def test_lines_point_into_blocks_of_sql(tmp_path: Path) -> None:
    query = "|\n      SELECT id, at\n      FROM s\n      WHERE at > '{since}'\n      ORDER BY at"
    found = _lint(tmp_path, "modules:\n" + _module(query=query, marks=SINCE, **KEYED))
    lines = (tmp_path / "all.yaml").read_text().splitlines()
    assert {item.code: lines[(item.line or 0) - 1].strip() for item in found} == {
        "PK203": "WHERE at > '{since}'",
        "PK112": "ORDER BY at",
    }


def test_comments_silence_a_rule_on_a_line_or_for_a_record(tmp_path: Path) -> None:
    block = "|\n      SELECT id\n      FROM s\n      ORDER BY id -- pipekit: ignore PK112"
    assert _lint(tmp_path, "modules:\n" + _module(query=block)) == []
    text = "modules:\n" + _module(query="SELECT id FROM s ORDER BY id;").replace(
        "  m:", "  m:   # pipekit: ignore PK112, PK111 as the vendor gave it"
    )
    assert _lint(tmp_path, text) == []
    unneeded = _lint(tmp_path, "modules:   # pipekit: ignore PK112\n" + _module())
    assert [(item.code, item.level) for item in unneeded] == [("PK003", "info")]


def test_a_file_that_cannot_be_read_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text("modules: [\n", encoding="utf-8")
    found = lint_files(tmp_path, Config(database=str(tmp_path / "none.db")))
    assert [item.code for item in found] == ["PK001"]


def test_the_shipped_definitions_are_clean(tmp_path: Path) -> None:
    assert lint_files(ROOT / "definitions", Config(database=str(tmp_path / "none.db"))) == []


def test_codes_are_in_order_and_every_static_rule_is_tested() -> None:
    assert list(RULES) == sorted(RULES)
    told = {code for codes, _ in CASES.values() for code in codes}
    told |= {"PK002", "PK003", "PK302", "PK304", "PK401", "PK402", "PK403", "PK404"}
    # PK501: files with secrets in connections are refused while they are read (PK001). PK6xx: test_command.py.
    assert {code for code in RULES if not code.startswith("PK6")} - told == {"PK501"}
