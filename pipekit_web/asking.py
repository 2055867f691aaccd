"""Asking databases for a page: never longer than a person waits.

Whatever is still being asked when the time is over ends with the Java process that asks.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipekit_engine.errors import SourceError
from pipekit_engine.jrunner.pool import SessionPool
from pipekit_engine.jrunner.start import start_own_session
from pipekit_engine.wizard.workspace import Workspace

if TYPE_CHECKING:
    from pipekit_engine.engine import Engine

#: Seconds that one press of a button may take, and that the proposals and the plan of many tables may.
LIMIT_S, LONG_S = 40.0, 120.0
#: Questions at once: each is a Java process, and holds one of the server's threads while its database does not answer.
AT_ONCE = 8
_free = threading.BoundedSemaphore(AT_ONCE)


@contextmanager
def asking(engine: Engine, limit_s: float | None = None) -> Iterator[Workspace]:
    """A workspace of one session, for a block. Raises SourceError when the block takes longer than `limit_s` seconds.

    And at once where `AT_ONCE` others are being asked: whoever waits for slow databases keeps no page from anybody else.
    """
    if not _free.acquire(blocking=False):
        raise SourceError(f"{AT_ONCE} databases are being asked already; do it again when one has answered.")
    try:
        with _bounded(engine, limit_s) as workspace:
            yield workspace
    finally:
        _free.release()


@contextmanager
def _bounded(engine: Engine, limit_s: float | None) -> Iterator[Workspace]:
    seconds = LIMIT_S if limit_s is None else limit_s
    pool, late = SessionPool(1, lambda: start_own_session(engine.config)), threading.Event()

    def give_up() -> None:
        late.set()
        pool.close()

    timer = threading.Timer(seconds, give_up)
    timer.daemon = True
    timer.start()
    try:
        with Workspace(engine, pool) as workspace:
            yield workspace
    except Exception as error:
        if late.is_set():
            raise SourceError(
                f"A database did not answer within {seconds:.0f} s, so it is asked no more. Is it reachable, or locked by a long "
                "transaction? Nothing was changed."
            ) from error
        raise
    finally:
        timer.cancel()
        pool.close()
