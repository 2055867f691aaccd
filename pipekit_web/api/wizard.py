"""Many definitions at once below `/api`: the wizard's proposals for tables, and a YAML text that is planned and saved whole."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException, Request
from pydantic import JsonValue

from pipekit_engine.definitions.apply import plan_text
from pipekit_engine.errors import ConfigurationError, DefinitionsError, PipekitError, RecordChanged, StoreError
from pipekit_engine.store.audit import version_of
from pipekit_engine.wizard.batch import GroupWish
from pipekit_web.api.asking import Editor, Name, OpenEngine, OpenStore
from pipekit_web.api.definitions import PlanOnly
from pipekit_web.api.machine_answers import Applied, DefinitionsText, ModuleTrial, Proposal, Proposals, TablesWanted
from pipekit_web.api.problems import CheckedBody, problems
from pipekit_web.api.saving import patched, record_of, save_all, stored_record
from pipekit_web.asking import LONG_S, asking
from pipekit_web.views import editing, wizard

router = APIRouter(prefix="/api", route_class=CheckedBody)
_ASKS: dict[str, Any] = {"responses": problems(400, 404, 409, 413, 415, 422)}
_NO_FIELDS: dict[str, JsonValue] = {}


@router.post("/wizard", summary="Propose how to sync tables, and with plan=true what would be defined and run", **_ASKS)
def propose(user: Editor, wanted: TablesWanted, engine: OpenEngine, plan: PlanOnly = False) -> Proposals:
    for name in (wanted.source, wanted.dest):
        stored_record(engine.store, "connections", name)
    asked = [wizard.Asked(**item.model_dump()) for item in wanted.tables]
    group = GroupWish(wanted.group, wanted.cron, wanted.timezone) if wanted.group else None
    rows: list[wizard.Row] = []
    planned = wizard.Planned()
    try:
        with asking(engine, LONG_S) as workspace:
            rows, drafts = wizard.propose(workspace, wanted.source, wanted.dest, asked)
            if plan and drafts and not any(row.problem for row in rows):
                planned = wizard.plan(workspace, drafts, group)
    except PipekitError as error:
        planned = wizard.Planned(problems=[str(error)])
    return Proposals(
        tables=[Proposal.of(row) for row in rows],
        problems=list(planned.problems),
        text=planned.text,
        sql=dict(planned.sql),
        versions=planned.by_kind(),
    )


@router.post("/definitions", summary="Save definitions of a YAML text, all or none", **_ASKS)
def save(user: Editor, body: DefinitionsText, store: OpenStore, request: Request, plan: PlanOnly = False) -> Applied:
    try:
        planned = plan_text(store, body.text)
    except StoreError:
        raise
    except DefinitionsError as error:
        raise HTTPException(422, "; ".join(error.problems)) from None
    except ConfigurationError as error:
        raise HTTPException(422, str(error)) from None
    changes = list(planned.plan.changes)
    present = {(item.kind, item.name): version_of(store.definitions.find(item.kind, item.name)) for item in changes}
    versions: dict[str, dict[str, str]] = {}
    for (kind, name), version in present.items():
        versions.setdefault(kind, {})[name] = version
    answer = Applied(
        saved=False,
        lines=[line for item in changes for line in item.lines()],
        warnings=[str(item.what) for item in planned.warnings],
        versions=versions,
    )
    if plan or not changes:
        return answer
    expected = {(kind, name): (body.versions.get(kind) or {}).get(name, "") for kind, name in present}
    try:
        files = save_all(request, store, user, changes, expected)
    except RecordChanged as error:
        raise HTTPException(409, f"{error} The answer with plan=true has the versions that a save names.") from None
    return answer.model_copy(update={"saved": True, "files": files})


@router.post(
    "/modules/{name}/try", summary="The SQL of a run and the first rows, also with fields that are not saved", **_ASKS
)
def try_module(user: Editor, name: Name, engine: OpenEngine, body: dict[str, JsonValue] = _NO_FIELDS) -> ModuleTrial:
    present = engine.store.definitions.find("modules", name)
    old = present.model_dump(by_alias=True, mode="json") if present is not None else {}
    if not old and not body:
        stored_record(engine.store, "modules", name)
    trial = editing.try_module(engine, record_of("modules", name, patched(old, body)))
    return ModuleTrial(
        sql=trial.sql,
        columns=list(trial.columns),
        rows=[list(row) for row in trial.rows],
        truncated=trial.truncated,
        problem=trial.problem,
    )
