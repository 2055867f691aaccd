"""Users and their roles, for an admin; tokens, each one's own; and the jars of drivers, which an editor installs."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from pipekit_engine.errors import ConfigurationError, StoreError
from pipekit_web.server.auth import RANKS, Users, users_file
from pipekit_web.server.people import change_user, take_user_away
from pipekit_web.server.tokens import make_token, may_manage, revoke_token, tokens_of
from pipekit_web.views import machine
from pipekit_web.visit import Admin, Edit, Forbidden, Look, Visit

router = APIRouter()
#: For how many days a token may be made on the page; REST and the command take any number.
LIFETIMES_DAYS = (7, 30, 90, 365)


@router.get("/pipekit/users")
def users(visit: Admin) -> HTMLResponse:
    """Who may log in, and what each may do."""
    return _page(visit)


@router.post("/pipekit/users")
def save_user(visit: Admin) -> Response:
    """Add a user, or change their password or role. There is always an admin."""
    try:
        change_user(visit.config, visit.user, visit.field("user").strip(), visit.field("password"), visit.field("role"))
    except ConfigurationError as error:
        return _page(visit, str(error))
    return RedirectResponse("/pipekit/users", 303)


@router.post("/pipekit/users/remove")
def remove(visit: Admin) -> Response:
    """Take a user away; their sessions end."""
    try:
        take_user_away(visit.config, visit.user, visit.field("user"))
    except ConfigurationError as error:
        return _page(visit, str(error))
    return RedirectResponse("/pipekit/users", 303)


@router.get("/pipekit/tokens")
def tokens(visit: Look) -> HTMLResponse:
    """The tokens of whoever asks; all for an admin."""
    return _tokens(visit)


@router.post("/pipekit/tokens")
def create_token(visit: Look) -> HTMLResponse:
    """Make a token, which this answer alone shows."""
    _see_that_tokens_are_theirs(visit)
    days, name = visit.field("days"), visit.field("name").strip()
    try:
        if days not in ("", *map(str, LIFETIMES_DAYS)):
            raise ConfigurationError("Choose how long it is to be valid.")
        made = make_token(visit.store, visit.user, name, visit.field("role"), int(days) if days else None)
    except StoreError:
        raise
    except ConfigurationError as error:
        return _tokens(visit, problem=str(error))
    return _tokens(visit, made=made, name=name)


@router.post("/pipekit/tokens/{name}/revoke")
def revoke(visit: Look, name: str) -> Response:
    """Take a token away: it is refused at once."""
    _see_that_tokens_are_theirs(visit)
    revoke_token(visit.store, visit.user, name)
    return RedirectResponse("/pipekit/tokens", 303)


def _see_that_tokens_are_theirs(visit: Visit) -> None:
    if not may_manage(visit.user):
        raise Forbidden(f"{visit.user.name} is a token; only an admin's makes and revokes others.")


def _tokens(visit: Visit, *, made: str = "", name: str = "", problem: str = "") -> HTMLResponse:
    return visit.page(
        "tokens.html",
        http_status=400 if problem else 200,
        tokens=tokens_of(visit.store, visit.user),
        may=may_manage(visit.user),
        roles=[role for role in RANKS if visit.user.may(role)],
        lifetimes=LIFETIMES_DAYS,
        made=made,
        name=name,
        problem=problem,
    )


@router.post("/pipekit/drivers/{name}/install")
def install_driver(visit: Edit, name: str) -> HTMLResponse:
    """Get the tested jar of a driver, and register it."""
    told = machine.install_jar(visit.store, visit.config, name, by=visit.editor)
    found = machine.driver_rows(visit.store.definitions.load_checked()[0], visit.config)
    return visit.page("drivers.html", rows=found, installed=told)


def _page(visit: Visit, problem: str = "") -> HTMLResponse:
    known = sorted(Users(users_file(visit.config)).all().values(), key=lambda user: user.name)
    return visit.page("users.html", users=known, roles=RANKS, problem=problem, http_status=400 if problem else 200)
