"""The audit table: who changed which definition, when, and how it was before and after. Written with the change itself."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from sqlalchemy import insert, or_, select, update

from pipekit_engine.errors import NotFoundError
from pipekit_engine.models import RECORD_TYPES
from pipekit_engine.store import schema

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy import Connection, RowMapping

    from pipekit_engine.models import DefinitionKind, NamedRecord
    from pipekit_engine.store.database import Database


#: How `by` begins for what a person did on a page or by REST, and a program with a token; the name follows.
BY_USER, BY_TOKEN = "user:", "token:"
#: Who switched something in Dagster by another way than our web server.
BY_DAGSTER = "dagster"


@dataclass(frozen=True)
class AuditEntry:
    """One change of one definition. `before` and `after` are JSON texts; None where there was, or is, no such record."""

    id: int
    at: datetime
    by: str
    action: str
    kind: DefinitionKind
    name: str
    before: str | None
    after: str | None
    #: Whether the YAML files say the same since: the change was written back, pulled or applied.
    in_files: bool = False

    @property
    def apart_from_files(self) -> bool:
        """Whether somebody changed the record elsewhere than in the files, which do not say so."""
        return not self.in_files and self.by.startswith((BY_USER, BY_TOKEN, BY_DAGSTER))


class AuditStore:
    """Reads what was changed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(self, kind: DefinitionKind | None = None, name: str | None = None, limit: int = 100) -> list[AuditEntry]:
        """Changes, newest first; of one kind, of one record."""
        table = schema.audit
        query = select(table).order_by(table.c.id.desc()).limit(limit)
        for column, wanted in ((table.c.kind, kind), (table.c.name, name)):
            if wanted is not None:
                query = query.where(column == wanted)
        with self._database.read() as connection:
            return [_entry(row) for row in connection.execute(query).mappings()]

    def mark_in_files(self, records: Iterable[tuple[DefinitionKind, str]]) -> None:
        """Note that the YAML files say what the store says of these records."""
        table, wanted = schema.audit, set(records)
        if not wanted:
            return
        query = select(table.c.id, table.c.kind, table.c.name).where(
            table.c.in_files.is_(False), or_(*(table.c.by.startswith(who) for who in (BY_USER, BY_TOKEN, BY_DAGSTER)))
        )
        with self._database.write() as connection:
            for row in connection.execute(query).all():
                if (row.kind, row.name) in wanted:
                    connection.execute(update(table).where(table.c.id == row.id).values(in_files=True))

    def get(self, entry_id: int) -> AuditEntry:
        """One change. Raises NotFoundError."""
        with self._database.read() as connection:
            row = connection.execute(select(schema.audit).where(schema.audit.c.id == entry_id)).mappings().first()
        if row is None:
            raise NotFoundError("change", entry_id)
        return _entry(row)


def _entry(row: RowMapping) -> AuditEntry:
    values = dict(row)
    return AuditEntry(**{**values, "kind": cast("DefinitionKind", values["kind"])})


def as_text(record: NamedRecord | None) -> str | None:
    """A record as the audit keeps it; None for none."""
    if record is None:
        return None
    fields = record.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return json.dumps(fields, ensure_ascii=False, sort_keys=True)


def as_record(kind: DefinitionKind, text: str) -> NamedRecord:
    """Back from `as_text`. Raises ValueError when this version of pipekit takes it for no record any more."""
    return RECORD_TYPES[kind].model_validate(json.loads(text))


def version_of(record: NamedRecord | None) -> str:
    """A text that differs whenever the record does; empty for none."""
    text = as_text(record)
    return "" if text is None else hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def note_change(
    connection: Connection,
    now: datetime,
    by: str,
    action: str,
    kind: DefinitionKind,
    name: str,
    before: NamedRecord | None,
    after: NamedRecord | None,
) -> None:
    """Write one change down, inside the transaction that makes it."""
    connection.execute(
        insert(schema.audit).values(
            at=now, by=by, action=action, kind=kind, name=name, before=as_text(before), after=as_text(after)
        )
    )
