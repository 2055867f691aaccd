"""pipekit's own pages beside Dagster's: their runs are Dagster runs, and each side links to the other."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from dagster import DagsterEventType, DagsterRunStatus, RunsFilter

from pipekit_dagster.dagster_internals.web_server import DagsterWebserver, graphql_schema
from pipekit_dagster.serve.launch import NotShownYet, launch
from pipekit_dagster.tags import GROUP_TAG
from pipekit_engine.errors import NotFoundError
from pipekit_web.api.answers import MAX_LIMIT, DagsterRun
from pipekit_web.launching import Begun, Wanted

if TYPE_CHECKING:
    from dagster import DagsterInstance
    from starlette.requests import Request

    from pipekit_engine.store import Store

#: What stands in Dagster's page for a person to come over.
LINK = (
    '<link rel="stylesheet" href="/pipekit/static/beside-dagster.css">'
    '<a id="pipekit-link" href="/pipekit/" title="pipekit: modules, runs, connections">pipekit</a>'
)
#: Seconds that a reload of the code location may take, and between two looks.
_SHOWN_WITHIN_S, _LOOK_S = 20.0, 0.5
_ENDED_BADLY = (DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED)


class DagsterLauncher:
    """Runs what the pages ask for as Dagster runs; a ticket is the Dagster run's id."""

    dagster = True

    def __init__(self, server: DagsterWebserver[Any, Any]) -> None:
        self._server = server

    def start(self, request: Request, store: Store, wanted: Wanted) -> str:
        """As `Launcher.start`. What was saved a moment ago is waited for until Dagster shows it."""
        deadline = time.monotonic() + _SHOWN_WITHIN_S
        while True:
            try:
                return self._launch(request, store, wanted)
            except NotShownYet:
                if time.monotonic() > deadline:
                    raise
            time.sleep(_LOOK_S)

    def _launch(self, request: Request, store: Store, wanted: Wanted) -> str:
        with self._server.request_context(request) as context:
            return launch(
                graphql_schema(self._server),
                context,
                store,
                kind=wanted.kind,
                name=wanted.name,
                dry_run=wanted.dry_run,
                watermarks=wanted.watermarks,
                partition=wanted.partition,
                partitions=wanted.partitions,
                keep_going=wanted.keep_going,
                triggered_by=wanted.by,
            )

    def look(self, request: Request, store: Store, ticket: str) -> Begun:
        """As `Launcher.look`."""
        runs = store.runs.list(dagster_run_id=ticket, limit=1)
        if runs:
            return Begun(runs[0].id, runs[0].group_run_id)
        with self._server.request_context(request) as context:
            found = context.instance.get_runs(RunsFilter(run_ids=[ticket]), limit=1)
            why = why_it_ended(context.instance, ticket) if found and found[0].status in _ENDED_BADLY else None
        if not found:
            raise NotFoundError("start", ticket)
        if found[0].status in _ENDED_BADLY:
            said = f"Dagster's run {ticket} ended as {found[0].status.value.lower()} before anything ran."
            return Begun(problem=why or f"{said} Its page in Dagster says why: /runs/{ticket}")
        if found[0].is_finished and GROUP_TAG in found[0].tags:
            group_runs = [
                run for run in store.group_runs.list(group=found[0].tags[GROUP_TAG]) if run.dagster_run_id == ticket
            ]
            return Begun(group_run_id=group_runs[0].id) if group_runs else Begun()
        return Begun()

    def describe(self, request: Request, store: Store, ticket: str) -> DagsterRun:
        """As `Launcher.describe`."""
        runs = store.runs.list(dagster_run_id=ticket, limit=MAX_LIMIT)[::-1]
        with self._server.request_context(request) as context:
            found = context.instance.get_runs(RunsFilter(run_ids=[ticket]), limit=1)
            failed = found and found[0].status in _ENDED_BADLY and not runs
            why = why_it_ended(context.instance, ticket) if failed else None
        if not found:
            raise NotFoundError("run", ticket)
        return DagsterRun(
            dagster_run_id=found[0].run_id,
            job=found[0].job_name,
            status=found[0].status.value.lower(),
            tags={key: value for key, value in found[0].tags.items() if not key.startswith(".dagster/")},
            runs=runs,
            error=why,
        )


def why_it_ended(instance: DagsterInstance, run_id: str) -> str | None:
    """What a Dagster run without a run of ours failed of; in the words of our own error if it was one: a lock, say."""
    wanted = {DagsterEventType.STEP_FAILURE, DagsterEventType.RUN_FAILURE}
    for entry in instance.all_logs(run_id, of_type=wanted):
        event = entry.dagster_event
        if event is None:
            continue
        data: Any = event.event_specific_data
        told = getattr(data, "user_failure_data", None)
        if told is not None and told.description:
            return str(told.description)
        error = getattr(data, "error", None)
        while error is not None and error.cause is not None:
            error = error.cause
        if error is not None:
            return str(error.message).strip().removeprefix(f"pipekit_engine.errors.{error.cls_name}: ")
    return None
