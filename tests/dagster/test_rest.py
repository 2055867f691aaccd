"""The REST interface by itself: its answers, and that every error has one form."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from typing import Any

import pytest

from pipekit_engine.models import Schedule
from pipekit_web.api.app import build_api
from pipekit_web.api.problems import MAX_BODY_BYTES
from pipekit_web.server.auth import set_password
from tests.dagster.project import Project
from tests.dagster.test_auth import ANNA, VERA, basic


class Client:
    """Speaks to an ASGI application."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def ask(self, method: str, target: str, body: bytes = b"", **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body."""
        path, _, query = target.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("localhost", 80),
            "scheme": "http",
        }
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body}

        async def send(message: Any) -> None:
            sent.append(message)

        try:
            asyncio.run(self._app(scope, receive, send))
        except Exception:
            assert sent, "an error is answered before it is raised again"
        fields = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return sent[0]["status"], fields, b"".join(message.get("body", b"") for message in sent[1:])

    def get(self, target: str) -> Any:
        """JSON of a path that answers 200."""
        status, _, body = self.ask("GET", target)
        assert status == 200, body
        return json.loads(body)


@pytest.fixture
def client(project: Project) -> Client:
    project.add_module("orders")
    project.add_group("nightly", ("orders",))
    project.save(Schedule(name="at-two", group="nightly", cron="0 2 * * *"))
    project.save(Schedule(name="off", group="nightly", cron="0 2 * * *", enabled=False))
    return Client(build_api(project.config, None))


def test_runs_as_the_command_shows_them(client: Client, project: Project) -> None:
    with project.store() as store:
        first = store.runs.start("orders", triggered_by="manual")
        assert first is not None
        store.runs.append_log(first[0], "reading\n")
        store.runs.finish(first[0], "error", error="no such column", stderr="trace")
        second = store.runs.start("orders", triggered_by="manual")
        assert second is not None
    newest, oldest = client.get("/api/runs?module=orders")
    assert (newest["id"], newest["status"], newest["duration_s"]) == (second[0], "running", None)
    assert oldest["duration_s"] >= 0
    assert {"stdout", "stderr", "live_log"}.isdisjoint(oldest)
    assert client.get("/api/runs?status=error&limit=1") == [oldest]
    whole = client.get(f"/api/runs/{first[0]}")
    assert (whole["live_log"], whole["stderr"]) == ("reading\n", "trace")
    assert client.ask("GET", f"/api/runs/{first[0]}/log?offset=8")[2] == b"error: no such column\n"


def test_definitions(client: Client) -> None:
    assert [item["name"] for item in client.get("/api/modules")] == ["orders"]
    assert client.get("/api/groups/nightly")["runs"] == []
    on, off = client.get("/api/schedules")
    assert [datetime.fromisoformat(time.replace("Z", "+00:00")).hour for time in on["next"]] == [2] * 5
    assert off["next"] == []
    assert on["last_fired_at"] is None


JSON = {"content_type": "application/json"}


@pytest.mark.parametrize(
    ("method", "target", "body", "headers", "status", "says"),
    [
        ("GET", "/api/nowhere", b"", {}, 404, "openapi.json"),
        ("GET", "/api/modules/", b"", {}, 404, "openapi.json"),
        ("GET", "/api/modules/nope", b"", {}, 404, "nope"),
        ("GET", "/api/runs/999999", b"", {}, 404, "999999"),
        ("GET", "/api/modules/orders/run", b"", {}, 405, "POST"),
        ("DELETE", "/api/runs", b"", {}, 405, "GET, HEAD"),
        ("GET", "/api/runs?limit=0", b"", {}, 400, "limit"),
        ("GET", "/api/runs?limit=many", b"", {}, 400, "limit"),
        ("GET", "/api/runs?status=odd", b"", {}, 400, "status"),
        ("GET", "/api/runs?modul=orders", b"", {}, 400, "modul"),
        ("GET", "/api/runs/1/log?offset=-1", b"", {}, 400, "offset"),
        ("POST", "/api/modules/orders/run", b"x" * (MAX_BODY_BYTES + 1), JSON, 413, "bytes"),
        ("POST", "/api/modules/orders/run", b"{}", {}, 415, "Content-Type"),
        ("POST", "/api/modules/orders/run", b"dry_run=1", {"content_type": "text/plain"}, 415, "Content-Type"),
        ("POST", "/api/modules/orders/run", b"{", JSON, 400, "not JSON"),
        ("POST", "/api/modules/orders/run", b'{"dry": true}', JSON, 422, "dry"),
        ("POST", "/api/modules/orders/run", b'{"dry_run": "yes"}', JSON, 422, "dry_run"),
        ("POST", "/api/modules/orders/run", b"[1]", JSON, 422, "body"),
        ("POST", "/api/modules/orders/run", b"null", JSON, 422, "body"),
        ("POST", "/api/modules/orders/run", b"[" * 100_000, JSON, 400, ""),
        # This interface has no Dagster behind it.
        ("POST", "/api/modules/orders/run", b"  ", {}, 503, "server's log"),
    ],
)
def test_every_error_has_one_form(
    client: Client, method: str, target: str, body: bytes, headers: dict[str, str], status: int, says: str
) -> None:
    found, fields, answer = client.ask(method, target, body, **headers)
    assert (found, fields["content-type"]) == (status, "application/json")
    (error,) = json.loads(answer).items()
    assert error[0] == "error"
    assert says in error[1]


def test_every_problem_is_described_as_json(client: Client) -> None:
    for path in client.get("/api/openapi.json")["paths"].values():
        for operation in path.values():
            for status, answer in operation["responses"].items():
                kinds = {"log_": "text/plain", "events_": "text/event-stream"}
                text = next((kind for name, kind in kinds.items() if operation["operationId"].startswith(name)), None)
                wanted = text if status == "200" and text else "application/json"
                expected = [] if status == "204" else [wanted]
                assert list(answer.get("content", [])) == expected, (operation["operationId"], status)


def test_a_store_that_is_away(client: Client, project: Project) -> None:
    (project.folder / "pipekit.db").unlink()
    status, _, body = client.ask("GET", "/api/modules")
    assert status == 503
    assert "pipekit init" in json.loads(body)["error"]


def test_head_is_answered_as_get(client: Client) -> None:
    assert client.ask("HEAD", "/api/modules")[0] == 200


def test_the_login_refuses_in_the_same_form(client: Client, project: Project) -> None:
    from pipekit_web.server.auth import Users, users_file
    from pipekit_web.server.middleware import MAX_BODY_BYTES as LOGIN_MAX
    from pipekit_web.server.middleware import Login, Throttle

    set_password(project.config, "anna", "correct horse")
    set_password(project.config, "vera", "looks only", role="viewer")
    behind = Client(Login(client._app, Users(users_file(project.config)), Throttle(free=1, first_wait_s=60)))
    length = {"content_length": str(LOGIN_MAX + 1)}
    for headers, method, wanted in [
        ({}, "GET", 401),
        ({"authorization": VERA}, "POST", 403),
        ({"authorization": ANNA, "origin": "https://evil.example"}, "GET", 403),
        ({"authorization": ANNA, **length}, "POST", 413),
        ({"authorization": basic("eve", "wrong wrong")}, "GET", 401),
        ({"authorization": basic("eve", "wrong wrong")}, "GET", 429),
    ]:
        status, fields, body = behind.ask(method, "/api/runs", host="localhost", **headers)
        assert (status, fields["content-type"], list(json.loads(body))) == (wanted, "application/json", ["error"])
    assert behind.ask("GET", "/runs", host="localhost")[1]["content-type"].startswith("text/plain")
