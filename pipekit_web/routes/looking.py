"""Pages that show and change nothing."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool

from pipekit_engine.records.statuses import RUN_STATUSES
from pipekit_engine.store import Store
from pipekit_web.views import groups, machine, modules, overview, partitions, runs
from pipekit_web.views.lint import lint_page
from pipekit_web.visit import Look

router = APIRouter()
#: A number that any of the store's databases takes for a key.
Number = Annotated[int, Path(ge=1, lt=2**31)]
PageNumber = Annotated[int, Query(ge=1, lt=10**6)]

#: Seconds between two looks for more of a live log, and after which the browser has to ask, and log in, anew.
_POLL_S, _STREAM_S = 0.4, 30.0


@router.get("/pipekit", include_in_schema=False)
def home() -> RedirectResponse:
    """The first page's address."""
    return RedirectResponse("/pipekit/", 307)


@router.get("/pipekit/")
def first(visit: Look) -> HTMLResponse:
    """What runs, what failed, what comes next."""
    return visit.page("overview.html", view=overview.overview(visit.store))


@router.get("/pipekit/search")
def search(visit: Look, q: str = "") -> HTMLResponse:
    """Definitions and runs that fit some words."""
    return visit.page("search.html", words=q, hits=overview.search(visit.store, q[:200]))


@router.get("/pipekit/modules")
def module_list(
    visit: Look,
    q: str = "",
    group: str = "",
    connection: str = "",
    state: str = "",
    page: PageNumber = 1,
) -> HTMLResponse:
    """All modules."""
    filters = modules.Filters(q, group, connection, state, page)
    return visit.page("modules.html", view=modules.module_list(visit.store, filters))


@router.get("/pipekit/modules/{name}")
def module(visit: Look, name: str) -> HTMLResponse:
    """One module."""
    return visit.page("module.html", view=modules.module_page(visit.store, name))


@router.get("/pipekit/modules/{name}/partitions")
def module_partitions(visit: Look, name: str, state: str = "", page: PageNumber = 1) -> HTMLResponse:
    """All partitions of a module."""
    found = visit.store.definitions.module(name)
    view = partitions.partitions_page(visit.store, found, page=page, standing=state)
    return visit.page("partitions.html", view=view)


@router.get("/pipekit/groups")
def group_list(visit: Look, q: str = "", page: PageNumber = 1) -> HTMLResponse:
    """All groups."""
    return visit.page("groups.html", view=groups.group_list(visit.store, q[:200], page))


@router.get("/pipekit/groups/{name}")
def group(visit: Look, name: str) -> HTMLResponse:
    """One group."""
    return visit.page("group.html", view=groups.group_page(visit.store, name))


@router.get("/pipekit/schedules")
def schedules(visit: Look, page: PageNumber = 1, show: str = "") -> HTMLResponse:
    """All schedules and triggers."""
    return visit.page("schedules.html", view=groups.schedule_list(visit.store, page, show))


@router.get("/pipekit/runs")
def run_list(
    visit: Look, module: str = "", status: str = "", before: Annotated[int | None, Query(ge=1, lt=2**31)] = None
) -> HTMLResponse:
    """Runs of modules, newest first."""
    found = visit.store.runs.list(
        module=module or None,
        status=status if status in RUN_STATUSES else None,
        limit=runs.PER_PAGE + 1,
        before=before,
    )
    return visit.page(
        "runs.html",
        runs=found[: runs.PER_PAGE],
        older=found[runs.PER_PAGE - 1].id if len(found) > runs.PER_PAGE else None,
        module=module,
        status=status,
        statuses=RUN_STATUSES,
    )


@router.get("/pipekit/runs/{run_id}")
def run(visit: Look, run_id: Number) -> HTMLResponse:
    """One run."""
    return visit.page("run.html", view=runs.run_page(visit.store, run_id))


@router.get("/pipekit/runs/{run_id}/log")
def log(visit: Look, run_id: Number) -> PlainTextResponse:
    """A run's whole log, as text."""
    return PlainTextResponse(visit.store.runs.get(run_id).live_log)


@router.get("/pipekit/runs/{run_id}/sql")
def sql(visit: Look, run_id: Number) -> PlainTextResponse:
    """All SQL of a run, as text: its plan if it was a dry run."""
    found = visit.store.runs.get(run_id)
    texts = [found.source_sql, found.merge_sql, found.stdout if found.status == "dry_run" else None]
    return PlainTextResponse("\n\n".join(text for text in texts if text) + "\n")


@router.get("/pipekit/runs/{run_id}/events")
def events(visit: Look, run_id: Number, after: Annotated[int, Query(ge=0, lt=2**53)] = 0) -> StreamingResponse:
    """A run's live log as server-sent events: each one's id is the character at which what follows begins."""
    visit.store.runs.get(run_id)
    last = visit.request.headers.get("last-event-id", "")
    position = int(last) if last.isascii() and last.isdigit() and len(last) < 16 else after
    stream = follow(visit.config.database_url, run_id, position)
    return StreamingResponse(stream, media_type="text/event-stream")


async def follow(database_url: str, run_id: int, position: int) -> AsyncIterator[str]:
    """A run's live log from a character on, as server-sent events, for as long as one connection should last."""
    until = time.monotonic() + _STREAM_S
    # The page's own store is closed by the time that this begins.
    store = await run_in_threadpool(Store.open, database_url)
    try:
        while time.monotonic() < until:
            # Looked at before the log is read, so that nothing said in between is missed.
            status = (await run_in_threadpool(store.runs.status, run_id)) or "error"
            text = await run_in_threadpool(store.runs.tail, run_id, position)
            position += len(text)
            if text:
                yield f"id: {position}\nevent: log\ndata: {json.dumps(text)}\n\n"
            if status != "running":
                yield f"id: {position}\nevent: ended\ndata: {json.dumps(status)}\n\n"
                return
            await asyncio.sleep(_POLL_S)
        yield f"id: {position}\nretry: 100\nevent: more\ndata: 1\n\n"
    finally:
        await run_in_threadpool(store.close)


@router.get("/pipekit/group-runs")
def group_run_list(visit: Look, group: str = "") -> HTMLResponse:
    """Runs of groups, newest first."""
    found = visit.store.group_runs.list(group=group or None, limit=100)
    return visit.page("group_runs.html", group_runs=found, group=group)


@router.get("/pipekit/group-runs/{group_run_id}")
def group_run(visit: Look, group_run_id: Number) -> HTMLResponse:
    """One run of a group."""
    return visit.page("group_run.html", view=runs.group_run_page(visit.store, group_run_id))


@router.get("/pipekit/drivers")
def drivers(visit: Look) -> HTMLResponse:
    """JDBC drivers and their jars."""
    found = machine.driver_rows(visit.store.definitions.load_checked()[0], visit.config)
    return visit.page("drivers.html", rows=found, installed=None)


@router.get("/pipekit/lint")
def lint(visit: Look, level: str = "", q: str = "", page: PageNumber = 1) -> HTMLResponse:
    """What can be told about the definitions."""
    return visit.page("lint.html", view=lint_page(visit.store, visit.config, level, q[:200], page))


@router.get("/pipekit/locks")
def locks(visit: Look) -> HTMLResponse:
    """Locks that are held."""
    leases = [(lease, visit.store.runs.running(lease.token)) for lease in visit.store.leases.all()]
    return visit.page("locks.html", leases=leases)
