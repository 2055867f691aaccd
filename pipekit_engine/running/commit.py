"""A merge runs all its statements in one transaction; one that sets comments never costs it rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipekit_engine.common.text import first_line
from pipekit_engine.jrunner.errors import JRunnerError
from pipekit_engine.jrunner.protocol import Interruption, Statement

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping, Sequence

    from pipekit_engine.jrunner.client import Session
    from pipekit_engine.strategies import MergeStatement


def commit(
    session: Session,
    handle: str,
    items: Sequence[MergeStatement],
    expected: Mapping[str, int],
    *,
    say: Callable[[str], None],
    before_commit: Callable[[], None],
    cancel: threading.Event,
    interruption: Interruption,
) -> list[tuple[MergeStatement, int]]:
    """Run the merge's statements in one transaction, and return each with its count.

    `before_commit` is called while the transaction holds its locks; an error that it raises rolls everything back.
    When the database refuses an optional statement, the transaction is rolled back and run again without the optional ones.
    Raises what the session raises: nothing was changed then, unless the commit itself failed. `interruption` learns what an
    interrupt (Ctrl-C) left behind; the commit may be done by then.
    """
    given = {item.gives: index for index, item in enumerate(items) if item.gives}
    statements = [
        Statement(
            item.sql_knowing(expected.get("distinct")),
            expect_rows=expected.get(item.expected) if item.expected else None,
            expect_count_of=given.get(item.expected) if item.expected else None,
            is_count=item.is_count,
        )
        for item in items
    ]
    try:
        answer = session.execute(
            handle, statements, before_commit=before_commit, cancel=cancel, interruption=interruption
        )
    except JRunnerError as error:
        at = error.statement_index
        if error.code != "sql" or at is None or not items[at].optional:
            raise
        say(f"warning: the destination gets no comments: {first_line(error)}")
        required = [item for item in items if not item.optional]
        return commit(
            session,
            handle,
            required,
            expected,
            say=say,
            before_commit=before_commit,
            cancel=cancel,
            interruption=interruption,
        )
    return list(zip(items, answer.counts, strict=True))


def apply_comments(
    session: Session, handle: str, comments: Sequence[str], say: Callable[[str], None], cancel: threading.Event
) -> None:
    """Comment a destination that was just made, where that cannot be part of the merge's transaction."""
    for sql in comments:
        try:
            session.execute(handle, [sql], transaction=False, cancel=cancel)
        except JRunnerError as error:
            if error.code == "connection_lost":
                raise
            say(f"warning: a comment on the destination was refused: {first_line(error)}")
