"""The named places in a run where something can break."""

from __future__ import annotations

from dataclasses import dataclass

from tests.faults.wire import Side


@dataclass(frozen=True)
class Checkpoint:
    """A place in a run: where a phase begins, or a request in it, before it is sent or after it was answered."""

    name: str
    #: The phase whose beginning it is, or in which its request comes; "before commit" is when all statements have run.
    phase: str
    #: A pattern of the request's SQL; empty for the beginning itself.
    request: str = ""
    side: Side = "before"
    #: Whether the destination may have changed already.
    may_have_committed: bool = False
    has_committed: bool = False


CHECKPOINTS = [
    Checkpoint("before its first request", "resolve"),
    Checkpoint("asking for its watermark", "resolve", r"max\(id\)"),
    Checkpoint("before the plan", "plan"),
    Checkpoint("before staging", "stage"),
    Checkpoint("loading", "stage", r"^(COPY|LOAD DATA|INSERT)"),
    Checkpoint("loaded", "stage", r"^(COPY|LOAD DATA|INSERT)", "after"),
    Checkpoint("before verifying", "verify"),
    Checkpoint("counting", "verify", r"count\(\*\)"),
    Checkpoint("before the merge", "merge"),
    Checkpoint("first change", "merge", r"^(DELETE|INSERT|UPDATE)"),
    Checkpoint("first change answered", "merge", r"^(DELETE|INSERT|UPDATE)", "after"),
    Checkpoint("last change answered", "before commit"),
    Checkpoint("before COMMIT", "before commit", r"^COMMIT"),
    Checkpoint("after COMMIT, unanswered", "before commit", r"^COMMIT", "after", may_have_committed=True),
    Checkpoint("before the hooks", "hooks", may_have_committed=True, has_committed=True),
    Checkpoint("in a hook", "hooks", r"^UPDATE hooked", may_have_committed=True, has_committed=True),
    Checkpoint("hook answered", "hooks", r"^UPDATE hooked", "after", may_have_committed=True, has_committed=True),
]
