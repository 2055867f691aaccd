"""`python -m pipekit_dagster.serve.web`: the web server. Started by the supervisor.

Dagster's own UI and GraphQL, with the login in front, the REST interface beside it, and Dagster's read-only mode for viewers.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from dagster import DagsterInstance
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.websockets import WebSocket

from pipekit_dagster.dagster_internals.code_server import watch_closely
from pipekit_dagster.dagster_internals.web_server import (
    UI_PAGES,
    VERSION,
    DagsterWebserver,
    WorkspaceRequestContext,
    check_connections_before_use,
    load_target,
)
from pipekit_dagster.dagster_internals.workspace import WatchedWorkspace
from pipekit_dagster.serve.graphql_limits import MAX_AT_ONCE, MAX_SUBSCRIPTIONS, Deadline, check_payload, read_body
from pipekit_dagster.serve.health import check_health
from pipekit_dagster.serve.home import Home
from pipekit_dagster.serve.launched_by import NameUsers
from pipekit_dagster.serve.pages import LINK, DagsterLauncher
from pipekit_dagster.switches import NoteSwitches, sync_switches
from pipekit_dagster.translator import DagsterPipekitTranslator
from pipekit_engine.config import Config, load_config
from pipekit_engine.store import Store
from pipekit_web.api.app import build_api
from pipekit_web.app import build_pages
from pipekit_web.server.address import is_loopback
from pipekit_web.server.auth import ANYONE, Users, users_file
from pipekit_web.server.connections import listen
from pipekit_web.server.middleware import USER_KEY, Login
from pipekit_web.server.tokens import Tokens

#: Milliseconds between two looks of the UI for changed data.
_LIVE_POLL_MS = 2000


class ProcessContext(WatchedWorkspace):
    """Dagster's workspace, read-only for requests of viewers."""

    #: Whose definitions are shown.
    config = Config()

    def create_request_context(self, source: object | None = None) -> WorkspaceRequestContext:
        """The workspace as this request's user may see it. `source` is the request."""
        user = source.scope.get(USER_KEY, ANYONE) if isinstance(source, HTTPConnection) else ANYONE
        return WorkspaceRequestContext(
            instance=self.instance,
            current_workspace=self.get_current_workspace(),
            process_context=self,
            version=self.version,
            source=source,
            read_only=user.role == "viewer",
        )

    def refreshed(self, name: str, location: object) -> None:
        """Let switches follow; what fails here the reconcile sensor does."""
        with Store.open(self.config.database_url) as store:
            sync_switches(store, self.config, self.instance, name, DagsterPipekitTranslator())


class PipekitWebserver(DagsterWebserver[Any, Any]):
    """Dagster's web server with login, `/health`, `/api` and `/pipekit`."""

    def __init__(self, context: ProcessContext, config: Config, home: Home, *, local_only: bool) -> None:
        self._config = config
        self._home = home
        self._local_only = local_only
        launcher = DagsterLauncher(self)
        self._rest = build_api(config, launcher)
        self._pages = build_pages(config, launcher)
        self._deadline = Deadline()
        #: By user, the right to run one more query.
        self._at_once: dict[str, asyncio.Semaphore] = {}
        super().__init__(context, "", _LIVE_POLL_MS)

    def build_middleware(self) -> list[Middleware]:
        """The login goes before everything of Dagster's."""
        login = Middleware(
            Login,
            users=Users(users_file(self._config)),
            local_only=self._local_only,
            tokens=Tokens(self._config.database_url),
        )
        return [login, *super().build_middleware()]

    async def graphql_http_endpoint(self, request: Request) -> Response:
        """Dagster's GraphQL, from bodies that say what they are.

        Dagster also runs what stands in the URL, mutations included: a link or an image on any page could start or delete runs
        with the login of whoever looks at it, since neither tells the server where it comes from unless it is served by HTTPS.
        """
        if request.method == "GET" and "text/html" not in request.headers.get("accept", ""):
            return PlainTextResponse("GraphQL is asked by POST.\n", status_code=405, headers={"allow": "POST"})
        if request.method == "POST" and not _names_graphql(request.headers.get("content-type", "")):
            return PlainTextResponse("The body is JSON; say so with Content-Type: application/json.\n", status_code=415)
        if request.method == "POST":
            is_json = "json" in request.headers.get("content-type", "").lower()
            wrong = await run_in_threadpool(read_body, await request.body(), is_json=is_json)
            if wrong is not None:
                return JSONResponse({"data": None, "errors": [{"message": wrong}]}, status_code=400)
        user = request.scope.get(USER_KEY, ANYONE)
        async with self._at_once.setdefault(user.name, asyncio.Semaphore(MAX_AT_ONCE)):
            answer: Response = await super().graphql_http_endpoint(request)
        return answer

    async def download_debug_file_endpoint(self, request: Request) -> Response:
        """Dagster's file about a run, if there is such a run."""
        with self.request_context(request) as context:
            known = await run_in_threadpool(context.instance.has_run, request.path_params["run_id"])
        if not known:
            return PlainTextResponse("There is no such run.\n", status_code=404)
        answer: Response = await super().download_debug_file_endpoint(request)
        return answer

    async def download_captured_logs_endpoint(self, request: Request) -> Response:
        """Dagster's logs of a step. What cannot be a log's name is one that is not there."""
        try:
            answer: Response = await super().download_captured_logs_endpoint(request)
        except (ValueError, IndexError):
            return PlainTextResponse("There is no such log.\n", status_code=404)
        return answer

    def build_graphql_middleware(self) -> list[Any]:
        """Queries that take too long end; who turns a switch or launches a run is written down."""
        return [*super().build_graphql_middleware(), self._deadline, NoteSwitches(self._config), NameUsers()]

    def graphql_execution_thread(self, *args: Any, **fields: Any) -> JSONResponse:
        """Run a query on this thread, until its time is over."""
        self._deadline.begin()
        answer: JSONResponse = super().graphql_execution_thread(*args, **fields)
        if self._deadline.is_over() and answer.status_code == 500:
            answer.status_code = 503
        return answer

    async def graphql_ws_endpoint(self, websocket: WebSocket) -> None:
        """Dagster's subscriptions, of messages that are some."""
        try:
            await super().graphql_ws_endpoint(websocket)
        except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
            # Dagster takes a message for what it should be. 1003: data that cannot be accepted.
            with contextlib.suppress(RuntimeError):
                await websocket.close(1003)

    async def execute_graphql_subscription(
        self,
        websocket: WebSocket,
        operation_id: str,
        query: str,
        variables: dict[str, Any] | None,
        operation_name: str | None,
    ) -> tuple[Any, Any]:
        """Begin a subscription within the limits."""
        wrong = check_payload({"query": query, "variables": variables, "operationName": operation_name})
        running = [task for task in getattr(websocket.state, "pipekit_tasks", ()) if not task.done()]
        if len(running) >= MAX_SUBSCRIPTIONS:
            wrong = f"{MAX_SUBSCRIPTIONS} subscriptions are open on this connection."
        if wrong is not None:
            return None, {"message": wrong}
        begin: Any = super().execute_graphql_subscription
        task, problem = await begin(
            websocket=websocket,
            operation_id=operation_id,
            query=query,
            variables=variables,
            operation_name=operation_name,
        )
        websocket.state.pipekit_tasks = [*running, *([task] if task is not None else [])]
        return task, problem

    def build_routes(self) -> list[Any]:
        """Ours first: Dagster's last route answers every path with the UI."""
        ours = [
            Route("/health", self._health),
            Route("/api/{path:path}", self._rest),
            Route("/pipekit", self._pages),
            Route("/pipekit/{path:path}", self._pages),
        ]
        return [*ours, *super().build_routes()]  # type: ignore[no-untyped-call]

    def index_html_endpoint(self, request: Request) -> HTMLResponse:
        """Dagster's page, with a link to ours. No page has `/metrics`, nor any other path of which Dagster's UI knows nothing."""
        path, for_browser = request.url.path, "text/html" in request.headers.get("accept", "")
        if path != "/" and not (for_browser and path.split("/")[1] in UI_PAGES):
            return HTMLResponse("There is no such path.\n", status_code=404, media_type="text/plain")
        page: HTMLResponse = super().index_html_endpoint(request)
        text = bytes(page.body).decode().replace("</body>", f"{LINK}</body>")
        kept = {key: value for key, value in page.headers.items() if key not in ("content-length", "content-type")}
        return HTMLResponse(text, status_code=page.status_code, headers=kept)

    def _health(self, request: Request) -> JSONResponse:
        with self.request_context(request) as context:
            found = check_health(self._home, context.instance, context)
        return JSONResponse(found, status_code=200 if found["status"] == "ok" else 503)


def _names_graphql(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() in ("application/json", "application/graphql")


@contextlib.asynccontextmanager
async def _lifespan(_app: Any) -> AsyncIterator[None]:
    with contextlib.suppress(asyncio.CancelledError):
        yield


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="pipekit_dagster.serve.web")
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    config = load_config()
    home = Home.of(config)
    watch_closely()
    with DagsterInstance.get() as instance:
        instance.optimize_for_webserver(statement_timeout=15_000, pool_recycle=3600, max_overflow=20)
        check_connections_before_use(instance)
        with ProcessContext(instance, workspace_load_target=load_target(home.workspace), version=VERSION) as context:
            context.config = config
            app = PipekitWebserver(context, config, home, local_only=is_loopback(options.host)).create_asgi_app(
                lifespan=_lifespan
            )
            listen(app, config, options.host, options.port)


if __name__ == "__main__":
    main()
