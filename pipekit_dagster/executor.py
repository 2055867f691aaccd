"""`pipekit_thread_executor`: runs a Dagster run's ops on threads of the run's own process.

An op of pipekit only waits for jrunner, so a process for each op (0.3 to 2.5 s) buys nothing. Dagster has no thread executor
of its own. The one here (`threads`) drives the same execution plan as the built-in ones do, which rests on names that
Dagster does not promise to keep. When one of them has moved, the definition falls back to Dagster's in-process executor:
the same results, one op at a time. `THREADS` says which of the two is in force.
"""

from __future__ import annotations

import logging
from typing import Any

import dagster as dg
from dagster import Executor, InitExecutorContext

try:
    from pipekit_dagster.threads import ThreadExecutor

    THREADS = True
except ImportError:
    THREADS = False

_CONFIG = {
    "max_concurrent": dg.Field(int, default_value=8, description="Ops that run side by side at most."),
    "continue_on_failure": dg.Field(
        bool,
        default_value=False,
        description="Start an op as soon as the ops before it have given their outputs, even if they failed afterwards.",
    ),
}


@dg.executor(name="pipekit_threads", config_schema=_CONFIG)
def pipekit_thread_executor(context: InitExecutorContext) -> Executor:
    """Executor that runs ops on threads: about 15 ms an op.

    `max_concurrent` (8) ops run side by side at most. With `continue_on_failure` (False), an op that fails after it has
    yielded its output does not stop the ops behind it; the run is red all the same. Pools, priorities, retries,
    re-execution and Terminate work as with Dagster's own executors. Ops must wait on something that
    `pipekit_dagster.cancellation.cancel_event(run_id)` can end, since no signal reaches a thread.

        import dagster as dg
        from pipekit_dagster import pipekit_thread_executor

        @dg.op
        def hello():
            print("hello")

        @dg.job(executor_def=pipekit_thread_executor.configured({"max_concurrent": 4}))
        def greetings():
            hello()
    """
    config: Any = context.executor_config
    if THREADS:
        return ThreadExecutor(
            max_concurrent=config["max_concurrent"], continue_on_failure=config["continue_on_failure"]
        )
    logging.getLogger(__name__).warning(
        "pipekit: this Dagster has no room for the thread executor; ops run one by one."
    )
    in_process: Any = dg.in_process_executor
    fallback: Executor = in_process.executor_creation_fn(
        context._replace(
            executor_config={
                "retries": {"enabled": {}},
                "step_dependency_config": {"require_upstream_step_success": not config["continue_on_failure"]},
            }
        )
    )
    return fallback
