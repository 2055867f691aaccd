"""Applying: a plan that reads like a diff, all or nothing, and running state that stays."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timezone
from pathlib import Path

import pytest

from pipekit_engine.definitions.apply import apply_definitions, plan_apply
from pipekit_engine.definitions.export import without_builtin_drivers, write_export
from pipekit_engine.definitions.saving import register_builtin_drivers
from pipekit_engine.errors import ConfigurationError, DefinitionsError
from pipekit_engine.models import Driver
from pipekit_engine.store import Store
from tests.definitions.conftest import Write

BASE = """
drivers:
  sqlite: {kind: sqlite}
connections:
  a: {driver: sqlite, jdbc_url: "jdbc:sqlite:a.db"}
  b: {driver: sqlite, jdbc_url: "jdbc:sqlite:b.db"}
modules:
  one:
    source: a
    dest: b
    query: |
      SELECT x
      FROM one
    dest_table: one
    strategy: full
    hooks:
      - {sql: ANALYZE one}
  two:
    source: a
    dest: b
    query: SELECT 2 WHERE t > '{since}'
    dest_table: two
    strategy: append
    watermarks:
      since: {connection: b, resolver_sql: SELECT max(t) FROM two, default: 2013-01-01}
groups:
  nightly: {members: [one, two]}
schedules:
  at-two: {group: nightly, cron: "0 2 * * *"}
"""


def lines(store: Store, folder: Path, *, prune: bool = False) -> list[str]:
    return list(plan_apply(store, folder, prune=prune).plan.lines())


def test_applying_twice_changes_nothing(store: Store, write: Write) -> None:
    folder = write("all.yaml", BASE)
    first = apply_definitions(store, folder)
    assert first.plan.summary == "7 to create, 0 to change, 0 to delete, 0 unchanged"
    assert lines(store, folder) == ["0 to create, 0 to change, 0 to delete, 7 unchanged"]
    assert store.definitions.module("two").watermarks[0].default == "2013-01-01"


def test_a_dry_run_changes_nothing(store: Store, write: Write) -> None:
    applied = apply_definitions(store, write("all.yaml", BASE), dry_run=True)
    assert applied.dry_run
    assert store.definitions.load().modules == {}


def test_a_change_is_shown_field_by_field(store: Store, write: Write) -> None:
    apply_definitions(store, write("all.yaml", BASE))
    edited = (
        BASE.replace("FROM one", "FROM one\n      WHERE y")
        .replace("default: 2013-01-01", "default: 2014-01-01")
        .replace("{sql: ANALYZE one}", "{sql: ANALYZE one, run_on: always}")
        .replace("members: [one, two]", "members: [[one, two]], max_parallel: 2")
    )
    assert lines(store, write("all.yaml", edited)) == [
        "~ module one",
        "    query:",
        "       FROM one",
        "      +WHERE y",
        "    hooks[0].run_on: (default) -> always",
        "~ module two",
        "    watermarks.since.default: 2013-01-01 -> 2014-01-01",
        "~ group nightly",
        "    members: [one, two] -> [[one, two]]",
        "    max_parallel: (default) -> 2",
        "0 to create, 3 to change, 0 to delete, 4 unchanged",
    ]


def test_nothing_is_deleted_without_prune(store: Store, write: Write) -> None:
    apply_definitions(store, write("all.yaml", BASE))
    smaller = BASE.replace("schedules:\n", "").replace('  at-two: {group: nightly, cron: "0 2 * * *"}\n', "")
    folder = write("all.yaml", smaller)
    assert lines(store, folder)[-1] == "0 to create, 0 to change, 0 to delete, 6 unchanged"
    apply_definitions(store, folder, prune=True)
    assert store.definitions.load().schedules == {}


def test_prune_never_deletes_drivers(store: Store, write: Write) -> None:
    apply_definitions(store, write("all.yaml", BASE))
    folder = write("all.yaml", BASE.replace("drivers:\n  sqlite: {kind: sqlite}\n", ""))
    assert lines(store, folder, prune=True)[-1] == "0 to create, 0 to change, 0 to delete, 6 unchanged"


def test_what_prune_would_delete_cannot_be_referred_to(store: Store, write: Write) -> None:
    apply_definitions(store, write("all.yaml", BASE))
    folder = write("all.yaml", 'schedules: {at-three: {group: nightly, cron: "0 3 * * *"}}')
    assert lines(store, folder)[0] == "+ schedule at-three"
    with pytest.raises(DefinitionsError, match="--prune would delete the stored one"):
        plan_apply(store, folder, prune=True)


def test_a_rename_is_reported(store: Store, write: Write) -> None:
    apply_definitions(store, write("all.yaml", BASE))
    folder = write("all.yaml", BASE.replace("  two:", "  deux:").replace("[one, two]", "[one, deux]"))
    assert lines(store, folder)[0] == (
        "+ module deux  (the same as two, which stays; was it renamed? --prune deletes what the files lack)"
    )
    assert lines(store, folder, prune=True) == [
        "+ module deux  (renamed from two; its past runs stay under the old name)",
        "~ group nightly",
        "    members: - two, + deux",
        "- module two",
        "1 to create, 1 to change, 1 to delete, 5 unchanged",
    ]
    apply_definitions(store, folder, prune=True)
    assert sorted(store.definitions.load().modules) == ["deux", "one"]


def test_an_error_in_one_file_changes_nothing_of_any(store: Store, write: Write) -> None:
    write("good.yaml", BASE)
    folder = write("bad.yaml", "groups: {g: {members: [missing]}}")
    with pytest.raises(DefinitionsError, match=r"bad\.yaml:1: groups\.g\.members\[0\]: there is no module 'missing'"):
        apply_definitions(store, folder)
    assert store.definitions.load().modules == {}


def test_a_file_may_refer_to_what_the_store_holds(store: Store, write: Write, tmp_path: Path) -> None:
    apply_definitions(store, write("all.yaml", BASE))
    other = tmp_path / "more.yaml"
    other.write_text("groups: {more: {members: [two]}}")
    apply_definitions(store, other)
    assert store.definitions.group("more").layers == (("two",),)


def test_running_state_stays(store: Store, write: Write) -> None:
    apply_definitions(store, write("all.yaml", BASE))
    tick = datetime(2100, 1, 1, 2, tzinfo=timezone.utc)
    assert store.ticks.claim("at-two", tick) == "claimed"
    fingerprint = store.definitions.fingerprint()
    apply_definitions(store, write("all.yaml", BASE.replace("SELECT x", "SELECT y")), prune=True)
    assert store.ticks.last_fired_at("at-two") == tick
    assert store.definitions.fingerprint() != fingerprint


def test_export_reads_well(store: Store, write: Write, tmp_path: Path) -> None:
    apply_definitions(store, write("all.yaml", BASE))
    out = tmp_path / "out"
    exported = without_builtin_drivers(store.definitions.load(), [Driver(name="sqlite", kind="sqlite")])
    files = write_export(exported, out)
    assert sorted(str(file.relative_to(out)) for file in files) == [
        "connections.yaml",
        "groups.yaml",
        "modules/one.yaml",
        "modules/two.yaml",
        "schedules.yaml",
    ]
    assert (out / "modules/two.yaml").read_text() == (
        "modules:\n"
        "  two:\n"
        "    source: a\n"
        "    dest: b\n"
        "    query: SELECT 2 WHERE t > '{since}'\n"
        "    dest_table: two\n"
        "    strategy: append\n"
        "    watermarks:\n"
        "      since:\n"
        "        connection: b\n"
        "        resolver_sql: SELECT max(t) FROM two\n"
        "        default: '2013-01-01'\n"
    )
    assert "    query: |\n      SELECT x\n      FROM one\n" in (out / "modules/one.yaml").read_text()
    assert "  nightly:\n    members: [one, two]\n" in (out / "groups.yaml").read_text()
    assert (out / "groups.yaml").stat().st_mode & 0o444 != 0o400


def test_export_does_not_overwrite_unasked_nor_leave_strangers(store: Store, write: Write, tmp_path: Path) -> None:
    apply_definitions(store, write("all.yaml", BASE))
    definitions, out = store.definitions.load(), tmp_path / "out"
    write_export(definitions, out)
    with pytest.raises(ConfigurationError, match="--force replaces"):
        write_export(definitions, out)
    write_export(definitions, out, force=True)
    (out / "mine.yaml").write_text("modules: {}")
    with pytest.raises(ConfigurationError, match=r"would not replace: mine\.yaml"):
        write_export(definitions, out, force=True)
    one = tmp_path / "one.yaml"
    write_export(definitions, one)
    assert plan_apply(store, one, prune=True).plan.changes == ()


def test_a_broken_row_is_replaced_by_its_file(store: Store, write: Write, tmp_path: Path) -> None:
    folder = write("all.yaml", BASE)
    apply_definitions(store, folder)
    with sqlite3.connect(tmp_path / "pipekit.db") as database:
        database.execute("""UPDATE module SET options_json = '{"dedupe": "x"}' WHERE name = 'one'""")
    database.close()
    assert [broken.name for broken in store.definitions.load_checked()[1]] == ["one"]
    assert lines(store, folder)[0] == "~ module one  (the stored row is broken)"
    apply_definitions(store, folder)
    assert store.definitions.load_checked()[1] == []


def test_a_url_of_another_kind_than_the_drivers_is_told(store: Store, write: Write) -> None:
    folder = write(
        "c.yaml",
        """
drivers: {postgresql: {kind: postgresql}, mariadb: {kind: mariadb}}
connections:
  wrong: {driver: postgresql, jdbc_url: "jdbc:mariadb://h/x"}
  right: {driver: mariadb, jdbc_url: "jdbc:mysql://h/x"}
""",
    )
    with pytest.raises(DefinitionsError) as caught:
        apply_definitions(store, folder)
    assert len(caught.value.problems) == 1
    wanted = "connections.wrong.jdbc_url: is a URL of MariaDB, and driver 'postgresql' is for PostgreSQL"
    assert wanted in caught.value.problems[0]


def test_a_list_shows_what_left_and_what_came(store: Store, write: Write) -> None:
    folder = write("all.yaml", BASE)
    apply_definitions(store, folder)
    write("all.yaml", BASE.replace("members: [one, two]", "members: [two]").replace("x\n", "x, y\n"))
    assert "    members: - one" in lines(store, folder)


@pytest.mark.parametrize(
    ("schedule", "told"),
    [
        ('cron: "0 25 * * *"', "the hour 25 is not between 0 and 23"),
        ('cron: "61 2 * * *"', "the minute 61 is not between 0 and 59"),
        ('cron: "0 2 * * *", timezone: Europe/Berlim', "did you mean Europe/Berlin?"),
    ],
)
def test_mistakes_in_schedules_name_the_fix(store: Store, write: Write, schedule: str, told: str) -> None:
    folder = write("all.yaml", BASE.replace('cron: "0 2 * * *"', schedule))
    with pytest.raises(DefinitionsError) as caught:
        apply_definitions(store, folder)
    assert told in caught.value.problems[0]


def test_the_definitions_of_a_fresh_checkout_apply(store: Store) -> None:
    """The folder as it is: demo.yaml with the connections beside it."""
    register_builtin_drivers(store)
    plan = apply_definitions(store, Path(__file__).parents[2] / "definitions")
    assert {(change.action, change.kind) for change in plan.plan.changes} >= {
        ("create", "connections"),
        ("create", "modules"),
    }
    assert store.definitions.module("flights").source == "ops"
