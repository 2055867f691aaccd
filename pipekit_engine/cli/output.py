"""How results look: consoles, tables, JSON, times and numbers for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rich.padding import Padding
from rich.segment import Segment, Segments
from rich.table import Table
from rich.text import Text

from pipekit_engine.common.consoles import PlainConsole
from pipekit_engine.common.text import first_line
from pipekit_engine.common.visible import visible, visible_json
from pipekit_engine.operations.figures import changes, count, moment, seconds, size

if TYPE_CHECKING:
    from pipekit_engine.models import RunRecord

__all__ = [
    "STATUS_COLOURS",
    "changes",
    "count",
    "errors",
    "moment",
    "print_json",
    "print_table",
    "print_text",
    "results",
    "runs_table",
    "seconds",
    "size",
    "status",
]

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


def runs_table(records: Sequence[RunRecord]) -> None:
    """Runs as a table, one a line."""
    width = _ERROR_WIDTH if results().is_terminal else _TABLE_WIDTH
    print_table(
        ("RUN", "MODULE", "STATUS", "STARTED", "TOOK", "READ", "CHANGED", "BY", "ERROR"),
        (
            (
                record.id,
                record.label,
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
