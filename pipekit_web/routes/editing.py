"""Changing definitions. Every save is the plan that was shown; it is refused when the record has changed meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from pipekit_engine.definitions.write_back import FileEdit
from pipekit_engine.models import DefinitionKind, singular
from pipekit_engine.store import Change
from pipekit_engine.store.audit import version_of
from pipekit_web.views import editing
from pipekit_web.views.overview import record_url
from pipekit_web.visit import Edit, Look, Operate, Visit

router = APIRouter()
EntryId = Annotated[int, Query(ge=0, lt=2**31)]


@router.get("/pipekit/history")
def all_history(visit: Look) -> HTMLResponse:
    """All changes of definitions."""
    return visit.page("history.html", rows=editing.history(visit.store), kind=None, name=None)


@router.get("/pipekit/history/{kind}/{name}")
def history(visit: Look, kind: DefinitionKind, name: str) -> HTMLResponse:
    """The changes of one definition."""
    return visit.page("history.html", rows=editing.history(visit.store, kind, name), kind=kind, name=name)


@router.get("/pipekit/edit/{kind}")
def new(visit: Edit, kind: DefinitionKind, copy: str = "", restore: EntryId = 0) -> HTMLResponse:
    """A new definition, a copy of one, or with `restore` one that was deleted by that change."""
    if restore:
        draft = editing.restored(visit.store, editing.Draft(kind, "", "", ""), restore)
        return _page(visit, editing.plan(visit.store, draft), planned=True)
    return _page(visit, editing.Plan(editing.new_draft(visit.store, kind, copy)))


@router.get("/pipekit/edit/{kind}/{name}")
def edit(visit: Edit, kind: DefinitionKind, name: str, restore: EntryId = 0) -> HTMLResponse:
    """A definition's text, to be changed; with `restore`, the text before that change."""
    draft = editing.draft_of(visit.store, kind, name)
    if restore:
        return _page(visit, editing.plan(visit.store, editing.restored(visit.store, draft, restore)), planned=True)
    return _page(visit, editing.Plan(draft))


@router.post("/pipekit/edit/{kind}")
def change(visit: Edit, kind: DefinitionKind) -> Response:
    """Show the plan of a draft, try it on the databases, or save it."""
    draft = editing.Draft(kind, visit.field("name"), visit.field("text"), visit.field("version"))
    plan = editing.plan(visit.store, draft)
    if visit.field("do") == "try" and not plan.problems:
        with visit.engine() as engine:
            return _page(
                visit, plan, planned=True, trial=editing.try_module(engine, editing.planned_record(visit.store, plan))
            )
    ready = plan.change is not None and not plan.problems and plan.theirs is None
    if visit.field("do") == "save" and ready:
        assert plan.change is not None
        return save_change(visit, plan.change, draft.version)
    return _page(visit, plan, planned=True, status=409 if plan.theirs is not None else 200)


@router.post("/pipekit/{kind}/{name}/delete")
def delete(visit: Edit, kind: DefinitionKind, name: str) -> Response:
    """Delete a definition; refused while another refers to it."""
    draft = editing.draft_of(visit.store, kind, name)
    return save_change(visit, Change("delete", kind, name), draft.version)


def save_change(visit: Visit, change: Change, version: str) -> Response:
    """Make one change of a record that must still be of that version, and show the record. Raises RecordChanged."""
    edits = visit.save([change], {(change.kind, change.name): version})
    target = "/pipekit/history" if change.action == "delete" else record_url(change.kind, change.name)
    return saved(visit, edits, target)


def saved(visit: Visit, edits: Sequence[FileEdit], target: str) -> Response:
    """Go on to `target`; first show what could not be written into the files, if there is any."""
    offered = [edit for edit in edits if not edit.written]
    if offered:
        return visit.page("offered.html", edits=offered, target=target)
    return RedirectResponse(target, 303)


@router.post("/pipekit/modules/{name}/switch")
def switch_module(visit: Edit, name: str) -> Response:
    """Enable or disable a module."""
    return _switch(visit, "modules", name)


@router.post("/pipekit/{kind}/{name}/switch")
def switch(visit: Operate, kind: Literal["schedules", "triggers"], name: str) -> Response:
    """Switch a schedule or trigger on or off."""
    return _switch(visit, kind, name)


def _switch(visit: Visit, kind: DefinitionKind, name: str) -> Response:
    definitions = visit.store.definitions
    readers = {"modules": definitions.module, "schedules": definitions.schedule, "triggers": definitions.trigger}
    record = readers[kind](name)
    changed = record.model_copy(update={"enabled": visit.field("enabled") == "1"})
    return save_change(visit, Change("change", kind, name, changed), version_of(record))


def _page(
    visit: Visit,
    plan: editing.Plan,
    *,
    planned: bool = False,
    trial: editing.Trial | None = None,
    status: int = 200,
) -> HTMLResponse:
    what = singular(plan.draft.kind)
    return visit.page("edit.html", http_status=status, plan=plan, planned=planned, trial=trial, what=what)
