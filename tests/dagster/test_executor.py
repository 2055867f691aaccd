"""The thread executor: order, barriers, failures, retries, pools, cancel; and the canary for Dagster's private names."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from pipekit_dagster import executor as executor_module
from pipekit_dagster import pipekit_thread_executor
from pipekit_dagster.cancellation import cancel_event

STARTED: list[tuple[str, float]] = []
ENDED: dict[str, float] = {}
THREADS: set[int] = set()
#: Where two ops wait for each other. Ops that run one after the other never get past it.
MEETING = threading.Barrier(2, timeout=60)


def _op(
    name: str,
    *,
    meets: bool = False,
    seconds: float = 0.0,
    fails: bool = False,
    retries: int = 0,
    pool: str | None = None,
) -> Any:
    @dg.op(name=name, ins={"after": dg.In(dg.Nothing)}, out={"done": dg.Out(dg.Nothing)}, pool=pool)
    def body(context: dg.OpExecutionContext) -> Iterator[Any]:
        STARTED.append((name, time.monotonic()))
        THREADS.add(threading.get_ident())
        if meets:
            MEETING.wait()
        if cancel_event(context.run_id).wait(seconds):
            raise dg.DagsterExecutionInterruptedError
        if context.retry_number < retries:
            raise dg.RetryRequested(max_retries=retries)
        ENDED[name] = time.monotonic()
        yield dg.Output(None, "done")
        if fails:
            raise dg.Failure(f"{name} fails on purpose", metadata={"answer": 42})

    return body


def _job(name: str, layers: list[list[Any]], *, continue_on_failure: bool = True, max_concurrent: int = 8) -> Any:
    executor = pipekit_thread_executor.configured(
        {"max_concurrent": max_concurrent, "continue_on_failure": continue_on_failure}
    )

    @dg.job(name=name, executor_def=executor)
    def built() -> None:
        previous: list[Any] = []
        for layer in layers:
            previous = [op(previous) if previous else op() for op in layer]

    return built


def make_layers() -> Any:
    return _job("layers", [[_op("a1", meets=True), _op("a2", meets=True, fails=True)], [_op("b")], [_op("c")]])


def make_apart() -> Any:
    return _job("apart", [[_op("a1"), _op("a2", fails=True)], [_op("b")], [_op("c")]])


def make_stop() -> Any:
    return _job("stop", [[_op("s1", fails=True)], [_op("s2")]], continue_on_failure=False)


def make_retry() -> Any:
    return _job("retry", [[_op("r1", retries=2)], [_op("r2")]])


def make_serial() -> Any:
    return _job("serial", [[_op(f"m{n}", seconds=0.05) for n in range(4)]], max_concurrent=1)


def make_pool() -> Any:
    return _job("pool", [[_op(f"p{n}", seconds=0.05, pool="narrow") for n in range(3)]])


def make_slow() -> Any:
    return _job("slow", [[_op("long1", seconds=3600), _op("long2", seconds=3600)], [_op("never")]])


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    STARTED.clear()
    ENDED.clear()
    THREADS.clear()
    MEETING.reset()
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with dg.DagsterInstance.from_config(str(tmp_path)) as made:
        yield made


def _run(factory: Any, instance: dg.DagsterInstance, **kwargs: Any) -> dg.JobExecutionResult:
    return dg.execute_job(dg.reconstructable(factory), instance=instance, raise_on_error=False, **kwargs)


def _names(result: dg.JobExecutionResult, kind: str) -> set[str]:
    return {event.step_key or "" for event in result.all_events if event.event_type_value == kind}


def test_canary_the_private_names_of_dagster_are_where_they_were() -> None:
    assert executor_module.THREADS, "Dagster moved something: see pipekit_dagster/threads.py"


def test_layers_are_barriers_and_a_failure_stops_nobody(instance: dg.DagsterInstance) -> None:
    result = _run(make_layers, instance)
    assert not result.success
    assert _names(result, "STEP_SUCCESS") == {"a1", "b", "c"}
    assert _names(result, "STEP_FAILURE") == {"a2"}
    starts = dict(STARTED)  # a1 and a2 ended: they met, so the members of one layer run side by side
    assert starts["b"] >= max(ENDED["a1"], ENDED["a2"])
    assert starts["c"] >= ENDED["b"]
    assert threading.main_thread().ident not in THREADS


def test_stop_leaves_the_rest_unrun(instance: dg.DagsterInstance) -> None:
    result = _run(make_stop, instance)
    assert not result.success
    assert [name for name, _ in STARTED] == ["s1"]


def test_retries(instance: dg.DagsterInstance) -> None:
    result = _run(make_retry, instance)
    assert result.success
    assert [name for name, _ in STARTED] == ["r1", "r1", "r1", "r2"]


def test_max_concurrent(instance: dg.DagsterInstance) -> None:
    assert _run(make_serial, instance).success
    order = [name for name, _ in STARTED]
    assert len(order) == 4
    for (_, later), earlier in zip(STARTED[1:], order, strict=False):
        assert later >= ENDED[earlier]


def test_a_pool_limits_and_waiting_for_it_costs_no_cpu(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipekit_dagster import threads

    turns, collect = 0, threads._Loop._collect

    def counted(loop: Any) -> Iterator[dg.DagsterEvent]:
        nonlocal turns
        turns += 1
        return collect(loop)

    monkeypatch.setattr(threads._Loop, "_collect", counted)
    instance.event_log_storage.set_concurrency_slots("narrow", 1)
    began = time.monotonic()
    result = _run(make_pool, instance)
    assert result.success
    # Each turn of the loop waits for its time, or for an event.
    assert turns <= (time.monotonic() - began) / threads._POLL_S + 2 * len(list(result.all_events))
    ordered = sorted(STARTED, key=lambda item: item[1])
    for (_, later), (earlier, _) in zip(ordered[1:], ordered, strict=False):
        assert later >= ENDED[earlier]


def test_reexecution_of_one_op(instance: dg.DagsterInstance) -> None:
    first = _run(make_layers, instance)
    STARTED.clear()
    again = _run(
        make_layers,
        instance,
        reexecution_options=dg.ReexecutionOptions(parent_run_id=first.run_id, step_selection=["c"]),
    )
    assert again.success
    assert [name for name, _ in STARTED] == ["c"]


def test_an_interrupt_ends_the_ops_and_the_run(instance: dg.DagsterInstance) -> None:
    """The ops by themselves would take an hour."""

    def interrupt() -> None:
        while len(STARTED) < 2:
            if over.wait(0.02):
                return
        os.kill(os.getpid(), signal.SIGINT)

    over = threading.Event()
    threading.Thread(target=interrupt, daemon=True).start()
    result = _run(make_slow, instance)
    over.set()
    assert not result.success
    assert {name for name, _ in STARTED} == {"long1", "long2"}
    assert cancel_event(result.run_id).is_set() is False, "a finished run's event is forgotten"


def test_without_the_private_names_ops_run_one_by_one(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor_module, "THREADS", False)
    result = _run(make_apart, instance)
    assert not result.success
    assert _names(result, "STEP_SUCCESS") == {"a1", "b", "c"}
    assert {threading.main_thread().ident} == THREADS
