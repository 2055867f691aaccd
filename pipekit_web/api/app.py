"""The REST interface as one ASGI application that takes whole paths, `/api` included. It stands behind the login, never alone.

Errors are `{"error": "what and why"}` with a fitting status (`problems`). `/api/openapi.json` describes it all, made from the
routes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import FastAPI

from pipekit_engine._version import __version__
from pipekit_web.api import definitions, history, machine, modules, overview, people, running, saving, sources, wizard
from pipekit_web.api.problems import add_error_handlers, problems

if TYPE_CHECKING:
    from pipekit_engine.config import Config
    from pipekit_web.launching import Launcher


def build_api(config: Config, launcher: Launcher | None) -> FastAPI:
    """The application for a configuration; `launcher` starts the runs. Without one only the description is of use."""
    api = FastAPI(
        title="pipekit",
        version=__version__,
        description="Define, start and follow runs. The login is the server's own: HTTP Basic, a token, or a session.",
        openapi_url=None,
        redirect_slashes=False,
        responses=problems(401, 403, 429, 503),
    )
    api.state.config, api.state.launcher = config, launcher
    for part in (running, modules, definitions, history, sources, wizard, machine, overview, people):
        api.include_router(part.router)
    api.add_api_route(
        "/api/openapi.json", lambda: describe_api(api), summary="This description", response_model=dict[str, Any]
    )
    api.add_middleware(_HeadAsGet)
    add_error_handlers(api)
    api.add_exception_handler(saving.ConflictError, saving.answer_conflict)
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
                for kind in ("text/plain", "text/event-stream"):
                    if "Problem" in str(answer.get("content", {}).get(kind)):
                        answer["content"] = {"application/json": answer["content"][kind]}
    schemas = description["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    description["components"]["securitySchemes"] = {
        "basic": {"type": "http", "scheme": "basic"},
        "token": {"type": "http", "scheme": "bearer"},
    }
    description["security"] = [{"basic": []}, {"token": []}]
    return description


class _HeadAsGet:
    """ASGI middleware: HEAD is answered as GET is. The server leaves the body out by itself."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)
