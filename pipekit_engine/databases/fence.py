"""The fence between the merges of one module: what an earlier run left at the destination, and how it is waited for or ended.

A run that lost its lock (its machine was frozen, its engine was killed in COMMIT) may still have a transaction at the
destination. The protocol that keeps it from the module's next run:

1. A merge takes the fence before its first change, and has it until its transaction has ended.
2. While it has the fence, before the commit, it asks the state store whether it still holds the module's lock; if not, it
   rolls back.
3. The next run takes the lock first, then waits until the fence is free, and only then reads anything at the destination.

A merge that was inside the fence when the next run looked is waited for or ended, so that its rows are there or never come; one
that enters later finds in step 2 that the lock is lost. So nothing is committed behind the back of a run that has read its
watermark. (The pattern is that of fencing tokens; the token here is the lock's own, checked inside the fence.)
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class FenceName:
    """The name of a module's fence in a database, made from that of its staging table, which no two modules share."""

    staging: str

    @cached_property
    def _digest(self) -> bytes:
        return hashlib.sha256(self.staging.encode()).digest()

    @property
    def text(self) -> str:
        """At most 64 characters of ASCII."""
        return f"pipekit:{self._digest.hex()[:32]}"

    @property
    def number(self) -> int:
        """A signed integer of 64 bits."""
        return int.from_bytes(self._digest[:8], "big", signed=True)


@dataclass(frozen=True)
class Fence:
    """How one database does it. Each part may be absent; without any, nothing is promised beyond the lock.

    `lock` is a query that takes the fence for the merge's session and gives 1, `unlock` gives it back; `enter` are statements
    that take it within the merge's transaction. Where the transaction's own locks do, neither is needed.
    `is_free` is a query that gives 1 or true when no merge is inside; `wait` are statements of a transaction of their own
    that wait for it. `holders` is a query for the ids of the sessions inside, and `end` ends the one in its `{}`.

    A load into staging needs no fence for the rows' sake, but keeps its table from the next run, for ever where its client is
    frozen. `loaders` is a query for the ids of sessions that do; `lock_load` and `unlock_load` mark a load where the database
    cannot tell otherwise.
    """

    lock: str | None = None
    unlock: str | None = None
    enter: tuple[str, ...] = ()
    is_free: str | None = None
    wait: tuple[str, ...] = ()
    holders: str | None = None
    end: str | None = None
    loaders: str | None = None
    lock_load: str | None = None
    unlock_load: str | None = None
