"""`/api`: start and follow runs without knowing GraphQL. The same server, the same login.

POST answers at once with the Dagster run's id; GET shows what pipekit and Dagster know of it. Errors are
`{"error": "what and why"}` with a fitting status (`problems`). `/api/openapi.json` describes it all, made from this module.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from itertools import islice
from typing import Annotated, Any

from dagster import RunsFilter
from fastapi import APIRouter, Depends, FastAPI, Path, Query, Request, Response
from fastapi.responses import PlainTextResponse

from pipekit_dagster.dagster_internals.instigation import fire_times
from pipekit_dagster.dagster_internals.web_server import DagsterWebserver, graphql_schema
from pipekit_dagster.serve.answers import (
    MAX_LIMIT,
    DagsterRun,
    GroupWithRuns,
    RunFilter,
    RunOptions,
    ScheduleWithTimes,
    Started,
)
from pipekit_dagster.serve.launch import launch, triggered_by
from pipekit_dagster.serve.problems import CheckedBody, add_error_handlers, problems
from pipekit_engine._version import __version__
from pipekit_engine.errors import NotFoundError
from pipekit_engine.models import RUN_LOGS, Group, Module, RunRecord
from pipekit_engine.store import Store

_FIRE_TIMES = 5
_GROUP_RUNS = 20
_EACH_WITHOUT_LOGS: dict[str, Any] = {"__all__": set(RUN_LOGS)}
_NO_OPTIONS = RunOptions()


def build_api(database_url: str, server: DagsterWebserver[Any, Any] | None) -> FastAPI:
    """The REST interface on a state store, as an ASGI application that takes whole paths, `/api` included.

    `server` is asked for what Dagster knows. Without one only the description, `openapi()`, is of use.
    """
    api = FastAPI(
        title="pipekit",
        version=__version__,
        description="Start and follow runs. The login is the server's own: HTTP Basic, or the UI's session.",
        openapi_url=None,
        redirect_slashes=False,
        responses=problems(401, 403, 429, 503),
    )
    api.state.database_url = database_url
    api.state.server = server
    api.include_router(_router)
    api.add_middleware(_HeadAsGet)
    add_error_handlers(api)
    return api


def describe_api(api: FastAPI) -> dict[str, Any]:
    """The OpenAPI description."""
    description = api.openapi()
    for path in description["paths"].values():
        for operation in path.values():
            # FastAPI describes an answer that `problems` replaces.
            if "HTTPValidationError" in str(operation["responses"].get("422")):
                del operation["responses"]["422"]
            for answer in operation["responses"].values():
                # FastAPI gives problems the media type of the success, which for a log is text.
                if "Problem" in str(answer["content"].get("text/plain")):
                    answer["content"] = {"application/json": answer["content"]["text/plain"]}
    schemas = description["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    description["components"]["securitySchemes"] = {"basic": {"type": "http", "scheme": "basic"}}
    description["security"] = [{"basic": []}]
    return description


class _HeadAsGet:
    """ASGI middleware: HEAD is answered as GET is. The server leaves the body out by itself."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)


def _opened_store(request: Request) -> Iterator[Store]:
    """The state store, opened for one request: they are few."""
    with Store.open(request.app.state.database_url) as store:
        yield store


OpenStore = Annotated[Store, Depends(_opened_store)]
Name = Annotated[str, Path(min_length=1)]
RunId = Annotated[str, Path(min_length=1, description="number of a run of pipekit, or id of a Dagster run")]

_router = APIRouter(prefix="/api", route_class=CheckedBody)


@_router.get("/modules", summary="All modules")
def modules(store: OpenStore) -> list[Module]:
    return list(store.definitions.load_checked()[0].modules.values())


@_router.get("/modules/{name}", summary="One module", responses=problems(404))
def module(name: Name, store: OpenStore) -> Module:
    return store.definitions.module(name)


_STARTS: dict[str, Any] = {"status_code": 202, "responses": problems(400, 404, 409, 413, 415, 422)}


@_router.post("/modules/{name}/run", summary="Run a module; answers at once", **_STARTS)
def run_module(
    name: Name, store: OpenStore, request: Request, response: Response, options: RunOptions = _NO_OPTIONS
) -> Started:
    return _start("modules", name, options, store, request, response)


@_router.get("/groups", summary="All groups, each with its newest run")
def groups(store: OpenStore) -> list[GroupWithRuns]:
    return [_with_runs(item, store, limit=1) for item in store.definitions.load_checked()[0].groups.values()]


@_router.get("/groups/{name}", summary="One group and its newest runs", responses=problems(404))
def group(name: Name, store: OpenStore) -> GroupWithRuns:
    return _with_runs(store.definitions.group(name), store, limit=_GROUP_RUNS)


def _with_runs(group: Group, store: Store, *, limit: int) -> GroupWithRuns:
    return GroupWithRuns(**dict(group), runs=store.group_runs.list(group=group.name, limit=limit))


@_router.post("/groups/{name}/run", summary="Run a group; answers at once", **_STARTS)
def run_group(
    name: Name, store: OpenStore, request: Request, response: Response, options: RunOptions = _NO_OPTIONS
) -> Started:
    return _start("groups", name, options, store, request, response)


def _start(kind: str, name: str, options: RunOptions, store: Store, request: Request, response: Response) -> Started:
    server = request.app.state.server
    with server.request_context(request) as context:
        run_id = launch(
            graphql_schema(server),
            context,
            store,
            kind=kind,
            name=name,
            dry_run=options.dry_run,
            watermarks=options.watermarks,
            triggered_by=triggered_by(request),
        )
    started = Started(
        dagster_run_id=run_id,
        status_url=f"/api/runs/{run_id}",
        log_url=f"/api/runs/{run_id}/log",
        url=f"/runs/{run_id}",
    )
    response.headers["location"] = started.status_url
    return started


@_router.get(
    "/runs",
    summary="Runs of modules, newest first",
    responses=problems(400),
    response_model_exclude=_EACH_WITHOUT_LOGS,
)
def runs(wanted: Annotated[RunFilter, Query()], store: OpenStore) -> list[RunRecord]:
    return store.runs.list(module=wanted.module, status=wanted.status, limit=wanted.limit)


@_router.get(
    "/runs/{id}",
    summary="A run of a module, or a Dagster run with those in it",
    responses=problems(404),
    response_model_exclude={"runs": _EACH_WITHOUT_LOGS},
)
def run(id: RunId, store: OpenStore, request: Request) -> RunRecord | DagsterRun:
    number = _run_number(id)
    return store.runs.get(number) if number is not None else _dagster_run(id, store, request)


@_router.get(
    "/runs/{id}/log",
    summary="What a run has said so far",
    responses=problems(400, 404),
    response_class=PlainTextResponse,
)
def log(id: RunId, store: OpenStore, request: Request, offset: Annotated[int, Query(ge=0, le=2**53)] = 0) -> str:
    number = _run_number(id)
    if number is not None:
        return _log_text(store.runs.get(number))[offset:]
    found = _dagster_run(id, store, request).runs
    return "".join(f"== {run.module}\n{_log_text(store.runs.get(run.id))}" for run in found)[offset:]


def _run_number(text: str) -> int | None:
    """The number of a run of pipekit's; None when it must be a Dagster run's id."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _dagster_run(run_id: str, store: Store, request: Request) -> DagsterRun:
    with request.app.state.server.request_context(request) as context:
        found = context.instance.get_runs(RunsFilter(run_ids=[run_id]), limit=1)
    if not found:
        raise NotFoundError("run", run_id)
    return DagsterRun(
        dagster_run_id=found[0].run_id,
        job=found[0].job_name,
        status=found[0].status.value.lower(),
        tags={key: value for key, value in found[0].tags.items() if not key.startswith(".dagster/")},
        runs=store.runs.list(dagster_run_id=run_id, limit=MAX_LIMIT)[::-1],
    )


def _log_text(run: RunRecord) -> str:
    """What the run has said, and at its end what went wrong."""
    return run.live_log + (f"{run.status}: {run.error}\n" if run.error else "")


@_router.get("/schedules", summary="Schedules with their next fire times")
def schedules(store: OpenStore) -> list[ScheduleWithTimes]:
    now = datetime.now(timezone.utc)
    return [
        ScheduleWithTimes(
            **dict(item),
            last_fired_at=store.ticks.last_fired_at(item.name),
            next=list(islice(fire_times(item.cron, item.timezone, after=now), _FIRE_TIMES)) if item.enabled else [],
        )
        for item in store.definitions.load_checked()[0].schedules.values()
    ]


@_router.get("/openapi.json", summary="This description")
def openapi(request: Request) -> dict[str, Any]:
    return describe_api(request.app)
