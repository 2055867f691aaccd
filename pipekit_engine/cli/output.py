"""How results look: consoles, tables, JSON, times and numbers for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rich.padding import Padding
from rich.segment import Segment, Segments
from rich.table import Table
from rich.text import Text

from pipekit_engine.common.consoles import PlainConsole
from pipekit_engine.common.text import first_line
from pipekit_engine.common.visible import visible, visible_json

if TYPE_CHECKING:
    from pipekit_engine.models import RunRecord

#: As many columns as a table may need.
_TABLE_WIDTH = 100_000
#: Characters of an error in a table on a terminal. Through a pipe its first line is whole: the cause often stands at its end.
_ERROR_WIDTH = 100
#: Columns that a last column of long text needs on a terminal; with less it goes below its row.
_ROOM_FOR_TEXT = 40
STATUS_COLOURS = {
    "success": "green",
    "dry_run": "cyan",
    "running": "blue",
    "error": "red",
    "cancelled": "yellow",
}


@lru_cache
def results() -> PlainConsole:
    """Stdout: what the command was asked for."""
    return PlainConsole(highlight=False)


@lru_cache
def errors() -> PlainConsole:
    """Stderr: progress, warnings, errors."""
    return PlainConsole(stderr=True, highlight=False)


def print_json(value: Any) -> None:
    """One JSON value on stdout; what the locale's encoding may lack is escaped as JSON has it."""
    plain = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    sys.stdout.write(visible_json(json.dumps(value, ensure_ascii=plain, indent=2, default=str)) + "\n")
    sys.stdout.flush()


def print_text(text: str) -> None:
    """Text on stdout: exactly as it is through a pipe, without what a terminal would obey on one."""
    text = visible(text) if sys.stdout.isatty() else text
    sys.stdout.write(text if text.endswith("\n") or not text else text + "\n")
    sys.stdout.flush()


def print_table(
    headings: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Sequence[str] = (), below: bool = False
) -> None:
    """A table on stdout, a row a line.

    A terminal cuts what is beyond its right edge; through a pipe nothing is cut, for `grep` and `awk`. With `below`, the last
    column is text that matters: on a terminal that leaves it few columns, it stands on a line of its own below its row.
    """
    console = results()
    cells = [
        [cell if isinstance(cell, Text) else Text("" if cell is None else visible(str(cell))) for cell in row]
        for row in rows
    ]
    wide = console.options.update(width=_TABLE_WIDTH)
    lines = console.render_lines(_table(headings, cells, right), wide, pad=False)
    if not console.is_terminal:
        print_text("".join("".join(part.text for part in line).rstrip() + "\n" for line in lines))
        return
    texts = [""] * len(cells)
    if below and cells:
        short = console.render_lines(_table(headings[:-1], [row[:-1] for row in cells], right), wide, pad=False)
        if console.width - max(map(Segment.get_line_length, short)) < _ROOM_FOR_TEXT:
            lines, texts = short, [row[-1].plain for row in cells]
    for line, text in zip(lines, ["", *texts], strict=True):
        console.print(Segments([*Segment.adjust_line_length(line, console.width, pad=False), Segment.line()]))
        if text:
            console.print(Padding(Text(text), (0, 0, 0, 4)))


def _table(headings: Sequence[str], rows: Iterable[Sequence[Text]], right: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for heading in headings:
        table.add_column(heading, justify="right" if heading in right else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


def status(text: str) -> Text:
    """A run's status in its colour."""
    return Text(text, style=STATUS_COLOURS.get(text, ""))


def count(number: int | None) -> str:
    """336,776; empty for a count that was never reached."""
    return "" if number is None else f"{number:,}"


def seconds(value: float | None) -> str:
    """0.42s, 12.3s, 4m05s, 2h07m; empty for None."""
    if value is None:
        return ""
    if value < 10:
        return f"{value:.2f}s"
    if value < 60:
        return f"{value:.1f}s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02d}s"
    return f"{minutes // 60}h{minutes % 60:02d}m"


def size(value: int | None) -> str:
    """Bytes as kB, MB or GB."""
    if value is None:
        return ""
    number = float(value)
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000 or unit == "GB":
            break
        number /= 1000
    return f"{number:.0f} B" if unit == "B" else f"{number:.1f} {unit}"


def moment(value: datetime | None, zone: str | None = None) -> str:
    """A time in the reader's own zone, or in the named one with its offset; empty for None."""
    if value is None:
        return ""
    if zone is None:
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    from zoneinfo import ZoneInfo

    return value.astimezone(ZoneInfo(zone)).isoformat(" ", "seconds")


def changes(record: RunRecord) -> str:
    """Rows inserted, updated, deleted and unchanged, such as `+120 ~3 -120 =4`; empty before the merge."""
    counts = (
        ("+", record.rows_inserted), ("~", record.rows_updated), ("-", record.rows_deleted), ("=", record.rows_unchanged)
    )  # fmt: skip
    parts = [f"{sign}{number:,}" for sign, number in counts if number]
    return " ".join(parts) or ("+0" if record.rows_inserted is not None else "")


def runs_table(records: Sequence[RunRecord]) -> None:
    """Runs as a table, one a line."""
    width = _ERROR_WIDTH if results().is_terminal else _TABLE_WIDTH
    print_table(
        ("RUN", "MODULE", "STATUS", "STARTED", "TOOK", "READ", "CHANGED", "BY", "ERROR"),
        (
            (
                record.id,
                record.module,
                status(record.status),
                moment(record.started_at),
                seconds(record.duration_s) or record.phase,
                count(record.rows_read),
                changes(record),
                record.triggered_by,
                first_line(record.error, width),
            )
            for record in records
        ),
        right=("RUN", "TOOK", "READ", "CHANGED"),
        below=True,
    )
