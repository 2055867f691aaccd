"""A trigger whose query takes longer than Dagster waits."""

from __future__ import annotations

import pytest

from pipekit_dagster.sensors import _look
from pipekit_engine.errors import SourceError
from pipekit_engine.models import Trigger
from tests.dagster.project import Project
from tests.dagster.served import jrunners_of

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


def test_a_query_that_takes_too_long_is_ended_and_leaves_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dagster stops waiting for a sensor and asks again: the queries would pile up on the source."""
    project.add_module("one")
    project.add_group("nightly", ("one",))
    trigger = Trigger(name="changed", group="nightly", kind="watermark", connection="src", sql=ENDLESS)
    monkeypatch.setenv("DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS", "3")
    with project.store() as store, pytest.raises(SourceError, match=r"trigger changed took longer than 2 s"):
        _look(project.config, store, trigger)
    assert jrunners_of(project.folder) == []
