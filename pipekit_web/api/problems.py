"""Answers that are not a success: `{"error": "what and why"}`, whatever below `/api` finds the fault.

The login answers alike for these paths (`middleware`).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from pipekit_engine.errors import LockedError, NotFoundError, PipekitError, SecretError
from pipekit_web.launching import LaunchRefused

MAX_BODY_BYTES = 1_000_000
METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")


class Problem(BaseModel):
    """Every answer that is not a success."""

    error: str = Field(description="what is wrong and why")


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The statuses of an endpoint's problems, for its description."""
    return {status: {"model": Problem} for status in statuses}


def add_error_handlers(api: FastAPI) -> None:
    """Make every error of this application an answer."""
    refused = (LaunchRefused, LockedError, SecretError)
    for error, status in ((NotFoundError, 404), *((error, 409) for error in refused), (PipekitError, 503)):
        api.add_exception_handler(error, _as(status))
    api.add_exception_handler(ClientDisconnect, _endless)
    api.add_exception_handler(StarletteHTTPException, _http_error)
    api.add_exception_handler(RequestValidationError, _bad_request)
    # Whatever the driver of Dagster's storage raises. Starlette raises it again once it is answered, and uvicorn logs it.
    api.add_exception_handler(Exception, _unexpected)


def _answer(status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse(Problem(error=text).model_dump(), status_code=status, headers=headers)


def _as(status: int) -> Callable[[Request, Exception], Response]:
    return lambda request, error: _answer(status, str(error))


def _endless(request: Request, error: Exception) -> Response:
    """The client has gone, or its body was too long for the login, which then ends it as if the client had."""
    return _answer(413, "The body is too long, or ended early.", {"connection": "close"})


def _unexpected(request: Request, error: Exception) -> Response:
    return _answer(503, "This could not be answered now; the server's log says why.")


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException)
    headers, text, path = dict(error.headers or {}), error.detail, request.url.path
    if error.status_code == 404:
        # Endpoints raise NotFoundError: this comes from the router, which knows no such path.
        text = f"There is no {path}; /api/openapi.json lists what there is."
    elif error.status_code == 405:
        allowed = _allowed(request)
        headers, text = {"allow": allowed}, f"{path} takes {allowed}."
    return _answer(error.status_code, text, headers)


def _allowed(request: Request) -> str:
    """The methods of a path, of all its routes; Starlette names those of the first. HEAD is answered where GET is.

    Each method is asked for: what a router holds differs between FastAPI's releases, whether it matches does not.
    """
    asked = [(method, {**request.scope, "method": method}) for method in METHODS]
    methods = {
        method for method, scope in asked for route in request.app.routes if route.matches(scope)[0] is Match.FULL
    }
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))


def _bad_request(request: Request, error: Exception) -> Response:
    """422 for a body that is JSON of another form, else 400."""
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(item["type"] == "json_invalid" for item in found):
        return _answer(400, "The body is not JSON: " + "; ".join(item["ctx"]["error"] for item in found))
    text = "; ".join(f"{'.'.join(map(str, item['loc'][1:])) or item['loc'][0]}: {item['msg']}" for item in found)
    return _answer(422 if all(item["loc"][0] == "body" for item in found) else 400, text)


class CheckedBody(APIRoute):
    """A route whose POST, PUT or PATCH refuses a body that is too long or does not say that it is JSON, before it is parsed."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler behind the check."""
        handler = super().get_route_handler()
        if not {"POST", "PUT", "PATCH"} & set(self.methods or ()):
            return handler

        async def checked(request: Request) -> Response:
            body = await request.body()
            if len(body) > MAX_BODY_BYTES:
                raise HTTPException(413, f"The body is longer than {MAX_BODY_BYTES} bytes.")
            if not body.strip():
                return await handler(Request(request.scope, _nothing))
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if not (kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))):
                raise HTTPException(415, "The body is JSON; say so with Content-Type: application/json.")
            return await handler(request)

        return checked


async def _nothing() -> dict[str, Any]:
    """What a request without a body gives to its reader."""
    return {"type": "http.request", "body": b"", "more_body": False}
