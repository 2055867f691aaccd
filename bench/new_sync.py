"""A new sync from nothing, typed by a person's speed, on a real terminal:  python -m bench.new_sync

From an empty folder to the first good run by schedule: `pipekit init`, `pipekit wizard` (both connections are made in it, on
MariaDB and PostgreSQL servers that are already there), `pipekit serve`, and then the clock: the schedule fires every minute.
The screen is recorded in asciicast v2 (`asciinema play`), every keystroke is counted and timed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import socket
import sqlite3
import sys
import tempfile
import time
import urllib.request
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from tests.servers.mariadb import MariaDBServer
from tests.servers.postgresql import PostgreSQLServer
from tests.wizard.screen import COLUMNS, KEYS, ROWS, Typist

RESULTS = Path(__file__).parent / "results"
#: Five keys a second, and a look at each question before it is answered.
KEY_S = 0.2
LOOK_S = 0.5
PASSWORD = "tea-for-two"  # of both logins; it is never shown
ORDERS = 20_000
PORT = 3000


@dataclass
class Step:
    """Something that was typed: what for, the keys, when it began and how long until the next question was there."""

    what: str
    keys: str
    count: int
    began: float
    waited: float = 0.0


class Recording:
    """The terminal's output with its times, as asciicast v2."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.events: list[tuple[float, str]] = []

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.began

    def output(self, data: str) -> None:
        """What the program wrote."""
        self.events.append((self.now, data))

    def text(self) -> str:
        """The whole recording."""
        header = {
            "version": 2,
            "width": COLUMNS,
            "height": ROWS,
            "timestamp": int(time.time() - self.now),
            "title": "pipekit: a new sync, from nothing to its first scheduled run",
            "env": {"TERM": "xterm-256color", "SHELL": "/bin/bash"},
        }
        lines = [json.dumps(header)]
        lines += [json.dumps([round(when, 6), "o", data], ensure_ascii=False) for when, data in self.events]
        return "\n".join(lines) + "\n"


class Person:
    """Types at a person's speed, and writes down what."""

    def __init__(self, typist: Typist, recording: Recording) -> None:
        self._typist = typist
        self._recording = recording
        self.steps: list[Step] = []

    def sees(self, *texts: str, timeout: float = 60) -> None:
        """Wait for a screen."""
        began = self._recording.now
        self._typist.wait_for(*texts, timeout=timeout)
        if self.steps:
            self.steps[-1].waited = self._recording.now - began

    def types(self, what: str, *keys: str, shown: str | None = None) -> None:
        """Look, then press keys: names of special keys, or text that is typed letter by letter."""
        self._pause(LOOK_S)
        presses = [press for key in keys for press in ([key] if key in KEYS else list(key))]
        text = " ".join(f"<{key}>" if key in KEYS else key for key in keys)
        self.steps.append(Step(what, shown or text, len(presses), self._recording.now))
        for press in presses:
            self._typist.keys(press)
            self._pause(KEY_S)

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._typist.read(min(left, 0.02))


def prepare(mariadb: MariaDBServer, pg: PostgreSQLServer) -> None:
    """A shop with orders in MariaDB, an empty warehouse in PostgreSQL, a login to each."""
    mariadb.create_database("shop")
    mariadb.sql(
        "shop",
        f"""
        CREATE USER app IDENTIFIED BY '{PASSWORD}';
        GRANT ALL ON shop.* TO app;
        CREATE TABLE customers (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(80) NOT NULL) COMMENT 'who buys';
        CREATE TABLE orders (
          id BIGINT PRIMARY KEY AUTO_INCREMENT,
          customer_id INT NOT NULL,
          total DECIMAL(12,2) NOT NULL COMMENT 'in euros, tax included',
          state VARCHAR(20) NOT NULL,
          updated_at DATETIME(6) NOT NULL
        ) COMMENT 'one row an order';
        INSERT INTO orders (customer_id, total, state, updated_at)
          SELECT 1 + seq % 997, (seq * 7919 % 100000) / 100, ELT(1 + seq % 3, 'new', 'paid', 'sent'),
            '2026-01-01' + INTERVAL seq MINUTE
          FROM seq_1_to_{ORDERS};
        """,
    )
    pg.create_database("dw")
    pg.sql("dw", f"CREATE ROLE etl LOGIN PASSWORD '{PASSWORD}'; GRANT CREATE ON DATABASE dw TO etl")


def free_port() -> int:
    """The usual port, or another when it is taken."""
    for port in (PORT, 0):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)) as probe:
            return int(probe.getsockname()[1])
    raise SystemExit("no port is free")


def scheduled_run(folder: Path) -> datetime | None:
    """When the run began that the schedule started, once it has succeeded."""
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(folder / "pipekit.db")) as store:
        sql = "SELECT started_at FROM run_log WHERE status = 'success' AND triggered_by LIKE 'schedule:%'"
        row = store.execute(sql).fetchone()
        return datetime.fromisoformat(row[0]).replace(tzinfo=timezone.utc) if row else None
    return None


def healthy(port: int) -> bool:
    """Whether `pipekit serve` says that all of it is up."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def session(
    person: Person, typist: Typist, folder: Path, mariadb: MariaDBServer, pg: PostgreSQLServer, port: int
) -> float:
    """All steps, from the first key to the scheduled run on the screen.

    Gives the seconds from when all services were up to the full minute at which the run was due.
    """
    person.sees("$")
    person.types("make the project", "pipekit init", "enter")
    person.sees("Registered drivers")
    person.types("start the wizard", "pipekit wizard", "enter")
    person.sees("Kind of database", "Esc back")
    person.types("source: MariaDB", "maria", "enter")
    person.sees("Where (host:port")
    person.types("its address", f"{mariadb.host}:{mariadb.port}/shop", "enter")
    person.sees("User (empty")
    person.types("user", "app", "enter")
    person.sees("Password (kept")
    person.types("password", PASSWORD, "enter", shown="••••• <enter>")
    person.sees("Name of this connection: shop")
    person.types("connection's name: as proposed", "enter")
    person.sees("connected: MariaDB", "? Tables", "orders")
    person.types("table", "ord", "enter")
    person.sees("? Copy to", "a new connection")
    person.types("destination: a new connection", "enter")
    person.sees("? Copy to: ", "postgresql ", "Esc back")
    person.types("destination: PostgreSQL", "post", "enter")
    person.sees("? Kind of database: postgresql", "Where (host:port")
    person.types("its address", f"{pg.host}:{pg.port}/dw", "enter")
    person.sees(f"{pg.port}/dw\n? User (empty")
    person.types("user", "etl", "enter")
    person.sees("etl\n? Password (kept")
    person.types("password", PASSWORD, "enter", shown="••••• <enter>")
    person.sees("Name of this connection: dw")
    person.types("connection's name: as proposed", "enter")
    person.sees("connected: PostgreSQL", "? Group")
    person.types("group: a new one", "enter")
    person.sees("Name of the group: shop")
    person.types("group's name: as proposed", "enter")
    person.sees("When (cron")
    person.types("schedule: every minute", "ctrl-u", "* * * * *", "enter")
    person.sees("Time zone")
    person.types("time zone: as proposed", "enter")
    person.sees("Looks right", "upsert: updated_at says when a row changed")
    person.types("strategy, key, watermark, names: as proposed", "enter")
    person.sees("All of this", "the first 10 rows")
    person.types("write, apply, first run", "enter")
    person.sees("success  orders")
    option = "" if port == PORT else f" --port {port}"
    person.types("start the schedules, in the background", f"pipekit serve{option} &> log &", "enter")
    person.sees("[1] ")
    person.types("look; Enter when the minute has come", "pipekit runs list")
    began = time.monotonic()
    ready = 0.0
    while (started := scheduled_run(folder)) is None:
        typist.read(0.1)
        if not ready and healthy(port):
            ready = time.time()
        if time.monotonic() - began > 150:
            raise SystemExit(f"no scheduled run came:\n{(folder / 'log').read_text()[-3000:]}")
    person.steps[-1].waited = time.monotonic() - began
    person.types("look", "enter")
    person.sees("schedule:1", timeout=20)
    return max(0.0, started.timestamp() // 60 * 60 - ready)


def page(person: Person, total: float, minute: float) -> str:
    """The keystroke table."""
    keys = sum(step.count for step in person.steps)
    waiting = sum(step.waited for step in person.steps)
    lines = [
        "# A new sync, from nothing to its first scheduled run",
        "",
        f"**{total:.0f} seconds**, of them {waiting:.0f} s waiting for programs and for the minute to come; {keys} keystrokes at "
        f"{1 / KEY_S:.0f} keys a second and {LOOK_S:g} s of looking before each answer. MariaDB to PostgreSQL, {ORDERS:,} rows,",
        "an empty folder at the start; both database servers, with a login each, were there before. Of the waiting,",
        f"{minute:.0f} s were for the full minute at which the schedule fires: begun at another second, the same session takes",
        f"between {total - minute:.0f} and {total - minute + 60:.0f} s.",
        "The screen is in `new-sync.cast` (`asciinema play`). Made by `python -m bench.new_sync`.",
        "",
        "| at | what | typed | keys | then waited |",
        "|---:|---|---|---:|---:|",
    ]
    for step in person.steps:
        typed = step.keys.replace("|", "\\|")
        lines.append(f"| {step.began:.1f} s | {step.what} | `{typed}` | {step.count} | {step.waited:.1f} s |")
    lines.append(f"| {total:.1f} s | the scheduled run is on the screen | | | |")
    load = os.getloadavg()[0]
    lines += [
        "",
        f"*{platform.machine()}, {os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}, load average {load:.1f} at the end*",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Play the session and write its recording and its table."""
    argparse.ArgumentParser(prog="python -m bench.new_sync", description=__doc__).parse_args()
    folder = Path(tempfile.mkdtemp(prefix="new-sync-"))
    port = free_port()
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("PIPEKIT_", "DAGSTER_", "NO_COLOR"))
    }
    environment |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PS1": "$ ", "TZ": "Europe/Paris"}
    mariadb = MariaDBServer()
    try:
        pg = PostgreSQLServer()
        with pg:
            prepare(mariadb, pg)
            recording = Recording()
            shell = ["bash", "--norc", "--noprofile", "-i"]
            with Typist(shell, folder, environment, on_output=recording.output) as typist:
                person = Person(typist, recording)
                try:
                    minute = session(person, typist, folder, mariadb, pg, port)
                    total = recording.now
                finally:
                    # The shell's job, and with it everything below it.
                    typist.keys("ctrl-c", "kill %1; wait; exit", "enter")
                    with suppress(AssertionError):
                        typist.end(40)
            moved = pg.sql("dw", "SELECT count(*) FROM shop.orders")[0][0]
    finally:
        mariadb.stop()
        shutil.rmtree(folder, ignore_errors=True)
    if moved != ORDERS:
        raise SystemExit(f"{moved} rows arrived, not {ORDERS}")
    RESULTS.mkdir(exist_ok=True)
    recording.events = [event for event in recording.events if event[0] <= total]
    (RESULTS / "new-sync.cast").write_text(recording.text(), encoding="utf-8")
    (RESULTS / "new-sync.md").write_text(page(person, total, minute), encoding="utf-8")
    print(page(person, total, minute))


if __name__ == "__main__":
    main()
