"""The shape of each kind of record in YAML, and how it becomes a record.

YAML differs from the records in three places only: a record's name is its key, a module's watermarks and checks are
mappings by name, and a group's `members` may hold inner lists (its layers).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import yaml
from pydantic import ValidationError

from pipekit_engine.common.validation import FieldProblem, field_problems
from pipekit_engine.databases.urls import url_holds_secret
from pipekit_engine.definitions.yaml_nodes import Loc, Place, Problem, Source, line_of
from pipekit_engine.models import (
    BUILTIN_CHECKS,
    RECORD_TYPES,
    Check,
    Column,
    DefinitionKind,
    Hook,
    NamedRecord,
    Partition,
    Record,
    Tls,
    Tunnel,
    Watermark,
)
from pipekit_engine.security.redact import is_secret_name
from pipekit_engine.security.secrets import reference_key

#: What people write from habit, and what it is called here.
_OTHER_WORDS = {
    "destination": "dest",
    "target": "dest",
    "table": "dest_table",
    "destination_table": "dest_table",
    "sql": "query",
    "source_query": "query",
    "mode": "strategy",
    "merge_strategy": "strategy",
    "key": "merge_key",
    "keys": "merge_key",
    "primary_key": "merge_key",
    "unique_key": "merge_key",
    "columns_json": "columns",
    "url": "jdbc_url",
    "user": "username",
    "type": "driver",
    "pass": "password",
    "modules": "members",
    "layers": "members",
    "on_error": "on_failure",
    "expression": "cron",
    "tz": "timezone",
    "interval": "every",
    "default_value": "default",
    "when": "run_on",
    "order": "run_order",
    "class_name": "class",
}


#: Fields of a module that are mappings by name: of what records, and what each holds.
_BY_NAME: dict[str, tuple[type[Record], str]] = {
    "watermarks": (Watermark, "connection, resolver_sql, default"),
    "checks": (Check, "sql, on, severity"),
}


@dataclass(slots=True)
class ParsedRecord:
    """A record as read: its fields for the model, and where each of them stands."""

    kind: DefinitionKind
    name: str
    file: str
    line: int
    fields: dict[str, Any] = field(default_factory=dict)
    places: dict[Loc, Place] = field(default_factory=dict)
    record: NamedRecord | None = None
    #: Paths of keys that a misspelt key was probably meant to be: not reported as missing too.
    meant: set[str] = field(default_factory=set)

    def place(self, loc: Loc) -> Place:
        """The place of a field, or of the nearest thing around it."""
        for length in range(len(loc), -1, -1):
            if loc[:length] in self.places:
                return self.places[loc[:length]]
        return Place(f"{self.kind}.{self.name}", self.line)

    def problem(
        self, place: Place, what: str, *, warning: bool = False, missing: DefinitionKind | None = None
    ) -> Problem:
        """Something to mend at a place of this record."""
        return Problem(self.file, place.line, place.where, what, warning, (self.kind, self.name), missing)


def keys_of(model: type[Record]) -> list[str]:
    """The keys that a record may have in YAML."""
    names = [info.alias or name for name, info in model.model_fields.items()]
    return ["members" if name == "layers" else name for name in names if name != "name"]


def read_record(source: Source, kind: DefinitionKind, name: str, key: yaml.Node, node: yaml.Node) -> ParsedRecord:
    """Read one record. Problems go to `source`; the parsed's `record` stays None when there were any."""
    parsed = ParsedRecord(kind, name, source.file, line_of(key))
    where = f"{kind}.{name}"
    before = len(source.problems)
    if not isinstance(node, yaml.MappingNode):
        source.problem(
            parsed.line, where, f"must hold `key: value` pairs ({', '.join(keys_of(RECORD_TYPES[kind])[:4])}, …)"
        )
        return parsed
    parsed.places[()] = Place(where, parsed.line)
    for word, key_node, value in source.pairs(node, where):
        inner = f"{where}.{word}"
        if not _known(source, parsed, RECORD_TYPES[kind], line_of(key_node), inner):
            continue
        if word in _BY_NAME:
            parsed.fields[word] = _by_name(source, parsed, value, word, inner)
        elif word == "members":
            parsed.fields["layers"] = _layers(source.plain(value, ("layers",), inner, parsed.places))
        else:
            parsed.fields[word] = source.plain(value, (word,), inner, parsed.places)
            _check_parts(source, parsed, word)
    _refuse_passwords(source, parsed)
    try:
        record = RECORD_TYPES[kind].model_validate({**parsed.fields, "name": name})
    except ValidationError as error:
        told = {(problem.line, problem.where) for problem in source.problems[before:]}
        for item in field_problems(error):
            place = parsed.place(item.loc)
            where_exactly = place.where
            if item.type == "missing":
                where_exactly = f"{place.where}.{'members' if item.loc[-1] == 'layers' else item.loc[-1]}"
                if item.loc[-1] == "dest_name" and "source_name" not in item.given:
                    continue  # it would be the same
            if (place.line, where_exactly) not in told and where_exactly not in parsed.meant:
                source.problem(place.line, where_exactly, _message(item, RECORD_TYPES[kind]))
    else:
        if len(source.problems) == before:
            parsed.record = record
    return parsed


def _known(source: Source, parsed: ParsedRecord, model: type[Record], line: int, where: str) -> bool:
    parent, _, word = where.rpartition(".")
    known = keys_of(model)
    if word in known:
        return True
    if model is Column and word == "source_type":
        fix = "leave it out: the type is read from the source"
    elif word == "name":
        fix = "leave it out: the name is the key above"
    else:
        other = _OTHER_WORDS.get(word.lower())
        if model is Watermark and word == "sql":
            other = "resolver_sql"
        near = [other] if other in known else get_close_matches(word, known, n=1)
        parsed.meant.update(f"{parent}.{key}" for key in near)
        fix = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
    source.problem(line, where, f"unknown key; {fix}")
    return False


def _by_name(source: Source, parsed: ParsedRecord, node: yaml.Node, word: str, where: str) -> Any:
    """A mapping by name as a list of records that have the name as a field."""
    places, model, held = parsed.places, *_BY_NAME[word]
    if not isinstance(node, yaml.MappingNode):
        if isinstance(node, yaml.ScalarNode) and source.plain(node, (word,), where, places) is None:
            return None
        source.problem(line_of(node), where, f"must map names to {{{held}}}")
        return []
    found = []
    places[word,] = Place(where, line_of(node))
    for i, (name, key, value) in enumerate(source.pairs(node, where)):
        inner = f"{where}.{name}"
        fields = source.plain(value, (word, i), inner, places)
        places[word, i] = places[word, i, "name"] = Place(inner, line_of(key))
        if fields is None and name in BUILTIN_CHECKS and model is Check:
            fields = {}
        if not isinstance(fields, dict):
            listed = " and ".join(held.rsplit(", ", 1))
            source.problem(line_of(key), inner, f"must hold {listed}")
            continue
        for key_word in list(fields):
            line = places[word, i, key_word].line
            if not _known(source, parsed, model, line, f"{inner}.{key_word}"):
                del fields[key_word]
        found.append({**fields, "name": name})
    return found


def _layers(members: Any) -> Any:
    """Members with inner lists -> layers: a member by itself is a layer of one."""
    if not isinstance(members, list):
        return members
    return [member if isinstance(member, list) else [member] for member in members]


def _check_parts(source: Source, parsed: ParsedRecord, word: str) -> None:
    """Columns, hooks, tls, tunnel and partition: short forms, and unknown keys inside."""
    parts: dict[str, type[Record]] = {
        "columns": Column,
        "hooks": Hook,
        "tls": Tls,
        "tunnel": Tunnel,
        "partition": Partition,
    }
    model = parts.get(word)
    value = parsed.fields[word]
    items: list[tuple[Loc, Any]] = []
    if isinstance(value, list):
        items = [((word, i), item) for i, item in enumerate(value)]
    elif isinstance(value, dict):
        items = [((word,), value)]
    if model is None:
        return
    for loc, item in items:
        if model is Hook and isinstance(item, str):
            value[loc[-1]] = {"sql": item}
        elif isinstance(item, dict):
            for key in list(item):
                where: Loc = (*loc, key)
                place = parsed.places[where]
                if not _known(source, parsed, model, place.line, place.where):
                    del item[key]


def _refuse_passwords(source: Source, parsed: ParsedRecord) -> None:
    """A password in a URL or among the options is refused, without repeating it."""
    if parsed.kind != "connections":
        return
    url = parsed.fields.get("jdbc_url")
    if isinstance(url, str) and url.startswith("jdbc:") and url_holds_secret(url):
        place = parsed.place(("jdbc_url",))
        what = "holds a password; use `username:` and `password: $VAR`, and set it with `pipekit secrets set VAR`"
        source.problem(place.line, place.where, what)
    options = parsed.fields.get("options")
    for key, value in options.items() if isinstance(options, dict) else ():
        if is_secret_name(key) and isinstance(value, str) and reference_key(value) is None:
            place = parsed.place(("options", key))
            source.problem(place.line, place.where, "holds a secret; use `password: $VAR`, or give a $VAR reference")


def _message(item: FieldProblem, model: type[Record]) -> str:
    """What pydantic found, in plain words; the value is repeated only where the allowed ones are few."""
    kind, given, context = item.type, item.given, item.context
    if kind == "missing":
        info = next((i for n, i in model.model_fields.items() if item.loc[-1] in (n, i.alias)), None)
        return "is missing" + (f" ({info.description})" if info and info.description and len(item.loc) == 1 else "")
    if given is None:
        return "is empty; give a value or leave the key out"
    if kind == "literal_error" and isinstance(given, str):
        allowed = context["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        near = get_close_matches(given, allowed, n=1)
        return f"{given!r} is not one of {', '.join(allowed)}" + (f"; did you mean {near[0]!r}?" if near else "")
    if kind in ("string_type", "literal_error"):
        return f"must be text, not {_shape(given)}; quote it if it is meant as text"
    if kind in ("tuple_type", "list_type"):
        return f"must be a list, such as [a, b], not {_shape(given)}"
    if kind in ("dict_type", "model_type", "model_attributes_type"):
        return f"must hold `key: value` pairs, not {_shape(given)}"
    if kind in ("int_parsing", "int_type", "int_from_float"):
        return "must be a whole number"
    if kind in ("float_parsing", "float_type"):
        return "must be a number"
    if kind in ("bool_parsing", "bool_type"):
        return "must be true or false"
    if kind == "greater_than_equal":
        return f"must be at least {context['ge']}"
    if kind == "less_than_equal":
        return f"must be at most {context['le']}"
    if kind == "too_short":
        return "must not be empty"
    return item.message


def _shape(value: Any) -> str:
    return "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list) else "text"
