"""A person's walk: from an empty store to a table that is synced on a schedule, in a real browser, without a shell.

With PIPEKIT_SCREENSHOTS naming a folder, a picture of each page is left there.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipekit_engine.config import load_config
from pipekit_engine.databases.dialects import builtin_drivers
from pipekit_engine.store import Change, Store
from pipekit_web.server.auth import set_password
from tests.conftest import unavailable
from tests.servers.chromium import CHROMIUM, Chromium
from tests.web.serving import serving_pages

if TYPE_CHECKING:
    from tests.servers.postgresql import PostgreSQLServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
PASSWORD = "four random words here"
AXE = Path(__file__).with_name("vendored") / "axe.min.js"
#: A name that would be a script if any page took it for one; the walk ends when it is.
HOSTILE = "<img src=x onerror=alert(1)>"
WIDE, NARROW = (1280, 860), (390, 800)


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """The pages of an empty store, with an editor and a viewer."""
    (tmp_path / "pipekit.yaml").write_text("database: pipekit.db\nsecrets: secrets.env\n")
    (tmp_path / "secrets.env").touch(mode=0o600)
    config = load_config(tmp_path / "pipekit.yaml")
    Store.init(config.database_url)
    with Store.open(config.database_url) as store:
        store.definitions.save([Change("create", "drivers", item.name, item) for item in builtin_drivers()])
    for user, role in (("ada", "admin"), ("vic", "viewer")):
        set_password(config, user, PASSWORD, role)
    assert config.path is not None
    with serving_pages(config.path, "login") as url:
        yield url


class Walk:
    """A browser at the pages, and what holds for each of them."""

    def __init__(self, browser: Chromium, address: str) -> None:
        self.browser, self.address = browser, address
        self.problems: list[str] = []

    def go(self, page: str) -> None:
        self.browser.evaluate("window.left = true")
        self.browser.open(self.address + page)
        until = time.monotonic() + 20
        while self.browser.evaluate("!window.left && document.readyState") != "complete":
            assert time.monotonic() < until, page
            time.sleep(0.05)

    def look(self, name: str) -> None:
        """A page at both widths, in light and dark: nothing serious for axe, nothing wider than a phone, a picture if wanted."""
        browser, folder = self.browser, os.environ.get("PIPEKIT_SCREENSHOTS")
        for scheme, size in (("light", WIDE), ("dark", NARROW)):
            browser.prefer(scheme)
            browser.size(*size)
            if folder:
                time.sleep(0.2)
                browser.screenshot(Path(folder) / f"{name}{'' if scheme == 'light' else '-phone'}.png")
            wide = browser.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            if wide is None or wide > 1:
                self.problems.append(f"{name} is {wide} px too wide at {size[0]} px")
            self.problems += [f"{name}, {scheme}: {problem}" for problem in self._axe()]
        browser.prefer("light")
        browser.size(*WIDE)

    def _axe(self) -> list[str]:
        if not self.browser.evaluate("!!window.axe"):
            self.browser.evaluate(AXE.read_text(encoding="utf-8"))
        self.browser.evaluate(
            "window.said = null; axe.run(document, {resultTypes: ['violations']}).then((r) => window.said = r.violations"
            ".filter((v) => ['serious', 'critical'].includes(v.impact)).map((v) => v.id + ': ' + v.nodes.slice(0, 3).map((n) =>"
            " n.html.slice(0, 160)).join(' | ')), (e) => window.said = ['axe: ' + e]); 0"
        )
        until = time.monotonic() + 20
        while (said := self.browser.evaluate("window.said")) is None:
            assert time.monotonic() < until, "axe does not answer"
            time.sleep(0.05)
        found: list[str] = said
        return found


@pytest.mark.usefixtures("java")
def test_from_an_empty_store_to_a_scheduled_sync(
    address: str, postgresql: PostgreSQLServer, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if CHROMIUM is None:
        unavailable("Chromium is not installed; on Debian: apt-get install chromium")
    with postgresql.fresh_database() as database, Chromium(tmp_path_factory.mktemp("profile"), *WIDE) as browser:
        postgresql.sql(
            database,
            f'CREATE SCHEMA walk; CREATE TABLE walk.orders (id INT PRIMARY KEY, "{HOSTILE}" TEXT, updated_at TIMESTAMP NOT NULL);'
            f" INSERT INTO walk.orders SELECT n, '{HOSTILE}', now()::timestamp FROM generate_series(1, 500) n",
        )
        _walk(Walk(browser, address), postgresql, database, tmp_path)


def _walk(walk: Walk, postgresql: PostgreSQLServer, database: str, folder: Path) -> None:
    browser = walk.browser
    browser.log_in(walk.address, "ada", PASSWORD, within_s=30)
    browser.await_text("Nothing is defined yet", within_s=20)
    walk.look("empty")
    # Connections: the source with a password, and a file.
    browser.press("New connection")
    browser.await_address("form/connections")
    browser.fill(new_name="shop", driver="postgresql", jdbc_url=postgresql.jdbc_url(database), username=postgresql.user)
    browser.fill(secret_value=postgresql.password)
    browser.press("Test")
    browser.await_text("Answered: PostgreSQL", within_s=40)
    walk.look("connection-form")
    browser.press("Save")
    browser.await_address("connections/shop")
    walk.look("connection")
    walk.go("form/connections")
    browser.fill(new_name="copy", driver="sqlite", jdbc_url=str(folder / "copy.db"))
    browser.press("Save")
    browser.await_address("connections/copy")
    # The wizard.
    walk.go("wizard?source=shop&dest=copy&schema=walk")
    browser.await_text("1 table", within_s=40)
    walk.look("wizard-tables")
    browser.evaluate("document.querySelector('input[name=table]').click()")
    browser.press("Propose how to sync them")
    browser.await_text("Proposals", "updated_at", within_s=60)
    browser.fill(group="nightly", cron="0 2 * * *", timezone="Europe/Paris")
    browser.await_text("next", within_s=20)
    walk.look("wizard-proposals")
    browser.press("Show the plan")
    browser.await_text("All of this is saved, or none of it.", within_s=60)
    walk.look("wizard-plan")
    browser.press("Save")
    browser.await_address("runs/1", 60)
    browser.await_text("success", "500", within_s=60)
    walk.look("run")
    # The schedule, and a change of the query by typing; the hostile column is text everywhere.
    walk.go("groups/nightly")
    browser.await_text("Europe/Paris", within_s=10)
    walk.look("group")
    walk.go("form/modules/orders")
    browser.evaluate("document.querySelector('.cm-content').focus()")
    browser.type("/* seen */ ")
    assert str(browser.evaluate("document.getElementById('query').value")).startswith("/* seen */ SELECT")
    browser.press("Show the plan")
    browser.await_text("/* seen */", "~ module orders", within_s=20)
    walk.look("editor")
    browser.press("Try it: rows and SQL")
    browser.await_text("What a run would do now", HOSTILE, within_s=60)
    walk.look("trial")
    # Somebody else saves in between: both are shown.
    with Store.open(load_config(folder / "pipekit.yaml").database_url) as store:
        module = store.definitions.module("orders")
        changed = module.model_copy(update={"tags": {"by": "bert"}})
        store.definitions.save([Change("change", "modules", "orders", changed)], by="user:bert")
    browser.press("Save")
    browser.await_text("Changed meanwhile", "bert", within_s=20)
    walk.look("conflict")
    browser.press("Save")
    browser.await_address("/modules/orders")
    walk.look("module")
    walk.go("history/modules/orders")
    browser.await_text("ada", "bert", within_s=10)
    walk.look("history")
    browser.press("Restore what was before")
    browser.await_text("Plan", within_s=20)
    walk.look("restore")
    browser.press("Save")
    browser.await_address("/modules/orders")
    # A session that ends in the middle of an edit takes no text with it.
    walk.go("form/modules/orders")
    browser.evaluate("document.querySelector('.cm-content').focus()")
    browser.type("/* unsaved */ ")
    browser.evaluate(
        "fetch('/pipekit/logout', {method: 'POST', body: new URLSearchParams(new FormData("
        "document.querySelector('form[action$=logout]')))}).then(() => window.out = 1); 0"
    )
    until = time.monotonic() + 10
    while not browser.evaluate("window.out"):
        assert time.monotonic() < until
        time.sleep(0.05)
    browser.press("Show the plan")
    browser.await_text("Log in", within_s=20)
    walk.look("login")
    browser.fill(user="ada", password=PASSWORD)
    browser.evaluate("document.querySelector('main form button, form button').click()")
    browser.await_text("What you typed here before was not saved", within_s=20)
    browser.press("Take it back")
    browser.await_text("/* unsaved */", "~ module orders", within_s=20)
    for page in (
        "",
        "modules",
        "runs",
        "groups",
        "schedules",
        "connections",
        "secrets",
        "drivers",
        "tokens",
        "lint",
        "locks",
    ):
        walk.go(page)
        walk.look(page or "overview")
    for page in (
        "form/groups/nightly",
        "form/schedules/nightly",
        "form/triggers",
        "edit/modules/orders",
        "users",
        "doctor",
    ):
        walk.go(page)
        walk.look(page.replace("/", "-"))
    assert browser.evaluate("window.alerted") is None
    # A viewer sees all of it and changes nothing.
    browser.evaluate("document.querySelector('form[action$=logout] button').click()")
    browser.await_text("Log in", within_s=20)
    browser.fill(user="vic", password=PASSWORD)
    browser.evaluate("document.querySelector('form button').click()")
    browser.await_text("Overview", within_s=20)
    walk.go("modules/orders")
    assert not browser.evaluate("[...document.querySelectorAll('main button')].length")
    walk.go("form/modules/orders")
    browser.await_text("vic is a viewer", within_s=10)
    assert not walk.problems, json.dumps(walk.problems, indent=1)
