"""Definitions in the state store: read as records, and all changes of one `apply` made in one transaction."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from pydantic import ValidationError

from pipekit_engine import models
from pipekit_engine.common.validation import describe
from pipekit_engine.errors import ConfigurationError, NotFoundError, RecordChanged
from pipekit_engine.models import DEFINITION_KINDS, DefinitionKind, NamedRecord, record_label, singular
from pipekit_engine.store.reading import DEFINITION_TABLES, READERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipekit_engine.store.database import Database
    from pipekit_engine.store.dbapi import Transaction

R = TypeVar("R", bound=NamedRecord)

#: Columns that say how things run, not what is defined.
_STATE_COLUMNS = frozenset(
    {"id", "updated_at", "last_fired_at", "cursor", "switch_seen", "running", "heartbeat_at"}
    | {f"running_{part}" for part in ("token", "owner", "child", "since")}
)
#: The tables of definitions, and the columns that put their rows in order.
_FINGERPRINTED = {
    **dict.fromkeys((*DEFINITION_TABLES.values(), "watermark", "hook"), "id"),
    "group_member": "group_id, module_id",
}

Action = Literal["create", "change", "delete"]


@dataclass(frozen=True)
class Change:
    """One step of an apply. `record` is the new state; None for a delete."""

    action: Action
    kind: DefinitionKind
    name: str
    record: NamedRecord | None = None


@dataclass(frozen=True)
class BrokenRecord:
    """A row that is no valid record, with what is wrong with it."""

    kind: DefinitionKind
    name: str
    problem: str

    @property
    def label(self) -> str:
        """The record for a person, such as `module orders`."""
        return record_label(self.kind, self.name)


class DefinitionStore:
    """Reads and writes definitions. Never touches locks, `last_fired_at`, cursors or runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self) -> models.Definitions:
        """All definitions. Raises ConfigurationError naming every row that is not valid."""
        definitions, broken = self.load_checked()
        if broken:
            raise ConfigurationError("\n".join(f"{item.label}: {item.problem}" for item in broken))
        return definitions

    def load_checked(self) -> tuple[models.Definitions, list[BrokenRecord]]:
        """All valid definitions, and the rows that are not: one broken row hides nothing else."""
        found: dict[str, dict[str, Any]] = {}
        broken: list[BrokenRecord] = []
        with self._database.plain_read() as transaction:
            for kind in DEFINITION_KINDS:
                found[kind] = {}
                for name, build in READERS[kind](transaction, None):
                    try:
                        found[kind][name] = build()
                    except (ValidationError, ValueError) as error:
                        broken.append(BrokenRecord(kind, name, _problem(error)))
        return models.Definitions(**cast("Any", found)), broken

    def driver(self, name: str) -> models.Driver:
        """A driver by name. Raises NotFoundError, ConfigurationError for a broken row."""
        return self._one("drivers", name, models.Driver)

    def connection(self, name: str) -> models.Connection:
        """A connection by name. Raises as `driver`."""
        return self._one("connections", name, models.Connection)

    def module(self, name: str) -> models.Module:
        """A module by name. Raises as `driver`."""
        return self._one("modules", name, models.Module)

    def group(self, name: str) -> models.Group:
        """A group by name. Raises as `driver`."""
        return self._one("groups", name, models.Group)

    def schedule(self, name: str) -> models.Schedule:
        """A schedule by name. Raises as `driver`."""
        return self._one("schedules", name, models.Schedule)

    def trigger(self, name: str) -> models.Trigger:
        """A trigger by name. Raises as `driver`."""
        return self._one("triggers", name, models.Trigger)

    def find(self, kind: DefinitionKind, name: str) -> NamedRecord | None:
        """A record of any kind; None when there is none, or none that can be read."""
        with self._database.plain_read() as transaction:
            return _present(transaction, kind, name)

    def _one(self, kind: DefinitionKind, name: str, record: type[R]) -> R:
        with self._database.plain_read() as transaction:
            for _, build in READERS[kind](transaction, name):
                try:
                    return cast("R", build())
                except (ValidationError, ValueError) as error:
                    raise ConfigurationError(f"{record_label(kind, name)}: {_problem(error)}") from None
            known = transaction.execute(f"SELECT name FROM {DEFINITION_TABLES[kind]}").scalars()
        raise NotFoundError(singular(kind), name, known)

    def fingerprint(self) -> str:
        """Changes whenever a definition changes, also by hand in the database; never by a run or a tick."""
        digest = hashlib.sha256()
        with self._database.plain_read() as transaction:
            for table, key in _FINGERPRINTED.items():
                for row in transaction.execute(f"SELECT * FROM {table} ORDER BY {key}").rows:
                    digest.update(repr([value for name, value in row.items() if name not in _STATE_COLUMNS]).encode())
        return digest.hexdigest()

    def last_change(self) -> int:
        """The number of the newest change, which grows also where a change takes another one back; 0 without any."""
        with self._database.plain_read() as transaction:
            (row,) = transaction.execute("SELECT MAX(id) AS newest FROM audit").rows
        return row["newest"] or 0

    def save(
        self,
        changes: Sequence[Change],
        *,
        by: str = "command",
        expected: Mapping[tuple[DefinitionKind, str], str] | None = None,
    ) -> None:
        """Make all changes in one transaction, or none, and write down who made them.

        `expected` holds the versions (`audit.version_of`) of the records that the changes were made from: RecordChanged is
        raised where the store holds another one by now. Raises ConfigurationError when a change cannot be made.
        """
        if not changes:
            return
        from sqlalchemy import update

        from pipekit_engine.store import schema
        from pipekit_engine.store.audit import note_change, version_of
        from pipekit_engine.store.database import within
        from pipekit_engine.store.writing import WRITERS, delete_record

        now = datetime.now(timezone.utc)
        with self._database.write() as connection:
            for change in changes:
                before = _present(within(connection), change.kind, change.name)
                wanted = (expected or {}).get((change.kind, change.name))
                if wanted is not None and version_of(before) != wanted:
                    raise RecordChanged(record_label(change.kind, change.name))
                note_change(connection, now, by, change.action, change.kind, change.name, before, change.record)
            for kind in DEFINITION_KINDS:
                for change in changes:
                    if change.kind == kind and change.action != "delete":
                        WRITERS[kind](connection, change.record, now)
            for kind in reversed(DEFINITION_KINDS):
                for change in changes:
                    if change.kind == kind and change.action == "delete":
                        delete_record(connection, kind, change.name)
            version = schema.definitions_version
            connection.execute(update(version).values(version=version.c.version + 1, changed_at=now))


def _present(transaction: Transaction, kind: DefinitionKind, name: str) -> NamedRecord | None:
    """The record as it is now; None where there is none, or none that can be read."""
    for _, build in READERS[kind](transaction, name):
        try:
            return cast("NamedRecord", build())
        except (ValidationError, ValueError):
            return None
    return None


def _problem(error: Exception) -> str:
    return describe(error) if isinstance(error, ValidationError) else str(error)
