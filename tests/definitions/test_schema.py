"""The JSON Schema for editors says what the loader accepts."""

from __future__ import annotations

import json
from typing import Any

from pipekit_engine.definitions.forms import keys_of
from pipekit_engine.definitions.schema import definitions_schema
from pipekit_engine.models import DEFINITION_KINDS, RECORD_TYPES, singular


def test_it_is_json_and_knows_every_key_of_every_kind() -> None:
    schema: dict[str, Any] = json.loads(json.dumps(definitions_schema()))
    assert sorted(schema["properties"]) == sorted(DEFINITION_KINDS)
    for kind in DEFINITION_KINDS:
        assert sorted(schema["$defs"][singular(kind)]["properties"]) == sorted(keys_of(RECORD_TYPES[kind]))


def test_every_reference_resolves() -> None:
    schema = definitions_schema()

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if "$ref" in node:
                assert node["$ref"].removeprefix("#/$defs/") in schema["$defs"]
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(schema)


def test_required_keys() -> None:
    parts = definitions_schema()["$defs"]
    assert parts["module"]["required"] == ["source", "dest", "query", "dest_table", "strategy"]
    assert parts["group"]["required"] == ["members"]
    assert parts["watermark"]["required"] == ["connection", "resolver_sql"]
    assert parts["column"]["required"] == ["source_name"]
