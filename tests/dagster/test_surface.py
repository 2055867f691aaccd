"""All that the served application answers to: every path, by every method, as nobody, as a viewer and as an administrator."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import re
import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import dagster_webserver
import pytest
import uvicorn
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from starlette.routing import BaseRoute

from pipekit_dagster.dagster_internals.web_server import UI_PAGES
from pipekit_dagster.serve.home import Home
from pipekit_dagster.serve.web import PipekitWebserver, ProcessContext
from pipekit_web.server.auth import set_password
from pipekit_web.server.connections import Limits, bounded
from pipekit_web.server.middleware import COOKIE
from tests.dagster.project import Project

METHODS = {"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND", "get", "BREW"}
QUICK_METHODS = {"GET", "POST", "BREW"}
SAFE = {"GET", "HEAD", "OPTIONS"}
#: How a path is written so that a check and whoever serves it may read it differently.
DISGUISES = (
    "{}",
    "//{}",
    "{}/",
    "/./{}",
    "/health/..{}",
    "/health/%2e%2e{}",
    "{}?x=/health",
    "{}%00",
    "{};/health",
    "/HEALTH",
)
LOGINS = {
    "nobody": {},
    "wrong": {"authorization": "Basic " + base64.b64encode(b"anna:wrong wrong").decode()},
    "no login": {"authorization": "Bearer x"},
    "forged cookie": {"cookie": f"{COOKIE}=anna.9999999999.00000000"},
    "viewer": {"authorization": "Basic " + base64.b64encode(b"vera:looks only").decode()},
    "admin": {"authorization": "Basic " + base64.b64encode(b"anna:correct horse").decode()},
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = Project(tmp_path_factory.mktemp("surface"))
    set_password(made.config, "anna", "correct horse")
    set_password(made.config, "vera", "looks only", role="viewer")
    return made


@pytest.fixture(scope="module")
def app(project: Project) -> Iterator[Any]:
    """What `pipekit serve` serves, without services behind it."""
    with dg.instance_for_test() as instance:
        target = EmptyWorkspaceTarget()
        with ProcessContext(instance, target, version="test") as context:
            yield PipekitWebserver(context, project.config, Home(project.home), local_only=False).create_asgi_app()


def paths(routes: list[BaseRoute], before: str = "") -> Iterator[str]:
    """The path of each route, its parameters filled in."""
    for route in routes:
        path = before + getattr(route, "path", "")
        inner = getattr(route, "routes", None)
        if inner:
            yield from paths(inner, path)
        yield re.sub(r"{[^}]*}", "x", path) or "/"


def ask(app: Any, method: str, target: str, headers: dict[str, str], kind: str = "http", body: bytes = b"") -> int:
    """The status of a request; 101 and 403 for a websocket that is accepted or refused."""
    path, _, query = target.partition("?")
    scope: dict[str, Any] = {
        "type": kind, "method": method, "path": path, "raw_path": path.encode(), "query_string": query.encode(),
        "headers": [(b"host", b"pipekit.example"), *((name.encode(), text.encode()) for name, text in headers.items())],
        "client": (f"10.0.{next(addresses) % 250}.{next(addresses) % 250}", 1), "server": ("pipekit.example", 80),
        "scheme": "http" if kind == "http" else "ws", "subprotocols": [], "root_path": "", "state": {},
    }  # fmt: skip
    sent: list[dict[str, Any]] = []
    messages = iter([{"type": "http.request", "body": body} if kind == "http" else {"type": "websocket.connect"}])

    async def receive() -> dict[str, Any]:
        return next(messages, {"type": "http.disconnect" if kind == "http" else "websocket.disconnect", "code": 1000})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    try:
        loop.run_until_complete(asyncio.wait_for(app(scope, receive, send), 20))
    except Exception as error:
        if not sent:
            raise AssertionError(f"{method} {target} is answered by {error!r}") from error
    first = sent[0]
    for name, text in first.get("headers", []):
        if name == b"set-cookie":
            cookies.append(text.decode().partition(";")[0])
    return int(first.get("status") or (101 if first["type"] == "websocket.accept" else 403))


#: What was set by the answers.
cookies: list[str] = []
loop = asyncio.new_event_loop()


addresses = itertools.count()  # wrong tries from one address would be slowed down


@pytest.fixture(scope="module")
def logins(app: Any) -> dict[str, dict[str, str]]:
    """Headers of everybody who asks: of those who may, the cookie, for their passwords take their time to check."""
    found = dict(LOGINS)
    for who in ("viewer", "admin"):
        ask(app, "GET", "/api/nothing", LOGINS[who])
        found[who] = {"cookie": cookies.pop()}
    return found


def test_a_path_that_no_page_has_is_not_there_for_a_browser_either(app: Any, logins: dict[str, dict[str, str]]) -> None:
    browser = {**logins["admin"], "accept": "text/html"}
    for path in ("/metrics", "/nothing/at/all", "/wp-login.php", "/Runs", "/pipekit/nope", "/api/nope"):
        assert ask(app, "GET", path, browser) == 404, path
    for path in ("/", "/runs", "/locations/x/jobs/y", "/overview/activity", "/pipekit/"):
        assert ask(app, "GET", path, browser) == 200, path


def test_all_pages_of_dagsters_ui_are_known() -> None:
    folder = Path(dagster_webserver.__file__).parent / "webapp" / "build" / "_next"
    texts = [file.read_text(encoding="utf-8", errors="replace") for file in folder.rglob("*.js")]
    begun = {name for text in texts for name in re.findall(r'path:\[?"/([a-z][a-z-]*)', text)}
    assert {"runs", "locations", "overview"} <= begun, "its JavaScript is written otherwise"
    assert begun <= UI_PAGES


@pytest.mark.parametrize(
    "methods", [QUICK_METHODS, pytest.param(METHODS - QUICK_METHODS, marks=pytest.mark.slow)], ids=["few", "others"]
)
def test_every_path_by_every_method_as_everybody(
    app: Any, logins: dict[str, dict[str, str]], methods: set[str]
) -> None:
    """Nobody gets anything but `/health`; a viewer changes nothing; nothing is answered by an error of the server."""
    api = [f"/api{path}" for path in ("", "/openapi.json", "/modules", "/modules/x", "/modules/x/run", "/nothing")]
    known = sorted({*paths(app.routes), *api, "/pipekit", "/pipekit/", "/pipekit/x"})
    assert len(known) > 15
    assert {"/graphql", "/health"} <= set(known)
    wrong = []
    for path, method, (who, headers) in itertools.product(known, sorted(methods), logins.items()):
        if who == "wrong" and path not in ("/graphql", "/"):
            continue  # as "no login", but for the time that checking takes
        status = ask(app, method, path, headers)
        if path == "/health":
            continue
        if status >= 500:
            wrong.append((who, method, path, status, "an error of the server"))
        elif who not in ("viewer", "admin") and status not in (401, 429):
            wrong.append((who, method, path, status, "in without a login"))
        elif who == "viewer" and method not in SAFE and status < 400:
            wrong.append((who, method, path, status, "a viewer changes something"))
    assert not wrong, wrong


def test_no_writing_of_a_path_goes_around_the_login(app: Any) -> None:
    found = {}
    for path, disguise, method in itertools.product(
        ["/graphql", "/api/modules", "/server_info", "/"], DISGUISES, ("GET", "POST")
    ):
        target = disguise.format(path)
        found[method, target] = ask(app, method, target, {})
    assert {status for (_, target), status in found.items() if target != "/health"} == {401}, found


def test_websockets_and_pages_of_other_sites(app: Any, logins: dict[str, dict[str, str]]) -> None:
    everything = set(paths(app.routes))
    for path, (who, headers) in itertools.product(everything, logins.items()):
        if who == "wrong":
            continue
        if who not in ("viewer", "admin"):
            assert ask(app, "GET", path, headers, kind="websocket") == 403, (path, who)
        foreign = {**headers, "origin": "https://evil.example"}
        assert ask(app, "GET", path, foreign, kind="websocket") == 403, (path, who)
        if path != "/health":
            assert ask(app, "POST", path, foreign) in (401, 403, 429), (path, who)


def test_graphql_that_is_none_or_too_much(app: Any, logins: dict[str, dict[str, str]]) -> None:
    """One query of a viewer with 1,000 aliases ran for 72 seconds; a body that is no query was an answer 500."""
    headers = {**logins["viewer"], "content-type": "application/json"}
    fields = {
        "aliases": " ".join(f"a{i}: version" for i in range(1000)),
        "depth": "a {" * 60 + "b" + "}" * 60,
        "fragments": "...f } fragment f on Query { ...f",
        "wide": " ".join(["version"] * 30_000),
    }
    bodies = {name: json.dumps({"query": f"{{ {text} }}"}).encode() for name, text in fields.items()}
    bodies |= {"nothing": b"", "no JSON": b"{", "a list": b"[]", "no text": b'{"query": 1}', "bytes": b"\xff\xfe"}
    for name, body in bodies.items():
        began = time.monotonic()
        assert ask(app, "POST", "/graphql", headers, body=body) == 400, name
        assert time.monotonic() - began < 5, name
    assert ask(app, "POST", "/graphql", headers, body=b'{"query": "{ version }"}') == 200


# Bytes that two servers may read as different requests.

SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
REQUESTS = {
    "two lengths": f"Content-Length: 0\r\nContent-Length: {len(SMUGGLED)}\r\n\r\n{SMUGGLED}",
    "length and chunks": f"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{SMUGGLED}",
    "chunks and length": f"Transfer-Encoding: chunked\r\nContent-Length: {len(SMUGGLED) + 5}\r\n\r\n0\r\n\r\n{SMUGGLED}",
    "chunks, hidden": f"Transfer-Encoding : chunked\r\nContent-Length: {len(SMUGGLED) + 5}\r\n\r\n0\r\n\r\n{SMUGGLED}",
    "chunks, twice": f"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n{SMUGGLED}",
    "chunks, odd": f"Transfer-Encoding: xchunked\r\nContent-Length: {len(SMUGGLED)}\r\n\r\n{SMUGGLED}",
    "a length with a sign": f"Content-Length: +0\r\n\r\n{SMUGGLED}",
    "a negative length": f"Content-Length: -1\r\n\r\n{SMUGGLED}",
    "a length in hex": f"Content-Length: 0x0\r\n\r\n{SMUGGLED}",
    "a folded header": f"Content-Length:\r\n 0\r\n\r\n{SMUGGLED}",
    "a chunk's size too long": f"Transfer-Encoding: chunked\r\n\r\n{'0' * 4000}1\r\nx\r\n0\r\n\r\n",
    "a header with NUL": f"X: a\0b\r\nContent-Length: {len(SMUGGLED)}\r\n\r\n{SMUGGLED}",
    "a header with a bare CR": f"X: a\rContent-Length: 0\r\nContent-Length: {len(SMUGGLED)}\r\n\r\n{SMUGGLED}",
}


@contextmanager
def listening(app: Any, limits: Limits) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        config = uvicorn.Config(app, http=bounded(limits), log_level="critical", lifespan="off", backlog=4096)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join(10)


def test_no_request_hides_in_another() -> None:
    """Each is refused, or read as one request whose body is all the rest."""
    seen: list[str] = []

    async def reached(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        seen.append(scope["path"])
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    accepted = {}
    with listening(reached, Limits()) as port:
        for name, rest in REQUESTS.items():
            seen.clear()
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.settimeout(1)
                client.sendall(f"POST /asked HTTP/1.1\r\nHost: a\r\n{rest}".encode())
                answer = b""
                try:
                    while more := client.recv(65536):
                        answer += more
                except (TimeoutError, ConnectionResetError):
                    pass
            if "/smuggled" in seen:
                accepted[name] = answer
    assert not accepted


@pytest.mark.slow
def test_a_login_among_five_thousand_idle_connections(app: Any) -> None:
    """Within a second, whatever the rest does."""
    count = 5000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * count + 500
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"{count} connections need {wanted} descriptors at both ends; this process may have {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    try:
        with listening(app, Limits(total=count + 100)) as port, ExitStack() as held:
            for number in range(count):
                held.enter_context(
                    socket.create_connection(("127.0.0.1", port), source_address=(f"127.0.{number % 200}.7", 0))
                )
            login = LOGINS["admin"]["authorization"]
            took = []
            for _ in range(5):
                began = time.monotonic()
                with socket.create_connection(("127.0.0.1", port)) as client:
                    client.sendall(f"GET /api/modules HTTP/1.1\r\nHost: a\r\nAuthorization: {login}\r\n\r\n".encode())
                    assert client.recv(65536).startswith(b"HTTP/1.1 200")
                took.append(time.monotonic() - began)
            assert min(took) < 1, took
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
