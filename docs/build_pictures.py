"""The pictures in docs/images, made anew of the pages as they are: `make screenshots`. Needs Java and Chromium.

A shop in SQLite is synced by real runs, one of which fails; then a browser looks at the pages that the docs show.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from pipekit_engine import Engine  # noqa: E402
from pipekit_engine.config import Config, load_config  # noqa: E402
from pipekit_engine.databases.dialects import builtin_drivers  # noqa: E402
from pipekit_engine.definitions.apply import plan_text  # noqa: E402
from pipekit_engine.errors import PipekitError  # noqa: E402
from pipekit_engine.store import Change, Store  # noqa: E402
from tests.servers.chromium import Chromium  # noqa: E402
from tests.web.serving import serving_pages  # noqa: E402

IMAGES = ROOT / "docs" / "images"
SIZE = (1180, 860)
#: Tables of the shop, and how many rows each has.
TABLES = {"customers": 900, "invoices": 4_200, "orders": 12_000, "prices": 700, "products": 350, "shipments": 2_600}
_WATERMARKED = """
  {name}:
    source: shop
    dest: warehouse
    query: |
      SELECT id, customer, total, changed_at
      FROM {name}
      WHERE changed_at >= '{{since}}'  -- late rows come again
    dest_table: {name}
    strategy: upsert
    merge_key: [id]
    watermarks:
      since:
        connection: warehouse
        resolver_sql: SELECT max(changed_at) FROM {name}
        default: '2000-01-01'
    checks:
      unique_key:
      not_null: {{columns: [total], severity: warning}}
"""
_REST = """
groups:
  nightly: {members: [customers, [invoices, orders, prices], [products, shipments]], max_parallel: 3}
schedules:
  nightly-2am: {group: nightly, cron: 0 2 * * *, timezone: Europe/Paris}
"""


def make_project(folder: Path) -> Config:
    """A project whose modules have run some times; one of them fails since its last change."""
    (folder / "pipekit.yaml").write_text("database: pipekit.db\nsecrets: secrets.env\n")
    (folder / "secrets.env").touch(mode=0o600)
    config = load_config(folder / "pipekit.yaml")
    Store.init(config.database_url)
    fill_shop(folder, range(6))
    connections = "".join(
        f"  {name}: {{driver: sqlite, jdbc_url: 'jdbc:sqlite:{folder}/{name}.db'}}\n"
        for name in ("shop", "warehouse", "copy")
    )
    modules = "".join(_WATERMARKED.format(name=name) for name in TABLES)
    with Store.open(config.database_url) as store:
        store.definitions.save([Change("create", "drivers", item.name, item) for item in builtin_drivers()])
        planned = plan_text(store, f"connections:\n{connections}modules:{modules}{_REST}")
        store.definitions.save(list(planned.plan.changes), by="user:ada")
    with Engine(config) as engine:
        for day in range(6, 10):
            engine.run_group("nightly", triggered_by="schedule:nightly-2am")
            fill_shop(folder, range(day, day + 1))
        products = engine.store.definitions.module("products")
        broken = products.model_copy(update={"query": products.query.replace("total", "totl", 1)})
        engine.store.definitions.save([Change("change", "modules", "products", broken)], by="user:bert")
        try:
            engine.run("products", triggered_by="user:bert")
        except PipekitError as error:
            print(f"as it should: {error}".splitlines()[0])
    return config


def fill_shop(folder: Path, days: range) -> None:
    """Rows of these days in each table."""
    for name in ("warehouse", "copy"):
        sqlite3.connect(folder / f"{name}.db").close()
    with sqlite3.connect(folder / "shop.db") as shop:
        for name, rows in TABLES.items():
            shop.execute(
                f"CREATE TABLE IF NOT EXISTS {name} (id INTEGER PRIMARY KEY, customer INTEGER, total REAL, changed_at TIMESTAMP)"
            )
            values = (
                (n % 97, n * 1.5, f"2026-11-{day + 10:02d} {n % 24:02d}:00:00")
                for day in days
                for n in range(rows // 6)
            )
            shop.executemany(f"INSERT INTO {name} (customer, total, changed_at) VALUES (?, ?, ?)", values)


def take(browser: Chromium, name: str, height: int = SIZE[1]) -> None:
    """A picture of the page."""
    browser.size(SIZE[0], height)
    # The script that shows moments in the reader's zone has run.
    until = time.monotonic() + 30
    while browser.evaluate("document.readyState") != "complete" and time.monotonic() < until:
        time.sleep(0.1)
    browser.evaluate("window.scrollTo(0, 0); document.activeElement.blur()")
    time.sleep(0.5)
    browser.screenshot(IMAGES / f"{name}.png")


def main() -> None:
    """Make all of them."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as profile:
        config = make_project(Path(folder))
        assert config.path is not None
        with serving_pages(config.path) as url, Chromium(Path(profile), *SIZE) as browser:
            browser.prefer("light")
            browser.open(url)
            browser.await_text("Failed within a day", within_s=60)
            take(browser, "overview", 740)
            browser.open(f"{url}modules/orders")
            browser.await_text("Lineage", within_s=60)
            take(browser, "module", 1060)
            browser.open(f"{url}form/modules/orders")
            browser.await_text("From and to", within_s=60)
            until = time.monotonic() + 60
            while not browser.evaluate(
                "(document.querySelector('.cm-content')?.focus(), !!document.querySelector('.cm-content'))"
            ):
                assert time.monotonic() < until, "the editor of SQL does not come"
                time.sleep(0.1)
            query = (
                "SELECT id, customer, total, 'EUR' AS currency, changed_at\nFROM orders\nWHERE changed_at >= '{since}'"
            )
            browser.evaluate("document.execCommand('selectAll')")
            browser.type(query)
            browser.press("Try it: rows and SQL")
            browser.await_text("The first rows", "EUR", "What a run would do now", within_s=90)
            browser.evaluate("document.querySelectorAll('fieldset').forEach((e, i) => { e.hidden = i > 1; })")
            browser.evaluate("document.querySelectorAll('details.more').forEach((e) => { e.hidden = true; })")
            take(browser, "edit", 1180)
            browser.open(f"{url}wizard?source=shop&dest=copy")
            browser.await_text("6 tables", within_s=60)
            browser.evaluate(
                "[...document.querySelectorAll('input[name=table]')].slice(0, 3).forEach((e) => e.click())"
            )
            browser.press("Propose how to sync them")
            browser.await_text("Group and schedule", "changed_at", within_s=90)
            browser.fill(group="nightly-copy", cron="0 2 * * *", timezone="Europe/Paris")
            browser.await_text("at 02:00 every day", within_s=30)
            take(browser, "wizard")
    print("\n".join(str(path.relative_to(ROOT)) for path in sorted(IMAGES.glob("*.png"))))


if __name__ == "__main__":
    main()
