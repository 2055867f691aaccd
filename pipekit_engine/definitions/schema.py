"""JSON Schema of the YAML definitions, for editors that complete and check while one types.

Made from the records themselves, so that a new field is known here too. It describes one file; references between
files are for `pipekit apply` to check.
"""

from __future__ import annotations

from typing import Any

from pipekit_engine.models import (
    BUILTIN_CHECKS,
    DEFINITION_KINDS,
    RECORD_TYPES,
    Check,
    Column,
    Hook,
    Partition,
    Record,
    Tls,
    Tunnel,
    Watermark,
    singular,
)

#: Where people write numbers and dates without quotes: the loader takes the text that was typed.
_SCALAR = {"type": ["string", "number", "boolean"]}
_NAMES = {"pattern": r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$"}


def definitions_schema() -> dict[str, Any]:
    """The schema, in draft 2020-12."""
    parts = {singular(kind): _record(RECORD_TYPES[kind]) for kind in DEFINITION_KINDS}
    parts |= {
        "watermark": _record(Watermark),
        "hook": _record(Hook),
        "check": _record(Check),
        "column": _record(Column, required=["source_name"]),
        "Tls": _record(Tls),
        "Tunnel": _record(Tunnel),
        "Partition": _record(Partition),
    }
    kinds = {
        kind: {
            "description": (RECORD_TYPES[kind].__doc__ or "").strip().splitlines()[0],
            "type": ["object", "null"],
            "propertyNames": _NAMES,
            "additionalProperties": {"$ref": f"#/$defs/{singular(kind)}"},
        }
        for kind in DEFINITION_KINDS
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "pipekit definitions",
        "type": "object",
        "properties": kinds,
        "patternProperties": {"^x-": True},
        "additionalProperties": False,
        "$defs": parts,
    }


def _record(model: type[Record], required: list[str] | None = None) -> dict[str, Any]:
    schema = model.model_json_schema(by_alias=True)
    fields: dict[str, Any] = {name: _field(form) for name, form in schema["properties"].items() if name != "name"}
    needed = [name for name in schema.get("required", []) if name != "name"] if required is None else required
    if "layers" in fields:
        member = {"type": "string"}
        layer = {"type": "array", "items": member, "minItems": 1}
        items = {"anyOf": [member, layer]}
        text = "modules in the order in which they run; those of an inner list may run side by side"
        fields["members"] = {"type": "array", "minItems": 1, "items": items, "description": text}
        del fields["layers"]
        needed = ["members" if name == "layers" else name for name in needed]
    for key in {"merge_key", "split_by"}.intersection(fields):
        names = {"type": "array", "items": _SCALAR}
        said = {name: text for name, text in fields[key].items() if name == "description"}
        fields[key] = {"anyOf": [names, {"type": "string", "description": "comma-separated"}]} | said
    if model is Watermark:
        fields["default"] |= _SCALAR
    if model is Partition:
        fields["start"] |= _SCALAR
        fields["end"] |= _SCALAR
    if "watermarks" in fields:
        fields["watermarks"] = {"type": "object", "additionalProperties": {"$ref": "#/$defs/watermark"}}
        check = {"$ref": "#/$defs/check"}
        fields["checks"] = {
            "type": "object",
            "properties": {
                name: {"description": said, "anyOf": [check, {"type": "null"}]} for name, said in BUILTIN_CHECKS.items()
            },
            "additionalProperties": check,
        }
        fields["hooks"] = {"type": "array", "items": {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/hook"}]}}
        fields["columns"] = {"type": "array", "items": {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/column"}]}}
    return {
        "type": "object",
        "description": (model.__doc__ or "").strip().splitlines()[0],
        "properties": fields,
        "required": needed,
        "additionalProperties": False,
    }


def _field(form: dict[str, Any]) -> dict[str, Any]:
    """A field without pydantic's titles; null is said by leaving the key out."""
    form = {key: value for key, value in form.items() if key != "title"}
    if form.get("default", ...) in (None, [], {}):
        del form["default"]
    options = [item for item in form.pop("anyOf", []) if item.get("type") != "null"]
    if len(options) == 1:
        form = {**options[0], **form}
    if form.get("type") == "object" and form.get("additionalProperties") == {"type": "string"}:
        form["additionalProperties"] = _SCALAR
    return form
