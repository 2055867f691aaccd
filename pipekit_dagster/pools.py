"""`max_parallel` of connections as Dagster pools, so that the limit holds across all runs of an instance, on all hosts.

Dagster gives an op one pool, in which it has a place before it begins. A module whose two connections both have a limit takes its
place in the other pool itself. All ops take them in the same order, so that no two wait for each other.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from pipekit_engine.errors import RunCancelled

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Sequence

    import dagster as dg

    from pipekit_dagster.translator import DagsterPipekitTranslator
    from pipekit_engine.models import Definitions

#: Seconds between two looks for a free place; and between two looks whether the run is cancelled.
_LOOK_S, _POLL_S = 1.0, 0.1


@contextmanager
def places(context: Any, pools: Sequence[str], cancel: threading.Event) -> Iterator[None]:
    """Hold a place in each pool while the block runs. `context` is an op's. Raises RunCancelled once `cancel` is set.

    A pool that the instance does not know yet has no limit. The places of a run that died go when its end is noticed, as those
    that Dagster itself takes.
    """
    storage = context.instance.event_log_storage
    known = (
        {pool.name for pool in storage.get_pool_limits()}
        if pools and storage.supports_global_concurrency_limits
        else ()
    )
    step = context.get_step_execution_context().step.key
    with ExitStack() as stack:
        for pool in pools:
            if pool not in known:
                continue
            place = f"{step} ({pool})"
            stack.callback(_free, storage, context.run_id, place)
            told = False
            while not storage.claim_concurrency_slot(pool, context.run_id, place).is_claimed:
                if not told:
                    context.log.info(f"Waits for a free place in the pool {pool}.")
                    told = True
                looked = time.monotonic()
                while time.monotonic() - looked < _LOOK_S:
                    if cancel.is_set():
                        raise RunCancelled(f"Cancelled while it waited for a free place in the pool {pool}.")
                    time.sleep(_POLL_S)
        yield


def _free(storage: Any, run_id: str, place: str) -> None:
    with suppress(Exception):  # Dagster's storage may be away; it frees the places of a run that has ended
        storage.free_concurrency_slot_for_step(run_id, place)


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
