"""A definition as the fields of a form, and back: to the text that the YAML editor shows, so that both save by the same plan.

A field's name is its path: `query`, `watermarks.0.name`. What a field may hold is checked where all definitions are: by the plan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from pipekit_engine.common.yaml_limits import TooMuchYaml, check_size
from pipekit_engine.definitions.export import form_text, yaml_form
from pipekit_engine.errors import ConfigurationError
from pipekit_engine.models import RECORD_TYPES, Connection, DefinitionKind, NamedRecord
from pipekit_engine.security.secrets import reference_key
from pipekit_engine.sql.syntax import UNKNOWN
from pipekit_engine.sql.text import placeholders
from pipekit_engine.wizard.connecting import jdbc_url, secret_name
from pipekit_web.views.machine import without_secrets

_WHOLE = frozenset(
    {"runs", "retry", "retry_merge", "resume_every", "parallel", "max_parallel", "misfire_grace", "every", "run_order"}
    | {"port", "step"}
)
_NUMBERS = frozenset({"max_shrink_percent", "deviation_percent"})
_LISTS = frozenset({"merge_key", "split_by", "owners", "columns"})
_MAPPINGS = frozenset({"options", "tags"})
_TICKED = frozenset({"enabled", "spread"})
#: Fields that are rows of fields, and what a new row holds.
_ROWS: dict[str, dict[str, Any]] = {
    "watermarks": {"name": "", "connection": "", "resolver_sql": ""},
    "hooks": {"sql": "", "run_on": "success"},
    "checks": {"name": "", "sql": "", "on": "destination", "severity": "error"},
    "columns": {"source_name": ""},
    "members": {"member": "", "step": ""},
}
#: Those of them that are mappings by name in YAML.
_BY_NAME = ("watermarks", "checks")
#: Fields that are a few fields of their own, which the form calls `tls.mode` and the like.
_PARTS = frozenset({"tls", "tunnel", "partition"})
#: Names of fields that say what is done, not what is defined.
_CONTROLS = frozenset({"form_token", "name", "version", "do", "new_name", "secret_value"})


@dataclass
class Form:
    """The fields of one definition, as `yaml_form` names them, but with rows where that has mappings or layers."""

    kind: DefinitionKind
    name: str
    fields: dict[str, Any] = field(default_factory=dict)

    def rows(self, key: str) -> list[dict[str, Any]]:
        """The rows of one field."""
        found: list[dict[str, Any]] = self.fields.get(key) or []
        return found

    def text(self, key: str) -> str:
        """A field as text; one line each where it is a list of settings."""
        whole, _, part = key.partition(".")
        value = self.fields.get(whole)
        if part:
            value = value.get(part) if isinstance(value, Mapping) else None
        if isinstance(value, Mapping):
            return "\n".join(f"{name}={item}" for name, item in value.items())
        if isinstance(value, list):
            return ", ".join(map(str, value))
        return "" if value is None else str(value)


def form_of(record: NamedRecord) -> Form:
    """A record's form."""
    kind = next(kind for kind, model in RECORD_TYPES.items() if type(record) is model)
    shown = without_secrets(record) if isinstance(record, Connection) else record
    fields = _with_rows(yaml_form(shown))
    return Form(kind, record.name, fields)


def _with_rows(fields: dict[str, Any]) -> dict[str, Any]:
    """`yaml_form` with rows for mappings by name, short columns and layers."""
    fields = dict(fields)
    for key in _BY_NAME:
        named = fields.get(key)
        if isinstance(named, Mapping):
            # YAML 1.1, which `parsed` reads by, has `on` for a truth.
            fields[key] = [
                {"name": name, **{"on" if word is True else word: value for word, value in (item or {}).items()}}
                if isinstance(item, Mapping | None)
                else {"name": name}
                for name, item in named.items()
            ]
    for key, short in (("columns", "source_name"), ("hooks", "sql")):
        if isinstance(fields.get(key), list):
            fields[key] = [dict(item) if isinstance(item, Mapping) else {short: str(item)} for item in fields[key]]
    if isinstance(fields.get("members"), list):
        layers = [item if isinstance(item, list) else [item] for item in fields["members"]]
        fields["members"] = [{"member": str(m), "step": step} for step, layer in enumerate(layers, 1) for m in layer]
    return fields


def parsed(kind: DefinitionKind, text: str) -> Form:
    """The form of what an editor's text says, as far as a form can show it. Raises ConfigurationError."""
    try:
        check_size(text)
        document = yaml.safe_load(text)
        ((name, fields),) = document[kind].items()
        return Form(kind, str(name), _with_rows(dict(fields)))
    except (yaml.YAMLError, TooMuchYaml, ValueError, TypeError, KeyError, AttributeError):
        raise ConfigurationError("This text is not one definition that the form could show; mend it here.") from None


def posted(kind: DefinitionKind, name: str, names: Iterable[str], value: Callable[[str], str]) -> Form:
    """The form as a browser sent it: `names` of its fields, and the text of each."""
    fields: dict[str, Any] = {}
    rows: dict[str, dict[int, dict[str, Any]]] = {}
    for path in names:
        if path in _CONTROLS:
            continue
        key, _, rest = path.partition(".")
        number, _, part = rest.partition(".")
        if key in _ROWS and number.isascii() and number.isdigit() and len(number) < 6 and part:
            item = _value(part, value(path))
            if item is not None:
                rows.setdefault(key, {}).setdefault(int(number), {})[part] = item
            else:
                rows.setdefault(key, {}).setdefault(int(number), {})
        elif key in _PARTS and rest:
            if (item := _value(rest, value(path))) is not None:
                fields.setdefault(key, {})[rest] = item
        elif not rest and (item := _value(key, value(path))) is not None:
            fields[key] = item
    for key, found in rows.items():
        fields[key] = [found[number] for number in sorted(found)]
    for ticked in _TICKED & RECORD_TYPES[kind].model_fields.keys():
        fields[ticked] = fields.get(ticked) == "1"
    return Form(kind, name, fields)


def _value(key: str, text: str) -> Any:
    """What a field holds; None for an empty one. What is no number stays text, which the plan refuses with its reason."""
    if not text.strip():
        return None
    if key in _LISTS:
        return [part.strip() for part in text.split(",") if part.strip()]
    if key in _MAPPINGS:
        pairs = (line.partition("=") for line in text.splitlines() if line.strip())
        return {name.strip(): item.strip() for name, _, item in pairs}
    if key in _WHOLE and text.strip().isascii() and text.strip().lstrip("-").isdigit() and len(text) < 20:
        return int(text)
    if key in _NUMBERS:
        try:
            return float(text) if "." in text else int(text)
        except ValueError:
            return text
    return text if key in ("query", "sql", "resolver_sql", "default") else text.strip()


def change_rows(form: Form, do: str) -> bool:
    """Add, drop or move a row, as in `add watermarks`, `drop hooks 1`, `up hooks 1`, `down hooks 0`; whether it was that."""
    words = do.split()
    if len(words) < 2 or words[0] not in ("add", "drop", "up", "down") or words[1] not in _ROWS:
        return False
    key, rows = words[1], form.fields.setdefault(words[1], [])
    at = int(words[2]) if len(words) > 2 and words[2].isascii() and words[2].isdigit() and len(words[2]) < 6 else -1
    if words[0] == "add":
        new = dict(_ROWS[key])
        if key == "watermarks":
            # The first placeholder that nothing fills yet.
            taken = {row.get("name") for row in rows}
            new["name"] = next((name for name in _placeholders(form) if name not in taken), "")
            new["connection"] = form.fields.get("dest", "")
        if key == "members":
            new["step"] = 1 + max((_step(row) for row in rows), default=0)
        rows.append(new)
    elif 0 <= at < len(rows):
        if words[0] == "drop":
            del rows[at]
        else:
            to = at + (1 if words[0] == "down" else -1)
            if 0 <= to < len(rows):
                rows[at], rows[to] = rows[to], rows[at]
            for row in rows:
                row.pop("run_order", None)
    return True


def _step(row: Mapping[str, Any]) -> float:
    try:
        return float(row.get("step") or 0)
    except ValueError:
        return 0


def _placeholders(form: Form) -> list[str]:
    try:
        return placeholders(form.text("query"), UNKNOWN)
    except Exception:
        return []


def text_of_form(form: Form) -> str:
    """The definition as its YAML file would hold it; fields with their default value are left out."""
    model = RECORD_TYPES[form.kind].model_fields
    fields: dict[str, Any] = {}
    for key, value in form.fields.items():
        known = next((item for name, item in model.items() if key in (name, item.alias)), None)
        if known is not None and not known.is_required() and value == known.default:
            continue
        fields[key] = value
    for word in _BY_NAME:
        if word not in fields:
            continue
        marks: dict[str, Any] = {}
        for row in fields[word]:
            if not any(value for key, value in row.items() if (key, value) not in _UNSAID):
                continue
            name = str(row.get("name", ""))
            if name in marks:
                raise ConfigurationError(f"There are two {word} {name or 'without a name'}.")
            marks[name] = {key: item for key, item in _without_defaults(row).items() if key != "name"}
        fields[word] = marks
    if "hooks" in fields:
        fields["hooks"] = [
            {"sql": "", **row} if row.get("sql") is None else _without_defaults(row) for row in fields["hooks"]
        ]
    if "columns" in fields:
        fields["columns"] = [
            row["source_name"] if list(row) == ["source_name"] else row
            for row in fields["columns"]
            if any(row.values())
        ]
    if "members" in fields:
        layers: dict[float, list[str]] = {}
        for row in fields["members"]:
            if row.get("member"):
                layers.setdefault(_step(row), []).append(row["member"])
        fields["members"] = [layer[0] if len(layer) == 1 else layer for _, layer in sorted(layers.items())]
    fields = {key: value for key, value in fields.items() if value not in ([], {}) or key == "members"}
    return form_text(form.kind, form.name, fields)


#: What a hook or check does without being told.
_UNSAID = (("run_on", "success"), ("on", "destination"), ("severity", "error"))


def _without_defaults(part: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in part.items() if (key, value) not in _UNSAID}


def finish_connection(form: Form, kind_of: Callable[[str], str], secret_given: bool) -> None:
    """Make a JDBC URL of an address, and name the secret when a password was typed. Raises ConfigurationError."""
    url = form.text("jdbc_url")
    if url and form.text("driver"):
        form.fields["jdbc_url"] = jdbc_url(kind_of(form.text("driver")), url)
    if secret_given and not form.text("password"):
        form.fields["password"] = f"${secret_name(form.name)}"
    password = form.text("password")
    if password and not password.startswith("$") and reference_key(f"${password}"):
        form.fields["password"] = f"${password}"


@dataclass(frozen=True)
class Mark:
    """A placeholder or watermark that lacks its other half."""

    name: str
    problem: str


def unmatched(form: Form) -> list[Mark]:
    """Placeholders without a watermark, and watermarks that the query does not use."""
    used, known = _placeholders(form), [str(row.get("name") or "") for row in form.rows("watermarks")]
    missing = [Mark(name, "stands in the query, and no watermark fills it") for name in used if name not in known]
    idle = [Mark(name, "is a watermark, and the query does not use it") for name in known if name and name not in used]
    return [*missing, *idle]
