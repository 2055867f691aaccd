"""What a run of ten rows asks of the store and of jrunner, counted: a guard against runs that grow slower, without a clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from pipekit_engine.jrunner.process import JRunnerProcess
from pipekit_engine.store.dbapi import Pool, Transaction
from tests.running.workbench import Workbench


def test_a_run_of_ten_rows(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.source("CREATE TABLE t (id INTEGER, name TEXT)")
    bench.fill("t", [(number, "a") for number in range(10)])
    bench.module()
    bench.run()
    counts: Counter[str] = Counter()
    transaction, request = Pool.transaction, JRunnerProcess.request

    @contextmanager
    def counted_transaction(pool: Pool, *, write: bool) -> Iterator[Transaction]:
        counts["store writes" if write else "store reads"] += 1
        with transaction(pool, write=write) as found:
            yield found

    def counted_request(process: JRunnerProcess, asked: dict[str, Any], **options: Any) -> dict[str, Any]:
        counts["round trips to jrunner"] += 1
        return request(process, asked, **options)

    monkeypatch.setattr(Pool, "transaction", counted_transaction)
    monkeypatch.setattr(JRunnerProcess, "request", counted_request)
    # The monitor looks twice a second whether somebody asked for the end: a run that is that slow here is none of this test's.
    monkeypatch.setattr("pipekit_engine.running.monitor.TICK_S", 60)
    bench.run()
    # Start, the phases, the lock before the commit, the end: each by a transaction of its own, because a crash may come between.
    assert counts["store writes"] == 9
    assert counts["store reads"] <= 8
    assert counts["round trips to jrunner"] <= 15
