"""The wizard's pages on real databases, users and their roles, drivers: what the forms do, and what they refuse."""

from __future__ import annotations

import html
import re
import sqlite3

import pytest

from pipekit_engine.models import Connection
from tests.web.conftest import PASSWORD, Browser, Site
from tests.web.test_pages import check_shape

HOSTILE = "</script><b>x</b>\"' ; é\u202e"


@pytest.fixture
def shop(site: Site) -> Site:
    """A source with tables of many kinds, one of them with a hostile name, and an empty destination."""
    with sqlite3.connect(site.folder / "shop.db") as connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, total REAL, updated_at TIMESTAMP)")
        connection.execute("INSERT INTO orders VALUES (1, 2.5, '2024-01-01 10:00:00')")
        connection.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT)")
        quoted = HOSTILE.replace('"', '""')
        connection.execute(f'CREATE TABLE "{quoted}" (id INTEGER PRIMARY KEY, "<i>c</i>" TEXT)')
    for name in ("shop", "copy_of_shop"):
        site.save(Connection(name=name, driver="sqlite", jdbc_url=f"jdbc:sqlite:{site.folder}/{name}.db"))
    sqlite3.connect(site.folder / "copy_of_shop.db").close()
    return site


def rows_of(page: str) -> dict[str, str]:
    """The proposals' fields as a browser would send them back."""
    found = {
        name: html.unescape(value) for name, value in re.findall(r'<input[^>]*name="(t\.[^"]*)" value="([^"]*)"', page)
    }
    for name, body in re.findall(r'<select name="(t\.[^"]*)"[^>]*>(.*?)</select>', page, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', body)
        found[name] = html.unescape(chosen[1]) if chosen else ""
    return found


def propose(browser: Browser, *tables: str) -> str:
    assert len(tables) == 1, "urlencode of this browser knows one value a name"
    return browser.post("/pipekit/wizard", source="shop", dest="copy_of_shop", do="propose", table=tables[0]).text


@pytest.mark.usefixtures("java")
def test_from_a_table_to_a_module_in_a_scheduled_group_that_runs(shop: Site) -> None:
    browser = shop.browser("editor")
    page = browser.get("/pipekit/wizard?source=shop&dest=copy_of_shop")
    check_shape(page)
    assert "3 tables" in page
    assert "<b>x</b>" not in page
    found = browser.get("/pipekit/wizard?source=shop&dest=copy_of_shop&q=ORD")
    assert "1 table" in found
    text = re.search(r'name="table" value="([^"]*)"', found)
    assert text is not None
    page = propose(browser, html.unescape(text[1]))
    check_shape(page)
    rows = rows_of(page)
    assert (rows["t.0.strategy"], rows["t.0.key"], rows["t.0.watermark"]) == ("upsert", "id", "updated_at")
    rows["t.0.take"] = "1"
    send = {
        "source": "shop",
        "dest": "copy_of_shop",
        **rows,
        "t.0.name": "sales",
        "group": "shopping",
        "cron": "*/15 * * * *",
    }
    planned = browser.post("/pipekit/wizard", do="plan", **send).text
    check_shape(planned)
    area = re.search(r'<textarea name="planned"[^>]*>\n(.*?)</textarea>', planned, re.DOTALL)
    versions = re.search(r'name="versions" value="([^"]*)"', planned)
    assert area is not None, planned
    assert versions is not None
    assert "CREATE TABLE" in re.sub(r"<[^>]*>", "", planned)
    with shop.store() as store:
        assert "sales" not in store.definitions.load().modules, "a plan changes nothing"
    last = {"do": "save", "planned": html.unescape(area[1]), "versions": html.unescape(versions[1])}
    saved = browser.post("/pipekit/wizard", **last, run="1")
    assert (saved.status, saved.headers["location"]) == (303, "/pipekit/started/ticket"), saved.text
    assert [wanted.name for wanted in shop.launcher.wanted] == ["sales"]
    with shop.store() as store:
        definitions = store.definitions.load()
        assert definitions.modules["sales"].merge_key == ("id",)
        assert definitions.groups["shopping"].members == ("sales",)
        assert [item.cron for item in definitions.schedules.values() if item.group == "shopping"] == ["*/15 * * * *"]
        assert {entry.by for entry in store.audit.list(limit=3)} == {"user:editor"}
    twice = browser.post("/pipekit/wizard", **last, run="1")
    assert twice.status == 400, "sent once more, it changes nothing and runs nothing"
    assert len(shop.launcher.wanted) == 1
    again = browser.post("/pipekit/wizard", do="plan", **send)
    assert "Module sales moves it there already" in html.unescape(again.text)


@pytest.mark.usefixtures("java")
def test_hostile_names_are_shown_as_text_and_can_be_synced(shop: Site) -> None:
    browser = shop.browser("editor")
    found = browser.get("/pipekit/wizard?source=shop&dest=copy_of_shop&q=script")
    text = re.search(r'name="table" value="([^"]*)"', found)
    assert text is not None
    page = propose(browser, html.unescape(text[1]))
    check_shape(page)
    assert "<b>x</b>" not in page
    rows = {**rows_of(page), "t.0.take": "1"}
    planned = browser.post("/pipekit/wizard", do="plan", source="shop", dest="copy_of_shop", **rows).text
    check_shape(planned)
    assert "<i>c</i>" not in planned
    assert 'name="planned"' in planned, planned


@pytest.mark.usefixtures("java")
def test_browse_looks_into_a_source_without_a_destination(shop: Site) -> None:
    browser = shop.browser("editor")
    assert 'href="/pipekit/wizard?source=shop">Browse' in browser.get("/pipekit/connections/shop")
    page = browser.get("/pipekit/wizard?source=shop")
    check_shape(page)
    assert "3 tables" in page
    assert "Choose a destination" in page
    assert 'value="propose"' not in page


@pytest.mark.usefixtures("java")
def test_what_cannot_be_asked_or_proposed_is_told(shop: Site) -> None:
    browser = shop.browser("editor")
    shop.save(Connection(name="gone", driver="sqlite", jdbc_url="jdbc:sqlite:/nowhere/gone.db"))
    page = browser.get("/pipekit/wizard?source=gone&dest=copy_of_shop")
    assert "does not show its tables" in page
    assert "none is ticked" in browser.post("/pipekit/wizard", source="shop", dest="copy_of_shop", do="propose").text
    told = browser.post("/pipekit/wizard", source="shop", dest="copy_of_shop", do="propose", table="no_such")
    assert "no_such" in told.text
    assert told.status == 200
    for text, versions in (
        ("modules: [", "{}"),
        ("", "{}"),
        ("modules: {}", "[]"),
        ("drivers: {x: {kind: generic}}", "{}"),
    ):
        answer = browser.post("/pipekit/wizard", do="save", planned=text, versions=versions)
        assert answer.status == 400, answer.text


def test_users_and_their_roles(site: Site) -> None:
    admin = site.browser("admin")
    check_shape(admin.get("/pipekit/users"))
    assert admin.post("/pipekit/users", user="zoe", password="a long password", role="viewer").status == 303
    assert "zoe" in admin.get("/pipekit/users")
    assert "at least 8" in admin.post("/pipekit/users", user="max", password="short", role="viewer").text
    assert "needs a password" in admin.post("/pipekit/users", user="max", role="viewer").text
    assert "is one of" in admin.post("/pipekit/users", user="max", password="long enough", role="king").text
    editor = site.browser("editor")
    assert admin.post("/pipekit/users", user="editor", role="viewer").status == 303
    assert editor.ask("GET", "/pipekit/modules").status == 303, "the session ended with the role"
    assert editor.log_in("editor").ask("GET", "/pipekit/form/modules").status == 403
    assert "your own rights" in admin.post("/pipekit/users", user="admin", role="viewer").text
    assert "your own rights" in admin.post("/pipekit/users/remove", user="admin").text
    assert admin.post("/pipekit/users/remove", user="zoe").status == 303
    assert "no user" in html.unescape(admin.post("/pipekit/users/remove", user=HOSTILE).text)
    assert PASSWORD not in admin.get("/pipekit/users")


def test_a_driver_that_cannot_be_had_is_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipekit_engine.databases.jars.install.WAYS", ())
    told = site.browser("editor").post("/pipekit/drivers/oracle/install")
    assert "could not be installed" in told.text or "uses it" in told.text
    check_shape(told.text)
    assert site.browser("editor").post("/pipekit/drivers/nothing/install").status == 404
