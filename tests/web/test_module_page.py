"""A module's page: partitions and their backfill, checks and asking them, what leads to what. And the same below `/api`."""

from __future__ import annotations

import json
import sqlite3
import time
from typing import Any

import pytest

from pipekit_engine.models import Check, Module, Partition
from pipekit_engine.store import Change
from pipekit_web.launching import ProcessLauncher, Wanted
from tests.web.conftest import Site
from tests.web.test_acting import wait_for_begun
from tests.web.test_api import Program
from tests.web.test_pages import HOSTILE, check_shape

QUERY = "SELECT day, n FROM t WHERE day >= '{partition_start}' AND day < '{partition_end}'"


def days(**fields: Any) -> Module:
    given: dict[str, Any] = {
        "name": "days",
        "source": "src",
        "dest": "dw",
        "query": QUERY,
        "dest_table": "days",
        "strategy": "full",
        "partition": Partition(by="day", start="2024-01-01", end="2024-01-06", column="day"),
    }
    return Module(**{**given, **fields})


def ran(site: Site, partition: str, status: str, **values: Any) -> int:
    with site.store() as store:
        started = store.runs.start("days", triggered_by="user:ada", partition=partition)
        assert started is not None
        if status != "running":
            store.runs.finish(started[0], status, **values)
    return started[0]


def test_partitions_are_shown_as_they_stand(site: Site) -> None:
    site.save(days())
    filled = ran(site, "2024-01-01", "success", rows_inserted=7)
    failed = ran(site, "2024-01-02", "error", error=f"{HOSTILE} no")
    ran(site, "2024-01-03", "success", rows_inserted=1)
    ran(site, "2024-01-03", "error", error="now it fails")
    ran(site, "2024-01-04", "cancelled")
    ran(site, "2024-01-05", "dry_run")
    text = site.browser("operator").get("/pipekit/modules/days")
    check_shape(text)
    assert "Partitions: 2 of 5 days filled" in text
    for key, status in zip("12345", ("filled", "failed", "failed", "cancelled", "missing"), strict=True):
        row = text.partition(f'value="2024-01-0{key}"')[2].partition("</tr>")[0]
        assert f'status {status}"' in row, key
    assert f'/pipekit/runs/{filled}"' in text
    assert f'/pipekit/runs/{failed}"' in text
    assert "<script>alert" not in text
    viewer = site.browser("viewer")
    looked = viewer.get("/pipekit/modules/days")
    assert "<button" not in looked.partition("<main")[2]
    assert "Backfill" not in looked
    only = viewer.get("/pipekit/modules/days/partitions?state=failed")
    check_shape(only)
    assert only.count('status failed"') == 2
    assert "<td>2024-01-01" not in only
    check_shape(viewer.get("/pipekit/modules/copy/partitions"))
    listed = Program(site, "viewer").ask("GET", "/api/modules/days/partitions")[1]
    assert [item["state"] for item in listed] == ["filled", "failed", "failed", "cancelled", "missing"]
    assert (listed[0]["rows"], listed[1]["tried_by"]) == (7, failed)
    again = site.browser("operator").get(f"/pipekit/runs/{failed}")
    assert "partition 2024-01-02" in again
    assert '<input type="hidden" name="partition" value="2024-01-02">' in again, "run again is that partition again"


def test_a_backfill_takes_what_was_ticked_or_a_range(site: Site) -> None:
    site.save(days())
    ran(site, "2024-01-01", "success")
    browser, program = site.browser("operator"), Program(site, "operator")
    address = "/pipekit/modules/days/backfill"
    assert browser.post(address, **{"from": "2024-01-01", "to": "2024-01-03", "keep_going": "1"}).status == 303
    assert site.launcher.wanted.pop() == Wanted(
        "modules", "days", "user:operator", partitions=["2024-01-02", "2024-01-03"], keep_going=True
    )
    browser.post(address, partition="2024-01-01")
    assert site.launcher.wanted.pop().partitions == ["2024-01-01"], "what was ticked is filled again"
    browser.post(address, again="1")
    assert len(site.launcher.wanted.pop().partitions) == 5
    for form, told in (
        ({"from": "yesterday"}, "is no partition"),
        ({"from": "2024-01-05", "to": "2024-01-02"}, "before it begins"),
        ({"partition": "2030-01-01"}, "There is no partition"),
        ({"from": "2024-01-01", "to": "2024-01-01"}, "filled already"),
        ({"from": "<b>"}, "&#39;&lt;b&gt;&#39; is no partition"),
    ):
        answer = browser.post(address, **form)
        assert (answer.status, told in answer.text) == (400, True), answer.text
    assert browser.post("/pipekit/modules/copy/backfill").status == 400
    assert browser.post("/pipekit/modules/nope/backfill").status == 404
    assert not site.launcher.wanted
    assert browser.post("/pipekit/modules/days/run", partition="2024-01-04").status == 303
    assert site.launcher.wanted.pop().partition == "2024-01-04"
    for target in ("modules/days/run", "modules/copy/run", "groups/good/run"):
        assert browser.post(f"/pipekit/{target}", partition="2031-01-01").status == 400
        assert program.ask("POST", f"/api/{target}", {"partition": "2031-01-01"})[0] == 422
    assert program.ask("POST", "/api/modules/days/run", {"partition": "2024-01-04"})[0] == 202
    assert site.launcher.wanted.pop().partition == "2024-01-04"
    assert program.ask("POST", "/api/modules/days/backfill", {"from": "2024-01-04"})[0] == 202
    assert site.launcher.wanted.pop().partitions == ["2024-01-04", "2024-01-05"]
    assert program.ask("POST", "/api/modules/days/backfill", {"partitions": ["x"]})[0] == 422
    assert Program(site, "viewer").ask("POST", "/api/modules/days/backfill", {})[0] == 403
    assert not site.launcher.wanted


def test_what_leads_to_what(site: Site) -> None:
    fields: Any = {"source": "dw", "dest": "dw", "strategy": "full"}
    site.save(
        Module(name="sums", query="SELECT count(*) AS n FROM Items JOIN other ON 1 = 1", dest_table="sums", **fields),
        Module(name="items2", query="SELECT 1 AS x", dest_table="items", **fields),
        Module(
            name="evil",
            query=f'SELECT * FROM sums, "{HOSTILE.replace(chr(34), chr(34) * 2)}"',
            dest_table="e",
            **fields,
        ),
        Module(name="odd", query="SELECT * FROM TABLE(f(1))", dest_table="odd", **fields),
    )
    program = Program(site, "viewer")
    found = program.ask("GET", "/api/modules/sums/lineage")[1]
    assert found["reads"] == [
        {"connection": "dw", "table": ["items"], "modules": ["items", "items2"]},
        {"connection": "dw", "table": ["other"], "modules": []},
    ]
    assert found["writes"] == {"connection": "dw", "table": ["sums"], "modules": ["evil"]}
    items = program.ask("GET", "/api/modules/items/lineage")[1]
    assert (items["beside"], items["writes"]["modules"]) == (["items2"], ["sums"])
    assert program.ask("GET", "/api/modules/odd/lineage")[1]["reads"][0]["table"] == []
    browser = site.browser("viewer")
    for name in ("sums", "items", "evil", "odd"):
        text = browser.get(f"/pipekit/modules/{name}")
        check_shape(text)
        assert "<script>alert" not in text
    assert 'href="/pipekit/modules/items2"' in browser.get("/pipekit/modules/sums").partition("Lineage")[2]


def test_a_page_among_a_thousand_modules_is_quick(site: Site) -> None:
    """Each reads what the one before it writes; only queries in which the table's name stands are parsed."""
    fields: Any = {"source": "dw", "dest": "dw", "strategy": "full"}
    site.save(
        *(
            Module(name=f"m{n:04d}", query=f"SELECT * FROM t{n:04d}_", dest_table=f"t{n + 1:04d}_", **fields)
            for n in range(1000)
        )
    )
    browser = site.browser("viewer")
    browser.get("/pipekit/modules/m0001")
    started = time.process_time()
    text = browser.get("/pipekit/modules/m0500")
    assert time.process_time() - started < 1.5, "a third of a second on an idle machine"
    assert 'href="/pipekit/modules/m0499"' in text
    assert 'href="/pipekit/modules/m0501"' in text


@pytest.mark.usefixtures("java")
def test_checks_are_asked_and_partitions_are_filled_from_the_page(site: Site) -> None:
    with sqlite3.connect(site.folder / "src.db") as source:
        source.executescript(
            "CREATE TABLE t (day TEXT, n INT); INSERT INTO t VALUES ('2024-01-01', 1), ('2024-01-02', 2), ('2024-01-02', 3)"
        )
    sqlite3.connect(site.folder / "dw.db").executescript("CREATE TABLE days (day TEXT, n INT)")
    with site.store() as store:
        dw = store.definitions.connection("dw").model_copy(update={"password": None})
    small = Check(name="small", sql="SELECT * FROM {table} WHERE n > 2", severity="warning")
    checks = (small, Check(name="not_null", columns=("n",)))
    site.save(days(checks=checks))
    with site.store() as store:
        store.definitions.save([Change("change", "connections", "dw", dw)])
    browser = site.browser("operator")
    assert "Not asked yet" in browser.get("/pipekit/modules/days")
    launcher: Any = ProcessLauncher(site.config)
    with site.store() as store:
        wanted = Wanted("modules", "days", "user:ada", partitions=["2024-01-02", "2024-01-01"])
        begun = wait_for_begun(launcher, launcher.start(None, store, wanted))
        assert begun.run_id is not None, begun
        until = time.monotonic() + 100
        while len(store.partitions.of("days")) < 2:
            assert time.monotonic() < until, store.runs.list()
            time.sleep(0.1)
        assert {run.triggered_by for run in store.runs.list(module="days")} == {"user:ada"}
    assert "Partitions: 2 of 5 days filled" in browser.get("/pipekit/modules/days")
    answer = browser.post("/pipekit/modules/days/check")
    assert (answer.status, answer.headers["location"]) == (303, "/pipekit/modules/days#checks")
    text = browser.get("/pipekit/modules/days").partition('id="checks"')[2].partition("</section>")[0]
    assert "1 row that must not be" in text
    assert 'status passed"' in text
    found = Program(site, "operator").ask("GET", "/api/modules/days/checks")[1]
    assert [item["status"] for item in found] == ["passed", "failed"], json.dumps(found)
    assert browser.post("/pipekit/modules/nope/check").status == 404


def test_what_is_left_of_a_deleted_module(site: Site) -> None:
    """Its runs are still there; its page, which somebody still has open, changes nothing any more."""
    ended, running = site.add_run("copy"), site.add_run("items", "running")
    browser = site.browser("editor")
    stale = browser.ask("GET", "/pipekit/form/modules/copy")
    group = site.browser("admin")
    assert group.post("/pipekit/groups/good/delete").status == 400, "a schedule refers to it"
    for kind, name in (("schedules", "nightly"), ("triggers", "changed"), ("groups", "good"), ("modules", "copy")):
        assert browser.post(f"/pipekit/{kind}/{name}/delete").status == 303, name
    for target in ("", "/partitions"):
        assert browser.ask("GET", f"/pipekit/modules/copy{target}").status == 404
    for action in ("run", "backfill", "check", "switch", "delete"):
        assert browser.post(f"/pipekit/modules/copy/{action}").status == 404, action
    assert "Run again" not in browser.get(f"/pipekit/runs/{ended}")
    version = stale.text.partition('name="version" value="')[2].partition('"')[0]
    form = {
        "name": "copy",
        "version": version,
        "source": "src",
        "dest": "dw",
        "query": "SELECT 2 AS x",
        "dest_table": "copy",
    }
    saved = browser.post("/pipekit/form/modules", **form, strategy="full", do="save")
    assert (saved.status, "(deleted)" in saved.text) == (409, True), saved.text
    assert not site.launcher.wanted
    with site.store() as store:
        assert "copy" not in store.definitions.load_checked()[0].modules
        # A run that ends while somebody looks: what its page asks for then is answered, and changes nothing.
        store.runs.finish(running, "success")
    assert browser.post(f"/pipekit/runs/{running}/cancel").status == 303
    assert 'hx-trigger="every 2s"' not in browser.get(f"/pipekit/runs/{running}")
    assert "ended" in browser.get(f"/pipekit/runs/{running}/events")
