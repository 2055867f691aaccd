"""RabbitMQ as the broker: logins, names and places, with a real one whose patience with a message is short."""

from __future__ import annotations

import http.server
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from kombu.pools import reset

from pipekit_dagster.workers.broker import Broker
from pipekit_engine.config import Config, load_config
from pipekit_engine.demo.local_server import HOST, ServerUnavailable
from tests.conftest import unavailable
from tests.ports import lasting_port
from tests.servers.certificates import Authority
from tests.servers.rabbitmq import RabbitMQServer

#: The server with its Erlang is 34 MB to fetch, and takes six seconds to start: `make test-slow` has it.
pytestmark = pytest.mark.slow
#: Seconds that the server waits for an acknowledgement, and those of a run that takes longer, with what a look at it may take.
TIMEOUT_S, LONG_S = 4, 9
#: A vhost whose name needs quoting in each of the ways in which names do.
VHOST = "pipe kit/é%2F"
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "pipekit tests")


@pytest.fixture(scope="module")
def server(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQServer]:
    pair = authority.sign("rabbitmq", hosts="DNS:localhost")
    try:
        made = RabbitMQServer(tmp_path_factory.mktemp("server"), vhost=VHOST, consumer_timeout_s=TIMEOUT_S, tls=pair)
    except ServerUnavailable as error:
        unavailable(str(error))
    yield made
    made.stop()


@pytest.fixture
def fresh(server: RabbitMQServer) -> RabbitMQServer:
    """The server without queues, to which nobody is connected."""
    reset()  # the process keeps connections, and remembers which queues there are
    with server.client() as client:
        for name in ("pipekit", "pipekit.members", "other"):
            client.channel().queue_delete(name)
    return server


def _config(folder: Path, server: RabbitMQServer, broker: str | None = None, username: str = "pipekit") -> Config:
    """A configuration as of a file, whose password is that of the server unless there is another one already."""
    if not (folder / "secrets.env").exists():
        (folder / "secrets.env").write_text(f"BROKER='{server.password}'\n")
        (folder / "secrets.env").chmod(0o600)
    (folder / "pipekit.yaml").write_text(
        "database: postgresql://u@h/p\ndagster_storage: postgresql://u@h/d\nsecrets: secrets.env\n"
        f"workers: {{broker: '{broker or server.url}', username: {username}, password: $BROKER}}\n"
    )
    return load_config(folder / "pipekit.yaml")


_CONSUMER = """
import logging, os, sys, time
from pipekit_dagster.workers.broker import Broker
from pipekit_engine.config import load_config

def work(id_):
    os.write(1, f"begins {id_}\\n".encode())  # one call: print of several threads mixes lines
    time.sleep(float(id_.rpartition(":")[2]))
    os.write(1, f"ends {id_}\\n".encode())

logging.basicConfig(format="%(name)s: %(message)s", stream=sys.stderr)
Broker(load_config()).consume(work, sys.argv[2:], int(sys.argv[1]))
"""


class Consumer:
    """A process that takes messages `name:SECONDS`, and is at work for so long."""

    def __init__(self, folder: Path, name: str, *queues: str, at_once: int = 1, **environment: str) -> None:
        self._output = folder / f"{name}.log"
        env = {**os.environ, "PIPEKIT_CONFIG": str(folder / "pipekit.yaml"), **environment}
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _CONSUMER, str(at_once), *(queues or ("pipekit",))],
                env=env,
                stdout=output,
                stderr=output,
            )

    def said(self, word: str) -> list[str]:
        """The ids that it has begun, or ended, in that order."""
        return [line.split()[1] for line in self.output().splitlines() if line.split()[:1] == [word]]

    def output(self) -> str:
        """All that it has printed."""
        return self._output.read_text()

    def stop(self) -> int:
        """Stop it as systemd does; its exit status."""
        self._process.terminate()
        return self._process.wait(PATIENCE_S)

    def kill(self) -> None:
        """End it, however it is."""
        self._process.kill()
        self._process.wait()


@contextmanager
def _consumers(*made: Consumer) -> Iterator[None]:
    with ExitStack() as stack:
        for each in made:
            stack.callback(each.kill)
        yield


def _wait(done: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_runs_longer_than_the_server_waits_for_an_acknowledgement_run_once(
    fresh: RabbitMQServer, tmp_path: Path
) -> None:
    broker = Broker(_config(tmp_path, fresh))
    consumer = Consumer(tmp_path, "c", at_once=2)
    with _consumers(consumer):
        for id_ in (f"a:{LONG_S}", f"b:{LONG_S}", "c:0", "d:0"):
            broker.send(id_, "pipekit")
        _wait(lambda: len(consumer.said("ends")) == 4)
        assert sorted(consumer.said("begins")) == [f"a:{LONG_S}", f"b:{LONG_S}", "c:0", "d:0"]
        assert fresh.depth("pipekit") == (0, 1)
        assert consumer.stop() == 0
        assert "lost" not in consumer.output()
        assert fresh.password not in consumer.output()


def test_a_consumer_that_is_full_holds_nothing_that_another_can_take(fresh: RabbitMQServer, tmp_path: Path) -> None:
    broker = Broker(_config(tmp_path, fresh))
    first = Consumer(tmp_path, "first", "pipekit", "other", at_once=2)
    with _consumers(first):
        for n in range(2):
            broker.send(f"long{n}:600", "pipekit")
        _wait(lambda: len(first.said("begins")) == 2)
        for queue in ("pipekit", "other"):
            for n in range(3):
                broker.send(f"{queue}{n}:0", queue)
        time.sleep(1)
        assert (fresh.depth("pipekit"), fresh.depth("other")) == ((3, 0), (3, 0))
        second = Consumer(tmp_path, "second", "pipekit", "other", at_once=2)
        with _consumers(second):
            _wait(lambda: len(second.said("ends")) == 6)
        assert len(first.said("begins")) == 2


def test_after_a_restart_of_the_server_it_is_used_again_by_all(fresh: RabbitMQServer, tmp_path: Path) -> None:
    broker = Broker(_config(tmp_path, fresh))
    full = Consumer(tmp_path, "full")
    with _consumers(full):
        broker.send("long:600", "pipekit")
        _wait(lambda: full.said("begins"))
        other = Consumer(tmp_path, "other")
        with _consumers(other):
            broker.send("before:0", "pipekit")
            _wait(lambda: other.said("ends"))
            time.sleep(1)  # the acknowledgement may be on its way, and the message would come again
            for forget in (False, True):
                fresh.pause(forget=forget)
                with pytest.raises(Exception, match="refused") as refused:
                    broker.send("away:0", "pipekit")
                assert "Nothing listens there" in broker.explained(refused.value)
                fresh.start()
                for n in range(10):
                    broker.send(f"after{forget}{n}:0", "pipekit")
                _wait(lambda: f"after{forget}9:0" in other.said("ends"))  # noqa: B023
                # What the full one is given when it has connected, it puts back.
                _wait(lambda: fresh.depth("pipekit") == (0, 1))
            assert len(other.said("ends")) == 21
            assert full.said("begins") == ["long:600"]
            assert "Traceback" not in full.output() + other.output()


def test_over_tls_the_name_in_the_certificate_counts(
    fresh: RabbitMQServer, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"amqps://localhost:{fresh.tls_port}/{quote(VHOST, safe='')}"
    config = _config(tmp_path, fresh, url)
    with pytest.raises(Exception, match="CERTIFICATE_VERIFY_FAILED") as refused:
        Broker(config).send("a:0", "pipekit")
    assert "Its certificate is not trusted here" in Broker(config).explained(refused.value)
    monkeypatch.setenv("SSL_CERT_FILE", authority.ca)
    consumer = Consumer(tmp_path, "c")
    with _consumers(consumer):
        broker = Broker(config)
        for n in range(5):
            broker.send(f"{n}:0.2", "pipekit")
        _wait(lambda: len(consumer.said("ends")) == 5)
    with pytest.raises(Exception, match="CERTIFICATE_VERIFY_FAILED"):
        Broker(_config(tmp_path, fresh, url.replace("localhost", HOST))).send("a:0", "pipekit")


#: Username, password where it is not that of the server, vhost -> what is said of it.
REFUSED = {
    ("pipekit", "wr0ng", VHOST): "It refuses the login: check `workers.username`, and set the password",
    ("nobody", "", VHOST): "It refuses the login",
    ("pipekit", "", "nowhere"): "vhost nowhere not found. The vhost is not there: make it",
    ("stranger", "", VHOST): "The login may not use the vhost",
    ("reader", "", VHOST): "The login lacks a right: give it configure, write and read on its queues",
}


def _refused(folder: Path, server: RabbitMQServer, username: str, password: str, vhost: str) -> Config:
    if password:
        (folder / "secrets.env").write_text(f"BROKER='{password}'\n")
        (folder / "secrets.env").chmod(0o600)
    return _config(folder, server, f"amqp://{HOST}:{server.port}/{quote(vhost, safe='')}", username)


@pytest.mark.parametrize(("username", "password", "vhost"), REFUSED)
def test_what_is_refused_is_told_with_its_fix(
    username: str, password: str, vhost: str, fresh: RabbitMQServer, tmp_path: Path
) -> None:
    broker = Broker(_refused(tmp_path, fresh, username, password, vhost))
    with pytest.raises(Exception, match=r"\d") as refused:
        broker.send("a:0", "pipekit")
    assert REFUSED[username, password, vhost] in broker.explained(refused.value)
    for secret in (fresh.password, password or fresh.password):
        assert secret not in broker.explained(refused.value) + repr(refused.value)


@pytest.mark.parametrize(("username", "password", "vhost"), [next(iter(REFUSED)), list(REFUSED)[-1]])
def test_a_consumer_that_is_refused_says_why_once_and_waits(
    username: str, password: str, vhost: str, fresh: RabbitMQServer, tmp_path: Path
) -> None:
    """Members at work ended when Celery ended: a login may be mended."""
    said = REFUSED[username, password, vhost]
    _refused(tmp_path, fresh, username, password, vhost)
    consumer = Consumer(tmp_path, "c")
    with _consumers(consumer):
        _wait(lambda: said in consumer.output())
        time.sleep(3)
        assert consumer.stop() == 0
        assert consumer.output().count(said) == 1
        assert "Traceback" not in consumer.output()
        assert (password or fresh.password) not in consumer.output()


def test_a_queue_that_somebody_else_has_made_is_told(fresh: RabbitMQServer, tmp_path: Path) -> None:
    with fresh.client() as client:
        client.channel().queue_declare("pipekit", durable=False, auto_delete=False)
    broker = Broker(_config(tmp_path, fresh))
    with pytest.raises(Exception, match="inequivalent") as refused:
        broker.send("a:0", "pipekit")
    assert "The queue was made by somebody else" in broker.explained(refused.value)


def _http() -> tuple[int, Callable[[], None]]:
    server = http.server.ThreadingHTTPServer((HOST, 0), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port, lambda: (server.shutdown(), server.server_close())[0]


def _silent() -> tuple[int, Callable[[], None]]:
    listener = socket.create_server((HOST, 0))
    return int(listener.getsockname()[1]), listener.close


@pytest.mark.parametrize("what", ["http", "silent", "tls", "plain", "nothing"])
def test_another_server_on_the_port_is_told(what: str, fresh: RabbitMQServer, tmp_path: Path) -> None:
    with ExitStack() as stack:
        port, scheme = lasting_port(), "amqp"
        if what in ("http", "silent"):
            port, close = _http() if what == "http" else _silent()
            stack.callback(close)
        elif what == "tls":
            port = fresh.tls_port
        elif what == "plain":
            port, scheme = fresh.port, "amqps"
        broker = Broker(_config(tmp_path, fresh, f"{scheme}://{HOST}:{port}"))
        with pytest.raises(Exception, match=r"\w") as refused:
            broker.send("a:0", "pipekit")
        text = broker.explained(refused.value)
        assert text.startswith(f"RabbitMQ at {scheme}://{HOST}:{port}: ")
        assert {
            "plain": "It does not speak TLS on this port",
            "nothing": "Nothing listens there",
        }.get(what, "Is it RabbitMQ? Check host and port") in text
        assert fresh.password not in text + repr(refused.value)
