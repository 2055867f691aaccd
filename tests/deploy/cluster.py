"""One server and some workers on a PostgreSQL and a broker, each as if on a host of its own."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import dagster as dg

from pipekit_dagster.serve.home import Home
from pipekit_engine.config import load_config
from pipekit_engine.databases.dialects import builtin_drivers
from pipekit_engine.models import NamedRecord
from pipekit_engine.store import Change, Store
from tests.dagster.project import kind_of
from tests.jars import JAR_FOLDERS
from tests.ports import lasting_port
from tests.servers.postgresql import PostgreSQLServer
from tests.servers.rabbitmq import RabbitMQServer
from tests.servers.redis import RedisServer

ROOT = Path(__file__).parents[2]
#: Seconds that anything may take. An idle machine needs some ten for the slowest: only what never comes is too late.
PATIENCE_S = 240.0
_SERVER = "import sys; from pipekit_dagster.serve import main; sys.exit(main('{host}', {port}))"
_WORKER = "import sys; from pipekit_dagster.serve import worker; sys.exit(worker())"


class Cluster:
    """Hosts by their names; `server` is the one that serves, all others are workers."""

    def __init__(
        self,
        folder: Path,
        database: PostgreSQLServer,
        broker: RedisServer | RabbitMQServer,
        state: str,
        dagster: str,
        *,
        at_once: int = 2,
        hub: str = "127.0.0.1",
    ) -> None:
        self.folder, self.database, self.broker, self.state = folder, database, broker, state
        #: Where all hosts reach the database.
        self._hub = hub
        self.port = lasting_port()
        self.address = "127.0.0.1"
        self._dagster, self._at_once = dagster, at_once
        self._started: dict[str, subprocess.Popen[bytes]] = {}
        Store.init(database.url(state))
        self.secrets_file({"PG_PASSWORD": database.password, "BROKER_PASSWORD": broker.password})

    def secrets_file(self, secrets: dict[str, str]) -> None:
        """Write the secrets that all hosts read."""
        file = self.folder / "secrets.env"
        file.write_text("".join(f"{key}='{value}'\n" for key, value in secrets.items()))
        file.chmod(0o600)

    @contextmanager
    def store(self) -> Iterator[Store]:
        """The open state store."""
        with Store.open(self.database.url(self.state)) as store:
            yield store

    def save(self, *records: NamedRecord) -> None:
        """Write definitions into the store."""
        with self.store() as store:
            given = (*builtin_drivers(), *records)
            store.definitions.save([Change("create", kind_of(each), each.name, each) for each in given])  # type: ignore[arg-type]

    def config_file(self, host: str) -> Path:
        """The configuration of a host, made when it is not there."""
        home = self.folder / host
        home.mkdir(exist_ok=True)
        file = home / "pipekit.yaml"
        login = f"username: {self.broker.user}, " if self.broker.user else ""
        if not file.exists():
            file.write_text(
                f"database: {self._url(self.state)}\ndagster_storage: {self._url(self._dagster)}\n"
                f"secrets: ../secrets.env\njars: {json.dumps([str(each) for each in JAR_FOLDERS])}\n"
                f"workers: {{broker: '{self.broker.url}', {login}password: $BROKER_PASSWORD, at_once: {self._at_once}}}\n"
            )
            file.chmod(0o600)
        return file

    def _url(self, database: str) -> str:
        return self.database.url(database).replace("127.0.0.1", self._hub)

    def as_host(self, host: str, command: list[str]) -> list[str]:
        """The command on a host: a name of its own, so that to the others its processes are those of another machine."""
        return ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', f"pk-{host}", *command]

    def command(self, host: str) -> list[str]:
        """What a host runs."""
        code = _SERVER.format(host=self.address, port=self.port) if host == "server" else _WORKER
        return [sys.executable, "-c", code]

    def environment(self, host: str) -> dict[str, str]:
        """What its processes find in theirs."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PIPEKIT_", "DAGSTER_"))}
        home = self.folder / host
        return kept | {
            "PYTHONPATH": str(ROOT),
            "PIPEKIT_CONFIG": str(self.config_file(host)),
            "DAGSTER_HOME": str(home / "dagster"),
            "PIPEKIT_TEST_HOST": str(home),
        }

    def start(self, *hosts: str) -> None:
        """Start hosts; the server answers when it returns."""
        for host in hosts:
            with self.log(host).open("ab") as log:
                self._started[host] = subprocess.Popen(
                    self.as_host(host, self.command(host)),
                    env=self.environment(host),
                    cwd=self.folder / host,
                    stdout=log,
                    stderr=log,
                )
        if "server" in hosts:
            self.wait(lambda: self.http("/health")[0] == 200, "the server")

    def log(self, host: str) -> Path:
        """What a host's processes printed."""
        return self.config_file(host).parent / "out.log"

    def pids(self, host: str) -> list[int]:
        """The processes of a host, whatever became of their parents. jrunner, which inherits little, ends with its own."""
        mark = f"PIPEKIT_TEST_HOST={self.folder / host}".encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it ends while it is looked at
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
        return found

    def kill(self, host: str) -> None:
        """The host vanishes: every process of it, at once."""
        while pids := self.pids(host):
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if host in self._started:
                self._started[host].poll()
            time.sleep(0.05)
        self._started.pop(host).wait()

    def close(self) -> None:
        """End all."""
        for host in list(self._started):
            self.kill(host)

    def http(self, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and JSON of the server's answer; 0 where there is none. With a body, a POST."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://{self.address}:{self.port}{path}", data, {"content-type": "application/json"}
        )
        try:
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    return answer.status, json.loads(answer.read())
            except urllib.error.HTTPError as error:
                return error.code, json.loads(error.read() or b"null")
        except (OSError, ValueError, http.client.HTTPException):
            return 0, None

    def run_group(self, group: str) -> str:
        """Ask for a run; its Dagster id."""
        status, answer = self.http(f"/api/groups/{group}/run", {})
        assert status == 202, answer
        return str(answer["dagster_run_id"])

    def run_module(self, module: str) -> str:
        """Ask for a run; its Dagster id."""
        status, answer = self.http(f"/api/modules/{module}/run", {})
        assert status == 202, answer
        return str(answer["dagster_run_id"])

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """Dagster's records."""
        home = Home.of(load_config(self.config_file("server")))
        before = dict(os.environ)
        os.environ.update({**home.environment(), "DAGSTER_HOME": str(self.folder / "server" / "dagster")})
        try:
            with dg.DagsterInstance.get() as instance:
                yield instance
        finally:
            os.environ.clear()
            os.environ.update(before)

    def wait(self, done: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> None:
        """Until `done`."""
        until = time.monotonic() + patience_s
        while not done():
            if time.monotonic() > until:
                logs = "".join(f"--- {host}\n{self.log(host).read_text()[-3000:]}" for host in self._started)
                raise AssertionError(f"{what} did not come within {patience_s:.0f} s\n{logs}")
            time.sleep(0.1)
