"""What a sync of a table should look like, told from its columns alone: key, watermark, strategy.

The rules prefer a sync that is slow to one that is wrong. Only a column whose name says that it changes with every change of
its row makes a table incremental by itself. An identity column or a time of creation finds new rows but never changed ones;
it is proposed for tables whose name says that rows are only ever added (logs, events, history), and offered for the others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pipekit_engine.common.names import find_name
from pipekit_engine.errors import ConfigurationError, NotFoundError
from pipekit_engine.strategies import STRATEGIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pipekit_engine.common.columns import Column
    from pipekit_engine.databases.introspection import ColumnInfo, Key

WatermarkKind = Literal["timestamp", "date", "number", "text"]
#: What a condition on the column finds: rows that changed, rows that were added, or nobody can tell.
Finds = Literal["changes", "new rows", "unknown"]

#: The caution that every strategy but `full` needs.
DELETED_STAY = "rows deleted at the source stay in the destination"

_WHOLE_NUMBERS = frozenset({"int16", "int32", "int64"})

_CHANGED = "updated|update|updt|upd|modified|modification|modify|mod|changed|change|chgd|chg|edited|touched|mtime"
_CREATED = "created|creation|create|crtd|crt|inserted|insert|added|entered|logged|occurred|happened|received|recorded|event|log"
_BEFORE = "(?:last|lst|latest|row|record|rec|system|sys|date|datetime|time|timestamp|ts|dt|etl|dw)*"
_AFTER = "(?:at|on|when|date|datetime|time|timestamp|stamp|tstmp|tmstmp|tms|ts|dt|utc|gmt|tz)*"
_CHANGE_TIME = re.compile(f"{_BEFORE}(?:{_CHANGED})+{_AFTER}")
_CREATION_TIME = re.compile(f"{_BEFORE}(?:{_CREATED})+{_AFTER}|timestamp|ts|datetime|time")
_ONLY_GROWS = re.compile(
    "logs?|events?|audits?|history|hist|journals?|ledger|archive|clicks|visits|hits|pageviews|"
    "readings|measurements|metrics|telemetry|samples"
)
_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_]+")


@dataclass(frozen=True)
class Candidate:
    """A column that can be a watermark. `reason` says in a few words what it finds."""

    column: str
    kind: WatermarkKind
    finds: Finds
    nullable: bool
    reason: str


@dataclass(frozen=True)
class Proposal:
    """A consistent set of answers. `cautions` are what the person should know before saying yes."""

    strategy: str
    key: tuple[str, ...]
    watermark: Candidate | None
    reason: str
    cautions: tuple[str, ...] = ()


def primary_key(columns: Iterable[ColumnInfo]) -> tuple[str, ...]:
    """Columns of the primary key, in the key's own order."""
    keyed = [(column.key_position, column.column.name) for column in columns if column.key_position is not None]
    return tuple(name for _, name in sorted(keyed))


def identifying_key(columns: Sequence[ColumnInfo], keys: Iterable[Key]) -> tuple[str, ...]:
    """The primary key; else the shortest unique key whose columns are never NULL; else none."""
    primary = primary_key(columns)
    if primary:
        return primary
    nullable = {column.column.name for column in columns if column.column.nullable}
    unique = [key.columns for key in keys if not nullable.intersection(key.columns)]
    return min(unique, key=len, default=())


def candidates(table: str, columns: Sequence[ColumnInfo], *, times_as_text: bool = False) -> list[Candidate]:
    """All columns of the table that can be a watermark, the best one first.

    `times_as_text`: this kind of database keeps times in text columns, too.
    """
    found = [candidate for column in columns if (candidate := _candidate(table, column, times_as_text)) is not None]
    rank = {"changes": 0, "new rows": 1, "unknown": 2}
    key = primary_key(columns)
    # Of two that find the same: one of full precision before a date; of new rows, the identity that is the key already.
    return sorted(found, key=lambda c: (rank[c.finds], c.kind == "date", (c.column,) != key, c.kind != "number"))


def candidate(table: str, columns: Sequence[ColumnInfo], name: str, *, times_as_text: bool = False) -> Candidate:
    """The candidate that a person named, whatever its name looks like.

    Raises NotFoundError for no such column, ConfigurationError for a type that has no order that a sync can follow.
    """
    column = find_column(name, columns)
    kind = _kind(column.column, times_as_text)
    if kind is None:
        raise ConfigurationError(
            f"{column.column.name} is {column.column.type_name or column.column.family}: a watermark is a time, a date or a "
            "whole number that grows. Choose another column, or none."
        )
    known = _candidate(table, column, times_as_text)
    return known or Candidate(column.column.name, kind, "unknown", column.column.nullable, "chosen by hand")


def find_column(name: str, columns: Sequence[ColumnInfo]) -> ColumnInfo:
    """The column of that name; a difference in case is forgiven when only one fits. Raises NotFoundError."""
    by_name = {column.column.name: column for column in columns}
    found = find_name(name, by_name)
    if found is None:
        raise NotFoundError("column", name, by_name)
    return by_name[found]


def propose(
    table: str,
    columns: Sequence[ColumnInfo],
    *,
    strategy: str | None = None,
    key: Sequence[str] | None = None,
    watermark: str | None = None,
    identifying: Sequence[str] | None = None,
    times_as_text: bool = False,
) -> Proposal:
    """Propose what is not given, so that it fits what is given.

    `watermark` may be `none`. `key` is the one that a person chose; else `identifying` (`identifying_key`) is proposed, or
    the primary key when that is not given either. Raises NotFoundError and ConfigurationError, which name
    what does not fit together and the fix.
    """
    if key is not None:
        own_key = tuple(find_column(name, columns).column.name for name in key)
    else:
        own_key = primary_key(columns) if identifying is None else tuple(identifying)
    mark = _watermark(table, columns, strategy, own_key, watermark, times_as_text)
    if strategy is None:
        strategy, own_key, reason = _strategy(table, own_key, mark, key_given=key is not None)
        if not reason:
            reason = _why_full(table, columns, own_key or tuple(identifying or ()), times_as_text, watermark)
    else:
        reason = "as chosen"
        chosen = STRATEGIES[strategy]
        shared_key = chosen.needs_key and not chosen.unique_key
        if shared_key and not own_key and mark is not None and mark.finds == "new rows":
            own_key = (mark.column,)
        if chosen.needs_key and not own_key:
            raise ConfigurationError(
                f"Strategy {strategy} needs a key, and {table} has no key that could be proposed: name the columns that "
                "tell its rows apart with --key, or choose another strategy."
            )
    if not STRATEGIES[strategy].needs_key and key is None:
        own_key = ()
    return Proposal(strategy, own_key, mark, reason, tuple(_cautions(strategy, own_key, mark)))


def _watermark(
    table: str,
    columns: Sequence[ColumnInfo],
    strategy: str | None,
    key: tuple[str, ...],
    given: str | None,
    times_as_text: bool,
) -> Candidate | None:
    if given is not None:
        return None if given == "none" else candidate(table, columns, given, times_as_text=times_as_text)
    if strategy is not None and STRATEGIES[strategy].replaces_table:
        return None
    for found in candidates(table, columns, times_as_text=times_as_text):
        if found.finds == "changes" and (key or strategy is not None):
            return found
        if found.finds == "new rows" and (strategy is not None or only_grows(table)):
            return found
    return None


def _strategy(
    table: str, key: tuple[str, ...], mark: Candidate | None, *, key_given: bool
) -> tuple[str, tuple[str, ...], str]:
    """Strategy, key and the reason for them; no reason where the table is replaced because nothing else can be proposed."""
    if mark is None:
        if key_given and key:
            return "upsert", key, "by the given key; all rows are read each time"
        return "full", (), ""
    if key:
        what = {
            "changes": f"{mark.column} says when a row changed",
            "new rows": f"rows are only added: {mark.column} finds the new ones",
            "unknown": f"{mark.column} was chosen",
        }[mark.finds]
        return "upsert", key, f"{what}; {', '.join(key)} tells rows apart"
    if mark.finds == "new rows":
        return (
            "incremental",
            (mark.column,),
            f"rows are only added; all that share a {mark.column} are replaced together",
        )
    raise ConfigurationError(
        f"{table} has no key, so rows that are read again for {mark.column} could not be told from new ones. Name the "
        "columns that tell rows apart with --key, or replace the whole table with --strategy full --watermark none."
    )


def _why_full(
    table: str, columns: Sequence[ColumnInfo], key: Sequence[str], times_as_text: bool, watermark: str | None
) -> str:
    """Why the whole table is replaced each time, and what would be possible instead."""
    everything = "the whole table is replaced each time"
    if watermark == "none":
        return f"no watermark: {everything}"
    found = candidates(table, columns, times_as_text=times_as_text)
    change = next((item for item in found if item.finds == "changes"), None)
    if change is not None:
        return f"{change.column} says when a row changed, but no key tells the rows apart: {everything}"
    addition = next((item for item in found if item.finds == "new rows"), None)
    hint = f" ({addition.column} would find new rows only)" if addition is not None else ""
    lack = "no column says when a row changed" if key or primary_key(columns) else "no key and no time of change"
    return f"{lack}{hint}: {everything}"


def _cautions(name: str, key: tuple[str, ...], mark: Candidate | None) -> Iterable[str]:
    strategy = STRATEGIES[name]
    if strategy.needs_key:
        yield DELETED_STAY
    if mark is None:
        if not strategy.rereads:
            yield f"{name} without a watermark adds all rows of the query again in each run"
        return
    if strategy.replaces_table:
        yield f"{name} with a watermark keeps only the rows since the last {mark.column}; older ones are removed"
    if mark.finds == "new rows":
        yield f"{mark.column} finds new rows only: changes of older rows are not seen"
    if mark.nullable and (not strategy.rereads or mark.column in key):
        yield f"rows without {mark.column} are never read"
    if mark.finds == "unknown":
        yield f"make sure that {mark.column} grows with every new or changed row: others are not seen"
    if not strategy.rereads and mark.kind != "number":
        yield f"a row that comes later with the very same {mark.column} is lost; incremental with a key loses none"


def only_grows(table: str) -> bool:
    """Whether the table's name says that rows are added and never changed."""
    return any(_ONLY_GROWS.fullmatch(word) for word in _words(table))


def _candidate(table: str, info: ColumnInfo, times_as_text: bool) -> Candidate | None:
    column = info.column
    kind = _kind(column, times_as_text)
    if kind is None:
        return None
    if kind == "number":
        if not info.identity:
            return None
        return Candidate(column.name, kind, "new rows", False, "numbered by the database: finds new rows")
    name, nullable = _bare_name(table, column.name), column.nullable and info.key_position is None
    if _CHANGE_TIME.fullmatch(name):
        return Candidate(column.name, kind, "changes", nullable, "says when a row changed")
    if _CREATION_TIME.fullmatch(name):
        return Candidate(column.name, kind, "new rows", nullable, "says when a row was added")
    if kind == "text":
        return None
    return Candidate(column.name, kind, "unknown", nullable, f"a {kind}")


def _kind(column: Column, times_as_text: bool) -> WatermarkKind | None:
    if column.family in ("timestamp", "timestamptz"):
        return "timestamp"
    if column.family == "date":
        return "date"
    if column.family in _WHOLE_NUMBERS or (column.family == "decimal" and column.precision and not column.scale):
        return "number"
    return "text" if times_as_text and column.family == "text" else None


def _bare_name(table: str, column: str) -> str:
    """The column's name in small letters without separators, and without the table's own name in front of it."""
    words = _words(column)
    of_table = _words(table)
    fronts = {tuple(of_table), (*of_table[:-1], of_table[-1].removesuffix("s")) if of_table else ()}
    for front in fronts:
        if front and tuple(words[: len(front)]) == front and len(words) > len(front):
            words = words[len(front) :]
            break
    return "".join(words)


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORDS.findall(name)]
