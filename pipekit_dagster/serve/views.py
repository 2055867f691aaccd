"""Records as the REST interface shows them: plain JSON, times in ISO 8601 with their zone."""

from __future__ import annotations

from datetime import datetime, timezone
from itertools import islice
from typing import TYPE_CHECKING, Any

from dagster._utils.schedules import schedule_execution_time_iterator

if TYPE_CHECKING:
    from pipekit_engine.models import Group, GroupRunRecord, Module, RunRecord, Schedule

_NEXT_TICKS = 5


def module_view(module: Module) -> dict[str, Any]:
    """A module's definition."""
    return module.model_dump(mode="json")


def group_view(group: Group, runs: list[GroupRunRecord]) -> dict[str, Any]:
    """A group's definition and its newest runs."""
    return {**group.model_dump(mode="json"), "runs": [run.model_dump(mode="json") for run in runs]}


def run_view(run: RunRecord, *, full: bool = False) -> dict[str, Any]:
    """A row of run_log; with `full` its log texts, too."""
    return run.as_json(logs=full)


def schedule_view(schedule: Schedule, last_fired_at: datetime | None) -> dict[str, Any]:
    """A schedule with its next fire times, as Dagster reckons them; none while it is disabled."""
    ticks = schedule_execution_time_iterator(
        datetime.now(timezone.utc).timestamp(), schedule.cron, schedule.timezone, ascending=True
    )
    return {
        **schedule.model_dump(mode="json"),
        "last_fired_at": last_fired_at.isoformat() if last_fired_at else None,
        "next": [tick.isoformat() for tick in islice(ticks, _NEXT_TICKS)] if schedule.enabled else [],
    }
