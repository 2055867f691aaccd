"""`/api`: start and follow runs without knowing GraphQL. The same server, the same login.

POST answers at once with the Dagster run's id; GET shows what pipekit and Dagster know of it. Errors are
`{"error": "what and why"}` with a fitting status. `/api/openapi.json` describes it all.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from dagster import DagsterInstance, RunsFilter
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Match, Route

from pipekit_dagster.serve.launch import LaunchRefused, launch
from pipekit_dagster.serve.openapi import describe_api
from pipekit_dagster.serve.views import group_view, module_view, run_view, schedule_view
from pipekit_engine.common.validation import describe
from pipekit_engine.errors import NotFoundError, PipekitError
from pipekit_engine.statuses import RUN_STATUSES
from pipekit_engine.store import Store

if TYPE_CHECKING:
    from pipekit_dagster.serve.web import PipekitWebserver
    from pipekit_engine.config import Config
    from pipekit_engine.models import RunRecord

_log = logging.getLogger("pipekit.serve")

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
MAX_BODY_BYTES = 1_000_000
MAX_LIMIT = 1000


class RunOptions(BaseModel):
    """Body of a request to run something; all of it may be left out."""

    model_config = ConfigDict(extra="forbid", strict=True)

    dry_run: bool = Field(default=False, description="resolve, plan and print all SQL; move nothing")
    watermarks: dict[str, str] = Field(
        default_factory=dict, description="watermark values for this run, by name or by module.name"
    )


class ApiError(Exception):
    """An answer that is not a success."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers


class RestApi:
    """The endpoints. Each opens the state store for itself; requests are few."""

    def __init__(self, config: Config, server: PipekitWebserver) -> None:
        self._config = config
        self._server = server

    def routes(self) -> list[Route]:
        """All routes below `/api`."""

        def route(path: str, endpoint: Callable[[Request], Awaitable[Response]], method: str = "GET") -> Route:
            return Route(f"/api{path}", _answering(endpoint), methods=[method])

        return [
            route("/openapi.json", self._openapi),
            route("/modules", self._modules),
            route("/modules/{name}", self._module),
            route("/modules/{name}/run", self._run_module, "POST"),
            route("/groups", self._groups),
            route("/groups/{name}", self._group),
            route("/groups/{name}/run", self._run_group, "POST"),
            route("/runs", self._runs),
            route("/runs/{id}", self._run),
            route("/runs/{id}/log", self._log),
            route("/schedules", self._schedules),
            Route("/api/{path:path}", _answering(self._unknown), methods=_METHODS),
        ]

    async def _openapi(self, request: Request) -> Response:
        return JSONResponse(describe_api(RunOptions))

    async def _unknown(self, request: Request) -> Response:
        # This route takes every path, so that Starlette no longer sees that another has the path but not the method.
        for route in self.routes():
            if route.matches(request.scope)[0] is Match.PARTIAL:
                allowed = ", ".join(sorted(route.methods or ()))
                raise ApiError(405, f"{request.url.path} takes {allowed}.", {"allow": allowed})
        raise ApiError(404, f"There is no {request.url.path}; /api/openapi.json lists what there is.")

    async def _modules(self, request: Request) -> Response:
        def read(store: Store) -> Any:
            return [module_view(item) for item in store.definitions.load_checked()[0].modules.values()]

        return JSONResponse(await self._read(read))

    async def _module(self, request: Request) -> Response:
        name = request.path_params["name"]
        return JSONResponse(await self._read(lambda store: module_view(store.definitions.module(name))))

    async def _groups(self, request: Request) -> Response:
        def read(store: Store) -> Any:
            groups = store.definitions.load_checked()[0].groups.values()
            return [group_view(item, store.group_runs.list(group=item.name, limit=1)) for item in groups]

        return JSONResponse(await self._read(read))

    async def _group(self, request: Request) -> Response:
        name = request.path_params["name"]

        def read(store: Store) -> Any:
            return group_view(store.definitions.group(name), store.group_runs.list(group=name, limit=20))

        return JSONResponse(await self._read(read))

    async def _schedules(self, request: Request) -> Response:
        def read(store: Store) -> Any:
            schedules = store.definitions.load_checked()[0].schedules.values()
            return [schedule_view(item, store.ticks.last_fired_at(item.name)) for item in schedules]

        return JSONResponse(await self._read(read))

    async def _runs(self, request: Request) -> Response:
        query = request.query_params
        unknown = set(query) - {"module", "status", "limit"}
        if unknown:
            raise ApiError(400, f"Unknown parameter {', '.join(sorted(unknown))}; there are module, status and limit.")
        status = query.get("status")
        if status is not None and status not in RUN_STATUSES:
            raise ApiError(400, f"status is one of {', '.join(RUN_STATUSES)}.")
        limit = _whole(query.get("limit", "20"), "limit", 1, MAX_LIMIT)

        def read(store: Store) -> Any:
            found = store.runs.list(module=query.get("module"), status=status, limit=limit)
            return [run_view(item) for item in found]

        return JSONResponse(await self._read(read))

    async def _run(self, request: Request) -> Response:
        run_id = request.path_params["id"]

        def read(store: Store) -> Any:
            number = _run_number(run_id)
            if number is not None:
                return run_view(store.runs.get(number), full=True)
            return self._dagster_run(request, store, run_id)

        return JSONResponse(await self._read(read))

    async def _log(self, request: Request) -> Response:
        run_id = request.path_params["id"]
        offset = _whole(request.query_params.get("offset", "0"), "offset", 0, 2**53)

        def read(store: Store) -> str:
            number = _run_number(run_id)
            if number is not None:
                return _log_text(store.runs.get(number))[offset:]
            self._dagster_run(request, store, run_id)
            runs = self._runs_of(store, run_id)
            return "".join(f"== {run.module}\n{_log_text(store.runs.get(run.id))}" for run in runs)[offset:]

        return PlainTextResponse(await self._read(read))

    def _runs_of(self, store: Store, dagster_run_id: str) -> list[RunRecord]:
        return store.runs.list(dagster_run_id=dagster_run_id, limit=MAX_LIMIT)[::-1]

    def _dagster_run(self, request: Request, store: Store, run_id: str) -> dict[str, Any]:
        with self._server.request_context(request) as context:
            instance: DagsterInstance = context.instance
            runs = instance.get_runs(RunsFilter(run_ids=[run_id]), limit=1)
        if not runs:
            raise ApiError(404, f"There is no run {run_id!r}.")
        return {
            "dagster_run_id": runs[0].run_id,
            "job": runs[0].job_name,
            "status": runs[0].status.value.lower(),
            "tags": {key: value for key, value in runs[0].tags.items() if not key.startswith(".dagster/")},
            "runs": [run_view(run) for run in self._runs_of(store, run_id)],
        }

    async def _run_module(self, request: Request) -> Response:
        return await self._start(request, "modules")

    async def _run_group(self, request: Request) -> Response:
        return await self._start(request, "groups")

    async def _start(self, request: Request, kind: str) -> Response:
        options = await _body(request)
        name = request.path_params["name"]

        def start() -> str:
            with Store.open(self._config.database_url) as store, self._server.request_context(request) as context:
                return launch(
                    self._server.schema,
                    context,
                    store,
                    kind=kind,
                    name=name,
                    dry_run=options.dry_run,
                    watermarks=options.watermarks,
                )

        try:
            run_id = await run_in_threadpool(start)
        except LaunchRefused as error:
            raise ApiError(409, str(error)) from None
        links = {"status_url": f"/api/runs/{run_id}", "log_url": f"/api/runs/{run_id}/log", "url": f"/runs/{run_id}"}
        return JSONResponse(
            {"dagster_run_id": run_id, **links}, status_code=202, headers={"location": links["status_url"]}
        )

    async def _read(self, read: Callable[[Store], Any]) -> Any:
        def work() -> Any:
            with Store.open(self._config.database_url) as store:
                return read(store)

        return await run_in_threadpool(work)


def _answering(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """Turn errors into answers."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except ApiError as error:
            return JSONResponse({"error": str(error)}, status_code=error.status, headers=error.headers)
        except NotFoundError as error:
            return JSONResponse({"error": str(error)}, status_code=404)
        except PipekitError as error:
            return JSONResponse({"error": str(error)}, status_code=503)
        except ClientDisconnect:
            raise
        except Exception:  # whatever the driver of Dagster's storage raises
            _log.exception("%s could not be answered", request.url.path)
            return JSONResponse(
                {"error": "This could not be answered now; the server's log says why."}, status_code=503
            )

    return answer


async def _body(request: Request) -> RunOptions:
    text = await request.body()
    if len(text) > MAX_BODY_BYTES:
        raise ApiError(413, f"The body is longer than {MAX_BODY_BYTES} bytes.")
    if not text.strip():
        return RunOptions()
    if "json" not in request.headers.get("content-type", ""):
        raise ApiError(415, "The body is JSON; say so with Content-Type: application/json.")
    try:
        return RunOptions.model_validate(json.loads(text))
    except ValidationError as error:
        raise ApiError(422, describe(error, whole="body")) from None
    except (ValueError, RecursionError) as error:
        raise ApiError(400, f"The body is not JSON: {error}") from None


def _whole(text: str, name: str, least: int, most: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if not least <= value <= most:
        raise ApiError(400, f"{name} is a whole number from {least} to {most}.")
    return value


def _log_text(run: RunRecord) -> str:
    """What the run has said, and at its end what went wrong."""
    return run.live_log + (f"{run.status}: {run.error}\n" if run.error else "")


def _run_number(text: str) -> int | None:
    """The number of a run of pipekit's; None when it must be a Dagster run's id."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
