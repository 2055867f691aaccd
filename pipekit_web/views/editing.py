"""Changing a definition: its text, the plan of a change, and what was changed before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from pipekit_engine.common.text import first_line
from pipekit_engine.definitions.apply import plan_text
from pipekit_engine.definitions.apply_plan import PlannedChange, field_changes
from pipekit_engine.definitions.export import to_yaml, yaml_form
from pipekit_engine.errors import ConfigurationError, DefinitionsError, NotFoundError, PipekitError
from pipekit_engine.lint import Finding, lint_definitions
from pipekit_engine.models import (
    Connection,
    DefinitionKind,
    Definitions,
    Module,
    NamedRecord,
    record_label,
    singular,
)
from pipekit_engine.store.audit import AuditEntry, as_record, version_of
from pipekit_web.asking import asking
from pipekit_web.views.machine import without_secrets

if TYPE_CHECKING:
    from pipekit_engine.engine import Engine
    from pipekit_engine.store import Store

PREVIEW_ROWS = 50
_FIRST_TEXTS: dict[DefinitionKind, str] = {
    "drivers": "NAME:\n  kind: generic\n  jar: NAME.jar\n",
    "connections": "NAME:\n  driver: postgresql\n  jdbc_url: jdbc:postgresql://host:5432/database\n"
    "  username: etl\n  password: $NAME_PASSWORD\n",
    "modules": "NAME:\n  source: CONNECTION\n  dest: CONNECTION\n  query: |\n    SELECT id, name\n    FROM table\n"
    "  dest_table: NAME\n  strategy: upsert\n  merge_key: [id]\n",
    "groups": "NAME:\n  members: [MODULE, [SIDE, BY_SIDE]]\n  max_parallel: 2\n",
    "schedules": 'NAME:\n  group: GROUP\n  cron: "0 2 * * *"\n  timezone: UTC\n',
    "triggers": "NAME:\n  group: GROUP\n  kind: watermark\n  connection: CONNECTION\n"
    "  sql: SELECT max(changed_at) FROM table\n",
}


@dataclass(frozen=True)
class Draft:
    """A definition as a text, and the version of the record that it was made from. An empty name is a new record."""

    kind: DefinitionKind
    name: str
    text: str
    version: str

    @property
    def label(self) -> str:
        """Such as `module orders`."""
        return record_label(self.kind, self.name) if self.name else f"new {singular(self.kind)}"


@dataclass(frozen=True)
class Plan:
    """What saving a draft would do. `problems` are what stands against it; `change` is None where nothing changes."""

    draft: Draft
    change: PlannedChange | None = None
    problems: Sequence[str] = ()
    warnings: Sequence[str] = ()
    findings: Sequence[Finding] = ()
    #: The record as somebody else has left it meanwhile.
    theirs: str | None = None
    their_change: AuditEntry | None = None


@dataclass(frozen=True)
class Trial:
    """What a run of a module would do, and the first rows of its query; or why that cannot be told."""

    sql: str = ""
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str | None]] = ()
    truncated: bool = False
    problem: str = ""


@dataclass(frozen=True)
class HistoryRow:
    """A change as it is listed: the lines of its plan."""

    entry: AuditEntry
    lines: list[str] = field(default_factory=list)


def text_of(kind: DefinitionKind, record: NamedRecord) -> str:
    """A record as its YAML file would hold it."""
    shown = without_secrets(record) if isinstance(record, Connection) else record
    only: dict[str, Any] = {kind: {shown.name: shown}}
    return to_yaml(Definitions.model_construct(None, **only), [kind])


def draft_of(store: Store, kind: DefinitionKind, name: str) -> Draft:
    """The draft that changes nothing. Raises NotFoundError."""
    record = stored_record(store, kind, name)
    return Draft(kind, name, text_of(kind, record), version_of(record))


def new_draft(store: Store, kind: DefinitionKind, copied: str) -> Draft:
    """A draft of a new record, or of a copy of one. Raises NotFoundError."""
    if copied:
        record = stored_record(store, kind, copied)
        return Draft(kind, "", text_of(kind, record.model_copy(update={"name": f"{copied}-copy"})), "")
    first = "".join(f"  {line}\n" for line in _FIRST_TEXTS[kind].splitlines())
    return Draft(kind, "", f"{kind}:\n{first}", "")


def restored(store: Store, draft: Draft, entry_id: int) -> Draft:
    """The draft with the text that the record had before a change. Raises NotFoundError, ConfigurationError."""
    entry = store.audit.get(entry_id)
    if entry.kind != draft.kind or draft.name not in ("", entry.name):
        raise NotFoundError("version", entry_id)
    return Draft(draft.kind, draft.name, text_of(draft.kind, record_before(entry)), draft.version)


def record_before(entry: AuditEntry) -> NamedRecord:
    """The record as it was before a change. Raises NotFoundError where there was none, ConfigurationError."""
    if entry.before is None:
        raise NotFoundError("version", entry.id)
    try:
        return as_record(entry.kind, entry.before)
    except ValueError as error:
        raise ConfigurationError(f"That version is no valid record for this pipekit: {first_line(error)}") from None


def plan(store: Store, draft: Draft) -> Plan:
    """The same checks and the same plan as `pipekit apply` of this text."""
    try:
        planned = plan_text(store, draft.text)
    except DefinitionsError as error:
        return Plan(draft, problems=error.problems)
    except ConfigurationError as error:
        return Plan(draft, problems=[str(error)])
    changes, stored = planned.plan.changes, store.definitions.load_checked()[0]
    problem = _scope(draft, changes, planned.plan.unchanged)
    if problem:
        return Plan(draft, problems=[problem])
    warnings = [str(warning.what) for warning in planned.warnings]
    change = changes[0] if changes else None
    present = stored.of_kind(draft.kind).get(change.name if change else draft.name)
    if version_of(present) != draft.version:
        if not draft.name:
            return Plan(draft, problems=[f"There is a {singular(draft.kind)} of that name already; edit that one."])
        entries = store.audit.list(draft.kind, draft.name, limit=1)
        renewed = Draft(draft.kind, draft.name, draft.text, version_of(present))
        theirs = text_of(draft.kind, present) if present is not None else "(deleted)"
        return Plan(renewed, change, [], warnings, [], theirs, next(iter(entries), None))
    return Plan(draft, change, [], warnings, _findings(stored, change) if change else [])


def planned_record(store: Store, plan: Plan) -> NamedRecord | None:
    """The record that a plan would leave."""
    stored = store.definitions.load_checked()[0]
    return plan.change.record if plan.change else stored.of_kind(plan.draft.kind).get(plan.draft.name)


def _scope(draft: Draft, changes: Sequence[PlannedChange], unchanged: int) -> str:
    """Why a text is not the one record that a page changes; empty when it is."""
    if len(changes) + unchanged != 1:
        return f"The text must define one {singular(draft.kind)}, and nothing else."
    if changes and changes[0].kind != draft.kind:
        return f"The text must define a {singular(draft.kind)}."
    if draft.name and changes and changes[0].name != draft.name:
        return f"This page changes {draft.name}. For another name, copy it, save the copy, and delete this one."
    if not draft.name and not changes:
        return f"There is a {singular(draft.kind)} of that name already."
    return ""


def _findings(stored: Definitions, change: PlannedChange) -> list[Finding]:
    """What lint says of the record, as it would stand among all others."""
    records = {**stored.of_kind(change.kind), change.name: cast("NamedRecord", change.record)}
    found = lint_definitions(stored.model_copy(update={change.kind: records}))
    return [item for item in found if item.record == record_label(change.kind, change.name)]


def try_module(engine: Engine, record: NamedRecord | None) -> Trial:
    """Ask the databases: all SQL as a run would execute it now, and the first rows of the source query."""
    if not isinstance(record, Module):
        return Trial(problem="Only modules have a query to try.")
    try:
        with asking(engine) as workspace:
            run = workspace.rehearse(record)
            preview = workspace.browser(record.source).preview(run.source_sql, PREVIEW_ROWS)
    except PipekitError as error:
        return Trial(problem=str(error))
    return Trial(run.render(), preview.columns, preview.rows, preview.truncated)


def history(
    store: Store, kind: DefinitionKind | None = None, name: str | None = None, limit: int = 100
) -> list[HistoryRow]:
    """What was changed, newest first, each with what it changed."""
    return [history_row(entry) for entry in store.audit.list(kind, name, limit)]


def history_row(entry: AuditEntry) -> HistoryRow:
    """One change, with what it changed."""
    return HistoryRow(entry, _lines(entry))


def _lines(entry: AuditEntry) -> list[str]:
    if entry.action != "change":
        return []
    try:
        before, after = (
            yaml_form(_shown(as_record(entry.kind, text))) if text is not None else {}
            for text in (entry.before, entry.after)
        )
    except ValueError:
        return []
    return [line for change in field_changes(before, after) for line in change.lines()]


def _shown(record: NamedRecord) -> NamedRecord:
    return without_secrets(record) if isinstance(record, Connection) else record


def stored_record(store: Store, kind: DefinitionKind, name: str) -> NamedRecord:
    """A record of the store, read alone. Raises NotFoundError, ConfigurationError for a broken row."""
    record: NamedRecord = getattr(store.definitions, singular(kind))(name)
    return record
