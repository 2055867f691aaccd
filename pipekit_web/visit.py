"""One request as the pages see it: who asks, the open store, and the rules that hold for every page.

A route says by its first parameter what its user must be: `Look` any user, `Operate` an operator, `Edit` an editor. That check
comes before anything else of the request is looked at. What changes something must carry its page's token (`form_token` of the
login), as a field or, sent by a script of ours, as a header.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from hmac import compare_digest
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData

from pipekit_engine.config import Config
from pipekit_engine.definitions.saving import save_changes
from pipekit_engine.definitions.write_back import FileEdit
from pipekit_engine.engine import Engine
from pipekit_engine.errors import PipekitError
from pipekit_engine.models import DefinitionKind
from pipekit_engine.store import Change, Store
from pipekit_web.launching import Launcher
from pipekit_web.rendering import render
from pipekit_web.server.auth import ANYONE, Role, User
from pipekit_web.server.middleware import LOGIN_KEY, USER_KEY

TOKEN_FIELD, TOKEN_HEADER = "form_token", "x-form-token"
_SAFE_METHODS = frozenset({"GET", "HEAD"})


class Forbidden(PipekitError):
    """The user may not do this, or the request does not come from one of our pages."""


@dataclass
class Visit:
    """What a route needs."""

    request: Request
    user: User
    store: Store
    form: FormData

    @property
    def config(self) -> Config:
        """The configuration in force."""
        found: Config = self.request.app.state.config
        return found

    @property
    def launcher(self) -> Launcher:
        """What starts runs."""
        found: Launcher = self.request.app.state.launcher
        return found

    @contextmanager
    def engine(self) -> Iterator[Engine]:
        """An engine for as long as a block runs."""
        with Engine(self.config) as engine:
            yield engine

    @cached_property
    def by(self) -> str:
        """The user as `triggered_by` of runs names them."""
        return "manual" if self.user is ANYONE else self.editor

    @property
    def editor(self) -> str:
        """The user as the audit names them: `user:anyone` where no login is asked for."""
        return self.user.by

    def save(self, changes: Sequence[Change], expected: Mapping[tuple[DefinitionKind, str], str]) -> list[FileEdit]:
        """Save definitions as this user, in the store and in the files; what became of each in the files."""
        return save_changes(self.store, self.config, changes, by=self.editor, expected=expected)

    def field(self, name: str) -> str:
        """A field of the form as text; empty when it was not sent."""
        value = self.form.get(name, "")
        return value.replace("\r\n", "\n") if isinstance(value, str) else ""

    def page(self, template: str, *, http_status: int = 200, **values: Any) -> HTMLResponse:
        """A page from a template."""
        return answer(self.request, template, http_status=http_status, user=self.user, **values)


def answer(request: Request, template: str, *, http_status: int = 200, user: User, **values: Any) -> HTMLResponse:
    """A page from a template, also where there is no store to open."""
    login, launcher = request.scope.get(LOGIN_KEY), request.app.state.launcher
    text = render(
        template,
        user=user,
        path=request.url.path,
        form_token=login.form_token(user) if login else "",
        nonce=request.scope["pipekit_nonce"],
        dagster=launcher.dagster,
        can_log_out=user is not ANYONE,
        **values,
    )
    return HTMLResponse(text, status_code=http_status)


def _opening(role: Role) -> Callable[..., AsyncIterator[Visit]]:
    async def opened(request: Request) -> AsyncIterator[Visit]:
        user: User = request.scope.get(USER_KEY, ANYONE)
        if not user.may(role):
            raise Forbidden(f"{user.name} is {_a(user.role)}; this takes {_a(role)}.")
        form = FormData()
        if request.method not in _SAFE_METHODS:
            form = await request.form(max_files=0, max_fields=2000)
            _check_token(request, user, form)
        # Opened for one request: whoever restores a backup puts another file in the store's place.
        store = await run_in_threadpool(Store.open, request.app.state.config.database_url)
        try:
            yield Visit(request, user, store, form)
        finally:
            await run_in_threadpool(store.close)

    return opened


def _check_token(request: Request, user: User, form: FormData) -> None:
    given = request.headers.get(TOKEN_HEADER) or form.get(TOKEN_FIELD) or ""
    wanted = request.scope[LOGIN_KEY].form_token(user)
    if not isinstance(given, str) or not compare_digest(given.encode(), wanted.encode()):
        raise Forbidden("This page is out of date: your login has changed since. Load it again, and do it once more.")


def _a(role: str) -> str:
    return f"{'a' if role == 'viewer' else 'an'} {role}"


Look = Annotated[Visit, Depends(_opening("viewer"))]
Operate = Annotated[Visit, Depends(_opening("operator"))]
Edit = Annotated[Visit, Depends(_opening("editor"))]
Admin = Annotated[Visit, Depends(_opening("admin"))]
