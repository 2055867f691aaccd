"""A new sync from nothing in the browser alone, at a person's speed:  python -m bench.browser_sync

From an empty folder: `pipekit serve` is started, and all else is done on its pages: the source with its password, a file as the
destination, the wizard, the first run, and then the clock, since the schedule fires every minute.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from tests.ports import lasting_port
from tests.servers.chromium import Chromium
from tests.servers.postgresql import PostgreSQLServer

RESULTS = Path(__file__).parent / "results"
#: Five keys a second, and a look at each page before anything on it is pressed.
KEY_S = 0.2
PRESS_S = 1.2
ROWS = 20_000
PASSWORD = "tea-for-two"
_PIPEKIT = Path(sys.executable).with_name("pipekit")


class Person:
    """Somebody at a browser, who types and looks, and a stopwatch."""

    def __init__(self, browser: Chromium) -> None:
        self.browser = browser
        self.began = time.monotonic()
        self.laps: list[tuple[float, str]] = []

    def fill(self, **values: str) -> None:
        for name, value in values.items():
            time.sleep(PRESS_S + KEY_S * len(value))
            self.browser.fill(**{name: value})

    def press(self, label: str, within_s: float = 60) -> None:
        time.sleep(PRESS_S)
        self.browser.press(label, within_s)

    def tick(self, name: str) -> None:
        time.sleep(PRESS_S)
        self.browser.evaluate(f"document.querySelector('input[name={name}]').click()")

    def see(self, what: str, *texts: str, within_s: float = 90) -> None:
        self.browser.await_text(*texts, within_s=within_s)
        self.note(what)

    def note(self, what: str) -> None:
        self.laps.append((time.monotonic() - self.began, what))
        print(f"{self.laps[-1][0]:6.1f} s  {what}", flush=True)


def main() -> None:
    """Do it once and write the page."""
    argparse.ArgumentParser(prog="python -m bench.browser_sync", description=__doc__).parse_args()
    server = PostgreSQLServer()
    with tempfile.TemporaryDirectory(prefix="pipekit-browser-") as name, server:
        folder = Path(name)
        project = folder / "project"
        project.mkdir()
        with server.fresh_database() as database:
            server.sql(
                database,
                f"CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'; CREATE SCHEMA shop; CREATE TABLE shop.orders (id int PRIMARY KEY, "
                "customer text NOT NULL, total numeric(12,2), updated_at timestamp NOT NULL); INSERT INTO shop.orders "
                "SELECT n, 'customer ' || n % 500, n / 7.0, timestamp '2026-01-01' + n * interval '1 s' "
                f"FROM generate_series(1, {ROWS}) n; "
                "CREATE INDEX ON shop.orders (updated_at); GRANT USAGE ON SCHEMA shop TO app; "
                "GRANT SELECT ON ALL TABLES IN SCHEMA shop TO app",
            )
            url = server.jdbc_url(database)
            with Chromium(folder / "profile", 1280, 860) as browser:
                laps = _sync(project, browser, url)
    lines = "".join(f"| {at:.1f} s | {what} |\n" for at, what in laps)
    text = (
        f"# A new sync in the browser, from an empty folder to its first scheduled run\n\n**{laps[-1][0]:.0f} seconds.** "
        f"`pipekit serve` in an empty folder at the start, all else on its pages, at five keys a second and {PRESS_S} s before "
        f"each press and field: {ROWS:,} rows of a PostgreSQL into an SQLite file, then the schedule, which fires every minute: "
        "up to a minute of it is waiting for the clock. Made by `python -m bench.browser_sync`.\n\n"
        "| at | what is seen |\n|---:|---|\n"
        f"{lines}\n*{platform.machine()}, {os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}*\n"
    )
    (RESULTS / "browser-sync.md").write_text(text, encoding="utf-8")


def _sync(project: Path, browser: Chromium, url: str) -> list[tuple[float, str]]:
    port = lasting_port()
    person = Person(browser)
    with subprocess.Popen(
        [str(_PIPEKIT), "serve", "--port", str(port)], cwd=project, stderr=subprocess.DEVNULL
    ) as serve:
        try:
            page = f"http://127.0.0.1:{port}/pipekit/"
            while browser.evaluate("document.body.innerText.includes('Nothing is defined yet')") is not True:
                browser.open(page)
                time.sleep(0.3)
            person.note("the page is there")
            person.press("New connection")
            browser.await_address("form/connections")
            person.fill(new_name="shop", driver="postgresql", jdbc_url=url, username="app", secret_value=PASSWORD)
            person.press("Test")
            person.see("the source answers", "Answered: PostgreSQL")
            person.press("Save")
            browser.await_address("connections/shop")
            person.note("the source is saved")
            _destination(person, project, page)
            return _through_the_wizard(person, project, page)
        finally:
            serve.send_signal(signal.SIGINT)
            serve.wait(30)


def _destination(person: Person, project: Path, page: str) -> None:
    person.browser.open(f"{page}form/connections")
    person.browser.await_address("form/connections")
    person.fill(new_name="copy", driver="sqlite", jdbc_url=str(project / "copy.db"))
    person.press("Save")
    person.browser.await_address("connections/copy")
    person.note("the destination is saved")


def _through_the_wizard(person: Person, project: Path, page: str) -> list[tuple[float, str]]:
    browser = person.browser
    browser.open(f"{page}wizard?source=shop&dest=copy&schema=shop")
    person.see("its tables", "1 table")
    person.tick("table")
    person.press("Propose how to sync them")
    person.see("proposals: strategy, key, watermark", "Proposals", "updated_at")
    person.fill(group="orders", cron="* * * * *")
    person.press("Show the plan")
    person.see("the plan", "All of this is saved, or none of it.")
    person.press("Save")
    browser.await_address("runs/1", 60)
    person.see(f"saved, and {ROWS:,} rows are there", "success")
    copy = project / "copy.db"
    with closing(sqlite3.connect(copy)) as there:
        assert there.execute("SELECT count(*) FROM orders").fetchone() == (ROWS,)
    saved = time.strftime("%H:%M:%S")
    browser.open(f"{page}runs")
    while browser.evaluate("document.body.innerText.includes('schedule:')") is not True:
        time.sleep(0.5)
        browser.open(f"{page}runs")
        time.sleep(0.5)
        assert time.monotonic() - person.began < 400, browser.text()
    person.note(f"a run by the schedule (the run by hand ended at {saved}, this is {time.strftime('%H:%M:%S')})")
    return person.laps


if __name__ == "__main__":
    main()
