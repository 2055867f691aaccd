"""The pages as one ASGI application that takes whole paths, `/pipekit` included. It stands behind the login, never alone.

Answers carry a strict Content-Security-Policy: only files of this package run or style anything, so that a text that got
through unescaped would still do nothing.
"""

from __future__ import annotations

import secrets
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles

from pipekit_engine.config import Config
from pipekit_engine.errors import LockedError, NotFoundError, PipekitError, RecordChanged, StoreError
from pipekit_web.launching import Launcher
from pipekit_web.routes import acting, connecting, editing, entrance, forms, looking, people, wizard
from pipekit_web.server.auth import ANYONE
from pipekit_web.server.middleware import USER_KEY
from pipekit_web.visit import Forbidden, answer

ROUTERS = (
    entrance.router,
    looking.router,
    connecting.router,
    acting.router,
    editing.router,
    forms.router,
    wizard.router,
    people.router,
)
#: Seconds that a browser may keep a file of ours; its address changes with the version.
_STATIC_AGE_S = 3600


def build_pages(config: Config, launcher: Launcher) -> FastAPI:
    """The application for a configuration; `launcher` starts the runs."""
    app = FastAPI(title="pipekit pages", openapi_url=None, redirect_slashes=False)
    app.state.config, app.state.launcher = config, launcher
    for router in ROUTERS:
        app.include_router(router)
    # Compressed, CodeMirror leaves a page below the bar of 200 kB.
    app.mount("/pipekit/static", GZipMiddleware(StaticFiles(packages=[("pipekit_web", "static")]), minimum_size=1000))
    app.add_exception_handler(PipekitError, _told)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _bad_request)
    app.add_middleware(_SafeHeaders)
    return app


class _SafeHeaders:
    """ASGI middleware: the headers that say what a browser must not do with an answer, and a nonce for styles."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        nonce = scope["pipekit_nonce"] = secrets.token_urlsafe(16)
        is_static = scope["path"].startswith("/pipekit/static/")
        policy = (
            "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self'; font-src 'self'; "
            f"style-src 'self' 'nonce-{nonce}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
        )
        ours = {
            b"content-security-policy": policy,
            b"x-content-type-options": "nosniff",
            b"referrer-policy": "same-origin",
            b"cache-control": f"max-age={_STATIC_AGE_S}" if is_static else "no-store",
        }

        async def wrapped(message: Any) -> None:
            if message["type"] == "http.response.start":
                kept = [field for field in message.get("headers", []) if field[0].lower() not in ours]
                message["headers"] = [*kept, *((key, value.encode("latin-1")) for key, value in ours.items())]
            await send(message)

        await self._app(scope, receive, wrapped)


def _told(request: Request, error: Exception) -> Response:
    """An error of ours as a page: what is wrong and what to do."""
    statuses = ((NotFoundError, 404), (Forbidden, 403), (LockedError, 409), (RecordChanged, 409), (StoreError, 503))
    status = next((status for kind, status in statuses if isinstance(error, kind)), 400)
    return _error_page(request, status, str(error))


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    text = f"There is no page {request.url.path}." if error.status_code == 404 else str(error.detail)
    found = _error_page(request, error.status_code, text)
    found.headers.update(error.headers or {})
    return found


def _bad_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    text = "; ".join(f"{'.'.join(map(str, item['loc'][1:]))}: {item['msg']}" for item in error.errors())
    return _error_page(request, 404 if all(item["loc"][0] == "path" for item in error.errors()) else 400, text)


def _error_page(request: Request, status: int, text: str) -> Response:
    user = request.scope.get(USER_KEY, ANYONE)
    return answer(request, "error.html", http_status=status, user=user, what=status, text=text)
