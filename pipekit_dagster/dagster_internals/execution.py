"""What the thread executor (`pipekit_dagster.threads`) needs to execute a plan.

It does what `dagster/_core/executor/in_process.py` and `inner_plan_execution_iterator` in
`dagster/_core/execution/plan/execute_plan.py` do; when the minor version changes, compare with both, and run
tests/dagster/test_executor.py and test_jobs.py. Names that are public, but whose types are not: `plan_context`, `execution_plan`
and the step contexts, of which `for_step`, `retry_mode`, `instance`, `dagster_run` and `step.key` are used.
"""

from __future__ import annotations

# Metadata of the events "Executing steps ..." and "Ended ...". Check: `in_process(pid, step_keys)`.
from dagster._core.events import EngineEventData

# Runs a generator inside the run's resources and sends its events on. Check: its three arguments, as in in_process.py.
from dagster._core.execution.api import ExecuteRunWithPlanIterable

# Makes and tears down what all steps of the run share. Check: its arguments, as in in_process.py.
from dagster._core.execution.context_creation_job import PlanExecutionContextManager

# Which steps are ready, waiting for a pool, to be tried again. Check: the arguments of `ExecutionPlan.start`, and
# `get_steps_to_execute`, `handle_event`, `verify_complete`, `mark_interrupted`, `check_for_interrupts`,
# `concurrency_event_iterator`, `plan_events_iterator`, `get_known_state`, `is_complete`.
from dagster._core.execution.plan.active import ActiveExecution

# All events of one step, and those of its hooks afterwards. Check: that `inner_plan_execution_iterator` still calls just these
# two for a step, and that no error of an op leaves the first unless `raise_on_error` is set.
from dagster._core.execution.plan.execute_plan import _trigger_hook, dagster_event_sequence_for_step

# The run's slots in pools. Check: its arguments (instance, run); that `ExecutionPlan.start` takes it.
from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext

# What an executor says of retries. Check: `ENABLED` is "an op may ask to be tried again, the executor does it itself".
from dagster._core.execution.retries import RetryMode

# Whether a step waits for the success of those before it or only for their outputs. Check: `require_upstream_step_success`,
# which the in-process executor's configuration `step_dependency_config` names alike (see `pipekit_dagster.executor`).
from dagster._core.execution.step_dependency_config import StepDependencyConfig

trigger_hook = _trigger_hook

__all__ = [
    "ActiveExecution",
    "EngineEventData",
    "ExecuteRunWithPlanIterable",
    "InstanceConcurrencyContext",
    "PlanExecutionContextManager",
    "RetryMode",
    "StepDependencyConfig",
    "dagster_event_sequence_for_step",
    "trigger_hook",
]
