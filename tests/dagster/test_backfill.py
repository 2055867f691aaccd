"""Backfills as Dagster's pages launch them, through the real daemon: a month of days, its progress, a failure and a retry."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterEventType

from pipekit_dagster.serve.home import default_dagster_yaml
from pipekit_dagster.tags import TRIGGERED_BY_TAG
from pipekit_engine.models import Partition
from pipekit_web.server.auth import set_password
from tests.dagster.project import Project
from tests.dagster.served import PATIENCE_S, Served, serving
from tests.servers.chromium import CHROMIUM, Chromium

pytestmark = [pytest.mark.daemon, pytest.mark.slow, pytest.mark.timeout(900)]

ANNA = ("anna", "correct horse")
DAYS = [f"2024-01-{day:02}" for day in range(1, 32)]

_LAUNCH = (
    "mutation L($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params)"
    " { __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"
)
_AGAIN = (
    "mutation R($params: ReexecutionParams!) { reexecutePartitionBackfill(reexecutionParams: $params)"
    " { __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"
)
_LOOK = (
    "query B($id: String!) { partitionBackfillOrError(backfillId: $id) { __typename ... on PartitionBackfill { status"
    " runs(limit: 50) { runId status startTime endTime tags { key value } }"
    " assetBackfillData { assetBackfillStatuses { ... on AssetPartitionsStatusCounts {"
    " numPartitionsTargeted numPartitionsMaterialized numPartitionsFailed } } } } } }"
)


@contextmanager
def month(folder: Path) -> Iterator[Served]:
    """A server with a module of January's days; the 20th has a key twice."""
    project = Project(folder)
    project.sql(project.source, "CREATE TABLE t (id INTEGER, at TIMESTAMP)")
    rows = ", ".join(f"({number}, '{day} 10:00:00')" for number, day in enumerate([*DAYS, "2024-01-20"], 1))
    project.sql(project.source, f"INSERT INTO t VALUES {rows}")
    project.sql(project.source, "UPDATE t SET id = 20 WHERE id = 32")
    project.add_module(
        "days",
        query="SELECT id, at FROM t WHERE at >= '{partition_start}' AND at < '{partition_end}'",
        partition=Partition(by="day", start=DAYS[0], end="2024-02-01", column="at"),
        dedupe="error",
        merge_key="id",
    )
    text = default_dagster_yaml()
    limited = "key: dagster/backfill, value: {applyLimitPerUniqueValue: true}, limit: "
    assert text.count(f"{limited}3") == 1
    (project.home / "dagster.yaml").write_text(text.replace(f"{limited}3", f"{limited}1"))
    set_password(project.config, *ANNA)
    with serving(project, ANNA) as server:
        yield server


@pytest.fixture
def served(tmp_path: Path, java: str) -> Iterator[Served]:
    with month(tmp_path) as server:
        yield server


def launch(served: Served, days: list[str]) -> str:
    params = {"assetSelection": [{"path": ["dst", "days"]}], "partitionNames": days}
    answer = served.graphql(_LAUNCH, params=params)["launchPartitionBackfill"]
    assert answer["__typename"] == "LaunchBackfillSuccess", answer
    return str(answer["backfillId"])


def ended(served: Served, backfill: str) -> dict[str, Any]:
    """What Dagster says of a backfill once it has ended."""
    found: dict[str, Any] = {}

    def look() -> bool:
        found.update(served.graphql(_LOOK, id=backfill)["partitionBackfillOrError"])
        return found["status"] not in ("REQUESTED", "CANCELING", "FAILING")

    served.wait_for(look, f"the end of backfill {backfill}")
    return found


def counts(found: dict[str, Any]) -> tuple[int, int, int]:
    (status,) = found["assetBackfillData"]["assetBackfillStatuses"]
    return tuple(status[f"numPartitions{name}"] for name in ("Targeted", "Materialized", "Failed"))  # type: ignore[return-value]


def test_a_month_of_days(served: Served, tmp_path: Path) -> None:
    """One run for the whole range; it stops at the day that fails, and what is left is one run again."""
    first_id = launch(served, DAYS)
    first = ended(served, first_id)
    assert first["status"] == "COMPLETED_FAILED"
    (run,) = first["runs"]
    assert run["status"] == "FAILURE"
    assert {"key": TRIGGERED_BY_TAG, "value": "user:anna"} in run["tags"]
    assert counts(first) == (31, 19, 12)
    with served.project.store() as store:
        of_run = store.runs.list(dagster_run_id=run["runId"], limit=None)[::-1]
    assert [item.partition for item in of_run] == DAYS[:20]
    assert [item.status for item in of_run] == ["success"] * 19 + ["error"]
    assert {item.triggered_by for item in of_run} == {"user:anna"}
    with served.project.instance() as instance:
        told = instance.all_logs(run["runId"], of_type=DagsterEventType.ASSET_MATERIALIZATION)
    assert [entry.get_dagster_event().partition for entry in told] == DAYS[:19]
    ends = [item.finished_at.timestamp() for item in of_run if item.finished_at]
    assert all(entry.timestamp < end for entry, end in zip(told, ends[2:], strict=False)), (
        "each is told when it is there"
    )

    served.project.sql(served.project.source, "UPDATE t SET id = 320 WHERE rowid = 32")
    params = {"parentRunId": first_id, "strategy": "FROM_FAILURE"}
    answer = served.graphql(_AGAIN, params=params)["reexecutePartitionBackfill"]
    assert answer["__typename"] == "LaunchBackfillSuccess", answer
    second = ended(served, answer["backfillId"])
    assert (second["status"], counts(second)) == ("COMPLETED_SUCCESS", (12, 12, 0))
    (again,) = second["runs"]
    with served.project.store() as store:
        of_again = store.runs.list(dagster_run_id=again["runId"], limit=None)[::-1]
        assert [item.partition for item in of_again] == DAYS[19:]
        assert len(store.partitions.of("days")) == 31
    assert len(served.project.rows("days")) == 32

    # Two gaps are two runs; the limit of the configuration lets one backfill have one at a time.
    third = ended(served, launch(served, [*DAYS[:3], *DAYS[9:12]]))
    assert (third["status"], counts(third)) == ("COMPLETED_SUCCESS", (6, 6, 0))
    earlier, later = sorted(third["runs"], key=lambda item: item["startTime"])
    assert earlier["endTime"] <= later["startTime"]

    if CHROMIUM is not None:
        with Chromium(tmp_path / "profile") as browser:
            browser.log_in(served.url, *ANNA, within_s=PATIENCE_S)
            browser.open(f"{served.url}/runs/b/{first_id}")
            browser.await_text("Failed", "19", "12", within_s=PATIENCE_S)
            browser.screenshot(tmp_path / "backfill.png")
            browser.open(f"{served.url}/assets/dst/days?view=partitions")
            browser.await_text("Materialized", "31", within_s=PATIENCE_S)
            browser.screenshot(tmp_path / "partitions.png")
