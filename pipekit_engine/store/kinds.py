"""The kinds of definitions, and the tables that hold them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Table

from pipekit_engine.store import schema

Kind = Literal["drivers", "connections", "modules", "groups", "schedules", "triggers"]

#: In the order in which one kind refers to those before it.
KINDS: tuple[Kind, ...] = ("drivers", "connections", "modules", "groups", "schedules", "triggers")

TABLES: dict[Kind, Table] = {
    "drivers": schema.driver,
    "connections": schema.connection,
    "modules": schema.module,
    "groups": schema.grp,
    "schedules": schema.schedule,
    "triggers": schema.trigger,
}


@dataclass(frozen=True)
class Change:
    """One step of an apply. `record` is the new state; None for a delete."""

    action: Literal["create", "change", "delete"]
    kind: Kind
    name: str
    record: Any = None


@dataclass(frozen=True)
class BrokenRecord:
    """A row that is no valid record, with what is wrong with it."""

    kind: Kind
    name: str
    problem: str
