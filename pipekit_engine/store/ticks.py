"""Which ticks of a schedule have fired, and how far a trigger has looked: compare and set, so that nothing fires twice."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Literal

from sqlalchemy import Table, or_, select, update

from pipekit_engine.errors import NotFoundError
from pipekit_engine.store import schema

if TYPE_CHECKING:
    from pipekit_engine.store.database import Database

Claim = Literal["claimed", "same", "past"]
SwitchKind = Literal["schedules", "triggers"]


@dataclass(frozen=True)
class Switch:
    """`enabled` of a schedule or trigger, and what Dagster's switch said when last looked at; None before the first look."""

    enabled: bool
    seen: str | None


class TickStore:
    """`last_fired_at` of schedules and the cursors of triggers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, schedule: str, tick: datetime) -> Claim:
        """Write `tick` as fired, before its run is requested.

        `claimed`: this call wrote it. `same`: an earlier evaluation of the very same tick did; request the same run again.
        `past`: a later tick has fired, or the tick lies before the schedule's last edit; request nothing.
        Raises NotFoundError when the schedule is gone.
        """
        table = schema.schedule
        tick = tick.astimezone(timezone.utc)
        with self._database.write() as connection:
            changed = connection.execute(
                update(table)
                .where(
                    table.c.name == schedule,
                    or_(table.c.last_fired_at.is_(None), table.c.last_fired_at < tick),
                    table.c.updated_at < tick,
                )
                .values(last_fired_at=tick)
            ).rowcount
            if changed == 1:
                return "claimed"
            row = connection.execute(select(table.c.last_fired_at).where(table.c.name == schedule)).first()
        if row is None:
            raise NotFoundError("schedule", schedule)
        return "same" if row.last_fired_at == tick else "past"

    def last_fired_at(self, schedule: str) -> datetime | None:
        """The newest tick that fired; None before the first. Raises NotFoundError."""
        found: datetime | None = self._field(schema.schedule, "schedule", schedule, "last_fired_at")  # type: ignore[assignment]
        return found

    def all_fired(self) -> dict[str, datetime]:
        """The newest tick that fired, of each schedule of which one did."""
        table = schema.schedule
        with self._database.read() as connection:
            rows = connection.execute(select(table.c.name, table.c.last_fired_at)).all()
        return {row.name: row.last_fired_at for row in rows if row.last_fired_at is not None}

    def trigger_cursor(self, trigger: str) -> str | None:
        """The value that the trigger saw last; None before the first. Raises NotFoundError."""
        found: str | None = self._field(schema.trigger, "trigger", trigger, "cursor")  # type: ignore[assignment]
        return found

    def set_trigger_cursor(self, trigger: str, value: str | None) -> None:
        """Note the value that the trigger saw."""
        with self._database.write() as connection:
            connection.execute(update(schema.trigger).where(schema.trigger.c.name == trigger).values(cursor=value))

    def switches(self, kind: SwitchKind) -> dict[str, Switch]:
        """Whether each schedule or trigger is on, and what Dagster's own switch was known to say last."""
        table = schema.DEFINITION_TABLES[kind]
        with self._database.read() as connection:
            rows = connection.execute(select(table.c.name, table.c.enabled, table.c.switch_seen)).all()
        return {row.name: Switch(row.enabled, row.switch_seen) for row in rows}

    def note_switch(self, kind: SwitchKind, name: str, said: str) -> None:
        """Note what Dagster's switch says: this much of it is known here."""
        table = schema.DEFINITION_TABLES[kind]
        with self._database.write() as connection:
            connection.execute(update(table).where(table.c.name == name).values(switch_seen=said))

    def _field(self, table: Table, what: str, name: str, field: str) -> object:
        with self._database.read() as connection:
            row = connection.execute(select(table.c[field]).where(table.c.name == name)).first()
        if row is None:
            raise NotFoundError(what, name)
        value: object = row[0]
        return value
