"""`pipekit serve` for real: daemon, web server, code server, runs as processes, and what becomes of them when killed."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipekit_dagster import tags
from pipekit_dagster.serve.home import Home
from pipekit_dagster.serve.services import Service
from pipekit_dagster.serve.supervisor import Supervisor
from pipekit_engine.errors import ConfigurationError
from pipekit_engine.models import Connection, GroupRunRecord, Schedule, Trigger
from pipekit_web.server.auth import set_password
from tests.dagster.project import SLOW_QUERY, Project
from tests.dagster.served import LOCATION, PATIENCE_S, Served, jrunners_of, serving, worker_of
from tests.servers.chromium import CHROMIUM, Chromium

pytestmark = [pytest.mark.daemon, pytest.mark.timeout(600)]

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
    # What the clock starts has a module and a destination of its own: it runs beside any of the tests.
    ticks = project.folder / "ticks.db"
    project.sql(ticks, "VACUUM")
    project.save(Connection(name="ticks", driver="sqlite", jdbc_url=f"jdbc:sqlite:{ticks}"))
    project.add_module("ticking", dest="ticks")
    project.add_group("minutely", ("ticking",))
    assets = project.folder / "assets.db"
    project.sql(assets, "VACUUM")
    project.save(Connection(name="wh", driver="sqlite", jdbc_url=f"jdbc:sqlite:{assets}"))
    project.add_module("base", dest="wh")
    project.add_module("report", source="wh", query="SELECT id, name FROM base", dest="wh", automation="0 0 1 1 *")
    project.save(Schedule(name="each-minute", group="minutely", cron="* * * * *"))
    with serving(project, ANNA) as server:
        yield server


def runs_of(served: Served, run_id: str) -> dict[str, str]:
    return {run["module"]: run["status"] for run in served.get(f"/api/runs/{run_id}")["runs"]}


def nothing_left(served: Served) -> None:
    """Waits: a scheduled run, too, may be under way just now."""
    with served.project.store() as store:
        served.wait_for(lambda: store.leases.all() == [], "free locks")
    served.wait_for(lambda: jrunners_of(served.project.folder) == [], "the end of all jrunners")


def test_a_group_through_queue_daemon_and_launcher(served: Served) -> None:
    run_id = served.run_group("nightly")
    assert served.ended(run_id)["status"] == "failure"
    assert runs_of(served, run_id) == {"one": "success", "two": "success", "bad": "error", "last": "success"}
    status, log = served.request(f"/api/runs/{run_id}/log")
    assert status == 200
    assert b"no_such_column" in log
    output = served.project.home / "run_output" / f"{run_id}.log"
    served.wait_for(lambda: not output.exists(), "the end of the run's process, which leaves no file")


def test_assets_are_materialized_from_dagsters_pages(served: Served) -> None:
    """One asset, then two of which one reads the other; the runs name who launched them; the automation sensor is on."""

    def materialize(*tables: str) -> str:
        selector = {**LOCATION, "jobName": "__ASSET_JOB", "assetSelection": [{"path": ["wh", name]} for name in tables]}
        answer = served.graphql(
            "mutation L($params: ExecutionParams!) { launchRun(executionParams: $params)"
            " { __typename ... on LaunchRunSuccess { run { runId tags { key value } } } ... on Error { message } } }",
            params={"selector": selector, "runConfigData": {}},
        )["launchRun"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        assert {"key": tags.TRIGGERED_BY_TAG, "value": "user:anna"} in answer["run"]["tags"]
        return str(answer["run"]["runId"])

    one = materialize("base")
    assert served.ended(one)["status"] == "success"
    assert runs_of(served, one) == {"base": "success"}
    two = materialize("report", "base")
    assert served.ended(two)["status"] == "success"
    with served.project.store() as store:
        runs = store.runs.list(dagster_run_id=two)
    assert [(run.module, run.triggered_by) for run in runs] == [("report", "user:anna"), ("base", "user:anna")]
    data = served.graphql(
        "query S($s: SensorSelector!, $k: AssetKeyInput!) { sensorOrError(sensorSelector: $s)"
        " { ... on Sensor { sensorType sensorState { status } } }"
        " assetNodeOrError(assetKey: $k) { ... on AssetNode { isExecutable hasMaterializePermission } } }",
        s={**LOCATION, "sensorName": "pipekit_automation"},
        k={"path": ["wh", "report"]},
    )
    assert data["sensorOrError"] == {"sensorType": "AUTO_MATERIALIZE", "sensorState": {"status": "RUNNING"}}
    assert data["assetNodeOrError"] == {"isExecutable": True, "hasMaterializePermission": True}


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium")
def test_what_a_browser_shows(served: Served, tmp_path: Path) -> None:
    run_id = served.run_group("nightly")
    served.ended(run_id)
    query = (
        "query E($id: ID!) { logsForRun(runId: $id) { ... on EventConnection { events {"
        " ... on LogsCapturedEvent { fileKey stepKeys } } } } }"
    )
    events = served.graphql(query, id=run_id)["logsForRun"]["events"]
    (log,) = [event["fileKey"] for event in events if event.get("stepKeys") == ["one"]]
    pages = {
        f"{served.url}/locations/__repository__@pipekit/jobs/nightly": [
            "one",
            "two",
            "bad",
            "last",
            "On failure: continue",
        ],
        f"{served.url}/runs/{run_id}": ["Failure", "Errored (1)", "Succeeded (3)", "no_such_column"],
        f"{served.url}/runs/{run_id}?logFileKey={log}&logType=stdout": ["of module one", "3 inserted"],
        f"{served.url}/automation": ["each_minute", "pipekit_reconcile"],
    }
    with Chromium(tmp_path) as browser:
        browser.log_in(served.url, *ANNA, within_s=PATIENCE_S)
        for url, texts in pages.items():
            browser.open(url)
            browser.await_text(*texts, within_s=PATIENCE_S)


def test_an_edited_definition_shows_within_seconds(served: Served) -> None:
    served.project.add_module("fresh")
    served.project.add_group("fresh_group", ("fresh",))
    served.wait_shown("fresh_group")
    assert served.ended(served.run_group("fresh_group"))["status"] == "success"
    # Whoever runs at once what was saved at once need not wait for it to show.
    served.project.add_module("sudden")
    served.project.add_group("sudden_group", ("sudden",))
    assert served.ended(served.run_group("sudden_group"))["status"] == "success"
    served.project.add_module("single")
    status, answer = served.post("/api/modules/single/run")
    assert status == 202, answer
    assert served.ended(answer["dagster_run_id"])["status"] == "success"


def fired_ticks(served: Served, schedule: str) -> list[dict[str, Any]]:
    """The ticks of a schedule that launched a run, newest first; none of a schedule that is not shown yet."""
    data = served.graphql(
        "query S($s: ScheduleSelector!) { scheduleOrError(scheduleSelector: $s)"
        " { ... on Schedule { scheduleState { ticks { status timestamp runIds } } } } }",
        s={**LOCATION, "scheduleName": schedule},
    )
    state = data["scheduleOrError"].get("scheduleState", {"ticks": []})
    return [tick for tick in state["ticks"] if tick["runIds"]]


@pytest.mark.slow
def test_a_new_schedule_fires_at_its_first_minute(served: Served) -> None:
    """One that counted only from the daemon's first look at it would miss that minute each time, on any machine."""
    served.project.add_module("minted", dest="ticks")
    served.project.add_group("minted_group", ("minted",))
    # A machine that does not show a new schedule within half a minute gets another try.
    assert any(fires_at_its_first_minute(served, f"minted{number}") for number in range(3))


def fires_at_its_first_minute(served: Served, name: str) -> bool:
    if time.time() % 60 > 30:
        time.sleep(61 - time.time() % 60)
    added_at = time.time()
    schedule = Schedule(name=name, group="minted_group", cron="* * * * *")
    served.project.save(schedule)
    served.wait_for(lambda: bool(fired_ticks(served, name)), "a tick")
    first = min(tick["timestamp"] for tick in fired_ticks(served, name))
    served.project.save(schedule, action="delete")
    served.wait_for(lambda: name not in served.shown(), "the end of the schedule")
    assert added_at < first
    return bool(first <= added_at + 60)


def test_a_broken_row_shows_and_hides_nothing(served: Served) -> None:
    served.project.add_module("torn")
    served.project.sql(served.project.folder / "pipekit.db", "UPDATE module SET strategy = 'magic' WHERE name = 'torn'")
    try:
        served.wait_shown("broken_definitions", "nightly", "long")
    finally:
        served.project.sql(served.project.folder / "pipekit.db", "DELETE FROM module WHERE name = 'torn'")
    served.wait_for(lambda: "broken_definitions" not in served.shown(), "the mended definitions")


def test_terminate(served: Served) -> None:
    run_id = served.run_group("long")
    served.staging(run_id)
    at_work = set(jrunners_of(served.project.folder))
    assert at_work
    data = served.graphql("mutation T($id: String!) { terminateRun(runId: $id) { __typename } }", id=run_id)
    assert data["terminateRun"]["__typename"] == "TerminateRunSuccess"
    served.wait_for(lambda: not at_work & set(jrunners_of(served.project.folder)), "the end of jrunner")
    assert served.ended(run_id)["status"] == "canceled"
    assert runs_of(served, run_id) == {"slow": "cancelled"}
    with served.project.store() as store:
        assert store.group_runs.list(group="long")[0].status == "cancelled"
    nothing_left(served)


@pytest.mark.slow
def test_sigkill_of_the_run(served: Served) -> None:
    run_id = served.run_group("long")
    served.staging(run_id)
    os.kill(worker_of(served, run_id).pid, signal.SIGKILL)
    assert served.ended(run_id)["status"] == "failure"
    served.wait_for(lambda: runs_of(served, run_id) == {"slow": "error"}, "the sensor that reconciles")
    nothing_left(served)
    with served.project.store() as store:
        assert "interrupted" in str(store.runs.list(module="slow", limit=1)[0].error)
        assert store.group_runs.list(group="long")[0].status == "error"


ENDLESS = "SELECT count(*) FROM big a, big b, big c, big d, big e"


@pytest.mark.parametrize(
    ("phase", "says", "rows"),
    [
        pytest.param("resolve", "The destination was not touched", 0, marks=pytest.mark.slow),
        pytest.param("merge", "outcome unknown", 0, marks=pytest.mark.slow),
        pytest.param("hooks", "after the merge was committed", 3, marks=pytest.mark.slow),
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
    served.wait_shown(name)
    run_id = served.run_group(name)
    served.in_phase(run_id, phase)
    os.kill(worker_of(served, run_id).pid, signal.SIGKILL)
    assert served.ended(run_id)["status"] == "failure"
    served.wait_for(lambda: runs_of(served, run_id) == {name: "error"}, "the sensor that reconciles")
    nothing_left(served)
    with project.store() as store:
        assert says in str(store.runs.list(module=name, limit=1)[0].error)
        assert store.group_runs.list(group=name)[0].status == "error"
    assert project.sql(project.slow_dest, f"SELECT count(*) FROM {name}") == [(rows,)]
    if phase == "merge":
        project.sql(project.slow_dest, "DROP TRIGGER endless")
        assert served.ended(served.run_group(name))["status"] == "success"
        assert project.sql(project.slow_dest, f"SELECT count(*) FROM {name}") == [(3,)]


@pytest.mark.slow
def test_killed_services_come_back_and_health_says_so(served: Served) -> None:
    long = served.run_group("long")
    served.staging(long)
    for name in ("daemon", "code server"):
        before = served.service(name)
        os.kill(before.pid, signal.SIGKILL)
        served.wait_for(lambda: served.health()[0] == 503, f"health without {name}")
        served.wait_for(lambda: served.health()[0] == 200, f"{name} again")
        assert served.service(name) != before
    before = served.service("web server")
    os.kill(before.pid, signal.SIGKILL)
    served.wait_for(lambda: not before.alive(), "the end of the web server")
    served.wait_for(lambda: served.health()[0] == 200, "web server again")
    assert runs_of(served, long) == {"slow": "running"}, "running runs are undisturbed"
    assert served.ended(served.run_group("quick"))["status"] == "success"
    served.graphql("mutation T($id: String!) { terminateRun(runId: $id) { __typename } }", id=long)
    assert served.ended(long)["status"] == "canceled"


def test_a_schedule_fires_each_tick_once(served: Served) -> None:
    """The daemon was killed and came back meanwhile."""
    with served.project.store() as store:
        origin = "schedule:each-minute"

        def runs() -> list[GroupRunRecord]:
            return [run for run in store.group_runs.list(group="minutely", limit=100) if run.triggered_by == origin]

        served.wait_for(lambda: any(run.status == "success" for run in runs()), "a tick whose run goes well")
        found = runs()
        assert len({run.dagster_run_id for run in found}) == len(found)
        good = next(run for run in found if run.status == "success")
        assert served.ended(str(good.dagster_run_id))["status"] == "success"
        assert store.ticks.last_fired_at("each-minute") is not None
    fired = fired_ticks(served, "each_minute")
    assert len({tick["timestamp"] for tick in fired}) == len(fired) > 0


def test_login_and_roles(served: Served) -> None:
    assert served.request("/graphql", {"query": "{version}"}, authorization="")[0] == 401
    assert served.request("/api/runs", authorization="Basic eDp5")[0] == 401
    viewer = Served.__new__(Served)
    viewer.__dict__.update(served.__dict__)
    viewer.login = VERA
    assert viewer.shown() == served.shown()
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
    with socket.create_connection(("127.0.0.1", served.port), timeout=PATIENCE_S) as connection:
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        return int(connection.recv(4096).split()[1])


def test_websockets_pass_the_same_login(served: Served) -> None:
    login = "Basic " + base64.b64encode(":".join(ANNA).encode()).decode()
    assert handshake(served) == 403
    assert handshake(served, Authorization=login) == 101
    assert handshake(served, Authorization=login, Origin="https://evil.example") == 403
    request = urllib.request.Request(f"{served.url}/server_info", headers={"authorization": login})
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        cookie = answer.headers["set-cookie"].partition(";")[0]
    assert handshake(served, Cookie=cookie, Origin=served.url) == 101, "Safari sends the cookie only"
    assert handshake(served, Cookie=cookie[:-1] + ("0" if cookie[-1] != "0" else "1")) == 403


def sensor_ticks(served: Served, sensor: str) -> list[str]:
    """The statuses of a sensor's ticks; none of a sensor that is not shown yet."""
    data = served.graphql(
        "query S($s: SensorSelector!) { sensorOrError(sensorSelector: $s)"
        " { ... on Sensor { sensorState { ticks { status } } } } }",
        s={**LOCATION, "sensorName": sensor},
    )
    return [tick["status"] for tick in data["sensorOrError"].get("sensorState", {"ticks": []})["ticks"]]


@pytest.mark.slow
def test_a_trigger_fires_when_its_value_changes(served: Served) -> None:
    project = served.project
    project.sql(project.source, "CREATE TABLE events (id INTEGER)")
    project.add_module("events", query="SELECT id FROM events")
    project.add_group("on_events", ("events",))
    sql = "SELECT max(id) FROM events"
    trigger = Trigger(name="events-came", group="on_events", kind="watermark", connection="src", sql=sql, every=5)
    project.save(trigger)

    def runs() -> list[str]:
        with project.store() as store:
            return [run.triggered_by for run in store.group_runs.list(group="on_events") if run.status == "success"]

    served.wait_for(lambda: sensor_ticks(served, "events_came").count("SKIPPED") >= 2, "two looks")
    assert runs() == [], "the query gives NULL: there is nothing to sync"
    project.sql(project.source, "INSERT INTO events VALUES (1)")
    expected = ["trigger:events-came"]
    served.wait_for(lambda: runs() == expected, "the triggered run")
    assert project.rows("events") == [(1,)]
    project.save(trigger, action="delete")
    served.wait_for(lambda: "events_came" not in served.shown(), "the end of the trigger")


def test_the_test_buttons_leave_no_trace(served: Served) -> None:
    project = served.project
    project.sql(project.source, "CREATE TABLE tries (id INTEGER)")
    project.add_group("tried", ("one",))
    project.save(Schedule(name="new-year", group="tried", cron="0 0 1 1 *"))
    sql = "SELECT max(id) FROM tries"
    project.save(Trigger(name="tried-trigger", group="tried", kind="watermark", connection="src", sql=sql, every=3600))
    served.wait_shown("tried", "new_year", "tried_trigger")
    data = served.graphql(
        "mutation D($s: ScheduleSelector!, $t: Float) { scheduleDryRun(selectorData: $s, timestamp: $t) {"
        " ... on DryRunInstigationTick { evaluationResult { runRequests { runKey } skipReason } } } }",
        s={**LOCATION, "scheduleName": "new_year"},
        t=time.time(),
    )
    asked = data["scheduleDryRun"]["evaluationResult"]
    assert asked["runRequests"], asked
    # The daemon has looked and will not look again for an hour: what changes now is seen by the button alone.
    served.wait_for(lambda: sensor_ticks(served, "tried_trigger") == ["SKIPPED"], "the daemon's own look")
    project.sql(project.source, "INSERT INTO tries VALUES (1)")
    data = served.graphql(
        "mutation D($s: SensorSelector!) { sensorDryRun(selectorData: $s, cursor: null) {"
        " ... on DryRunInstigationTick { evaluationResult { runRequests { runKey } skipReason } } } }",
        s={**LOCATION, "sensorName": "tried_trigger"},
    )
    asked = data["sensorDryRun"]["evaluationResult"]
    assert asked["runRequests"], asked
    with project.store() as store:
        assert store.ticks.last_fired_at("new-year") is None
        assert store.ticks.trigger_cursor("tried-trigger") is None


@pytest.mark.slow
def test_a_broken_configuration_is_shown_and_heals(served: Served) -> None:
    file = served.project.config_file
    good = file.read_text()
    file.write_text("databse: typo.db\n")
    try:
        served.wait_for(
            lambda: served.health()[1].get("code server") == "definitions do not load", "the error in health"
        )
        data = served.graphql(
            "{ workspaceOrError { ... on Workspace { locationEntries {"
            " locationOrLoadError { __typename ... on PythonError { causes { message } } } } } } }"
        )
        assert "did you mean 'database'" in json.dumps(data)
    finally:
        file.write_text(good)
    served.wait_for(lambda: served.health()[0] == 200, "health again")


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


@pytest.mark.slow
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
            # What changes something would take it from the other tests here, and what asks databases starts a jrunner each
            # time: `tests/web/test_openapi.py` asks all of it.
            *(
                "--include-method",
                "GET",
                "--exclude-path-regex",
                ".*/introspect/.*",
                "--exclude-checks",
                "ignored_auth",
            ),
            # A slow machine is no fault of the API.
            *("--request-timeout", f"{PATIENCE_S}", "--suppress-health-check", "too_slow"),
        ],
        cwd=served.project.folder,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-1000:]


@pytest.mark.slow
def test_a_clean_stop_hands_running_runs_over(served: Served) -> None:
    run_id = served.run_group("longer")
    served.staging(run_id)
    assert served.stop() == 0
    assert worker_of(served, run_id).alive()
    served.start()
    assert runs_of(served, run_id) == {"slow2": "running"}
    served.graphql("mutation T($id: String!) { terminateRun(runId: $id) { __typename } }", id=run_id)
    assert served.ended(run_id)["status"] == "canceled"


@pytest.mark.slow
def test_sigkill_of_everything_then_restart(served: Served) -> None:
    run_id = served.run_group("longer")
    served.staging(run_id)
    worker = worker_of(served, run_id)
    served.kill_everything()
    worker.kill()
    served.start()
    assert served.ended(run_id)["status"] == "failure"
    served.wait_for(lambda: runs_of(served, run_id) == {"slow2": "error"}, "the sensor that reconciles")
    nothing_left(served)
    assert served.ended(served.run_group("quick"))["status"] == "success"


@pytest.mark.slow
def test_reload_follows_pipekits_own_code(served: Served) -> None:
    assert served.stop() == 0
    served.start(reload_=True)
    before = served.service("code server")
    seen = served.log.stat().st_size
    os.utime(Path(tags.__file__))
    served.wait_for(lambda: "was reloaded in" in served.log.read_text()[seen:], "the reload of the touched file")
    served.wait_for(lambda: served.health()[0] == 200, "health after the reload")
    assert served.service("code server") == before  # a new process behind the same proxy
    assert served.ended(served.run_group("quick"))["status"] == "success"


@pytest.mark.slow
def test_what_changes_while_the_code_server_starts_is_shown(
    project: Project, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It has read the definitions already, and does not answer yet."""
    for name, value in (
        ("DAGSTER_HOME", project.home),
        ("PIPEKIT_CONFIG", project.config_file),
        ("PYTHONUNBUFFERED", 1),
    ):
        monkeypatch.setenv(name, str(value))
    caplog.set_level("INFO", "pipekit.serve")
    home, stop = Home.of(project.config), threading.Event()

    def wait_for(done: Callable[[], bool]) -> None:
        until = time.monotonic() + PATIENCE_S
        while not done():
            assert time.monotonic() < until, caplog.text
            time.sleep(0.05)

    with home.hold():
        supervisor = Supervisor(project.config, home, "127.0.0.1", 0)
        reloader, code_server = supervisor._reloader, supervisor._code
        reloader.mark_shown()
        watching = threading.Thread(target=reloader.run, args=(stop,))
        code_server.poll()
        try:
            wait_for(home.socket.exists)
            project.add_module("late")
            watching.start()
            wait_for(lambda: "definitions changed" in caplog.text)
        finally:
            stop.set()
            code_server.terminate()
            code_server.wait_stopped(PATIENCE_S)
            if watching.ident:
                watching.join()


def test_services_of_a_script_s_background_job_take_signals(tmp_path: Path) -> None:
    """Such a job ignores SIGINT; a code server that inherits it ignores SIGTERM, too, and leaves a process behind."""
    said = tmp_path / "said"
    code = f"import pathlib, signal; pathlib.Path({str(said)!r}).write_text(repr(signal.getsignal(signal.SIGINT)))"
    service = Service("any", [sys.executable, "-c", code], os.environ)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert service.poll()
    finally:
        signal.signal(signal.SIGINT, before)
    service.wait_stopped(PATIENCE_S)
    assert "default_int_handler" in said.read_text()


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
