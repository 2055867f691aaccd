"""The form editors: what they show is what the record says, and they save by the text editor's plan."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

import pytest
import yaml

from pipekit_engine.common.partitions import Partition
from pipekit_engine.models import (
    DEFINITION_KINDS,
    Check,
    Column,
    Connection,
    DefinitionKind,
    Hook,
    Module,
    Tls,
    Tunnel,
    Watermark,
)
from pipekit_engine.security.secrets import Secrets
from pipekit_web.views.forms import form_of, parsed, posted, text_of_form
from tests.web.conftest import Answer, Browser, Site
from tests.web.test_pages import check_shape

HOSTILE = "</script><img src=x onerror=alert(1)>\"'&\u202e"


class _Fields(HTMLParser):
    """The fields of a page's form with what is in them, as a browser would send them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self._form = self._area = self._select = ""
        self._first = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        got = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = got.get("id", "")
        if self._form != "form":
            return
        name = got.get("name", "")
        if tag == "input" and (got.get("type") not in ("checkbox", "radio") or "checked" in got):
            self.found[name] = got.get("value", "")
        elif tag == "textarea":
            self._area = name
            self.found[name] = ""
        elif tag == "select":
            self._select, self.found[name] = name, ""
            self._first = True
        elif tag == "option" and self._select and ("selected" in got or self._first):
            self.found[self._select] = got["value"]
            self._first = False

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self.found[self._area] = self.found[self._area].removeprefix("\n")
            self._area = ""
        elif tag == "select":
            self._select = ""
        elif tag == "form":
            self._form = ""

    def handle_data(self, data: str) -> None:
        if self._area:
            self.found[self._area] += data


def fields(page: str) -> dict[str, str]:
    found = _Fields(page).found
    found.pop("form_token")
    return found


def send(browser: Browser, kind: str, do: str, values: dict[str, str]) -> Answer:
    return browser.post(f"/pipekit/form/{kind}", **{**values, "do": do})


def full(site: Site) -> Module:
    """A module in which every field says something."""
    module = Module(
        name="everything",
        source="src",
        dest="dw",
        query="SELECT id, \"a b\" FROM t\nWHERE at > '{since}' AND at <= '{until}'\n-- it's </textarea>",
        dest_table='"Odd ""Name"""',
        strategy="upsert",
        merge_key=("id", "a b"),
        columns=(Column(source_name="id", dest_name="id"), Column(source_name="a b", dest_name="c", dest_type="TEXT")),
        enabled=False,
        dedupe="latest by at",
        on_schema_change="add_columns",
        cascades="allow",
        verify="values",
        staging="auto",
        retry=2,
        retry_merge=0,
        split_by="id",
        parallel=3,
        watermarks=(
            Watermark(name="since", connection="dw", resolver_sql="SELECT max(at)\nFROM t", default=" 2000 "),
            Watermark(name="until", connection="src", resolver_sql="SELECT 'now'"),
        ),
        hooks=(Hook(sql="ANALYZE", run_on="always", connection="src", run_order=7), Hook(sql="SELECT 1", run_order=2)),
        tags={"team": "a=b"},
        automation="0 5 * * *",
        fresh_within="36h",
    )
    site.save(module)
    return module


def test_a_form_that_is_sent_unchanged_changes_nothing(site: Site) -> None:
    full(site)
    browser = site.browser("editor")
    with site.store() as store:
        definitions = store.definitions.load()
    for kind in DEFINITION_KINDS:
        for name in definitions.of_kind(kind):
            page = browser.get(f"/pipekit/form/{kind}/{name}")
            check_shape(page)
            answer = send(browser, kind, "plan", fields(page))
            assert "Nothing changes." in answer.text, f"{kind} {name}: {html.unescape(answer.text)}"


def test_a_form_has_every_field(site: Site) -> None:
    full(site)
    browser = site.browser("editor")
    with site.store() as store:
        definitions = store.definitions.load()
    for kind in DEFINITION_KINDS:
        for name, record in definitions.of_kind(kind).items():
            page = browser.get(f"/pipekit/form/{kind}/{name}")
            named = {"layers": "members"}
            wanted = [named.get(name, info.alias or name) for name, info in type(record).model_fields.items()]
            shown = [field for field in wanted if f'name="{field}' in page or f'value="add {field}"' in page]
            assert shown == wanted, kind


def test_what_has_fields_of_its_own_is_kept_and_changed(site: Site) -> None:
    site.save(
        Connection(
            name="guarded",
            driver="postgresql",
            jdbc_url="jdbc:postgresql://db/d",
            tls=Tls(mode="verify-full", ca="/etc/ca.pem"),
            tunnel=Tunnel(host="bastion", port=2222, user="sync"),
        ),
        Module(
            name="daily",
            source="src",
            dest="dw",
            query="SELECT id, day FROM t WHERE day >= '{partition_start}' AND day < '{partition_end}'",
            dest_table="daily",
            strategy="full",
            partition=Partition(by="day", column="day", start="2026-01-01", timezone="Europe/Berlin"),
        ),
        Module(
            name="large", source="src", dest="dw", query="SELECT id FROM t", dest_table="large", strategy="full",
            merge_key=("id",), resume_every=1000,
        ),
    )  # fmt: skip
    browser = site.browser("editor")
    for kind, name in (("connections", "guarded"), ("modules", "daily"), ("modules", "large")):
        page = fields(browser.get(f"/pipekit/form/{kind}/{name}"))
        assert "Nothing changes." in send(browser, kind, "plan", page).text, name
    page = fields(browser.get("/pipekit/form/connections/guarded"))
    changed = {**page, "tls.mode": "require", "tls.ca": "", "tunnel.host": "", "tunnel.port": "", "tunnel.user": ""}
    send(browser, "connections", "save", changed)
    with site.store() as store:
        saved = store.definitions.connection("guarded")
    assert (saved.tls, saved.tunnel) == (Tls(mode="require"), None)
    wrong = send(browser, "connections", "plan", {**changed, "tls.cert": "/c.pem"})
    assert "`cert` and `key` are given together" in wrong.text


def test_every_new_form_shows(site: Site) -> None:
    browser = site.browser("editor")
    for kind in DEFINITION_KINDS:
        page = browser.get(f"/pipekit/form/{kind}")
        check_shape(page)
        assert "This cannot be saved" in send(browser, kind, "save", fields(page)).text, kind


def test_rows_are_added_moved_and_dropped_without_a_script(site: Site) -> None:
    full(site)
    browser = site.browser("editor")
    page = fields(browser.get("/pipekit/form/modules/everything"))
    moved = fields(send(browser, "modules", "down hooks 0", page).text)
    assert (moved["hooks.0.sql"], moved["hooks.1.sql"]) == ("SELECT 1", "ANALYZE")
    moved = fields(send(browser, "modules", "up hooks 1", moved).text)
    assert "hooks.0.run_order" not in moved, "the order that is seen is the order that holds"
    dropped = fields(send(browser, "modules", "drop watermarks 0", moved).text)
    assert dropped["watermarks.0.name"] == "until"
    added = fields(send(browser, "modules", "add watermarks", dropped).text)
    assert (added["watermarks.1.name"], added["watermarks.1.connection"]) == ("since", "dw"), "what the query lacks"
    added["watermarks.1.resolver_sql"] = "SELECT 2"
    saved = send(browser, "modules", "save", added)
    assert (saved.status, saved.headers["location"]) == (303, "/pipekit/modules/everything"), saved.text
    with site.store() as store:
        module = store.definitions.module("everything")
    assert [hook.sql for hook in module.ordered_hooks] == ["ANALYZE", "SELECT 1"]
    assert [mark.name for mark in module.watermarks] == ["until", "since"]


@pytest.mark.parametrize(
    "do", ["drop hooks 99", "up hooks x", "add nothing", "down watermarks -1", "resolve 99", "nonsense"]
)
def test_odd_orders_do_no_harm(site: Site, do: str) -> None:
    browser = site.browser("editor")
    page = fields(browser.get("/pipekit/form/modules/copy"))
    assert send(browser, "modules", do, page).status == 200


def test_what_is_typed_is_checked_against_the_watermarks(site: Site) -> None:
    browser = site.browser("editor")
    page = fields(browser.get("/pipekit/form/modules/items"))
    page["query"] = "SELECT 1 WHERE a > {until}"
    told = send(browser, "modules", "check", page).text
    assert "{until}</code> stands in the query, and no watermark fills it" in told
    assert "{since}</code> is a watermark, and the query does not use it" in told
    assert "<html" not in told, "a part of a page"
    page["query"] = "SELECT 1 WHERE a > {since} -- {until}"
    assert send(browser, "modules", "check", page).text.strip() == ""


def test_form_and_text_are_two_views_of_one_draft(site: Site) -> None:
    browser = site.browser("editor")
    page = fields(browser.get("/pipekit/form/modules/items"))
    page["dest_table"] = "elsewhere"
    as_text = send(browser, "modules", "text", page).text
    check_shape(as_text)
    area = re.search(r"<textarea[^>]*>\n(.*?)</textarea>", as_text, re.DOTALL)
    assert area is not None
    text = html.unescape(area[1])
    assert "dest_table: elsewhere" in text
    back = browser.post("/pipekit/form/modules", do="form", text=text, name="items", version=page["version"]).text
    assert fields(back) == page
    broken = browser.post("/pipekit/form/modules", do="form", text="modules: [", name="items", version="x").text
    assert "is not one definition that the form could show" in broken
    assert "modules: [" in broken, "the text is kept"


def test_two_editors_of_one_form(site: Site) -> None:
    anna, bert = site.browser("editor"), site.browser("admin")
    first, second = (fields(one.get("/pipekit/form/modules/copy")) for one in (anna, bert))
    assert send(anna, "modules", "save", {**first, "query": "SELECT 10 AS x"}).status == 303
    refused = send(bert, "modules", "save", {**second, "query": "SELECT 20 AS x"})
    assert refused.status == 409
    check_shape(refused.text)
    assert "editor changed it" in refused.text
    assert "SELECT 10 AS x" in refused.text
    again = fields(refused.text)
    assert again["query"] == "SELECT 20 AS x"
    assert send(bert, "modules", "save", again).status == 303


def test_a_group_is_its_steps(site: Site) -> None:
    browser = site.browser("editor")
    page = fields(browser.get("/pipekit/form/groups/good"))
    assert [page["members.0.step"], page["members.1.step"]] == ["1", "2"]
    saved = send(browser, "groups", "save", {**page, "members.0.step": "2"})
    assert saved.status == 303, saved.text
    with site.store() as store:
        assert store.definitions.group("good").layers == (("items", "copy"),)


def test_a_connection_with_its_password(site: Site) -> None:
    """An address becomes a URL, the password goes into the secrets under a name of its own, and no page shows it."""
    browser = site.browser("editor")
    page = fields(browser.get("/pipekit/form/connections"))
    values = {**page, "new_name": "shop", "driver": "postgresql", "jdbc_url": "db.example:5433/shop", "username": "etl"}
    planned = send(browser, "connections", "plan", {**values, "secret_value": "hush4hush"})
    assert "hush4hush" not in planned.text
    assert "jdbc:postgresql://db.example:5433/shop" in planned.text
    assert "SHOP_PASSWORD" not in Secrets.load(site.config.secrets_file).path.read_text(), "a plan changes nothing"
    assert send(browser, "connections", "save", {**values, "secret_value": "hush4hush"}).status == 303
    assert Secrets.load(site.config.secrets_file).resolve("$SHOP_PASSWORD") == "hush4hush"
    with site.store() as store:
        stored = store.definitions.connection("shop")
    assert (stored.password, stored.jdbc_url) == ("$SHOP_PASSWORD", "jdbc:postgresql://db.example:5433/shop")
    page = fields(browser.get("/pipekit/form/connections/shop"))
    assert send(browser, "connections", "save", {**page, "secret_value": "other4other"}).status == 303
    assert Secrets.load(site.config.secrets_file).resolve("$SHOP_PASSWORD") == "other4other"
    assert "other4other" not in browser.get("/pipekit/connections/shop") + browser.get("/pipekit/form/connections/shop")
    refused = send(browser, "connections", "save", {**page, "jdbc_url": "jdbc:postgresql://h/d?password=hush5hush"})
    assert "holds a password" in refused.text


def test_cron_in_words(site: Site) -> None:
    browser = site.browser("viewer")
    told = browser.get("/pipekit/cron?cron=0+2+*+*+*&timezone=Europe/Paris")
    assert told.count('class="tick"') == 5
    assert "02:00 CE" in told
    assert "hour 25" in browser.get("/pipekit/cron?cron=0+25+*+*+*")
    assert "time zone" in browser.get("/pipekit/cron?cron=0+2+*+*+*&timezone=Nowhere")


@pytest.mark.parametrize("kind", DEFINITION_KINDS)
def test_what_is_typed_is_shown_as_text(site: Site, kind: DefinitionKind) -> None:
    browser = site.browser("editor")
    page = {name: value or HOSTILE for name, value in fields(browser.get(f"/pipekit/form/{kind}")).items()}
    page |= {"name": "", "version": "", "new_name": HOSTILE}
    for do in ("plan", "text", "check", "nonsense"):
        told = send(browser, kind, do, page)
        assert told.status == 200
        assert "<img src=x" not in told.text
        assert "</script><img" not in told.text


def test_a_module_whose_connection_is_gone_can_be_mended(site: Site) -> None:
    browser = site.browser("editor")
    page = {**fields(browser.get("/pipekit/form/modules/copy")), "source": "gone"}
    told = send(browser, "modules", "plan", page).text
    assert "gone (not there)" in told
    assert "This cannot be saved" in told


def test_three_hundred_columns(site: Site) -> None:
    columns = tuple(Column(source_name=f"column_{n}", dest_name=f"column_{n}") for n in range(300))
    site.save(
        Module(
            name="wide", source="src", dest="dw", query="SELECT 1", dest_table="wide", strategy="full", columns=columns
        )
    )
    browser = site.browser("editor")
    page = browser.get("/pipekit/form/modules/wide")
    check_shape(page)
    assert "Nothing changes." in send(browser, "modules", "plan", fields(page)).text


@pytest.mark.usefixtures("java")
def test_the_databases_are_asked_while_one_types(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns of the source, a resolver's value, a connection's answer; a source that does not answer in time is given up."""
    import sqlite3

    from pipekit_web import asking

    with sqlite3.connect(site.folder / "src.db") as connection:
        connection.execute("CREATE TABLE items (id INTEGER PRIMARY KEY, name VARCHAR(20), at TEXT)")
        connection.execute("INSERT INTO items VALUES (1, 'a', '2024-01-01')")
    site.save(Connection(name="real", driver="sqlite", jdbc_url=f"jdbc:sqlite:{site.folder}/src.db"))
    browser = site.browser("editor")
    page = {**fields(browser.get("/pipekit/form/modules/items")), "source": "real", "watermarks.0.connection": "real"}
    described = send(browser, "modules", "columns", page).text
    assert "3 columns of the source" in described
    assert "VARCHAR" in described
    assert "2024-01-01" in send(browser, "modules", "resolve 0", page).text
    monkeypatch.setattr(asking, "LIMIT_S", 2.0)
    slow = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    told = send(browser, "modules", "resolve 0", {**page, "watermarks.0.resolver_sql": slow}).text
    assert "did not answer within 2 s" in told
    assert fields(told)["watermarks.0.resolver_sql"] == slow, "nothing that was typed is lost"


def test_a_password_is_not_stored_when_the_save_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipekit_engine.errors import RecordChanged
    from pipekit_engine.security.secrets import Secrets
    from pipekit_web.visit import Visit

    def refuse(*_: object) -> None:
        raise RecordChanged("connection late")

    fields = {
        "new_name": "late",
        "driver": "sqlite",
        "jdbc_url": "late.db",
        "username": "u",
        "secret_value": "hush4hush",
    }
    browser = site.browser("editor")
    with monkeypatch.context() as patch:
        patch.setattr(Visit, "save", refuse)
        assert browser.post("/pipekit/form/connections", do="save", **fields).status == 409
    assert Secrets.load(site.config.secrets_file).keys() == []
    assert browser.post("/pipekit/form/connections", do="save", **fields).status == 303
    assert Secrets.load(site.config.secrets_file).keys() == ["LATE_PASSWORD"]


def test_checks_and_owners_come_back_from_the_form_as_they_went_in() -> None:
    checks = (
        Check(name="rows"),
        Check(name="volume", runs=5, on="staging"),
        Check(name="not_null", columns=("id", "n")),
        Check(name="mine", sql="SELECT 1", severity="warning"),
    )
    fields = {"source": "a", "dest": "b", "query": "SELECT 1", "dest_table": "t", "strategy": "upsert"}
    record = Module(name="m", **fields, merge_key=("id",), owners=("x@y.org", "team"), checks=checks)
    shown, sent = form_of(record), {"enabled": "1"}
    for key, value in shown.fields.items():
        if key == "checks":
            for number, row in enumerate(value):
                for part, item in row.items():
                    sent[f"checks.{number}.{part}"] = ", ".join(item) if isinstance(item, list) else str(item)
        else:
            sent[key] = shown.text(key)
    back = yaml.safe_load(text_of_form(posted("modules", "m", list(sent), sent.__getitem__)))
    assert back == yaml.safe_load(text_of_form(shown))
    assert parsed("modules", "modules: {m: {checks: {rows: , mine: {on: staging}}}}").rows("checks") == [
        {"name": "rows"},
        {"name": "mine", "on": "staging"},
    ]
