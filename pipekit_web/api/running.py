"""Runs below `/api`: start, follow and cancel them, without knowing GraphQL.

POST answers at once with a number under which GET tells what became of the start: the run, or why there is none.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Path, Query, Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse

from pipekit_engine.errors import ConfigurationError
from pipekit_engine.models import RUN_LOGS, GroupRunRecord, RunRecord
from pipekit_engine.store import Store
from pipekit_web.api.answers import (
    Asked,
    DagsterRun,
    GroupRunFilter,
    GroupRunWithMembers,
    RunFilter,
    RunOptions,
    Started,
)
from pipekit_web.api.asking import Name, Number, OpenEngine, OpenStore, Operator, config_of, launcher_of
from pipekit_web.api.problems import CheckedBody, problems
from pipekit_web.launching import Wanted
from pipekit_web.routes.looking import follow
from pipekit_web.server.auth import ANYONE, User
from pipekit_web.views.partitions import check_partition

_EACH_WITHOUT_LOGS: dict[str, Any] = {"__all__": set(RUN_LOGS)}
_NO_OPTIONS = RunOptions()
RunId = Annotated[str, Path(min_length=1, description="number of a run of pipekit, or what a start gave")]

router = APIRouter(prefix="/api", route_class=CheckedBody)
STARTS: dict[str, Any] = {"status_code": 202, "responses": problems(400, 404, 409, 413, 415, 422)}


@router.post("/modules/{name}/run", summary="Run a module; answers at once", **STARTS)
def run_module(
    user: Operator,
    name: Name,
    store: OpenStore,
    request: Request,
    response: Response,
    options: RunOptions = _NO_OPTIONS,
) -> Started:
    return start(_wanted("modules", name, user, store, options), store, request, response)


@router.post("/groups/{name}/run", summary="Run a group; answers at once", **STARTS)
def run_group(
    user: Operator,
    name: Name,
    store: OpenStore,
    request: Request,
    response: Response,
    options: RunOptions = _NO_OPTIONS,
) -> Started:
    return start(_wanted("groups", name, user, store, options), store, request, response)


def asked_by(user: User) -> str:
    """The user as `triggered_by` of runs names them."""
    return "manual" if user is ANYONE else user.by


def _wanted(kind: Literal["modules", "groups"], name: str, user: User, store: Store, options: RunOptions) -> Wanted:
    if kind == "modules":
        store.definitions.module(name)
    else:
        store.definitions.group(name)
    try:
        check_partition(store, kind, name, options.partition)
    except ConfigurationError as error:
        raise HTTPException(422, str(error)) from None
    return Wanted(kind, name, asked_by(user), options.dry_run, options.watermarks, options.partition)


def start(wanted: Wanted, store: Store, request: Request, response: Response) -> Started:
    """Begin a run; what the POST answers. Raises LaunchRefused."""
    launcher = launcher_of(request)
    ticket = launcher.start(request, store, wanted)
    started = Started(
        dagster_run_id=ticket,
        status_url=f"/api/runs/{ticket}",
        log_url=f"/api/runs/{ticket}/log",
        url=f"/runs/{ticket}" if launcher.dagster else f"/pipekit/started/{ticket}",
    )
    response.headers["location"] = started.status_url
    return started


@router.get(
    "/runs",
    summary="Runs of modules, newest first",
    responses=problems(400),
    response_model_exclude=_EACH_WITHOUT_LOGS,
)
def runs(wanted: Annotated[RunFilter, Query()], store: OpenStore) -> list[RunRecord]:
    return store.runs.list(module=wanted.module, status=wanted.status, limit=wanted.limit)


@router.get(
    "/runs/{id}",
    summary="A run of a module, or what became of a start, with the runs in it",
    responses=problems(404),
    response_model_exclude={"runs": _EACH_WITHOUT_LOGS},
)
def run(id: RunId, store: OpenStore, request: Request) -> RunRecord | DagsterRun:
    number = _run_number(id)
    return store.runs.get(number) if number is not None else launcher_of(request).describe(request, store, id)


@router.get(
    "/runs/{id}/log",
    summary="What a run has said so far",
    responses=problems(400, 404),
    response_class=PlainTextResponse,
)
def log(id: RunId, store: OpenStore, request: Request, offset: Annotated[int, Query(ge=0, le=2**53)] = 0) -> str:
    number = _run_number(id)
    if number is not None:
        return _log_text(store.runs.get(number))[offset:]
    found = launcher_of(request).describe(request, store, id)
    texts = [f"== {run.module}\n{_log_text(store.runs.get(run.id))}" for run in found.runs]
    return "".join(texts or ([f"{found.status}: {found.error}\n"] if found.error else []))[offset:]


class EventStream(StreamingResponse):
    """Server-sent events."""

    media_type = "text/event-stream"


#: One event of a log that is followed; OpenAPI 3.1 describes a stream by its items.
_LOG_EVENT = {
    "type": "object",
    "required": ["event", "data", "id"],
    "properties": {
        "event": {"enum": ["log", "ended", "more"]},
        "data": {"type": "string", "description": "JSON: a text of the log, a status, or 1"},
        "id": {"type": "string", "description": "the character at which what follows begins: `after` goes on there"},
    },
}


@router.get(
    "/runs/{number}/events",
    summary="A run's log as server-sent events `log`, then `ended` with its status, or `more` after half a minute",
    responses={**problems(400, 404), 200: {"content": {"text/event-stream": {"schema": _LOG_EVENT}}}},
    response_class=EventStream,
)
def events(
    number: Number, store: OpenStore, request: Request, after: Annotated[int, Query(ge=0, lt=2**53)] = 0
) -> Response:
    store.runs.get(number)
    last = request.headers.get("last-event-id", "")
    position = int(last) if last.isascii() and last.isdigit() and len(last) < 16 else after
    return EventStream(follow(config_of(request).database_url, number, position))


@router.post("/runs/{number}/cancel", status_code=202, summary="Ask a run to end", responses=problems(400, 404))
def cancel(user: Operator, number: Number, engine: OpenEngine) -> Asked:
    return Asked(asked=engine.cancel(number))


@router.get("/group-runs", summary="Runs of groups, newest first", responses=problems(400))
def group_runs(wanted: Annotated[GroupRunFilter, Query()], store: OpenStore) -> list[GroupRunRecord]:
    return store.group_runs.list(group=wanted.group, limit=wanted.limit)


@router.get(
    "/group-runs/{number}",
    summary="One run of a group, with its members' runs",
    responses=problems(400, 404),
    response_model_exclude={"members": _EACH_WITHOUT_LOGS},
)
def group_run(number: Number, store: OpenStore) -> GroupRunWithMembers:
    found = store.group_runs.get(number)
    members = store.runs.list(group_run_id=number, limit=None)[::-1]
    return GroupRunWithMembers(**found.model_dump(exclude={"duration_s"}), members=members)


@router.post(
    "/group-runs/{number}/cancel",
    status_code=202,
    summary="Ask a group's run to end, with all its members",
    responses=problems(400, 404),
)
def cancel_group(user: Operator, number: Number, engine: OpenEngine) -> Asked:
    return Asked(asked=engine.cancel_group(number))


def _run_number(text: str) -> int | None:
    """The number of a run of pipekit's; None when it must be what a start gave."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _log_text(run: RunRecord) -> str:
    """What the run has said, and at its end what went wrong."""
    return run.live_log + (f"{run.status}: {run.error}\n" if run.error else "")
