"""The SQL of a watermark: the condition in the source query, and the resolver that asks the destination how far it has come.

The two databases need not understand each other's times. What travels between them is text in one form, in UTC where the
column has a time zone: `2024-05-31 12:00:00.123456`, `2024-05-31`, or a whole number. The resolver writes that form in the
destination's own SQL, the condition reads it in the source's.

The condition is `>=`, never `>`: rows that share the newest value are read again, and replaced by their key. Only `append`,
which has no key, takes `>`. A lag moves the lower bound back, for rows that were committed late with an older value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipekit_engine.databases.dialects.base.watermarks import Lag
from pipekit_engine.errors import ConfigurationError
from pipekit_engine.sql.text import FIRST_TIMESTAMP
from pipekit_engine.strategies import STRATEGIES

if TYPE_CHECKING:
    from pipekit_engine.common.columns import Column
    from pipekit_engine.databases.dialects import Dialect
    from pipekit_engine.wizard.proposals import Candidate

FIRST_DATE = "0001-01-01"


def check_lag(lag: Lag, mark: Candidate) -> None:
    """Raise ConfigurationError when the lag cannot be taken from such a watermark."""
    if not lag.amount:
        return
    if mark.kind == "number" and lag.unit is not None:
        raise ConfigurationError(f"{mark.column} is a number: give the lag as a number, such as 1000, not {lag}.")
    if mark.kind != "number" and lag.unit is None:
        raise ConfigurationError(
            f"{mark.column} is a {mark.kind}: give the lag as a time, such as 10m or 1d, not {lag}."
        )
    if mark.kind == "text":
        raise ConfigurationError(
            f"{mark.column} keeps times as text, from which no lag can be taken: give --lag 0, or a query that converts it."
        )
    if mark.kind == "date" and lag.unit != "day":
        raise ConfigurationError(f"{mark.column} is a date: give the lag in days, such as 1d, not {lag}.")


def default_lag(mark: Candidate, strategy: str) -> Lag:
    """Ten minutes: longer than most transactions last. A date's newest day is read again anyway.

    Numbers are handed out before they are committed, so the last thousand are read again. `append` cannot read twice.
    """
    if not STRATEGIES[strategy].rereads or mark.kind in ("date", "text"):
        return Lag()
    return Lag(1000) if mark.kind == "number" else Lag(10, "minute")


def default_value(mark: Candidate, smallest: str | None = None) -> str:
    """Value for the first run, at or below everything that is there; `smallest` is the least number in the table now."""
    if mark.kind == "number":
        return smallest if smallest is not None and smallest.lstrip().startswith("-") else "0"
    return FIRST_DATE if mark.kind == "date" else FIRST_TIMESTAMP


@dataclass(frozen=True)
class Window:
    """The condition for the source query, with `{since}` in it (and `{until}`), and what resolves these."""

    condition: str
    since: str
    until: str | None = None


def window(
    mark: Candidate,
    *,
    strategy: str,
    source: Dialect,
    source_column: str,
    described: Column,
    dest: Dialect,
    dest_table: str,
    dest_column: str,
    dest_family: str,
    lag: Lag,
    source_table: str | None = None,
    bounded: bool = False,
    zeros: bool = False,
    instants: bool = False,
) -> Window:
    """The watermark's SQL. `*_column` and `*_table` are SQL texts in their own database.

    `dest_family` is the family of the destination's column. With `bounded` the window is half-open: it ends at the source's
    clock (or beyond its greatest number), so that a run reads the same rows however long it takes. `zeros`: the column
    holds zero dates, which stand for no time and come before all others. `instants`: the column keeps times as
    texts that compare by `Dialect.instant_sql` alone. Raises ConfigurationError when the destination cannot take the lag, or
    the bound cannot be had.
    """
    check_lag(lag, mark)
    rules = STRATEGIES[strategy]
    # Two rows within one second must stay two where a row is never read again.
    exact = not rules.rereads
    # A text goes back to the source as it is; a time is one for the destination, which compares it by the instant already
    # unless it keeps texts, too.
    in_utc = instants and mark.kind == "timestamp" and dest.times_are_text
    greatest = f"max({dest.instant_sql(dest_column, exact=exact) if in_utc else dest_column})"
    if mark.kind == "number":
        value = greatest if not lag.amount else f"{dest.signed_sql(greatest, described)} - {lag.amount}"
    elif mark.kind == "text" or (in_utc and exact and not lag.amount):
        value = greatest
    else:
        value = dest.watermark_sql(greatest, dest_family, lag, whole_seconds=source.times_are_text)

    def compared(text: str) -> str:
        return source.instant_sql(text, exact=exact) if instants else text

    since = compared(_literal(source, described, mark, "since"))
    condition = f"{compared(source_column)} {rules.watermark_operator} {since}"
    until = None
    if bounded:
        until = _until(mark, source, described, source_column, source_table)
        condition += f" AND {compared(source_column)} < {compared(_literal(source, described, mark, 'until'))}"
    if (mark.nullable or instants) and rules.rereads:
        # A row without a time would never be found.
        condition = f"({condition})" if bounded else condition
        condition += f" OR {compared(source_column)} IS NULL"
    if zeros and rules.rereads:
        condition = f"({condition})" if bounded and not mark.nullable else condition
        condition += f" OR {source_column} < '{FIRST_DATE}'"
    return Window(condition, f"SELECT {value} FROM {dest_table}", until)


def _literal(source: Dialect, column: Column, mark: Candidate, name: str) -> str:
    """SQL of the source for the value of `{name}`, comparable with the column and without a conversion of the column."""
    slot = f"{{{name}}}"
    if mark.kind == "number":
        return slot
    return f"'{slot}'" if mark.kind == "text" else source.time_literal(column, slot)


def _until(mark: Candidate, source: Dialect, column: Column, source_column: str, source_table: str | None) -> str:
    """The end of a half-open window, asked of the source."""
    if mark.kind == "number":
        if source_table is None:
            raise ConfigurationError("A half-open window on a number needs a table to ask, not a query.")
        return f"SELECT max({source_column}) + 1 FROM {source_table}"
    clock = source.clock_sql(utc=column.family == "timestamptz")
    if clock is None or mark.kind == "date":
        raise ConfigurationError(
            f"A half-open window on {mark.column} cannot be proposed: {source.label} has no clock for a {mark.kind}."
        )
    return clock
