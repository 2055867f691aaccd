"""A person's slips in a real browser: back, reload, another page, another tab. Long lists, the keyboard alone, a phone."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from pipekit_engine.models import Connection, Partition
from pipekit_engine.store import Change
from pipekit_web.server.auth import users_file
from tests.conftest import unavailable
from tests.servers.chromium import CHROMIUM, Chromium
from tests.web.conftest import Site
from tests.web.serving import serving_pages

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
WIDE, NARROW = (1280, 860), (390, 800)
#: What is reached by Tab, as a person sees it: its text, and whether its focus shows.
_FOCUSED = (
    "(() => { const e = document.activeElement, s = getComputedStyle(e);"
    " const text = e.textContent.trim() || e.getAttribute('aria-label') || e.name || '';"
    " return [e.tagName + ' ' + text.slice(0, 40), s.outlineStyle !== 'none' || e.matches('.cm-content, main')]; })()"
)
#: What Tab has to reach; of radio buttons it reaches the one that is chosen.
_REACHABLE = (
    "[...document.querySelectorAll('main :is(a[href], button:not([tabindex]), summary, input:not([type=hidden], [type=radio]))')]"
    ".filter((e) => e.checkVisibility() && !e.disabled)"
)


def fill(site: Site) -> None:
    """5,000 tables, a module with partitions, and no login."""
    with sqlite3.connect(site.folder / "src.db") as source:
        tables = "".join(f"CREATE TABLE table_{n:04d} (id INTEGER PRIMARY KEY, at TEXT);" for n in range(5000))
        source.executescript(f"BEGIN; CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT, at TEXT); {tables} COMMIT")
    sqlite3.connect(site.folder / "dest.db").close()
    site.save(Connection(name="dest", driver="sqlite", jdbc_url=f"jdbc:sqlite:{site.folder}/dest.db"))
    with site.store() as store:
        source = store.definitions.connection("src").model_copy(
            update={"jdbc_url": f"jdbc:sqlite:{site.folder}/src.db"}
        )
        days = Partition(by="day", start="2024-01-01", column="at")
        query = "SELECT id, at FROM items WHERE at >= '{partition_start}' AND at < '{partition_end}'"
        module = store.definitions.module("copy").model_copy(update={"query": query, "partition": days})
        store.definitions.save(
            [Change("change", "connections", "src", source), Change("change", "modules", "copy", module)]
        )
        for day, status in (("2024-01-02", "success"), ("2024-01-03", "error")):
            started = store.runs.start("copy", triggered_by="user:ada", partition=day)
            assert started is not None
            store.runs.finish(started[0], status, error=None if status == "success" else "no such column")
    users_file(site.config).unlink()


@pytest.mark.usefixtures("java")
def test_nothing_is_lost_silently_and_nothing_saved_twice(site: Site, tmp_path_factory: pytest.TempPathFactory) -> None:
    if CHROMIUM is None:
        unavailable("Chromium is not installed; on Debian: apt-get install chromium")
    fill(site)
    assert site.config.path is not None
    with serving_pages(site.config.path) as url, Chromium(tmp_path_factory.mktemp("profile"), *WIDE) as browser:
        walk(browser, url, site)


def walk(browser: Chromium, url: str, site: Site) -> None:
    """The slips, one after another; pictures where PIPEKIT_SCREENSHOTS says."""
    browser.size(*WIDE)
    _the_wizard(browser, url, site)
    _the_editor(browser, url, site)
    _the_keyboard(browser, url)
    _a_phone(browser, url)


def _go(browser: Chromium, url: str) -> None:
    _leave(browser, lambda: browser.open(url))


def _leave(browser: Chromium, act: Callable[[], object]) -> None:
    """Do what leads to another page, which may be one that the browser kept as it was, and wait for that."""
    which = "performance.timeOrigin + location.href"
    before = browser.evaluate(which)
    act()
    until = time.monotonic() + 60
    while browser.evaluate(which) in (before, None) or browser.evaluate("document.readyState") != "complete":
        assert time.monotonic() < until, browser.text()[:1000]
        time.sleep(0.05)


def _picture(browser: Chromium, name: str) -> None:
    folder = os.environ.get("PIPEKIT_SCREENSHOTS")
    if folder:
        time.sleep(0.3)
        browser.screenshot(Path(folder) / f"{name}.png")


def _the_wizard(browser: Chromium, url: str, site: Site) -> None:
    tables = f"{url}wizard?source=src&dest=dest"
    _go(browser, tables)
    browser.await_text("5,001 tables, 1 to 300", within_s=60)
    ticked = (
        "[...document.querySelectorAll('input[name=table]')].filter((e) => e.checked || e.type === 'hidden').length"
    )
    browser.evaluate("document.querySelectorAll('input[name=table]')[1].click()")
    _leave(browser, lambda: browser.press("next →"))
    browser.await_text("301 to 600", "Also ticked, not in this list: table_0000", within_s=60)
    browser.evaluate("document.querySelectorAll('input[name=table]')[0].click()")
    browser.evaluate("document.querySelector('main [name=q]').value = 'table_4999'")
    _leave(browser, lambda: browser.press("Filter"))
    browser.await_text("\n1 table", within_s=60)
    browser.evaluate("document.querySelector('[data-all]').click()")
    assert browser.evaluate(ticked) == 3
    _picture(browser, "wizard-many")
    _leave(browser, lambda: browser.evaluate("location.reload()"))
    browser.await_text("Also ticked", within_s=60)
    assert browser.evaluate(ticked) == 3, "a reload unticks nothing"
    browser.press("Propose how to sync them")
    browser.await_text("Proposals", "table_0299", "table_4999", within_s=90)
    browser.fill(t__0__name="typed_by_hand")
    _leave(browser, lambda: browser.evaluate("history.back()"))
    browser.await_text("Also ticked", within_s=60)
    assert browser.evaluate(ticked) == 3, "nor does a step back"
    browser.press("Propose how to sync them")
    browser.await_text("What you typed here before was not saved", within_s=90)
    _leave(browser, lambda: browser.press("Take it back"))
    assert browser.evaluate("document.getElementsByName('t.0.name')[0].value") == "typed_by_hand"
    browser.await_text("All of this is saved, or none of it.", within_s=90)
    browser.evaluate("document.querySelector('[name=run]').click()")
    _leave(browser, lambda: browser.press("Save"))
    browser.await_address("/pipekit/modules")
    _leave(browser, lambda: browser.evaluate("history.back()"))
    with site.store() as store:
        assert "typed_by_hand" in store.definitions.load_checked()[0].modules
        assert len([entry for entry in store.audit.list(limit=100) if entry.name == "typed_by_hand"]) == 1
    _go(browser, tables)
    browser.await_text("5,001 tables", within_s=60)
    assert browser.evaluate(ticked) == 0, "what was saved is ticked no more"


def _the_editor(browser: Chromium, url: str, site: Site) -> None:
    address = f"{url}form/modules/items"
    kept = "What you typed here before was not saved"
    for slip in ("location.reload()", f"location.href = '{url}runs'", "history.back()"):
        _go(browser, address)
        browser.fill(dest_table="elsewhere")
        _leave(browser, partial(browser.evaluate, slip))
        _go(browser, address)
        browser.await_text(kept, within_s=20)
    # Another tab, or somebody else, has changed the record: what was typed is of the version before.
    with site.store() as store:
        theirs = store.definitions.module("items").model_copy(update={"tags": {"by": "bert"}})
        store.definitions.save([Change("change", "modules", "items", theirs)], by="user:bert")
    _go(browser, address)
    _leave(browser, lambda: browser.press("Take it back"))
    browser.await_text("Changed meanwhile", "bert", within_s=20)
    assert browser.evaluate("document.getElementsByName('dest_table')[0].value") == "elsewhere"
    _leave(browser, lambda: browser.press("Leave without saving"))
    _go(browser, address)
    assert kept not in browser.text(), "what was left on purpose is not offered"
    browser.fill(dest_table="items_2")
    _leave(browser, lambda: browser.press("Save"))
    browser.await_address("/modules/items")
    _leave(browser, lambda: browser.evaluate("history.back()"))
    _go(browser, address)
    assert kept not in browser.text(), "what was saved is not offered"
    with site.store() as store:
        assert store.definitions.module("items").dest_table == "items_2"
        assert [entry.by for entry in store.audit.list("modules", "items", 2)] == ["user:anyone", "user:bert"]


def _the_keyboard(browser: Chromium, url: str) -> None:
    """Every button and link of a page is reached by Tab alone, and is seen to be; Escape closes what was opened."""
    for page in ("modules/copy", "tokens", "form/groups/good", "wizard"):
        _go(browser, url + page)
        wanted = browser.evaluate(f"{_REACHABLE}.length")
        browser.evaluate("document.getElementById('main').focus()")
        for _ in range(wanted + 40):
            browser.key("Tab", 9)
            if not browser.evaluate("document.getElementById('main').contains(document.activeElement)"):
                break
            text, shows = browser.evaluate(_FOCUSED)
            assert shows, f"{page}: the focus of {text} does not show"
            browser.evaluate("document.activeElement.reached = true")
        missed = browser.evaluate(f"{_REACHABLE}.filter((e) => !e.reached).map((e) => e.outerHTML.slice(0, 120))")
        assert not missed, f"{page}: {missed}"
    _go(browser, f"{url}modules/copy")
    browser.evaluate(
        "[...document.querySelectorAll('summary')].find((e) => e.textContent.includes('Backfill')).focus()"
    )
    browser.key("Enter", 13, "\r")
    assert browser.evaluate("document.querySelectorAll('details.drop[open]').length") == 1
    _picture(browser, "backfill")
    browser.key("Tab", 9)
    assert browser.evaluate("document.activeElement.name") == "from"
    browser.key("Escape", 27)
    assert browser.evaluate("document.querySelectorAll('details.drop[open]').length") == 0
    assert "Backfill" in str(browser.evaluate("document.activeElement.textContent"))


def _a_phone(browser: Chromium, url: str) -> None:
    """Nothing is wider than the window, also what drops open; in the dark."""
    pages = (
        "modules/copy",
        "modules/copy/partitions",
        "tokens",
        "lint",
        "groups",
        "schedules",
        "form/modules/items",
        "wizard",
    )
    for scheme, size in (("light", WIDE), ("dark", WIDE), ("dark", NARROW)):
        browser.prefer(scheme)
        browser.size(*size)
        for page in pages:
            _go(browser, url + page)
            browser.evaluate("document.querySelectorAll('details.drop').forEach((e) => e.open = true)")
            too_wide = browser.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert too_wide <= 1, f"{page} is {too_wide} px too wide at {size[0]} px"
            _picture(browser, f"{page.replace('/', '-')}-{scheme}-{size[0]}")
