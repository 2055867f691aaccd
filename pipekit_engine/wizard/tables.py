"""Tables that the wizard shows: the first rows of a query, and what was proposed for many tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from pipekit_engine.common.text import counted
from pipekit_engine.strategies import STRATEGIES
from pipekit_engine.wizard.proposals import DELETED_STAY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from pipekit_engine.jrunner.protocol import QueryResult
    from pipekit_engine.wizard.draft import Draft

_CELL = 40
HEADINGS = ("TABLE", "MODULE", "DESTINATION", "STRATEGY", "KEY", "WATERMARK", "NOTES")


def _stdout() -> Console:
    from pipekit_engine.common.consoles import PlainConsole

    return PlainConsole(highlight=False)


def preview_table(result: QueryResult) -> None:
    """The rows of a query on stdout; NULL is told from the text NULL by its look."""
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for name in result.columns:
        table.add_column(Text(name), no_wrap=True, overflow="ellipsis", max_width=_CELL)
    for row in result.rows:
        table.add_row(*(Text("NULL", style="dim") if cell is None else Text(_one_line(cell)) for cell in row))
    _stdout().print(table)
    _stdout().print("  no rows" if not result.rows else f"  the first {counted(len(result.rows), 'row')}", style="dim")


def proposal_row(title: str, draft: Draft | None, problem: str) -> tuple[str, ...]:
    """What was proposed for a table, or why nothing was."""
    if draft is None:
        return (title, "", "", "", "", "", problem)
    mark = f"{draft.mark.column} lag {draft.lag}" if draft.mark is not None else ""
    # What holds for all of them is said once, below the table.
    cautions = [caution for caution in draft.cautions if caution != DELETED_STAY]
    notes = "; ".join((*draft.notes, *cautions, *([draft.reason] if STRATEGIES[draft.strategy].replaces_table else [])))
    return (title, draft.name, draft.dest_table, draft.strategy, ", ".join(draft.key), mark, notes)


def proposals_table(rows: Iterable[tuple[str, Draft | None, str]]) -> None:
    """One line a table, on stdout."""
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for heading in HEADINGS:
        table.add_column(heading, no_wrap=True, overflow="ellipsis")
    for title, draft, problem in rows:
        table.add_row(*(Text(cell) for cell in proposal_row(title, draft, problem)))
    _stdout().print(table)


def _one_line(text: str) -> str:
    return " ".join(text.split()) if len(text) < 10 * _CELL else " ".join(text[: 10 * _CELL].split())
