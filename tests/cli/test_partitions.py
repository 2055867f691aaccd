"""`partitions` and `backfill` as commands: a year of days in one process and one JVM, and one that is killed on its way."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.conftest import COMMAND, TIMEOUT_S, Project
from tests.waiting import wait_until

DAYS = """\
modules:
  days:
    source: src
    dest: dw
    query: SELECT id, at FROM days WHERE at >= '{partition_start}' AND at < '{partition_end}'
    dest_table: days
    strategy: full
    partition: {by: day, start: 2023-01-01, end: 2024-01-01, column: at}
"""


@pytest.fixture
def days(project: Project) -> Project:
    """A project with a row for each hour of a year, and a module with partitions by day."""
    with closing(sqlite3.connect(project.folder / "src.db")) as source, source:
        source.execute("CREATE TABLE days (id INTEGER, at TIMESTAMP)")
        source.execute(
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 365 * 24 - 1) "
            "INSERT INTO days SELECT i, datetime('2023-01-01', '+' || i || ' hours') FROM n"
        )
    project.write("days.yaml", DAYS)
    assert project.look("apply", "days.yaml").status == 0
    return project


def _below(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(child) for child in task.read_text().split()]
        except OSError:
            continue
        for child in children:
            yield child
            yield from _below(child)


def test_a_backfill_that_is_killed_goes_on_where_it_stood(days: Project) -> None:
    span = ["--from", "2023-03-20", "--to", "2023-04-20"]
    process = subprocess.Popen([*COMMAND, "backfill", "days", *span], cwd=days.folder, env=days.environment())
    wait_until(lambda: "filled" in days.look("partitions", "days").out, "a partition is filled")
    os.kill(process.pid, signal.SIGKILL)
    process.wait(TIMEOUT_S)
    there = days.rows("SELECT date(at), count(*) FROM days GROUP BY 1", "dw.db")
    assert {count for _, count in there} == {24}, "each day is whole, or not there"
    again = days("backfill", "days", *span)
    assert again.status == 0, again.err
    assert "filled before" in again.out
    assert days.rows("SELECT count(*), count(DISTINCT id) FROM days", "dw.db") == [(32 * 24, 32 * 24)]
    shown = days.look("partitions", "days", "--missing", "--json").json
    assert len(shown) == 365 - 32
    assert "32 of 365 days" in days.look("modules").out
    assert days.look("backfill", "copy").status == 2
    assert "has no partitions" in days.look("partitions", "copy").err


@pytest.mark.slow
def test_a_year_of_days_is_one_process_and_one_jvm(days: Project) -> None:
    started, seen = time.monotonic(), set()
    process = subprocess.Popen([*COMMAND, "backfill", "days"], cwd=days.folder, env=days.environment())
    while process.poll() is None:
        seen.update(_below(process.pid))
        time.sleep(0.01)
    assert process.returncode == 0
    print(f"a year of days: {time.monotonic() - started:.1f} s, {len(seen)} processes beside the command")
    assert days.rows("SELECT count(*), count(DISTINCT id) FROM days", "dw.db") == [(365 * 24, 365 * 24)]
    assert days.rows("SELECT count(*), count(DISTINCT partition) FROM run_log", "pipekit.db") == [(365, 365)]
    # The JVM, its guardian, and what looks at the machine at the start; nothing for each partition.
    assert len(seen) <= 4
