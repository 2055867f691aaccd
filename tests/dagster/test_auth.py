"""Users, passwords, sessions, and the login in front of the web server."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from pipekit_engine.config import Config
from pipekit_engine.errors import ConfigurationError
from pipekit_web.server import auth
from pipekit_web.server.auth import Users, remove_user, set_password, users_file
from pipekit_web.server.middleware import COOKIE, USER_KEY, Login, Throttle

HOST = "pipekit.example:3000"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.delenv("PIPEKIT_USERS", raising=False)
    monkeypatch.setitem(auth._SCRYPT, "n", 2**8)  # the real cost, some hundred times over, would take a minute
    return Config(path=tmp_path / "pipekit.yaml")


def test_set_change_remove(config: Config) -> None:
    path = set_password(config, "anna", "correct horse")
    set_password(config, "vera", "looks only", role="viewer")
    users = Users(path)
    assert {user.name: user.role for user in users.all().values()} == {"anna": "admin", "vera": "viewer"}
    assert users.login("anna", "correct horse")
    assert users.login("anna", "correct hors") is None
    assert users.login("nobody", "correct horse") is None
    set_password(config, "anna", "another horse")
    assert users.login("anna", "correct horse") is None
    assert users.login("anna", "another horse")
    assert users.all()["anna"].role == "admin"
    set_password(config, "vera", "looks only")
    assert users.all()["vera"].role == "viewer", "a role stays unless it is said"
    remove_user(config, "vera")
    assert users.login("vera", "looks only") is None


def test_the_file_holds_no_password_and_only_its_owner_reads_it(config: Config) -> None:
    path = set_password(config, "anna", "correct horse")
    assert "correct horse" not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) & 0o007 == 0
    os.chmod(path, 0o640)
    set_password(config, "bert", "battery staple")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640, "the mode is kept"
    assert list(path.parent.glob(".*")) == [], "nothing is left beside it"


@pytest.mark.parametrize(
    ("user", "password", "role", "says"),
    [
        ("", "long enough", None, "name"),
        ("a:b", "long enough", None, ":"),
        ("anna", "short", None, "8 characters"),
        ("anna", "long enough", "god", "admin and viewer"),
    ],
)
def test_refused(config: Config, user: str, password: str, role: str | None, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        set_password(config, user, password, role)
    assert not users_file(config).exists()


def test_a_damaged_file_lets_nobody_in(config: Config) -> None:
    users_file(config).write_text('{"users": {}')
    users = Users(users_file(config))
    with pytest.raises(ConfigurationError, match="not a file of users"):
        users.all()
    assert ask(Login(Reached(), users), "/", host="localhost", authorization=ANNA)[0] == 503


def test_sessions(config: Config) -> None:
    path = set_password(config, "anna", "correct horse")
    users = Users(path)
    anna = users.all()["anna"]
    cookie = users.cookie(anna, 3600)
    found = users.from_cookie(cookie)
    assert found is not None
    assert found[0] == anna
    body, _, signature = cookie.partition(".")
    forged = base64.urlsafe_b64encode(json.dumps(["anna", 2**40, anna.fingerprint]).encode()).decode()
    for bad in (f"{forged}.{signature}", f"{body}.{'0' * 64}", "", "x", ".", f"{body}", "é.ü", users.cookie(anna, -1)):
        assert users.from_cookie(bad) is None
    set_password(config, "anna", "another horse")
    assert users.from_cookie(cookie) is None, "a new password ends old sessions"


class Reached:
    """The application behind the login: notes who came through."""

    def __init__(self) -> None:
        self.users: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.users.append(scope.get(USER_KEY))
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"in"})
        else:
            await receive()
            await send({"type": "websocket.accept"})


def ask(
    app: Any, path: str = "/", *, method: str = "GET", kind: str = "http", **headers: str
) -> tuple[int, dict[str, str]]:
    """One request; its status (101 for an accepted websocket, 403 for a refused one) and headers."""
    fields = {"host": HOST, **{key.replace("_", "-"): value for key, value in headers.items()}}
    scope: dict[str, Any] = {
        "type": kind,
        "path": path,
        "scheme": "http" if kind == "http" else "ws",
        "client": ("10.0.0.9", 1),
        "headers": [(key.encode(), value.encode()) for key, value in fields.items()],
    }
    if kind == "http":
        scope["method"] = method
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect" if kind == "websocket" else "http.request"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    first = sent[0]
    status = first.get("status") or (101 if first["type"] == "websocket.accept" else 403)
    return status, {key.decode(): value.decode() for key, value in first.get("headers", [])}


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture
def app(config: Config) -> Login:
    set_password(config, "anna", "correct horse")
    set_password(config, "vera", "looks only", role="viewer")
    return Login(Reached(), Users(users_file(config)))


ANNA = basic("anna", "correct horse")
VERA = basic("vera", "looks only")


@pytest.mark.parametrize(
    "path", ["/", "/graphql", "/server_info", "/api/runs", "/logs/x", "/health/", "/healthx", "//health"]
)
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_every_path_asks_for_a_login(app: Login, path: str, kind: str) -> None:
    status, headers = ask(app, path, kind=kind)
    assert status == (401 if kind == "http" else 403)
    if kind == "http":
        assert headers["www-authenticate"].startswith("Basic")


def test_health_is_open(app: Login) -> None:
    assert ask(app, "/health")[0] == 200
    assert ask(app, "/health", kind="websocket")[0] == 403


def test_a_login_and_its_cookie(app: Login) -> None:
    status, headers = ask(app, "/", authorization=ANNA)
    assert status == 200
    cookie = headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie
    value = cookie.partition(";")[0]
    assert value.startswith(COOKIE)
    status, headers = ask(app, "/", cookie=value)
    assert status == 200
    assert "set-cookie" not in headers
    assert ask(app, "/graphql", kind="websocket", cookie=value, origin=f"http://{HOST}")[0] == 101
    assert ask(app, "/graphql", kind="websocket", authorization=ANNA)[0] == 101


@pytest.mark.parametrize(
    "value", ["Basic", "Basic !!", "Bearer x", "Basic " + base64.b64encode(b"anna").decode(), "Basic /w=="]
)
def test_headers_that_are_no_login(app: Login, value: str) -> None:
    assert ask(app, "/", authorization=value)[0] == 401


def test_other_sites_are_refused(app: Login) -> None:
    foreign = "https://evil.example"
    assert ask(app, "/graphql", method="POST", authorization=ANNA, origin=foreign)[0] == 403
    assert ask(app, "/graphql", kind="websocket", authorization=ANNA, origin=foreign)[0] == 403
    assert ask(app, "/graphql", authorization=ANNA, sec_fetch_site="cross-site", sec_fetch_mode="navigate")[0] == 403
    assert ask(app, "/runs", authorization=ANNA, sec_fetch_site="cross-site", sec_fetch_mode="navigate")[0] == 200
    assert ask(app, "/runs", authorization=ANNA, sec_fetch_site="cross-site", sec_fetch_mode="no-cors")[0] == 403
    assert ask(app, "/graphql", method="POST", authorization=ANNA, origin=f"http://{HOST}")[0] == 200
    assert ask(app, "/graphql", method="POST", authorization=ANNA)[0] == 200, "a program sends no Origin"


def test_a_viewer_changes_nothing(app: Login) -> None:
    assert ask(app, "/runs", authorization=VERA)[0] == 200
    assert ask(app, "/graphql", method="POST", authorization=VERA)[0] == 200, "Dagster refuses their mutations"
    assert ask(app, "/api/groups/nightly/run", method="POST", authorization=VERA)[0] == 403
    assert ask(app, "/report_asset_materialization/x", method="POST", authorization=VERA)[0] == 403
    assert ask(app, "/api/groups/nightly/run", method="POST", authorization=ANNA)[0] == 200


def test_failed_logins_are_slowed_down_and_the_right_one_still_works(config: Config) -> None:
    path = set_password(config, "anna", "correct horse")
    app = Login(Reached(), Users(path), Throttle(free=2, first_wait_s=60))
    assert ask(app, "/", authorization=ANNA)[0] == 200
    for _ in range(2):
        assert ask(app, "/", authorization=basic("anna", "wrong wrong"))[0] == 401
    status, headers = ask(app, "/", authorization=basic("anna", "wrong wrong"))
    assert status == 429
    assert int(headers["retry-after"]) >= 1
    assert ask(app, "/", authorization=ANNA)[0] == 200, "who is logged in stays in"


def test_without_users_only_this_machine_is_answered(config: Config) -> None:
    app = Login(Reached(), Users(users_file(config)))
    assert ask(app, "/")[0] == 403, "a name that somebody points here"
    assert ask(app, "/", host="localhost:3000")[0] == 200
    assert ask(app, "/", host="127.0.0.1")[0] == 200
    assert ask(app, "/", host="[::1]:3000")[0] == 200
    assert ask(app, "/graphql", method="POST", host="localhost:3000", origin="https://evil.example")[0] == 403
    set_password(config, "anna", "correct horse")
    assert ask(app, "/", host="localhost:3000")[0] == 401, "from the first password on it is asked for"
