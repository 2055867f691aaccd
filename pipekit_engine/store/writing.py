"""Records to definition rows: insert or update by name, and delete what nothing refers to any more."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import Table, delete, insert, select, update

from pipekit_engine import models
from pipekit_engine.errors import ConfigurationError, NotFoundError
from pipekit_engine.models import DefinitionKind, record_label, singular
from pipekit_engine.store import schema

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from sqlalchemy import Connection

_MODULE_COLUMNS = ("source", "dest", "query", "dest_table", "strategy", "enabled")
#: Fields of a module that have no column of their own: a new one needs nothing here.
_MODULE_OPTIONS = frozenset(models.Module.model_fields).difference(
    _MODULE_COLUMNS, ("name", "merge_key", "columns", "watermarks", "hooks")
)
_TRIGGER_SETTINGS = ("connection", "sql", "after", "every")


def _put(connection: Connection, table: Table, name: str, values: Mapping[str, Any], now: datetime) -> int:
    """Insert or update the row of that name, leaving columns that are not given as they are. Gives its id."""
    values = {**values, "updated_at": now}
    row_id = connection.execute(select(table.c.id).where(table.c.name == name)).scalar()
    if row_id is None:
        return int(connection.execute(insert(table).values(name=name, **values).returning(table.c.id)).scalar_one())
    connection.execute(update(table).where(table.c.id == row_id).values(**values))
    return int(row_id)


def _id_of(connection: Connection, kind: DefinitionKind, name: str, wanted_by: str) -> int:
    table = schema.DEFINITION_TABLES[kind]
    row_id = connection.execute(select(table.c.id).where(table.c.name == name)).scalar()
    if row_id is None:
        known = connection.execute(select(table.c.name)).scalars().all()
        raise ConfigurationError(f"{wanted_by}: {NotFoundError(singular(kind), name, known)}")
    return int(row_id)


def _write_driver(connection: Connection, record: models.Driver, now: datetime) -> None:
    values = {field: getattr(record, field) for field in ("kind", "jar", "class_name", "url_template")}
    _put(connection, schema.driver, record.name, values, now)


def _write_connection(connection: Connection, record: models.Connection, now: datetime) -> None:
    _id_of(connection, "drivers", record.driver, f"connection {record.name}: driver")
    fields = ("driver", "jdbc_url", "username", "password", "max_parallel", "staging_schema")
    values = {field: getattr(record, field) for field in fields}
    values["options"] = json.dumps(record.options)
    values |= {
        field: part and part.model_dump_json(exclude_defaults=True)
        for field, part in (("tls", record.tls), ("tunnel", record.tunnel))
    }
    _put(connection, schema.connection, record.name, values, now)


def _write_module(connection: Connection, record: models.Module, now: datetime) -> None:
    named = [("source", record.source), ("dest", record.dest)]
    named += [(f"watermark {item.name}", item.connection) for item in record.watermarks]
    named += [("hook", item.connection) for item in record.hooks if item.connection]
    for field, name in named:
        _id_of(connection, "connections", name, f"module {record.name}: {field}")
    values = {
        **{field: getattr(record, field) for field in _MODULE_COLUMNS},
        "merge_key": ",".join(record.merge_key),
        "columns_json": json.dumps([column.model_dump() for column in record.columns], ensure_ascii=False),
        "options_json": record.model_dump_json(include=set(_MODULE_OPTIONS), exclude_defaults=True),
    }
    divided = _partitioning(connection, record.name)
    module_id = _put(connection, schema.module, record.name, values, now)
    if divided != _partitioning(connection, record.name):
        filled = schema.module_partition
        connection.execute(delete(filled).where(filled.c.module_id == module_id))
    for table in (schema.watermark, schema.hook):
        connection.execute(delete(table).where(table.c.module_id == module_id))
    for position, item in enumerate(record.watermarks):
        connection.execute(
            insert(schema.watermark).values(
                module_id=module_id,
                position=position,
                name=item.name,
                connection=item.connection,
                resolver_sql=item.resolver_sql,
                default_value=item.default,
            )
        )
    for position, hook in enumerate(record.hooks):
        connection.execute(insert(schema.hook).values(module_id=module_id, position=position, **hook.model_dump()))


def _partitioning(connection: Connection, name: str) -> Any:
    """What the partitions of a module that are said to be filled rest on."""
    module = schema.module
    columns = (module.c.dest, module.c.dest_table, module.c.options_json)
    row = connection.execute(select(*columns).where(module.c.name == name)).first()
    return row and (row.dest, row.dest_table, json.loads(row.options_json).get("partition"))


def _write_group(connection: Connection, record: models.Group, now: datetime) -> None:
    values = {field: getattr(record, field) for field in ("max_parallel", "on_failure", "spread")}
    group_id = _put(connection, schema.grp, record.name, values, now)
    connection.execute(delete(schema.group_member).where(schema.group_member.c.group_id == group_id))
    for run_order, layer in enumerate(record.layers, start=1):
        for position, member in enumerate(layer):
            module_id = _id_of(connection, "modules", member, f"group {record.name}: members")
            connection.execute(
                insert(schema.group_member).values(
                    group_id=group_id, module_id=module_id, run_order=run_order, position=position
                )
            )


def _write_schedule(connection: Connection, record: models.Schedule, now: datetime) -> None:
    group_id = _id_of(connection, "groups", record.group, f"schedule {record.name}: group")
    fields = ("cron", "timezone", "enabled", "misfire_grace")
    values = {field: getattr(record, field) for field in fields}
    _put(connection, schema.schedule, record.name, {**values, "group_id": group_id}, now)


def _write_trigger(connection: Connection, record: models.Trigger, now: datetime) -> None:
    group_id = _id_of(connection, "groups", record.group, f"trigger {record.name}: group")
    if record.after is not None:
        _id_of(connection, "groups", record.after, f"trigger {record.name}: after")
    if record.connection is not None:
        _id_of(connection, "connections", record.connection, f"trigger {record.name}: connection")
    settings = record.model_dump_json(include=set(_TRIGGER_SETTINGS), exclude_none=True)
    values = {"kind": record.kind, "enabled": record.enabled, "settings": settings, "group_id": group_id}
    _put(connection, schema.trigger, record.name, values, now)


WRITERS: dict[DefinitionKind, Callable[[Connection, Any, datetime], None]] = {
    "drivers": _write_driver,
    "connections": _write_connection,
    "modules": _write_module,
    "groups": _write_group,
    "schedules": _write_schedule,
    "triggers": _write_trigger,
}


def delete_record(connection: Connection, kind: DefinitionKind, name: str) -> None:
    table = schema.DEFINITION_TABLES[kind]
    row_id = _id_of(connection, kind, name, f"delete {name}")
    if (
        kind in ("modules", "groups")
        and connection.execute(select(table.c.running).where(table.c.id == row_id)).scalar()
    ):
        raise ConfigurationError(f"{record_label(kind, name)} is running; cancel it or wait before it is deleted.")
    user = _first_user(connection, kind, name, row_id)
    if user:
        raise ConfigurationError(f"{record_label(kind, name)} is still used by {user}.")
    connection.execute(delete(table).where(table.c.id == row_id))


def _first_user(connection: Connection, kind: DefinitionKind, name: str, row_id: int) -> str | None:
    """Something that still refers to the record, said for people."""
    module, member = schema.module, schema.group_member
    owner = select(module.c.name)
    questions: dict[DefinitionKind, list[tuple[str, Any]]] = {
        "drivers": [("connection", select(schema.connection.c.name).where(schema.connection.c.driver == name))],
        "connections": [
            ("module", owner.where((module.c.source == name) | (module.c.dest == name))),
            ("a watermark of module", owner.join(schema.watermark).where(schema.watermark.c.connection == name)),
            ("a hook of module", owner.join(schema.hook).where(schema.hook.c.connection == name)),
            ("trigger", _triggers_with(connection, "connection", name)),
        ],
        "modules": [("group", select(schema.grp.c.name).join(member).where(member.c.module_id == row_id))],
        "groups": [
            ("schedule", select(schema.schedule.c.name).where(schema.schedule.c.group_id == row_id)),
            ("trigger", select(schema.trigger.c.name).where(schema.trigger.c.group_id == row_id)),
            ("trigger", _triggers_with(connection, "after", name)),
        ],
    }
    for what, query in questions.get(kind, ()):
        user = connection.execute(query.limit(1)).scalar()
        if user is not None:
            return f"{what} {user}"
    return None


def _triggers_with(connection: Connection, setting: str, value: str) -> Any:
    rows = connection.execute(select(schema.trigger.c.id, schema.trigger.c.settings)).all()
    ids = [row.id for row in rows if json.loads(row.settings).get(setting) == value]
    return select(schema.trigger.c.name).where(schema.trigger.c.id.in_(ids))
