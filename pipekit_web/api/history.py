"""What was changed below `/api/audit`: who, when, what; and back to what was before a change."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from pipekit_engine.store.audit import AuditEntry, as_record
from pipekit_web.api.answers import AuditChange, AuditFilter, AuditRecord, Saved
from pipekit_web.api.asking import Editor, Number, OpenStore
from pipekit_web.api.definitions import IfMatch, PlanOnly
from pipekit_web.api.problems import CheckedBody, problems
from pipekit_web.api.saving import SAVES, form_of, save_record
from pipekit_web.views import editing

router = APIRouter(prefix="/api/audit", route_class=CheckedBody)
_FIELDS = ("id", "at", "by", "action", "kind", "name", "in_files")


@router.get("", summary="Changes of definitions, newest first", responses=problems(400))
def audit(wanted: Annotated[AuditFilter, Query()], store: OpenStore) -> list[AuditChange]:
    return [
        AuditChange(**_fields(row.entry), lines=row.lines)
        for row in editing.history(store, wanted.kind, wanted.name, wanted.limit)
    ]


@router.get("/{number}", summary="One change, with the record before and after", responses=problems(400, 404))
def change(number: Number, store: OpenStore) -> AuditRecord:
    row = editing.history_row(store.audit.get(number))
    entry = row.entry
    before, after = (_shown(entry, text) for text in (entry.before, entry.after))
    return AuditRecord(**_fields(entry), lines=row.lines, before=before, after=after)


@router.post("/{number}/restore", summary="Bring a record back to what it was before a change", **SAVES)
def restore(
    user: Editor,
    number: Number,
    store: OpenStore,
    request: Request,
    response: Response,
    if_match: IfMatch = None,
    plan: PlanOnly = False,
) -> Saved:
    entry = store.audit.get(number)
    return save_record(request, response, store, user, editing.record_before(entry), entry.kind, if_match, plan)


def _fields(entry: AuditEntry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in _FIELDS}


def _shown(entry: AuditEntry, text: str | None) -> dict[str, Any] | None:
    try:
        return None if text is None else form_of(as_record(entry.kind, text))
    except ValueError:
        return None  # of another version of pipekit, which knows fields that this one does not
