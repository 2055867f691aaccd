"""Saving a definition by REST: the plan of `pipekit apply`, the version that a change was made from, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from pipekit_engine.definitions.export import to_yaml, yaml_form
from pipekit_engine.definitions.saving import save_changes
from pipekit_engine.errors import ConfigurationError, NotFoundError, RecordChanged, StoreError
from pipekit_engine.models import (
    RECORD_TYPES,
    Connection,
    DefinitionKind,
    Definitions,
    NamedRecord,
    record_label,
    singular,
)
from pipekit_engine.store.audit import version_of
from pipekit_web.api.answers import Conflict, FileOutcome, Saved
from pipekit_web.api.asking import config_of
from pipekit_web.api.problems import problems
from pipekit_web.views import editing
from pipekit_web.views.machine import without_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipekit_engine.definitions.write_back import FileEdit
    from pipekit_engine.store import Change, Store
    from pipekit_web.server.auth import User

#: The answers of an endpoint that saves.
SAVES: dict[str, Any] = {
    "responses": {
        **problems(400, 404, 409, 413, 415, 422, 428),
        412: {"model": Conflict, "description": "Changed meanwhile"},
    }
}


class ConflictError(Exception):
    """The record is not the version that the change was made from."""

    def __init__(self, answer: Conflict) -> None:
        super().__init__(answer.error)
        self.answer = answer


def answer_conflict(request: Request, error: Exception) -> Response:
    """412 with both versions."""
    assert isinstance(error, ConflictError)
    return JSONResponse(error.answer.model_dump(mode="json"), status_code=412)


def form_of(record: NamedRecord | None) -> dict[str, Any] | None:
    """A record as its YAML file would hold it, without secrets; None for none."""
    if record is None:
        return None
    shown = without_secrets(record) if isinstance(record, Connection) else record
    return {"name": record.name, **yaml_form(shown)}


def stored_record(store: Store, kind: DefinitionKind, name: str) -> NamedRecord:
    """A record of the store. Raises NotFoundError, which offers the nearest name."""
    record = store.definitions.find(kind, name)
    if record is None:
        raise NotFoundError(singular(kind), name, store.definitions.load_checked()[0].of_kind(kind))
    return record


def check_version(kind: DefinitionKind, present: NamedRecord, wanted: str | None, yours: NamedRecord | None) -> None:
    """Raise unless a request names the version that is there."""
    if wanted is None:
        raise HTTPException(428, "Say which version you change: If-Match with the ETag that GET gave, or *.")
    named = [item.strip().removeprefix("W/").strip('"') for item in wanted.split(",")]
    if "*" not in named and version_of(present) not in named:
        raise _conflict(kind, present, yours)


def _conflict(kind: DefinitionKind, present: NamedRecord | None, yours: NamedRecord | None) -> ConflictError:
    name = (present or cast("NamedRecord", yours)).name
    return ConflictError(
        Conflict(error=str(RecordChanged(record_label(kind, name))), theirs=form_of(present), yours=form_of(yours))
    )


def save_record(
    request: Request,
    response: Response,
    store: Store,
    user: User,
    record: NamedRecord,
    kind: DefinitionKind,
    if_match: str | None,
    plan: bool,
) -> Saved:
    """Plan a record, and save it unless only the plan is wanted. The response names its version."""
    present = store.definitions.find(kind, record.name)
    if present is not None:
        check_version(kind, present, if_match, record)
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
    if not plan and change is not None:
        answer = carry_out(request, store, user, change, present, answer)
    response.headers["etag"] = f'"{answer.version}"'
    return answer


def carry_out(
    request: Request, store: Store, user: User, change: Change, present: NamedRecord | None, answer: Saved
) -> Saved:
    """Make a change of a record that must still be as it was read, and note it in the answer. Raises ConflictError."""
    try:
        files = save_all(request, store, user, [change], {(change.kind, change.name): version_of(present)})
    except RecordChanged:
        raise _conflict(
            change.kind, store.definitions.find(change.kind, change.name), change.record or present
        ) from None
    return answer.model_copy(update={"saved": True, "files": files})


def save_all(
    request: Request,
    store: Store,
    user: User,
    changes: Sequence[Change],
    expected: Mapping[tuple[DefinitionKind, str], str],
) -> list[FileOutcome]:
    """Make all changes or none; what became of them in the files. Raises RecordChanged, HTTPException for what is refused."""
    try:
        edits = save_changes(store, config_of(request), changes, by=user.by, expected=expected)
    except (RecordChanged, StoreError):
        raise
    except ConfigurationError as error:
        raise HTTPException(409, str(error)) from None
    return [_outcome(edit) for edit in edits]


def _outcome(edit: FileEdit) -> FileOutcome:
    return FileOutcome(file=edit.file, written=edit.written, diff=edit.diff, why=edit.why)


def record_of(kind: DefinitionKind, name: str, fields: dict[str, Any]) -> NamedRecord:
    """A record from the fields of a body. Raises RequestValidationError naming each that is wrong, or unknown."""
    if fields.get("name") not in (None, name):
        raise HTTPException(422, "name: a record is not renamed; make another one, and delete this.")
    try:
        return RECORD_TYPES[kind].model_validate({**fields, "name": name})
    except ValidationError as error:
        raise RequestValidationError([{**item, "loc": ("body", *item["loc"])} for item in error.errors()]) from None


def patched(old: Any, patch: dict[str, Any]) -> dict[str, Any]:
    """RFC 7396: what is null goes, mappings are merged, everything else is replaced."""
    result = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = patched(result.get(key), value) if isinstance(value, dict) else value
    return result
