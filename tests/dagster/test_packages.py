"""`pipekit serve` without a package that one of its services needs."""

from __future__ import annotations

import pytest

from pipekit_dagster.serve import supervisor
from pipekit_engine.config import Config, WorkersConfig
from pipekit_engine.errors import RuntimeMissing


@pytest.mark.parametrize(
    ("package", "extra"),
    [
        ("dagster_webserver", "dagster"),
        ("fastapi", "dagster"),
        ("dagster_postgres", "hosts"),
        ("dagster_celery", "celery"),
        ("redis", "celery"),
        ("amqp", "celery"),
    ],
)
def test_it_says_what_to_install_before_anything_is_started(
    monkeypatch: pytest.MonkeyPatch, package: str, extra: str
) -> None:
    """The services died of it again and again, a traceback each."""
    monkeypatch.setattr(supervisor, "find_spec", lambda name: None if name == package else object())
    config = Config(
        database="postgresql://u@h/p",
        dagster_storage="postgresql://u@h/d",
        workers=WorkersConfig(broker="amqp://h" if package == "amqp" else "redis://h") if extra == "celery" else None,
    )
    with pytest.raises(RuntimeMissing, match=rf"needs {package}\. .*pip install 'pipekit\[{extra}\]'"):
        supervisor.serve(config)
    if package == "dagster_postgres":
        supervisor._refuse_missing_packages(Config())
