"""Definitions below `/api`: each of the six kinds read, planned, saved and deleted, with the checks of `pipekit apply`.

A change of a record that is there names the version that it was made from (`If-Match`, the ETag of its GET): one that somebody
has changed since is not overwritten, both versions are told. `plan=true` shows what would be done and saves nothing.
"""

# No `from __future__ import annotations` here: FastAPI reads the annotations of functions that are made for each kind.

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import JsonValue, create_model
from starlette.exceptions import HTTPException

from pipekit_engine.models import (
    RECORD_TYPES,
    Connection,
    DefinitionKind,
    Group,
    NamedRecord,
    Schedule,
    record_label,
    singular,
)
from pipekit_engine.operations.schedules import next_times
from pipekit_engine.store import Change, Store
from pipekit_engine.store.audit import version_of
from pipekit_web.api.answers import GroupWithRuns, Saved, ScheduleWithTimes, Switch
from pipekit_web.api.asking import Editor, Name, OpenStore, Operator
from pipekit_web.api.problems import CheckedBody, problems
from pipekit_web.api.saving import SAVES, carry_out, check_version, patched, record_of, save_record, stored_record
from pipekit_web.views.machine import without_secrets

_FIRE_TIMES = 5
_GROUP_RUNS = 20
#: Kinds that an operator switches on and off.
_SWITCHED: tuple[DefinitionKind, ...] = ("schedules", "triggers")

router = APIRouter(prefix="/api", route_class=CheckedBody)
IfMatch = Annotated[str | None, Header(description="the record's ETag, or * for whatever it is")]
PlanOnly = Annotated[bool, Query(description="show what would be done, and save nothing")]
_ANSWERS: dict[DefinitionKind, Any] = {"groups": GroupWithRuns, "schedules": ScheduleWithTimes}


def _shown(store: Store, record: NamedRecord, *, group_runs: int) -> Any:
    """A record with what is known of it, and without secrets."""
    if isinstance(record, Group):
        return GroupWithRuns(**dict(record), runs=store.group_runs.list(group=record.name, limit=group_runs))
    if isinstance(record, Schedule):
        fired = store.ticks.last_fired_at(record.name)
        return ScheduleWithTimes(**dict(record), last_fired_at=fired, next=next_times(record, _FIRE_TIMES))
    return without_secrets(record) if isinstance(record, Connection) else record


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
        record = stored_record(store, kind, name)
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
        saved = save_record(request, response, store, user, record_of(kind, name, fields), kind, if_match, plan)
        if saved.saved and saved.action == "create":
            response.status_code = 201
        return saved

    put.__annotations__["body"] = body_model

    def post(
        user: Editor, store: OpenStore, request: Request, response: Response, body: Any, plan: PlanOnly = False
    ) -> Any:
        if store.definitions.find(kind, body.name) is not None:
            raise HTTPException(409, f"There is a {one} {body.name!r} already; PUT or PATCH change it.")
        fields = body.model_dump(by_alias=True, exclude_unset=True)
        saved = save_record(request, response, store, user, record_of(kind, body.name, fields), kind, None, plan)
        if saved.saved:
            response.status_code = 201
            response.headers["location"] = f"/api/{kind}/{body.name}"
        return saved

    post.__annotations__["body"] = model

    def switch(user: Operator, name: Name, store: OpenStore, request: Request, body: Switch) -> Any:
        present = stored_record(store, kind, name)
        record = present.model_copy(update={"enabled": body.enabled})
        version = version_of(record)
        if record == present:
            return Saved(saved=False, action="none", lines=[], version=version)
        lines = [f"~ {record_label(kind, name)}", f"    enabled: {str(body.enabled).lower()}"]
        answer = Saved(saved=False, action="change", lines=lines, version=version)
        return carry_out(request, store, user, Change("change", kind, name, record), present, answer)

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
        present = stored_record(store, kind, name)
        fields = present.model_dump(by_alias=True, mode="json")
        record = record_of(kind, name, patched(fields, body))
        return save_record(request, response, store, user, record, kind, if_match, plan)

    def delete(
        user: Editor, name: Name, store: OpenStore, request: Request, if_match: IfMatch = None, plan: PlanOnly = False
    ) -> Any:
        present = stored_record(store, kind, name)
        check_version(kind, present, if_match, None)
        answer = Saved(saved=False, action="delete", lines=[f"- {record_label(kind, name)}"])
        return answer if plan else carry_out(request, store, user, Change("delete", kind, name), present, answer)

    listed: Any = list.__class_getitem__(answer_model)
    created = {201: {"model": Saved, "description": "Created"}}
    for method, path, function, summary, options in (
        ("GET", f"/{kind}", all_, f"All {kind}", {"response_model": listed}),
        ("GET", f"/{kind}/{{name}}", get, f"One {one}", {"response_model": answer_model, "responses": problems(404)}),
        (
            "POST",
            f"/{kind}",
            post,
            f"Make a {one}",
            {"response_model": Saved, "responses": {**SAVES["responses"], **created}},
        ),
        (
            "PUT",
            f"/{kind}/{{name}}",
            put,
            f"Make a {one}, or replace it",
            {"response_model": Saved, "responses": {**SAVES["responses"], **created}},
        ),
        (
            "PATCH",
            f"/{kind}/{{name}}",
            patch,
            f"Change fields of a {one} (RFC 7396)",
            {"response_model": Saved, **SAVES},
        ),
        ("DELETE", f"/{kind}/{{name}}", delete, f"Delete a {one}", {"response_model": Saved, **SAVES}),
        ("POST", f"/{kind}/{{name}}/switch", switch, f"Switch a {one} on or off", {"response_model": Saved, **SAVES}),
    ):
        if function is switch and kind not in _SWITCHED:
            continue
        router.add_api_route(
            path, function, methods=[method], summary=summary, name=f"{function.__name__}_{kind}", **options
        )


for _kind in RECORD_TYPES:
    _add_routes(_kind)
