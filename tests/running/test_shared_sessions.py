"""Modules of one group share a jrunner and its connections: what one leaves there must not reach the next."""

from __future__ import annotations

import pytest

from pipekit_engine.errors import ConfigurationError, HookError
from pipekit_engine.models import Hook
from tests.running.workbench import Workbench


@pytest.mark.parametrize("fails", ["never", "in a hook", "before the merge"])
def test_a_hooks_settings_end_with_its_run(pg_bench: Workbench, fails: str) -> None:
    """`SET search_path` in a hook sent the next module's rows into another schema's table of the same name."""
    bench = pg_bench
    bench.source("CREATE TABLE t (id INTEGER)")
    bench.fill("t", [(1,)])
    bench.execute("CREATE TABLE t (id INTEGER)", "CREATE SCHEMA other", "CREATE TABLE other.t (id INTEGER)")
    settings = "-- for what follows\nSET search_path = other" + ("; SELECT 1 / 0" if fails == "in a hook" else "")
    query = "SELECT id FROM t" + (" WHERE id = {gone}" if fails == "before the merge" else "")
    bench.module("first", query=query, hooks=[Hook(run_on="always", sql=settings)], strategy="append")
    bench.module("second")
    bench.module("third", hooks=[Hook(run_on="success", sql="UPDATE t SET id = id + 1; DELETE FROM other.t")])
    if fails == "in a hook":
        with pytest.raises(HookError, match="division by zero"):
            bench.run("first")
    elif fails == "before the merge":
        with pytest.raises(ConfigurationError, match="gone"):
            bench.run("first")
    else:
        bench.run("first")
    for name, expected in (("second", "1"), ("third", "2")):
        bench.run(name)
        assert bench.rows("SELECT id FROM public.t") == [(expected,)]
        assert bench.rows("SELECT id FROM other.t") == []
    assert bench.staging_left() == []
