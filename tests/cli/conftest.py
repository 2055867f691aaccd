"""The real command on real SQLite databases, with the real jrunner.

`project(...)` runs it in a process of its own. `project.look(...)` runs it inside the test's process, which spares the
imports: for commands that start no run and whose exit status and output are all that matters.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pexpect
import pytest
from typer.testing import CliRunner

from pipekit_engine.cli.main import app

COMMAND = [sys.executable, "-m", "pipekit_engine.cli.main"]
#: Seconds for one command, which takes a second or two on an idle machine.
TIMEOUT_S = 120
ROWS = 50

DEFINITIONS = """\
connections:
  src: {driver: sqlite, jdbc_url: "jdbc:sqlite:src.db"}
  dw: {driver: sqlite, jdbc_url: "jdbc:sqlite:dw.db"}
modules:
  items:
    source: src
    dest: dw
    query: SELECT id, name, at FROM items WHERE at >= '{since}'
    dest_table: items
    strategy: upsert
    merge_key: [id]
    watermarks:
      since: {connection: dw, resolver_sql: SELECT max(at) FROM items, default: 2000-01-01}
  copy:
    source: src
    dest: dw
    query: SELECT id, name FROM items
    dest_table: copy
    strategy: full
  broken:
    source: src
    dest: dw
    query: SELECT nope FROM items
    dest_table: broken
    strategy: full
  endless:
    source: src
    dest: dw
    query: WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c
    dest_table: endless
    strategy: full
  sleeping:
    source: src
    dest: dw
    query: SELECT 1 AS x
    dest_table: sleeping
    strategy: full
    enabled: false
groups:
  good: {members: [items, copy, sleeping]}
  mixed: {members: [broken, copy]}
  slow: {members: [copy, endless]}
schedules:
  nightly: {group: good, cron: "0 2 * * *", timezone: Europe/Paris}
triggers:
  changed: {group: good, kind: watermark, connection: src, sql: SELECT max(at) FROM items}
"""


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@dataclass
class Done:
    """A command that ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Stdout, which must be one JSON value."""
        return json.loads(self.out)


@dataclass
class Project:
    """A folder with a configuration, two databases, and definitions."""

    folder: Path

    def environment(self, **more: str) -> dict[str, str]:
        """The environment without anything that would lead the command elsewhere."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PIPEKIT_", "DAGSTER_"))}
        root = str(Path(__file__).parents[2])
        return kept | {"PYTHONPATH": root, "TERM": "dumb", "COLUMNS": "120", "NO_COLOR": "1"} | more

    def __call__(self, *arguments: str, stdin: str | None = "", **environment: str) -> Done:
        """Run `pipekit` to its end."""
        done = subprocess.run(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=self.environment(**environment),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    def terminal(self, *arguments: str, columns: int) -> str:
        """What `pipekit` shows on a terminal of that width."""
        environment = self.environment(COLUMNS=str(columns), LINES="40")
        shown, status = pexpect.run(
            shlex.join([*COMMAND, *arguments]),
            cwd=str(self.folder),
            env=environment,
            timeout=TIMEOUT_S,
            withexitstatus=True,
            encoding="utf-8",
        )
        assert status == 0, shown
        return "".join(line.rstrip() + "\n" for line in shown.splitlines())

    def look(self, *arguments: str, stdin: str = "", **environment: str) -> Done:
        """Run `pipekit` inside this process."""
        before = dict(os.environ)
        os.environ.clear()
        os.environ.update(self.environment(**environment))
        try:
            with _inside(self.folder):
                done = CliRunner().invoke(app, list(arguments), input=stdin, prog_name="pipekit")
        finally:
            os.environ.clear()
            os.environ.update(before)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Done(done.exit_code, done.stdout, done.stderr)

    def start(self, *arguments: str) -> Started:
        """Begin `pipekit`; a context manager that kills it if it is still there in the end."""
        return Started(self, list(arguments))

    def rows(self, sql: str, database: str = "dw.db") -> list[tuple[Any, ...]]:
        """A query on one of the databases."""
        with closing(sqlite3.connect(self.folder / database)) as connection:
            return connection.execute(sql).fetchall()

    def write(self, name: str, text: str) -> Path:
        """A file in the folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path


class Started:
    """A command that runs in the background."""

    program: ClassVar[list[str]] = COMMAND

    def __init__(self, project: Project, arguments: list[str]) -> None:
        self._project = project
        self._arguments = arguments

    def __enter__(self) -> Started:
        self.process = subprocess.Popen(
            [*self.program, *self._arguments],
            cwd=self._project.folder,
            env=self._project.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate(timeout=TIMEOUT_S)

    def wait_for_run(self, phase: str = "stage", module: str = "endless") -> int:
        """The number of the module's running run, once it is in this phase."""
        until = time.monotonic() + TIMEOUT_S
        while time.monotonic() < until:
            assert self.process.poll() is None, self.process.communicate()
            with closing(sqlite3.connect(self._project.folder / "pipekit.db")) as store:
                row = store.execute(
                    "SELECT id FROM run_log WHERE status = 'running' AND phase = ? AND module = ?", [phase, module]
                ).fetchone()
            if row is not None:
                time.sleep(0.3)
                return int(row[0])
            time.sleep(0.05)
        raise AssertionError(f"no run came to phase {phase}")

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the command alone."""
        self.process.send_signal(number)

    def end(self) -> Done:
        """Wait for its end."""
        out, err = self.process.communicate(timeout=TIMEOUT_S)
        assert "Traceback" not in err, err
        return Done(self.process.returncode, out, err)


def make_project(folder: Path) -> Project:
    """A project that is initialised and applied."""
    project = Project(folder)
    with closing(sqlite3.connect(folder / "src.db")) as source, source:
        source.execute("CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT, at TEXT)")
        rows = ((i, f"item {i}", f"2024-01-01 00:00:{i:02d}") for i in range(ROWS))
        source.executemany("INSERT INTO items VALUES (?, ?, ?)", rows)
    project.write("definitions/all.yaml", DEFINITIONS)
    assert project.look("init").status == 0
    applied = project.look("apply")
    assert applied.status == 0, applied.err
    return project


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that is only ever copied: all its paths are relative."""
    return make_project(tmp_path_factory.mktemp("template")).folder


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Project:
    """A project of this test's own."""
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    return Project(tmp_path)


@pytest.fixture(scope="module")
def shared(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project for tests that only look; its modules `items` and `broken` have run."""
    project = Project(tmp_path_factory.mktemp("shared"))
    shutil.copytree(template, project.folder, dirs_exist_ok=True)
    assert project("run", "items").status == 0
    assert project("run", "broken").status == 1
    return project


@pytest.fixture
def empty(tmp_path: Path) -> Project:
    """A folder with nothing in it."""
    return Project(tmp_path)
