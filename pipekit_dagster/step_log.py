"""Each op's own stdout and stderr in Dagster's UI, live, also when several ops share a process.

Dagster captures the output of a whole process. Ops on threads share one, so pipekit opens a log file for each op and tells the
UI about it, as Dagster does for a process of its own. Lines are flushed as they come; the UI follows them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import IO, Any


class StepLog:
    """Where an op's lines go. Falls back to the process's own streams."""

    def __init__(self, out: IO[str] | None, err: IO[str] | None) -> None:
        self._out = out or sys.stdout
        self._err = err or sys.stderr

    def line(self, text: str) -> None:
        """Write a line to the op's stdout."""
        self._write(self._out, text)

    def error(self, text: str) -> None:
        """Write a line to the op's stderr."""
        self._write(self._err, text)

    @staticmethod
    def _write(stream: IO[str], text: str) -> None:
        with suppress(OSError):  # a full disk takes the line, not the run
            stream.write(text if text.endswith("\n") else f"{text}\n")
            stream.flush()


@contextmanager
def open_step_log(context: Any) -> Iterator[StepLog]:
    """Open the log of the op that `context` belongs to, announce it to the UI, and mark it complete at the end.

    Logging must never fail a run: where Dagster's private parts have moved, or its storage refuses, lines go to the process's
    own output.
    """
    stack = ExitStack()
    try:
        from pipekit_dagster.dagster_internals.step_logs import open_log_files

        out, err, complete = open_log_files(context, stack)
    except Exception as error:
        stack.close()
        context.log.warning(f"No log of its own for this op ({error}); see the run's process output.")
        yield StepLog(None, None)
        return
    try:
        yield StepLog(out, err)
    finally:
        with suppress(OSError):
            stack.close()
        with suppress(OSError):
            if complete is not None:
                complete.touch()
