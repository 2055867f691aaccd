"""What a script does, as far as pipekit is concerned: it moves rows, runs SQL, calls other scripts."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipekit_import.values import Login, Spot, Value


@dataclass
class Pull:
    """Rows of a query going into a table. `dest` and `table` are filled in later when the rows go through a file."""

    spot: Spot
    source: Login
    query: Value
    query_spot: Spot
    dest: Login | None
    table: Value
    flags: set[str] = field(default_factory=set)
    #: Columns that a COPY names.
    columns: tuple[str, ...] = ()


@dataclass
class Statements:
    """SQL run by a client."""

    spot: Spot
    login: Login
    sql: Value
    sql_spot: Spot


@dataclass
class ScriptCall:
    """A script calls another. Arguments that only a run would tell are None."""

    spot: Spot
    script: str
    arguments: tuple[str | None, ...]


@dataclass(frozen=True)
class Note:
    """Something that was not understood or is worth knowing. With `blocking`, what was inferred cannot be complete."""

    spot: Spot
    text: str
    blocking: bool = False


@dataclass(frozen=True)
class Secret:
    """A password written in clear: where, under which name. Its value is kept only to be left out of all output."""

    spot: Spot
    name: str
    value: str = field(repr=False)


@dataclass
class Account:
    """All that one script does, in order."""

    script: str
    arguments: tuple[str | None, ...]
    steps: list[Pull | Statements] = field(default_factory=list)
    calls: list[ScriptCall] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    secrets: list[Secret] = field(default_factory=list)
    sourced: set[str] = field(default_factory=set)
    #: Commands of the script itself that move rows or run SQL, and all commands that were reached.
    present: set[Spot] = field(default_factory=set)
    reached: set[Spot] = field(default_factory=set)
