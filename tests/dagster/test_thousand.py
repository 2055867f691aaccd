"""A thousand modules in a hundred groups, whose schedules all fire in one minute of the clock, through the real daemon."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from pipekit_engine.models import Connection, Group, Module, Schedule
from pipekit_web.server.auth import set_password
from tests.dagster.project import Project
from tests.dagster.served import Served, serving
from tests.waiting import wait_until

pytestmark = [pytest.mark.daemon, pytest.mark.slow, pytest.mark.timeout(2400)]

GROUPS, MEMBERS = 100, 10
LOGIN = ("anna", "correct horse")
#: Until the minute comes the server must be up; the runs then wait in Dagster's queue.
STARTS_S, RUNS_S = 120, 1500


def fill(project: Project) -> datetime:
    """Save the groups, and the schedules of all for a minute that is soon; that minute."""
    for group in range(GROUPS):
        file = project.folder / f"dest{group}.db"
        project.sql(file, "VACUUM")
        project.save(Connection(name=f"d{group}", driver="sqlite", jdbc_url=f"jdbc:sqlite:{file}"))
    query = "SELECT id, name FROM numbers"
    project.save(
        *(
            Module(
                name=f"m{group}_{member}",
                source="src",
                dest=f"d{group}",
                query=query,
                dest_table=f"t{member}",
                strategy="full",
            )
            for group in range(GROUPS)
            for member in range(MEMBERS)
        )
    )
    project.save(
        *(
            Group(name=f"g{group}", layers=tuple((f"m{group}_{member}",) for member in range(MEMBERS)))
            for group in range(GROUPS)
        )
    )
    minute = (datetime.now(timezone.utc) + timedelta(seconds=STARTS_S)).replace(second=0, microsecond=0)
    cron = f"{minute.minute} {minute.hour} * * *"
    project.save(*(Schedule(name=f"s{group}", group=f"g{group}", cron=cron, timezone="UTC") for group in range(GROUPS)))
    return minute


@pytest.fixture
def crowd(tmp_path: Path, java: str) -> Iterator[tuple[Served, datetime]]:
    """The served project, and the minute that all wait for."""
    project = Project(tmp_path)
    minute = fill(project)
    set_password(project.config, *LOGIN)
    with serving(project, LOGIN) as served:
        yield served, minute


def test_all_fire_once(crowd: tuple[Served, datetime]) -> None:
    served, minute = crowd
    assert datetime.now(timezone.utc) < minute, "the server was not up in time"
    with served.project.store() as store:

        def ended() -> bool:
            time.sleep(1)
            found = store.group_runs.list(limit=2 * GROUPS)
            return len(found) >= GROUPS and all(run.status != "running" for run in found)

        wait_until(ended, "the end of all groups' runs", RUNS_S)
        time.sleep(70)  # whatever fires twice would have fired by now
        groups = store.group_runs.list(limit=2 * GROUPS)
        runs = store.runs.list(limit=None)
        assert Counter(run.group for run in groups) == {f"g{group}": 1 for group in range(GROUPS)}
        assert {run.status for run in groups} == {"success"}
        names = [f"m{group}_{member}" for group in range(GROUPS) for member in range(MEMBERS)]
        assert Counter(run.module for run in runs) == dict.fromkeys(names, 1)
        assert {run.status for run in runs} == {"success"}
        assert store.leases.all() == []
        first = min(run.started_at for run in runs)
        last = max(run.finished_at for run in runs if run.finished_at)
    for group in range(GROUPS):
        file = served.project.folder / f"dest{group}.db"
        counts = [served.project.sql(file, f"SELECT count(*) FROM t{member}") for member in range(MEMBERS)]
        assert counts == [[(3,)]] * MEMBERS
    print(
        f"first lock {(first - minute).total_seconds():.1f} s after the minute, last end {(last - minute).total_seconds():.1f} s"
    )
