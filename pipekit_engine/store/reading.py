"""Definition rows to records.

Each reader gives `(name, build)` pairs: `build()` makes the record or raises, so that a broken row can be named while the
rest is read.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from pipekit_engine import models
from pipekit_engine.models import DefinitionKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pipekit_engine.store.dbapi import Row, Transaction

    Builder = tuple[str, Callable[[], models.Record]]


def _rows(transaction: Transaction, table: str, name: str | None) -> list[Row]:
    if name is None:
        return transaction.execute(f"SELECT * FROM {table} ORDER BY id").rows
    return transaction.execute(f"SELECT * FROM {table} WHERE name = :name", {"name": name}).rows


def _pick(values: Row, *fields: str) -> dict[str, Any]:
    return {field: values[field] for field in fields}


def _drivers(transaction: Transaction, name: str | None) -> Iterator[Builder]:
    for values in _rows(transaction, "driver", name):
        yield values["name"], partial(_driver, values)


def _driver(values: Row) -> models.Driver:
    return models.Driver(**_pick(values, "name", "kind", "jar", "url_template"), class_name=values["class"])


def _connections(transaction: Transaction, name: str | None) -> Iterator[Builder]:
    for values in _rows(transaction, "connection", name):
        yield values["name"], partial(_connection, values)


def _connection(values: Row) -> models.Connection:
    fields = ("name", "driver", "jdbc_url", "username", "password", "max_parallel", "staging_schema")
    parts = {field: json.loads(values[field]) for field in ("tls", "tunnel") if values[field]}
    return models.Connection(**_pick(values, *fields), **parts, options=json.loads(values["options"]))


def _modules(transaction: Transaction, name: str | None) -> Iterator[Builder]:
    rows = _rows(transaction, "module", name)
    watermarks = _children(transaction, "watermark", name)
    hooks = _children(transaction, "hook", name)
    for values in rows:
        module_id = values["id"]
        yield values["name"], partial(_module, values, watermarks.get(module_id, []), hooks.get(module_id, []))


def _children(transaction: Transaction, table: str, module: str | None) -> dict[int, list[Row]]:
    """The rows of a table by the modules that they belong to, in their order; those of one module if it is named."""
    query = f"SELECT {table}.* FROM {table}"
    if module is not None:
        query += f" JOIN module ON module.id = {table}.module_id WHERE module.name = :module"
    query += f" ORDER BY {table}.module_id, {table}.position"
    found: dict[int, list[Row]] = {}
    for values in transaction.execute(query, {} if module is None else {"module": module}).rows:
        found.setdefault(values["module_id"], []).append(values)
    return found


def _module(values: Row, watermarks: Sequence[Row], hooks: Sequence[Row]) -> models.Module:
    return models.Module(
        **_pick(values, "name", "source", "dest", "query", "dest_table", "strategy", "merge_key", "enabled"),
        columns=[_column(item) for item in json.loads(values["columns_json"])],
        watermarks=tuple(
            models.Watermark(**_pick(item, "name", "connection", "resolver_sql"), default=item["default_value"])
            for item in watermarks
        ),
        hooks=tuple(models.Hook(**_pick(item, "run_order", "run_on", "sql", "connection")) for item in hooks),
        **json.loads(values["options_json"]),
    )


def _column(stored: dict[str, Any]) -> models.Column:
    """A column of a module, without the note of the source's type that older definitions may hold."""
    return models.Column(**{key: value for key, value in stored.items() if key != "source_type"})


def _groups(transaction: Transaction, name: str | None) -> Iterator[Builder]:
    query = (
        "SELECT group_member.group_id, group_member.run_order, module.name FROM group_member "
        "JOIN module ON module.id = group_member.module_id "
    )
    if name is not None:
        query += "JOIN grp ON grp.id = group_member.group_id WHERE grp.name = :name "
    query += "ORDER BY group_member.group_id, group_member.run_order, group_member.position"
    layers: dict[int, dict[int, list[str]]] = {}
    for row in transaction.execute(query, {} if name is None else {"name": name}).rows:
        layers.setdefault(row["group_id"], {}).setdefault(row["run_order"], []).append(row["name"])
    for values in _rows(transaction, "grp", name):
        yield values["name"], partial(_group, values, [*layers.get(values["id"], {}).values()])


def _group(values: Row, layers: Sequence[Sequence[str]]) -> models.Group:
    return models.Group(
        **_pick(values, "name", "max_parallel", "on_failure", "spread"), layers=tuple(map(tuple, layers))
    )


def _group_names(transaction: Transaction, table: str, name: str | None) -> dict[int, str]:
    """Names of groups by their ids: all, or that which one record of `table` is for."""
    query = "SELECT id, name FROM grp"
    if name is not None:
        query += f" WHERE id IN (SELECT group_id FROM {table} WHERE name = :name)"
    return {row["id"]: row["name"] for row in transaction.execute(query, {} if name is None else {"name": name}).rows}


def _schedules(transaction: Transaction, name: str | None) -> Iterator[Builder]:
    groups = _group_names(transaction, "schedule", name)
    for values in _rows(transaction, "schedule", name):
        yield values["name"], partial(_schedule, values, groups[values["group_id"]])


def _schedule(values: Row, group: str) -> models.Schedule:
    return models.Schedule(**_pick(values, "name", "cron", "timezone", "enabled", "misfire_grace"), group=group)


def _triggers(transaction: Transaction, name: str | None) -> Iterator[Builder]:
    groups = _group_names(transaction, "trigger", name)
    for values in _rows(transaction, "trigger", name):
        yield values["name"], partial(_trigger, values, groups[values["group_id"]])


def _trigger(values: Row, group: str) -> models.Trigger:
    settings = json.loads(values["settings"])
    return models.Trigger(**_pick(values, "name", "kind", "enabled"), group=group, **settings)


DEFINITION_TABLES: dict[DefinitionKind, str] = {
    "drivers": "driver",
    "connections": "connection",
    "modules": "module",
    "groups": "grp",
    "schedules": "schedule",
    "triggers": "trigger",
}

READERS: dict[DefinitionKind, Callable[[Transaction, str | None], Iterator[Builder]]] = {
    "drivers": _drivers,
    "connections": _connections,
    "modules": _modules,
    "groups": _groups,
    "schedules": _schedules,
    "triggers": _triggers,
}
