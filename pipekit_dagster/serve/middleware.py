"""The login in front of everything: HTTP Basic, or the session cookie that a good login sets.

A pure ASGI middleware, so that websockets pass through the same door. In this order:

1. `/health` is open to all, and says nothing that anyone could use.
2. Without any user the server is bound to this machine; then only requests that name this machine as their host are let in, so
   that a web page elsewhere cannot reach it through a name that it points here. Users that vanish later open nothing.
3. A cookie or a Basic header says who it is; where they differ, the header does. Browsers send no Basic header with a websocket
   handshake (Safari) and send both on their own with requests that other sites make, hence the cookie and the next step.
4. A request that another site's page made is refused, unless it only opens a page.
5. A viewer changes nothing: Dagster refuses their mutations, this middleware every other method but GET and HEAD.
6. A body that is too long is refused before it fills the memory.

Failed logins are slowed down: after five within some minutes, a client waits, twice as long each time. A client's tries are
checked one after another, so that many at once gain nothing. Pages of other sites may not show this one in a frame. Refusals
are text; below `/api` they are `{"error": ...}`, as all errors of the REST interface.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import ipaddress
import json
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from pipekit_dagster.auth import ANYONE, User, Users
from pipekit_engine.errors import ConfigurationError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_log = logging.getLogger("pipekit.serve")

#: Key of the request's scope under which the user stands.
USER_KEY = "pipekit_user"
COOKIE = "pipekit_session"
COOKIE_LIFETIME_S = 12 * 3600
#: Longest body of a request. Dagster reads a body as a whole, also that of a viewer.
MAX_BODY_BYTES = 16 * 2**20
OPEN_PATHS = frozenset({"/health"})

_LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Throttle:
    """Counts failed logins per client. Keeps at most `capacity` clients in mind."""

    def __init__(
        self, *, free: int = 5, first_wait_s: float = 2, longest_wait_s: float = 300, capacity: int = 10_000
    ) -> None:
        self._free, self._first, self._longest, self._capacity = free, first_wait_s, longest_wait_s, capacity
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait_s(self, client: str) -> float:
        """Seconds until this client may try again; 0 when at once."""
        count, last = self._failures.get(client, (0, 0.0))
        if count < self._free:
            return 0.0
        wait = float(min(self._first * 2 ** (count - self._free), self._longest))
        return max(0.0, last + wait - time.monotonic())

    def failed(self, client: str) -> None:
        """Note a failed login."""
        count, last = self._failures.pop(client, (0, 0.0))
        if time.monotonic() - last > 2 * self._longest:
            count = 0
        self._failures[client] = (count + 1, time.monotonic())
        while len(self._failures) > self._capacity:
            self._failures.popitem(last=False)

    def succeeded(self, client: str) -> None:
        """Forget a client's failures."""
        self._failures.pop(client, None)


class Login:
    """ASGI middleware; see the module's text."""

    def __init__(self, app: App, users: Users, throttle: Throttle | None = None, *, local_only: bool = True) -> None:
        self._app = app
        self._users = users
        self._throttle = throttle or Throttle()
        #: Whether nobody has to log in while there are no users: only where none but this machine reaches the server.
        self._open = local_only
        self._tries: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, with its user in the scope, or answer it."""
        if scope["type"] not in ("http", "websocket") or (scope["type"] == "http" and scope["path"] in OPEN_PATHS):
            await self._app(scope, receive, send)
            return
        try:
            someone = bool(self._users.all())
        except ConfigurationError as error:
            _log.error("nobody can log in: %s", error)
            await _refuse(scope, receive, send, 503, "Nobody can log in: the file of users cannot be read.")
            return
        headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
        self._open = self._open and not someone
        if not someone:
            if not self._open:
                await _refuse(
                    scope,
                    receive,
                    send,
                    503,
                    "There are no users (any more). Set a password: `pipekit set-password USER`.",
                )
            elif _host(headers.get("host", "")) not in _LOOPBACK_HOSTS:
                await _refuse(scope, receive, send, 403, "Without a password pipekit answers on this machine only.")
            elif _is_foreign(scope, headers):
                await _refuse(scope, receive, send, 403, "Refused: another site's page made this request.")
            else:
                scope[USER_KEY] = ANYONE
                await self._app(scope, receive, _unframed(send))
            return
        session = self._users.from_cookie(_cookie(headers))
        name, password = _basic(headers)
        if session and name and session[0].name != name:
            session = None  # somebody else has logged in since
        user = session[0] if session else None
        if user is None and name:
            user, wait = await self._log_in(_client(scope), name, password)
            if wait > 0:
                await _refuse(scope, receive, send, 429, "Too many failed logins.", {"retry-after": str(int(wait) + 1)})
                return
        if user is None:
            challenge = {"www-authenticate": 'Basic realm="pipekit", charset="UTF-8"'}
            await _refuse(scope, receive, send, 401, "Log in with a user of `pipekit set-password`.", challenge)
        elif _is_foreign(scope, headers):
            await _refuse(scope, receive, send, 403, "Refused: another site's page made this request.")
        elif user.role == "viewer" and _changes(scope):
            await _refuse(scope, receive, send, 403, f"{user.name} may look, not change.")
        else:
            scope[USER_KEY] = user
            if _body_length(headers) > MAX_BODY_BYTES:
                await _refuse(scope, receive, send, 413, f"The body is longer than {MAX_BODY_BYTES} bytes.")
                return
            fresh = session is not None and session[1] > COOKIE_LIFETIME_S / 2
            send = _unframed(send)
            await self._app(scope, _bounded(receive), send if fresh else self._setting_cookie(scope, user, send))

    async def _log_in(self, client: str, name: str, password: str) -> tuple[User | None, float]:
        """The user if the password is right, and the seconds after which this client may try again."""
        user = self._users.remembered(name, password)
        if user is not None:
            return user, 0
        async with self._tries.setdefault(client, asyncio.Lock()):
            # What was checked while this request waited its turn counts for it, too.
            user, wait = self._users.remembered(name, password), self._throttle.wait_s(client)
            if user is not None or wait > 0:
                return user, 0 if user else wait
            user = await asyncio.to_thread(self._users.login, name, password)
            if user is None:
                self._throttle.failed(client)
            else:
                self._throttle.succeeded(client)
            return user, 0

    def _setting_cookie(self, scope: Scope, user: User, send: Send) -> Send:
        secure = "; Secure" if scope.get("scheme") in ("https", "wss") else ""
        value = (
            f"{COOKIE}={self._users.cookie(user, COOKIE_LIFETIME_S)}; Max-Age={COOKIE_LIFETIME_S}; Path=/;"
            f" HttpOnly; SameSite=Lax{secure}"
        )

        async def wrapped(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), (b"set-cookie", value.encode("latin-1"))]
            await send(message)

        return wrapped


def _unframed(send: Send) -> Send:
    """Answers that no page of another site shows in a frame, where a click on that page would be a click here."""

    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), (b"x-frame-options", b"SAMEORIGIN")]
        await send(message)

    return wrapped


def _body_length(headers: dict[str, str]) -> int:
    length = headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else 0


def _bounded(receive: Receive) -> Receive:
    """A body that did not say its length ends, as if the client had gone, once it is too long."""
    length = 0

    async def wrapped() -> Message:
        nonlocal length
        message = await receive()
        if message["type"] == "http.request":
            length += len(message.get("body", b""))
            if length > MAX_BODY_BYTES:
                return {"type": "http.disconnect"}
        return message

    return wrapped


def _client(scope: Scope) -> str:
    """Whose failed logins count together: an address, or the network that one host has by itself in IPv6."""
    client = str(scope["client"][0]) if scope.get("client") else "?"
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return client
    if address.version == 4 or address.ipv4_mapped:
        return client
    return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))


def _host(value: str) -> str:
    return (urlsplit(f"//{value}").hostname or "").lower()


def _cookie(headers: dict[str, str]) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def _basic(headers: dict[str, str]) -> tuple[str, str]:
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        name, _, password = base64.b64decode(value.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return name, password


def _is_foreign(scope: Scope, headers: dict[str, str]) -> bool:
    """Whether a page of another site made this request: it carries the user's login without their knowing."""
    origin = headers.get("origin")
    if origin is not None:
        return urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
    if scope["type"] == "websocket":
        return False  # every browser sends Origin with a websocket; what sends none is a program with its own login
    if headers.get("sec-fetch-site", "none") != "cross-site":
        return False
    opens_page = scope["method"] == "GET" and headers.get("sec-fetch-mode") == "navigate"
    return not opens_page or str(scope["path"]).startswith(("/graphql", "/api/"))


def _changes(scope: Scope) -> bool:
    """Whether the request may change something that Dagster's own read-only mode does not guard."""
    if scope["type"] == "websocket" or scope["method"] in _SAFE_METHODS:
        return False
    return str(scope["path"]).rstrip("/") != "/graphql"


async def _refuse(
    scope: Scope, receive: Receive, send: Send, status: int, text: str, headers: dict[str, str] | None = None
) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": text[:120]})
        return
    is_api = str(scope["path"]).startswith("/api/")
    body = (json.dumps({"error": text}) if is_api else f"{text}\n").encode()
    fields = {
        "content-type": "application/json" if is_api else "text/plain; charset=utf-8",
        "content-length": str(len(body)),
        "x-frame-options": "SAMEORIGIN",
        **(headers or {}),
    }
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(key.encode("latin-1"), value.encode("latin-1")) for key, value in fields.items()],
        }
    )
    await send({"type": "http.response.body", "body": body})
