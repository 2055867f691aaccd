"""The SQL of watermarks: a source's clock and its literals for times, a destination's greatest value with a lag.

What travels between two databases is text in one form, in UTC where the column has a time zone:
`2024-05-31 12:00:00.123456`, `2024-05-31`, or a whole number. The destination writes that form, the source reads it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pipekit_engine.databases.dialects.base.identifiers import Identifiers
from pipekit_engine.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipekit_engine.common.columns import Column

_LAG = re.compile(r"(\d+)\s*(s|m|h|d)?")
_UNITS = {"s": "second", "m": "minute", "h": "hour", "d": "day"}


@dataclass(frozen=True)
class Lag:
    """How far the lower bound is moved back: an amount of `unit`s, or a plain number when `unit` is None."""

    amount: int = 0
    unit: str | None = None

    @classmethod
    def parse(cls, text: str) -> Lag:
        """`90s`, `10m`, `2h`, `1d`; `1000` for a column of numbers; `0` for none. Raises ConfigurationError."""
        match = _LAG.fullmatch(text.strip().lower())
        if match is None:
            raise ConfigurationError(
                f"{text!r} is no lag: write 10m, 2h or 1d for a time, 1000 for a number, 0 for none."
            )
        amount = int(match[1])
        return cls(amount, _UNITS[match[2]] if match[2] and amount else None)

    def __str__(self) -> str:
        return f"{self.amount}{self.unit[0] if self.unit else ''}"

    @property
    def words(self) -> str:
        """`10 minutes`, or the plain number."""
        if self.unit is None:
            return f"{self.amount:,}"
        return f"{self.amount} {self.unit}{'s' if self.amount != 1 else ''}"

    @property
    def sql_unit(self) -> str:
        """`MINUTE`; empty for a plain number."""
        return (self.unit or "").upper()


class WatermarkStatements(Identifiers):
    """How a kind tells, reads and moves the values of a watermark."""

    #: A date, a timestamp without and with zone, written around the text of the value. None: as one without.
    date_literal: ClassVar[str] = "'{}'"
    timestamp_literal: ClassVar[str] = "'{}'"
    zoned_literal: ClassVar[str | None] = None
    #: Now, in the zone in which a column without a zone is most likely kept (the session's), and in UTC for one with a zone.
    clocks: ClassVar[tuple[str, str] | None] = None
    #: A lag can be taken from the greatest time in plain SQL.
    takes_lag: ClassVar[bool] = True
    #: Times are kept and compared as text: `12:00:00` comes before `12:00:00.000000`, and a text column may hold times.
    times_are_text: ClassVar[bool] = False

    def time_literal(self, column: Column, text: str) -> str:
        """The value as SQL that is compared with a column of dates or timestamps without a conversion of the column."""
        if column.family == "date":
            return self.date_literal.format(text)
        zoned = self.zoned_literal if column.family == "timestamptz" else None
        return (zoned or self.timestamp_literal).format(text)

    def column_watermark(self, column: Column, value: str) -> str:
        """A watermark's value as `column` of a query's source, with which it is compared, would hold it."""
        return value

    def misread_watermark(self, column: Column, name: str, query: str) -> str | None:
        """Why the query compares `{name}` with a column so that rows come twice or are missed, and what to write; else None."""
        return None

    def watermark_sql(self, greatest: str, family: str, lag: Lag, *, whole_seconds: bool = False) -> str:
        """The greatest value of a column of dates or timestamps, moved back by the lag, in the form that travels.

        `whole_seconds` leaves fractions out where the kind would write them. Raises ConfigurationError where a lag cannot be
        taken.
        """
        if lag.amount:
            raise ConfigurationError(
                "This kind of destination cannot take a lag from its greatest value in plain SQL: use --lag 0, or write the "
                "resolver by hand."
            )
        return greatest

    def signed_sql(self, greatest: str, column: Column) -> str:
        """A number from which a lag can be taken, though the result may be negative. `column` is the source's."""
        return greatest

    def clock_sql(self, *, utc: bool) -> str | None:
        """A query for the current time, in UTC or in the session's zone; None where the kind has no clock that is known."""
        if self.clocks is None:
            return None
        return f"SELECT {self.clocks[utc]}{self.capabilities.one_row_from or ''}"

    def day_sql(self, days: int, form: str) -> str | None:
        """A query for today moved by `days`, written in strftime's `form` (%Y %m %d %y %j); None where it is not known."""
        return None

    def zero_dates_sql(self, columns: Sequence[str], table: str, rows: int) -> str | None:
        """A query that gives a 1 for each of the columns (SQL names) that holds zero dates, by the first rows of a table.

        None where no column can hold one.
        """
        return None

    def numeric_times_sql(self, columns: Sequence[str], table: str, rows: int) -> str | None:
        """A query that gives a 1 for each of the columns that keeps times as numbers, though it is declared otherwise.

        None where a declared type binds the values.
        """
        return None

    def text_times_sql(self, columns: Sequence[str], table: str, rows: int) -> str | None:
        """A query that tells of each column (SQL names) how the texts in it compare as times, by the first rows of a table.

        0: as texts; 1: only by `instant_sql` (offsets from UTC, two forms); 2: not at all. None where times are no texts.
        """
        return None

    def instant_sql(self, text: str, *, exact: bool = False) -> str:
        """A time that is kept as text, or a literal, in UTC and in one form, that compares by the instant; NULL for no time.

        `exact` keeps fractions of a second. As it is where times are no texts.
        """
        return text

    def analyze_sql(self, table: str) -> str:
        """The statement that brings a table's statistics up to date, as a proposal for a hook; empty where there is none."""
        return ""
