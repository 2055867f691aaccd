"""apply, export, schema and the lists of what is defined."""

from __future__ import annotations

import re
from datetime import datetime, timezone

from pipekit_engine.records.checks import CheckResult
from pipekit_engine.store import Store
from tests.cli.conftest import DEFINITIONS, Project


def test_apply_shows_a_plan_and_is_repeatable(project: Project) -> None:
    again = project.look("apply")
    assert (again.status, again.out) == (0, "0 to create, 0 to change, 0 to delete, 12 unchanged\n")
    project.write("definitions/all.yaml", DEFINITIONS.replace("SELECT id, name FROM items", "SELECT id FROM items"))
    dry = project.look("apply", "--dry-run")
    assert "~ module copy\n    query: SELECT id, name FROM items -> SELECT id FROM items\n" in dry.out
    assert "Dry run" in dry.err
    assert project.look("apply", "--json").json == {
        "applied": True,
        "changes": [
            {
                "action": "change",
                "kind": "modules",
                "name": "copy",
                "fields": {"query": {"old": "SELECT id, name FROM items", "new": "SELECT id FROM items"}},
                "note": None,
            }
        ],
        "warnings": [],
    }
    assert "SELECT id FROM items" in project.look("modules", "copy").out


def test_apply_refuses_bad_files_with_every_problem(project: Project) -> None:
    project.write("bad/a.yaml", "modules:\n  items:\n    sorce: src\n")
    project.write("bad/b.yaml", "groups:\n  g: {members: [itmes]}\n")
    done = project.look("apply", "bad")
    assert done.status == 2
    assert "bad/a.yaml:3: modules.items.sorce: unknown key; did you mean 'source'?" in done.err
    assert "bad/b.yaml:2: groups.g.members[0]: there is no module 'itmes'; did you mean 'items'?" in done.err
    assert "nothing was changed" in done.err
    assert project.look("apply", "nowhere").status == 2


def test_apply_refuses_unknown_placeholders(project: Project) -> None:
    project.write(
        "more.yaml", "modules: {w: {source: src, dest: dw, query: \"SELECT '{x}'\", dest_table: w, strategy: full}}"
    )
    done = project.look("apply", "more.yaml")
    assert done.status == 2
    assert "more.yaml:1: modules.w.query: {x} is filled by no watermark; declare one" in done.err


def test_prune_deletes_what_the_files_lack(project: Project) -> None:
    project.write("definitions/all.yaml", DEFINITIONS.partition("schedules:")[0])
    assert "0 to delete" in project.look("apply").out
    done = project.look("apply", "--prune")
    assert "- schedule nightly\n" in done.out
    assert "- trigger changed\n" in done.out
    assert project.look("schedules", "--json").json == {"schedules": [], "triggers": []}


def test_apply_names_modules_whose_file_is_gone(project: Project) -> None:
    """It was once silent: the module ran on, every night, and nobody found its file."""
    project.write(
        "definitions/more.yaml",
        "modules: {w: {source: src, dest: dw, query: SELECT 1 AS a, dest_table: w, strategy: full}}",
    )
    assert "in no file" not in project.look("apply").err
    (project.folder / "definitions/more.yaml").unlink()
    done = project.look("apply")
    assert done.status == 0
    assert "warning: modules in no file, and kept: w. --prune deletes what the files lack" in done.err
    assert project.look("apply", "--json").json["warnings"] != []
    assert "in no file" not in project.look("apply", "definitions/all.yaml").err
    assert "- module w" in project.look("apply", "--prune").out


def test_export_applies_as_no_change(project: Project) -> None:
    done = project.look("export", "out")
    assert (done.status, done.out) == (0, "Wrote 9 files to out.\n")
    assert project.look("apply", "out", "--prune").out == "0 to create, 0 to change, 0 to delete, 12 unchanged\n"
    assert project.look("export", "out").status == 2
    assert project.look("export", "out", "--force").status == 0


def test_schema(shared: Project) -> None:
    assert shared.look("schema").json["title"] == "pipekit definitions"
    assert shared.look("schema", "-o", "schema.json").status == 0
    assert (shared.folder / "schema.json").read_text().startswith("{")
    assert shared.look("schema", "-o", "nowhere/schema.json").status == 2


def test_lists(shared: Project) -> None:
    modules = shared.look("modules").out.splitlines()
    assert modules[0].split() == ["MODULE", "SOURCE", "DESTINATION", "STRATEGY", "GROUPS", "LAST", "RUN", "AT", "ROWS"]
    assert any(line.startswith("items ") and "success" in line and "50" in line for line in modules)
    assert any(line.startswith("sleeping (disabled)") for line in modules)
    assert "items > copy > sleeping" in shared.look("groups").out
    schedules = shared.look("schedules").out
    assert "0 2 * * *" in schedules
    assert "src: SELECT max(at) FROM items" in schedules
    by_name = {item["name"]: item for item in shared.look("modules", "--json").json}
    assert by_name["items"]["last_run"]["status"] == "success"
    assert by_name["items"]["groups"] == ["good"]
    assert [item["name"] for item in shared.look("groups", "--json").json] == ["good", "mixed", "slow"]
    assert shared.look("schedules", "--json").json["schedules"][0]["next_at"]


def test_modules_show_their_checks_and_partitions_where_some_have_any(project: Project) -> None:
    sleeping = "    dest_table: sleeping\n    strategy: full\n"
    checks = "    checks: {rows: , few: {sql: SELECT 1, severity: warning}}\n"
    partition = "    partition: {by: hour, start: 2016-01-01 00:00, end: 2016-01-01 05:00, column: at}\n"
    text = DEFINITIONS.replace(sleeping, sleeping + checks).replace(
        "SELECT 1 AS x", "\"SELECT 1 AS x, 2 AS at WHERE '{partition_start}' < '{partition_end}'\""
    )
    project.write("definitions/all.yaml", text.replace(checks, checks + partition))
    applied = project.look("apply")
    assert applied.status == 0, applied.err
    columns = {"COLUMNS": "200"}
    before = project.look("modules", **columns).out
    assert before.splitlines()[0].split()[-2:] == ["PARTITIONS", "CHECKS"]
    assert re.search(r"sleeping .* 0 of 5 hours +not asked yet", before)
    with Store.open(f"sqlite:///{project.folder / 'pipekit.db'}") as store:
        result = {
            "module": "sleeping",
            "severity": "warning",
            "on": "destination",
            "checked_at": datetime.now(timezone.utc),
        }
        found = [
            CheckResult(name="rows", status="passed", **result),
            CheckResult(name="few", status="failed", **result),
        ]
        store.checks.save("sleeping", found, keep=["rows", "few"])
    assert re.search(r"sleeping .* 1 warning, 1 passed", project.look("modules", **columns).out)


def test_times_of_a_schedule_are_in_its_own_zone(shared: Project) -> None:
    """NEXT was the machine's time, unmarked, beside the schedule's zone."""
    at = shared.look("schedules").out.splitlines()[1]
    assert re.search(r" 02:00:00\+0[12]:00$", at)


def test_a_dry_run_does_not_hide_the_last_load(project: Project) -> None:
    assert project("run", "copy").status == 0
    assert project("run", "copy", "--dry-run").status == 0
    by_name = {item["name"]: item for item in project.look("modules", "--json").json}
    assert by_name["copy"]["last_run"]["status"] == "success"
    assert project("run-group", "good", "--dry-run").status == 0
    groups = {item["name"]: item for item in project.look("groups", "--json").json}
    assert groups["good"]["last_run"] is None


def test_one_of_a_list_is_shown_as_yaml(shared: Project) -> None:
    assert shared.look("groups", "good").out == "groups:\n  good:\n    members: [items, copy, sleeping]\n"
    assert shared.look("modules", "items", "--json").json["merge_key"] == ["id"]
    wrong = shared.look("schedules", "nightli")
    assert (wrong.status, "Did you mean 'nightly'?" in wrong.err) == (2, True)


def test_apply_refuses_what_no_run_could_read(project: Project) -> None:
    bad = {"none": ("''", "t"), "comment": ("'-- later ;'", "t"), "name": ("SELECT 1 AS a", "my table")}
    fields = [
        f"{n}: {{source: src, dest: dw, query: {q}, dest_table: {t}, strategy: full}}" for n, (q, t) in bad.items()
    ]
    project.write("bad.yaml", "modules:\n" + "".join(f"  {line}\n" for line in fields))
    done = project.look("apply", "bad.yaml")
    assert done.status == 2
    assert "bad.yaml:2: modules.none.query: is empty; write a SELECT" in done.err
    assert "bad.yaml:3: modules.comment.query: is empty; write a SELECT" in done.err
    assert "bad.yaml:4: modules.name.dest_table: 'my table' is not a table name" in done.err


def test_a_locale_without_utf8_is_no_traceback(project: Project) -> None:
    project.write(
        "more.yaml", 'modules: {w: {source: src, dest: dw, query: "SELECT 1 AS größe", dest_table: w, strategy: full}}'
    )
    assert project.look("apply", "more.yaml").status == 0
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    assert "SELECT 1 AS gr\\xf6\\xdfe" in project("modules", "w", **ascii_only).out
    assert project("modules", "w", "--json", **ascii_only).json["query"] == "SELECT 1 AS größe"
    assert "SELECT 1 AS größe" in project("export", "-", **ascii_only).out, "what is read back stays UTF-8"


def test_a_narrow_terminal_cuts_members_not_how_the_last_run_went(shared: Project) -> None:
    heading, *rows = (shared.terminal("groups", columns=50)).splitlines()
    assert heading.split() == ["GROUP", "ON", "FAILURE", "LAST", "RUN", "AT", "TOOK", "MEMBERS"]
    assert any(line.startswith("mixed") for line in rows)
    assert all(len(line) <= 50 for line in rows), rows
