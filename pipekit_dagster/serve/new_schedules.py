"""A new schedule counts from the moment at which it is shown.

Dagster's daemon counts a schedule's ticks from when it first comes across it, and it looks once a minute, on the minute. So the
first tick after a schedule was added would always be missed: the very minute at which the daemon first sees it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from dagster import DagsterInstance, DefaultScheduleStatus
from dagster._core.errors import DagsterInvariantViolationError
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
)

if TYPE_CHECKING:
    from dagster._core.remote_representation.code_location import CodeLocation


def start_new_schedules(instance: DagsterInstance, location: CodeLocation) -> list[str]:
    """Write down, for each schedule that is on and not known yet, that its ticks count from now; the names of these.

    What the daemon would write at its next look, and what it takes as its own when it finds it.
    """
    known = {state.selector_id for state in instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE)}
    started = []
    for repository in location.get_repositories().values():
        for schedule in repository.get_schedules():
            if schedule.default_status != DefaultScheduleStatus.RUNNING or schedule.selector_id in known:
                continue
            data = ScheduleInstigatorData(schedule.cron_schedule, time.time())
            state = InstigatorState(
                schedule.get_remote_origin(), InstigatorType.SCHEDULE, InstigatorStatus.DECLARED_IN_CODE, data
            )
            try:
                instance.add_instigator_state(state)
            except DagsterInvariantViolationError:
                continue  # the daemon, or another server, was faster
            started.append(schedule.name)
    return started
