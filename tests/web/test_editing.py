"""Changing definitions on a page: the plan, what stands against it, two editors, history and restore."""

from __future__ import annotations

import html
import re
import sqlite3
from typing import Any

import pytest

from pipekit_engine.models import Connection
from pipekit_engine.security.secrets import Secrets
from tests.web.conftest import Answer, Browser, Site
from tests.web.test_pages import check_shape


class Form:
    """The editor's form as a page showed it."""

    def __init__(self, page: str) -> None:
        area = re.search(r"<textarea[^>]*>\n(.*?)</textarea>", page, re.DOTALL)
        assert area is not None, page
        self.text = html.unescape(area[1])
        self.fields = {
            name: html.unescape(value)
            for name, value in re.findall(r'<input type="hidden" name="(name|version)" value="([^"]*)">', page)
        }

    def send(self, browser: Browser, kind: str, do: str, text: str | None = None) -> Answer:
        """Press one of its buttons, with another text in it."""
        return browser.post(f"/pipekit/edit/{kind}", do=do, text=self.text if text is None else text, **self.fields)


def edit(browser: Browser, kind: str, name: str) -> Form:
    return Form(browser.get(f"/pipekit/edit/{kind}/{name}"))


def test_a_change_is_planned_then_saved_and_written_down(site: Site) -> None:
    browser = site.browser("editor")
    form = edit(browser, "modules", "copy")
    text = form.text.replace("SELECT 1 AS x", "SELECT 2 AS x")
    planned = form.send(browser, "modules", "plan", text)
    check_shape(planned.text)
    assert "query: SELECT 1 AS x -&gt; SELECT 2 AS x" in planned.text
    with site.store() as store:
        assert store.definitions.module("copy").query == "SELECT 1 AS x", "a plan changes nothing"
    saved = form.send(browser, "modules", "save", text)
    assert (saved.status, saved.headers["location"]) == (303, "/pipekit/modules/copy")
    with site.store() as store:
        assert store.definitions.module("copy").query == "SELECT 2 AS x"
        (entry,) = store.audit.list("modules", "copy", limit=1)
        assert (entry.by, entry.action) == ("user:editor", "change")
    history = browser.get("/pipekit/history/modules/copy")
    assert "query: SELECT 1 AS x -&gt; SELECT 2 AS x" in history
    assert "Nothing changes" in edit(browser, "modules", "copy").send(browser, "modules", "plan").text


@pytest.mark.parametrize(
    ("kind", "name", "old", "new", "says"),
    [
        ("modules", "copy", "strategy: full", "strategy: fulll", "did you mean &#39;full&#39;"),
        ("modules", "copy", "strategy: full", "strateggy: full", "did you mean &#39;strategy&#39;"),
        ("modules", "copy", "source: src", "source: nowhere", "nowhere"),
        ("modules", "copy", "  copy:", "  other:", "For another name, copy it"),
        ("modules", "copy", "modules:", "groups:", "unknown key"),
        ("modules", "copy", "modules:", "modules: [", "line "),
        ("modules", "items", "{since}", "{until}", "until"),
        ("groups", "good", "[items, copy]", "[items, nope]", "nope"),
        ("schedules", "nightly", "0 2 * * *", "0 25 * * *", "hour 25"),
        ("connections", "src", "jdbc:sqlite:src.db", "jdbc:postgresql://h/d?password=hush4hush", "holds a password"),
    ],
)
def test_what_apply_refuses_is_refused_with_its_line(
    site: Site, kind: str, name: str, old: str, new: str, says: str
) -> None:
    browser = site.browser("editor")
    form = edit(browser, kind, name)
    assert old in form.text
    answer = form.send(browser, kind, "save", form.text.replace(old, new))
    assert answer.status == 200
    assert "This cannot be saved" in answer.text
    problems = answer.text.partition("This cannot be saved")[2].partition("</section>")[0]
    assert says in problems
    assert "definitions.yaml" not in problems
    assert "hush4hush" not in problems
    with site.store() as store:
        assert store.audit.list(kind, name)[0].by == "command", "nothing was saved"  # type: ignore[arg-type]


def test_lint_speaks_of_the_record_among_all_others(site: Site) -> None:
    browser = site.browser("editor")
    form = edit(browser, "modules", "copy")
    answer = form.send(browser, "modules", "plan", form.text.replace("dest_table: copy", "dest_table: items"))
    assert "PK302" in answer.text, "another module writes that table"
    assert "PK402" not in answer.text, "it is in a group"


def test_two_editors_of_one_record(site: Site) -> None:
    anna, bert = site.browser("editor"), site.browser("admin")
    first, second = edit(anna, "modules", "copy"), edit(bert, "modules", "copy")
    assert first.send(anna, "modules", "save", first.text.replace("SELECT 1", "SELECT 10")).status == 303
    refused = second.send(bert, "modules", "save", second.text.replace("SELECT 1", "SELECT 20"))
    assert refused.status == 409
    check_shape(refused.text)
    assert "Changed meanwhile" in refused.text
    assert "editor changed it" in refused.text
    assert "SELECT 10 AS x" in refused.text, "theirs"
    assert "SELECT 20 AS x" in Form(refused.text).text, "and one's own"
    with site.store() as store:
        assert store.definitions.module("copy").query == "SELECT 10 AS x"
    assert Form(refused.text).send(bert, "modules", "save").status == 303, "knowingly"
    with site.store() as store:
        assert store.definitions.module("copy").query == "SELECT 20 AS x"


def test_a_save_in_the_same_moment_is_refused_by_the_store(site: Site) -> None:
    """The check of the page and the write are apart; the one in the transaction holds."""
    from pipekit_engine.errors import RecordChanged
    from pipekit_engine.store import Change
    from pipekit_engine.store.audit import version_of

    with site.store() as store:
        old = store.definitions.module("copy")
        change = Change("change", "modules", "copy", old.model_copy(update={"query": "SELECT 3 AS x"}))
        expected: Any = {("modules", "copy"): version_of(old)}
        store.definitions.save([change], expected=expected)
        with pytest.raises(RecordChanged, match="module copy"):
            store.definitions.save([change], expected=expected)
        assert len(store.audit.list("modules", "copy")) == 2, "what is refused is not written down"


def test_an_apply_does_not_undo_what_was_changed_on_a_page(site: Site) -> None:
    from pipekit_engine.definitions.apply import apply_definitions
    from pipekit_engine.definitions.export import write_export
    from pipekit_engine.errors import DefinitionsError

    files = site.folder / "definitions"
    with site.store() as store:
        write_export(store.definitions.load(), files)
    browser = site.browser("editor")
    form = edit(browser, "modules", "copy")
    form.send(browser, "modules", "save", form.text.replace("SELECT 1", "SELECT 2"))
    with site.store() as store:
        with pytest.raises(DefinitionsError, match="module copy: editor changed it in the browser"):
            apply_definitions(store, files)
        assert store.definitions.module("copy").query == "SELECT 2 AS x"
        assert apply_definitions(store, files, dry_run=True).plan.counts == {"change": 1}
        apply_definitions(store, files, overwrite=True)
        assert store.definitions.module("copy").query == "SELECT 1 AS x"
        (files / "modules/copy.yaml").write_text((files / "modules/copy.yaml").read_text().replace("1 AS", "3 AS"))
        apply_definitions(store, files)
        assert store.definitions.module("copy").query == "SELECT 3 AS x", "what the files changed last is theirs"


def test_the_command_tells_what_was_changed_on_a_page(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from pipekit_engine.cli.main import app

    monkeypatch.chdir(site.folder)
    run = lambda *words: CliRunner().invoke(app, list(words))  # noqa: E731
    assert run("export", "files").exit_code == 0
    assert site.browser("operator").post("/pipekit/schedules/nightly/switch", enabled="0").status == 303
    tried = run("apply", "files", "--dry-run")
    assert tried.exit_code == 0
    assert "operator changed it in the browser" in tried.stderr
    refused = run("apply", "files")
    assert refused.exit_code == 2
    assert "--overwrite" in refused.stderr
    assert run("apply", "files", "--overwrite").exit_code == 0
    with site.store() as store:
        assert store.definitions.schedule("nightly").enabled


def test_restore(site: Site) -> None:
    browser = site.browser("editor")
    form = edit(browser, "modules", "copy")
    form.send(browser, "modules", "save", form.text.replace("SELECT 1", "SELECT 2"))
    link = re.search(r"/pipekit/edit/modules/copy\?restore=\d+", browser.get("/pipekit/history/modules/copy"))
    assert link is not None
    page = browser.get(link[0])
    assert "query: SELECT 2 AS x -&gt; SELECT 1 AS x" in page
    assert Form(page).send(browser, "modules", "save").status == 303
    with site.store() as store:
        assert store.definitions.module("copy").query == "SELECT 1 AS x"
    number = link[0].rpartition("=")[2]
    assert browser.ask("GET", f"/pipekit/edit/modules/items?restore={number}").status == 404, "another record's"


def test_new_copy_and_delete(site: Site) -> None:
    browser = site.browser("editor")
    for kind in ("drivers", "connections", "modules", "groups", "schedules", "triggers"):
        check_shape(browser.get(f"/pipekit/edit/{kind}"))
    form = Form(browser.get("/pipekit/edit/modules?copy=copy"))
    assert "copy-copy:" in form.text
    saved = form.send(browser, "modules", "save", form.text.replace("dest_table: copy", "dest_table: other"))
    assert saved.headers["location"] == "/pipekit/modules/copy-copy"
    again = form.send(browser, "modules", "save")
    assert "of that name already" in again.text
    assert browser.post("/pipekit/modules/copy-copy/delete").headers["location"] == "/pipekit/history"
    assert browser.ask("GET", "/pipekit/modules/copy-copy").status == 404
    restore = re.search(r"/pipekit/edit/modules\?restore=\d+", browser.get("/pipekit/history"))
    assert restore is not None
    assert Form(browser.get(restore[0])).send(browser, "modules", "save").status == 303
    refused = browser.post("/pipekit/modules/items/delete")
    assert refused.status in (400, 409), "a group has it"
    assert browser.ask("GET", "/pipekit/modules/items").status == 200


def test_switches(site: Site) -> None:
    operator, editor = site.browser("operator"), site.browser("editor")
    assert "Switch off" in operator.get("/pipekit/schedules")
    assert operator.post("/pipekit/schedules/nightly/switch", enabled="0").status == 303
    assert operator.post("/pipekit/triggers/changed/switch", enabled="0").status == 303
    assert "Switch on" in operator.get("/pipekit/groups/good")
    assert operator.post("/pipekit/modules/copy/switch", enabled="0").status == 403
    assert editor.post("/pipekit/modules/copy/switch", enabled="0").status == 303
    with site.store() as store:
        assert not store.definitions.schedule("nightly").enabled
        assert not store.definitions.trigger("changed").enabled
        assert not store.definitions.module("copy").enabled
        assert [entry.by for entry in store.audit.list(limit=3)] == ["user:editor", "user:operator", "user:operator"]


@pytest.mark.usefixtures("java")
def test_a_draft_is_tried_on_the_databases_before_it_is_saved(site: Site) -> None:
    """SQL as a run would execute it, and rows of a hostile source as text; nothing is recorded."""
    Secrets.load(site.config.secrets_file).set("DW_PASSWORD", "unused")
    with site.store() as store:
        from pipekit_engine.store import Change

        for name in ("src", "dw"):
            moved = Connection(name=name, driver="sqlite", jdbc_url=f"jdbc:sqlite:{site.folder}/{name}.db")
            store.definitions.save([Change("change", "connections", name, moved)])
    with sqlite3.connect(site.folder / "src.db") as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)")
        connection.execute("INSERT INTO t VALUES (1, '<script>alert(1)</script>'), (2, NULL)")
    sqlite3.connect(site.folder / "dw.db").close()
    browser = site.browser("editor")
    form = edit(browser, "modules", "copy")
    answer = form.send(browser, "modules", "try", form.text.replace("SELECT 1 AS x", "SELECT id, name FROM t"))
    check_shape(answer.text)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in answer.text
    assert "<small>null</small>" in answer.text
    assert re.search(r"INSERT", answer.text)
    assert "All rows" in answer.text
    broken = form.send(browser, "modules", "try", form.text.replace("SELECT 1 AS x", "SELECT nope FROM t"))
    assert "It cannot run as it is" in broken.text
    assert "nope" in broken.text
    with site.store() as store:
        assert store.runs.list() == []
        assert store.definitions.module("copy").query == "SELECT 1 AS x"
