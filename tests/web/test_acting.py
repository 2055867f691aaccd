"""Running, cancelling, unlocking, secrets: what the buttons do."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from pipekit_engine.security.secrets import Secrets
from pipekit_web.launching import Begun, ProcessLauncher, Wanted
from tests.web.conftest import Site


def test_a_run_is_asked_for_with_who_and_what(site: Site) -> None:
    site.add_run("copy")
    browser = site.browser("operator")
    answer = browser.post("/pipekit/modules/items/run", dry_run="1", **{"watermark.since": "2026-01-01"})
    assert (answer.status, answer.headers["location"]) == (303, "/pipekit/started/ticket")
    assert site.launcher.wanted == [
        Wanted("modules", "items", "user:operator", dry_run=True, watermarks={"since": "2026-01-01"})
    ]
    assert browser.ask("GET", "/pipekit/started/ticket").headers["location"] == "/pipekit/runs/1"
    by_script = browser.ask("GET", "/pipekit/started/ticket", headers={"hx-request": "true"})
    assert by_script.headers["hx-redirect"] == "/pipekit/runs/1"
    browser.post("/pipekit/groups/good/run")
    assert site.launcher.wanted[-1] == Wanted("groups", "good", "user:operator")
    assert browser.post("/pipekit/modules/nope/run").status == 404
    assert browser.post("/pipekit/groups/items/run").status == 404
    assert len(site.launcher.wanted) == 2


def test_why_a_run_did_not_begin_is_said(site: Site) -> None:
    site.launcher.begun = Begun(problem="Module items is locked by <b>another</b>.")
    text = site.browser("operator").get("/pipekit/started/ticket")
    assert "locked by &lt;b&gt;another" in text
    assert "hx-trigger" not in text.partition("<main")[2], "there is nothing to wait for any more"


def test_cancel_asks_the_run_to_end(site: Site) -> None:
    run = site.add_run("copy", "running")
    browser = site.browser("operator")
    assert "Cancel" in browser.get(f"/pipekit/runs/{run}")
    assert browser.post(f"/pipekit/runs/{run}/cancel").status == 303
    with site.store() as store:
        assert store.runs.cancel_requested(run)
    assert browser.post("/pipekit/runs/99/cancel").status == 404


def test_a_live_lock_is_not_taken(site: Site) -> None:
    site.add_run("copy", "running")
    browser = site.browser("operator")
    assert "alive" in browser.get("/pipekit/locks")
    answer = browser.post("/pipekit/modules/copy/unlock")
    assert answer.status in (400, 409)
    with site.store() as store:
        assert store.leases.find("module", "copy") is not None


def test_a_secret_goes_in_and_never_comes_out(site: Site) -> None:
    browser = site.browser("editor")
    assert browser.post("/pipekit/secrets", key="$DW_PASSWORD", value="s3cret <&>").status == 303
    assert Secrets.load(site.config.secrets_file).resolve("$DW_PASSWORD") == "s3cret <&>"
    for page in ("/pipekit/secrets", "/pipekit/connections", "/pipekit/connections/dw"):
        text = browser.get(page)
        assert "s3cret" not in text
        assert "DW_PASSWORD" in text
    refused = browser.post("/pipekit/secrets", key="not a name", value="hush hush")
    assert refused.status == 400
    assert "hush" not in refused.text


def test_a_url_that_holds_a_password_is_shown_without(site: Site) -> None:
    from pipekit_engine.models import Connection

    url = "jdbc:postgresql://h/d?user=u&password=hunter2hunter2"
    site.save(Connection(name="old", driver="postgresql", jdbc_url=url, options={"password": "hunter2"}))
    browser = site.browser("admin")
    for page in ("/pipekit/connections", "/pipekit/connections/old", "/pipekit/search?q=old", "/pipekit/lint"):
        assert "hunter2" not in browser.get(page), page
    assert "Nothing holds" in browser.get("/pipekit/search?q=hunter2"), "nor does a search tell"


@pytest.fixture
def running(site: Site) -> Site:
    """A site whose databases are there."""
    for name, sql in (
        ("src.db", "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT, at TEXT)"),
        ("dw.db", "VACUUM"),
    ):
        with sqlite3.connect(site.folder / name) as connection:
            connection.execute(sql)
    Secrets.load(site.config.secrets_file).set("DW_PASSWORD", "unused")
    with sqlite3.connect(site.folder / "src.db") as connection:
        connection.execute("INSERT INTO items VALUES (1, 'one', '2026'), (2, 'two', '2026')")
    return site


def wait_for_begun(launcher: ProcessLauncher, ticket: str) -> Begun:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        begun = launcher.look(None, None, ticket)  # type: ignore[arg-type]
        if begun != Begun():
            return begun
        time.sleep(0.05)
    raise AssertionError("nothing was said")


@pytest.mark.usefixtures("java")
def test_a_run_without_dagster_is_a_process_of_its_own(running: Site) -> None:
    launcher: Any = ProcessLauncher(running.config)
    with running.store() as store:
        begun = wait_for_begun(launcher, launcher.start(None, store, Wanted("modules", "copy", "user:ada")))
        assert begun.run_id is not None
        until = time.monotonic() + 120
        while store.runs.status(begun.run_id) == "running" and time.monotonic() < until:
            time.sleep(0.1)
        run = store.runs.get(begun.run_id)
        assert (run.status, run.triggered_by, run.rows_inserted) == ("success", "user:ada", 1), run.error
        refused = wait_for_begun(
            launcher, launcher.start(None, store, Wanted("modules", "items", "x", watermarks={"no": "1"}))
        )
        assert "no" in (refused.problem or "")


def test_the_worker_says_one_line(running: Site) -> None:
    import os
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "pipekit_web.worker"],
        input=json.dumps({"kind": "modules", "name": "nope", "by": "user:ada"}),
        env={**os.environ, "PIPEKIT_CONFIG": str(running.config.path), "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    assert "nope" in json.loads(done.stdout)["problem"]
