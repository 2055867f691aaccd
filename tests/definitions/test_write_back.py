"""What is saved elsewhere goes into the very file and place: comments, order, quotes and line breaks stay."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from pipekit_engine.common import files as common_files
from pipekit_engine.config import Config
from pipekit_engine.databases.dialects import builtin_drivers
from pipekit_engine.definitions.apply import apply_definitions, changed_on_pages, plan_apply
from pipekit_engine.definitions.load import read_text
from pipekit_engine.definitions.pull import carry_out, plan_pull
from pipekit_engine.definitions.saving import save_changes
from pipekit_engine.definitions.write_back import FileEdit
from pipekit_engine.errors import DefinitionsError, RecordChanged
from pipekit_engine.models import Connection, DefinitionKind, Module, NamedRecord
from pipekit_engine.store import Change, Store

FILE = """\
# What the shop has.
x-upsert: &upsert {strategy: upsert, merge_key: [id]}

connections:
  shop: {driver: sqlite, jdbc_url: "jdbc:sqlite:a.db"}   # theirs
  dw: {driver: sqlite, jdbc_url: 'jdbc:sqlite:b.db'}
modules:
  # asked for by sales
  orders:   # every order
    <<: *upsert
    source: shop
    dest: dw
    query: |  # the query
      SELECT id -- # no comment
      FROM orders

    # between two fields
    dest_table: "orders"  # quoted
    enabled: true
    hooks:
      - DELETE FROM a   # first
      # and
      - sql: VACUUM
        run_on: always

  items: {<<: *upsert, source: shop, dest: dw, query: SELECT id FROM items, dest_table: items}
---
groups:
  all:
    members:
      - orders  # first
      - [items]
schedules:
  nightly: {group: all, cron: "0 2 * * *"}  # at night
"""


class Project:
    """A store and the files that it was made from."""

    def __init__(self, folder: Path, empty: Path) -> None:
        self.folder = folder / "definitions"
        self.folder.mkdir()
        shutil.copy(empty, folder / "p.db")
        self.config = Config(database=str(folder / "p.db"), definitions=self.folder)
        self.store = Store.open(self.config.database_url)

    def apply(self, text: str | bytes, name: str = "all.yaml") -> Path:
        file = self.folder / name
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        apply_definitions(self.store, self.folder)
        return file

    def edit(self, kind: DefinitionKind, name: str, **fields: Any) -> FileEdit:
        """Save a record as a page does."""
        before = self.store.definitions.find(kind, name)
        assert before is not None
        after = type(before).model_validate({**before.model_dump(by_alias=True), **fields})
        return self.save(Change("change", kind, name, after))

    def save(self, change: Change, by: str = "user:ada") -> FileEdit:
        (found,) = save_changes(self.store, self.config, [change], by=by)
        return found

    def differences(self) -> list[str]:
        """What an apply would do, and whether it would call it a conflict."""
        planned = plan_apply(self.store, self.folder, prune=True)
        return [*(str(change.name) for change in planned.plan.changes), *changed_on_pages(self.store, planned.plan)]


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the drivers alone, to be copied."""
    file = tmp_path_factory.mktemp("empty") / "p.db"
    url = Config(database=str(file)).database_url
    Store.init(url)
    with Store.open(url) as store:
        store.definitions.save([Change("create", "drivers", item.name, item) for item in builtin_drivers()])
    return file


@pytest.fixture
def project(tmp_path: Path, empty: Path) -> Any:
    found = Project(tmp_path, empty)
    yield found
    found.store.close()


def changed_lines(edit: FileEdit) -> list[str]:
    return [line for line in edit.diff.splitlines()[2:] if line[0] in "+-"]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize(
    ("kind", "name", "fields", "wanted"),
    [
        (
            "modules",
            "orders",
            {"query": "SELECT 1\nFROM o\n", "enabled": False, "dest_table": "o's"},
            [
                "-      SELECT id -- # no comment",
                "-      FROM orders",
                "+      SELECT 1",
                "+      FROM o",
                '-    dest_table: "orders"  # quoted',
                "-    enabled: true",
                '+    dest_table: "o\'s"  # quoted',
                "+    enabled: false",
            ],
        ),
        (
            "modules",
            "orders",
            {"query": "SELECT 1"},
            [
                "-    query: |  # the query",
                "-      SELECT id -- # no comment",
                "-      FROM orders",
                "+    query: SELECT 1  # the query",
            ],
        ),
        ("modules", "orders", {"strategy": "full"}, ["+    strategy: full"]),
        (
            "modules",
            "orders",
            {"hooks": ({"sql": "DELETE FROM a"}, {"sql": "VACUUM", "run_on": "failure"})},
            ["-        run_on: always", "+        run_on: failure"],
        ),
        (
            "modules",
            "orders",
            {"watermarks": ({"name": "w", "connection": "dw", "resolver_sql": "SELECT\n1"},)},
            [
                "+    watermarks:",
                "+      w:",
                "+        connection: dw",
                "+        resolver_sql: |-",
                "+          SELECT",
                "+          1",
            ],
        ),
        ("groups", "all", {"layers": (("orders",),)}, ["-      - [items]"]),
        (
            "groups",
            "all",
            {"layers": (("items", "orders"),)},
            ["-      - orders  # first", "-      - [items]", "+      - [items, orders]"],
        ),
        (
            "schedules",
            "nightly",
            {"enabled": False},
            [
                '-  nightly: {group: all, cron: "0 2 * * *"}  # at night',
                '+  nightly: {group: all, cron: "0 2 * * *", enabled: false}  # at night',
            ],
        ),
        (
            "connections",
            "dw",
            {"options": {"a": "b: c"}},
            [
                "-  dw: {driver: sqlite, jdbc_url: 'jdbc:sqlite:b.db'}",
                "+  dw: {driver: sqlite, jdbc_url: 'jdbc:sqlite:b.db', options: {a: 'b: c'}}",
            ],
        ),
    ],
)
def test_only_the_lines_that_change_change(
    project: Project, kind: Any, name: str, fields: dict[str, Any], wanted: list[str], newline: str, bom: bytes
) -> None:
    file = project.apply(bom + FILE.replace("\n", newline).encode())
    before = file.read_bytes()
    edit = project.edit(kind, name, **fields)
    assert edit.written, edit.why
    assert changed_lines(edit) == list(wanted)
    after = file.read_bytes()
    assert after.startswith(bom)
    assert after.count(b"\r") == (after.count(b"\n") if newline == "\r\n" else 0)
    assert len(before.splitlines()) - len(after.splitlines()) == sum(1 if line[0] == "-" else -1 for line in wanted)
    assert project.differences() == []
    (entry,) = project.store.audit.list(kind, name, limit=1)
    assert entry.in_files


def test_what_was_written_back_is_no_conflict_for_the_next_edit_by_hand(project: Project) -> None:
    file = project.apply(FILE)
    assert project.edit("schedules", "nightly", cron="0 3 * * *").written
    file.write_text(file.read_text().replace("0 3 * * *", "0 4 * * *"))
    assert project.differences() == ["nightly"], "a change, and no conflict"
    apply_definitions(project.store, project.folder)
    assert project.store.definitions.schedule("nightly").cron == "0 4 * * *"


def test_what_was_copied_by_hand_is_no_conflict_once_it_was_applied(project: Project) -> None:
    file = project.apply(FILE)
    file.chmod(0o444)
    text = file.read_text()
    apart = Config(database=project.config.database)
    after = project.store.definitions.schedule("nightly").model_copy(update={"cron": "0 3 * * *"})
    assert save_changes(project.store, apart, [Change("change", "schedules", "nightly", after)], by="token:ci") == []
    with pytest.raises(DefinitionsError, match="changed it in the browser"):
        apply_definitions(project.store, project.folder)
    file.chmod(0o644)
    file.write_text(text.replace("0 2 * * *", "0 3 * * *"))
    apply_definitions(project.store, project.folder)
    file.write_text(text.replace("0 2 * * *", "0 5 * * *"))
    apply_definitions(project.store, project.folder)


def test_new_records_go_where_an_export_puts_them_and_deleted_ones_are_taken_out(project: Project) -> None:
    project.apply(FILE)
    new = Module(name="new", source="shop", dest="dw", query="SELECT 1\nAS id", dest_table="n", strategy="full")
    edit = project.save(Change("create", "modules", "new", new))
    assert (edit.file, edit.written) == ("modules/new.yaml", True)
    assert (project.folder / "modules/new.yaml").read_text().startswith("modules:\n  new:\n    source: shop\n")
    two = Connection(name="two", driver="sqlite", jdbc_url="jdbc:sqlite:2.db")
    for name in ("two", "three"):
        assert project.save(Change("create", "connections", name, two.model_copy(update={"name": name}))).written
    assert list(read_text("", (project.folder / "connections.yaml").read_bytes()).definitions.connections) == [
        "two",
        "three",
    ]
    assert project.differences() == []
    assert project.save(Change("delete", "modules", "new")).written
    assert not (project.folder / "modules/new.yaml").exists(), "nothing was left in it"
    assert project.save(Change("delete", "schedules", "nightly")).written
    text = (project.folder / "all.yaml").read_text()
    assert "nightly" not in text
    assert "# first" in text
    assert project.save(Change("delete", "groups", "all")).written
    gone = project.save(Change("delete", "modules", "orders"))
    assert gone.written
    assert "# asked for by sales" not in (project.folder / "all.yaml").read_text()
    assert project.differences() == []


def test_what_several_records_share_is_not_changed_for_one(project: Project) -> None:
    shared = FILE.replace("SELECT id FROM items", "&q SELECT id FROM items").replace(
        "---\n", "  same: {<<: *upsert, source: shop, dest: dw, query: *q, dest_table: same}\n---\n"
    )
    file = project.apply(shared)
    edit = project.edit("modules", "items", query="SELECT 10")
    assert not edit.written
    assert "layout" in edit.why or "anchor" in edit.why
    assert file.read_text() == shared
    assert "+" in edit.diff


def test_a_file_that_was_edited_by_hand_meanwhile_is_left_and_the_diff_offered(project: Project) -> None:
    file = project.apply(FILE)
    file.write_text(FILE.replace("0 2 * * *", "30 2 * * *"))
    edit = project.edit("schedules", "nightly", cron="0 3 * * *")
    assert not edit.written
    assert "edited there by hand" in edit.why
    assert "30 2 * * *" in file.read_text()
    assert [line for line in changed_lines(edit) if "cron" in line] == ["-    cron: 0 2 * * *", "+    cron: 0 3 * * *"]
    assert project.edit("modules", "orders", retry=1).written, "another record of that file is no matter"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (FILE.replace("  items:", "  orders: {}\n  items:"), "a problem of its own"),
        (FILE.replace("    dest: dw\n", "\tdest: dw\n"), "a problem of its own"),
        (FILE + "\x00", "a problem of its own"),
    ],
)
def test_a_file_with_a_problem_is_left(project: Project, text: str, why: str) -> None:
    file = project.apply(FILE)
    file.write_text(text)
    edit = project.edit("schedules", "nightly", cron="0 3 * * *")
    assert not edit.written
    assert file.read_text() == text


def test_links_modes_and_folders_that_cannot_be_written(project: Project, tmp_path: Path) -> None:
    file = project.apply(FILE)
    file.chmod(0o640)
    real = project.folder / "real.yml.d"
    file.rename(real)
    file.symlink_to(real)
    assert project.edit("modules", "orders", retry=1).written
    assert file.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert "retry: 1" in real.read_text()
    outside = tmp_path / "outside.yaml"
    real.rename(outside)
    file.unlink()
    file.symlink_to(outside)
    before = outside.read_text()
    edit = project.edit("modules", "orders", retry=2)
    assert not edit.written
    assert "leads out of the folder" in edit.why
    assert outside.read_text() == before
    assert "+    retry: 2" in edit.diff


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_file_that_may_not_be_written_is_offered_as_a_diff(project: Project) -> None:
    file = project.apply(FILE)
    file.chmod(0o444)
    edit = project.edit("modules", "orders", retry=1)
    assert not edit.written
    assert "may not be written" in edit.why


def test_a_full_disk_leaves_the_old_file(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    file = project.apply(FILE)

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(common_files.os, "fsync", full)
        edit = project.edit("modules", "orders", retry=1)
    assert not edit.written
    assert "No space left" in edit.why
    assert "+    retry: 1" in edit.diff
    assert file.read_text() == FILE
    assert [item.name for item in project.folder.iterdir()] == ["all.yaml"]
    assert project.store.definitions.module("orders").retry == 1
    assert project.differences()[0] == "orders"


def test_writers_side_by_side_lose_nothing(project: Project) -> None:
    names = [f"m{number}" for number in range(8)]
    text = FILE.replace(
        "---\n",
        "".join(
            f"  {name}: {{<<: *upsert, source: shop, dest: dw, query: SELECT 1 AS id, dest_table: {name}}}\n"
            for name in names
        )
        + "---\n",
    )
    file = project.apply(text)

    def write(name: str) -> None:
        with Store.open(project.config.database_url) as store:
            after = store.definitions.module(name).model_copy(update={"retry": 5})
            save_changes(store, project.config, [Change("change", "modules", name, after)], by="user:ada")

    threads = [threading.Thread(target=write, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert file.read_text().count("retry: 5") == len(names)
    assert project.differences() == []


def test_of_two_that_change_the_same_version_one_wins(project: Project) -> None:
    from pipekit_engine.store.audit import version_of

    project.apply(FILE)
    before = project.store.definitions.module("orders")
    won: list[int] = []

    def write(number: int) -> None:
        with Store.open(project.config.database_url) as store:
            change = Change("change", "modules", "orders", before.model_copy(update={"retry": number}))
            expected = {("modules", "orders"): version_of(before)}
            try:
                save_changes(store, project.config, [change], by="user:ada", expected=expected)  # type: ignore[arg-type]
            except RecordChanged:
                return
            won.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert f"retry: {won[0]}" in (project.folder / "all.yaml").read_text()


def test_a_pull_makes_the_files_say_what_the_store_says(project: Project) -> None:
    file = project.apply(FILE)
    apart = Config(database=project.config.database)
    records: list[NamedRecord] = [
        project.store.definitions.module("orders").model_copy(update={"retry": 2}),
        Module(name="new", source="shop", dest="dw", query="SELECT 1 AS id", dest_table="n", strategy="full"),
    ]
    changes = [Change("change", "modules", item.name, item) for item in records] + [
        Change("delete", "schedules", "nightly")
    ]
    assert save_changes(project.store, apart, changes, by="user:ada") == []
    assert len(project.differences()) > 1
    planned = plan_pull(project.store, project.folder)
    assert [next(change.lines()) for change in planned.plan.changes] == [
        "~ module orders",
        "+ module new",
        "- schedule nightly",
    ]
    assert file.read_text() == FILE, "a plan writes nothing"
    assert all(edit.written for edit in carry_out(project.store, project.folder, planned))
    assert project.differences() == []
    assert plan_pull(project.store, project.folder).plan.changes == ()
    assert "# asked for by sales" in file.read_text()


def test_a_record_is_found_among_ten_thousand_files(project: Project) -> None:
    project.apply(FILE)
    many = project.folder / "many"
    many.mkdir()
    for number in range(10_000):
        (many / f"{number}.yaml").write_text(f"# {number}\nx-{number}: 1\n")
    assert project.edit("modules", "orders", retry=1).written
