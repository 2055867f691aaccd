"""`pipekit web`: the pages alone, for a machine without Dagster. The same login, limits and pages as in `pipekit serve`."""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import TYPE_CHECKING, Any

from pipekit_engine.store import Store
from pipekit_web.api.app import build_api
from pipekit_web.app import build_pages
from pipekit_web.launching import ProcessLauncher
from pipekit_web.server.address import check_address, is_loopback
from pipekit_web.server.auth import Users, users_file
from pipekit_web.server.connections import listen
from pipekit_web.server.middleware import Login
from pipekit_web.server.tokens import Tokens

if TYPE_CHECKING:
    from pipekit_engine.config import Config


def build_server(config: Config, *, local_only: bool) -> Login:
    """The pages and the REST interface behind the login, as one ASGI application."""
    launcher = ProcessLauncher(config)
    return Login(
        _FromRoot(build_pages(config, launcher), build_api(config, launcher)),
        Users(users_file(config)),
        local_only=local_only,
        tokens=Tokens(config.database_url),
    )


class _FromRoot:
    """ASGI middleware: what is below `/api` goes to the REST interface; the address without a path leads to the pages."""

    def __init__(self, app: Any, api: Any) -> None:
        self._app, self._api = app, api

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == "/":
            await send({"type": "http.response.start", "status": 307, "headers": [(b"location", b"/pipekit/")]})
            await send({"type": "http.response.body", "body": b""})
            return
        is_api = scope["type"] == "http" and scope["path"].startswith("/api/")
        await (self._api if is_api else self._app)(scope, receive, send)


def main(config: Config, host: str | None, port: int | None) -> int:
    """Serve until SIGINT or SIGTERM. Raises ConfigurationError: no state store, an address that needs a password or is taken."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", stream=sys.stderr)
    host, port = host or config.host, port or config.port
    check_address(config, host, port)
    Store.open(config.database_url).close()
    shown = f"[{host}]" if ":" in host else host
    logging.getLogger("pipekit.web").info("pipekit's pages are at http://%s:%s/pipekit/", shown, port)
    with contextlib.suppress(KeyboardInterrupt):
        listen(build_server(config, local_only=is_loopback(host)), config, host, port)
    return 0
