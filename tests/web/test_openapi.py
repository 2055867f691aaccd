"""REST keeps its own description: schemathesis asks every route, those that change things too, and looks at each answer."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn

from pipekit_web.api.app import build_api
from tests.web.conftest import Site

#: What starts a Java process each time that it is asked about something that is there.
JAVA = ".*/(introspect/.*|test|try|wizard|doctor|check)$"
#: What is there of each kind: names that are made up lead to a 404 and no further.
THERE = {
    "modules": "copy",
    "connections": "dw",
    "groups": "good",
    "schedules": "nightly",
    "triggers": "changed",
    "drivers": "sqlite",
    "users": "viewer",
}


def configuration() -> str:
    """Half of the requests name what is there: PUT makes records of names that schemathesis thinks of."""
    named = [(f"/api/{kind}/{{name}}", "path.name", name) for kind, name in THERE.items()]
    named += [("/api/introspect/{connection}", "path.connection", "dw")]
    # Which version a change was made from is looked at before what is changed.
    lines = ["[checks.negative_data_rejection]", "expected-statuses = [400, 404, 409, 412, 413, 415, 422, 428]"]
    for path, parameter, value in named:
        pattern = path.replace("{", r"\\{").replace("}", r"\\}")
        lines += [
            "[[operations]]",
            f'include-path-regex = "^{pattern}"',
            'exclude-method = "PUT"',
            f'parameters = {{ "{parameter}" = "{value}" }}',
        ]
    for path in ("runs", "group-runs", "audit"):
        lines += ["[[operations]]", f'include-path-regex = "^/api/{path}/"', 'parameters = { "path.number" = 1 }']
    return "\n".join(lines) + "\n"


@contextmanager
def serving(site: Site) -> Iterator[str]:
    """The REST interface without the login in front, so that whoever asks is an admin."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(build_api(site.config, site.launcher), log_level="error"))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            until = time.monotonic() + 30
            while not server.started:
                assert time.monotonic() < until
                time.sleep(0.02)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(30)


def ask_everything(site: Site, *options: str) -> None:
    program = Path(sys.executable).parent / "schemathesis"
    if not program.exists():
        pytest.skip("schemathesis is not installed: pip install schemathesis")
    site.add_run("items", rows_read=1, source_sql="SELECT 1")
    site.add_run("copy", "running")
    with site.store() as store:
        store.group_runs.start("good", triggered_by="manual")
    config = site.folder / "schemathesis.toml"
    config.write_text(configuration())
    with serving(site) as url:
        result = subprocess.run(
            [
                *(str(program), "--config-file", str(config), "run", f"{url}/api/openapi.json", "--seed", "7"),
                # There is no login here, whose answers `test_rights` and `test_rest` look at.
                # A record whose fields each are right may be wrong as a whole, or name what is not there: 422.
                *("--exclude-checks", "ignored_auth,positive_data_acceptance"),
                *("--request-timeout", "120", "--suppress-health-check", "all"),
                *options,
            ],
            cwd=site.folder,
            env={**os.environ, "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert result.returncode == 0, result.stdout[-12000:] + result.stderr[-1000:]


@pytest.fixture(autouse=True)
def no_jar_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here asks a package manager or a repository."""
    monkeypatch.setattr("pipekit_engine.databases.jars.install.WAYS", ())


def test_every_route_answers_as_its_description_says(site: Site) -> None:
    ask_everything(site, "--phases", "fuzzing", "--max-examples", "1", "--exclude-path-regex", JAVA)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("java")
def test_every_route_keeps_to_its_description_whatever_is_asked(site: Site) -> None:
    ask_everything(site, "--phases", "coverage,fuzzing,stateful", "--max-examples", "25", "--continue-on-failure")
