"""Who may do what, on every address there is; sessions, tokens of forms, requests of other sites."""

from __future__ import annotations

import re
import threading
import time

import pytest
from fastapi.routing import APIRoute

from pipekit_web.app import ROUTERS
from pipekit_web.server.auth import RANKS
from tests.web.conftest import PASSWORD, Site

#: What changes something, and who may at least. Every route that is not a GET must be here.
LEAST = {
    "/pipekit/login": None,
    "/pipekit/logout": "viewer",
    "/pipekit/{kind}/{name}/run": "operator",
    "/pipekit/modules/{name}/backfill": "operator",
    "/pipekit/modules/{name}/check": "operator",
    "/pipekit/runs/{run_id}/cancel": "operator",
    "/pipekit/group-runs/{group_run_id}/cancel": "operator",
    "/pipekit/modules/{name}/unlock": "operator",
    "/pipekit/doctor": "operator",
    "/pipekit/connections/{name}/test": "operator",
    "/pipekit/secrets": "editor",
    "/pipekit/edit/{kind}": "editor",
    "/pipekit/form/{kind}": "editor",
    "/pipekit/wizard": "editor",
    "/pipekit/drivers/{name}/install": "editor",
    "/pipekit/tokens": "viewer",
    "/pipekit/tokens/{name}/revoke": "viewer",
    "/pipekit/users": "admin",
    "/pipekit/users/remove": "admin",
    "/pipekit/{kind}/{name}/delete": "editor",
    "/pipekit/modules/{name}/switch": "editor",
    "/pipekit/{kind}/{name}/switch": "operator",
}
#: Pages that only an editor or an admin has a use for.
READERS = {
    "/pipekit/edit/{kind}": "editor",
    "/pipekit/edit/{kind}/{name}": "editor",
    "/pipekit/form/{kind}": "editor",
    "/pipekit/form/{kind}/{name}": "editor",
    "/pipekit/wizard": "editor",
    "/pipekit/users": "admin",
}


ROUTES = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]


def filled(path: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: {"kind": "modules", "name": "copy"}.get(match[1], "1"), path)


def test_every_change_has_a_role() -> None:
    changing = {route.path for route in ROUTES if route.methods - {"GET", "HEAD"}}
    assert changing == set(LEAST)
    assert {method for route in ROUTES for method in route.methods} == {"GET", "POST"}


@pytest.mark.parametrize("role", RANKS)
def test_every_route_lets_in_whom_it_should(site: Site, role: str) -> None:
    """A refusal comes before anything of the request is looked at; so an operator's forms may be empty here."""
    site.add_run("copy")
    browser = site.browser(role)
    token = browser.ask("GET", "/pipekit/secrets").token
    for route in ROUTES:
        if route.path in ("/pipekit/login", "/pipekit/logout"):
            continue
        path = filled(route.path)
        if path == "/pipekit/modules/copy/switch" and "{kind}" in route.path:
            path = "/pipekit/schedules/nightly/switch"
        if "GET" in route.methods:
            refused = RANKS.index(role) < RANKS.index(READERS.get(route.path, "viewer"))  # type: ignore[arg-type]
            assert (browser.ask("GET", path).status == 403) == refused, path
        else:
            least = LEAST[route.path]
            assert least is not None
            if path == "/pipekit/doctor" and role != "viewer":
                continue  # its checks start Java
            status = browser.ask("POST", path, {"form_token": token}).status
            assert (status == 403) == (RANKS.index(role) < RANKS.index(least)), f"{role} {path}: {status}"  # type: ignore[arg-type]


def test_without_a_login_no_route_answers(site: Site) -> None:
    browser = site.browser()
    for route in ROUTES:
        path = filled(route.path)
        for method in route.methods:
            answer = browser.ask(method, path)
            if path == "/pipekit/login":
                continue
            if method == "GET":
                assert (answer.status, answer.headers["location"]) == (303, f"/pipekit/login?next={path}")
            else:
                # A form that a person sends after their session has ended: they log in, and come back.
                assert (answer.status, answer.headers["location"]) == (303, "/pipekit/login?next=/pipekit/")
                assert browser.ask(method, path, headers={"sec-fetch-mode": "cors"}).status == 401
    stood = {"referer": "http://127.0.0.1/pipekit/form/modules/m?x=1", "host": "127.0.0.1"}
    answer = browser.ask("POST", "/pipekit/form/modules/m", headers=stood)
    assert answer.headers["location"] == "/pipekit/login?next=/pipekit/form/modules/m%3Fx%3D1"
    elsewhere = {**stood, "referer": "https://evil.example/pipekit/x"}
    assert browser.ask("POST", "/pipekit/x", headers=elsewhere).headers["location"] == "/pipekit/login?next=/pipekit/"
    assert browser.ask("GET", "/pipekit/modules", headers={"sec-fetch-mode": "cors"}).status == 401


@pytest.mark.parametrize("token", ["", "0" * 64, "é"])
def test_a_form_without_its_token_changes_nothing(site: Site, token: str) -> None:
    browser = site.browser("admin")
    answer = browser.ask("POST", "/pipekit/modules/copy/run", {"form_token": token})
    assert answer.status == 403
    assert "out of date" in answer.text
    assert not site.launcher.wanted
    viewers = site.browser("viewer").ask("GET", "/pipekit/secrets").token
    assert browser.ask("POST", "/pipekit/modules/copy/run", {"form_token": viewers}).status == 403


def test_a_script_of_ours_sends_the_token_as_a_header(site: Site) -> None:
    browser = site.browser("operator")
    token = browser.ask("GET", "/pipekit/").token
    assert browser.ask("POST", "/pipekit/modules/copy/run", {}, {"x-form-token": token}).status == 303


@pytest.mark.parametrize(
    "headers", [{"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}]
)
@pytest.mark.parametrize("path", ["/pipekit/modules/copy/run", "/pipekit/login", "/pipekit/logout"])
def test_forms_of_other_sites_are_refused(site: Site, path: str, headers: dict[str, str]) -> None:
    browser = site.browser("admin")
    token = browser.ask("GET", "/pipekit/").token
    form = {"form_token": token, "user": "admin", "password": PASSWORD}
    assert browser.ask("POST", path, form, headers).status == 403
    assert browser.ask("GET", "/pipekit/").status == 200
    assert not site.launcher.wanted


def test_logging_out_ends_the_session_also_where_its_cookie_was_copied_to(site: Site) -> None:
    browser = site.browser("viewer")
    copied = site.browser()
    copied.cookie = browser.cookie
    assert copied.ask("GET", "/pipekit/").status == 200
    answer = browser.post("/pipekit/logout")
    assert (answer.status, answer.headers["location"]) == (303, "/pipekit/login")
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert browser.ask("GET", "/pipekit/").status == 303
    assert copied.ask("GET", "/pipekit/").status == 303


def test_logging_out_ends_what_the_session_streams(site: Site) -> None:
    run = site.add_run("copy", "running")
    browser = site.browser("viewer")
    streamed: list[float] = []

    def follow() -> None:
        started = time.monotonic()
        browser.ask("GET", f"/pipekit/runs/{run}/events")
        streamed.append(time.monotonic() - started)

    copied = site.browser()
    copied.cookie = browser.cookie
    thread = threading.Thread(target=follow)
    thread.start()
    time.sleep(0.5)
    assert copied.post("/pipekit/logout").status == 303
    thread.join(20)
    assert streamed, "the stream goes on"
    assert streamed[0] < 15, "half of what it lasts by itself"


@pytest.mark.parametrize(
    ("target", "goes"),
    [
        ("/pipekit/runs?status=error", "/pipekit/runs?status=error"),
        ("https://evil.example/", "/pipekit/"),
        ("//evil.example/", "/pipekit/"),
        ("/\\evil.example", "/pipekit/"),
        ("javascript:alert(1)", "/pipekit/"),
        ("", "/pipekit/"),
    ],
)
def test_a_login_leads_to_pages_of_ours_only(site: Site, target: str, goes: str) -> None:
    form = {"user": "viewer", "password": PASSWORD, "next": target}
    assert site.browser().ask("POST", "/pipekit/login", form).headers["location"] == goes


def test_wrong_passwords_by_the_form_are_slowed_down(site: Site) -> None:
    browser, form = site.browser(), {"user": "admin", "password": "wrong wrong"}
    found = [browser.ask("POST", "/pipekit/login", form).status for _ in range(7)]
    assert found == [401] * 5 + [429] * 2
    basic = {"authorization": "Basic YWRtaW46d3Jvbmcgd3Jvbmc=", "sec-fetch-mode": "cors"}
    assert browser.ask("GET", "/pipekit/", headers=basic).status == 429, "tries by form and by header count together"


def test_who_has_no_users_needs_no_login_on_this_machine(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipekit_web.server.auth import users_file
    from pipekit_web.serving import build_server

    users_file(site.config).unlink()
    site.app = build_server(site.config, local_only=True)
    browser = site.browser()
    local = {"host": "localhost:3000"}
    assert browser.ask("GET", "/", headers=local).headers["location"] == "/pipekit/"
    page = browser.ask("GET", "/pipekit/", headers=local)
    assert page.status == 200
    assert "Log out" not in page.text
    assert browser.ask("GET", "/pipekit/").status == 403, "by another name than this machine's"
    form = {"key": "A", "value": "b"}
    assert browser.ask("POST", "/pipekit/secrets", form, local).status == 403
    assert browser.ask("POST", "/pipekit/secrets", {**form, "form_token": page.token}, local).status == 303
