"""`max_parallel` of connections as Dagster pools, so that the limit holds across all runs of an instance."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import dagster as dg

    from pipekit_dagster.translator import DagsterPipekitTranslator
    from pipekit_engine.models import Definitions


def sync_pools(instance: dg.DagsterInstance, definitions: Definitions, translator: DagsterPipekitTranslator) -> None:
    """Make the instance's pool limits those of the connections; pools of pipekit that no connection needs any more go."""
    storage = instance.event_log_storage
    if not storage.supports_global_concurrency_limits:
        return
    wanted: dict[str, int] = {}
    for connection, limit in definitions.connection_limits.items():
        # Names such as `dw-1` and `dw_1` share a pool: then the tighter limit holds for both.
        name = translator.pool_name(connection)
        wanted[name] = min(limit, wanted.get(name, limit))
    present = {pool.name: pool.limit for pool in storage.get_pool_limits()}
    for name, limit in wanted.items():
        if present.get(name) != limit:
            storage.set_concurrency_slots(name, limit)
    for name in present.keys() - wanted.keys():
        if name.startswith(translator.pool_name("")):
            storage.delete_concurrency_limit(name)
