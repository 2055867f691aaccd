"""The file that holds the events of one run, where Dagster keeps its records in SQLite."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dagster import DagsterInstance


def remove_event_file(instance: DagsterInstance, run_id: str) -> None:
    """Remove the file of a deleted run's events, which Dagster only empties.

    Check: `is_run_sharded`, `path_for_shard` and `_initialized_dbs`, the files that need not be made, of
    `dagster/_core/storage/event_log/sqlite/sqlite_event_log.py`.
    """
    storage: Any = instance.event_log_storage
    if getattr(storage, "is_run_sharded", False) and hasattr(storage, "path_for_shard"):
        file = Path(storage.path_for_shard(run_id))
        for path in (file, *file.parent.glob(f"{file.name}-*")):  # -wal and -shm
            path.unlink(missing_ok=True)
        storage._initialized_dbs.discard(run_id)
