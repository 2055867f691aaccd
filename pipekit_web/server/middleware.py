"""The login in front of everything: a form or HTTP Basic, and the session cookie that a good login sets.

A pure ASGI middleware, so that websockets pass through the same door. In this order:

1. `/health` is open to all, and says nothing that anyone could use. So are the login form and what it looks like; its
   handler asks this middleware (`LOGIN_KEY` in the scope), so that tries by form and by header count together.
2. Without any user the server is bound to this machine; then only requests that name this machine as their host are let in, so
   that a web page elsewhere cannot reach it through a name that it points here. Users that vanish later open nothing.
3. A cookie or a Basic header says who it is; where they differ, the header does. Browsers send no Basic header with a websocket
   handshake (Safari) and send both on their own with requests that other sites make, hence the cookie and the next step.
4. A request that another site's page made is refused, unless it only opens a page.
5. A viewer changes nothing: Dagster refuses their mutations, the pages what a viewer may not do (they know of more roles),
   this middleware every other method but GET and HEAD.
6. A body that is too long is refused before it fills the memory.

Failed logins are slowed down: after five within some minutes, an address waits, twice as long each time, and so does a user
whose password is tried from many addresses. From where that user has logged in before, a right password is let in all the same:
there each try is checked, one every two seconds at most once some were wrong. A client's tries are checked one after another, so
that many at once gain nothing. An address is where the connection comes from, or what a proxy says that the configuration trusts.

A program sends a token instead (`Authorization: Bearer`); only a wrong one counts as a failed login, for none can be guessed.

A websocket or a stream of events ends within a second when its user is removed or logs out, their password or role has changed,
or its token was revoked. Pages of other sites may not show this one in a frame. Refusals are text; below `/api` they are
`{"error": ...}`, as all errors of the REST interface.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import quote, urlsplit
from weakref import WeakValueDictionary

from pipekit_engine.errors import ConfigurationError, PipekitError
from pipekit_web.server.address import client_network
from pipekit_web.server.auth import ANYONE, User, Users
from pipekit_web.server.tokens import Tokens

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_log = logging.getLogger("pipekit.serve")

#: Key of the request's scope under which the user stands.
USER_KEY = "pipekit_user"
#: And the login itself, for the handlers of the form and of logging out.
LOGIN_KEY = "pipekit_login"
COOKIE = "pipekit_session"
COOKIE_LIFETIME_S = 12 * 3600
#: Seconds between two looks whether a websocket's user may still be here.
_WATCH_USER_S = 0.5
#: Seconds between two tries of a known user from a known address, once some were wrong; and how many may wait for their turn.
_KNOWN_SPACING_S, _KNOWN_WAITING = 2.0, 10
#: Wrong passwords of one user, from all addresses together, for each one that an address has free.
_USER_FREE = 10
#: Longest body of a request. Dagster reads a body as a whole, also that of a viewer.
MAX_BODY_BYTES = 16 * 2**20
OPEN_PATHS = frozenset({"/health"})
PAGES = "/pipekit/"
LOGIN_PAGE = f"{PAGES}login"
_STATIC = f"{PAGES}static/"

_LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
#: Websocket close code: against the server's policy.
_POLICY = 1008
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Throttle:
    """Counts failed logins per client: an address, or a user. Keeps at most `capacity` of them in mind."""

    def __init__(
        self, *, free: int = 5, first_wait_s: float = 2, longest_wait_s: float = 300, capacity: int = 10_000
    ) -> None:
        self._free, self._first, self._longest, self._capacity = free, first_wait_s, longest_wait_s, capacity
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()
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

    def another(self, *, times: int = 1) -> Throttle:
        """One that counts something else by the same rules, with so many times the free tries."""
        return Throttle(
            free=self._free * times,
            first_wait_s=self._first,
            longest_wait_s=self._longest,
            capacity=self._capacity,
        )

    def remember(self, user: str, client: str) -> None:
        """Note that a user has logged in from an address."""
        self._known.pop((user, client), None)
        self._known[user, client] = None
        while len(self._known) > self._capacity:
            self._known.popitem(last=False)

    def knows(self, user: str, client: str) -> bool:
        """Whether this user has logged in from this address before."""
        return (user, client) in self._known


class Login:
    """ASGI middleware; see the module's text."""

    def __init__(
        self,
        app: App,
        users: Users,
        throttle: Throttle | None = None,
        *,
        local_only: bool = True,
        tokens: Tokens | None = None,
    ) -> None:
        self._app = app
        self._users = users
        self._tokens = tokens
        self._throttle = throttle or Throttle()
        self._user_throttle = self._throttle.another(times=_USER_FREE)
        self._pair_throttle = self._throttle.another()
        #: Whether nobody has to log in while there are no users: only where none but this machine reaches the server.
        self._open = local_only
        self._tries: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        #: Tries of a known user from a known address that are under way.
        self._waiting: dict[str, int] = {}

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
        headers = _headers(scope)
        self._open = self._open and not someone
        scope[LOGIN_KEY] = self
        if scope["type"] == "http" and someone and _is_open_page(scope["path"]):
            if _is_foreign(scope, headers):
                await _refuse(scope, receive, send, 403, "Refused: another site's page made this request.")
            else:
                await self._app(scope, _bounded(receive), _unframed(send))
            return
        token = _bearer(headers)
        if token is not None and (someone or self._open):
            await self._with_token(scope, receive, send, token)
            return
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
                await self._pass(scope, receive, _unframed(send), ANYONE)
            return
        session = self._users.from_cookie(_cookie(headers))
        name, password = _basic(headers)
        if session and name and session[0].name != name:
            session = None  # somebody else has logged in since
        user = session[0] if session else None
        if user is None and name:
            user, wait = await self.log_in(scope, name, password)
            if wait > 0:
                await _refuse(scope, receive, send, 429, "Too many failed logins.", {"retry-after": str(int(wait) + 1)})
                return
        if user is None and not name and _opens_page(scope, headers):
            target = quote(_page_asked(scope, headers))
            await _refuse(scope, receive, send, 303, "Log in.", {"location": f"{LOGIN_PAGE}?next={target}"})
        elif user is None:
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
            send = send if fresh else self._setting_cookie(scope, user, send)
            await self._pass(scope, _bounded(receive), send, user)

    async def _with_token(self, scope: Scope, receive: Receive, send: Send, token: str) -> None:
        """A program's request: no session is opened, and no browser sends such a header by itself."""
        client = _client(scope)
        try:
            user = await asyncio.to_thread(self._tokens.user, token, self._users) if self._tokens is not None else None
        except PipekitError as error:
            _log.error("no token can be checked: %s", error)
            await _refuse(scope, receive, send, 503, "Tokens cannot be checked now; the server's log says why.")
            return
        if user is None:
            # A right token passes whatever else was tried from its address: it cannot be guessed.
            wait = self._throttle.wait_s(client)
            if wait > 0:
                await _refuse(scope, receive, send, 429, "Too many failed logins.", {"retry-after": str(int(wait) + 1)})
                return
            self._throttle.failed(client)
            challenge = {"www-authenticate": 'Bearer realm="pipekit", error="invalid_token"'}
            await _refuse(scope, receive, send, 401, "This token is not, or no longer, valid.", challenge)
        elif _is_foreign(scope, headers := _headers(scope)):
            await _refuse(scope, receive, send, 403, "Refused: another site's page made this request.")
        elif user.role == "viewer" and _changes(scope):
            await _refuse(scope, receive, send, 403, f"{user.name} may look, not change.")
        elif _body_length(headers) > MAX_BODY_BYTES:
            await _refuse(scope, receive, send, 413, f"The body is longer than {MAX_BODY_BYTES} bytes.")
        else:
            scope[USER_KEY] = user
            await self._pass(scope, _bounded(receive), _unframed(send), user, token)

    async def _pass(self, scope: Scope, receive: Receive, send: Send, user: User, token: str | None = None) -> None:
        if scope["type"] == "websocket":
            await self._watched(scope, receive, send, user, token)
        else:
            await self._watched_stream(scope, receive, send, user, token)

    async def _watched_stream(self, scope: Scope, receive: Receive, send: Send, user: User, token: str | None) -> None:
        """A request whose answer, when it is a stream of events, ends when its user may no longer be here."""
        gone: asyncio.Future[None] | None = None

        async def watched_send(message: Message) -> None:
            nonlocal gone
            if message["type"] == "http.response.start" and _streams(message):
                gone = asyncio.ensure_future(self._departure(scope, user, token))
            if gone is None or not gone.done():
                await send(message)

        work = asyncio.ensure_future(self._app(scope, receive, watched_send))
        try:
            while not work.done():
                await asyncio.wait(
                    [item for item in (work, gone) if item is not None],
                    timeout=_WATCH_USER_S,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if gone is not None and gone.done() and not work.done():
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
                    break
        finally:
            if gone is not None:
                gone.cancel()
            if not work.done():
                work.cancel()
            with suppress(asyncio.CancelledError):
                await work

    async def _watched(self, scope: Scope, receive: Receive, send: Send, user: User, token: str | None = None) -> None:
        """A websocket that ends when its user may no longer be here."""
        gone = asyncio.ensure_future(self._departure(scope, user, token))
        pending: asyncio.Future[Message] | None = None

        async def watched_receive() -> Message:
            nonlocal pending
            pending = pending or asyncio.ensure_future(receive())
            await asyncio.wait((pending, gone), return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                return {"type": "websocket.disconnect", "code": _POLICY, "reason": ""}
            message, pending = pending.result(), None
            return message

        async def watched_send(message: Message) -> None:
            if not gone.done():
                await send(message)

        async def close() -> None:
            await gone
            # A server that was told of the end by the client takes no more.
            with suppress(Exception):
                await send({"type": "websocket.close", "code": _POLICY, "reason": "Log in again."})

        closing = asyncio.ensure_future(close())
        try:
            await self._app(scope, watched_receive, watched_send)
        finally:
            if gone.done():
                await closing
            for task in (closing, gone, pending):
                if task is not None:
                    task.cancel()

    async def _departure(self, scope: Scope, user: User, token: str | None = None) -> None:
        """Return when the user is removed or changed or logs out, the token is revoked, or the first user is made."""
        cookie = _cookie(_headers(scope))
        by_session = not self._users.was_ended(cookie)
        while True:
            await asyncio.sleep(_WATCH_USER_S)
            try:
                if by_session and self._users.was_ended(cookie):
                    return
                if token is not None:
                    assert self._tokens is not None
                    if await asyncio.to_thread(self._tokens.user, token, self._users) != user:
                        return
                    continue
                users = self._users.all()
            except PipekitError:
                return
            if bool(users) if user is ANYONE else users.get(user.name) != user:
                return

    async def log_in(self, scope: Scope, name: str, password: str) -> tuple[User | None, float]:
        """The user if the password is right, and the seconds after which this client may try again."""
        client = _client(scope)
        user = self._users.remembered(name, password)
        if user is not None:
            return user, 0
        if self._throttle.knows(name, client):
            return await self._log_in_again(client, name, password)
        async with self._tries.setdefault(client, asyncio.Lock()):
            # What was checked while this request waited its turn counts for it, too.
            user = self._users.remembered(name, password)
            wait = max(self._throttle.wait_s(client), self._user_throttle.wait_s(name))
            if user is not None or wait > 0:
                return user, 0 if user else wait
            user = await asyncio.to_thread(self._users.login, name, password)
            if user is None:
                self._throttle.failed(client)
                self._user_throttle.failed(name)
            else:
                self._throttle.succeeded(client)
                self._throttle.remember(name, client)
            return user, 0

    async def _log_in_again(self, client: str, name: str, password: str) -> tuple[User | None, float]:
        """As `log_in`, from where this user has logged in before: no one else's tries keep a right password out.

        Whoever shares the address (a proxy that is not trusted) can be told from the user by the password alone: each is checked.
        """
        pair = f"{client} {name}"
        if self._waiting.get(pair, 0) >= _KNOWN_WAITING and self._pair_throttle.wait_s(pair):
            return None, _KNOWN_SPACING_S
        self._waiting[pair] = self._waiting.get(pair, 0) + 1
        try:
            async with self._tries.setdefault(pair, asyncio.Lock()):
                user, wait = self._users.remembered(name, password), self._pair_throttle.wait_s(pair)
                if user is None and wait > 0:
                    await asyncio.sleep(min(wait, _KNOWN_SPACING_S))
                user = user or await asyncio.to_thread(self._users.login, name, password)
                if user is not None:
                    self._pair_throttle.succeeded(pair)
                    return user, 0
                self._pair_throttle.failed(pair)
                # It was checked; what it is told is to come more slowly.
                return None, wait
        finally:
            self._waiting[pair] -= 1
            if not self._waiting[pair]:
                del self._waiting[pair]

    def session(self, scope: Scope, user: User) -> str:
        """A new session as the value of a Set-Cookie header."""
        return _set_cookie(scope, self._users.cookie(user, COOKIE_LIFETIME_S), COOKIE_LIFETIME_S)

    def log_out(self, scope: Scope) -> str:
        """End the session of a request, also where its cookie was copied to; the Set-Cookie header that takes it away."""
        headers = {key.lower(): value.decode("latin-1") for key, value in scope["headers"] if key.lower() == b"cookie"}
        self._users.end_session(_cookie({"cookie": headers.get(b"cookie", "")}))
        return _set_cookie(scope, "", 0)

    def form_token(self, user: User) -> str:
        """What forms of a user's pages must send back: a page of another site cannot know it."""
        return self._users.form_token(user)

    def _setting_cookie(self, scope: Scope, user: User, send: Send) -> Send:
        value = self.session(scope, user)

        async def wrapped(message: Message) -> None:
            if message["type"] == "http.response.start":
                fields = list(message.get("headers", []))
                if not any(key.lower() == b"set-cookie" for key, _ in fields):  # somebody is being logged out
                    fields.append((b"set-cookie", value.encode("latin-1")))
                message["headers"] = fields
            await send(message)

        return wrapped


def _headers(scope: Scope) -> dict[str, str]:
    return {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}


def _streams(message: Message) -> bool:
    """Whether an answer is a stream of events, which may last."""
    fields = {key.lower(): value for key, value in message.get("headers", [])}
    return bool(fields.get(b"content-type", b"").startswith(b"text/event-stream"))


def _set_cookie(scope: Scope, value: str, lifetime_s: int) -> str:
    secure = "; Secure" if scope.get("scheme") in ("https", "wss") else ""
    return f"{COOKIE}={value}; Max-Age={lifetime_s}; Path=/; HttpOnly; SameSite=Lax{secure}"


def _is_open_page(path: str) -> bool:
    return path == LOGIN_PAGE or path.startswith(_STATIC)


def _opens_page(scope: Scope, headers: dict[str, str]) -> bool:
    """Whether a person's browser opens a page or sends a form of ours, and can be shown the login form instead."""
    path = str(scope["path"])
    if scope["type"] != "http" or path.startswith(("/api/", "/graphql")):
        return False
    if scope["method"] != "GET" and not (scope["method"] == "POST" and path.startswith(PAGES)):
        return False
    return headers.get("sec-fetch-mode") == "navigate" and "text/html" in headers.get("accept", "")


def _page_asked(scope: Scope, headers: dict[str, str]) -> str:
    """Where to go on after the login: the page that was asked for, or on which the form stood that was sent."""
    if scope["method"] == "POST":
        came = urlsplit(headers.get("referer", ""))
        is_ours = came.netloc == headers.get("host") and came.path.startswith(PAGES)
        return (came.path + (f"?{came.query}" if came.query else "")) if is_ours else PAGES
    query = scope.get("query_string", b"").decode("latin-1")
    return str(scope["path"]) + (f"?{query}" if query else "")


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
    return client_network(str(scope["client"][0])) if scope.get("client") else "?"


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


def _bearer(headers: dict[str, str]) -> str | None:
    """A token that was sent; None when none was."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else None


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
    path = str(scope["path"])
    return path.rstrip("/") != "/graphql" and not path.startswith(PAGES)


async def _refuse(
    scope: Scope, receive: Receive, send: Send, status: int, text: str, headers: dict[str, str] | None = None
) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": _POLICY, "reason": text[:120]})
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
