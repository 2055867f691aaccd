"""`pipekit serve` for real: daemon, web server, code server, runs as processes, and what becomes of them when killed."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from pipekit_dagster import tags
from pipekit_dagster.auth import set_password
from pipekit_dagster.launcher import WORKER_TAG
from pipekit_dagster.serve.home import Home
from pipekit_engine.errors import ConfigurationError
from pipekit_engine.models import Schedule, Trigger
from pipekit_engine.process import ProcessName
from tests.dagster.project import SLOW_QUERY, Project
from tests.dagster.served import LOCATION, Served, jrunners_of

pytestmark = [pytest.mark.daemon, pytest.mark.timeout(240)]

CHROMIUM = shutil.which("chromium")
ANNA, VERA = ("anna", "correct horse"), ("vera", "looks only")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, java: str) -> Iterator[Served]:
    """One server for all tests here; each uses groups of its own."""
    project = Project(tmp_path_factory.mktemp("served"))
    set_password(project.config, *ANNA)
    set_password(project.config, *VERA, role="viewer")
    for name in ("one", "two", "last"):
        project.add_module(name)
    project.add_module("bad", query="SELECT no_such_column FROM numbers")
    project.add_module("slow", query=SLOW_QUERY, dest="slow_dst")
    project.add_module("slow2", query=SLOW_QUERY, dest="slow_dst")
    project.add_group("nightly", ("one",), ("two", "bad"), ("last",), max_parallel=2)
    project.add_group("long", ("slow",))
    project.add_group("longer", ("slow2",))
    project.add_group("quick", ("last",))
    project.add_group("minutely", ("one",))
    project.save(Schedule(name="each-minute", group="minutely", cron="* * * * *"))
    server = Served(project, ANNA)
    server.start()
    yield server
    if server.process is not None:
        assert server.stop() == 0


def runs_of(served: Served, run_id: str) -> dict[str, str]:
    return {run["module"]: run["status"] for run in served.get(f"/api/runs/{run_id}")["runs"]}


def nothing_left(served: Served) -> None:
    with served.project.store() as store:
        # A scheduled run may be under way just now.
        served.wait_for(lambda: store.leases.all() == [], "free locks", 10)
    served.wait_for(lambda: jrunners_of(served.project.folder) == [], "the end of all jrunners", 5)


def test_a_group_through_queue_daemon_and_launcher(served: Served) -> None:
    run_id = served.run_group("nightly")
    assert served.ended(run_id)["status"] == "failure"
    assert runs_of(served, run_id) == {"one": "success", "two": "success", "bad": "error", "last": "success"}
    status, log = served.request(f"/api/runs/{run_id}/log")
    assert status == 200
    assert b"no_such_column" in log
    output = served.project.home / "run_output" / f"{run_id}.log"
    served.wait_for(lambda: not output.exists(), "the end of the run's process, which leaves no file", 10)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium")
def test_what_a_browser_shows(served: Served, tmp_path: Path) -> None:
    # The header once, the session cookie from then on: a page with a password in its address could not fetch its data.
    login = ":".join(quote(part) for part in ANNA)
    in_browser(tmp_path, f"http://{login}@127.0.0.1:{served.port}/")
    run_id = served.run_group("nightly")
    served.ended(run_id)
    query = (
        "query E($id: ID!) { logsForRun(runId: $id) { ... on EventConnection { events {"
        " ... on LogsCapturedEvent { fileKey stepKeys } } } } }"
    )
    events = served.graphql(query, id=run_id)["logsForRun"]["events"]
    (log,) = [event["fileKey"] for event in events if event.get("stepKeys") == ["one"]]
    for path, texts in {
        "/locations/__repository__@pipekit/jobs/nightly": ["one", "two", "bad", "last", "On failure: continue"],
        f"/runs/{run_id}": ["Failure", "Errored (1)", "Succeeded (3)", "no_such_column"],
        f"/runs/{run_id}?logFileKey={log}&logType=stdout": ["of module one", "3 inserted"],
        "/automation": ["each_minute", "pipekit_reconcile"],
    }.items():
        shown = in_browser(tmp_path, served.url + path)
        assert [text for text in texts if text not in shown] == [], path


def in_browser(profile: Path, url: str) -> str:
    """The text of a page as Chromium has drawn it."""
    assert CHROMIUM is not None
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}", "--dump-dom"]
    budget = ["--window-size=1600,1200", "--virtual-time-budget=10000"]
    done = subprocess.run([*command, *budget, url], capture_output=True, text=True, timeout=60, check=True)
    return re.sub(r"<[^>]+>", "", done.stdout)


def test_an_edited_definition_shows_within_seconds(served: Served) -> None:
    served.project.add_module("fresh")
    served.project.add_group("fresh_group", ("fresh",))
    took = served.wait_for(lambda: "fresh_group" in served.jobs(), "the new job", 30)
    print(f"edit to UI: {took:.1f} s")
    assert served.ended(served.run_group("fresh_group"))["status"] == "success"


def fired_ticks(served: Served, schedule: str) -> list[dict[str, Any]]:
    """The ticks of a schedule that launched a run, newest first; none of a schedule that is not shown yet."""
    data = served.graphql(
        "query S($s: ScheduleSelector!) { scheduleOrError(scheduleSelector: $s)"
        " { ... on Schedule { scheduleState { ticks { status timestamp runIds } } } } }",
        s={**LOCATION, "scheduleName": schedule},
    )
    state = data["scheduleOrError"].get("scheduleState", {"ticks": []})
    return [tick for tick in state["ticks"] if tick["runIds"]]


def test_a_new_schedule_fires_at_its_first_minute(served: Served) -> None:
    served.project.add_module("minted")
    served.project.add_group("minted_group", ("minted",))
    if time.time() % 60 > 30:
        time.sleep(61 - time.time() % 60)  # what is shown within seconds is to be shown well within this minute
    added_at = time.time()
    served.project.save(Schedule(name="minted", group="minted_group", cron="* * * * *"))
    served.wait_for(lambda: bool(fired_ticks(served, "minted")), "a tick", 130)
    first = min(tick["timestamp"] for tick in fired_ticks(served, "minted"))
    assert added_at < first <= added_at + 60
    served.project.save(Schedule(name="minted", group="minted_group", cron="* * * * *", enabled=False), action="change")


def test_a_broken_row_shows_and_hides_nothing(served: Served) -> None:
    served.project.add_module("torn")
    served.project.sql(served.project.folder / "pipekit.db", "UPDATE module SET strategy = 'magic' WHERE name = 'torn'")
    try:
        served.wait_for(lambda: "broken_definitions" in served.jobs(), "the job of broken definitions", 30)
        assert {"nightly", "long"} < served.jobs()
    finally:
        served.project.sql(served.project.folder / "pipekit.db", "DELETE FROM module WHERE name = 'torn'")
    served.wait_for(lambda: "broken_definitions" not in served.jobs(), "the mended definitions", 30)


def test_terminate(served: Served) -> None:
    run_id = served.run_group("long")
    served.staging(run_id)
    began = time.monotonic()
    data = served.graphql("mutation T($id: String!) { terminateRun(runId: $id) { __typename } }", id=run_id)
    assert data["terminateRun"]["__typename"] == "TerminateRunSuccess"
    served.wait_for(lambda: jrunners_of(served.project.folder) == [], "the end of jrunner", 10)
    took = time.monotonic() - began
    print(f"terminate to no jrunner: {took:.2f} s")
    assert took < 10, "a loaded machine is slow, but an endless query would not end at all"
    assert served.ended(run_id)["status"] == "canceled"
    assert runs_of(served, run_id) == {"slow": "cancelled"}
    with served.project.store() as store:
        assert store.group_runs.list(group="long")[0].status == "cancelled"
    nothing_left(served)


def worker_of(served: Served, run_id: str) -> ProcessName:
    with served.project.instance() as instance:
        run = instance.get_run_by_id(run_id)
        assert run is not None
        name = ProcessName.parse(run.tags.get(WORKER_TAG))
        assert name is not None
        return name


def test_sigkill_of_the_run(served: Served) -> None:
    run_id = served.run_group("long")
    served.staging(run_id)
    began = time.monotonic()
    os.kill(worker_of(served, run_id).pid, signal.SIGKILL)
    assert served.ended(run_id)["status"] == "failure"
    print(f"SIGKILL to red: {time.monotonic() - began:.1f} s")
    assert time.monotonic() - began < 20, "noticed by the launcher, not by a timeout"
    served.wait_for(lambda: runs_of(served, run_id) == {"slow": "error"}, "the sensor that reconciles", 60)
    with served.project.store() as store:
        assert "interrupted" in str(store.runs.list(module="slow", limit=1)[0].error)
        assert store.group_runs.list(group="long")[0].status == "error"
    nothing_left(served)


ENDLESS = "SELECT count(*) FROM big a, big b, big c, big d, big e"


@pytest.mark.parametrize(
    ("phase", "says", "rows"),
    [
        ("resolve", "The destination was not touched", 0),
        ("merge", "outcome unknown", 0),
        ("hooks", "after the merge was committed", 3),
    ],
)
def test_sigkill_in_every_phase(served: Served, phase: str, says: str, rows: int) -> None:
    project = served.project
    for path in (project.source, project.slow_dest):
        project.sql(path, "CREATE TABLE IF NOT EXISTS big (n INTEGER)")
        project.sql(
            path,
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) INSERT INTO big SELECT i FROM n",
        )
    name = f"dies_in_{phase}"
    project.sql(project.slow_dest, f"CREATE TABLE {name} (id INTEGER, name TEXT)")
    endless_mark = {"name": "since", "connection": "src", "resolver_sql": ENDLESS}
    fields: dict[str, Any] = {
        "resolve": {"query": "SELECT id, name FROM numbers WHERE id > {since}", "watermarks": [endless_mark]},
        "merge": {},
        "hooks": {"hooks": [{"sql": f"CREATE TABLE made_by_{name} AS {ENDLESS}"}]},
    }[phase]
    if phase == "merge":
        project.sql(project.slow_dest, "CREATE TABLE sink (n INTEGER)")
        project.sql(
            project.slow_dest, f"CREATE TRIGGER endless AFTER INSERT ON {name} BEGIN INSERT INTO sink {ENDLESS}; END"
        )
    project.add_module(name, dest="slow_dst", **fields)
    project.add_group(name, (name,))
    served.wait_for(lambda: name in served.jobs(), "the new job", 30)
    run_id = served.run_group(name)
    served.in_phase(run_id, phase)
    os.kill(worker_of(served, run_id).pid, signal.SIGKILL)
    assert served.ended(run_id)["status"] == "failure"
    served.wait_for(lambda: runs_of(served, run_id) == {name: "error"}, "the sensor that reconciles", 60)
    nothing_left(served)
    with project.store() as store:
        assert says in str(store.runs.list(module=name, limit=1)[0].error)
        assert store.group_runs.list(group=name)[0].status == "error"
    assert project.sql(project.slow_dest, f"SELECT count(*) FROM {name}") == [(rows,)]
    if phase == "merge":
        project.sql(project.slow_dest, "DROP TRIGGER endless")
        assert served.ended(served.run_group(name))["status"] == "success"
        assert project.sql(project.slow_dest, f"SELECT count(*) FROM {name}") == [(3,)]


def test_killed_services_come_back_and_health_says_so(served: Served) -> None:
    long = served.run_group("long")
    served.staging(long)
    for name in ("daemon", "code server"):
        before = served.service(name)
        os.kill(before.pid, signal.SIGKILL)
        served.wait_for(lambda: served.health()[0] == 503, f"health without {name}", 10)
        served.wait_for(lambda: served.health()[0] == 200, f"{name} again", 60)
        assert served.service(name) != before
    os.kill(served.service("web server").pid, signal.SIGKILL)
    served.wait_for(lambda: served.health()[0] == 200, "web server again", 60)
    assert runs_of(served, long) == {"slow": "running"}, "running runs are undisturbed"
    assert served.ended(served.run_group("quick"))["status"] == "success"
    served.graphql("mutation T($id: String!) { terminateRun(runId: $id) { __typename } }", id=long)
    assert served.ended(long)["status"] == "canceled"


def test_a_schedule_fires_each_tick_once(served: Served) -> None:
    served.wait_for(lambda: bool(fired_ticks(served, "each_minute")), "a tick", 70)
    fired = fired_ticks(served, "each_minute")
    assert len({tick["timestamp"] for tick in fired}) == len(fired)
    assert served.ended(fired[0]["runIds"][0])["status"] == "success"
    with served.project.store() as store:
        runs = store.group_runs.list(group="minutely", limit=100)
        by_schedule = [run for run in runs if run.triggered_by == f"schedule:{store.ticks.schedule_id('each-minute')}"]
        assert by_schedule
        assert len({run.dagster_run_id for run in by_schedule}) == len(by_schedule)
        assert store.ticks.last_fired_at("each-minute") is not None


def test_login_and_roles(served: Served) -> None:
    assert served.request("/graphql", {"query": "{version}"}, authorization="")[0] == 401
    assert served.request("/api/runs", authorization="Basic eDp5")[0] == 401
    viewer = Served.__new__(Served)
    viewer.__dict__.update(served.__dict__)
    viewer.login = VERA
    assert viewer.jobs() == served.jobs()
    assert viewer.request("/api/groups/nightly/run", method="POST")[0] == 403
    refused = viewer.graphql(
        "mutation L($p: ExecutionParams!) { launchRun(executionParams: $p) { __typename ... on Error { message } } }",
        p={"selector": {**LOCATION, "jobName": "nightly"}, "runConfigData": {}},
    )
    assert refused["launchRun"]["__typename"] == "UnauthorizedError"


def handshake(served: Served, **headers: str) -> int:
    """Status of a websocket handshake on /graphql."""
    lines = [
        "GET /graphql HTTP/1.1",
        f"Host: 127.0.0.1:{served.port}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol: graphql-ws",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as connection:
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        return int(connection.recv(4096).split()[1])


def test_websockets_pass_the_same_login(served: Served) -> None:
    login = "Basic " + base64.b64encode(":".join(ANNA).encode()).decode()
    assert handshake(served) == 403
    assert handshake(served, Authorization=login) == 101
    assert handshake(served, Authorization=login, Origin="https://evil.example") == 403
    request = urllib.request.Request(f"{served.url}/server_info", headers={"authorization": login})
    with urllib.request.urlopen(request, timeout=10) as answer:
        cookie = answer.headers["set-cookie"].partition(";")[0]
    assert handshake(served, Cookie=cookie, Origin=served.url) == 101, "Safari sends the cookie only"
    assert handshake(served, Cookie=cookie[:-1] + ("0" if cookie[-1] != "0" else "1")) == 403


def test_a_trigger_fires_when_its_value_changes(served: Served) -> None:
    project = served.project
    project.sql(project.source, "CREATE TABLE events (id INTEGER)")
    project.add_module("events", query="SELECT id FROM events")
    project.add_group("on_events", ("events",))
    sql = "SELECT max(id) FROM events"
    project.save(Trigger(name="events-came", group="on_events", kind="watermark", connection="src", sql=sql, every=5))

    def runs() -> list[str]:
        with project.store() as store:
            return [run.triggered_by for run in store.group_runs.list(group="on_events") if run.status == "success"]

    served.wait_for(lambda: "on_events" in served.jobs(), "the new job", 30)
    time.sleep(7)
    assert runs() == [], "the query gives NULL: there is nothing to sync"
    project.sql(project.source, "INSERT INTO events VALUES (1)")
    served.wait_for(lambda: runs() == ["trigger:1"], "the triggered run", 60)
    assert project.rows("events") == [(1,)]


def test_the_test_buttons_leave_no_trace(served: Served) -> None:
    project = served.project
    project.add_group("tried", ("one",))
    project.save(Schedule(name="new-year", group="tried", cron="0 0 1 1 *"))
    sql = "SELECT max(id) FROM numbers"
    project.save(
        Trigger(
            name="tried-trigger", group="tried", kind="watermark", connection="src", sql=sql, every=3600, enabled=False
        )
    )
    served.wait_for(lambda: "tried" in served.jobs(), "the new job", 30)
    data = served.graphql(
        "mutation D($s: ScheduleSelector!, $t: Float) { scheduleDryRun(selectorData: $s, timestamp: $t) {"
        " ... on DryRunInstigationTick { evaluationResult { runRequests { runKey } skipReason } } } }",
        s={**LOCATION, "scheduleName": "new_year"},
        t=time.time(),
    )
    asked = data["scheduleDryRun"]["evaluationResult"]
    assert asked["runRequests"], asked
    enabled = Trigger(name="tried-trigger", group="tried", kind="watermark", connection="src", sql=sql, every=3600)
    project.save(enabled, action="change")
    data = served.graphql(
        "mutation D($s: SensorSelector!) { sensorDryRun(selectorData: $s, cursor: null) {"
        " ... on DryRunInstigationTick { evaluationResult { runRequests { runKey } skipReason } } } }",
        s={**LOCATION, "sensorName": "tried_trigger"},
    )
    asked = data["sensorDryRun"]["evaluationResult"]
    assert asked["runRequests"] or "tried is still at it" in str(asked["skipReason"]), asked
    with project.store() as store:
        assert store.ticks.last_fired_at("new-year") is None


def test_a_broken_configuration_is_shown_and_heals(served: Served) -> None:
    file = served.project.config_file
    good = file.read_text()
    file.write_text("databse: typo.db\n")
    try:
        served.wait_for(
            lambda: served.health()[1].get("code server") == "definitions do not load", "the error in health", 40
        )
        data = served.graphql(
            "{ workspaceOrError { ... on Workspace { locationEntries {"
            " locationOrLoadError { __typename ... on PythonError { causes { message } } } } } } }"
        )
        assert "did you mean 'database'" in json.dumps(data)
    finally:
        file.write_text(good)
    served.wait_for(lambda: served.health()[0] == 200, "health again", 40)


def test_rest(served: Served) -> None:
    assert {item["name"] for item in served.get("/api/modules")} >= {"one", "two", "bad"}
    assert served.get("/api/modules/one")["strategy"] == "full"
    assert served.get("/api/groups/nightly")["layers"] == [["one"], ["two", "bad"], ["last"]]
    schedule = served.get("/api/schedules")[0]
    assert len(schedule["next"]) == 5
    status, answer = served.post("/api/modules/two/run", {"dry_run": True})
    assert status == 202
    run_id = answer["dagster_run_id"]
    assert served.ended(run_id)["status"] == "success"
    assert runs_of(served, run_id) == {"two": "dry_run"}
    number = served.get(f"/api/runs/{run_id}")["runs"][0]["id"]
    assert served.get(f"/api/runs/{number}")["merge_sql"]
    assert b"INSERT INTO" in served.request(f"/api/runs/{number}/log")[1]
    for path, wanted in [
        ("/api/modules/nope", 404),
        ("/api/runs/999999", 404),
        ("/api/runs/no-such-run", 404),
        ("/api/nowhere", 404),
        ("/api/runs?limit=0", 400),
        ("/api/runs?status=odd", 400),
    ]:
        status, body = served.request(path)
        assert (status, "error" in json.loads(body)) == (wanted, True), path
    assert served.post("/api/modules/nope/run")[0] == 404
    assert served.post("/api/modules/one/run", {"dry": True})[0] == 422
    assert served.post("/api/modules/one/run", [1])[0] == 422
    assert served.request("/api/modules/one/run")[0] == 405
    described = served.get("/api/openapi.json")
    assert described["openapi"].startswith("3.")


def test_rest_keeps_its_own_description(served: Served) -> None:
    """Schemathesis makes requests from the OpenAPI description, valid and not, and checks each answer against it."""
    program = Path(sys.executable).parent / "schemathesis"
    if not program.exists():
        pytest.skip("schemathesis is not installed: pip install schemathesis")
    result = subprocess.run(
        [
            *(str(program), "run", f"{served.url}/api/openapi.json"),
            *("--auth", ":".join(ANNA), "--phases", "coverage,fuzzing", "--max-examples", "8", "--seed", "7"),
            # Started runs would queue up, some of them endless ones; wrong logins are slowed down, which is no 401.
            *("--exclude-path-regex", ".*/run$", "--exclude-checks", "ignored_auth"),
        ],
        cwd=served.project.folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-1000:]


def test_a_clean_stop_hands_running_runs_over(served: Served) -> None:
    run_id = served.run_group("longer")
    served.staging(run_id)
    assert served.stop() == 0
    assert worker_of(served, run_id).alive()
    served.start()
    assert runs_of(served, run_id) == {"slow2": "running"}
    served.graphql("mutation T($id: String!) { terminateRun(runId: $id) { __typename } }", id=run_id)
    assert served.ended(run_id)["status"] == "canceled"


def test_sigkill_of_everything_then_restart(served: Served) -> None:
    run_id = served.run_group("longer")
    served.staging(run_id)
    worker = worker_of(served, run_id)
    served.kill_everything()
    worker.kill()
    served.start()
    assert served.ended(run_id, 60)["status"] == "failure"
    served.wait_for(lambda: runs_of(served, run_id) == {"slow2": "error"}, "the sensor that reconciles", 60)
    nothing_left(served)
    assert served.ended(served.run_group("quick"))["status"] == "success"


def test_reload_follows_pipekits_own_code(served: Served) -> None:
    assert served.stop() == 0
    served.start(reload_=True)
    before = served.service("code server")
    seen = served.log.stat().st_size
    os.utime(Path(tags.__file__))
    served.wait_for(lambda: "was reloaded in" in served.log.read_text()[seen:], "the reload of the touched file", 30)
    assert served.health()[0] == 200
    assert served.service("code server") == before  # a new process behind the same proxy
    assert served.ended(served.run_group("quick"))["status"] == "success"


def test_a_second_server_on_the_same_folder_is_refused(project: Project) -> None:
    home = Home(project.home)
    with home.hold(), pytest.raises(ConfigurationError, match="Another `pipekit serve`"), home.hold():
        pass
    with home.hold():
        assert (project.home / "dagster.yaml").exists()


def test_outward_without_a_password_is_refused(project: Project) -> None:
    from pipekit_dagster.serve import supervisor

    with pytest.raises(ConfigurationError, match="set-password"):
        supervisor.serve(project.config, host="0.0.0.0", port=0)
