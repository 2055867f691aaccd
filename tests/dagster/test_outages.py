"""A run's process while Dagster's storage, a PostgreSQL, is away and comes back."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster_postgres import PostgresEventLogStorage, PostgresRunStorage
from sqlalchemy.exc import OperationalError

from pipekit_dagster.dagster_internals.outages import outlast_outages
from tests.servers.postgresql import PostgreSQLServer

AWAY_S = 12.0
#: What is cut off, each once.
KINDS = {"STEP_SUCCESS", "PIPELINE_SUCCESS", "ASSET_MATERIALIZATION"}


@pytest.fixture
def database(postgresql: PostgreSQLServer) -> Iterator[str]:
    with postgresql.fresh_database() as name:
        yield name


@pytest.fixture
def instance(postgresql: PostgreSQLServer, database: str, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An instance whose records are in a PostgreSQL."""
    login = f"{postgresql.user}:{postgresql.password}@{postgresql.host}:{postgresql.port}"
    url = f"postgresql+psycopg2://{login}/{database}"
    settings = f"storage:\n  postgres:\n    postgres_url: {url}\ntelemetry:\n  enabled: false\n"
    (tmp_path / "dagster.yaml").write_text(settings)
    with dg.DagsterInstance.from_config(str(tmp_path)) as made:
        yield made


@pytest.fixture
def outlasting() -> Iterator[None]:
    """`outlast_outages`, for a test."""
    before = [(storage, dict(vars(storage))) for storage in (PostgresEventLogStorage, PostgresRunStorage)]
    outlast_outages()
    yield
    for storage, attributes in before:
        for name in set(vars(storage)) - set(attributes):
            delattr(storage, name)
        for name, value in attributes.items():
            if vars(storage)[name] is not value:
                setattr(storage, name, value)


@contextmanager
def away(server: PostgreSQLServer, database: str) -> Iterator[None]:
    """Nobody gets into the database, and who was in it is out."""
    server.sql("postgres", f"ALTER DATABASE {database} ALLOW_CONNECTIONS false")
    server.sql("postgres", f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'")
    try:
        yield
    finally:
        server.sql("postgres", f"ALTER DATABASE {database} ALLOW_CONNECTIONS true")


def events(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    return [
        record.event_log_entry.dagster_event.event_type_value
        for record in instance.get_records_for_run(run_id).records
        if record.event_log_entry.dagster_event is not None
    ]


def test_a_run_waits_for_its_storage(
    postgresql: PostgreSQLServer, database: str, instance: dg.DagsterInstance, outlasting: None
) -> None:
    """Longer than Dagster itself tries, which is some seconds."""
    gone = threading.Event()

    def hold() -> None:
        with away(postgresql, database):
            gone.set()
            time.sleep(AWAY_S)

    outage = threading.Thread(target=hold)

    @dg.op
    def works() -> None:
        outage.start()
        gone.wait(30)

    @dg.job
    def nightly() -> None:
        works()

    done = nightly.execute_in_process(instance=instance)
    outage.join()
    run = instance.get_run_by_id(done.run_id)
    assert run is not None
    assert run.status == dg.DagsterRunStatus.SUCCESS
    told = events(instance, done.run_id)
    assert told.count("STEP_SUCCESS") == told.count("PIPELINE_SUCCESS") == 1


@pytest.mark.parametrize("reached", [True, False])
def test_an_event_whose_writing_was_cut_off_is_there_once(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, reached: bool
) -> None:
    store_event = PostgresEventLogStorage.store_event
    cut: list[str] = []

    def cut_off(self: PostgresEventLogStorage, event: Any) -> None:
        told = event.dagster_event
        if told is not None and told.event_type_value in KINDS and told.event_type_value not in cut:
            cut.append(told.event_type_value)
            if reached:
                store_event(self, event)
            raise OperationalError("INSERT", {}, Exception("server closed the connection unexpectedly"))
        store_event(self, event)

    monkeypatch.setattr(PostgresEventLogStorage, "store_event", cut_off)
    request.getfixturevalue("outlasting")

    @dg.op
    def works() -> None:
        dg.OpExecutionContext.get().log_event(dg.AssetMaterialization("orders"))

    @dg.job
    def nightly() -> None:
        works()

    done = nightly.execute_in_process(instance=instance)
    told = events(instance, done.run_id)
    assert set(cut) == KINDS
    # What was written of an asset's event before it was cut off is not known: it is written again.
    assert {kind for kind in KINDS if told.count(kind) > 1} == ({"ASSET_MATERIALIZATION"} if reached else set())
    assert instance.get_latest_materialization_event(dg.AssetKey("orders")) is not None
