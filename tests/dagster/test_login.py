"""The login under attack: many tries at once, two users in one browser, a file of users that vanishes, pages of other sites."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from pipekit_engine.config import Config, load_config
from pipekit_engine.errors import ConfigurationError
from pipekit_web.server import auth
from pipekit_web.server.auth import Users, remove_user, set_password, users_file
from pipekit_web.server.middleware import Login, Throttle
from tests.dagster.test_auth import ANNA, HOST, VERA, Reached, ask, basic


@pytest.fixture
def config(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.delenv("PIPEKIT_USERS", raising=False)
    monkeypatch.setitem(auth._SCRYPT, "n", 2**8)
    made = Config(path=tmp_path / "pipekit.yaml")
    set_password(made, "anna", "correct horse")
    set_password(made, "vera", "looks only", role="viewer")
    return made


def ask_at_once(app: Login, logins: list[str], client: str = "10.0.0.9") -> list[int]:
    """The status of each of these requests, all of them sent before one is answered."""

    async def one(authorization: str) -> int:
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        headers = [(b"host", HOST.encode()), (b"authorization", authorization.encode())]
        scope = {"type": "http", "path": "/", "scheme": "http", "method": "GET", "client": (client, 1)}
        await app({**scope, "headers": headers}, receive, send)
        return int(sent[0]["status"])

    async def together() -> list[int]:
        return list(await asyncio.gather(*[one(login) for login in logins]))

    return asyncio.run(together())


def test_tries_at_once_are_counted_one_by_one(config: Config) -> None:
    app = Login(Reached(), Users(users_file(config)), Throttle(free=3, first_wait_s=60))
    found = ask_at_once(app, [basic("anna", f"wrong {number}") for number in range(40)])
    assert (found.count(401), found.count(429)) == (3, 37)


def test_right_logins_at_once_all_get_in(config: Config) -> None:
    """A script that starts with many requests side by side is not slowed down, nor checked each time."""
    app = Login(Reached(), Users(users_file(config)), Throttle(free=3, first_wait_s=60))
    assert ask_at_once(app, [ANNA] * 40) == [200] * 40


def test_neighbours_in_one_ipv6_network_are_one_client(config: Config) -> None:
    """Whoever has an IPv6 address has 2**64 of them."""
    app = Login(Reached(), Users(users_file(config)), Throttle(free=2, first_wait_s=60))
    wrong = basic("anna", "wrong wrong")
    assert [ask_at_once(app, [wrong], f"2001:db8::{number}")[0] for number in range(1, 5)] == [401, 401, 429, 429]
    assert ask_at_once(app, [wrong], "2001:db8:0:1::1") == [401]
    assert ask_at_once(app, [wrong], "::ffff:10.0.0.1") == [401]
    assert ask_at_once(app, [wrong], "::ffff:10.0.0.2") == [401]


def test_a_login_outranks_the_cookie_of_another_user(config: Config) -> None:
    reached = Reached()
    app = Login(reached, Users(users_file(config)))
    cookie = ask(app, "/", authorization=VERA)[1]["set-cookie"].partition(";")[0]
    status, headers = ask(app, "/", authorization=ANNA, cookie=cookie)
    assert status == 200
    assert reached.users[-1].name == "anna"
    cookie = headers["set-cookie"].partition(";")[0]
    assert ask(app, "/", cookie=cookie)[0] == 200
    assert reached.users[-1].name == "anna"
    assert ask(app, "/", authorization=basic("vera", "wrong wrong"), cookie=cookie)[0] == 401


def test_who_has_a_session_is_not_slowed_down_by_the_wrong_tries_of_others(config: Config) -> None:
    app = Login(Reached(), Users(users_file(config)), Throttle(free=1, first_wait_s=60))
    cookie = ask(app, "/", authorization=ANNA)[1]["set-cookie"].partition(";")[0]
    fresh = Login(
        Reached(), Users(users_file(config)), Throttle(free=1, first_wait_s=60)
    )  # the server was started anew
    assert ask(fresh, "/", authorization=basic("anna", "wrong wrong"))[0] == 401
    assert ask(fresh, "/", authorization=ANNA)[0] == 429
    assert ask(fresh, "/", authorization=ANNA, cookie=cookie)[0] == 200


def test_an_outward_server_whose_users_are_gone_lets_nobody_in(config: Config) -> None:
    users_file(config).unlink()
    reached = Reached()
    app = Login(reached, Users(users_file(config)), local_only=False)
    status, _ = ask(app, "/", host="localhost")
    assert status == 503, "anyone can claim to ask for localhost"
    assert ask(app, "/graphql", kind="websocket", host="localhost")[0] == 403
    assert not reached.users
    assert ask(app, "/health")[0] == 200
    set_password(config, "anna", "correct horse")
    assert ask(app, "/", authorization=ANNA)[0] == 200


@pytest.mark.parametrize("how", ["file", "users"])
def test_a_local_server_does_not_open_when_its_users_vanish(config: Config, how: str) -> None:
    """It may well stand behind a proxy, for which everyone comes from this machine."""
    reached = Reached()
    app = Login(reached, Users(users_file(config)))
    assert ask(app, "/", host="localhost", authorization=ANNA)[0] == 200
    if how == "file":
        users_file(config).unlink()
    else:
        remove_user(config, "anna")
        remove_user(config, "vera")
    reached.users.clear()
    assert ask(app, "/", host="localhost")[0] == 503
    assert not reached.users


def test_no_other_site_shows_pipekit_in_a_frame(config: Config) -> None:
    """Else a click on their page is a click on Terminate."""
    app = Login(Reached(), Users(users_file(config)))
    _, headers = ask(app, "/", authorization=ANNA)
    assert headers["x-frame-options"] == "SAMEORIGIN"
    cookie = headers["set-cookie"].partition(";")[0]
    assert ask(app, "/", cookie=cookie)[1]["x-frame-options"] == "SAMEORIGIN"
    assert ask(app, "/")[1]["x-frame-options"] == "SAMEORIGIN"


def test_many_addresses_that_try_one_users_password_slow_each_other_down_and_not_the_user(config: Config) -> None:
    """Nor does an attacker who comes by the same proxy as everybody."""
    app = Login(Reached(), Users(users_file(config)), Throttle(free=1, first_wait_s=60))
    assert ask_at_once(app, [ANNA], "10.0.0.1") == [200]
    app._users._remembered.clear()
    wrong = basic("anna", "wrong wrong")
    tries = [ask_at_once(app, [wrong], f"10.1.0.{number}")[0] for number in range(1, 15)]
    assert (tries[:10], tries[-1]) == ([401] * 10, 429)
    assert ask_at_once(app, [ANNA], "10.1.1.1") == [429], "nobody knows anna there"
    assert ask_at_once(app, [wrong], "10.0.0.1") == [401]
    assert ask_at_once(app, [basic("vera", "wrong wrong")] * 3, "10.0.0.1").count(429) == 2
    assert ask_at_once(app, [ANNA], "10.0.0.1") == [200]


@pytest.mark.parametrize("how", ["removed", "password", "role"])
def test_a_websocket_ends_within_a_second_when_its_user_is_changed(config: Config, how: str) -> None:
    """It went on, and took new subscriptions."""
    events: list[str] = []

    async def served(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] != "websocket.disconnect":
            events.append(message["text"])
        await send({"type": "websocket.send", "text": "too late"})

    async def talk() -> float:
        inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        closed: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

        async def send(message: dict[str, Any]) -> None:
            assert message["type"] != "websocket.send"
            if message["type"] == "websocket.close":
                closed.set_result(message)

        headers = [(b"host", HOST.encode()), (b"authorization", ANNA.encode())]
        scope = {"type": "websocket", "path": "/graphql", "scheme": "ws", "client": ("10.0.0.9", 1), "headers": headers}
        app = Login(served, Users(users_file(config)))
        await inbox.put({"type": "websocket.connect"})
        await inbox.put({"type": "websocket.receive", "text": "before"})
        running = asyncio.ensure_future(app(scope, inbox.get, send))
        await asyncio.sleep(0.7)
        assert not closed.done()
        if how == "removed":
            remove_user(config, "anna")
        else:
            set_password(
                config,
                "anna",
                "correct horse" if how == "role" else "another horse",
                "viewer" if how == "role" else None,
            )
        began = time.monotonic()
        assert (await asyncio.wait_for(closed, 5))["code"] == 1008
        took = time.monotonic() - began
        await inbox.put({"type": "websocket.receive", "text": "after"})
        await asyncio.wait_for(running, 5)
        return took

    assert asyncio.run(talk()) < 1
    assert events == ["before"]


@pytest.mark.parametrize("address", ["proxy.example", "10.0.0.1/33", "*"])
def test_proxies_are_trusted_by_address(tmp_path: Path, address: str) -> None:
    (tmp_path / "pipekit.yaml").write_text(f"trusted_proxies: ['{address}']\n")
    with pytest.raises(ConfigurationError, match="trusted_proxies"):
        load_config(tmp_path / "pipekit.yaml")
