"""Schedules and sensors: the state of their ticks, and the times at which they fire."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dagster import DagsterInstance, DefaultScheduleStatus

if TYPE_CHECKING:
    from dagster._core.remote_representation.code_location import CodeLocation

    from pipekit_engine.store.ticks import SwitchKind


def start_new_schedules(instance: DagsterInstance, location: CodeLocation) -> list[str]:
    """Write down, for each schedule that is on and not known yet, that its ticks count from now; the names of these.

    Dagster's daemon counts a schedule's ticks from when it first comes across it, and it looks once a minute, on the minute. So
    the first tick after a schedule was added would always be missed: the very minute at which the daemon first sees it. What is
    written is what the daemon would write at its next look, and what it takes as its own when it finds it. Check:
    `launch_scheduled_runs` in `dagster/_scheduler/scheduler.py`; tests/dagster/test_scheduler.py and test_watching.py.
    """
    from dagster._core.errors import DagsterInvariantViolationError
    from dagster._core.scheduler.instigation import (
        InstigatorState,
        InstigatorStatus,
        InstigatorType,
        ScheduleInstigatorData,
    )

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


def switches(instance: DagsterInstance, location: str) -> dict[tuple[str, str], Any]:
    """The states that Dagster keeps of a location's schedules and sensors, by `schedules` or `triggers` and Dagster's name.

    Check: the names of InstigatorType and InstigatorStatus.
    """
    from dagster._core.scheduler.instigation import InstigatorType

    kinds = {InstigatorType.SCHEDULE: "schedules", InstigatorType.SENSOR: "triggers"}
    return {
        (kinds[state.instigator_type], state.instigator_name): state
        for state in instance.all_instigator_state()
        if state.instigator_type in kinds and state.repository_selector.location_name == location
    }


def said(state: Any) -> str:
    """What a switch says: RUNNING or STOPPED; `declared` where nobody has touched it, and the definitions count."""
    return "declared" if state is None or state.status.value == "DECLARED_IN_CODE" else str(state.status.value)


def turn(instance: DagsterInstance, state: Any, on: bool) -> None:
    """Turn a switch that somebody has touched. A schedule's ticks count from now.

    Check: `start_schedule` and `stop_schedule` of `dagster/_core/scheduler/scheduler.py`.
    """
    from dagster._core.scheduler.instigation import InstigatorStatus, ScheduleInstigatorData

    state = state.with_status(InstigatorStatus.RUNNING if on else InstigatorStatus.STOPPED)
    if isinstance(state.instigator_data, ScheduleInstigatorData):
        state = state.with_data(
            ScheduleInstigatorData(state.instigator_data.cron_schedule, time.time() if on else None)
        )
    instance.update_instigator_state(state)


def purge_ticks(instance: DagsterInstance, location: str, before: float) -> None:
    """Delete the ended ticks of a location's schedules and sensors from before a time, in seconds since the epoch.

    The newest one stays: from it the daemon counts the next. Check: `purge_ticks` and `get_ticks` of `dagster/_core/instance`,
    the names of TickStatus; that `dagster/_scheduler/scheduler.py` goes on from the newest tick.
    """
    from dagster._core.scheduler.instigation import TickStatus

    ended = [TickStatus.SUCCESS, TickStatus.SKIPPED, TickStatus.FAILURE]
    for state in instance.all_instigator_state():
        if state.repository_selector.location_name == location:
            origin, selector = state.instigator_origin_id, state.selector_id
            newest = instance.get_ticks(origin, selector, limit=1)
            if newest:
                instance.purge_ticks(origin, selector, min(before, newest[0].timestamp), ended)


#: Mutations by which a person turns a switch, and what they say.
_SWITCHED = {"startSchedule": True, "stopRunningSchedule": False, "startSensor": True, "stopSensor": False}


def switched(info: Any, result: Any, arguments: Mapping[str, Any]) -> tuple[SwitchKind, str, bool] | None:
    """What a resolved GraphQL field has switched: `schedules` or `triggers`, Dagster's name, and whether on; None for all else.

    Check: arguments and results of these mutations in `dagster_graphql/schema/schedules` and `schema/sensors.py`.
    """
    if info.parent_type.name != "Mutation" or info.field_name not in _SWITCHED:
        return None
    on = _SWITCHED[info.field_name]
    kind: SwitchKind = "schedules" if "Schedule" in info.field_name else "triggers"
    if type(result).__name__ not in (
        "GrapheneScheduleStateResult",
        "GrapheneSensor",
        "GrapheneStopSensorMutationResult",
    ):
        return None  # an error, which has its own type
    selector = next((value for key, value in arguments.items() if key.endswith("selector")), None)
    if selector is not None:
        return kind, str(selector["scheduleName" if kind == "schedules" else "sensorName"]), on
    state = getattr(getattr(result, "scheduleState", result), "_instigator_state", None)
    return None if state is None else (kind, str(state.instigator_name), on)


def fire_times(cron: str, timezone: str, after: datetime) -> Iterator[datetime]:
    """The times at which Dagster fires a schedule from `after` on, without an end. Check: what the daemon itself uses."""
    from dagster._utils.schedules import schedule_execution_time_iterator

    return schedule_execution_time_iterator(after.timestamp(), cron, timezone, ascending=True)


def is_test_evaluation(context: Any) -> bool:
    """Whether a person evaluates a schedule or sensor with the UI's Test button, which must leave no trace.

    The daemon gives an evaluation a log named after its tick's number; for a test Dagster makes one up from the time. Check:
    how `log_key` is made in `dagster/_core/definitions/schedule_definition.py` and sensor_definition.py; the test of the Test
    buttons in tests/dagster/test_serve.py.
    """
    key = context.log_key
    return bool(key) and re.fullmatch(r"\d{8}_\d{6}", key[-1]) is not None
