"""Two hosts on one PostgreSQL: one leads, locks hold, nothing runs twice, and the one that is left ends what the other left.

deploy/two-hosts/two-hosts.sh starts two real servers. As root each has a host name of its own, so that to the other its
processes are those of another machine, which cannot be looked at. The tests run in their order, on one pair of hosts.
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import dagster as dg
import pytest

from pipekit_dagster.launcher import SEEN_TAG
from pipekit_dagster.serve.home import Home
from pipekit_engine.config import Config, load_config
from pipekit_engine.errors import ConfigurationError
from pipekit_engine.models import RunRecord
from pipekit_engine.store import Store
from pipekit_engine.store.leadership import Leadership
from tests.ports import lasting_port
from tests.servers.postgresql import PostgreSQLServer
from tests.servers.proxy import CuttableProxy

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "deploy/two-hosts/two-hosts.sh"
ALONE = os.geteuid() == 0

#: Seconds that anything may take. An idle machine needs some ten for the slowest: only what never comes is too late.
PATIENCE_S = 300.0

pytestmark = [pytest.mark.slow, pytest.mark.postgresql, pytest.mark.daemon, pytest.mark.timeout(900)]

DEFINITIONS = """\
connections:
  pg: {{driver: postgresql, jdbc_url: "{url}", username: {user}, password: $PG_PASSWORD}}
modules:
  quick: {{source: pg, dest: pg, query: SELECT 1 AS id, dest_table: public.quick, strategy: full}}
  steady: {{source: pg, dest: pg, dest_table: public.steady, strategy: full,
            query: "SELECT i AS id, pg_sleep(0.01)::text AS z FROM generate_series(1, 200) AS i"}}
  gated: {{source: pg, dest: pg, dest_table: public.gated, strategy: full,
           query: "SELECT 1 AS id, pg_advisory_xact_lock_shared(1)::text AS z"}}
  endless: {{source: pg, dest: pg, dest_table: public.endless, strategy: full,
             query: "SELECT i AS id, pg_sleep(0.01)::text AS z FROM generate_series(1, 1000000) AS i"}}
groups:
  steady: {{members: [steady]}}
  endless: {{members: [endless]}}
  ticker: {{members: [quick]}}
schedules:
  every-minute: {{group: ticker, cron: "* * * * *", timezone: UTC}}
"""


class Hosts:
    """The two hosts `a` and `b`."""

    def __init__(self, folder: Path, server: PostgreSQLServer, state: str, dagster: str, data: str, port: int) -> None:
        self.folder, self.server, self.state, self.dagster, self.data = folder, server, state, dagster, data
        self.ports = {"a": port, "b": port + 1}
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PIPEKIT_", "DAGSTER_"))}
        command = f"{sys.executable} -m pipekit_engine.cli.main"
        self.environment = kept | {"PIPEKIT": command, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "COLUMNS": "200"}
        (folder / "secrets.env").write_text(f"PG_PASSWORD='{server.password}'\n")
        (folder / "secrets.env").chmod(0o600)
        url = server.jdbc_url(data)
        (folder / "all.yaml").write_text(DEFINITIONS.format(url=url, user=server.user))

    def start(self) -> None:
        """Start both and apply the definitions; returns once one leads, the other stands by, and both show them."""
        server = self.server
        started = self("start", server.url(self.state), server.url(self.dagster), str(self.ports["a"]))
        assert started.returncode == 0, started.stderr
        applied = self.pipekit("a", "apply", str(self.folder / "all.yaml"))
        assert applied.returncode == 0, applied.stderr
        self.leader()
        for host in self.ports:
            self.wait(lambda host=host: self.shows(host, "endless"), f"the definitions on {host}")  # type: ignore[misc]

    def __call__(self, action: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        with (self.folder / "script.out").open("w+") as out, (self.folder / "script.err").open("w+") as err:
            # Files, not pipes: the servers that it starts stay behind.
            status = subprocess.run(
                [str(SCRIPT), action, str(self.folder), *arguments],
                env=self.environment,
                stdout=out,
                stderr=err,
                timeout=PATIENCE_S,
                check=False,
            ).returncode
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess([], status, out.read(), err.read())

    def pipekit(self, host: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command on a host."""
        return subprocess.run(
            [str(SCRIPT), "run", str(self.folder), host, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def http(self, host: str, path: str, method: str = "GET", body: Any = None) -> tuple[int, Any]:
        """Status and JSON of an answer; 0 where there is none."""
        data, headers = (
            (None, {}) if body is None else (json.dumps(body).encode(), {"content-type": "application/json"})
        )
        request = urllib.request.Request(f"http://127.0.0.1:{self.ports[host]}{path}", data, headers, method=method)
        try:
            try:
                with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                    return answer.status, json.loads(answer.read())
            except urllib.error.HTTPError as error:
                return error.code, json.loads(error.read() or b"null")
        except (OSError, ValueError, http.client.HTTPException):
            return 0, None

    def shows(self, host: str, group: str) -> bool:
        """Whether a host shows the group's job."""
        query = "{ repositoriesOrError { ... on RepositoryConnection { nodes { pipelines { name } } } } }"
        _, answer = self.http(host, "/graphql", "POST", {"query": query})
        return f'"{group}"' in json.dumps(answer)

    def daemon(self, host: str) -> str:
        """What /health says of a host's daemon; empty unless all is well."""
        status, health = self.http(host, "/health")
        return str(health["daemon"]) if status == 200 else ""

    def leader(self) -> str:
        """The host whose daemon is at work, as soon as there is exactly one, and another that stands by."""
        leads: list[str] = []

        def look() -> bool:
            leads[:] = [host for host in self.ports if self.daemon(host) == "ok"]
            return len(leads) == 1 and [self.daemon(host) for host in self.ports if host not in leads] == ["standby"]

        self.wait(look, "a leader and another that stands by")
        return leads[0]

    def run_group(self, host: str, group: str) -> str:
        status, answer = self.http(host, f"/api/groups/{group}/run", "POST")
        assert status == 202, answer
        return str(answer["dagster_run_id"])

    def ended(self, host: str, run_id: str) -> str:
        """Wait for a Dagster run's end, as this host sees it; how it ended."""
        found: dict[str, Any] = {}

        def look() -> bool:
            found.update(self.http(host, f"/api/runs/{run_id}")[1] or {})
            return found.get("status") in ("success", "failure", "canceled")

        self.wait(look, f"the end of run {run_id}")
        return str(found["status"])

    def store(self) -> Store:
        return Store.open(self.server.url(self.state))

    def running(self, module: str) -> RunRecord | None:
        with self.store() as store:
            return next((run for run in store.runs.list(module=module, status="running") if run.phase == "stage"), None)

    def wait(self, done: Callable[[], Any], what: str) -> None:
        until = time.monotonic() + PATIENCE_S
        while not done():
            if time.monotonic() > until:
                logs = "".join(f"--- {h}\n{(self.folder / h / 'serve.log').read_text()[-3000:]}" for h in self.ports)
                raise AssertionError(f"{what} did not come within {PATIENCE_S:.0f} s\n{logs}")
            time.sleep(0.1)


@pytest.fixture(scope="module")
def hosts(postgresql: PostgreSQLServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    folder = tmp_path_factory.mktemp("two")
    with ExitStack() as stack:
        state, dagster, data = (stack.enter_context(postgresql.fresh_database()) for _ in range(3))
        made = Hosts(folder, postgresql, state, dagster, data, lasting_port(2))
        try:
            made.start()
            yield made
        finally:
            made("stop")


def test_one_leads_and_the_other_stands_by(hosts: Hosts) -> None:
    for host in hosts.ports:
        text = (hosts.folder / host / "dagster/dagster.yaml").read_text()
        assert "postgres_url: {env: PIPEKIT_DAGSTER_STORAGE}" in text
        assert hosts.server.password not in text
    leader = hosts.leader()
    said = dict(line.split(": ", 1) for line in hosts("status").stdout.splitlines())
    assert {host: json.loads(health)["daemon"] for host, health in said.items()} == {
        host: "ok" if host == leader else "standby" for host in hosts.ports
    }


def test_a_module_runs_once_at_a_time_on_whichever_host(hosts: Hosts) -> None:
    with ThreadPoolExecutor(2) as pool:
        with hosts.server.connect(hosts.data) as gate:
            gate.execute("SELECT pg_advisory_lock(1)")
            both = [pool.submit(hosts.pipekit, host, "run", "gated") for host in hosts.ports]
            # The one that runs cannot end before the gate is opened, by the end of its session.
            wait(both, PATIENCE_S, FIRST_COMPLETED)
        statuses = [done.result() for done in both]
    assert sorted(done.returncode for done in statuses) == [0, 3], [done.stderr for done in statuses]
    refused = next(done for done in statuses if done.returncode == 3)
    assert "is being run by process" in refused.stderr
    if ALONE:
        winner = "a" if statuses[0].returncode == 0 else "b"
        assert f"on pipekit-{winner}" in refused.stderr


@pytest.mark.slow
def test_a_group_never_overlaps_itself_whichever_server_is_asked(hosts: Hosts) -> None:
    asked = [hosts.run_group(host, "steady") for host in ("a", "b")]
    assert [hosts.ended("b", run) for run in asked] == ["success"] * 2
    with hosts.store() as store:
        spans = sorted((run.started_at, run.finished_at) for run in store.group_runs.list("steady"))
    assert len(spans) == 2
    for (_, ended), (began, _) in itertools.pairwise(spans):
        assert ended is not None
        assert ended <= began


@pytest.mark.slow
def test_a_host_that_vanishes_is_replaced_and_its_runs_are_ended(hosts: Hosts) -> None:
    dead = hosts.leader()
    alive = {"a": "b", "b": "a"}[dead]
    run_id = hosts.run_group(alive, "endless")
    hosts.wait(lambda: hosts.running("endless"), "rows of the endless module")
    found = hosts.running("endless")
    assert found is not None
    assert hosts("kill", dead).returncode == 0
    _last_sign_of_life(hosts, "+ interval '1 hour'")
    hosts.wait(lambda: hosts.daemon(alive) == "ok", "the other's lead")
    if ALONE:
        # It may still live, as far as anybody can tell from here: its lock holds.
        refused = hosts.pipekit(alive, "run", "endless")
        assert refused.returncode == 3
        assert f"pipekit-{dead}" in refused.stderr
        with hosts.store() as store:
            assert store.runs.get(found.id).status == "running"
        # More than a minute goes by without a sign of life.
        _last_sign_of_life(hosts, "- interval '2 hours'")
        _without_a_sign_of_life(hosts, alive, run_id)

    def interrupted() -> bool:
        with hosts.store() as store:
            return store.runs.get(found.id).status == "error" and store.leases.find("group", "endless") is None

    hosts.wait(interrupted, "the end of the dead host's run")
    assert hosts.pipekit(alive, "run", "steady").returncode == 0
    with hosts.store() as store:
        assert "interrupted" in (store.runs.get(found.id).error or "")
        assert store.group_runs.list("endless")[0].status == "error"
    assert hosts.ended(alive, run_id) == "failure"


def _last_sign_of_life(hosts: Hosts, change: str) -> None:
    """Move the last heartbeats of the locks of the endless run: how long ago they were is not this machine's speed."""
    for table in ("module", "grp"):
        hosts.server.sql(
            hosts.state, f"UPDATE {table} SET heartbeat_at = heartbeat_at {change} WHERE running AND name = 'endless'"
        )


def _without_a_sign_of_life(hosts: Hosts, host: str, run_id: str) -> None:
    config = load_config(hosts.folder / host / "pipekit.yaml")
    home = Home(hosts.folder / host / "dagster", config.dagster_storage_url)
    before = dict(os.environ)
    os.environ.update(home.environment())
    try:
        with dg.DagsterInstance.get() as instance:
            instance.add_run_tags(run_id, {SEEN_TAG: f"{time.time() - 61:.0f}"})
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.mark.slow
def test_a_host_that_comes_back_stands_by(hosts: Hosts) -> None:
    leads: list[str] = []

    def one_leads() -> bool:
        leads[:] = [host for host in hosts.ports if hosts.daemon(host) == "ok"]
        return len(leads) == 1

    hosts.wait(one_leads, "a leader")
    back = {"a": "b", "b": "a"}[leads[0]]
    assert hosts("boot", back).returncode == 0
    assert hosts.leader() == leads[0]


@pytest.mark.slow
def test_each_tick_of_the_schedule_fired_once(hosts: Hosts) -> None:
    """A schedule of every minute was on all the time, through two leaders."""

    def fired() -> list[Any]:
        with hosts.store() as store:
            return [
                run for run in store.group_runs.list("ticker", limit=100) if run.triggered_by.startswith("schedule:")
            ]

    # A daemon that came up just after the full minute fires at the next one, and the run takes its time.
    hosts.wait(lambda: any(run.status == "success" for run in fired()), "a tick")
    host = hosts.leader()
    ticks = [hosts.http(host, f"/api/runs/{run.dagster_run_id}")[1]["tags"]["dagster/run_key"] for run in fired()]
    assert len(set(ticks)) == len(ticks)


def test_the_lead_follows_the_session(postgresql: PostgreSQLServer) -> None:
    with postgresql.fresh_database() as database:
        first, second = Leadership(postgresql.url(database)), Leadership(postgresql.url(database))
        try:
            assert first.take()
            assert first.keeps()
            assert not second.take()
            ended = postgresql.sql(
                database,
                "SELECT pg_terminate_backend(pid, 60000) FROM pg_locks WHERE locktype = 'advisory' AND granted"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            )
            assert ended == [(True,)]
            assert second.take()
            assert not first.keeps()
            assert not first.take()
            second.give_up()
            # The server frees the lock once it has seen that the session is gone.
            until = time.monotonic() + PATIENCE_S
            while not first.take():
                assert time.monotonic() < until
                time.sleep(0.1)
        finally:
            first.give_up()
            second.give_up()


def test_a_leader_that_cannot_reach_the_store_knows(
    postgresql: PostgreSQLServer, cuttable_proxy: Callable[[int], CuttableProxy]
) -> None:
    with postgresql.fresh_database() as database:
        proxy = cuttable_proxy(postgresql.port)
        far = Leadership(postgresql.url(database).replace(f":{postgresql.port}/", f":{proxy.port}/"))
        near = Leadership(postgresql.url(database))
        try:
            assert far.take()
            assert not near.take()
            proxy.cut()
            assert not far.keeps()
            until = time.monotonic() + PATIENCE_S
            while not near.take():
                assert time.monotonic() < until
                time.sleep(0.1)
        finally:
            far.give_up()
            near.give_up()


def test_the_lead_on_sqlite_ends_with_its_process(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/pipekit.db"
    code = f"import sys; from pipekit_engine.store.leadership import Leadership\nlead = Leadership({url!r})\n"
    code += "print(lead.take(), flush=True); sys.stdin.read()"
    mine = Leadership(url)
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"True\n"
        assert not mine.take()
        other.kill()
        other.wait()
    assert mine.take()
    assert mine.keeps()
    mine.give_up()


def test_dagster_storage_must_be_a_database_of_its_own() -> None:
    one = "postgresql+psycopg://me:pw@db:5432/x"
    with pytest.raises(ConfigurationError, match="another database"):
        Home.of(Config(database=one, dagster_storage="postgresql://other@db:5432/x?sslmode=require"))
    with pytest.raises(ConfigurationError, match="PostgreSQL"):
        Home.of(Config(dagster_storage="mysql://me@db/x"))
    home = Home.of(Config(database=one, dagster_storage="postgresql://me@db:5432/dagster"))
    assert home.environment()["PIPEKIT_DAGSTER_STORAGE"] == "postgresql+psycopg2://me@db:5432/dagster"


@pytest.mark.parametrize(
    ("url", "shown", "password"),
    [
        ("postgresql://me:s3%3Antinel@db/dagster", "postgresql+psycopg2://me@db/dagster?", "s3\\:ntinel"),
        ("postgresql://me@db/dagster?password=s3ntinel&sslmode=require", "@db/dagster?sslmode=require&", "s3ntinel"),
    ],
)
def test_a_password_of_dagster_s_storage_is_in_no_environment(
    tmp_path: Path, url: str, shown: str, password: str
) -> None:
    home = Home(tmp_path, Config(dagster_storage=url).dagster_storage_url)
    address = home.environment()["PIPEKIT_DAGSTER_STORAGE"]
    assert shown in address
    assert "ntinel" not in address
    file = Path(unquote(address.partition("passfile=")[2]))
    assert file.read_text() == f"*:*:*:*:{password}\n"
    assert file.stat().st_mode & 0o777 == 0o600


def test_dagster_yaml_follows_the_configuration_and_one_s_own_stays(tmp_path: Path) -> None:
    alone, shared = Home(tmp_path), Home(tmp_path, "postgresql+psycopg2://me@db/dagster")
    file = tmp_path / "dagster.yaml"
    for home, there in ((alone, False), (shared, True), (shared, True), (alone, False)):
        with home.hold():
            assert ("PIPEKIT_DAGSTER_STORAGE" in file.read_text()) == there
    file.write_text("telemetry: {enabled: false}\n")
    with alone.hold():
        pass
    with pytest.raises(ConfigurationError, match="does not follow `dagster_storage`"), shared.hold():
        pass
    assert file.read_text() == "telemetry: {enabled: false}\n"
