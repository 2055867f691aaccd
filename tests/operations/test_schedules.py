"""Cron expressions in words, next times, and what is late."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from pipekit_engine.models import Schedule
from pipekit_engine.operations.schedules import LATE_AFTER, cron_in_words, late_since, next_times

NOON = datetime(2026, 3, 4, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("0 2 * * *", "at 02:00 every day"),
        ("@daily", "at 00:00 every day"),
        ("30 6,18 * * 1-5", "at 06:30 and 18:30 on Monday to Friday"),
        ("*/15 6-20 * * MON-FRI", "every 15 minutes from 06:00 to 20:59 on Monday to Friday"),
        ("0 * * * *", "every hour"),
        ("7 * * * *", "every hour at minute 7"),
        ("* * * * *", "every minute"),
        ("0 3 * * SUN", "at 03:00 on Sunday"),
        ("0 0 1 * *", "at 00:00 on day 1 of the month"),
        ("0 0 L 3 *", "at 00:00 on the last day of the month in March"),
        ("0 2 1 * 1", "at 02:00 on day 1 of the month or Monday"),
        ("*/7 * * * *", "*/7 * * * *"),
        ("0 1-5/2 * * *", "0 1-5/2 * * *"),
        ("0 0 * * 5#2", "0 0 * * 5#2"),
    ],
)
def test_cron_in_words(cron: str, words: str) -> None:
    """What words would tell wrongly stays as it is: an uneven step, a step within a range, the second Friday."""
    assert cron_in_words(Schedule(name="s", group="g", cron=cron).cron) == words


def test_next_times_are_in_the_schedules_zone() -> None:
    schedule = Schedule(name="s", group="g", cron="0 2 * * *", timezone="Europe/Paris")
    times = next_times(schedule, 2, NOON)
    assert [str(moment) for moment in times] == ["2026-03-05 02:00:00+01:00", "2026-03-06 02:00:00+01:00"]
    assert next_times(schedule.model_copy(update={"enabled": False}), 2, NOON) == []


def test_late_is_what_should_have_fired_for_some_minutes() -> None:
    schedule = Schedule(name="s", group="g", cron="0 * * * *")
    assert late_since(schedule, NOON, NOON + timedelta(hours=1) + LATE_AFTER) is None
    late = NOON + timedelta(hours=1, seconds=1) + LATE_AFTER
    assert late_since(schedule, NOON, late) == NOON + timedelta(hours=1)
    assert late_since(schedule, None, late) is None
    assert late_since(schedule.model_copy(update={"enabled": False}), NOON, late) is None
