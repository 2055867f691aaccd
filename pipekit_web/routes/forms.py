"""The form editors: the same drafts and plans as the text editor, with fields instead of YAML."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from zoneinfo import available_timezones

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from pipekit_engine.errors import ConfigurationError, PipekitError
from pipekit_engine.models import BUILTIN_CHECKS, Connection, DefinitionKind, singular
from pipekit_engine.operations.secret_use import secret_uses
from pipekit_engine.security.secrets import Secrets, reference_key
from pipekit_engine.store.audit import version_of
from pipekit_engine.strategies import STRATEGIES
from pipekit_web.routes.editing import save_change
from pipekit_web.views import editing, forms, live
from pipekit_web.visit import Edit, Look, Visit

router = APIRouter()


@router.get("/pipekit/form/{kind}")
def new(visit: Edit, kind: DefinitionKind, copy: str = "", group: str = "") -> HTMLResponse:
    """An empty form, or one filled as another record is."""
    form = forms.Form(kind, "")
    if copy:
        form = forms.form_of(editing.stored_record(visit.store, kind, copy))
        form.name = f"{copy}-copy"
    elif group:
        form.fields["group"] = group
    return _page(visit, form, editing.Draft(kind, "", "", ""))


@router.get("/pipekit/form/{kind}/{name}")
def edit(visit: Edit, kind: DefinitionKind, name: str) -> HTMLResponse:
    """A definition's form."""
    record = editing.stored_record(visit.store, kind, name)
    return _page(visit, forms.form_of(record), editing.Draft(kind, name, "", version_of(record)))


@router.post("/pipekit/form/{kind}")
def change(visit: Edit, kind: DefinitionKind) -> Response:
    """What a button of the form asks for: a row more, a look at the database, the plan, or to save it."""
    name, do = visit.field("name"), visit.field("do")
    if do == "form":
        return _from_text(visit, editing.Draft(kind, name, visit.field("text"), visit.field("version")))
    form = forms.posted(kind, name or visit.field("new_name").strip(), visit.form, visit.field)
    draft = editing.Draft(kind, name, "", visit.field("version"))
    if kind == "modules" and do in ("check", "columns"):
        return _part(visit, form, do)
    if forms.change_rows(form, do):
        return _page(visit, form, draft)
    try:
        if kind == "connections":
            forms.finish_connection(
                form, lambda driver: visit.store.definitions.driver(driver).kind, _secret_given(visit)
            )
        draft = replace(draft, text=forms.text_of_form(form))
    except PipekitError as error:
        return _page(visit, form, draft, editing.Plan(draft, problems=[str(error)]))
    if do == "text":
        return visit.page("edit.html", plan=editing.Plan(draft), planned=False, trial=None, what=singular(kind))
    if do.startswith("resolve ") or do == "take":
        return _asked(visit, form, draft, do)
    plan = editing.plan(visit.store, draft)
    if do == "save" and plan.change is not None and not plan.problems and plan.theirs is None:
        _set_secret(visit, form)
        return save_change(visit, plan.change, draft.version)
    if do == "save" and plan.change is None and not plan.problems and plan.theirs is None and _secret_given(visit):
        _set_secret(visit, form)
        return RedirectResponse(f"/pipekit/connections/{form.name}", 303)
    plan = replace(plan, problems=[live.without_line(problem) for problem in plan.problems])
    trial, answered = None, None
    if do == "try" and not plan.problems:
        with visit.engine() as engine:
            trial = editing.try_module(engine, editing.planned_record(visit.store, plan))
    if do == "test" and not plan.problems:
        with visit.engine() as engine:
            record = editing.planned_record(visit.store, plan)
            assert isinstance(record, Connection)
            answered = live.try_draft(engine, record, visit.field("secret_value") or None)
    status = 409 if plan.theirs is not None else 200
    return _page(visit, form, plan.draft, plan, trial=trial, answered=answered, status=status)


@router.get("/pipekit/cron")
def cron(visit: Look, cron: str = "", timezone: str = "UTC") -> HTMLResponse:
    """A cron expression in words, and when it fires next: a part of a page."""
    return visit.page("cron_part.html", told=live.cron_told(cron[:200], timezone[:100]))


def _from_text(visit: Visit, draft: editing.Draft) -> HTMLResponse:
    """The form of what the text editor holds."""
    try:
        form = forms.parsed(draft.kind, draft.text)
    except ConfigurationError as error:
        plan = editing.Plan(draft, problems=[str(error)])
        return visit.page("edit.html", plan=plan, planned=True, trial=None, what=singular(draft.kind))
    form.name = draft.name or form.name
    return _page(visit, form, draft)


def _part(visit: Visit, form: forms.Form, do: str) -> HTMLResponse:
    """A part of the page that follows what is typed."""
    if do == "check":
        return visit.page("checks_part.html", marks=forms.unmatched(form))
    with visit.engine() as engine:
        return visit.page("columns_part.html", described=live.describe(engine, form))


def _asked(visit: Visit, form: forms.Form, draft: editing.Draft, do: str) -> HTMLResponse:
    """A resolver's value, or the source's columns as the module's list."""
    with visit.engine() as engine:
        if do == "take":
            described = live.describe(engine, form)
            if not described.problem:
                form.fields["columns"] = [{"source_name": column.name} for column in described.columns]
            return _page(visit, form, draft, described=described)
        at = do.removeprefix("resolve ")
        number = int(at) if at.isascii() and at.isdigit() and len(at) < 6 else 0
        return _page(visit, form, draft, resolved={number: live.resolve(engine, form, number)})


def _secret_given(visit: Visit) -> bool:
    return visit.field("secret_value") != ""


def _set_secret(visit: Visit, form: forms.Form) -> None:
    if form.kind == "connections" and _secret_given(visit):
        key = reference_key(form.text("password"))
        if key is None:
            raise ConfigurationError("The secret's name is letters, digits and '_', such as $DW_PASSWORD.")
        Secrets.load(visit.config.secrets_file).set(key, visit.field("secret_value"))


def _page(
    visit: Visit,
    form: forms.Form,
    draft: editing.Draft,
    plan: editing.Plan | None = None,
    *,
    status: int = 200,
    **more: Any,
) -> HTMLResponse:
    definitions = visit.store.definitions.load_checked()[0]
    values: dict[str, Any] = {
        "form": form,
        "draft": draft,
        "plan": plan,
        "trial": None,
        "answered": None,
        "described": None,
        "resolved": {},
        "marks": forms.unmatched(form) if form.kind == "modules" else [],
        "definitions": definitions,
        "strategies": STRATEGIES,
        "builtin_checks": list(BUILTIN_CHECKS),
        "zones": sorted(available_timezones()) if form.kind == "schedules" else [],
        "secret_keys": [use.key for use in secret_uses(visit.config.secrets_file, definitions.connections.values())]
        if form.kind == "connections"
        else [],
        "told": live.cron_told(form.text("cron"), form.text("timezone") or "UTC") if form.kind == "schedules" else None,
    }
    return visit.page("form.html", http_status=status, **{**values, **more})
