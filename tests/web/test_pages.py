"""Every page shows what is there, as text, whoever wrote it."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser
from typing import Any

import pytest

from pipekit_engine.models import Group, Module, Partition, ResolvedWatermark, Schedule
from tests.web.conftest import Site

PAGES = [
    "/pipekit/",
    "/pipekit/search?q=items",
    "/pipekit/modules",
    "/pipekit/modules/items",
    "/pipekit/groups",
    "/pipekit/groups/good",
    "/pipekit/schedules",
    "/pipekit/runs",
    "/pipekit/runs/1",
    "/pipekit/group-runs",
    "/pipekit/connections",
    "/pipekit/connections/dw",
    "/pipekit/secrets",
    "/pipekit/tokens",
    "/pipekit/drivers",
    "/pipekit/lint",
    "/pipekit/doctor",
    "/pipekit/locks",
    "/pipekit/history",
    "/pipekit/history/modules/items",
]
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7*7 }}\u202egnp.exe"


class Shape(HTMLParser):
    """Tags, attributes, ids and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def check_shape(text: str) -> Shape:
    """What holds for every page: nothing inline that the policy would refuse, labels, one heading, small."""
    shape = Shape(text)
    for tag, attributes in shape.tags:
        assert tag != "style", "the policy refuses inline styles"
        assert not (tag == "script" and "src" not in attributes), "the policy refuses inline scripts"
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")], attributes
        for name in ("src", "href", "action"):
            value = attributes.get(name)
            assert value is None or value.startswith(("/", "#")), "nothing comes from elsewhere"
        if tag in ("input", "select", "textarea") and attributes.get("type") not in ("hidden", "checkbox"):
            named = "aria-label" in attributes or re.search(
                rf"<label[^>]*>(?:(?!</label>).)*name=\"{re.escape(attributes['name'] or '')}\"", text, re.DOTALL
            )
            assert named, attributes
    tags = [tag for tag, _ in shape.tags]
    assert tags.count("h1") == 1
    assert tags.count("main") == 1
    ids = [attributes["id"] for _, attributes in shape.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert len(text.encode()) < 200_000
    return shape


@pytest.mark.parametrize("page", PAGES)
def test_each_page_shows_what_is_there(site: Site, page: str) -> None:
    site.add_run("items", rows_read=12, rows_inserted=12, timings={"stage": 1.0, "merge": 2.0}, source_sql="SELECT 1")
    answer = site.browser("viewer").ask("GET", page)
    assert answer.status == 200, answer.text
    check_shape(answer.text)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_hostile_texts_are_text(site: Site) -> None:
    """Names of tables, queries, errors, logs, values of watermarks, plans, who started it: all of them from elsewhere."""
    fields: Any = {"source": "src", "dest": "dw", "strategy": "full", "tags": {"owner": HOSTILE}}
    site.save(Module(name="evil", query=f"SELECT '{HOSTILE}' AS x", dest_table=f'"{HOSTILE}"', **fields))
    failed = site.add_run(
        "evil",
        "error",
        error=f"{HOSTILE}\n{HOSTILE}",
        source_sql=f"SELECT '{HOSTILE}'",
        merge_sql=HOSTILE,
        stderr=HOSTILE,
        live_log=HOSTILE,
        timings={HOSTILE: 1.0},
        watermarks={HOSTILE: ResolvedWatermark(value=HOSTILE, origin="resolver")},
    )
    planned = site.add_run("evil", "dry_run", stdout=HOSTILE)
    browser = site.browser("admin")
    pages = [
        *PAGES,
        "/pipekit/modules/evil",
        "/pipekit/edit/modules/evil",
        "/pipekit/history/modules/evil",
        f"/pipekit/runs/{failed}",
        f"/pipekit/runs/{planned}",
    ]
    for page in [*pages, "/pipekit/search?q=%3Cscript%3E", f"/pipekit/modules?q={HOSTILE[:8]}"]:
        text = browser.get(page.replace("<", "%3C"))
        shape = check_shape(text)
        loaded = [attributes["src"] for tag, attributes in shape.tags if tag in ("script", "img", "iframe")]
        assert all(str(source).startswith("/pipekit/static/") for source in loaded)
        assert "<script>alert" not in text
        if "/edit/" in page:  # what is saved again must be what it was
            continue
        assert "\u202e" not in text, "what turns the reading direction is shown as what it is"
    assert "&lt;script&gt;alert(1)" in browser.get(f"/pipekit/runs/{failed}")
    for kind in ("log", "sql"):
        raw = browser.ask("GET", f"/pipekit/runs/{failed}/{kind}")
        assert raw.headers["content-type"].startswith("text/plain")


def test_the_first_page_tells_what_failed_and_why(site: Site) -> None:
    site.add_run("items", "error", error="no such column: nmae\nmore")
    site.add_run("copy", "dry_run")
    text = site.browser("viewer").get("/pipekit/")
    assert "no such column: nmae" in text
    assert "Failed within a day" in text
    site.add_run("items")
    assert "no such column" not in site.browser("viewer").get("/pipekit/").partition("Newest runs")[0]


def test_the_list_of_modules_filters(site: Site) -> None:
    site.add_run("items", "error", error="x")
    browser = site.browser("viewer")
    assert "1 module<" in browser.get("/pipekit/modules?state=failed")
    assert "1 module<" in browser.get("/pipekit/modules?q=COPY")
    assert "2 modules<" in browser.get("/pipekit/modules?group=good&connection=dw")
    assert "No module fits" in browser.get("/pipekit/modules?state=cancelled")
    site.add_run("items", "dry_run")
    assert "1 module<" in browser.get("/pipekit/modules?state=failed"), "a dry run says nothing about the last real run"


def test_runs_are_listed_page_by_page(site: Site) -> None:
    for _ in range(55):
        site.add_run("copy")
    browser = site.browser("viewer")
    first = browser.get("/pipekit/runs?module=copy")
    older = re.search(r"/pipekit/runs\?module=copy&amp;status=&amp;before=(\d+)", first)
    assert older is not None
    second = browser.get(f"/pipekit/runs?module=copy&before={older[1]}")
    assert re.findall(r'/pipekit/runs/(\d+)">\d', second) == ["5", "4", "3", "2", "1"]


def test_a_long_log_shows_its_end_and_leads_to_all_of_it(site: Site) -> None:
    run = site.add_run("copy", live_log="first line\n" + "x" * 90_000 + "\nlast line\n")
    browser = site.browser("viewer")
    text = browser.get(f"/pipekit/runs/{run}")
    check_shape(text)
    assert "last line" in text
    assert "first line" not in text
    assert "first line" in browser.get(f"/pipekit/runs/{run}/log")


def test_a_live_log_comes_as_events(site: Site) -> None:
    run = site.add_run("copy", "error", error="x", live_log="one\ntwo <b>\n")
    events = site.browser("viewer").get(f"/pipekit/runs/{run}/events?after=4")
    assert events == ('id: 12\nevent: log\ndata: "two <b>\\n"\n\n' + 'id: 12\nevent: ended\ndata: "error"\n\n')
    assert "data-events" not in site.browser("viewer").get(f"/pipekit/runs/{run}")


def test_what_is_not_there(site: Site) -> None:
    browser = site.browser("viewer")
    for page in ("/pipekit/nope", "/pipekit/modules/nope", "/pipekit/runs/99", "/pipekit/runs/x", "/pipekit/runs/0"):
        answer = browser.ask("GET", page)
        assert answer.status == 404, page
        check_shape(answer.text)
    assert "Did you mean &#39;items&#39;?" in browser.ask("GET", "/pipekit/modules/itemz").text


def test_a_missing_store_is_said_on_the_page(site: Site) -> None:
    (site.folder / "pipekit.db").unlink()
    answer = site.browser("viewer").ask("GET", "/pipekit/modules")
    assert answer.status == 503
    assert "pipekit init" in answer.text


def test_a_thousand_modules_are_shown_quickly(site: Site) -> None:
    fields: Any = {"source": "src", "dest": "dw", "strategy": "full", "query": "SELECT 1 AS x"}
    site.save(*(Module(name=f"m{n:04d}", dest_table=f"t{n}", **fields) for n in range(1000)))
    browser = site.browser("viewer")
    browser.get("/pipekit/")
    site.save(*(Group(name=f"g{n:03d}", layers=((f"m{n:04d}",),)) for n in range(500)))
    site.save(*(Schedule(name=f"s{n:03d}", group=f"g{n:03d}", cron="0 2 * * *") for n in range(500)))
    browser.get("/pipekit/lint")
    pages = ("/pipekit/", "/pipekit/modules", "/pipekit/modules?page=5", "/pipekit/lint", "/pipekit/groups")
    for page in (*pages, "/pipekit/lint?level=warning&page=3", "/pipekit/groups?q=g01", "/pipekit/schedules?show=s400"):
        started = time.process_time()
        check_shape(browser.get(page))
        assert time.process_time() - started < 1.5, "a third of a second on an idle machine"


def test_long_lists_are_told_a_page_at_a_time(site: Site) -> None:
    fields: Any = {"source": "src", "dest": "dw", "strategy": "full", "query": "SELECT * FROM t"}
    site.save(*(Module(name=f"m{n:03d}", dest_table=f"t{n}", **fields) for n in range(250)))
    site.save(*(Group(name=f"g{n:03d}", layers=((f"m{n:03d}",),)) for n in range(120)))
    site.save(*(Schedule(name=f"s{n:03d}", group=f"g{n:03d}", cron="0 2 * * *") for n in range(60)))
    browser = site.browser("viewer")
    assert "121 groups" in browser.get("/pipekit/groups")
    last = browser.get("/pipekit/groups?page=2")
    assert "page 2 of 2" in last
    assert "<strong>g119" not in browser.get("/pipekit/groups?q=G00")
    assert 'id="s055"' in browser.get("/pipekit/schedules?show=s055")
    assert 'id="changed"' in browser.get("/pipekit/schedules?page=2"), "triggers come after the schedules"
    found = browser.get("/pipekit/lint?q=m249")
    assert "module m249" in found
    assert "module m248" not in found
    assert "page 1 of" in browser.get("/pipekit/lint")
    site.save(Module(name="newest", dest_table="newest", **fields))
    assert "module newest" in browser.get("/pipekit/lint?q=newest"), (
        "what was found of other definitions counts no more"
    )


def test_a_module_page_shows_which_partitions_are_filled(site: Site) -> None:
    query = "SELECT * FROM t WHERE at >= '{partition_start}' AND at < '{partition_end}'"
    days = Partition(by="day", start="2024-01-01", end="2024-01-04", column="at")
    site.save(
        Module(name="days", source="src", dest="dw", query=query, dest_table="t", strategy="full", partition=days)
    )
    with site.store() as store:
        started = store.runs.start("days", triggered_by="manual", partition="2024-01-02")
        assert started is not None
        store.runs.finish(started[0], "success", rows_inserted=77)
    text = site.browser("viewer").ask("GET", "/pipekit/modules/days").text
    assert "Partitions: 1 of 3 days filled" in text
    status = '</td><td><span class="status {0}">{0}'
    assert text.index("2024-01-03" + status.format("missing")) < text.index("2024-01-02" + status.format("filled"))
