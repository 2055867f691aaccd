"""A log of its own for each op, as Dagster gives to each process of its own."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from dagster import DagsterEvent

# The name of a log file. Check: it takes no arguments and differs each time.
from dagster._core.execution.compute_logs import create_compute_log_file_key

# Check: as in `dagster/_core/execution/plan/execute_plan.py` and `compute_logs.py`, which announce a process's log alike.
from dagster._core.storage.compute_log_manager import CapturedLogContext, ComputeIOType


def open_log_files(context: Any, stack: ExitStack) -> tuple[IO[str], IO[str], Path | None]:
    """Open the stdout and stderr of the op that `context` belongs to, and announce them to the UI; `stack` closes them.

    The third is the file that tells the UI, once it exists, that nothing more will be written. Check: `build_log_key_for_run`,
    `open_log_stream`, `DagsterEvent.capture_logs`; that a run's page in the UI offers an op's stdout while it runs.
    """
    step_context = context.get_step_execution_context()
    manager = context.instance.compute_log_manager
    key = list(manager.build_log_key_for_run(context.run_id, create_compute_log_file_key()))  # type: ignore[no-untyped-call]
    out = stack.enter_context(manager.open_log_stream(key, ComputeIOType.STDOUT))
    err = stack.enter_context(manager.open_log_stream(key, ComputeIOType.STDERR))
    DagsterEvent.capture_logs(step_context, [step_context.step.key], key, CapturedLogContext(key))
    # Only the local manager keeps a mark that tells the UI to stop following. Check: that it is still written last.
    mark = getattr(manager, "complete_artifact_path", None)
    return out, err, Path(mark(key)) if mark else None
