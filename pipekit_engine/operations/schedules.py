"""When schedules fire: their next times, whether one is late, and cron expressions in words."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipekit_engine.models import Schedule

_DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = ("", "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December")  # fmt: skip
_ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
#: How long a tick may be overdue before it is called late. The daemon looks every few seconds.
LATE_AFTER = timedelta(minutes=5)


def next_times(schedule: Schedule, count: int, now: datetime | None = None) -> list[datetime]:
    """The next `count` times of a schedule in its own time zone; none while it is disabled."""
    return list(islice(_fire_times(schedule, now), count)) if schedule.enabled else []


def next_time(schedule: Schedule, now: datetime | None = None) -> datetime | None:
    """When the schedule fires next; None when it is disabled."""
    return next(iter(next_times(schedule, 1, now)), None)


def late_since(schedule: Schedule, last_fired_at: datetime | None, now: datetime | None = None) -> datetime | None:
    """The tick that should have fired and has not; None when all is well. A schedule that never fired is not called late."""
    if not schedule.enabled or last_fired_at is None:
        return None
    now = now or datetime.now(timezone.utc)
    missed = next(_fire_times(schedule, last_fired_at))
    return missed if now - missed > LATE_AFTER else None


def _fire_times(schedule: Schedule, now: datetime | None) -> Iterator[datetime]:
    from zoneinfo import ZoneInfo

    from croniter import croniter

    start = (now or datetime.now(timezone.utc)).astimezone(ZoneInfo(schedule.timezone))
    times = croniter(schedule.cron, start)
    while True:
        yield times.get_next(datetime)


def cron_in_words(cron: str) -> str:
    """A cron expression in plain words, such as `at 02:00 on Monday to Friday`; the expression where words would not do."""
    fields = _ALIASES.get(cron, cron).split()
    if len(fields) != 5:
        return cron
    minute, hour, day, month, weekday = fields
    clock, days = _clock(minute, hour), _named(weekday, _DAYS, _weekday)
    months = _named(month, _MONTHS, _month)
    of_month = "" if day in ("*", "?") else "the last day" if day == "L" else f"day {day}" if day.isdigit() else None
    if clock is None or days is None or months is None or of_month is None:
        return cron
    # Where both are given, cron fires on either.
    on = " or ".join(part for part in (f"{of_month} of the month" if of_month else "", days) if part)
    if not on and clock.startswith("at "):
        on = "every day" if not months else ""
        return " ".join(part for part in (clock, on, f"in {months}" if months else "") if part)
    return " ".join(part for part in (clock, f"on {on}" if on else "", f"in {months}" if months else "") if part)


def _clock(minute: str, hour: str) -> str | None:
    if minute.isdigit() and re.fullmatch(r"\d+(,\d+)*", hour):
        times = [f"{int(item):02d}:{int(minute):02d}" for item in hour.split(",")]
        return "at " + (f"{', '.join(times[:-1])} and {times[-1]}" if len(times) > 1 else times[0])
    between = re.fullmatch(r"(\d+)-(\d+)", hour)
    if hour != "*" and between is None:
        return None
    within = f" from {int(between[1]):02d}:00 to {int(between[2]):02d}:59" if between else ""
    if minute.isdigit():
        return ("every hour" if minute == "0" else f"every hour at minute {int(minute)}") + within
    if minute == "*":
        return "every minute" + within
    step = re.fullmatch(r"(?:\*|0)/(\d+)", minute)
    # A step that does not divide the hour gives an uneven gap at its end: that is no `every`.
    return f"every {step[1]} minutes{within}" if step and int(step[1]) > 1 and 60 % int(step[1]) == 0 else None


def _weekday(text: str) -> int | None:
    names = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
    return int(text) if text.isdigit() else names.index(text.upper()) if text.upper() in names else None


def _month(text: str) -> int | None:
    names = [name[:3].upper() for name in _MONTHS]
    return int(text) if text.isdigit() else names.index(text.upper()) if text.upper() in names[1:] else None


def _named(field: str, names: tuple[str, ...], number: object) -> str | None:
    """`1-5,7` as names; empty for all of them, None for what this does not read."""
    assert callable(number)
    if field in ("*", "?"):
        return ""
    parts = []
    for part in field.split(","):
        ends = [number(end) for end in part.split("-")]
        if len(ends) > 2 or any(end is None or end >= len(names) for end in ends):
            return None
        parts.append(" to ".join(names[end] for end in ends))
    return ", ".join(parts)
