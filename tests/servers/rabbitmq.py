"""Debian's RabbitMQ for the tests: free ports, a node and an epmd of its own, all files in a folder of its own.

The wrapper in /usr/sbin changes to the user and folders of the system's service; the script that it calls takes all from the
environment, and runs as root as well. RabbitMQ does not start without Erlang's port mapper, and would leave one behind: here the
mapper is started first, and ends with the server.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pipekit_engine.demo.local_server import HOST, ServerProcess, ServerUnavailable, listens
from tests.ports import lasting_port
from tests.servers.certificates import Pair

_SCRIPT = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


class RabbitMQServer:
    """The server; `url` has no login in it. It keeps its queues when it is stopped, unless `forget` is asked for.

    The login `pipekit` has the rights that docs/howto/workers.md names, on the queues `pipekit` and `other`; `admin` may do all,
    `reader` read only, `stranger` nothing. All have the one password.
    """

    user = "pipekit"

    def __init__(
        self, folder: Path, *, vhost: str = "/", consumer_timeout_s: float = 1800, tls: Pair | None = None
    ) -> None:
        epmd = shutil.which("epmd")
        if not _SCRIPT.exists() or epmd is None:
            raise ServerUnavailable("rabbitmq-server was not found; on Debian: apt-get install rabbitmq-server")
        if find_spec("amqp") is None:
            raise ServerUnavailable("the Python package amqp was not found: pip install 'pipekit[celery]'")
        self.folder, self.vhost = folder / "rabbitmq", vhost
        self.folder.mkdir()
        self.port, self.tls_port, self._mapper_port, distribution = (lasting_port() for _ in range(4))
        self.password = secrets.token_urlsafe(16)
        self.url = f"amqp://{HOST}:{self.port}" + ("" if vhost == "/" else f"/{quote(vhost, safe='')}")
        self._mapper = ServerProcess(
            [epmd, "-port", str(self._mapper_port), "-address", HOST],
            log=self.folder / "epmd.log",
            answers=lambda: listens(self._mapper_port),
        )
        self._write_configuration(consumer_timeout_s, tls)
        self._environment = {
            "HOME": self.folder,
            "ERL_EPMD_PORT": self._mapper_port,
            "ERL_EPMD_ADDRESS": HOST,
            "RABBITMQ_NODENAME": f"pipekit{self.port}@localhost",
            "RABBITMQ_DIST_PORT": distribution,
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1",
            "RABBITMQ_CONF_ENV_FILE": self.folder / "none.conf",
            "RABBITMQ_CONFIG_FILE": self.folder / "rabbitmq.conf",
            "RABBITMQ_ADVANCED_CONFIG_FILE": self.folder / "advanced.config",
            "RABBITMQ_ENABLED_PLUGINS_FILE": self.folder / "enabled_plugins",
            "RABBITMQ_GENERATED_CONFIG_DIR": self.folder / "generated",
            "RABBITMQ_MNESIA_BASE": self.folder / "mnesia",
            "RABBITMQ_LOG_BASE": self.folder,
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": self.folder / "pid",
        }
        try:
            self.start()
        except ServerUnavailable:
            self._mapper.stop()
            raise

    def _write_configuration(self, consumer_timeout_s: float, tls: Pair | None) -> None:
        lines = [
            f"listeners.tcp.1 = {HOST}:{self.port}",
            f"load_definitions = {self.folder / 'definitions.json'}",
            f"consumer_timeout = {round(1000 * consumer_timeout_s)}",
            "disk_free_limit.absolute = 1MB",
            "log.console.level = warning",
        ]
        if tls is not None:
            lines += [
                f"listeners.ssl.1 = {HOST}:{self.tls_port}",
                f"ssl_options.cacertfile = {tls.cert}",
                f"ssl_options.certfile = {tls.cert}",
                f"ssl_options.keyfile = {tls.key}",
                "ssl_options.verify = verify_none",
            ]
        (self.folder / "rabbitmq.conf").write_text("\n".join(lines) + "\n")
        # How often a channel looks for deliveries that nobody has acknowledged: a minute, unless told.
        (self.folder / "advanced.config").write_text("[{rabbit, [{channel_tick_interval, 1000}]}].\n")
        (self.folder / "enabled_plugins").write_text("[].\n")
        queues = r"^(pipekit|other)(\.members)?$"
        rights = {
            self.user: (queues, rf"{queues}|^amq\.default$", queues),
            "admin": (".*", ".*", ".*"),
            "reader": ("^$", "^$", ".*"),
        }
        salt = secrets.token_bytes(4)
        hashed = base64.b64encode(salt + hashlib.sha256(salt + self.password.encode()).digest()).decode()
        definitions = {
            "users": [
                {
                    "name": name,
                    "password_hash": hashed,
                    "hashing_algorithm": "rabbit_password_hashing_sha256",
                    "tags": "",
                }
                for name in [*rights, "stranger"]
            ],
            "vhosts": [{"name": self.vhost}],
            "permissions": [
                {"user": name, "vhost": self.vhost, "configure": configure, "write": write, "read": read}
                for name, (configure, write, read) in rights.items()
            ],
        }
        (self.folder / "definitions.json").write_text(json.dumps(definitions))

    def start(self) -> None:
        """Start it; returns once it takes logins."""
        given = [f"{name}={value}" for name, value in self._environment.items()]
        self._process = ServerProcess(
            ["env", *given, str(_SCRIPT)], log=self.folder / "rabbitmq.log", answers=self._answers
        )

    def _answers(self) -> bool:
        with self.client():
            return True

    def pause(self, *, forget: bool = False) -> None:
        """Stop it until `start`; with `forget`, what is in its queues is lost, as with a host that is made anew."""
        self._process.stop()
        if forget:
            shutil.rmtree(self.folder / "mnesia")

    def stop(self) -> None:
        """Stop it for good."""
        self._process.stop()
        self._mapper.stop()

    def client(self) -> Any:
        """A connection of one that may do all, made by `with` or by its `connect()`."""
        import amqp

        return amqp.Connection(
            f"{HOST}:{self.port}", "admin", self.password, virtual_host=self.vhost, connect_timeout=5, read_timeout=5
        )

    def depth(self, queue: str) -> tuple[int, int]:
        """How many messages wait in a queue, and how many consumers it has."""
        with self.client() as client:
            found = client.channel().queue_declare(queue, passive=True)
        return found.message_count, found.consumer_count
