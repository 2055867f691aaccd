"""What the sender of runs does when its broker is away, and what is told of runs that a dead worker has taken."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import dagster as dg
import pytest

from pipekit_dagster.serve.home import default_dagster_yaml
from pipekit_dagster.workers.broker import broker_url
from pipekit_dagster.workers.dispatcher import Dispatcher, dispatcher
from pipekit_engine.common.processes import ProcessName
from pipekit_engine.config import Config, WorkersConfig, load_config
from pipekit_engine.errors import ConfigurationError
from pipekit_engine.security.secrets import Secrets
from pipekit_engine.store import Store
from tests.ports import lasting_port
from tests.servers.postgresql import PostgreSQLServer


@pytest.fixture
def config(postgresql: PostgreSQLServer, tmp_path: Path) -> Iterator[Config]:
    """A configuration whose broker does not answer."""
    (tmp_path / "secrets.env").write_text("BROKER='p@ss/word:1'\n")
    (tmp_path / "secrets.env").chmod(0o600)
    with postgresql.fresh_database() as state:
        Store.init(postgresql.url(state))
        workers = WorkersConfig(broker=f"redis://127.0.0.1:{lasting_port()}", password="$BROKER")
        yield Config(
            database=postgresql.url(state),
            dagster_storage="postgresql://u@h/dagster",
            secrets=tmp_path / "secrets.env",
            workers=workers,
        )


@pytest.mark.postgresql
def test_a_run_waits_for_its_broker_and_is_told_when_its_worker_died_before_it_began(config: Config) -> None:
    with ExitStack() as stack:
        instance = stack.enter_context(dg.DagsterInstance.ephemeral())
        store = stack.enter_context(Store.open(config.database_url))
        sender = Dispatcher(config)
        runs = [instance.create_run_for_job(_job, status=dg.DagsterRunStatus.STARTING) for _ in range(3)]
        for run in runs:
            sender.launch(instance, run)
        (event,) = instance.all_logs(runs[0].run_id)
        assert "The broker did not take it" in event.message
        assert "p@ss" not in event.message
        assert all(store.dispatches.is_open(run.run_id) for run in runs)

        dead, lost, ended = runs
        for run in (dead, ended):
            assert store.dispatches.claim(run.run_id)
        # A process of this host that is dead, and one of another that took its run long ago.
        _claimed_by(store, dead.run_id, ProcessName("elsewhere", "", 1, ""), 46)
        instance.report_run_canceled(ended)
        said = sender.tend(instance)
        assert said == [f"run {dead.run_id}: process 1 on elsewhere died before its first step"]
        told = instance.get_run_by_id(dead.run_id)
        assert told is not None
        assert told.status == dg.DagsterRunStatus.FAILURE
        assert store.dispatches.is_open(lost.run_id)
        assert [item.id for item in store.dispatches.taken()] == [dead.run_id]
        assert not sender.tend(instance)
        assert not store.dispatches.taken()


@pytest.mark.postgresql
def test_a_run_that_is_cancelled_before_it_is_sent_is_not_sent(config: Config) -> None:
    """Dagster says that a run starts before its launcher is called."""
    with dg.DagsterInstance.ephemeral() as instance, Store.open(config.database_url) as store:
        run = instance.create_run_for_job(_job, status=dg.DagsterRunStatus.STARTING)
        instance.report_run_canceling(run)
        Dispatcher(config).launch(instance, run)
        told = instance.get_run_by_id(run.run_id)
        assert told is not None
        assert told.status == dg.DagsterRunStatus.CANCELED
        assert not store.dispatches.is_open(run.run_id)


def _claimed_by(store: Store, run_id: str, worker: ProcessName, ago_s: int) -> None:
    with store._database.plain_write() as transaction:
        transaction.execute(
            "UPDATE dispatch SET claimed_by = :worker, claimed_s = claimed_s - :ago WHERE id = :id",
            {"worker": str(worker), "ago": ago_s, "id": run_id},
        )


@dg.op
def _nothing() -> None: ...


@dg.job
def _job() -> None:
    _nothing()


@pytest.mark.parametrize(
    ("broker", "url"),
    [
        ("redis://h", "redis://me:p%40ss%2Fword%3A1@h/0"),
        ("rediss://h:7/3", "rediss://me:p%40ss%2Fword%3A1@h:7/3"),
        ("amqp://h", "amqp://me:p%40ss%2Fword%3A1@h/%2F"),
        ("amqp://h:5672/", "amqp://me:p%40ss%2Fword%3A1@h:5672/%2F"),
        ("amqp://h//", "amqp://me:p%40ss%2Fword%3A1@h/%2F"),
        ("amqp://h/%2F", "amqp://me:p%40ss%2Fword%3A1@h/%2F"),
        ("amqps://[::1]/pipekit", "amqps://me:p%40ss%2Fword%3A1@[::1]/pipekit"),
        ("amqps://h/a/b%20c", "amqps://me:p%40ss%2Fword%3A1@h/a%2Fb%20c"),
    ],
)
def test_login_and_vhost_are_quoted(broker: str, url: str, tmp_path: Path) -> None:
    (tmp_path / "secrets.env").write_text("BROKER='p@ss/word:1'\n")
    (tmp_path / "secrets.env").chmod(0o600)
    config = Config(secrets=tmp_path / "secrets.env")
    workers = WorkersConfig(broker=broker, username="me", password="$BROKER")
    assert broker_url(workers, Secrets.of(config)) == url


@pytest.mark.parametrize(
    ("workers", "said"),
    [
        ("{broker: 'redis://:secret@h/0'}", "workers.broker: must be redis://HOST"),
        (
            "{broker: 'amqp://me:secret@h'}",
            "workers.broker: must be redis://HOST:PORT/NUMBER or amqp://HOST:PORT/VHOST",
        ),
        ("{broker: 'amqp://h/v?password=secret'}", "workers.broker: must be redis://HOST"),
        ("{broker: 'amqp://h:secret'}", "workers.broker: must be redis://HOST"),
        ("{broker: 'kafka://h'}", "workers.broker: must be redis://HOST"),
        ("{broker: 'amqp://h', password: $P}", "workers: .*`username` is needed with `password`"),
        ("{broker: 'redis://h', password: secret}", "workers.password: must be a \\$VAR reference"),
        ("{broker: 'redis://h', at_once: 0}", "workers.at_once"),
        ("{broker: 'redis://h'}", "`workers` need `database` and `dagster_storage` on PostgreSQL"),
    ],
)
def test_what_cannot_be_is_refused_without_its_password(workers: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "pipekit.yaml").write_text(f"workers: {workers}\n")
    with pytest.raises(ConfigurationError, match=said) as refused:
        load_config(tmp_path / "pipekit.yaml")
    assert "secret" not in str(refused.value).replace("pipekit secrets set", "")


def test_without_workers_nothing_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pipekit.yaml").write_text("database: pipekit.db\n")
    monkeypatch.setenv("PIPEKIT_CONFIG", str(tmp_path / "pipekit.yaml"))
    assert dispatcher() is None


def test_runs_that_wait_for_a_worker_are_not_given_up() -> None:
    text = default_dagster_yaml(shared=True, spread=True)
    assert "start_timeout_seconds: 86400" in text
    assert "max_concurrent_runs: 1000\n" in text
