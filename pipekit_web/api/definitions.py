"""Definitions below `/api`: each of the six kinds read, planned, saved and deleted, with the checks of `pipekit apply`.

A change of a record that is there names the version that it was made from (`If-Match`, the ETag of its GET): one that somebody
has changed since is not overwritten, both versions are told. `plan=true` shows what would be done and saves nothing.
"""

# No `from __future__ import annotations` here: FastAPI reads the annotations of functions that are made for each kind.

from typing import Annotated, Any, cast

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import JsonValue, ValidationError, create_model
from starlette.exceptions import HTTPException

from pipekit_engine.definitions.export import to_yaml, yaml_form
from pipekit_engine.definitions.saving import save_changes
from pipekit_engine.errors import ConfigurationError, NotFoundError, RecordChanged, StoreError
from pipekit_engine.models import (
    RECORD_TYPES,
    Connection,
    DefinitionKind,
    Definitions,
    Group,
    NamedRecord,
    Schedule,
    record_label,
    singular,
)
from pipekit_engine.operations.schedules import next_times
from pipekit_engine.store import Change, Store
from pipekit_engine.store.audit import version_of
from pipekit_web.api.answers import (
    AuditChange,
    AuditFilter,
    Conflict,
    FileOutcome,
    GroupWithRuns,
    Saved,
    ScheduleWithTimes,
)
from pipekit_web.api.asking import Editor, Name, OpenStore, config_of
from pipekit_web.api.problems import CheckedBody, problems
from pipekit_web.server.auth import User
from pipekit_web.views import editing
from pipekit_web.views.machine import without_secrets

_FIRE_TIMES = 5
_GROUP_RUNS = 20

router = APIRouter(prefix="/api", route_class=CheckedBody)
IfMatch = Annotated[str | None, Header(description="the record's ETag, or * for whatever it is")]
PlanOnly = Annotated[bool, Query(description="show what would be done, and save nothing")]
_SAVES: dict[str, Any] = {
    "responses": {
        **problems(400, 404, 409, 413, 415, 422, 428),
        412: {"model": Conflict, "description": "Changed meanwhile"},
    }
}
_ANSWERS: dict[DefinitionKind, Any] = {"groups": GroupWithRuns, "schedules": ScheduleWithTimes}


class ConflictError(Exception):
    """The record is not the version that the change was made from."""

    def __init__(self, answer: Conflict) -> None:
        super().__init__(answer.error)
        self.answer = answer


def _shown(store: Store, record: NamedRecord, *, group_runs: int) -> Any:
    """A record with what is known of it, and without secrets."""
    if isinstance(record, Group):
        return GroupWithRuns(**dict(record), runs=store.group_runs.list(group=record.name, limit=group_runs))
    if isinstance(record, Schedule):
        fired = store.ticks.last_fired_at(record.name)
        return ScheduleWithTimes(**dict(record), last_fired_at=fired, next=next_times(record, _FIRE_TIMES))
    return without_secrets(record) if isinstance(record, Connection) else record


def _form(record: NamedRecord | None) -> dict[str, Any] | None:
    if record is None:
        return None
    shown = without_secrets(record) if isinstance(record, Connection) else record
    return {"name": record.name, **yaml_form(shown)}


def _stored(store: Store, kind: DefinitionKind, name: str) -> NamedRecord:
    record = store.definitions.find(kind, name)
    if record is None:
        raise NotFoundError(singular(kind), name, store.definitions.load_checked()[0].of_kind(kind))
    return record


def _check_version(kind: DefinitionKind, present: NamedRecord, wanted: str | None, yours: NamedRecord | None) -> None:
    """Raise unless a request names the version that is there."""
    if wanted is None:
        raise HTTPException(428, "Say which version you change: If-Match with the ETag that GET gave, or *.")
    named = [item.strip().removeprefix("W/").strip('"') for item in wanted.split(",")]
    if "*" not in named and version_of(present) not in named:
        raise _conflict(kind, present, yours)


def _conflict(kind: DefinitionKind, present: NamedRecord | None, yours: NamedRecord | None) -> ConflictError:
    name = (present or cast("NamedRecord", yours)).name
    return ConflictError(
        Conflict(error=str(RecordChanged(record_label(kind, name))), theirs=_form(present), yours=_form(yours))
    )


def _save(
    request: Request,
    store: Store,
    user: User,
    record: NamedRecord,
    kind: DefinitionKind,
    if_match: str | None,
    plan: bool,
) -> Saved:
    """Plan a record, and save it unless only the plan is wanted."""
    present = store.definitions.find(kind, record.name)
    if present is not None:
        _check_version(kind, present, if_match, record)
    elif if_match is not None:
        raise _conflict(kind, None, record)
    only: dict[str, Any] = {kind: {record.name: record}}
    text = to_yaml(Definitions.model_construct(None, **only), [kind])
    draft = editing.Draft(kind, record.name if present else "", text, version_of(present))
    planned = editing.plan(store, draft)
    if planned.theirs is not None:
        raise _conflict(kind, store.definitions.find(kind, record.name), record)
    if planned.problems:
        raise HTTPException(422, "; ".join(planned.problems))
    change = planned.change
    answer = Saved(
        saved=False,
        action=change.action if change else "none",
        lines=list(change.lines()) if change else [],
        warnings=[*planned.warnings, *(str(item) for item in planned.findings)],
        version=version_of(record),
    )
    return answer if plan or change is None else _carry_out(request, store, user, change, present, answer)


def _carry_out(
    request: Request, store: Store, user: User, change: Change, present: NamedRecord | None, answer: Saved
) -> Saved:
    expected = {(change.kind, change.name): version_of(present)}
    try:
        edits = save_changes(store, config_of(request), [change], by=user.by, expected=expected)
    except RecordChanged:
        raise _conflict(
            change.kind, store.definitions.find(change.kind, change.name), change.record or present
        ) from None
    except StoreError:
        raise
    except ConfigurationError as error:
        raise HTTPException(409, str(error)) from None
    files = [FileOutcome(file=edit.file, written=edit.written, diff=edit.diff, why=edit.why) for edit in edits]
    return answer.model_copy(update={"saved": True, "files": files})


def _record(kind: DefinitionKind, name: str, fields: dict[str, Any]) -> NamedRecord:
    """A record from the fields of a body. Raises RequestValidationError naming each that is wrong, or unknown."""
    if fields.get("name") not in (None, name):
        raise HTTPException(422, "name: a record is not renamed; make another one, and delete this.")
    try:
        return RECORD_TYPES[kind].model_validate({**fields, "name": name})
    except ValidationError as error:
        raise RequestValidationError([{**item, "loc": ("body", *item["loc"])} for item in error.errors()]) from None


def _patched(old: Any, patch: dict[str, Any]) -> dict[str, Any]:
    """RFC 7396: what is null goes, mappings are merged, everything else is replaced."""
    result = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _patched(result.get(key), value) if isinstance(value, dict) else value
    return result


def _add_routes(kind: DefinitionKind) -> None:
    """The routes of one kind."""
    model, one = RECORD_TYPES[kind], singular(kind)
    answer_model = _ANSWERS.get(kind, model)
    # The name stands in the path.
    optional: dict[str, Any] = {"name": (str | None, None)}
    body_model = create_model(f"{model.__name__}Fields", __base__=model, **optional)

    def all_(store: OpenStore) -> Any:
        records = store.definitions.load_checked()[0].of_kind(kind).values()
        return [_shown(store, record, group_runs=1) for record in records]

    def get(name: Name, store: OpenStore, response: Response) -> Any:
        record = _stored(store, kind, name)
        response.headers["etag"] = f'"{version_of(record)}"'
        return _shown(store, record, group_runs=_GROUP_RUNS)

    def put(
        user: Editor,
        name: Name,
        store: OpenStore,
        request: Request,
        response: Response,
        body: Any,
        if_match: IfMatch = None,
        plan: PlanOnly = False,
    ) -> Any:
        fields = body.model_dump(by_alias=True, exclude_unset=True)
        saved = _save(request, store, user, _record(kind, name, fields), kind, if_match, plan)
        if saved.saved and saved.action == "create":
            response.status_code = 201
        response.headers["etag"] = f'"{saved.version}"'
        return saved

    put.__annotations__["body"] = body_model

    def patch(
        user: Editor,
        name: Name,
        store: OpenStore,
        request: Request,
        response: Response,
        body: dict[str, JsonValue],
        if_match: IfMatch = None,
        plan: PlanOnly = False,
    ) -> Any:
        present = _stored(store, kind, name)
        fields = present.model_dump(by_alias=True, mode="json")
        saved = _save(request, store, user, _record(kind, name, _patched(fields, body)), kind, if_match, plan)
        response.headers["etag"] = f'"{saved.version}"'
        return saved

    def delete(
        user: Editor, name: Name, store: OpenStore, request: Request, if_match: IfMatch = None, plan: PlanOnly = False
    ) -> Any:
        present = _stored(store, kind, name)
        _check_version(kind, present, if_match, None)
        answer = Saved(saved=False, action="delete", lines=[f"- {record_label(kind, name)}"])
        return answer if plan else _carry_out(request, store, user, Change("delete", kind, name), present, answer)

    listed: Any = list.__class_getitem__(answer_model)
    created = {201: {"model": Saved, "description": "Created"}}
    for method, path, function, summary, options in (
        ("GET", f"/{kind}", all_, f"All {kind}", {"response_model": listed}),
        ("GET", f"/{kind}/{{name}}", get, f"One {one}", {"response_model": answer_model, "responses": problems(404)}),
        (
            "PUT",
            f"/{kind}/{{name}}",
            put,
            f"Make a {one}, or replace it",
            {"response_model": Saved, "responses": {**_SAVES["responses"], **created}},
        ),
        (
            "PATCH",
            f"/{kind}/{{name}}",
            patch,
            f"Change fields of a {one} (RFC 7396)",
            {"response_model": Saved, **_SAVES},
        ),
        ("DELETE", f"/{kind}/{{name}}", delete, f"Delete a {one}", {"response_model": Saved, **_SAVES}),
    ):
        router.add_api_route(
            path, function, methods=[method], summary=summary, name=f"{method.lower()}_{kind}", **options
        )


for _kind in RECORD_TYPES:
    _add_routes(_kind)


@router.get("/audit", summary="Changes of definitions, newest first", responses=problems(400))
def audit(wanted: Annotated[AuditFilter, Query()], store: OpenStore) -> list[AuditChange]:
    fields = ("id", "at", "by", "action", "kind", "name", "in_files")
    return [
        AuditChange(**{name: getattr(row.entry, name) for name in fields}, lines=row.lines)
        for row in editing.history(store, wanted.kind, wanted.name)
    ]


def answer_conflict(request: Request, error: Exception) -> Response:
    """412 with both versions."""
    assert isinstance(error, ConflictError)
    return JSONResponse(error.answer.model_dump(mode="json"), status_code=412)
