"""The SQL around a load, statement by statement, each with its place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipekit_engine.databases.names import split_name
from pipekit_engine.errors import ConfigurationError
from pipekit_engine.sql.changes import read_change
from pipekit_engine.sql.dml import Change
from pipekit_engine.sql.text import spans, split_statements
from pipekit_import.values import Spot

if TYPE_CHECKING:
    from pipekit_engine.sql.syntax import SqlSyntax


@dataclass(frozen=True, kw_only=True)
class Statement(Change):
    """A statement of a script: what it does, its text and where that begins."""

    text: str
    spot: Spot


def bare(name: str) -> str:
    """A table's name without quotes and without its schema."""
    return _parts(name)[-1]


def same_table(one: str, other: str) -> bool:
    """Whether two names mean one table: a schema counts only where both give it."""
    first, second = ([part.lower() for part in _parts(name)] for name in (one, other))
    length = min(len(first), len(second))
    return bool(one and other) and first[-length:] == second[-length:]


def _parts(name: str) -> list[str]:
    """The parts of a name; one of a script need not be one that the engine takes."""
    try:
        return [part.text for part in split_name(name)]
    except ConfigurationError:
        return name.replace('"', "").replace("`", "").split(".")


def read_statements(sql: str, spot: Spot, syntax: SqlSyntax) -> list[Statement]:
    """The statements of a text, psql's own commands left out."""
    kept = "\n".join("" if re.match(r"\s*(?:\\|\.[a-z])", line) else line for line in sql.split("\n"))
    found: list[Statement] = []
    position = 0
    for text in split_statements(kept, syntax):
        start = kept.find(text, position)
        position = start + len(text)
        leading = len(text) - len(uncommented(text, syntax))
        place = Spot(spot.file, spot.line + kept.count("\n", 0, start + leading))
        found.append(Statement(**vars(read_change(text, syntax)), text=text, spot=place))
    return found


def uncommented(text: str, syntax: SqlSyntax) -> str:
    """A statement without the comments and blanks before it."""
    return "".join(
        re.sub(r"[^\n]", " ", span.text) if span.kind == "comment" else span.text for span in spans(text, syntax)
    ).lstrip()
