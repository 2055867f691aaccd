"""`pipekit serve` as a test sees it: a real process with a code server, a daemon and a web server below it."""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pipekit_dagster.launcher import WORKER_TAG
from pipekit_engine.common.processes import ProcessName
from tests.dagster.project import Configured
from tests.ports import lasting_port

ROOT = Path(__file__).resolve().parents[2]
_SERVE = "import sys; from pipekit_dagster.serve import main; sys.exit(main(port=int(sys.argv[1]), reload_=len(sys.argv) > 2))"

LOCATION = {"repositoryLocationName": "pipekit", "repositoryName": "__repository__"}

#: Seconds that anything may take. An idle machine needs some ten for the slowest: only what never comes is too late.
PATIENCE_S = 180.0


class Served:
    """A served project. `start` and `stop` may be called again and again."""

    def __init__(
        self, project: Configured, login: tuple[str, str] | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        self.project = project
        self._env = env or {}
        self.login = login
        self.port = lasting_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = project.folder / "serve.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, reload_: bool = False) -> None:
        env = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PIPEKIT_CONFIG": str(self.project.config_file),
            "DAGSTER_HOME": str(self.project.home),
            **self._env,
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _SERVE, str(self.port), *(["--reload"] if reload_ else [])],
                cwd=self.project.folder,
                env=env,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.wait_for(lambda: self.health()[0] == 200, "all three services")

    def stop(self) -> int:
        """SIGTERM to the supervisor; its exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(PATIENCE_S)
        self.process = None
        return status

    def kill_everything(self) -> None:
        """SIGKILL to the supervisor, all services, and the processes below them; returns when they are gone."""
        assert self.process is not None
        victims = [ProcessName.of(pid) for pid in (self.process.pid, *descendants(self.process.pid))]
        for victim in victims:
            with suppress(ProcessLookupError):
                os.kill(victim.pid, signal.SIGKILL)
        self.process.wait(PATIENCE_S)
        self.wait_for(lambda: not any(victim.alive() for victim in victims), "the end of what was killed")
        self.process = None

    def service(self, name: str) -> ProcessName:
        """Process of a service: code server, daemon or web server."""
        found = json.loads((self.project.home / "serve" / "services.json").read_text())[name]["process"]
        parsed = ProcessName.parse(found)
        assert parsed is not None
        return parsed

    def request(self, path: str, body: Any = None, *, method: str | None = None, **headers: str) -> tuple[int, bytes]:
        """One HTTP request; status and body."""
        if self.login and "authorization" not in headers:
            headers["authorization"] = "Basic " + base64.b64encode(":".join(self.login).encode()).decode()
        data = json.dumps(body).encode() if body is not None else None
        if data is not None:
            headers["content-type"] = "application/json"
        request = urllib.request.Request(f"{self.url}{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def get(self, path: str) -> Any:
        """JSON of a path that answers 200."""
        status, body = self.request(path)
        assert status == 200, body
        return json.loads(body)

    def post(self, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and JSON of a POST."""
        status, answer = self.request(path, body, method="POST")
        return status, json.loads(answer)

    def graphql(self, query: str, **variables: Any) -> Any:
        """Data of a GraphQL request."""
        status, body = self.request("/graphql", {"query": query, "variables": variables})
        assert status == 200, body
        answer = json.loads(body)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def health(self) -> tuple[int, dict[str, str]]:
        try:
            status, body = self.request("/health")
            return status, json.loads(body)
        except (OSError, ValueError, http.client.HTTPException):
            return 0, {}

    def shown(self) -> set[str]:
        """Names of the jobs, schedules and sensors that the UI shows. Waits while it cannot tell any."""
        found: dict[str, Any] = {}

        def look() -> bool:
            data = self.graphql(
                "query S($where: RepositorySelector!) { repositoryOrError(repositorySelector: $where)"
                " { ... on Repository { pipelines { name } schedules { name } sensors { name } } } }",
                where=LOCATION,
            )
            found.update(data["repositoryOrError"])
            return bool(found)

        self.wait_for(look, "the repository")
        return {item["name"] for kind in ("pipelines", "schedules", "sensors") for item in found[kind]}

    def wait_shown(self, *names: str) -> None:
        """Wait until the UI shows all these jobs, schedules and sensors: each change of the store may show by itself."""
        self.wait_for(lambda: set(names) <= self.shown(), " and ".join(names))

    def run_group(self, group: str) -> str:
        """Start a group's job; its Dagster run id."""
        status, answer = self.post(f"/api/groups/{group}/run")
        assert status == 202, answer
        return str(answer["dagster_run_id"])

    def ended(self, run_id: str) -> dict[str, Any]:
        """Wait until a Dagster run has ended; what the REST interface says of it."""
        found: dict[str, Any] = {}

        def look() -> bool:
            found.update(self.get(f"/api/runs/{run_id}"))
            return found["status"] in ("success", "failure", "canceled")

        self.wait_for(look, f"the end of run {run_id}")
        return found

    def in_phase(self, run_id: str, phase: str) -> None:
        """Wait until a module of the run is in a phase."""

        def look() -> bool:
            with self.project.store() as store:
                return any(run.phase == phase for run in store.runs.list(dagster_run_id=run_id, status="running"))

        self.wait_for(look, f"phase {phase}")

    def staging(self, run_id: str) -> None:
        """Wait until a module of the run moves rows."""
        self.in_phase(run_id, "stage")

    def wait_for(self, done: Callable[[], bool], what: str) -> float:
        """Seconds until `done`."""
        began = time.monotonic()
        while not done():
            if time.monotonic() - began > PATIENCE_S:
                tail = self.log.read_text(errors="replace")[-3000:] if self.log.exists() else ""
                raise AssertionError(f"{what} did not come within {PATIENCE_S:.0f} s\n{tail}")
            time.sleep(0.1)
        return time.monotonic() - began


@contextmanager
def serving(project: Configured, login: tuple[str, str]) -> Iterator[Served]:
    """A served project that is started, and stopped cleanly unless a test has done so."""
    server = Served(project, login)
    try:
        server.start()
        yield server
    finally:
        if server.process is not None:
            assert server.stop() == 0


def worker_of(served: Served, run_id: str) -> ProcessName:
    """The process of a Dagster run."""
    with served.project.instance() as instance:
        run = instance.get_run_by_id(run_id)
        assert run is not None
        name = ProcessName.parse(run.tags.get(WORKER_TAG))
        assert name is not None
        return name


def descendants(pid: int) -> list[int]:
    """All processes below one."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            children.setdefault(int(stat[stat.rindex(")") + 2 :].split()[1]), []).append(int(entry.name))
    found, queue = [], [pid]
    while queue:
        for child in children.get(queue.pop(), []):
            found.append(child)
            queue.append(child)
    return found


def jrunners_of(folder: Path) -> list[int]:
    """Java processes that were started in this folder."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            is_jrunner = entry.name.isdigit() and b"jrunner" in (entry / "cmdline").read_bytes()
            if is_jrunner and Path(os.readlink(entry / "cwd")) == folder:
                found.append(int(entry.name))
        except OSError:
            continue
    return found
