"""Connections and secrets. A secret's value comes in by a form and never goes out."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse

from pipekit_engine.operations.secret_use import secret_uses
from pipekit_engine.security.secrets import Secrets
from pipekit_web.views import machine
from pipekit_web.visit import Edit, Look, Operate

router = APIRouter()


@router.get("/pipekit/connections")
def connections(visit: Look) -> HTMLResponse:
    """All connections."""
    rows = machine.connection_rows(visit.store.definitions.load_checked()[0])
    return visit.page("connections.html", rows=rows)


@router.get("/pipekit/connections/{name}")
def connection(visit: Look, name: str) -> HTMLResponse:
    """One connection."""
    view = machine.connection_page(visit.store, visit.config, name)
    return visit.page("connection.html", view=view, answered=None)


@router.post("/pipekit/connections/{name}/test")
def test_connection(visit: Operate, name: str) -> HTMLResponse:
    """Log in to the database for real, and say what answered."""
    view = machine.connection_page(visit.store, visit.config, name)
    with visit.engine() as engine:
        answered = machine.try_connection(engine, name)
    return visit.page("connection.html", view=view, answered=answered)


@router.get("/pipekit/secrets")
def secrets(visit: Look) -> HTMLResponse:
    """Names of secrets, and where each is used."""
    connections = visit.store.definitions.load_checked()[0].connections.values()
    known = Secrets.of(visit.config)
    sources = [other.label for other in known.others]
    return visit.page("secrets.html", uses=secret_uses(known, connections, ask=False), sources=sources)


@router.post("/pipekit/secrets")
def set_secret(visit: Edit) -> RedirectResponse:
    """Set a secret's value."""
    key = visit.field("key").strip().removeprefix("$")
    value = visit.form.get("value", "")
    Secrets.load(visit.config.secrets_file).set(key, value if isinstance(value, str) else "")
    return RedirectResponse("/pipekit/secrets", 303)
