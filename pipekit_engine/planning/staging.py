"""Where a module's rows are staged, and the statements that make, index and drop the staging table."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from pipekit_engine.databases.names import TableName
from pipekit_engine.errors import DestinationError
from pipekit_engine.planning.plan import Staging
from pipekit_engine.strategies.base import CHANGE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipekit_engine.common.columns import Column
    from pipekit_engine.databases.dialects import Dialect
    from pipekit_engine.planning.columns import PlannedColumn

#: The table of the ranges that are staged, as (name, type). Its key keeps a run that lost its lock from adding a range twice.
MARK_COLUMNS = (("n", "INTEGER PRIMARY KEY"), ("state", "TEXT"), ("row_count", "BIGINT"))


def staging_name(module: str, dest: Dialect, schema: str | None, table: TableName, *, suffix: str = "") -> TableName:
    """Where a module's rows are staged. Raises DestinationError if that were the destination itself.

    A `suffix` with a blank in it gives a name that no module has.
    """
    name = f"{module}{suffix}"
    if schema is None:
        name = f"pipekit_staging_{name}"
    limit = dest.capabilities.max_identifier_length
    if len(name.encode()) > limit:
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        name = f"{name.encode()[: limit - 9].decode(errors='ignore')}_{digest}"
    staging = TableName(name=name, schema=schema or table.schema, catalog=table.catalog if schema is None else None)
    if staging.name.casefold() == table.name.casefold() and staging.schema == table.schema:
        # Staging is dropped and made anew: it must never be the destination.
        raise DestinationError(
            f"The destination {table.parts} is also where module {module!r} stages its rows. "
            "Choose another destination schema, or another staging_schema."
        )
    return staging


def plan_staging(
    dest: Dialect,
    staging: TableName,
    table: TableName,
    columns: Sequence[PlannedColumn],
    dest_columns: Sequence[Column] | None,
    *,
    schema: str | None,
    file: str | None,
    filled: Sequence[str],
    changes: tuple[TableName, Sequence[Column]] | None,
    before: Sequence[str] = (),
    as_read: Sequence[PlannedColumn] = (),
    marks: TableName | None = None,
) -> Staging:
    """The statements around a staging table. `before` is what its types need, `filled` what follows once it is filled;
    for the others see `Staging`. `as_read` are columns of staging alone. With `marks`, the name of a table that says how far
    staging goes, both survive a crash.

    `changes` are the name and the key's columns of the table of changes that a merge by difference fills.
    """
    there = {column.name: column for column in dest_columns or () if any(column.name == item.dest for item in columns)}
    if there:
        # In the destination's exact types: a value that it cannot hold is found while staging, not while merging.
        setup = [dest.create_like_sql(staging, table, [there[item.dest] for item in columns if item.dest in there])]
        own = [item for item in (*columns, *as_read) if item.dest not in there]
        setup += [dest.add_column_sql(staging, item.dest, item.dest_type) for item in own]
    else:
        setup = [
            dest.create_table_sql(staging, [(item.dest, item.dest_type) for item in (*columns, *as_read)], staging=True)
        ]
    cleanup = [dest.drop_table_sql(staging)]
    if changes is not None:
        name, key = changes
        setup += [
            dest.create_like_sql(name, table, key),
            dest.add_column_sql(name, CHANGE, dest.change_type),
            *dest.index_staging_sql(name, key),
        ]
        cleanup.append(dest.drop_table_sql(name))
    if marks is not None:
        setup += [*dest.keep_table_sql(staging), dest.create_table_sql(marks, MARK_COLUMNS)]
        cleanup.append(dest.drop_table_sql(marks))
    leftovers: list[str] = []
    attach: list[str] = []
    if dest.capabilities.drop_if_exists:
        setup = [*cleanup, *setup]
    else:
        leftovers = list(cleanup)
    setup = [*before, *setup]
    if file is not None:
        attach, detach = dest.attach_sql(file, staging.schema or "", durable=marks is not None)
        setup, cleanup = [*attach, *setup], [*cleanup, *detach]
    return Staging(
        dest.table_sql(staging),
        schema,
        file,
        tuple(leftovers),
        tuple(setup),
        tuple(filled),
        tuple(cleanup),
        tuple(as_read),
        tuple(attach),
    )
