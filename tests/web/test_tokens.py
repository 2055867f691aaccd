"""Tokens: logins of programs, shown once, kept as a hash, revoked at once."""

from __future__ import annotations

import asyncio
import logging
import re
import sqlite3
import time
from datetime import timedelta
from typing import Any

import pytest

from pipekit_engine.errors import ConfigurationError, NotFoundError
from pipekit_web.server.auth import remove_user, set_password
from pipekit_web.server.tokens import check_new
from tests.web.conftest import HOST, PASSWORD, Answer, Site
from tests.web.test_api import Program
from tests.web.test_pages import check_shape


def make(site: Site, name: str, role: str, **options: Any) -> str:
    with site.store() as store:
        return store.tokens.create(name, role, **options)


def ask(site: Site, token: str, target: str = "/pipekit/runs", method: str = "GET") -> Answer:
    return site.browser().ask(method, target, headers={"authorization": f"Bearer {token}"})


def test_a_token_lets_a_program_in_with_its_role_and_opens_no_session(site: Site) -> None:
    viewer, operator = make(site, "look", "viewer"), make(site, "ci", "operator")
    answer = ask(site, viewer)
    assert (answer.status, "set-cookie" in answer.headers) == (200, False)
    assert ask(site, viewer, "/pipekit/edit/modules/copy").status == 403
    assert ask(site, operator, "/pipekit/edit/modules/copy").status == 403
    assert ask(site, make(site, "ed", "editor"), "/pipekit/edit/modules/copy").status == 200
    assert ask(site, viewer, "/api/modules/copy/run", "POST").status == 403
    assert ask(site, viewer.upper()).status == 401
    assert ask(site, "").status == 401
    assert ask(site, "é\x00").status == 401


def test_nothing_holds_the_token_itself(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    token = make(site, "ci", "admin")
    assert len(token) > 40
    ask(site, token)
    ask(site, token + "x")
    with sqlite3.connect(site.folder / "pipekit.db") as database:
        assert token.removeprefix("pipekit_") not in "\n".join(database.iterdump())
    assert token.removeprefix("pipekit_") not in caplog.text
    with site.store() as store:
        (found,) = store.tokens.list()
        assert found.last_used_at is not None
        with pytest.raises(ConfigurationError, match="already"):
            store.tokens.create("ci", "viewer")


def test_expired_and_revoked_tokens_are_refused_and_wrong_ones_slowed_down(site: Site) -> None:
    good, old = make(site, "good", "viewer"), make(site, "old", "viewer", lifetime=timedelta(seconds=-1))
    assert ask(site, old).status == 401
    gone = make(site, "gone", "viewer")
    assert ask(site, gone).status == 200
    with site.store() as store:
        store.tokens.revoke("gone")
        with pytest.raises(NotFoundError):
            store.tokens.revoke("gone")
    answer = ask(site, gone)
    assert (answer.status, answer.headers["www-authenticate"].split()[0]) == (401, "Bearer")
    statuses = [ask(site, f"pipekit_{number}").status for number in range(8)]
    assert statuses[-1] == 429
    assert "retry-after" in ask(site, "pipekit_x").headers
    assert ask(site, good).status == 200, "whoever shares the address of one who guesses"


def test_a_name_and_a_role_that_cannot_be() -> None:
    for name, role in (("", "viewer"), ("a b", "viewer"), ("../x", "viewer"), ("a", "root"), ("é", "viewer")):
        with pytest.raises(ConfigurationError):
            check_new(name, role)


def test_a_revoked_token_ends_its_streams_within_a_second(site: Site) -> None:
    token, run = make(site, "ci", "viewer"), site.add_run("copy", "running")

    async def follow() -> tuple[list[Any], float]:
        sent: list[Any] = []
        scope = {
            "type": "http",
            "method": "GET",
            "path": f"/pipekit/runs/{run}/events",
            "raw_path": b"",
            "query_string": b"",
            "headers": [(b"host", HOST.encode()), (b"authorization", f"Bearer {token}".encode())],
            "client": ("127.0.0.1", 1),
            "server": ("pipekit.example", 3000),
            "scheme": "http",
        }
        first, asked = asyncio.Event(), iter([True])

        async def receive() -> Any:
            if next(asked, None) is None:
                await asyncio.sleep(3600)
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)
            if message["type"] == "http.response.body":
                first.set()

        stream = asyncio.ensure_future(site.app(scope, receive, send))
        await asyncio.wait_for(first.wait(), 20)
        with site.store() as store:
            store.tokens.revoke("ci")
        began = time.monotonic()
        await asyncio.wait_for(stream, 20)
        return sent, time.monotonic() - began

    sent, took = asyncio.run(follow())
    assert sent[0]["status"] == 200
    assert sent[-1]["more_body"] is False
    assert took < 3, "a second, and what a busy machine adds"


def made_on_the_page(site: Site, user: str, name: str, role: str) -> str:
    """The token that a person makes for themselves."""
    answer = site.browser(user).post("/pipekit/tokens", name=name, role=role, days="90")
    assert answer.status == 200, answer.text
    found = re.search(r">(pipekit_[^<]+)</pre>", answer.text)
    assert found is not None
    return found[1]


def test_everyone_makes_tokens_for_themselves_and_an_admin_sees_all(site: Site) -> None:
    theirs, cis = (
        made_on_the_page(site, "viewer", "mine", "viewer"),
        made_on_the_page(site, "operator", "ci", "operator"),
    )
    make(site, "by-command", "editor")
    viewer, admin = site.browser("viewer"), site.browser("admin")
    page = viewer.get("/pipekit/tokens")
    check_shape(page)
    assert "mine" in page
    assert "by-command" not in page
    assert "<strong>ci" not in page
    assert theirs not in page, "it was shown once"
    assert [name in admin.get("/pipekit/tokens") for name in ("mine", "ci", "by-command")] == [True] * 3
    assert ask(site, cis).status == 200
    for form, told in (
        ({"name": "more", "role": "operator", "days": ""}, "at most what you may"),
        ({"name": "mine", "role": "viewer", "days": ""}, "already"),
        ({"name": "<b>", "role": "viewer", "days": ""}, "letters, digits"),
        ({"name": "x", "role": "root", "days": ""}, "&#39;root&#39; is not a role"),
        ({"name": "x", "role": "viewer", "days": "-1"}, "how long"),
    ):
        answer = viewer.post("/pipekit/tokens", **form)
        assert (answer.status, told in answer.text) == (400, True), answer.text
    assert viewer.post("/pipekit/tokens/ci/revoke").status == 404, "as if it were not there"
    assert ask(site, cis).status == 200
    assert viewer.post("/pipekit/tokens/mine/revoke").status == 303
    assert ask(site, theirs).status == 401
    assert admin.post("/pipekit/tokens/ci/revoke").status == 303
    assert ask(site, cis).status == 401


def test_a_token_of_a_persons_never_may_more_than_they_and_ends_with_them(site: Site) -> None:
    token = made_on_the_page(site, "operator", "ci", "operator")
    assert ask(site, token, "/pipekit/edit/modules/copy").status == 403
    assert ask(site, token, "/pipekit/runs/1/cancel", "POST").status == 403, "no form token"
    set_password(site.config, "operator", PASSWORD, "viewer")
    assert ask(site, token).status == 200
    assert "is a viewer" in ask(site, token, "/pipekit/runs/1/cancel", "POST").text
    remove_user(site.config, "operator")
    assert ask(site, token).status == 401


def test_a_token_makes_no_tokens(site: Site) -> None:
    """Whoever finds one has it until it is revoked, and no other."""
    editor, admin = Program(site, "editor"), Program(site, "admin")
    for method, target in (("GET", "/api/tokens"), ("POST", "/api/tokens"), ("DELETE", "/api/tokens/a-editor")):
        assert editor.ask(method, target, {"name": "more"} if method == "POST" else None)[0] == 403, target
    assert admin.ask("POST", "/api/tokens", {"name": "more", "role": "operator"})[0] == 201
    page = ask(site, make(site, "look", "operator"), "/pipekit/tokens")
    assert (page.status, "Make it" in page.text) == (200, False)
