"""A run's process waits for Dagster's storage while that restarts, instead of failing a run whose modules all succeed.

When the minor version changes, compare `store_event` of `dagster_postgres/event_log/event_log.py`, and run
tests/dagster/test_outages.py.
"""

from __future__ import annotations

import functools
import sys
import time
from typing import TYPE_CHECKING, Any

from pipekit_engine.store.retrying import DELAYS_S

if TYPE_CHECKING:
    from collections.abc import Callable

#: What the process of a run asks of Dagster's storages. Check: the calls of `dagster/_core/instance` and of the instance's
#: concurrency context in `dagster/_core/execution`; a name that is gone is left out.
_EVENTS = (
    *("store_event", "store_event_batch", "get_logs_for_run", "get_records_for_run", "fetch_materializations"),
    *("claim_concurrency_slot", "check_concurrency_claim", "free_concurrency_slot_for_step", "get_pool_limits"),
    *("free_concurrency_slots_for_run", "get_concurrency_keys", "get_concurrency_info", "get_pool_config"),
    *("initialize_concurrency_limit_to_default", "get_latest_materialization_events", "get_asset_records"),
)
_RUNS = ("handle_run_event", "add_run_tags", "get_runs", "get_run_records", "get_job_snapshot", "has_job_snapshot")
#: How many of a run's newest events are looked through for one whose writing was cut off.
_NEWEST = 100


def outlast_outages() -> None:
    """From now on this process waits for Dagster's PostgreSQL where it cannot be reached: half a minute and more.

    An event whose writing was cut off is looked for before it is written again. Check: the names of the two storages.
    """
    if "dagster_postgres" not in sys.modules:
        return  # its storages are files
    from dagster_postgres import PostgresEventLogStorage, PostgresRunStorage

    for storage, names in ((PostgresEventLogStorage, _EVENTS), (PostgresRunStorage, _RUNS)):
        for name in names:
            method = getattr(storage, name, None)
            if method is not None and not hasattr(method, "outlasts"):
                setattr(storage, name, _outlasting(name, method))


def _outlasting(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    from dagster_postgres.utils import DagsterPostgresException
    from sqlalchemy.exc import InterfaceError, OperationalError

    @functools.wraps(method)
    def outlasting(self: Any, *args: Any, **fields: Any) -> Any:
        for attempt, delay in enumerate(DELAYS_S):
            try:
                if attempt and name == "store_event" and _is_written(self, args[0]):
                    return None
                return method(self, *args, **fields)
            except (OperationalError, InterfaceError, DagsterPostgresException):
                time.sleep(delay)
        return method(self, *args, **fields)

    outlasting.outlasts = True  # type: ignore[attr-defined]
    return outlasting


def _is_written(storage: Any, event: Any) -> bool:
    """Whether an event is there, and nothing else must be written for it: one about an asset also changes the asset's row."""
    told = event.dagster_event
    if told is not None and (told.asset_key is not None or told.event_type_value.startswith("ASSET_")):
        return False
    newest = storage.get_records_for_run(event.run_id, limit=_NEWEST, ascending=False).records
    return any(record.event_log_entry == event for record in newest)
