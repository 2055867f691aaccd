"""Schedule rows as Dagster schedules that never fire a tick twice.

A tick is claimed in the state store (`last_fired_at`, compare and set) before its run is requested. When the daemon dies in
between, it evaluates the same tick again after its restart and gets the same request with the same run key, which Dagster
launches only once. Of several ticks that were missed Dagster evaluates the newest only, so a missed night fires once.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import dagster as dg

from pipekit_dagster.dagster_internals.instigation import is_test_evaluation
from pipekit_dagster.progress import group_in_progress
from pipekit_dagster.tags import ORIGIN_TAG, TRIGGERED_BY_TAG
from pipekit_engine.errors import NotFoundError
from pipekit_engine.store import Store

if TYPE_CHECKING:
    from pipekit_engine.config import Config
    from pipekit_engine.models import Schedule


def build_schedule(
    config: Config, schedule: Schedule, *, name: str, job: dg.JobDefinition, description: str
) -> dg.ScheduleDefinition:
    """The Dagster schedule of a schedule row."""

    def evaluate(context: Any) -> dg.RunRequest | dg.SkipReason:
        with Store.open(config.database_url) as store:
            return evaluate_tick(
                store,
                schedule.name,
                context.scheduled_execution_time,
                instance=context.instance,
                job_name=job.name,
                is_test=is_test_evaluation(context),
            )

    return dg.ScheduleDefinition(
        name=name,
        job=job,
        cron_schedule=schedule.cron,
        execution_timezone=schedule.timezone,
        execution_fn=evaluate,
        description=description,
        default_status=dg.DefaultScheduleStatus.RUNNING if schedule.enabled else dg.DefaultScheduleStatus.STOPPED,
    )


def evaluate_tick(
    store: Store,
    name: str,
    tick: datetime,
    *,
    instance: dg.DagsterInstance,
    job_name: str,
    is_test: bool = False,
    now: datetime | None = None,
) -> dg.RunRequest | dg.SkipReason:
    """What to do at a tick: request the group's run, or say why not.

    The row is read again, since it may have changed after the code location was loaded. With `is_test` nothing is written.
    """
    try:
        schedule = store.definitions.schedule(name)
    except NotFoundError:
        return dg.SkipReason(f"Schedule {name} is gone from the definitions.")
    if not schedule.enabled:
        return dg.SkipReason(f"Schedule {name} is disabled in the definitions; set `enabled: true` there and apply.")
    tick = tick.astimezone(timezone.utc)
    request = dg.RunRequest(
        run_key=f"{name}:{tick.isoformat()}",
        tags={TRIGGERED_BY_TAG: f"schedule:{name}", ORIGIN_TAG: name},
    )
    if store.ticks.last_fired_at(name) == tick:
        return request  # claimed before, perhaps by a daemon that died before it launched the run
    late = ((now or datetime.now(timezone.utc)) - tick).total_seconds()
    if schedule.misfire_grace is not None and late > schedule.misfire_grace:
        return dg.SkipReason(f"{late:.0f} s late; misfire_grace of {name} is {schedule.misfire_grace} s.")
    busy = group_in_progress(instance, store, schedule.group, job_name, now)
    if busy:
        return dg.SkipReason(f"Skipped: {busy}.")
    if is_test:
        return request
    if store.ticks.claim(name, tick) == "past":
        return dg.SkipReason(
            f"The tick of {tick:%Y-%m-%d %H:%M} UTC lies before the last edit or a later tick of {name}."
        )
    return request
