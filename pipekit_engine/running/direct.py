"""A load without staging: the source's rows go into the destination within the merge's own transaction.

What fails before `begin_merge` was called has been rolled back, whoever died: jrunner commits only what its client has confirmed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pipekit_engine.common.text import first_line
from pipekit_engine.errors import MergeError, SourceError, StagingError
from pipekit_engine.jrunner.errors import JRunnerError
from pipekit_engine.jrunner.protocol import Interruption, Statement

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from pipekit_engine.jrunner.client import Session
    from pipekit_engine.jrunner.process import ProgressHandler
    from pipekit_engine.jrunner.protocol import MigrateRequest, MigrateResult
    from pipekit_engine.planning.plan import DirectLoad
    from pipekit_engine.strategies import MergeStatement


def load_directly(
    session: Session,
    request: MigrateRequest,
    direct: DirectLoad,
    *,
    say: Callable[[str], None],
    on_progress: ProgressHandler,
    before_commit: Callable[[int], None],
    cancel: threading.Event,
    interruption: Interruption,
) -> tuple[MigrateResult, list[tuple[MergeStatement, int]]]:
    """Load the rows of `request` with the statements around them, and return each of these with its count.

    `before_commit` is called with the number of rows read while the transaction holds its locks; an error that it raises rolls
    everything back. An optional statement that the database refuses comes before any row is read: the load then begins anew
    without it. Raises what the session raises; `interruption` learns what an interrupt (Ctrl-C) left behind.
    """
    items = [*direct.before, *direct.after]
    around = replace(request, before=_requested(direct.before), after=_requested(direct.after))
    try:
        result = session.migrate(
            around, on_progress=on_progress, before_commit=before_commit, cancel=cancel, interruption=interruption
        )
    except JRunnerError as error:
        at = error.statement_index
        if error.code != "sql" or at is None or not items[at].optional:
            raise
        say(f"warning: the destination gets no comments: {first_line(error)}")
        return load_directly(
            session,
            request,
            replace(direct, before=tuple(item for item in direct.before if not item.optional)),
            say=say,
            on_progress=on_progress,
            before_commit=before_commit,
            cancel=cancel,
            interruption=interruption,
        )
    return result, list(zip(items, result.counts, strict=True))


def _requested(items: Sequence[MergeStatement]) -> list[Statement]:
    return [Statement(item.sql, is_count=item.is_count, expect_read=item.expected == "staged") for item in items]


def error_family(error: JRunnerError) -> type[SourceError | StagingError | MergeError]:
    """The family of an error that rolled the load back: what source or values did is tried again with `retry`, a merge never."""
    if error.phase == "read":
        return SourceError
    # What the database itself refused, such as a row that violates a constraint, it would refuse again.
    return MergeError if error.code == "sql" else StagingError
