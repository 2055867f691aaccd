"""`max_parallel` of connections inside one process: how many module runs use each of them side by side."""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from pipekit_engine.errors import RunCancelled

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pipekit_engine.models import Module

_POLL_S = 0.1


class ConnectionSlots:
    """Shared by the runs of one process. `limits` is `Definitions.connection_limits`."""

    def __init__(self, limits: Mapping[str, int]) -> None:
        self._slots = {name: threading.BoundedSemaphore(limit) for name, limit in limits.items()}

    @contextmanager
    def held(self, module: Module, cancel: threading.Event) -> Iterator[None]:
        """Hold a place on both connections of a module while a block runs it. Raises RunCancelled once `cancel` is set."""
        with ExitStack() as stack:
            # In one order for all, so that two runs never wait for each other.
            for name in sorted({module.source, module.dest} & self._slots.keys()):
                while not self._slots[name].acquire(timeout=_POLL_S):
                    if cancel.is_set():
                        raise RunCancelled(f"Cancelled while it waited for a free place on connection {name}.")
                stack.callback(self._slots[name].release)
            yield
