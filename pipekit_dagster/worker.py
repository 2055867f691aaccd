"""`python -m pipekit_dagster.worker RUN_ID`: the process of one Dagster run. Started by `launcher`, not by hand.

It names itself in the run's tags first, then looks whether the run was cancelled meanwhile. The launcher's `terminate` does the
opposite, status first and then tags, so one of the two always sees the other.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from dagster import DagsterInstance, DagsterRunStatus

from pipekit_dagster.dagster_internals.launching import capture_interrupts, execute_run
from pipekit_dagster.dagster_internals.outages import outlast_outages
from pipekit_dagster.launcher import SEEN_TAG, TAKE, WORKER_TAG
from pipekit_dagster.tags import GROUP_TAG, SELECTION_TAG
from pipekit_engine.common.processes import ProcessName
from pipekit_engine.config import load_config
from pipekit_engine.errors import PipekitError
from pipekit_engine.jrunner.starting import start_early_for

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Seconds between two looks whether the run is to be cancelled: for requests from machines that cannot signal this one.
_CANCEL_POLL_S = 2.0
#: Seconds between two signs of life in the run's tags: for machines that cannot look at this process.
_SEEN_EVERY_S = 10.0


def _watch_for_cancel(instance: DagsterInstance, run_id: str, done: threading.Event) -> None:
    seen = time.monotonic()
    while not done.wait(_CANCEL_POLL_S):
        with suppress(Exception):  # the storage may be away for a moment; the run itself reports lasting trouble
            if time.monotonic() - seen > _SEEN_EVERY_S:
                instance.add_run_tags(run_id, {SEEN_TAG: f"{time.time():.0f}"})
                seen = time.monotonic()  # not before it is written: after an outage of the storage it is, at once
            run = instance.get_run_by_id(run_id)
            if run is not None and run.status == DagsterRunStatus.CANCELING:
                os.kill(os.getpid(), signal.SIGINT)
                return


def _take(run_id: str) -> bool:
    """Take a run that was sent to several hosts, or twice to one: True for one process of them all."""
    from pipekit_engine.store import Store

    with Store.open(load_config().database_url) as store:
        return store.dispatches.claim(run_id)


def _start_jvm(tags: Mapping[str, str]) -> None:
    """Start the JVM of a group's run beside all that Dagster does before the first op."""
    if GROUP_TAG not in tags and SELECTION_TAG not in tags:
        return  # another's job
    with suppress(PipekitError):  # the run says what is wrong
        config = load_config()
        if config.workers is None:  # else the group's members may run elsewhere
            start_early_for(config)


def main(run_id: str, *, take: bool = False) -> int:
    """Execute the run; 0 unless the process itself failed: a failed run is told by Dagster's own events.

    With `take`, only if no other process has taken it.
    """
    if take and not _take(run_id):
        return 0
    # Interrupts are noted, not raised, until the executor looks for them.
    with capture_interrupts(), DagsterInstance.get() as instance:
        outlast_outages()
        instance.add_run_tags(run_id, {WORKER_TAG: str(ProcessName.current()), SEEN_TAG: f"{time.time():.0f}"})
        run = instance.get_run_by_id(run_id)
        if run is None:
            print(f"There is no run {run_id} in {instance.root_directory}.", file=sys.stderr)
            return 2
        if run.status in (DagsterRunStatus.CANCELING, DagsterRunStatus.CANCELED):
            if run.status == DagsterRunStatus.CANCELING:
                instance.report_run_canceled(run, "Cancelled before its first op.")
            return 0
        if run.job_code_origin is None:
            print(f"Run {run_id} does not say which code it runs.", file=sys.stderr)
            return 2
        _start_jvm(run.tags)
        done = threading.Event()
        threading.Thread(target=_watch_for_cancel, args=(instance, run_id, done), daemon=True).start()
        try:
            execute_run(run, run.job_code_origin)
        finally:
            done.set()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], take=TAKE in sys.argv[2:]))
