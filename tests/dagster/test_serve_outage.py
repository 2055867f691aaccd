"""A served project in trouble: a store that is away, requests that want too much."""

from __future__ import annotations

import base64
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import pytest

from pipekit_dagster.serve.services import Service
from pipekit_web.server.auth import set_password, users_file
from tests.dagster.project import Project
from tests.dagster.served import Served, descendants, serving

pytestmark = [pytest.mark.slow, pytest.mark.daemon, pytest.mark.timeout(600)]

ANNA = ("anna", "correct horse")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, java: str) -> Iterator[Served]:
    project = Project(tmp_path_factory.mktemp("outage"))
    set_password(project.config, *ANNA)
    project.add_module("one")
    project.add_group("nightly", ("one",))
    with serving(project, ANNA) as server:
        yield server


def answers(served: Served, path: str) -> bool:
    try:
        return served.request(path)[0] == 200
    except OSError:
        return False


def move_store(folder: Path, before: str, after: str) -> None:
    for suffix in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):  # whoever closes the store last takes the other two away
            (folder / f"{before}{suffix}").rename(folder / f"{after}{suffix}")


def test_definitions_that_met_an_outage_of_the_store_heal_by_themselves(served: Served) -> None:
    """The code server starts anew just while the store is away: nothing has changed when the store is back."""
    folder = served.project.folder
    begins = served.log.stat().st_size
    move_store(folder, "pipekit.db", "away.db")
    try:
        for pid in descendants(served.service("code server").pid):
            os.kill(pid, signal.SIGKILL)
        served.wait_for(lambda: served.health()[1].get("code server") == "definitions do not load", "the error")
    finally:
        move_store(folder, "away.db", "pipekit.db")
    served.wait_for(lambda: served.health()[0] == 200, "health again")
    assert served.post("/api/groups/nightly/run")[0] == 202
    said = served.log.read_text()[begins:]
    assert len(re.findall("cannot look for changed definitions", said)) <= 3, "an outage is told, not at every look"


def test_a_mutation_in_an_address_does_nothing(served: Served) -> None:
    """An image on any page could ask for it, with the login of whoever looks at the page."""
    mutation = quote('mutation { setConcurrencyLimit(concurrencyKey: "foreign", limit: 3) }')
    for method, kind, wanted in [
        ("GET", "", 405),
        ("HEAD", "", 405),
        ("POST", "text/plain", 415),
        ("POST", "application/x-www-form-urlencoded", 415),
        ("POST", "text/plain; charset=application/json", 415),
    ]:
        given = {"content-type": kind} if kind else {}
        assert served.request(f"/graphql?query={mutation}", method=method, **given)[0] == wanted, (method, kind)
    with served.project.instance() as instance:
        assert "foreign" not in instance.event_log_storage.get_concurrency_keys()
    assert b"graphiql" in served.request("/graphql", accept="text/html")[1].lower()


def test_a_file_of_users_that_vanishes_opens_nothing(served: Served) -> None:
    file = users_file(served.project.config)
    away = file.rename(file.with_suffix(".away"))
    try:
        assert served.request("/server_info")[0] == 503
    finally:
        away.rename(file)
    assert served.request("/server_info")[0] == 200


def test_a_full_disk_does_not_end_the_server(served: Served) -> None:
    """The list of services cannot be written; as for a full disk, a folder stands where the new file should."""
    blocker = served.project.home / "serve" / "services.new"
    blocker.mkdir()
    try:
        before = served.service("web server")
        before.kill()
        served.wait_for(lambda: answers(served, "/server_info"), "the web server again")
        assert served.service("web server") == before, "the list is the old one"
    finally:
        blocker.rmdir()
    served.wait_for(lambda: served.service("web server") != before, "the new list")
    served.wait_for(lambda: served.health()[0] == 200, "health again")


def test_a_service_that_cannot_be_started_is_tried_again(tmp_path: Path) -> None:
    program = tmp_path / "program"
    service = Service("odd", [str(program)], {})
    assert not service.poll()
    assert service.pid is None
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    deadline = time.monotonic() + 60
    while not service.poll():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert service.pid is not None
    service.terminate()
    service.wait_stopped(60)


@pytest.mark.parametrize("path", ["/graphql", "/api/groups/nightly/run"])
def test_a_body_that_would_fill_the_memory_is_not_read(served: Served, path: str) -> None:
    login = base64.b64encode(":".join(ANNA).encode()).decode()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {login}\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as client:
        client.sendall(f"{head}Content-Length: {2**40}\r\n\r\n".encode())
        assert b" 413 " in client.recv(1000)
    chunk = b"100000\r\n" + b" " * 2**20 + b"\r\n"
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as client:
        client.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        with pytest.raises(OSError):  # the server hangs up
            client.sendall(chunk * 64)
    assert served.request("/server_info")[0] == 200
