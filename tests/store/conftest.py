"""The same store tests on an SQLite file and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipekit_engine.databases.dialects import builtin_drivers
from pipekit_engine.models import Connection, Group, Module, Schedule, Trigger
from pipekit_engine.store import Change, Store


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a place for a new state store."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/pipekit.db"
        return
    server = request.getfixturevalue("postgresql")
    with server.fresh_database() as database:
        yield server.url(database)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """A store with one module, one group, one schedule and one trigger."""
    Store.init(url)
    with Store.open(url) as store:
        records = [
            ("drivers", builtin_drivers()[0]),
            ("connections", Connection(name="c", driver="sqlite", jdbc_url="jdbc:sqlite:/tmp/x.db")),
            ("modules", Module(name="m", source="c", dest="c", query="SELECT 1", dest_table="t", strategy="full")),
            ("groups", Group(name="g", layers=(("m",),))),
            ("schedules", Schedule(name="s", group="g", cron="0 2 * * *")),
            ("triggers", Trigger(name="t", group="g", kind="watermark", connection="c", sql="SELECT 1")),
        ]
        store.definitions.save([Change("create", kind, record.name, record) for kind, record in records])  # type: ignore[arg-type, attr-defined]
        yield store
