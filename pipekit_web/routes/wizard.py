"""The wizard: a source's tables, what is proposed for them, the plan, and its start."""

from __future__ import annotations

import json
from typing import Any
from zoneinfo import available_timezones

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from pipekit_engine.definitions.apply import plan_text
from pipekit_engine.errors import ConfigurationError, DefinitionsError, PipekitError
from pipekit_engine.models import DEFINITION_KINDS, DefinitionKind
from pipekit_engine.strategies import STRATEGIES
from pipekit_engine.wizard.batch import GroupWish
from pipekit_web.asking import LONG_S, asking
from pipekit_web.launching import Wanted
from pipekit_web.routes.editing import saved
from pipekit_web.routes.looking import PageNumber
from pipekit_web.views import live, wizard
from pipekit_web.visit import Edit, Visit

router = APIRouter()
_FIELDS = ("name", "dest_table", "strategy", "key", "watermark")


@router.get("/pipekit/wizard")
def begin(
    visit: Edit,
    source: str = "",
    dest: str = "",
    database: str = "",
    schema: str = "",
    q: str = "",
    page: PageNumber = 1,
) -> HTMLResponse:
    """Choose a source and a destination, then the source's tables; without a destination they are only looked at."""
    connections = visit.store.definitions.load_checked()[0].connections
    listing = None
    if source in connections and (dest in connections or not dest):
        place = wizard.Place(database, schema, q[:200], page)
        with visit.engine() as engine:
            try:
                with asking(engine) as workspace:
                    listing = wizard.look_around(workspace, source, place)
            except PipekitError as error:
                listing = wizard.Listing(place, problem=str(error))
    return visit.page("wizard.html", connections=list(connections), source=source, dest=dest, listing=listing)


@router.post("/pipekit/wizard")
def go_on(visit: Edit) -> Response:
    """Propose for the chosen tables, plan what was made of the proposals, or save the plan that was shown."""
    if visit.field("do") == "save":
        return _save(visit)
    source, dest = visit.field("source"), visit.field("dest")
    asked, planned, group = _asked(visit), None, _group(visit)
    rows: list[wizard.Row] = []
    try:
        if not asked:
            raise ConfigurationError("Choose a table: none is ticked.")
        with visit.engine() as engine, asking(engine, LONG_S) as workspace:
            rows, drafts = wizard.propose(workspace, source, dest, asked)
            if visit.field("do") == "plan" and drafts and not any(row.problem for row in rows):
                planned = wizard.plan(workspace, drafts, group)
    except PipekitError as error:
        planned = wizard.Planned(problems=[str(error)])
        rows = rows or [wizard.refused_row(item, "") for item in asked[: wizard.AT_ONCE]]
    return _page(visit, planned, source=source, dest=dest, rows=rows)


def _page(visit: Visit, planned: wizard.Planned | None, **values: Any) -> HTMLResponse:
    definitions = visit.store.definitions.load_checked()[0]
    cron, timezone = visit.field("cron"), visit.field("timezone") or "UTC"
    return visit.page(
        "wizard_proposals.html",
        strategies=STRATEGIES,
        groups=list(definitions.groups),
        zones=sorted(available_timezones()),
        group=visit.field("group"),
        cron=cron,
        timezone=timezone,
        told=live.cron_told(cron, timezone) if cron else None,
        versions=json.dumps(planned.by_kind() if planned else {}),
        planned=planned,
        **values,
    )


def _asked(visit: Visit) -> list[wizard.Asked]:
    """The tables that are ticked, or those of the proposals' table with what was changed there."""
    ticked = [text for text in visit.form.getlist("table") if isinstance(text, str)]
    if ticked:
        return [wizard.Asked(text) for text in dict.fromkeys(ticked)]
    found = []
    for number in range(wizard.AT_ONCE + 1):
        table = visit.field(f"t.{number}.table")
        if not table or visit.field(f"t.{number}.take") != "1":
            continue
        given = {key: visit.field(f"t.{number}.{key}").strip() for key in _FIELDS if f"t.{number}.{key}" in visit.form}
        answers = " / ".join(given.get(key, "") for key in ("strategy", "key", "watermark"))
        if visit.field("do") == "anew" or answers == visit.field(f"t.{number}.was"):
            # What nobody changed is proposed again, with its reasons.
            given = {key: given[key] for key in ("name", "dest_table") if key in given}
        found.append(wizard.Asked(table, **given))
    return found


def _group(visit: Visit) -> GroupWish | None:
    name = visit.field("group").strip()
    cron = visit.field("cron").strip()
    if cron and not name:
        name = "synced"
    return GroupWish(name, cron or None, visit.field("timezone").strip() or "UTC") if name else None


def _save(visit: Visit) -> Response:
    """Save what the plan showed, all or nothing; then run it if that was asked for."""
    applied = plan_text(visit.store, visit.field("planned"))
    versions = _versions(visit.field("versions"))
    changes = [change for change in applied.plan.changes if change.kind in ("modules", "groups", "schedules")]
    if len(changes) != len(applied.plan.changes) or not changes:
        raise DefinitionsError(["This plan changes nothing, or more than modules, a group and its schedule."])
    missing = {(change.kind, change.name): versions.get((change.kind, change.name), "") for change in changes}
    edits = visit.save(changes, missing)
    modules = [change.name for change in changes if change.kind == "modules"]
    groups = [change.name for change in changes if change.kind == "groups"]
    target = f"/pipekit/modules/{modules[0]}" if len(modules) == 1 else "/pipekit/modules"
    target = f"/pipekit/groups/{groups[0]}" if groups else target
    if visit.field("run") == "1" and modules:
        wanted = (
            Wanted("groups", groups[0], visit.by)
            if groups and len(modules) > 1
            else Wanted("modules", modules[0], visit.by)
        )
        target = f"/pipekit/started/{visit.launcher.start(visit.request, visit.store, wanted)}"
        if len(modules) == 1 or groups:
            return saved(visit, edits, target)
        for name in modules[1:]:
            visit.launcher.start(visit.request, visit.store, Wanted("modules", name, visit.by))
        target = "/pipekit/runs"
    if any(not edit.written for edit in edits):
        return saved(visit, edits, target)
    return RedirectResponse(target, 303)


def _versions(text: str) -> dict[tuple[DefinitionKind, str], str]:
    """The versions that a plan was made from, as its page sends them back."""
    try:
        return {
            (kind, name): str(version)
            for kind, names in json.loads(text).items()
            if kind in DEFINITION_KINDS
            for name, version in names.items()
        }
    except (ValueError, AttributeError):
        raise ConfigurationError("This plan is not one that a page showed: make it anew.") from None
