"""Trigger rows as Dagster sensors, and the sensor that reconciles what died.

A trigger looks at something (the answer to a query, the newest success of a group) and requests its group's run when that has
changed since the last look. What it saw, and the run key that it asked for, are written to the trigger's cursor in the state
store before the request. Until Dagster has a run with that key the same request is made again, so a crash in between
neither loses nor doubles a change. While the group is at work a trigger does not look: a change keeps until the next look.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg

from pipekit_dagster.dagster_internals.instigation import is_test_evaluation
from pipekit_dagster.pools import sync_pools
from pipekit_dagster.progress import group_in_progress
from pipekit_dagster.tags import ORIGIN_TAG, TRIGGERED_BY_TAG
from pipekit_dagster.workers.dispatcher import dispatcher
from pipekit_engine.errors import NotFoundError, RunCancelled, SourceError
from pipekit_engine.store import Store

if TYPE_CHECKING:
    from pipekit_dagster.translator import DagsterPipekitTranslator
    from pipekit_engine.config import Config
    from pipekit_engine.models import Trigger

#: Seconds between two looks for runs whose process is dead.
RECONCILE_EVERY_S = 10


@dataclass(frozen=True)
class Cursor:
    """What a trigger saw last. `number` grows with each request, so that a value that returns gets a run key of its own."""

    seen: str | None = None
    number: int = 0
    #: Run key that was asked for and is not known to have a run yet.
    pending: str | None = None

    @classmethod
    def parse(cls, text: str | None) -> Cursor | None:
        """Back from `dump`; None before the first look."""
        return cls(**json.loads(text)) if text else None

    def dump(self) -> str:
        """As text for the store."""
        return json.dumps(asdict(self))


def build_trigger_sensor(
    config: Config, trigger: Trigger, *, name: str, job: dg.JobDefinition, description: str
) -> dg.SensorDefinition:
    """The Dagster sensor of a trigger row."""

    def evaluate(context: Any) -> dg.RunRequest | dg.SkipReason:
        with Store.open(config.database_url) as store:
            return evaluate_trigger(
                store,
                trigger.name,
                look=lambda current: _look(config, store, current),
                instance=context.instance,
                job_name=job.name,
                is_test=is_test_evaluation(context),
            )

    return dg.SensorDefinition(
        name=name,
        job=job,
        evaluation_fn=evaluate,
        minimum_interval_seconds=trigger.every,
        description=description,
        default_status=dg.DefaultSensorStatus.RUNNING if trigger.enabled else dg.DefaultSensorStatus.STOPPED,
    )


def _look(config: Config, store: Store, trigger: Trigger) -> str | None:
    """What the trigger sees now; None when there is nothing to see yet."""
    if trigger.kind == "group":
        succeeded = [run.id for run in store.group_runs.list(group=trigger.after, limit=50) if run.status == "success"]
        return str(max(succeeded)) if succeeded else None
    from pipekit_engine.engine import Engine

    # Dagster gives a sensor up after a while, but cannot end it: with each further look one more query would run.
    limit_s = look_limit_s()
    cancel = threading.Event()
    timer = threading.Timer(limit_s, cancel.set)
    timer.start()
    try:
        with Engine(config) as engine:
            return engine.query(str(trigger.connection), str(trigger.sql), cancel=cancel)
    except RunCancelled:
        raise SourceError(
            f"The query of trigger {trigger.name} took longer than {limit_s:.0f} s and was cancelled. Make it cheaper, by an"
            " index say, or set DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS higher for `pipekit serve`."
        ) from None
    finally:
        timer.cancel()


def look_limit_s() -> float:
    """Seconds that a trigger's query may take: five sixths of what Dagster gives a sensor, which is a minute unless set."""
    return float(os.environ.get("DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS") or 60) * 5 / 6


def evaluate_trigger(
    store: Store,
    name: str,
    *,
    look: Callable[[Trigger], str | None],
    instance: dg.DagsterInstance,
    job_name: str,
    is_test: bool = False,
) -> dg.RunRequest | dg.SkipReason:
    """One look of a trigger. With `is_test` nothing is written."""
    try:
        trigger = store.definitions.trigger(name)
    except NotFoundError:
        return dg.SkipReason(f"Trigger {name} is gone from the definitions.")
    if not trigger.enabled:
        return dg.SkipReason(f"Trigger {name} is disabled in the definitions; set `enabled: true` there and apply.")
    cursor = Cursor.parse(store.ticks.trigger_cursor(name))
    tags = {TRIGGERED_BY_TAG: f"trigger:{name}", ORIGIN_TAG: name}
    if cursor is not None and cursor.pending is not None:
        if not instance.get_runs(dg.RunsFilter(tags={"dagster/run_key": cursor.pending}), limit=1):
            return dg.RunRequest(run_key=cursor.pending, tags=tags)
        cursor = Cursor(cursor.seen, cursor.number)
        if not is_test:
            store.ticks.set_trigger_cursor(name, cursor.dump())
    busy = group_in_progress(instance, store, trigger.group, job_name)
    if busy:
        return dg.SkipReason(f"Not looked: {busy}.")
    seen = look(trigger)
    if cursor is None and trigger.kind == "group":
        # What succeeded before the trigger existed is no event.
        if not is_test:
            store.ticks.set_trigger_cursor(name, Cursor(seen).dump())
        return dg.SkipReason(f"First look: waits for the next success of group {trigger.after}.")
    if seen is None or (cursor is not None and seen == cursor.seen):
        return dg.SkipReason(f"Nothing new: {_saw(trigger, seen)}.")
    # Dagster launches nothing for a run key that it knows. A trigger that is deleted and made again, for another group perhaps,
    # begins with the time, so that it does not meet the keys of the one before.
    number = (cursor.number if cursor and cursor.number else time.time_ns() // 1000) + 1
    run_key = f"{name}:{number}:{seen[:60]}"
    if not is_test:
        store.ticks.set_trigger_cursor(name, Cursor(seen, number, run_key).dump())
    return dg.RunRequest(run_key=run_key, tags=tags)


def _saw(trigger: Trigger, seen: str | None) -> str:
    if trigger.kind == "group":
        return f"newest success of group {trigger.after} is group run {seen or '-'}"
    return f"the answer is {seen!r}" if seen is not None else "the query gives NULL or no row"


def build_reconcile_sensor(config: Config, translator: DagsterPipekitTranslator, name: str) -> dg.SensorDefinition:
    """The sensor that ends what dead processes left: run_log and group_run rows, locks, jrunner processes, database sessions.

    A Dagster run that failed, was cancelled or vanished has no process any more, which is what the engine looks for; it never
    touches a run whose process lives. The sensor also carries the connections' `max_parallel` into Dagster's pools, and brings
    Dagster's switches and `enabled` together (`switches`).
    """

    def evaluate(context: Any) -> dg.SkipReason:
        from pipekit_dagster.switches import sync_switches
        from pipekit_engine.engine import Engine

        with Engine(config) as engine:
            ended = engine.recover()
            definitions, broken = engine.store.definitions.load_checked()
            sync_pools(context.instance, definitions, translator)
            location = context.code_location_origin
            switched = (
                sync_switches(engine.store, config, context.instance, location.location_name, translator)
                if location is not None
                else []
            )
        for record in ended:
            context.log.warning(f"Run {record.id} of {record.module} was ended as {record.status}: {record.error}")
        said = [f"ended {len(ended)} runs of dead processes" if ended else "all runs have a living process"]
        if (workers := dispatcher()) is not None:
            said += workers.tend(context.instance)
        said += switched
        said += [f"{item.label} is broken: {item.problem}" for item in broken]
        return dg.SkipReason("; ".join(said) + ".")

    return dg.SensorDefinition(
        name=name,
        evaluation_fn=evaluate,
        minimum_interval_seconds=RECONCILE_EVERY_S,
        description="Ends what dead processes left behind: run_log and group_run rows, locks.",
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
