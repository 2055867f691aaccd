"""`retention: {runs: ...}` for Dagster's own records: runs with their events and logs, and the ticks of schedules and sensors.

A run that is old enough is kept all the same while something needs it: it has not ended, its backfill has not, a trigger still
waits to see it, or it filled a table or a partition last. Without the events of that one Dagster would take the partition for
missing, and automation would fill it again. Runs and ticks of other code locations are left alone.
"""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import dagster as dg

from pipekit_dagster.dagster_internals.event_files import remove_event_file
from pipekit_dagster.dagster_internals.instigation import purge_ticks
from pipekit_dagster.sensors import Cursor
from pipekit_engine.common.text import counted
from pipekit_engine.store import Store

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import timedelta

    from pipekit_engine.config import Config

#: Seconds between two looks, and those that one may take: Dagster gives a sensor a minute.
_EVERY_S, _BUDGET_S = 600, 30.0
#: Runs that are read at a time.
_PAGE = 100
_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_UNFINISHED_BACKFILLS = ("REQUESTED", "CANCELING", "FAILING")
_LOCATION_TAG, _RUN_KEY_TAG, _BACKFILL_TAG = ".dagster/repository", "dagster/run_key", "dagster/backfill"


def build_retention_sensor(config: Config, age: timedelta, name: str) -> dg.SensorDefinition:
    """The sensor that deletes what is older than `age`."""

    def evaluate(context: Any) -> dg.SkipReason:
        with Store.open(config.database_url) as store:
            cursors = [
                Cursor.parse(store.ticks.trigger_cursor(item)) for item in store.definitions.load_checked()[0].triggers
            ]
        awaited = {cursor.pending for cursor in cursors if cursor is not None and cursor.pending is not None}
        location = context.code_location_origin.location_name if context.code_location_origin else None
        repository = f"{context.repository_name}@{location}"
        gone, after = prune_runs(
            context.instance, repository, age, awaited=awaited, after=context.cursor or None, budget_s=_BUDGET_S
        )
        context.update_cursor(after or "")
        if location is not None:
            purge_ticks(context.instance, location, (datetime.now(timezone.utc) - age).timestamp())
        return dg.SkipReason(f"{counted(gone, 'run')} older than {config.retention.runs} deleted.")

    return dg.SensorDefinition(
        name=name,
        evaluation_fn=evaluate,
        minimum_interval_seconds=_EVERY_S,
        description=f"Deletes Dagster's runs and ticks that are older than {config.retention.runs}, as `retention` in pipekit's "
        "configuration says. The run that filled a table or a partition last stays.",
        default_status=dg.DefaultSensorStatus.RUNNING,
    )


def prune_runs(
    instance: dg.DagsterInstance,
    repository: str,
    older_than: timedelta,
    *,
    awaited: Collection[str | None] = (),
    after: str | None = None,
    budget_s: float,
) -> tuple[int, str | None]:
    """Delete the runs of a repository (`name@location`) that ended longer ago, with their events and logs.

    Runs whose key is in `awaited` are kept. Returns how many went; and the run after which the next call goes on, when `budget_s`
    was too short for all.
    """
    until = time.monotonic() + budget_s
    filters = dg.RunsFilter(statuses=_ENDED, updated_before=datetime.now(timezone.utc) - older_than)
    gone = 0
    while True:
        records = instance.get_run_records(filters, limit=_PAGE, cursor=after, ascending=True)
        for record in records:
            run = record.dagster_run
            if time.monotonic() > until:
                return gone, after
            if _is_needed(instance, run, repository, awaited):
                after = run.run_id
                continue
            with suppress(NotImplementedError):  # logs in a cloud's storage have a rule of their own there
                instance.compute_log_manager.delete_logs(prefix=[run.run_id])
            instance.delete_run(run.run_id)
            remove_event_file(instance, run.run_id)
            gone += 1
        if len(records) < _PAGE:
            return gone, None


def _is_needed(
    instance: dg.DagsterInstance, run: dg.DagsterRun, repository: str, awaited: Collection[str | None]
) -> bool:
    if run.tags.get(_LOCATION_TAG, repository) != repository or run.tags.get(_RUN_KEY_TAG, "") in awaited:
        return True
    backfill = instance.get_backfill(run.tags[_BACKFILL_TAG]) if _BACKFILL_TAG in run.tags else None
    return (backfill is not None and backfill.status.value in _UNFINISHED_BACKFILLS) or _filled_last(
        instance, run.run_id
    )


def _filled_last(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether a run gave the newest materialization of an asset or of one of its partitions."""
    kind = dg.DagsterEventType.ASSET_MATERIALIZATION
    for record in instance.get_records_for_run(run_id, of_type=kind).records:
        told = record.asset_materialization
        if told is None:
            continue
        partitions = [told.partition] if told.partition is not None else None
        newest = instance.fetch_materializations(
            dg.AssetRecordsFilter(told.asset_key, asset_partitions=partitions), limit=1
        ).records
        if newest and newest[0].run_id == run_id:
            return True
    return False
