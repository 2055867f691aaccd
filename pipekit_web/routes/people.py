"""Users and their roles, for an admin; and the jars of drivers, which an editor installs."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from pipekit_engine.databases.jars.install import Request, install
from pipekit_engine.errors import ConfigurationError, PipekitError
from pipekit_engine.operations.driver_use import use_installed
from pipekit_web.server.auth import ANYONE, RANKS, Users, remove_user, set_password, set_role, users_file
from pipekit_web.views import machine
from pipekit_web.visit import Admin, Edit, Visit

router = APIRouter()


@router.get("/pipekit/users")
def users(visit: Admin) -> HTMLResponse:
    """Who may log in, and what each may do."""
    return _page(visit)


@router.post("/pipekit/users")
def change_user(visit: Admin) -> Response:
    """Add a user, or change their password or role. There is always an admin."""
    name, password, role = visit.field("user").strip(), visit.field("password"), visit.field("role")
    known = Users(users_file(visit.config)).all()
    try:
        if role not in RANKS:
            raise ConfigurationError(f"A role is one of {', '.join(RANKS)}.")
        if not known and role != "admin":
            raise ConfigurationError("The first user is an admin: nobody else could add others.")
        _see_that_an_admin_stays(visit, name, role)
        if password:
            set_password(visit.config, name, password, role)
        elif name in known:
            set_role(visit.config, name, role)
        else:
            raise ConfigurationError("A new user needs a password.")
    except ConfigurationError as error:
        return _page(visit, str(error))
    return RedirectResponse("/pipekit/users", 303)


@router.post("/pipekit/users/remove")
def remove(visit: Admin) -> Response:
    """Take a user away; their sessions end."""
    name = visit.field("user")
    try:
        _see_that_an_admin_stays(visit, name, "")
        remove_user(visit.config, name)
    except ConfigurationError as error:
        return _page(visit, str(error))
    return RedirectResponse("/pipekit/users", 303)


@router.post("/pipekit/drivers/{name}/install")
def install_driver(visit: Edit, name: str) -> HTMLResponse:
    """Get the tested jar of a driver, and register it."""
    driver = visit.store.definitions.driver(name)
    try:
        installed = install(Request(driver.kind), visit.config)
        use = use_installed(visit.config, name, installed, by=visit.editor)
        told = machine.Answered(True, f"{installed.path}: {installed.checked}. {use}")
    except PipekitError as error:
        told = machine.Answered(False, str(error))
    found = machine.driver_rows(visit.store.definitions.load_checked()[0], visit.config)
    return visit.page("drivers.html", rows=found, installed=told)


def _see_that_an_admin_stays(visit: Visit, name: str, role: str) -> None:
    """Raise ConfigurationError where a change would leave no admin, or take the rights of the one who makes it."""
    if role == "admin":
        return
    if name == visit.user.name and visit.user is not ANYONE:
        raise ConfigurationError("You cannot take your own rights; another admin can.")
    users = Users(users_file(visit.config)).all()
    if users and not any(user.role == "admin" for user in users.values() if user.name != name):
        raise ConfigurationError(f"{name} is the only admin: make another one first.")


def _page(visit: Visit, problem: str = "") -> HTMLResponse:
    known = sorted(Users(users_file(visit.config)).all().values(), key=lambda user: user.name)
    return visit.page("users.html", users=known, roles=RANKS, problem=problem, http_status=400 if problem else 200)
