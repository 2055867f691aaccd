"""The Celery application. It is made by dagster-celery, from pipekit's configuration instead of Dagster's.

The password stays inside the process: it is in no argument, no environment and nothing that Dagster stores.
"""

from __future__ import annotations

import socket
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from pipekit_dagster.workers import rabbitmq
from pipekit_engine.errors import RuntimeMissing
from pipekit_engine.security.secrets import Secrets

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipekit_engine.config import Config, WorkersConfig

#: Tag of a run that names another queue than the configuration's; dagster-celery's own name for it.
QUEUE_TAG = "dagster-celery/queue"
#: The one task, whose argument is the id of a run.
_TASK = "pipekit_run"
#: Seconds that the broker may take to answer.
_TIMEOUT_S = 5
#: A peer that is silently gone is noticed within some twenty seconds: idle + interval x count.
_KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 3, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 20_000}
#: A connection that the server has closed meanwhile is noticed when it is used.
_ONCE_MORE = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}


def broker_url(workers: WorkersConfig, secrets: Secrets) -> str:
    """The broker's URL with its login. Raises SecretError when the password is not set."""
    password = secrets.resolve(workers.password) if workers.password is not None else ""
    login = (
        f"{quote(workers.username or '', safe='')}:{quote(password, safe='')}@" if password or workers.username else ""
    )
    parts = urlsplit(workers.broker)
    path = parts.path or "/0"
    if workers.is_rabbitmq:
        # The name of a vhost may hold any character, and that of the first one is a slash.
        path = f"/{quote(unquote(parts.path[1:]) or '/', safe='')}"
    return f"{parts.scheme}://{login}{parts.netloc}{path}"


class Broker:
    """The queues of one broker. Raises RuntimeMissing without the packages, SecretError without its password."""

    def __init__(self, config: Config) -> None:
        assert config.workers is not None, "only where runs are spread"
        try:
            # Not by `import`: the package is optional, and its types say nothing.
            make_app = import_module("dagster_celery.make_app").make_app
        except ModuleNotFoundError as error:
            raise RuntimeMissing(
                f"`workers` in the configuration need {error.name}. Install it with: pip install 'pipekit[celery]'"
            ) from None
        url = broker_url(config.workers, Secrets.of(config))
        self._workers = config.workers
        self.app: Any = make_app({"broker": url, "backend": None})
        self.app.conf.update(
            # Messages are ids: nothing that is read from the broker is more than text.
            accept_content=["json"],
            task_ignore_result=True,
            task_acks_late=True,
            worker_prefetch_multiplier=1,
            task_routes=None,
            task_queue_max_priority=None,
            task_default_priority=None,
            broker_connection_timeout=_TIMEOUT_S,
            broker_connection_retry_on_startup=True,
            broker_connection_max_retries=None,
            # The queue of commands to workers: whoever gets into the broker could end them by it.
            worker_enable_remote_control=False,
            # Whoever logs, logs as pipekit does.
            worker_hijack_root_logger=False,
            worker_redirect_stdouts=False,
        )
        keepalive = {getattr(socket, name): value for name, value in _KEEPALIVE.items() if hasattr(socket, name)}
        if config.workers.is_rabbitmq:
            self.app.conf.update(rabbitmq.settings(config.workers, 3 * _TIMEOUT_S, keepalive))
        else:
            self.app.conf.broker_transport_options = {
                "socket_connect_timeout": _TIMEOUT_S,
                "socket_timeout": 3 * _TIMEOUT_S,
                "socket_keepalive": True,
                "socket_keepalive_options": keepalive,
            }

    def send(self, id_: str, queue: str) -> None:
        """Put an id into a queue. Raises what kombu raises when the broker does not answer: see `explained`."""
        # Redis' client notices by itself that a server has been restarted since the last message.
        retry = {"retry": True, "retry_policy": _ONCE_MORE} if self._workers.is_rabbitmq else {"retry": False}
        self.app.send_task(_TASK, args=[id_], queue=queue, ignore_result=True, **retry)

    def explained(self, error: Exception) -> str:
        """What an error of `send` means, in sentences. A secret may stand in it."""
        if self._workers.is_rabbitmq:
            return rabbitmq.explained(error, self._workers)
        return f"{str(error) or type(error).__name__}."

    def consume(self, work: Callable[[str], None], queues: list[str], at_once: int) -> None:
        """Give the ids in these queues to `work`, `at_once` side by side, until SIGTERM. A broker that is away is waited for."""
        queue = import_module("kombu").Queue
        self.app.conf.task_queues = [queue(name, routing_key=name) for name in queues]
        self.app.conf.task_default_queue = queues[0]
        options = {"Strategy": rabbitmq.Places(at_once).strategy} if self._workers.is_rabbitmq else {}
        self.app.task(name=_TASK, **options)(work)
        worker = self.app.Worker(
            pool="threads",
            concurrency=at_once,
            loglevel="WARNING",
            quiet=True,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,  # that of Celery, a message of its own; a connection's goes on
        )
        if self._workers.is_rabbitmq:
            rabbitmq.patiently(worker.consumer, self._workers)
        worker.start()
