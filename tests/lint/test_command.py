"""`pipekit lint` itself: places, exit statuses, JSON, the store, live databases."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pipekit_engine.config import Config
from pipekit_engine.databases.dialects import builtin_drivers
from pipekit_engine.lint import RULES, lint_store
from pipekit_engine.models import Connection
from pipekit_engine.store import Change, Store
from tests.cli.conftest import Project


def test_findings_name_file_line_and_fix(project: Project) -> None:
    done = project("lint", "mistakes")
    assert done.status == 1
    assert "mistakes/more.yaml:5: info PK112: module sorted: ORDER BY makes the source sort" in done.out
    assert "mistakes/more.yaml:8: error PK103: module sorted: merge_key: the query does not give 'nr'." in done.out
    # The modules stand in no group; the store that is there knows their connections.
    assert "PK002" not in done.out
    assert done.err.strip() == "1 error, 1 warning, 3 infos."


def test_exit_statuses(project: Project) -> None:
    assert project.look("lint", "mistakes", "--ignore", "PK103").status == 0
    assert project.look("lint", "mistakes", "--ignore", "PK103", "--strict").status == 1
    assert project.look("lint", "mistakes", "--ignore", "pk103,PK203", "--strict").status == 0
    unknown = project.look("lint", "mistakes", "--ignore", "PK999")
    assert (unknown.status, "There is no rule 'PK999'" in unknown.err) == (2, True)
    nowhere = project.look("lint", "nowhere")
    assert (nowhere.status, "there is no such file or folder" in nowhere.err) == (2, True)


def test_json_has_every_field(project: Project) -> None:
    found = project.look("lint", "mistakes", "--json").json
    assert {
        "code": "PK203",
        "level": "warning",
        "record": "module behind",
        "field": "query",
        "message": "`> {since}` misses rows that get the same value after the run has read it.",
        "fix": "Write `>=`: rows that are read twice are replaced by their key.",
        "file": "mistakes/more.yaml",
        "line": 12,
    } in found
    rules = project.look("lint", "--rules", "--json").json
    assert [rule["code"] for rule in rules] == list(RULES)
    assert "PK103  error" in project.look("lint", "--rules").out


def test_without_a_folder_it_lints_the_store(project: Project, tmp_path: Path) -> None:
    done = project.look("lint", "--json")
    assert done.status == 0
    assert {(item["code"], item["record"]) for item in done.json} == {("PK401", "group mixed"), ("PK401", "group slow")}
    assert {item["file"] for item in done.json} == {None}
    nothing = project.look("--config", str(_config(tmp_path)), "lint")
    assert (nothing.status, "pipekit init" in nothing.err) == (2, True)


def _config(folder: Path) -> Path:
    (folder / "pipekit.yaml").write_text("database: none.db\n")
    return folder / "pipekit.yaml"


def test_a_secret_that_came_into_the_store_by_another_way(tmp_path: Path) -> None:
    config = Config(database=str(tmp_path / "pipekit.db"))
    Store.init(config.database_url)
    connection = Connection(
        name="x", driver="postgresql", jdbc_url="jdbc:postgresql://u:hunter2@h/d", options={"sslpassword": "hunter2"}
    )
    with Store.open(config.database_url) as store:
        changes = [Change("create", "drivers", driver.name, driver) for driver in builtin_drivers()]
        store.definitions.save([*changes, Change("create", "connections", "x", connection)])
    found = lint_store(config)
    assert [(item.code, item.field) for item in found] == [("PK501", "jdbc_url"), ("PK501", "options.sslpassword")]
    assert "hunter2" not in " ".join(map(str, found))


LIVE = """\
connections:
  gone: {driver: sqlite, jdbc_url: "jdbc:sqlite:/nowhere/at/all.db"}
  h2: {driver: h2, jdbc_url: "jdbc:h2:mem:lint"}
modules:
  good: {source: src, dest: dw, query: "SELECT id, name FROM items", dest_table: copy, strategy: full}
  star: {source: src, dest: dw, query: SELECT * FROM items, dest_table: star, strategy: upsert, merge_key: [nr]}
  wrong: {source: src, dest: dw, query: SELECT nope FROM items, dest_table: w, strategy: full}
  resolver:
    source: src
    dest: dw
    query: SELECT id FROM items WHERE id >= {n}
    dest_table: r
    strategy: upsert
    merge_key: [id]
    watermarks: {n: {connection: src, resolver_sql: SELECT max(nope) FROM items, default: 0}}
  unreachable: {source: gone, dest: dw, query: SELECT 1 AS a, dest_table: u, strategy: full}
  other: {source: src, dest: dw, query: SELECT id FROM items, dest_table: taken, strategy: full}
  lossy: {source: h2, dest: dw, query: "SELECT CAST(1 AS DECIMAL(30, 2)) AS amount", dest_table: lossy, strategy: full}
  off: {source: gone, dest: dw, query: SELECT 1 AS a, dest_table: o, strategy: full, enabled: false}
groups:
  all: {members: [good, star, wrong, resolver, unreachable, other, lossy, off]}
schedules:
  nightly: {group: all, cron: "0 3 * * *"}
"""


OFFSETS = """
modules:
  west: &west
    source: src
    dest: dw
    query: SELECT v.id, v.at FROM visits v WHERE v.at >= '{since}'
    dest_table: visits
    strategy: upsert
    merge_key: [id]
    watermarks: {since: {connection: dw, resolver_sql: SELECT max(at) FROM visits, default: "2000-01-01"}}
  mirrored: {<<: *west, dest_table: m, query: "SELECT * FROM (SELECT id, at FROM visits) q WHERE datetime('{since}') < at"}
  right: {<<: *west, dest_table: r, query: "SELECT id, at FROM visits WHERE datetime(at) >= datetime('{since}')"}
  plain: {<<: *west, dest_table: p, query: "SELECT id, utc AS at FROM visits WHERE utc >= '{since}'"}
  none: {<<: *west, dest_table: n, query: "SELECT id, american AS at FROM visits WHERE american BETWEEN '{since}' AND '9999'"}
"""


def test_live_finds_times_that_are_compared_as_texts(project: Project, java: str) -> None:
    assert java
    with closing(sqlite3.connect(project.folder / "src.db")) as source, source:
        source.execute("CREATE TABLE visits (id INTEGER PRIMARY KEY, at TIMESTAMP, utc TIMESTAMP, american TEXT)")
        source.execute("INSERT INTO visits VALUES (1, '2024-05-01 10:00:00-05:00', '2024-05-01 15:00:00Z', '5/1/2024')")
    project.write("offsets/all.yaml", OFFSETS)
    found = [item for item in project("lint", "offsets", "--live", "--json").json if item["code"] == "PK606"]
    messages = {item["record"]: item["message"] + " " + item["fix"] for item in found}
    assert "Compare `datetime(at) >= datetime('{since}')`" in messages["module west"]
    assert "Compare `datetime(at) > datetime('{since}')`" in messages["module mirrored"]
    assert "have no order" in messages["module none"]
    assert set(messages) == {"module west", "module mirrored", "module none"}


def test_live_asks_the_databases_and_moves_nothing(project: Project, java: str) -> None:
    assert java
    with closing(sqlite3.connect(project.folder / "dw.db")) as dest, dest:
        dest.execute("CREATE TABLE IF NOT EXISTS taken (id INTEGER, more TEXT)")
    project.write("live/all.yaml", LIVE)
    before = (project.folder / "pipekit.db").read_bytes(), project.rows("SELECT name FROM sqlite_master")
    quiet = project("lint", "live", "--json").json
    assert {item["code"] for item in quiet} == {"PK113"}
    done = project("lint", "live", "--live", "--json")
    assert done.status == 1
    found = {(item["code"], item["record"]): item for item in done.json if item["code"] != "PK113"}
    assert set(found) == {
        ("PK605", "module star"),
        ("PK602", "module wrong"),
        ("PK602", "module resolver"),
        ("PK601", "module unreachable"),
        ("PK603", "module other"),
        ("PK604", "module lossy"),
    }
    assert "There is no column 'nr'" in found["PK605", "module star"]["message"]
    assert "column more is not in the query" in found["PK603", "module other"]["message"]
    assert "stored as text" in found["PK604", "module lossy"]["message"]
    assert found["PK602", "module wrong"]["line"] == 7
    # Nothing was written: neither a run nor a table.
    after = (project.folder / "pipekit.db").read_bytes(), project.rows("SELECT name FROM sqlite_master")
    assert after == before


@pytest.mark.parametrize("page", ["README.md", "docs/python.md"])
def test_the_documentation_s_examples_are_clean(page: str, tmp_path: Path) -> None:
    import re

    import yaml

    from pipekit_engine.lint import lint_files

    root = Path(__file__).parents[2]
    blocks = re.findall(r"^```yaml\n(.*?)^```", (root / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)
    blocks += re.findall(r'write_text\("""\n(.*?)"""\)', (root / page).read_text("utf-8"), re.DOTALL)
    assert blocks
    for block in blocks:
        if "modules" not in (yaml.safe_load(block) or {}):
            continue
        (tmp_path / "page.yaml").write_text(block, encoding="utf-8")
        found = lint_files(tmp_path, Config(database=str(tmp_path / "none.db")))
        assert [str(item) for item in found if item.level != "info"] == []
