"""What a person sees while runs work: one moving line a run on a terminal, plain lines through a pipe.

All on stderr.
"""

from __future__ import annotations

import threading
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner
from rich.table import Table

from pipekit_engine.cli.output import STATUS_COLOURS, errors, seconds
from pipekit_engine.common.text import counted

if TYPE_CHECKING:
    from pipekit_engine.engine import RunEvent
    from pipekit_engine.models import RunRecord
    from pipekit_engine.store import Store

#: Between two plain progress lines of one run.
PLAIN_INTERVAL_S = 5.0
_TICK_S = 0.25


@dataclass
class _Row:
    """A run in progress."""

    module: str
    phase: str = ""
    rows: int | None = None
    rate: float | None = None
    started: float = field(default_factory=time.monotonic)
    told: float = field(default_factory=time.monotonic)


class Progress(AbstractContextManager["Progress"]):
    """Shows the events of runs until it is left.

    `detailed` shows each run's log lines too, for a run by itself; a group shows one line for each member that ended.
    """

    def __init__(self, store: Store, *, detailed: bool) -> None:
        self._store = store
        self._detailed = detailed
        self._console = errors()
        self._rows: dict[int, _Row] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._ticker = threading.Thread(target=self._tick, name="progress", daemon=True)
        self._live: Live | None = None

    def __enter__(self) -> Progress:
        if self._console.is_terminal:
            self._live = Live(console=self._console, get_renderable=self._render, refresh_per_second=8, transient=True)
            self._live.start()
        if not self._detailed:
            self._ticker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._ticker.is_alive():
            self._ticker.join()
        if self._live is not None:
            with self._lock:
                self._rows.clear()
            self._live.stop()

    def event(self, event: RunEvent) -> None:
        """Take an event of a run; called on the threads that work."""
        line = None
        now = time.monotonic()
        with self._lock:
            row = self._rows.setdefault(event.run_id, _Row(event.module))
            if event.kind == "phase":
                row.phase, row.rows, row.rate = event.phase, None, None
            elif event.kind == "progress":
                row.rows = event.rows
                row.rate = event.rows / event.elapsed_s if event.rows and event.elapsed_s else None
                if self._live is None and now - row.told >= PLAIN_INTERVAL_S:
                    row.told = now
                    line = f"{event.module}: {event.phase}: {event.message}"
            # The plan of a dry run is the command's result: it is printed once, at the end.
            elif self._detailed and "\n" not in event.message:
                line = event.message
        if line is not None:
            self.say(line)

    def say(self, message: str) -> None:
        """A line that stays."""
        self._console.print(escape(message), style="dim" if self._live else None, soft_wrap=True)

    def _tick(self) -> None:
        while not self._stop.wait(_TICK_S):
            self._tell_ended()
        self._tell_ended()

    def _tell_ended(self) -> None:
        with self._lock:
            active = set(self._rows)
        if not active:
            return
        newest = self._store.runs.list(limit=max(20, max(active) - min(active) + 20))
        for record in reversed(newest):
            if record.id in active and record.finished_at is not None:
                with self._lock:
                    del self._rows[record.id]
                self._console.print(summary(record), soft_wrap=True)

    def _render(self) -> RenderableType:
        with self._lock:
            rows = list(self._rows.values())
        table = Table.grid(padding=(0, 2))
        for row in rows:
            table.add_row(
                Spinner("dots"),
                f"[bold]{escape(row.module)}[/bold]",
                row.phase,
                counted(row.rows, "row") if row.rows is not None else "",
                f"{row.rate:,.0f} rows/s" if row.rate else "",
                seconds(time.monotonic() - row.started),
            )
        return Group(table)


def summary(record: RunRecord) -> str:
    """How a run ended, in one line of rich markup."""
    numbers = (
        ("read", record.rows_read),
        ("inserted", record.rows_inserted),
        ("updated", record.rows_updated),
        ("deleted", record.rows_deleted),
        ("unchanged", record.rows_unchanged),
    )
    counts = [f"{number:,} {what}" for what, number in numbers if number or (what == "read" and number is not None)]
    colour = STATUS_COLOURS.get(record.status, "default")
    text = f"[{colour}]{record.status}[/{colour}]  [bold]{escape(record.label)}[/bold]"
    facts = [seconds(record.duration_s), ", ".join(counts)]
    if record.error and record.status != "success":
        facts.append(escape(record.error.strip().split("\n", 1)[0]))
    return f"{text}  {'  '.join(fact for fact in facts if fact)}  [dim]run {record.id}[/dim]"
