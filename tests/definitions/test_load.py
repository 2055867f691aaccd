"""Reading YAML: what it means, and that every mistake is told with file, line, field and fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipekit_engine.definitions.load import load_definitions, read_definitions
from pipekit_engine.errors import ConfigurationError, DefinitionsError
from pipekit_engine.models import Hook, Watermark
from tests.definitions.conftest import Write

DRIVERS = """
    drivers:
      sqlite: {kind: sqlite}
    connections:
      a: {driver: sqlite, jdbc_url: "jdbc:sqlite:a.db"}
      b: {driver: sqlite, jdbc_url: "jdbc:sqlite:b.db"}
"""


def module(**fields: str) -> str:
    lines = {"source": "a", "dest": "b", "query": "SELECT 1", "dest_table": "t", "strategy": "full"} | fields
    return DRIVERS + "    modules:\n      m:\n" + "".join(f"        {k}: {v}\n" for k, v in lines.items() if v)


def problems(folder: Path) -> list[str]:
    with pytest.raises(DefinitionsError) as error:
        load_definitions(folder)
    return [problem.removeprefix(f"{folder}/") for problem in error.value.problems]


def test_an_example_of_every_kind(write: Write) -> None:
    folder = write(
        "all.yaml",
        """
        drivers: {postgresql: {kind: postgresql}}
        connections:
          warehouse: {driver: postgresql, jdbc_url: "jdbc:postgresql://127.0.0.1:5432/dw", username: etl, password: $DW}
          ops: {driver: postgresql, jdbc_url: "jdbc:postgresql://127.0.0.1:5432/ops"}
        modules:
          flights:
            source: ops
            dest: warehouse
            query: SELECT * FROM flights WHERE time_hour >= '{since}'
            dest_table: analytics.flights
            strategy: incremental            # full | incremental | append | upsert
            merge_key: [year, month, day, carrier, flight, origin]
            watermarks:
              since: {connection: warehouse, resolver_sql: "SELECT max(t) FROM flights", default: "2013-01-01"}
            hooks:
              - {run_on: success, sql: ANALYZE analytics.flights}
          airlines: {source: ops, dest: warehouse, query: SELECT 1, dest_table: t, strategy: full}
          planes: {source: ops, dest: warehouse, query: SELECT 1, dest_table: t, strategy: full}
        groups:
          nightly: {members: [airlines, [planes, flights]]}
        schedules:
          nightly-2am: {group: nightly, cron: "0 2 * * *", timezone: America/New_York}
        triggers:
          changed: {group: nightly, kind: watermark, connection: ops, sql: "SELECT max(t) FROM flights", every: 60}
        """,
    )
    loaded = load_definitions(folder)
    assert loaded.warnings == []
    flights = loaded.definitions.modules["flights"]
    assert flights.merge_key == ("year", "month", "day", "carrier", "flight", "origin")
    assert flights.watermarks == (
        Watermark(
            name="since", connection="warehouse", resolver_sql="SELECT max(t) FROM flights", default="2013-01-01"
        ),
    )
    assert flights.hooks == (Hook(sql="ANALYZE analytics.flights"),)
    assert loaded.definitions.groups["nightly"].layers == (("airlines",), ("planes", "flights"))


@pytest.mark.parametrize("typed", ["2013-01-01", "2013-01-01 00:00:00", "007", "1_000", "1.50", "no", "0x1F", "1:30"])
def test_a_default_is_the_text_that_was_typed(write: Write, typed: str) -> None:
    watermarks = f"{{w: {{connection: a, resolver_sql: SELECT 1, default: {typed}}}}}"
    folder = write("m.yaml", module(query="SELECT '{w}'", watermarks=watermarks))
    assert load_definitions(folder).definitions.modules["m"].watermarks[0].default == typed


def test_yaml_words_for_booleans_are_column_names(write: Write) -> None:
    folder = write("m.yaml", module(strategy="upsert", merge_key="[no, on, y, 1]", columns="[no, on, y, 1]"))
    loaded = load_definitions(folder).definitions.modules["m"]
    assert loaded.merge_key == ("no", "on", "y", "1")
    assert [column.source_name for column in loaded.columns] == ["no", "on", "y", "1"]


@pytest.mark.parametrize(("typed", "value"), [("true", True), ("no", False), ("off", False), ("False", False)])
def test_a_boolean_is_what_yaml_says(write: Write, typed: str, value: bool) -> None:
    assert load_definitions(write("m.yaml", module(enabled=typed))).definitions.modules["m"].enabled is value


def test_anchors_and_merge_keys(write: Write) -> None:
    folder = write(
        "m.yaml",
        DRIVERS
        + """
    x-defaults: &defaults {source: a, dest: b, strategy: full, query: SELECT 1}
    modules:
      one: {<<: *defaults, dest_table: one}
      two: {<<: *defaults, dest_table: two, query: SELECT 2}
        """,
    )
    modules = load_definitions(folder).definitions.modules
    assert (modules["one"].query, modules["two"].query) == ("SELECT 1", "SELECT 2")


def test_a_hook_may_be_just_its_sql(write: Write) -> None:
    assert load_definitions(write("m.yaml", module(hooks="[ANALYZE t]"))).definitions.modules["m"].hooks == (
        Hook(sql="ANALYZE t"),
    )


def test_folders_are_searched_and_hidden_files_left_out(write: Write) -> None:
    write("one/two/m.yml", module())
    write(".hidden/bad.yaml", "a: [")
    write(".bad.yaml", "a: [")
    folder = write("README.md", "not yaml: [")
    assert list(load_definitions(folder).definitions.modules) == ["m"]


def test_a_folder_without_files_is_an_error(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"holds no \.yaml"):
        load_definitions(folder)
    with pytest.raises(ConfigurationError, match="no such file or folder"):
        load_definitions(folder / "missing")


MISTAKES = {
    "misspelt key": (
        module(merge_kye="[a]"),
        ["m.yaml:14: modules.m.merge_kye: unknown key; did you mean 'merge_key'?"],
    ),
    "another tool's word": (
        module(destination="b"),
        ["m.yaml:14: modules.m.destination: unknown key; did you mean 'dest'?"],
    ),
    "misspelt kind": ("modles: {}", ["m.yaml:1: modles: unknown key; did you mean 'modules'?"]),
    "misspelt value": (
        module(strategy="incremnetal"),
        [
            "m.yaml:13: modules.m.strategy: 'incremnetal' is not one of full, incremental, append, upsert; "
            "did you mean 'incremental'?"
        ],
    ),
    "missing key": (module(source=""), ["m.yaml:8: modules.m.source: is missing"]),
    "empty value": (
        module(dest_table="~"),
        ["m.yaml:12: modules.m.dest_table: is empty; give a value or leave the key out"],
    ),
    "braces read as a mapping": (
        module(query="{since}"),
        ["m.yaml:11: modules.m.query: must be text, not a mapping; quote it if it is meant as text"],
    ),
    "name given twice": (
        module(name="m"),
        ["m.yaml:14: modules.m.name: unknown key; leave it out: the name is the key above"],
    ),
    "nested key": (
        module(query="'{w}'", watermarks="{w: {connection: a, sql: SELECT 1}}"),
        ["m.yaml:14: modules.m.watermarks.w.sql: unknown key; did you mean 'resolver_sql'?"],
    ),
    "a column's type in the source": (
        module(columns="[{source_name: a, source_type: int}]"),
        ["m.yaml:14: modules.m.columns[0].source_type: unknown key; leave it out: the type is read from the source"],
    ),
    "key given twice": (
        module(query="SELECT 1\n        query: SELECT 2"),
        ["m.yaml:12: modules.m.query: is given twice, first in line 11"],
    ),
    "number": (module(retry="often"), ["m.yaml:14: modules.m.retry: must be a whole number"]),
    "number too great": (module(retry="99"), ["m.yaml:14: modules.m.retry: must be at most 20"]),
    "strategy without key": (
        module(strategy="upsert"),
        ["m.yaml:8: modules.m: strategy upsert needs a merge_key"],
    ),
    "tag": (module(query="!include x"), ["m.yaml:11: modules.m.query: has a YAML tag (!...)"]),
    "no mapping": ("modules: [a]", ["m.yaml:1: modules: must map the modules' names to what they are"]),
    "list at the top": ("- a\n", ["m.yaml:1: must hold `modules:`, `connections:` or the like at its top level"]),
    "unknown connection": (
        module(source="aa"),
        ["m.yaml:9: modules.m.source: there is no connection 'aa'; did you mean 'a'?"],
    ),
    "unknown driver": (
        'connections: {c: {driver: sqlte, jdbc_url: "jdbc:sqlite:x"}}',
        ["m.yaml:1: connections.c.driver: there is no driver 'sqlte'; registered: none"],
    ),
    "unknown watermark connection": (
        module(query="'{w}'", watermarks="{w: {connection: x, resolver_sql: SELECT 1}}"),
        ["m.yaml:14: modules.m.watermarks.w.connection: there is no connection 'x'"],
    ),
    "unknown hook connection": (
        module(hooks="[{sql: SELECT 1, connection: x}]"),
        ["m.yaml:14: modules.m.hooks[0].connection: there is no connection 'x'"],
    ),
    "unknown member": (
        module() + "    groups: {g: {members: [m, [m2]]}}\n",
        ["m.yaml:14: groups.g.members[1][0]: there is no module 'm2'; did you mean 'm'?"],
    ),
    "unknown group": (
        'schedules: {s: {group: g, cron: "0 2 * * *"}}',
        ["m.yaml:1: schedules.s.group: there is no group 'g'"],
    ),
    "bad cron": (
        'schedules: {s: {group: g, cron: "0 2 * *"}}',
        ["m.yaml:1: schedules.s.cron: must have five fields: minute hour day month weekday"],
    ),
    "bad time zone": (
        'schedules: {s: {group: g, cron: "0 2 * * *", timezone: Mars/Base}}',
        ["m.yaml:1: schedules.s.timezone: 'Mars/Base' is not an IANA time zone such as Europe/Paris"],
    ),
    "tab": ("modules:\n\tm: {}\n", ["m.yaml:2: is not YAML: found character that cannot start any token (a tab?"]),
    "colon in a value": (
        "modules:\n  m: {}\n  n: a: b\n",
        ["m.yaml:3: is not YAML: mapping values are not allowed in this context"],
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_names_file_line_field_and_fix(write: Write, mistake: str) -> None:
    text, expected = MISTAKES[mistake]
    found = problems(write("m.yaml", text))
    assert len(found) == len(expected), found
    assert all(one.startswith(other) for one, other in zip(found, expected, strict=True)), found


def test_all_mistakes_of_all_files_are_told_at_once(write: Write) -> None:
    write("a.yaml", module(strategy="fll"))
    write("b.yaml", "groups: {g: {member: [m]}}")
    folder = write("c.yaml", "modules: [\n")
    assert [problem.split(": ")[0] for problem in problems(folder)] == ["a.yaml:13", "b.yaml:1", "c.yaml:2"]


def test_a_name_in_two_files_is_told_with_both_places(write: Write) -> None:
    write("a.yaml", module())
    folder = write("b.yaml", "modules:\n  m: {source: a, dest: b, query: x, dest_table: t, strategy: full}\n")
    (problem,) = problems(folder)
    assert problem == f"b.yaml:2: modules.m: this module is already defined in {folder}/a.yaml:8"


def test_a_record_with_a_mistake_is_not_also_missing_where_it_is_used(write: Write) -> None:
    folder = write("a.yaml", module(strategy="fll") + "    groups: {g: {members: [m]}}\n")
    assert len(problems(folder)) == 1


@pytest.mark.parametrize(
    "connection",
    [
        '{driver: sqlite, jdbc_url: "jdbc:sqlite:a", password: hunter2}',
        '{driver: sqlite, jdbc_url: "jdbc:postgresql://u:hunter2@h/db"}',
        '{driver: sqlite, jdbc_url: "jdbc:postgresql://h/db?password=hunter2"}',
        '{driver: sqlite, jdbc_url: "jdbc:sqlite:a", options: {trustStorePassword: hunter2}}',
        '{driver: sqlite, jdbc_url: "jdbc:sqlite:a", password: *hunter2 }',
        '{driver: sqlite, jdbc_url: "jdbc:sqlite:a", password: !hunter2 x}',
        '{driver: sqlite, jdbc_url: "jdbc:sqlite:a", password: [hunter2]}',
        '{driver: sqlite, jdbc_url: "jdbc:sqlite:a", password: {hunter2: x}}',
        '{driver: sqlite, jdbc_url: "jdbc:sqlite:a", password: @hunter2}',
        '{driver: sqlite, jdbc_url: "jdbc:sqlite:a", password: "hunter2}',
    ],
)
def test_a_password_in_a_file_is_refused_and_not_shown(write: Write, connection: str) -> None:
    folder = write("m.yaml", f"drivers: {{sqlite: {{kind: sqlite}}}}\nconnections:\n  c: {connection}\n")
    assert "hunter2" not in "\n".join(problems(folder)).replace("password.hunter2", "")


def test_a_mapping_key_that_looks_like_a_password_is_the_only_thing_shown(write: Write) -> None:
    folder = write("m.yaml", "connections:\n  c: {driver: sqlite, jdbc_url: 'jdbc:sqlite:a', password: [x]}\n")
    assert problems(folder)[0].endswith("must be text, not a list; quote it if it is meant as text")


def test_placeholders_that_nothing_fills(write: Write) -> None:
    text = module(watermarks="{since: {connection: a, resolver_sql: SELECT 1}}", query="|")
    query = [
        "SELECT '{sinse}', '{\"a\": {\"b\": 1}}'::jsonb, '{}', '{1}', '{a,b}'",
        "FROM t WHERE x = {other} AND y = {other}",
    ]
    text = text.replace("query: |\n", "query: |\n" + "".join(f"          {line}\n" for line in query))
    folder = write("m.yaml", text)
    with pytest.raises(DefinitionsError) as caught:
        load_definitions(folder)
    assert [problem.removeprefix(f"{folder}/") for problem in caught.value.problems] == [
        "m.yaml:12: modules.m.query: {sinse} is filled by no watermark; did you mean {since}? "
        "The text itself is written {{sinse}}",
        "m.yaml:13: modules.m.query: {other} is filled by no watermark; declare one. "
        "The text itself is written {{other}}",
    ]


def test_what_may_be_a_comment_is_no_error(write: Write) -> None:
    folder = write("m.yaml", module(query='"SELECT 1 # {other}"'))
    assert "{other} is filled by no watermark" in str(load_definitions(folder).warnings[0])


def test_unused_watermarks_are_told(write: Write) -> None:
    text = module(watermarks="{since: {connection: a, resolver_sql: SELECT 1}}", query="SELECT 1")
    folder = write("m.yaml", text)
    assert [str(warning).removeprefix(f"{folder}/") for warning in load_definitions(folder).warnings] == [
        "m.yaml:14: modules.m.watermarks.since: the query never uses {since}",
    ]


def test_a_file_that_is_no_text_or_holds_itself(write: Write, folder: Path) -> None:
    (folder / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    write("loop.yaml", "modules: {m: {query: &a [*a]}}")
    write("control.yaml", "a: \x01")
    found = [str(problem) for problem in read_definitions(folder).problems]
    assert any("binary.yaml:1: is not UTF-8 text (byte 0xff): save the file as UTF-8" in problem for problem in found)
    assert any("nested too deeply" in problem for problem in found)
    assert any("control.yaml" in problem for problem in found)


CHECKED = """\
drivers: {{h2: {{kind: h2}}}}
connections: {{a: {{driver: h2, jdbc_url: "jdbc:h2:mem:a"}}}}
modules:
  m:
    source: a
    dest: a
    query: SELECT 1 AS id
    dest_table: t
    strategy: full
    checks:
{checks}
"""


def test_checks_are_a_mapping_by_name(tmp_path: Path) -> None:
    checks = """
      rows:
      volume: {on: staging, runs: 5}
      mine:
        sql: SELECT 1 FROM {table} WHERE 1 = 0
        on: staging
        severity: warning
    """
    (tmp_path / "d.yaml").write_text(CHECKED.format(checks=checks), encoding="utf-8")
    loaded = load_definitions(tmp_path).definitions.modules["m"]
    assert [(item.name, item.on, item.severity, item.runs) for item in loaded.checks] == [
        ("rows", "destination", "error", 10),
        ("volume", "staging", "error", 5),
        ("mine", "staging", "warning", 10),
    ]


@pytest.mark.parametrize(
    ("check", "problem"),
    [
        ("mine:", "must hold sql, on and severity"),
        ("mine: {}", "needs `sql`, or the name of one of pipekit's own checks: rows, unique_key"),
        ("rows: {sql: SELECT 1}", "rows is one of pipekit's own checks and takes no `sql`; give yours another name"),
        ("rows: {on: staging}", "rows is a check of the destination"),
        ("unique_key:", "check unique_key needs a merge_key"),
        ("freshness:", "check freshness needs fresh_within"),
        ("mine: {sql: 'SELECT {since}'}", "{since} stands for nothing in a check, whose placeholders are {table} and"),
        ("mine: {sql: SELECT 1, severty: error}", "unknown key; did you mean 'severity'?"),
        ("mine: {sql: SELECT 1, on: stage}", "'stage' is not one of staging, destination; did you mean 'staging'?"),
        ("mine: {sql: SELECT 1, runs: 3}", "`runs` and `deviation_percent` are for volume"),
    ],
)
def test_a_check_that_cannot_be_asked_is_refused(tmp_path: Path, check: str, problem: str) -> None:
    (tmp_path / "d.yaml").write_text(CHECKED.format(checks=f"      {check}"), encoding="utf-8")
    (found,) = problems(tmp_path)
    assert problem in found
