"""Dagster's web server and the workspace that it shows. Imported in the web server's process only.

When the minor version changes, compare with `dagster_webserver/cli.py`, and run tests/dagster/test_serve.py and test_watching.py.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagster import DagsterInstance
from dagster._cli.workspace.cli_target import workspace_opts_to_load_target

# The view of a process's workspace that a request gets. Check: the arguments of WorkspaceRequestContext, as in
# `WorkspaceProcessContext.create_request_context`; that `read_only` refuses every mutation.
from dagster._core.workspace.context import BaseWorkspaceRequestContext, WorkspaceRequestContext
from dagster._daemon.controller import get_daemon_statuses
from dagster_shared.cli import WorkspaceOpts
from dagster_webserver.version import __version__ as VERSION

# Check: `build_middleware`, `build_routes` (its last route takes every path), `graphql_http_endpoint`, `request_context`; that
# `graphql_http_endpoint` is the only way to a mutation besides the websocket.
from dagster_webserver.webserver import DagsterWebserver

if TYPE_CHECKING:
    from dagster._core.workspace.load_target import WorkspaceLoadTarget

#: How the paths of the pages of Dagster's UI begin, and of those that lead on to them. Its server answers every path with the
#: UI; the paths themselves stand in its JavaScript, against which a test holds this list.
UI_PAGES = frozenset({
    "asset-groups", "assets", "automation", "backfills", "catalog", "concurrency", "config", "deployment", "graphs",
    "guess", "health", "instance", "jobs", "locations", "overview", "partitions", "pipelines", "playground", "runs",
    "schedules", "selections", "sensors", "settings", "snapshots", "timeline", "workspace",
})  # fmt: skip

__all__ = [
    "UI_PAGES",
    "VERSION",
    "BaseWorkspaceRequestContext",
    "DagsterWebserver",
    "WorkspaceRequestContext",
    "check_before_use",
    "check_connections_before_use",
    "daemon_heartbeats",
    "graphql_schema",
    "load_target",
]


def load_target(workspace_file: Path) -> WorkspaceLoadTarget:
    """The workspace of a workspace.yaml. Check: WorkspaceOpts, as in the options of `dagster-webserver`."""
    return workspace_opts_to_load_target(WorkspaceOpts(workspace=[str(workspace_file)]))


def graphql_schema(server: DagsterWebserver[Any, Any]) -> Any:
    """A web server's GraphQL schema. Check: `_graphene_schema` of `dagster_webserver/graphql.py`, and its `execute_async`."""
    return server._graphene_schema


def check_connections_before_use(instance: DagsterInstance) -> None:
    """`check_before_use` for storages that keep connections to a PostgreSQL. Check: `_engine` of dagster_postgres's storages."""
    for storage in (instance.run_storage, instance.event_log_storage, instance.schedule_storage):
        engine = getattr(storage, "_engine", None)
        if engine is not None and engine.dialect.name == "postgresql":
            check_before_use(engine)


def check_before_use(engine: Any) -> None:
    """Have the pool of an SQLAlchemy engine try a kept connection before it hands it out: `pool_pre_ping`, which Dagster lacks.

    Dagster keeps connections open in its web server. After an outage of the database each is dead, and the first click on
    Terminate or Launch would fail with it. Check: whether `optimize_for_webserver` sets it by now; SQLAlchemy's `Pool._pre_ping`.
    """
    engine.pool._pre_ping = True


def daemon_heartbeats(instance: DagsterInstance, tolerance_s: float) -> Collection[float | None]:
    """The newest heartbeat of each daemon that the instance needs, in seconds since the epoch; None where it is too old or lacks.

    Raises whatever the driver of Dagster's storage raises. Check: `ignore_errors` keeps an error of one tick out of it.
    """
    statuses = get_daemon_statuses(
        instance,
        instance.get_required_daemon_types(),
        ignore_errors=True,
        heartbeat_interval_seconds=0,
        heartbeat_tolerance_seconds=tolerance_s,
    )
    return [
        status.last_heartbeat.timestamp if status.healthy and status.last_heartbeat is not None else None
        for status in statuses.values()
    ]
