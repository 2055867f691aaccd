"""`pipekit demo`: a sync job on real data, from nothing to checked rows, told step by step.

The demo does what a user would do, with the same commands, and shows each before it runs. It fails when a command fails,
when a row differs, or when a run moved another number of rows than the change in the source asked for.
"""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipekit_engine.common.text import counted
from pipekit_engine.demo.compare import compare
from pipekit_engine.demo.dataset import TABLES, build, change
from pipekit_engine.demo.project import Project, Warehouse, warehouse
from pipekit_engine.errors import ConfigurationError, PipekitError

if TYPE_CHECKING:
    from rich.console import Console

GROUP = "nyc"
FOLDER = Path(".demo")
#: The `pipekit` command of this very Python, whatever PATH says.
PIPEKIT = [sys.executable, "-m", "pipekit_engine.cli.main"]
#: What the second run must read again and no more, per module: the rows at or after what the warehouse holds.
WATERMARKS = {"weather": "year * 10000 + month * 100 + day", "flights": "updated_at"}


class DemoFailed(PipekitError):
    """A step of the demo did not do what it must."""


class Demo:
    """One demo: its project, and how it tells what it does."""

    def __init__(self, folder: Path, console: Console) -> None:
        self.project = Project(folder.absolute())
        self.console = console

    def run(self, dest: str, *, days: int) -> Warehouse:
        """Do all of it, and return the warehouse that was used. Raises ConfigurationError or DemoFailed."""
        project = self.project
        project.claim()
        with project.held():
            project.clear()
            return self._run(dest, days)

    def _run(self, dest: str, days: int) -> Warehouse:
        project = self.project
        with warehouse(dest, project) as target:
            with self.step("A source: the flights that left New York in 2013, in an SQLite file"):
                self.say(", ".join(f"{rows:,} {name}" for name, rows in build(project.source, days=days).items()))
            with self.step(f"A project: definitions, a state file, and {target.title} as the warehouse"):
                project.write(dest, target)
                self.pipekit("init")
                self.pipekit("apply", str(project.definitions))
            with self.step("First run, as a Dagster job: everything"):
                self.sync({name: self.count(f"SELECT count(*) FROM {name}") for name in TABLES})
            with self.step("A day passes at the source"):
                for line in change(project.source):
                    self.say(line)
            with self.step("Second run: only what is new"):
                self.sync({name: self.count(*self.newer(name, target)) for name in TABLES})
            with self.step("Source against warehouse, row by row, with nothing of pipekit in between"):
                self.check(target)
        return target

    # --- steps ------------------------------------------------------------------------------------------------

    def sync(self, expected: dict[str, int]) -> None:
        """Run the group's Dagster job and hold its run_log against the number of rows that each module must move."""
        before = {run["id"] for run in self.runs()}
        self.command([sys.executable, "-m", "pipekit_dagster.execute", GROUP])
        moved = {run["module"]: run for run in self.runs() if run["id"] not in before}
        for module, rows in expected.items():
            run = moved.get(module)
            if run is None or run["status"] != "success":
                raise DemoFailed(f"{module} did not succeed: {run['error'] if run else 'it left no row in run_log'}")
            if run["rows_read"] != rows:
                raise DemoFailed(f"{module} moved {run['rows_read']:,} rows, and {rows:,} were to be moved.")
        self.say(", ".join(f"{rows:,} {name}" for name, rows in expected.items()))

    def check(self, target: Warehouse) -> None:
        """Compare every table. Raises DemoFailed with the first differing rows."""
        for name, table in TABLES.items():
            result = compare(name, table, self.project.source, target.rows)
            if not result.equal:
                raise DemoFailed(
                    f"{name}: {counted(result.differences, 'row')} {'differs' if result.differences == 1 else 'differ'}, "
                    "such as\n  " + "\n  ".join(result.samples)
                )
            self.say(f"{name}: {counted(result.rows, 'row')}, all equal")

    # --- what must happen, found out without the engine ---------------------------------------------------------

    def count(self, query: str, *parameters: Any) -> int:
        with closing(sqlite3.connect(self.project.source)) as database:
            return int(database.execute(query, parameters).fetchone()[0])

    def newer(self, name: str, target: Warehouse) -> tuple[Any, ...]:
        """Return the query (with its parameters) that counts what a table's module has to read in the second run."""
        if name not in WATERMARKS:
            return (f"SELECT count(*) FROM {name}",)
        highest = next(target.rows(f"SELECT max({WATERMARKS[name]}) FROM {name}"))[0]
        return f"SELECT count(*) FROM {name} WHERE {WATERMARKS[name]} >= ?", highest if name == "weather" else str(
            highest
        )

    # --- the commands -------------------------------------------------------------------------------------------

    def pipekit(self, *arguments: str, quiet: bool = False) -> str:
        return self.command([*PIPEKIT, *arguments], quiet=quiet)

    def runs(self) -> list[dict[str, Any]]:
        """Return run_log, newest first."""
        found = self.pipekit("runs", "list", "--json", "--limit", "100", quiet=True)
        return list(json.loads(found))

    def command(self, argv: list[str], *, quiet: bool = False) -> str:
        """Show a command, run it on the project, and return what it printed. Raises DemoFailed with its last words."""
        if not quiet:
            shown = ["pipekit", *argv[len(PIPEKIT) :]] if argv[: len(PIPEKIT)] == PIPEKIT else ["python", *argv[1:]]
            self.say(f"[dim]$ {shlex.join(shown)}[/dim]")
        done = subprocess.run(
            argv, env=self.project.environment(), cwd=self.project.folder, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-30:])
            raise DemoFailed(f"`{shlex.join(argv)}` ended with exit status {done.returncode}:\n{last}")
        return done.stdout

    # --- telling ------------------------------------------------------------------------------------------------

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        self.console.print(f"\n[bold]{title}[/bold]")
        started = time.monotonic()
        yield
        self.say(f"[dim]{time.monotonic() - started:.1f} s[/dim]")

    def say(self, text: str) -> None:
        self.console.print(f"  {text}", highlight=False, soft_wrap=True)

    def table(self) -> None:
        """Print the runs as run_log has them."""
        from rich.table import Table

        table = Table(title="run_log", title_justify="left", title_style="bold")
        for column in ("run", "module", "status"):
            table.add_column(column, no_wrap=True)
        for column in ("read", "deleted", "inserted", "seconds"):
            table.add_column(column, justify="right", no_wrap=True)
        table.add_column("watermark")
        for run in sorted(self.runs(), key=lambda run: int(run["id"])):
            table.add_row(
                str(run["id"]),
                run["module"],
                f"[{'green' if run['status'] == 'success' else 'red'}]{run['status']}",
                *(f"{run[key] or 0:,}" for key in ("rows_read", "rows_deleted", "rows_inserted")),
                f"{run['duration_s'] or 0:.2f}",
                ", ".join(mark["value"] for mark in run["watermarks"].values()),
            )
        self.console.print()
        self.console.print(table)

    def what_next(self, target: Warehouse, seconds: float) -> None:
        folder = self.project.folder
        with suppress(ValueError):
            folder = folder.relative_to(Path.cwd())
        programs = Path(sys.executable).parent
        on_path = "" if shutil.which("pipekit") else f"PATH={programs}:$PATH "
        lasting = (
            "" if target.lasting else ",\n      and the demo's PostgreSQL for as long (the commands below need it)"
        )
        serve = "pipekit demo --serve" if folder != FOLDER else "make serve"
        self.console.print(f"\n[bold green]The warehouse equals the source.[/bold green] {seconds:.0f} s in all.\n")
        self.console.print("What to try next:", style="bold")
        for command, why in (
            (serve, "schedules, runs, live logs and lineage in the browser: `pipekit serve` on this project" + lasting),
            (f"export {on_path}PIPEKIT_CONFIG={self.project.config}", "then these commands work on it:"),
            ("pipekit runs list", "all runs; `pipekit runs show 10` has the SQL that ran"),
            ("pipekit run flights --dry-run", "what a run would do now"),
            ("pipekit run flights --set since=2013-12-24", "a backfill"),
            (f"pipekit apply {folder / 'definitions'}", f"after you changed {folder / 'definitions' / 'demo.yaml'}"),
        ):
            self.console.print(f"  {command}\n      [dim]{why}[/dim]", highlight=False, soft_wrap=True)


def run_demo(dest: str = "sqlite", folder: Path = FOLDER, *, days: int = 366) -> None:
    """Run the demo.

    Args:
        dest: `sqlite` or `duckdb` (a file), or `postgresql` (a server of the demo's own, or the one that
            PIPEKIT_DEMO_PG_URL names).
        folder: where all of it is kept; an earlier demo there is replaced.
        days: how many days of flights are loaded at first, counted back from the end of the year.

    Raises:
        ConfigurationError: something that the demo needs is missing; the message says what.
        DemoFailed: a command failed, or the destination is not what it must be.
    """
    from rich.console import Console

    started = time.monotonic()
    demo = Demo(folder, Console(width=None if sys.stdout.isatty() else 100))
    target = demo.run(dest, days=days)
    demo.table()
    demo.what_next(target, time.monotonic() - started)


def serve_demo(folder: Path = FOLDER) -> int:
    """Run `pipekit serve` on the demo's project, beside its PostgreSQL if it has one, and return its exit status."""
    from rich.console import Console

    demo = Demo(folder, Console())
    project = demo.project
    if not project.config.exists():
        raise ConfigurationError(f"{folder} holds no demo yet: run `make demo` or `pipekit demo` first.")
    dest = json.loads(project.settings.read_text("utf-8"))["dest"]
    with project.held(), warehouse(dest, project, fresh=False) as target:
        project.write(dest, target)  # a server of the demo's own has another port now
        demo.pipekit("apply", str(project.definitions))
        process = subprocess.Popen([*PIPEKIT, "serve"], env=project.environment(), cwd=project.folder)
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue  # it reached `pipekit serve` too, which stops cleanly; its database waits for that
