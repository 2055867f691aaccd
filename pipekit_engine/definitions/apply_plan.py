"""The difference between definitions and the store, as a plan that a person can read and the store can save."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import unified_diff
from typing import Any

from pipekit_engine.definitions.export import yaml_form
from pipekit_engine.models import DEFINITION_KINDS, DefinitionKind, Definitions, Record, record_label
from pipekit_engine.store.definitions import Action, Change

_SIGNS: dict[Action, str] = {"create": "+", "change": "~", "delete": "-"}


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that changes. None means that the field is not there, or has its default."""

    field: str
    old: str | None
    new: str | None
    #: Of a list: what left it and what came.
    apart: str | None = None

    def lines(self) -> Iterator[str]:
        """`field: old -> new`; a diff for text of several lines."""
        if self.apart is not None:
            yield f"{self.field}: {self.apart}"
            return
        old, new = self.old or "", self.new or ""
        if "\n" not in old.rstrip("\n") and "\n" not in new.rstrip("\n"):
            yield f"{self.field}: {_shown(self.old)} -> {_shown(self.new)}"
            return
        yield f"{self.field}:"
        for line in list(unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=1))[2:]:
            if not line.startswith("@@"):
                yield f"  {line}"


@dataclass(frozen=True)
class PlannedChange(Change):
    """One record to create, change or delete, and how that shows in a plan."""

    fields: tuple[FieldChange, ...] = ()
    note: str | None = None

    def lines(self) -> Iterator[str]:
        """The change as text: a line that begins with `+`, `~` or `-`, then its fields, indented."""
        note = f"  ({self.note})" if self.note else ""
        yield f"{_SIGNS[self.action]} {record_label(self.kind, self.name)}{note}"
        for change in self.fields:
            for line in change.lines():
                yield f"    {line}"


@dataclass(frozen=True, slots=True)
class ApplyPlan:
    """All changes, in an order in which nothing refers to what is not there yet."""

    changes: tuple[PlannedChange, ...] = ()
    unchanged: int = 0
    counts: dict[Action, int] = field(default_factory=dict)
    #: Modules of the store that the files lack, and that stay: they still run in their groups.
    kept: tuple[str, ...] = ()

    def lines(self) -> Iterator[str]:
        """The plan as text."""
        for change in self.changes:
            yield from change.lines()
        yield self.summary

    @property
    def summary(self) -> str:
        """Such as `2 to create, 1 to change, 0 to delete, 7 unchanged`."""
        counts = ", ".join(f"{self.counts.get(action, 0)} to {action}" for action in _SIGNS)
        return f"{counts}, {self.unchanged} unchanged"


def make_plan(
    wanted: Definitions,
    stored: Definitions,
    *,
    prune: bool = False,
    broken: Mapping[DefinitionKind, Collection[str]] | None = None,
) -> ApplyPlan:
    """What to do so that the store holds `wanted`.

    `broken` names stored rows that cannot be read: a file's record replaces such a row. With `prune`, what the
    files lack is deleted, but never a driver: drivers belong to the machine (`pipekit drivers`).
    """
    broken = broken or {}
    changes: list[PlannedChange] = []
    deletes: list[PlannedChange] = []
    unchanged = 0
    for kind in DEFINITION_KINDS:
        new, old = wanted.of_kind(kind), stored.of_kind(kind)
        lost = [name for name in (*old, *broken.get(kind, ())) if name not in new and kind != "drivers"]
        twins = {name: yaml_form(old[name]) for name in lost if name in old}
        for name, record in new.items():
            if name in old:
                fields = tuple(field_changes(yaml_form(old[name]), yaml_form(record)))
                if fields:
                    changes.append(PlannedChange("change", kind, name, record, fields))
                else:
                    unchanged += 1
            elif name in broken.get(kind, ()):
                changes.append(PlannedChange("change", kind, name, record, note="the stored row is broken"))
            else:
                changes.append(PlannedChange("create", kind, name, record, note=_rename(record, twins, kind, prune)))
        if prune:
            deletes = [PlannedChange("delete", kind, name) for name in lost] + deletes
    everything = (*changes, *deletes)
    counts: dict[Action, int] = {}
    for change in everything:
        counts[change.action] = counts.get(change.action, 0) + 1
    kept = () if prune else tuple(sorted(set(stored.modules).difference(wanted.modules)))
    return ApplyPlan(everything, unchanged, counts, kept)


def _rename(record: Record, twins: dict[str, dict[str, Any]], kind: DefinitionKind, prune: bool) -> str | None:
    form = yaml_form(record)
    old = next((name for name, twin in twins.items() if twin == form), None)
    if old is None:
        return None
    del twins[old]
    if not prune:
        return f"the same as {old}, which stays; was it renamed? --prune deletes what the files lack"
    history = "; its past runs stay under the old name" if kind in ("modules", "groups") else ""
    return f"renamed from {old}{history}"


def field_changes(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> Iterator[FieldChange]:
    """The fields in which two records, as YAML would write them, differ; mappings are compared field by field."""
    for key in (*old, *(key for key in new if key not in old)):
        before, after = old.get(key), new.get(key)
        if before == after and (key in old) == (key in new):
            continue
        if isinstance(before, dict) and isinstance(after, dict):
            yield from field_changes(before, after, f"{prefix}{key}.")
        elif isinstance(before, list) and isinstance(after, list) and _same_shape(before, after):
            for i, (one, other) in enumerate(zip(before, after, strict=True)):
                yield from field_changes(one, other, f"{prefix}{key}[{i}].")
        elif isinstance(before or after, dict):
            yield from field_changes(before or {}, after or {}, f"{prefix}{key}.")
        elif isinstance(before, list) and isinstance(after, list) and (apart := _apart(before, after)):
            yield FieldChange(prefix + key, _text(before), _text(after), apart)
        else:
            yield FieldChange(prefix + key, _text(before), _text(after))


def _apart(before: list[Any], after: list[Any]) -> str | None:
    """What left a list and what came, such as `- a, + b`; None where only the order or the lists within it changed."""
    gone, come = [item for item in before if item not in after], [item for item in after if item not in before]
    if any(isinstance(item, (list, dict)) for item in (*gone, *come)):
        return None
    return ", ".join([*(f"- {_text(item)}" for item in gone), *(f"+ {_text(item)}" for item in come)]) or None


def _same_shape(before: list[Any], after: list[Any]) -> bool:
    """Two lists of as many mappings: hooks that were edited in place."""
    return len(before) == len(after) and all(isinstance(item, dict) for item in (*before, *after))


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(_text(item) or "" for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_text(item)}" for key, item in value.items()) + "}"
    return str(value)


def _shown(text: str | None) -> str:
    return "(default)" if text is None else (text if text.strip() == text and text else repr(text))
