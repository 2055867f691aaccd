"""`/health`: the state of web server, code server and daemon, for load balancers and monitoring.

200 when all three do their work, else 503. A process that lives but does no work counts as down: the code server must answer with
definitions, the daemon must have written heartbeats since it started. A server that stands by for another one has no daemon
of its own, and is as it should be; one whose state store does not say who leads, or whose leader gives no sign of life, is not.
"""

from __future__ import annotations

import time
from typing import Any

from dagster import DagsterInstance

from pipekit_dagster.dagster_internals.web_server import BaseWorkspaceRequestContext, daemon_heartbeats
from pipekit_dagster.serve.home import LOCATION, Home
from pipekit_engine.common.processes import ProcessName

#: Seconds after which a heartbeat is too old. Dagster's daemons write one every 30.
_HEARTBEAT_S = 75.0
#: Seconds that the daemon may take from its start to its first heartbeat.
_FIRST_HEARTBEAT_S = 20.0


def check_health(home: Home, instance: DagsterInstance, workspace: BaseWorkspaceRequestContext) -> dict[str, Any]:
    """`{"status": "ok" | "degraded", "web server": ..., "code server": ..., "daemon": ...}`; no detail that helps an intruder."""
    services = home.read_services()
    parts = {
        "web server": "ok",
        "code server": _code_server(services.get("code server"), workspace),
        "daemon": _daemon(services.get("daemon"), instance),
    }
    return {"status": "ok" if set(parts.values()) <= {"ok", "standby"} else "degraded", **parts}


def _lives(service: dict[str, Any] | None) -> bool:
    name = ProcessName.parse(service["process"]) if service else None
    return name is not None and bool(name.alive())


def _code_server(service: dict[str, Any] | None, workspace: BaseWorkspaceRequestContext) -> str:
    if not _lives(service):
        return "down"
    entry = workspace.get_code_location_entries().get(LOCATION)
    if entry is None or (entry.code_location is None and entry.load_error is None):
        return "starting"
    if entry.load_error is not None:
        return "definitions do not load"
    try:
        location: Any = entry.code_location
        location.client.list_repositories()
    except Exception:
        return "no answer"
    return "ok"


def _daemon(service: dict[str, Any] | None, instance: DagsterInstance) -> str:
    if service is not None and service.get("standby"):
        return "standby"
    if service is not None and service.get("nobody leads"):
        return "nobody leads"
    if service is None or not _lives(service):
        return "down"
    try:
        heartbeats = daemon_heartbeats(instance, _HEARTBEAT_S)
    except Exception:  # whatever its driver raises
        return "its storage does not answer"
    since = float(service["since"])
    if all(heartbeat is not None and heartbeat >= since - 1 for heartbeat in heartbeats):
        return "ok"
    return "starting" if time.time() - since < _FIRST_HEARTBEAT_S else "no heartbeat"
