"""What an operator does: run, cancel, unlock, switch."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from pipekit_engine.operations.doctor import run_checks
from pipekit_web.launching import Wanted
from pipekit_web.rendering import part
from pipekit_web.routes.looking import Number
from pipekit_web.views.modules import check_now
from pipekit_web.views.partitions import check_partition, partitions_to_fill
from pipekit_web.visit import Look, Operate, Visit

router = APIRouter()
Runnable = Literal["modules", "groups"]


@router.post("/pipekit/{kind}/{name}/run")
def run(visit: Operate, kind: Runnable, name: str) -> Response:
    """Start a module or group, or a dry run of it; the page that follows waits for the run to begin."""
    partition = visit.field("partition").strip() or None
    check_partition(visit.store, kind, name, partition)
    prefix = "watermark."
    values = {
        field.removeprefix(prefix): visit.field(field)
        for field in visit.form
        if field.startswith(prefix) and visit.field(field) != ""
    }
    is_dry = visit.field("dry_run") == "1"
    return _start(visit, Wanted(kind, name, visit.by, dry_run=is_dry, watermarks=values, partition=partition))


@router.post("/pipekit/modules/{name}/backfill")
def backfill(visit: Operate, name: str) -> Response:
    """Fill partitions of a module, those that are ticked or a range of them; the page that follows shows the first run."""
    keys = partitions_to_fill(
        visit.store,
        visit.store.definitions.module(name),
        visit.field("from").strip(),
        visit.field("to").strip(),
        [key for key in visit.form.getlist("partition") if isinstance(key, str)],
        again=visit.field("again") == "1",
    )
    return _start(
        visit, Wanted("modules", name, visit.by, partitions=keys, keep_going=visit.field("keep_going") == "1")
    )


def _start(visit: Visit, wanted: Wanted) -> Response:
    return RedirectResponse(f"/pipekit/started/{visit.launcher.start(visit.request, visit.store, wanted)}", 303)


@router.post("/pipekit/modules/{name}/check")
def check(visit: Operate, name: str) -> RedirectResponse:
    """Ask a module's checks of its destination as it is now."""
    visit.store.definitions.module(name)
    with visit.engine() as engine:
        check_now(engine, name)
    return RedirectResponse(f"/pipekit/modules/{part(name)}#checks", 303)


@router.get("/pipekit/started/{ticket}")
def started(visit: Look, ticket: str) -> Response:
    """Waits for a run to begin, then leads to it, or says why there is none."""
    begun = visit.launcher.look(visit.request, visit.store, ticket)
    url = f"/pipekit/runs/{begun.run_id}" if begun.run_id is not None else None
    if begun.group_run_id is not None:
        url = f"/pipekit/group-runs/{begun.group_run_id}"
    if url is None:
        return visit.page("started.html", problem=begun.problem, ticket=ticket)
    if visit.request.headers.get("hx-request") == "true":
        return Response(headers={"hx-redirect": url})
    return RedirectResponse(url, 303)


@router.post("/pipekit/runs/{run_id}/cancel")
def cancel(visit: Operate, run_id: Number) -> RedirectResponse:
    """Ask a run to end."""
    with visit.engine() as engine:
        engine.cancel(run_id)
    return RedirectResponse(f"/pipekit/runs/{run_id}", 303)


@router.post("/pipekit/group-runs/{group_run_id}/cancel")
def cancel_members(visit: Operate, group_run_id: Number) -> RedirectResponse:
    """Ask a group's run to end, with all its members."""
    with visit.engine() as engine:
        engine.cancel_group(group_run_id)
    return RedirectResponse(f"/pipekit/group-runs/{group_run_id}", 303)


@router.post("/pipekit/modules/{name}/unlock")
def unlock(visit: Operate, name: str) -> RedirectResponse:
    """Free a lock that a dead process left."""
    with visit.engine() as engine:
        engine.unlock(name)
    return RedirectResponse("/pipekit/locks", 303)


@router.get("/pipekit/doctor")
def doctor(visit: Look) -> HTMLResponse:
    """The doctor's page; its checks log in to databases and free dead locks, so they run when they are asked for."""
    return visit.page("doctor.html", checks=None)


@router.post("/pipekit/doctor")
def run_doctor(visit: Operate) -> HTMLResponse:
    """Run the doctor's checks."""
    return visit.page("doctor.html", checks=run_checks(visit.config))
