"""Partitions of a module: stretches of time or ranges of numbers, half-open, one after another without gaps.

A partition's key is the text of its start, as Dagster writes it: `2024-05-31`, `2024-05-31-05:00` for an hour, a number. Days,
weeks and months begin at midnight of the clock in `timezone`, whatever that clock does (`instant` says when that is); hours are
those of UTC, for a clock that is set back has one hour twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import takewhile
from typing import Any, Final, Literal, TypeAlias

from pydantic import Field, field_validator, model_validator

from pipekit_engine.errors import ConfigurationError
from pipekit_engine.records.runs import Record
from pipekit_engine.records.timezones import check_timezone

#: What a source query has in place of the bounds of its partition.
PARTITION_START: Final = "partition_start"
PARTITION_END: Final = "partition_end"
BOUNDS: Final = (PARTITION_START, PARTITION_END)
#: What to say of a query that has none of them.
UNBOUNDED: Final = (
    f"the query never uses {{{PARTITION_START}}}: it has to give the rows of one partition, such as "
    f"WHERE at >= '{{{PARTITION_START}}}' AND at < '{{{PARTITION_END}}}'"
)

#: A time of the clock in the partition's zone, or a number.
Point: TypeAlias = "datetime | int"

_TIME = re.compile(r"(\d{4})-(\d\d)(?:-(\d\d)(?:[ T-](\d\d)(?::(\d\d)(?::00)?)?)?)?")
_NUMBER = re.compile(r"[+-]?\d+")
#: Beyond these the arithmetic of times has an end.
_FIRST_YEAR, _LAST_YEAR = 1000, 9998
#: Dagster keeps each range of numbers as a name of its own.
MAX_RANGES = 20_000


@dataclass(frozen=True)
class PartitionRange:
    """One partition: what is at or after `start` and before `end`."""

    key: str
    start: Point
    end: Point


class Partition(Record):
    """How a module's rows are divided: a run reads one partition, and replaces it in the destination as a whole."""

    by: Literal["hour", "day", "week", "month", "number"] = Field(
        description="how long a partition is; `number`: `step` of the column's numbers"
    )
    column: str = Field(
        min_length=1, description="column of the query whose value says to which partition a row belongs"
    )
    start: str = Field(description="where the first partition begins: 2024-01-01, 2024-01-01 05:00, a number")
    end: str | None = Field(
        default=None, description="where the last partition ends; partitions by time go on for ever when empty"
    )
    step: int | None = Field(default=None, ge=1, description="how many numbers a partition by number has")
    timezone: str = Field(
        default="UTC",
        description="IANA name of the zone at whose midnight days, weeks and months begin",
    )

    @field_validator("start", "end", mode="before")
    @classmethod
    def _bound_is_text(cls, value: Any) -> Any:
        # YAML makes a date of 2024-01-01, and a number of 1000.
        if hasattr(value, "isoformat"):
            return value.isoformat()
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("timezone")
    @classmethod
    def _timezone_is_known(cls, value: str) -> str:
        return check_timezone(value)

    @model_validator(mode="after")
    def _fields_fit_together(self) -> Partition:
        if self.by == "number":
            if self.step is None or self.end is None:
                raise ValueError("partitions by number need `step`, and `end`: where the last one ends")
            if self.timezone != "UTC":
                raise ValueError("numbers have no timezone")
        elif self.step is not None:
            raise ValueError(f"`step` is for partitions by number; one by {self.by} has one {self.by}")
        if self.by == "hour" and self.timezone != "UTC":
            raise ValueError("hours are those of UTC: a clock that is set back has one hour twice")
        for name, text in (("start", self.start), ("end", self.end)):
            if text is None:
                continue
            point = self._point(text)
            if point is None:
                raise ValueError(f"`{name}` must be {self._form}, not {text!r}")
            if self._floor(point) != point and not (name == "end" and self.by == "number"):
                raise ValueError(f"`{name}` must be where a {self.by} begins, not {text!r}")
        if self.end is not None and self._before(self._last, self._first):
            raise ValueError("`end` comes before `start`")
        if self.by == "number" and sum(1 for _ in self._from(self._first)) > MAX_RANGES:
            raise ValueError(f"makes more than {MAX_RANGES:,} partitions: choose a greater `step`")
        return self

    # What there is

    @property
    def unit(self) -> str:
        """What one partition is, for a person: `day`, or `range` of numbers."""
        return "range" if self.by == "number" else self.by

    def find(self, text: str) -> PartitionRange:
        """The partition in which a time or number lies; its key is one. Raises ConfigurationError."""
        point = self._point(text)
        if point is None:
            raise ConfigurationError(f"{text!r} is no partition: write {self._form}.")
        if self._before(point, self._first) or (self.end is not None and not self._before(point, self._last)):
            until = f" and before {self.end}" if self.end else ""
            raise ConfigurationError(f"There is no partition {text}: they are from {self.start} on{until}.")
        return self._range(self._floor(point))

    def complete(self, now: datetime, first: Point | None = None) -> Iterator[PartitionRange]:
        """The partitions that have ended at an instant, the oldest first; all ranges of numbers. From `first` on, if given."""
        ranges = self._from(self._first if first is None else first)
        if self.by == "number":
            return ranges
        newest = self.newest(now)
        return (
            iter(()) if newest is None else takewhile(lambda item: not self._before(newest.start, item.start), ranges)
        )

    def count_complete(self, now: datetime) -> int:
        """How many `complete` gives, without making them."""
        first, newest = self._first, self.newest(now)
        if isinstance(first, int):
            last, step = self._last, self.step
            assert isinstance(last, int)
            assert step is not None
            return -((first - last) // step)
        if newest is None:
            return 0
        start = newest.start
        assert isinstance(start, datetime)
        if self.by == "month":
            return (start.year - first.year) * 12 + start.month - first.month + 1
        length = timedelta(hours=1 if self.by == "hour" else 7 * 24 if self.by == "week" else 24)
        return (start - first) // length + 1

    def ranges(self) -> Iterator[PartitionRange]:
        """All partitions, without an end where the module's have none."""
        return self._from(self._first)

    @property
    def last_end(self) -> Point | None:
        """Where the last partition ends; None where they go on for ever."""
        return None if self.end is None else self._last

    def until(self, first: PartitionRange, last: PartitionRange) -> list[PartitionRange]:
        """The partitions from one to another, both included."""
        return list(takewhile(lambda item: not self._before(last.start, item.start), self._from(first.start)))

    def newest(self, now: datetime) -> PartitionRange | None:
        """The last partition by time that has ended at an instant; None where none has, and of numbers."""
        if self.by == "number":
            return None
        end = self._floor(now.astimezone(self._zone).replace(tzinfo=None))
        if self.end is not None:
            end = min(end, self._last)
        assert isinstance(end, datetime)
        return self._range(self._floor(end - timedelta(minutes=1))) if self._before(self._first, end) else None

    def has_ended(self, item: PartitionRange, at: datetime) -> bool:
        """Whether no row is to come into the partition after an instant."""
        return self.by == "number" or self.instant(item.end) <= at

    def instant(self, point: Point) -> datetime:
        """When the clock shows that: the first time of two, and the moment of the jump for what it never shows."""
        assert isinstance(point, datetime), "numbers are no times"
        return point.replace(tzinfo=self._zone).astimezone(timezone.utc)

    # Arithmetic

    @property
    def _zone(self) -> Any:
        from zoneinfo import ZoneInfo

        return ZoneInfo(self.timezone)

    @property
    def _form(self) -> str:
        forms = {"hour": "an hour such as 2024-05-31 05:00", "month": "a month such as 2024-05-01"}
        return "a whole number" if self.by == "number" else forms.get(self.by, "a day such as 2024-05-31")

    @property
    def _first(self) -> Point:
        found = self._point(self.start)
        assert found is not None, "start was checked"
        return found

    @property
    def _last(self) -> Point:
        found = self._point(self.end or "")
        assert found is not None, "end was checked"
        return found

    @staticmethod
    def _before(one: Point, other: Point) -> bool:
        return one < other  # type: ignore[operator]

    def _point(self, text: str) -> Point | None:
        if self.by == "number":
            return int(text) if _NUMBER.fullmatch(text.strip()) else None
        match = _TIME.fullmatch(text.strip().removesuffix("Z"))
        if match is None:
            return None
        year, month, day, hour, minute = match.groups()
        if not _FIRST_YEAR <= int(year) <= _LAST_YEAR:
            return None
        try:
            return datetime(int(year), int(month), int(day or 1), int(hour or 0), int(minute or 0))
        except ValueError:
            return None

    def _floor(self, point: Point) -> Point:
        """Where the partition begins in which a point lies."""
        if isinstance(point, int):
            first, step = self._first, self.step
            assert isinstance(first, int)
            assert step is not None
            return point - (point - first) % step
        if self.by == "hour":
            return point.replace(minute=0, second=0, microsecond=0)
        day = point.replace(hour=0, minute=0, second=0, microsecond=0)
        if self.by == "month":
            return day.replace(day=1)
        if self.by == "week":
            first = self._first
            assert isinstance(first, datetime)
            # A week begins on the weekday of `start`.
            return day - timedelta(days=(day - first.replace(hour=0, minute=0)).days % 7)
        return day

    def _range(self, start: Point) -> PartitionRange:
        if isinstance(start, int):
            last, step = self._last, self.step
            assert isinstance(last, int)
            assert step is not None
            return PartitionRange(str(start), start, min(start + step, last))
        if self.by == "month":
            end = (start + timedelta(days=31)).replace(day=1)
        else:
            end = start + timedelta(hours=1 if self.by == "hour" else 7 * 24 if self.by == "week" else 24)
        key = f"{start:%Y-%m-%d}" if self.by != "hour" else f"{start:%Y-%m-%d-%H:%M}"
        return PartitionRange(key, start, end)

    def _from(self, start: Point) -> Iterator[PartitionRange]:
        last = None if self.end is None else self._last
        while last is None or self._before(start, last):
            found = self._range(start)
            yield found
            start = found.end
