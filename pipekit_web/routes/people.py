"""Users and their roles, for an admin; and the jars of drivers, which an editor installs."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from pipekit_engine.errors import ConfigurationError
from pipekit_web.server.auth import RANKS, Users, users_file
from pipekit_web.server.people import change_user, take_user_away
from pipekit_web.views import machine
from pipekit_web.visit import Admin, Edit, Visit

router = APIRouter()


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


@router.post("/pipekit/drivers/{name}/install")
def install_driver(visit: Edit, name: str) -> HTMLResponse:
    """Get the tested jar of a driver, and register it."""
    told = machine.install_jar(visit.store, visit.config, name, by=visit.editor)
    found = machine.driver_rows(visit.store.definitions.load_checked()[0], visit.config)
    return visit.page("drivers.html", rows=found, installed=told)


def _page(visit: Visit, problem: str = "") -> HTMLResponse:
    known = sorted(Users(users_file(visit.config)).all().values(), key=lambda user: user.name)
    return visit.page("users.html", users=known, roles=RANKS, problem=problem, http_status=400 if problem else 200)
