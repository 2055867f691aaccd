"""The thread executor itself. It rests on private names of Dagster (`dagster_internals.execution`).

How a run goes. The main thread asks the plan for the steps that are ready, gives each to a worker thread, and hands the
events that come back to the plan. Only the main thread touches the plan, so it needs no lock. An interrupt sets the
run's cancel event (see `cancellation`); the ops end their jrunner and raise, and once all have ended, the run is reported
as cancelled.

While nothing happens the main thread sleeps on a queue. It wakes up ten times a second to look for interrupts, for free
slots in pools and for retries that are due.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dagster import DagsterEvent, DagsterExecutionInterruptedError, Executor

from pipekit_dagster.cancellation import cancel_event, forget, note_abort
from pipekit_dagster.dagster_internals.execution import (
    ActiveExecution,
    EngineEventData,
    ExecuteRunWithPlanIterable,
    InstanceConcurrencyContext,
    PlanExecutionContextManager,
    RetryMode,
    StepDependencyConfig,
    dagster_event_sequence_for_step,
    trigger_hook,
)
from pipekit_engine.common.event_queue import EventQueue

#: Seconds between two looks for an interrupt: how long Terminate can go unnoticed.
_POLL_S = 0.1
#: Seconds that ops get to end after an interrupt. The engine needs far less to cancel its jrunner.
_CANCEL_GRACE_S = 30.0


@dataclass(frozen=True)
class _Ended:
    """A worker's last word: its step's generator is exhausted, or raised `error`."""

    step_key: str
    error: BaseException | None


class ThreadExecutor(Executor):
    """See `pipekit_dagster.executor.pipekit_thread_executor`."""

    def __init__(self, *, max_concurrent: int, continue_on_failure: bool) -> None:
        if max_concurrent < 1:
            raise ValueError("max_concurrent must be at least 1")
        self._max_concurrent = max_concurrent
        self._dependencies = StepDependencyConfig(require_upstream_step_success=not continue_on_failure)

    @property
    def retries(self) -> RetryMode:
        """Ops may ask to be tried again; this executor does it itself."""
        return RetryMode.ENABLED

    @property
    def step_dependency_config(self) -> StepDependencyConfig:
        """Whether an op waits for the success of those before it, or only for their outputs."""
        return self._dependencies

    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[DagsterEvent]:
        """Run the plan's steps; yields Dagster's events as they happen."""
        steps = execution_plan.step_keys_to_execute
        pid = os.getpid()
        yield DagsterEvent.engine_event(
            plan_context,
            f"Running {len(steps)} ops on up to {self._max_concurrent} threads (pid: {pid})",
            event_specific_data=EngineEventData.in_process(pid, steps),
        )
        started = time.monotonic()
        try:
            yield from ExecuteRunWithPlanIterable(
                execution_plan=plan_context.execution_plan,
                iterator=self._run_steps,
                execution_context_manager=PlanExecutionContextManager(
                    job=plan_context.job,
                    retry_mode=plan_context.retry_mode,
                    execution_plan=plan_context.execution_plan,
                    run_config=plan_context.run_config,
                    dagster_run=plan_context.dagster_run,
                    instance=plan_context.instance,
                    raise_on_error=plan_context.raise_on_error,
                    output_capture=plan_context.output_capture,
                    step_dependency_config=self._dependencies,
                ),
            )
        finally:
            forget(plan_context.run_id)
        yield DagsterEvent.engine_event(
            plan_context,
            f"Ended {len(steps)} ops in {time.monotonic() - started:.2f} s (pid: {pid})",
            event_specific_data=EngineEventData.in_process(pid, steps),
        )

    def _run_steps(self, job_context: Any, execution_plan: Any) -> Iterator[DagsterEvent]:
        with (
            InstanceConcurrencyContext(job_context.instance, job_context.dagster_run) as pools,
            execution_plan.start(
                retry_mode=job_context.retry_mode,
                max_concurrent=self._max_concurrent,
                instance_concurrency_context=pools,
                step_dependency_config=self._dependencies,
            ) as active,
        ):
            try:
                yield from _Loop(job_context, active, cancel_event(job_context.run_id)).run()
            except (DagsterExecutionInterruptedError, KeyboardInterrupt):
                raise
            except BaseException as error:
                note_abort(job_context.run_id, str(error) or type(error).__name__)
                raise


class _Loop:
    """The main thread's loop over one run: starts workers, collects their events."""

    def __init__(self, job_context: Any, active: ActiveExecution, cancel: threading.Event) -> None:
        self._context = job_context
        self._active = active
        self._cancel = cancel
        self._events: EventQueue[DagsterEvent | _Ended] = EventQueue()
        self._workers: dict[str, threading.Thread] = {}
        self._retries: dict[str, DagsterEvent] = {}
        self._deadline: float | None = None

    def run(self) -> Iterator[DagsterEvent]:
        while self._workers or not self._active.is_complete:
            self._look_for_interrupt()
            if self._cancel.is_set() and not self._workers:
                break
            if not self._cancel.is_set():
                for step in self._active.get_steps_to_execute():
                    self._start(self._context.for_step(step, self._active.get_known_state()))
                yield from self._active.concurrency_event_iterator(self._context)
            yield from self._collect()
            yield from self._active.plan_events_iterator(self._context)
        if self._cancel.is_set():
            self._active.mark_interrupted()
            raise DagsterExecutionInterruptedError("The run was cancelled; its ops have ended.")

    def _look_for_interrupt(self) -> None:
        if self._active.check_for_interrupts():
            self._cancel.set()
        if not self._cancel.is_set():
            return
        if self._deadline is None:
            self._deadline = time.monotonic() + _CANCEL_GRACE_S
        elif time.monotonic() > self._deadline and self._workers:
            self._active.mark_interrupted()
            raise DagsterExecutionInterruptedError(
                f"The run was cancelled, but {', '.join(sorted(self._workers))} did not end within {_CANCEL_GRACE_S:.0f} s."
            )

    def _start(self, step_context: Any) -> None:
        key = step_context.step.key
        # A daemon thread: an op that cannot be ended must not keep a cancelled run's process alive for ever.
        worker = threading.Thread(target=self._work, args=(step_context,), name=f"op {key}", daemon=True)
        self._workers[key] = worker
        worker.start()

    def _work(self, step_context: Any) -> None:
        """Body of a worker thread: one step, from its first event to its last."""
        error: BaseException | None = None
        seen: list[DagsterEvent] = []
        try:
            for event in dagster_event_sequence_for_step(step_context):
                seen.append(event)
                self._events.put(event)
            for event in trigger_hook(step_context, seen):
                self._events.put(event)
        except BaseException as caught:
            error = caught
        self._events.put(_Ended(step_context.step.key, error))

    def _collect(self) -> Iterator[DagsterEvent]:
        """Wait for something to happen, then pass on all that has."""
        try:
            item = self._events.get(timeout=_POLL_S)
        except queue.Empty:
            return
        while True:
            if isinstance(item, _Ended):
                self._end(item)
            else:
                yield item
                if item.is_step_up_for_retry:
                    # Held back until this attempt's thread has ended, lest the next attempt starts beside it.
                    self._retries[item.step_key or ""] = item
                else:
                    self._active.handle_event(item)
            try:
                item = self._events.get_nowait()
            except queue.Empty:
                return

    def _end(self, ended: _Ended) -> None:
        self._workers.pop(ended.step_key).join()
        if ended.step_key in self._retries:
            self._active.handle_event(self._retries.pop(ended.step_key))
        self._active.verify_complete(self._context, ended.step_key)
        if isinstance(ended.error, (KeyboardInterrupt, DagsterExecutionInterruptedError)):
            self._cancel.set()
        elif ended.error is not None:
            # Only so when the caller asked for errors to be raised: the others must not run on unobserved.
            self._cancel.set()
            for worker in self._workers.values():
                worker.join(_CANCEL_GRACE_S)
            raise ended.error
