"""Logging in and out."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from pipekit_web.server.auth import ANYONE
from pipekit_web.server.middleware import LOGIN_KEY, USER_KEY
from pipekit_web.visit import Look, answer

router = APIRouter()


@router.get("/pipekit/login")
def login_form(request: Request, next: str = "") -> Response:
    """The form; whoever needs no login goes on."""
    if USER_KEY in request.scope:
        return RedirectResponse(_inside(next), 303)
    return answer(request, "login.html", user=ANYONE, next=next, problem="")


@router.post("/pipekit/login")
async def log_in(request: Request) -> Response:
    """Open a session. That no other site's page sent the form, the login in front has looked at."""
    form = await request.form(max_files=0, max_fields=10)
    name, password, target = (str(form.get(field, "")) for field in ("user", "password", "next"))
    if USER_KEY in request.scope:
        return RedirectResponse(_inside(target), 303)
    login = request.scope[LOGIN_KEY]
    user, wait = await login.log_in(request.scope, name, password)
    if user is None:
        problem = (
            f"Too many failed logins. Try again in {int(wait) + 1} s." if wait > 0 else "Name or password is wrong."
        )
        status = 429 if wait > 0 else 401
        return answer(request, "login.html", http_status=status, user=ANYONE, next=target, problem=problem)
    return RedirectResponse(_inside(target), 303, headers={"set-cookie": login.session(request.scope, user)})


@router.post("/pipekit/logout")
def log_out(visit: Look) -> Response:
    """End the session."""
    cookie = visit.request.scope[LOGIN_KEY].log_out(visit.request.scope)
    return RedirectResponse("/pipekit/login", 303, headers={"set-cookie": cookie})


def _inside(target: str) -> str:
    """A path of this server; the first page for everything else."""
    parts = urlsplit(target)
    inside = target.startswith("/") and not target.startswith("//") and "\\" not in target
    return target if inside and not parts.scheme and not parts.netloc else "/pipekit/"
