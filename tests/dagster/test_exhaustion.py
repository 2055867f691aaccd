"""Clients that take connections and give nothing, queries that never end, and bodies that are none."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import uvicorn
from graphql import GraphQLError, GraphQLField, GraphQLInt, GraphQLObjectType, GraphQLSchema, graphql_sync

from pipekit_dagster.serve.graphql_limits import Deadline, read_body
from pipekit_web.server.connections import Limits, bounded


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Reads the body, and tells who asked."""
    if scope["type"] != "http":
        return
    while (message := await receive()).get("more_body"):
        if message["type"] == "http.disconnect":
            return
    body = json.dumps([scope["client"][0], scope["scheme"]]).encode()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]}
    )
    await send({"type": "http.response.body", "body": body})


@contextmanager
def serving(limits: Limits, proxies: list[str] | None = None) -> Iterator[int]:
    """A server with our protocol, as `serve/web.py` sets it up; its port."""
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        server = uvicorn.Server(
            uvicorn.Config(
                echo, http=bounded(limits), log_level="error", lifespan="off", backlog=2048,
                proxy_headers=bool(proxies), forwarded_allow_ips=proxies or [],
            )
        )  # fmt: skip
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join(10)


def get(port: int, **headers: str) -> tuple[int, list[str]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/", headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


@pytest.mark.parametrize(
    "sent", [b"", b"GET / HTTP/1.1\r\nHost: a\r\n", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1"]
)
@pytest.mark.parametrize("limits", [Limits(per_address=50), Limits(total=50)])
def test_whoever_holds_connections_keeps_nobody_out(sent: bytes, limits: Limits) -> None:
    """1,100 half-sent requests took every descriptor, and the server with them."""
    with serving(limits) as port, ExitStack() as held:
        for _ in range(300):
            client = held.enter_context(socket.create_connection(("127.0.0.1", port)))
            client.sendall(sent)
        for _ in range(5):
            began = time.monotonic()
            assert get(port)[0] == 200
            assert time.monotonic() - began < 1


@pytest.mark.parametrize(
    "sent",
    [
        b"", b"GET / HTTP/1.1\r\nHost", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n1",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HT", b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000,
    ],
)  # fmt: skip
def test_a_request_that_never_ends_is_ended(sent: bytes) -> None:
    with serving(Limits(head_s=0.5, body_s=0.5)) as port, socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(sent)
        client.settimeout(8)
        began = time.monotonic()
        try:
            while client.recv(65536):
                pass
        except ConnectionResetError:
            pass
        assert time.monotonic() - began < 5


def test_an_address_is_what_a_trusted_proxy_says_and_nobody_else() -> None:
    """Anybody behind a proxy on this machine chose the address by which failed logins are counted."""
    forged = {"X_Forwarded_For": "6.6.6.6, 10.0.0.1", "X_Forwarded_Proto": "https"}
    with serving(Limits()) as port:
        assert get(port, **forged) == (200, ["127.0.0.1", "http"])
    with serving(Limits(), ["127.0.0.0/8"]) as port:
        assert get(port, **forged) == (200, ["10.0.0.1", "https"])


def asked(query: str) -> bytes:
    return json.dumps({"query": query}).encode()


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "not JSON"), (b"[]", "must be an object"), (b'"x"', "must be an object"), (b"null", "must be an object"),
        (b"\xff", "not JSON"), (b"{}", "`query` must be text"), (b'{"query": 1}', "`query` must be text"),
        (b'{"query": ["{a}"]}', "`query` must be text"), (b'{"query": "{"}', "Syntax Error"), (b'{"query": ""}', "Syntax Error"),
        (b'{"query": "{a}", "variables": []}', "`variables` must be"), (b'{"query": "{a}", "variables": "{"}', "not JSON"),
        (b'{"query": "{a}", "operationName": {}}', "`operationName` must be"), (b"[" * 200_000, "not JSON"),
        (asked("{a" * 100_000), "nested more than 40 deep"),
        (asked("{a(b:" + "[" * 100_000), "nested more than 40 deep"),
        (asked("{" + " ".join(f"a{i}: version" for i in range(1000)) + "}"), "more than 200 fields by other"),
        (asked("{...f} fragment f on Q {...f}"), "nested more than 40 deep"),
        (asked("{...f0} " + " ".join(f"fragment f{i} on Q {{" + f"...f{i + 1} " * 10 + "}" for i in range(20))),
         "more than 20000 fields"),
        (json.dumps({"query": "{" + "a " * 30_000 + "}"}).encode(), "more than 20000 tokens"),
    ],
)  # fmt: skip
def test_bodies_that_are_no_query_or_too_much_of_one(body: bytes, told: str) -> None:
    """They were answers 500, and one query with 1,000 aliases ran for 72 seconds."""
    began = time.monotonic()
    assert told in (read_body(body, is_json=True) or "")
    assert time.monotonic() - began < 2


def test_usual_queries_pass() -> None:
    from graphql import get_introspection_query

    assert read_body(json.dumps({"query": get_introspection_query(), "variables": None}).encode(), is_json=True) is None
    assert read_body(b"query Q($a: Int) { a(b: $a) { c } }", is_json=False) is None


def test_a_query_that_takes_too_long_ends() -> None:
    deadline = Deadline(0.2)
    field = GraphQLField(GraphQLInt, resolve=lambda *_: time.sleep(0.05) or 1)
    schema = GraphQLSchema(GraphQLObjectType("Q", {f"f{i}": field for i in range(100)}))
    deadline.begin()
    began = time.monotonic()
    found = graphql_sync(schema, "{" + " ".join(f"f{i}" for i in range(100)) + "}", middleware=[deadline])
    assert time.monotonic() - began < 2
    assert found.errors
    assert all(isinstance(error, GraphQLError) and "longer than 0.2 seconds" in error.message for error in found.errors)
