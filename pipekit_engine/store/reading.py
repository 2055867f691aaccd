"""Definition rows to records.

Each reader gives `(name, build)` pairs: `build()` makes the record or raises, so that a broken row can be named while the
rest is read.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import Table, select

from pipekit_engine import models
from pipekit_engine.models import DefinitionKind
from pipekit_engine.store import schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy import Connection, RowMapping

    Values = RowMapping
    Builder = tuple[str, Callable[[], models.Record]]


def _rows(connection: Connection, table: Table, name: str | None) -> Sequence[Values]:
    query = select(table).order_by(table.c.id)
    return connection.execute(query if name is None else query.where(table.c.name == name)).mappings().all()


def _pick(values: Values, *fields: str) -> dict[str, Any]:
    return {field: values[field] for field in fields}


def _drivers(connection: Connection, name: str | None) -> Iterator[Builder]:
    for values in _rows(connection, schema.driver, name):
        yield values["name"], partial(_driver, values)


def _driver(values: Values) -> models.Driver:
    return models.Driver(**_pick(values, "name", "kind", "jar", "url_template"), class_name=values["class"])


def _connections(connection: Connection, name: str | None) -> Iterator[Builder]:
    for values in _rows(connection, schema.connection, name):
        yield values["name"], partial(_connection, values)


def _connection(values: Values) -> models.Connection:
    fields = ("name", "driver", "jdbc_url", "username", "password", "max_parallel", "staging_schema")
    parts = {field: json.loads(values[field]) for field in ("tls", "tunnel") if values[field]}
    return models.Connection(**_pick(values, *fields), **parts, options=json.loads(values["options"]))


def _modules(connection: Connection, name: str | None) -> Iterator[Builder]:
    rows = _rows(connection, schema.module, name)
    wanted = None if name is None else [values["id"] for values in rows]
    watermarks = _children(connection, schema.watermark, wanted)
    hooks = _children(connection, schema.hook, wanted)
    for values in rows:
        module_id = values["id"]
        yield values["name"], partial(_module, values, watermarks.get(module_id, []), hooks.get(module_id, []))


def _children(connection: Connection, table: Table, modules: Sequence[int] | None) -> dict[int, list[Values]]:
    query = select(table).order_by(table.c.module_id, table.c.position)
    if modules is not None:
        query = query.where(table.c.module_id.in_(modules))
    found: dict[int, list[Values]] = {}
    for values in connection.execute(query).mappings():
        found.setdefault(values["module_id"], []).append(values)
    return found


def _module(values: Values, watermarks: Sequence[Values], hooks: Sequence[Values]) -> models.Module:
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


def _groups(connection: Connection, name: str | None) -> Iterator[Builder]:
    member, module = schema.group_member, schema.module
    query = (
        select(member.c.group_id, member.c.run_order, module.c.name)
        .join(module, module.c.id == member.c.module_id)
        .order_by(member.c.group_id, member.c.run_order, member.c.position)
    )
    layers: dict[int, dict[int, list[str]]] = {}
    for group_id, run_order, module_name in connection.execute(query):
        layers.setdefault(group_id, {}).setdefault(run_order, []).append(module_name)
    for values in _rows(connection, schema.grp, name):
        yield values["name"], partial(_group, values, [*layers.get(values["id"], {}).values()])


def _group(values: Values, layers: Sequence[Sequence[str]]) -> models.Group:
    return models.Group(**_pick(values, "name", "max_parallel", "on_failure"), layers=tuple(map(tuple, layers)))


def _group_names(connection: Connection) -> dict[int, str]:
    return {row.id: row.name for row in connection.execute(select(schema.grp.c.id, schema.grp.c.name))}


def _schedules(connection: Connection, name: str | None) -> Iterator[Builder]:
    groups = _group_names(connection)
    for values in _rows(connection, schema.schedule, name):
        yield values["name"], partial(_schedule, values, groups[values["group_id"]])


def _schedule(values: Values, group: str) -> models.Schedule:
    return models.Schedule(**_pick(values, "name", "cron", "timezone", "enabled", "misfire_grace"), group=group)


def _triggers(connection: Connection, name: str | None) -> Iterator[Builder]:
    groups = _group_names(connection)
    for values in _rows(connection, schema.trigger, name):
        yield values["name"], partial(_trigger, values, groups[values["group_id"]])


def _trigger(values: Values, group: str) -> models.Trigger:
    settings = json.loads(values["settings"])
    return models.Trigger(**_pick(values, "name", "kind", "enabled"), group=group, **settings)


READERS: dict[DefinitionKind, Callable[[Connection, str | None], Iterator[Builder]]] = {
    "drivers": _drivers,
    "connections": _connections,
    "modules": _modules,
    "groups": _groups,
    "schedules": _schedules,
    "triggers": _triggers,
}
