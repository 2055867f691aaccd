"""What RabbitMQ needs other than Redis: its settings, a consumer that holds no message back, errors that name the fix.

RabbitMQ closes the channel of a consumer that leaves a message unacknowledged for `consumer_timeout`, half an hour unless the
server says otherwise, and a run may take longer. Since the row in the state store is what counts, and what nobody takes is sent
again, a message is acknowledged as soon as it has a place. It then no longer counts against a prefetch limit, which is what
keeps a worker with Redis from getting more than it has places for; `Places` does that here. A queue's own x-consumer-timeout
would need RabbitMQ 3.12 and, from 4.3 on, a quorum queue.
"""

from __future__ import annotations

import logging
import os
import ssl
import threading
import time
from collections import deque
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pipekit_engine.config import WorkersConfig

_log = logging.getLogger("pipekit.workers")
#: Seconds between two heartbeats. A consumer gives a server up that has been silent for two of them.
_HEARTBEAT_S = 8
#: Seconds between two attempts of a consumer to connect. SIGTERM is heard after them.
_PAUSE_S = 2.0
#: Seconds until the same trouble is told again.
_AGAIN_S = 60.0


def settings(workers: WorkersConfig, timeout_s: int, keepalive: Mapping[int, int]) -> dict[str, Any]:
    """Celery's settings. A server that is silent is given up after `timeout_s`, one that is gone as `keepalive` has it."""
    made: dict[str, Any] = {
        "broker_heartbeat": _HEARTBEAT_S,
        # A right that is missing may be given later; members at work must not end for it.
        "broker_channel_error_retry": True,
        "worker_enable_prefetch_count_reduction": False,
        "broker_transport_options": {
            # Without it a message that the server did not take would count as sent.
            "confirm_publish": True,
            "read_timeout": timeout_s,
            "write_timeout": timeout_s,
            "socket_settings": dict(keepalive),
        },
    }
    if workers.broker.startswith("amqps:"):
        # py-amqp compares the server's name with its certificate only when it is told the name.
        host = urlsplit(workers.broker).hostname
        made["broker_use_ssl"] = {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": host}
    return made


class Places:
    """The places of a consumer: it is subscribed to its queues while there is a free one.

    1. One message is delivered at a time, and the next when this one is acknowledged (a prefetch limit of 1).
    2. Who gives the last place away cancels the subscriptions before it acknowledges. RabbitMQ does what comes on a channel in
       its order, so that it delivers nothing in between.
    3. When a place gets free, the queues are subscribed to again.
    4. A message that comes when there is no place, because Celery subscribes whenever it has connected, is put back.

    The connection is used by the thread of Celery's event loop alone (`_settle`); places get free on any thread. A pipe wakes the
    loop: what it is given by `call_soon` while it does such calls waits for whatever comes next.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._guard = threading.Lock()
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(self._wake, False)
        self._consumer: Any = None
        #: Acknowledges messages, or puts them back.
        self._answers: deque[tuple[Any, Callable[[], None]]] = deque()

    def strategy(self, task: Any, app: Any, consumer: Any) -> Callable[..., None]:
        """What Celery gives the task's messages to, asked for whenever it has connected: its own, with a look for a place."""
        handle = import_module("celery.worker.strategy").default(task, app, consumer)
        consumer.initial_prefetch_count = 1
        self._consumer = consumer
        self._answers.clear()
        consumer.hub.add_reader(self._woken, self._settle)
        errors = consumer.connection_errors

        def take(message: Any, body: Any, ack: Any, reject: Any, callbacks: Any) -> None:
            if not self._take():
                self._answer(message, lambda: message.reject_log_error(_log, errors, requeue=True))
                return
            try:
                # Celery acknowledges late, when the work has ended: that is when the place is free again.
                handle(message, body, self._release, self._release, callbacks)
            except Exception:
                self._release()
                raise
            self._answer(message, lambda: message.ack_log_error(_log, errors))

        return take

    def _take(self) -> bool:
        with self._guard:
            found = self._free > 0
            self._free -= found
        return found

    def _release(self, *_: Any, **__: Any) -> None:
        with self._guard:
            self._free += 1
        self._call_settle()

    def _answer(self, message: Any, answer: Callable[[], None]) -> None:
        self._answers.append((message, answer))
        self._call_settle()

    def _call_settle(self) -> None:
        with suppress(BlockingIOError):  # full: it will be called
            os.write(self._wake, b".")

    def _settle(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._woken, 4096)
        consumer, tasks = self._consumer, self._consumer.task_consumer
        if tasks is None or consumer.connection is None or not consumer.connection.connected:
            return  # what was not acknowledged is delivered again by the next connection
        subscribed = any(tasks.consuming_from(queue) for queue in tasks.queues)
        if subscribed and self._free < 1:
            tasks.cancel()
        elif not subscribed and self._free > 0 and consumer.blueprint.state == import_module("celery.bootsteps").RUN:
            tasks.consume()
        while self._answers:
            message, answer = self._answers.popleft()
            if not message.acknowledged:
                answer()
        # A message may have come along with an answer of the server: over TLS the socket would not show it.
        with suppress(TimeoutError):
            while True:
                consumer.connection.drain_events(timeout=0)


def patiently(consumer: Any, workers: WorkersConfig) -> None:
    """Have a consumer of Celery say what keeps it from its queues, once a minute, and try again until it gets them.

    Celery itself ends when a login is refused, and members at work with it.
    """
    state = import_module("celery.worker.state")
    lost = consumer.on_connection_error_after_connected
    said: dict[str, float] = {}

    def say(error: BaseException) -> None:
        text, now = explained(error, workers), time.monotonic()
        if now - said.get(text, -_AGAIN_S) >= _AGAIN_S:
            _log.warning("%s Trying again every %.0f s.", text, _PAUSE_S)
            said[text] = now
        time.sleep(_PAUSE_S)

    def connect(connection: Any) -> Any:
        while True:
            state.maybe_shutdown()
            try:
                connection.connect()
                return connection
            except (*connection.connection_errors, *connection.channel_errors) as error:
                connection.collect()
                say(error)

    def after_connected(error: Exception) -> None:
        if isinstance(error, consumer.channel_errors):
            say(error)
        lost(error)

    consumer.ensure_connected = connect
    consumer.on_connection_error_after_connected = after_connected


#: What RabbitMQ or the client of it says, in part, and what mends it.
_FIXES = (
    (
        "Login was refused",
        "It refuses the login: check `workers.username`, and set the password that `workers.password` names "
        "with `pipekit secrets set`.",
    ),
    (
        "NOT_ALLOWED - vhost",
        "The vhost is not there: make it with `rabbitmqctl add_vhost`, or end `workers.broker` with the name of another.",
    ),
    (
        "NOT_ALLOWED - access to vhost",
        "The login may not use the vhost: give it its rights there with `rabbitmqctl set_permissions`.",
    ),
    (
        "ACCESS_REFUSED - access to",
        "The login lacks a right: give it configure, write and read on its queues, and write on amq.default, "
        "with `rabbitmqctl set_permissions`.",
    ),
    (
        "PRECONDITION_FAILED - inequivalent arg",
        "The queue was made by somebody else: delete it, or name another in `workers.queue`.",
    ),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "Its certificate is not trusted here: add its authority to the system's, and name the host in `workers.broker` "
        "as the certificate does.",
    ),
    ("[SSL", "It does not speak TLS on this port: amqp:// goes without, and the port for amqps:// is 5671 by default."),
    ("Connection refused", "Nothing listens there: start it, or correct host and port of `workers.broker`."),
)
_SOMETHING_ELSE = "Is it RabbitMQ? Check host and port of `workers.broker`; a port for TLS needs amqps://."


def explained(error: BaseException, workers: WorkersConfig) -> str:
    """What went wrong between us and RabbitMQ, and what mends it: sentences."""
    found = str(error)
    if isinstance(error.__cause__, TimeoutError) or isinstance(error, TimeoutError):
        found = "no answer in time"
    fix = next((fix for part, fix in _FIXES if part in found), _SOMETHING_ELSE)
    return f"RabbitMQ at {workers.broker}: {found.rstrip('.')}. {fix}"
