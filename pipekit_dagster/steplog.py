"""Each op's own stdout and stderr in Dagster's UI, live, also when several ops share a process.

Dagster captures the output of a whole process. Ops on threads share one, so pipekit opens a log file for each op and tells the
UI about it, as Dagster does for a process of its own. Lines are flushed as they come; the UI follows them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
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
    try:
        stack, log, complete = _open(context)
    except Exception as error:
        context.log.warning(f"No log of its own for this op ({error}); see the run's process output.")
        yield StepLog(None, None)
        return
    try:
        yield log
    finally:
        with suppress(OSError):
            stack.close()
        with suppress(OSError):
            if complete is not None:
                complete.touch()


def _open(context: Any) -> tuple[Any, StepLog, Path | None]:
    from contextlib import ExitStack

    from dagster import DagsterEvent
    from dagster._core.execution.compute_logs import create_compute_log_file_key
    from dagster._core.storage.compute_log_manager import CapturedLogContext, ComputeIOType

    step_context = context.get_step_execution_context()
    manager = context.instance.compute_log_manager
    key = list(manager.build_log_key_for_run(context.run_id, create_compute_log_file_key()))  # type: ignore[no-untyped-call]
    stack = ExitStack()
    out = stack.enter_context(manager.open_log_stream(key, ComputeIOType.STDOUT))
    err = stack.enter_context(manager.open_log_stream(key, ComputeIOType.STDERR))
    DagsterEvent.capture_logs(step_context, [step_context.step.key], key, CapturedLogContext(key))
    # Only the local manager keeps a mark that tells the UI to stop following.
    mark = getattr(manager, "complete_artifact_path", None)
    return stack, StepLog(out, err), Path(mark(key)) if mark else None
