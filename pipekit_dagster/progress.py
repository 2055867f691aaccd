"""Whether a group is running or queued, in Dagster or outside of it. Schedules and sensors ask before they request a run."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from pipekit_engine.store import Store

_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
#: How long a run may take from when Dagster makes it to when it is queued. One that takes longer lost its maker in between: it
#: never starts, and would keep its group from running for ever.
_MAKING = timedelta(minutes=1)


def group_in_progress(
    instance: dg.DagsterInstance, store: Store, group: str, job_name: str, now: datetime | None = None
) -> str | None:
    """Why the group must not start now; None when it may. A lock whose owner is dead does not count."""
    since = (now or datetime.now(timezone.utc)) - _MAKING
    made = dg.RunsFilter(job_name=job_name, statuses=[dg.DagsterRunStatus.NOT_STARTED], created_after=since)
    unfinished = dg.RunsFilter(job_name=job_name, statuses=_UNFINISHED)
    runs = instance.get_runs(unfinished, limit=1) or instance.get_runs(made, limit=1)
    if runs:
        return f"group {group} is still at it: Dagster run {runs[0].run_id[:8]} is {runs[0].status.value}"
    lease = store.leases.find("group", group)
    if lease is not None and not lease.abandoned():
        return f"group {group} is being run by {lease.describe()}"
    return None
