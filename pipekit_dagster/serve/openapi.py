"""The OpenAPI description of the REST interface."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from pipekit_engine._version import __version__
from pipekit_engine.models import Group, GroupRunRecord, Module, RunRecord, Schedule
from pipekit_engine.statuses import RUN_STATUSES

_NAME = {"name": "name", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
_ID = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "number of a run of pipekit, or id of a Dagster run",
    "schema": {"type": "string", "minLength": 1},
}


def describe_api(run_options: type[BaseModel]) -> dict[str, Any]:
    """The whole description, as JSON."""
    schemas: dict[str, Any] = {}
    for model in (run_options, Module, Group, GroupRunRecord, RunRecord, Schedule):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}", mode="serialization")
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
    # What the views add to the records.
    for name, extra in _ADDED.items():
        schemas[name]["properties"].update(extra)
        schemas[name].pop("additionalProperties", None)
    schemas["Problem"] = {
        "type": "object",
        "required": ["error"],
        "properties": {"error": {"type": "string"}},
    }
    schemas["Started"] = {
        "type": "object",
        "required": ["dagster_run_id", "status_url", "log_url", "url"],
        "properties": {name: {"type": "string"} for name in ("dagster_run_id", "status_url", "log_url", "url")},
    }
    schemas["DagsterRun"] = {
        "type": "object",
        "required": ["dagster_run_id", "job", "status", "runs"],
        "properties": {
            "dagster_run_id": {"type": "string"},
            "job": {"type": "string"},
            "status": {"type": "string"},
            "tags": {"type": "object", "additionalProperties": {"type": "string"}},
            "runs": {"type": "array", "items": _ref("RunRecord")},
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "pipekit",
            "version": __version__,
            "description": "Start and follow runs. The login is the server's own: HTTP Basic, or the UI's session.",
        },
        "security": [{"basic": []}],
        "paths": _paths(run_options.__name__),
        "components": {"schemas": schemas, "securitySchemes": {"basic": {"type": "http", "scheme": "basic"}}},
    }


_TIMES = {"type": "array", "items": {"type": "string", "format": "date-time"}}
_NUMBER_OR_NULL = {"anyOf": [{"type": "number"}, {"type": "null"}]}
_ADDED: dict[str, dict[str, Any]] = {
    "RunRecord": {"duration_s": _NUMBER_OR_NULL},
    "Group": {"runs": {"type": "array", "items": {"$ref": "#/components/schemas/GroupRunRecord"}}},
    "Schedule": {
        "last_fired_at": {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]},
        "next": _TIMES,
    },
}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(schema: dict[str, Any], text: str) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def _problems(*statuses: int) -> dict[str, Any]:
    return {str(status): _json(_ref("Problem"), "what is wrong") for status in (*statuses, 503)} | {
        str(status): {"description": "login needed, refused or slowed down"} for status in (401, 403, 429)
    }


def _paths(run_options: str) -> dict[str, Any]:
    def get(
        summary: str, schema: dict[str, Any], parameters: list[Any] | None = None, *problems: int
    ) -> dict[str, Any]:
        return {
            "get": {
                "summary": summary,
                "parameters": parameters or [],
                "responses": {"200": _json(schema, "found"), **_problems(*problems)},
            }
        }

    def run(what: str) -> dict[str, Any]:
        return {
            "post": {
                "summary": f"Run a {what}; answers at once",
                "parameters": [_NAME],
                "requestBody": {"required": False, "content": {"application/json": {"schema": _ref(run_options)}}},
                "responses": {"202": _json(_ref("Started"), "queued"), **_problems(400, 404, 409, 413, 415, 422)},
            }
        }

    def several(name: str) -> dict[str, Any]:
        return {"type": "array", "items": _ref(name)}

    offset = {"name": "offset", "in": "query", "schema": {"type": "integer", "minimum": 0, "maximum": 2**53}}
    run_filters = [
        {"name": "module", "in": "query", "schema": {"type": "string"}},
        {
            "name": "status",
            "in": "query",
            "schema": {"type": "string", "enum": list(RUN_STATUSES)},
        },
        {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 20}},
    ]
    log = get("What a run has said so far", {"type": "string"}, [_ID, offset], 400, 404)
    log["get"]["responses"]["200"] = {"description": "text", "content": {"text/plain": {"schema": {"type": "string"}}}}
    return {
        "/api/modules": get("All modules", several("Module")),
        "/api/modules/{name}": get("One module", _ref("Module"), [_NAME], 404),
        "/api/modules/{name}/run": run("module"),
        "/api/groups": get("All groups, each with its newest run", several("Group")),
        "/api/groups/{name}": get("One group and its newest runs", _ref("Group"), [_NAME], 404),
        "/api/groups/{name}/run": run("group"),
        "/api/runs": get("Runs of modules, newest first", several("RunRecord"), run_filters, 400),
        "/api/runs/{id}": get(
            "A run of a module, or a Dagster run with those in it",
            {"anyOf": [_ref("RunRecord"), _ref("DagsterRun")]},
            [_ID],
            404,
        ),
        "/api/runs/{id}/log": log,
        "/api/schedules": get("Schedules with their next fire times", several("Schedule")),
        "/api/openapi.json": get("This description", {"type": "object"}),
    }
