"""The plan of a module run: every statement that will be executed, made from descriptions alone.

`plan_run` is pure: the same module, values and descriptions give the same plan. A dry run prints the very object that a
real run executes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pipekit_engine.databases.names import TableName
from pipekit_engine.databases.remarks import TableRemarks
from pipekit_engine.errors import DestinationError
from pipekit_engine.planning.columns import PlannedColumn, plan_columns, resolve_key
from pipekit_engine.planning.strategies import Statement, merge_statements
from pipekit_engine.sql.text import as_subquery, materialize, placeholders, split_statements

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipekit_engine.common.columns import Column
    from pipekit_engine.databases.dialects import Dialect
    from pipekit_engine.models import Module, ResolvedWatermark, RunOn


@dataclass(frozen=True)
class PlannedHook:
    """A hook's statements, and the connection on which they run."""

    run_on: RunOn
    connection: str
    statements: tuple[str, ...]


@dataclass(frozen=True)
class Staging:
    """The staging table: its name, what makes it, what follows once it is filled, and what takes it away.

    `leftover` drops what a killed run may have left, where `setup` cannot say IF EXISTS; it fails when there is nothing.
    """

    table: str
    leftover: str | None
    setup: tuple[str, ...]
    filled: tuple[str, ...]
    cleanup: tuple[str, ...]


@dataclass(frozen=True)
class Checks:
    """Queries on the staging table, before the merge. Each gives one number, but for the sample."""

    count: str
    null_keys: str | None = None
    distinct_keys: str | None = None
    duplicate_sample: str | None = None
    #: upsert: staged keys that the destination has already.
    matched: str | None = None
    #: Where the destination's collation blurs texts that the source tells apart: staged keys that it takes for one, and keys
    #: of the destination that it takes for staged ones. Samples, empty when all is well.
    folded: str | None = None
    blurred: str | None = None
    #: full with max_shrink_percent: rows in the destination now.
    dest_count: str | None = None


@dataclass(frozen=True)
class RunPlan:
    """All that a run will do. `merge` runs in one transaction; `prepare` holds DDL that cannot be rolled back there."""

    module: Module
    source_sql: str
    watermarks: Mapping[str, ResolvedWatermark]
    columns: tuple[PlannedColumn, ...]
    key: tuple[str, ...]
    dest_table: str
    creates_destination: bool
    staging: Staging
    checks: Checks
    prepare: tuple[str, ...]
    #: Comments on what `prepare` made; one that fails is told, and costs nothing else.
    comments: tuple[str, ...]
    undo_prepare: tuple[str, ...]
    merge: tuple[Statement, ...]
    hooks: tuple[PlannedHook, ...]
    warnings: tuple[str, ...] = field(default=())

    @property
    def merge_sql(self) -> str:
        """The merge as a script, for run_log and people."""
        return ";\n".join((*self.prepare, *self.comments, *(statement.sql for statement in self.merge)))

    def render(self) -> str:
        """The whole plan as a readable script."""
        module = self.module
        lines = [
            f"-- pipekit plan of module {module.name}: {module.source} -> {module.dest}, strategy {module.strategy}"
        ]
        lines += [f"-- {{{name}}} = {mark.value!r} ({mark.origin})" for name, mark in self.watermarks.items()]
        lines += [f"-- warning: {warning}" for warning in self.warnings]
        lines += _section(f"source query, on {module.source}", [self.source_sql])
        lines += _section(f"staging, on {module.dest}", (*self.staging.setup, *self.staging.filled))
        if self.prepare:
            lines += _section(
                f"destination, on {module.dest} (this database commits DDL at once)", (*self.prepare, *self.comments)
            )
        lines += _section(f"merge, on {module.dest}, in one transaction", [item.sql for item in self.merge])
        for hook in self.hooks:
            lines += _section(f"hook on {hook.run_on}, on {hook.connection}", hook.statements)
        lines += _section(f"clean up, on {module.dest}", self.staging.cleanup)
        return "\n".join(lines) + "\n"


def _section(title: str, statements: Sequence[str]) -> list[str]:
    return ["", f"-- {title}", *(f"{statement};" for statement in statements)]


def plan_run(
    module: Module,
    *,
    source: Dialect,
    dest: Dialect,
    watermarks: Mapping[str, ResolvedWatermark],
    source_columns: Sequence[Column],
    dest_columns: Sequence[Column] | None,
    staging_schema: str | None,
    staging_file: str | None = None,
    remarks: TableRemarks | None = None,
    hook_dialects: Mapping[str, Dialect] | None = None,
) -> RunPlan:
    """Plan a run.

    `source_columns` describe the materialized source query, `dest_columns` the destination table (None: it does not exist).
    `staging_schema` None puts staging beside the destination; `staging_file` is SQLite's attached file. `remarks` on the
    source, its columns by their names in the query, become comments of a new destination and of new columns.
    `hook_dialects` are those of the connections that hooks name.
    Raises DestinationError when destination and columns do not fit, ConfigurationError for names that cannot be used.
    """
    values = {name: mark.value for name, mark in watermarks.items()}
    lexis = source.capabilities.lexis
    source_sql = as_subquery(materialize(module.query, values, lexis), lexis)
    table = dest.table_name(module.dest_table)
    layout = plan_columns(module, source, dest, source_columns, dest_columns)
    key = resolve_key(module, layout.columns)
    creates = dest_columns is None
    if creates:
        keyed = _key_types(module, dest, layout.columns, key, exact=source.capabilities.exact_text)
        layout = replace(layout, columns=keyed)
    staging_table = staging_name(module.name, dest, staging_schema, table)
    index: list[str] = []
    blurred = _blurred_keys(source, dest, key, dest_columns)
    if dest_columns is not None and (module.strategy == "upsert" or (blurred and module.strategy == "incremental")):
        keyed_columns = [column for name in key for column in dest_columns if column.name == name]
        # A key that is new to the table has nothing to be matched with.
        index = dest.index_staging_sql(staging_table, keyed_columns) if len(keyed_columns) == len(key) else []
    staging = _staging(dest, staging_table, table, layout.columns, dest_columns, index, staging_file)
    ddl: list[str] = []
    if creates:
        ddl.append(dest.create_table_sql(table, _typed(layout.columns)))
    ddl += [dest.add_column_sql(table, column.dest, column.dest_type) for column in layout.added]
    comments: list[str] = []
    if remarks:
        made = layout.columns if creates else layout.added
        comments = dest.comment_sql(table, _in_dest_names(remarks, made, new_table=creates), _typed(made))
    merge = merge_statements(
        module,
        dest,
        dest_sql=dest.table_sql(table),
        staging_sql=staging.table,
        columns=[column.dest for column in layout.columns],
        key=key,
        dedupe_column=layout.dest_name(module.dedupe_column) if module.dedupe_column else None,
        new_table=creates,
    )
    in_transaction = dest.capabilities.transactional_ddl
    undo = [dest.drop_table_sql(table)] if creates and not in_transaction else []
    return RunPlan(
        module=module,
        source_sql=source_sql,
        watermarks=watermarks,
        columns=layout.columns,
        key=key,
        dest_table=dest.table_sql(table),
        creates_destination=creates,
        staging=staging,
        checks=_checks(
            module,
            dest,
            staging.table,
            dest.table_sql(table),
            key,
            creates=creates,
            blurred=blurred,
        ),
        prepare=() if in_transaction else tuple(ddl),
        comments=() if in_transaction else tuple(comments),
        undo_prepare=tuple(undo),
        merge=(
            *(Statement(sql) for sql in ddl if in_transaction),
            *(Statement(sql, optional=True) for sql in comments if in_transaction),
            *merge,
        ),
        hooks=_hooks(module, {**(hook_dialects or {}), module.dest: dest}),
        warnings=(*_placeholder_warnings(module, source), *layout.warnings),
    )


def _hooks(module: Module, dialects: Mapping[str, Dialect]) -> tuple[PlannedHook, ...]:
    planned = []
    for hook in module.ordered_hooks:
        connection = hook.connection or module.dest
        lexis = dialects[connection].capabilities.lexis if connection in dialects else "standard"
        planned.append(PlannedHook(hook.run_on, connection, tuple(split_statements(hook.sql, lexis))))
    return tuple(planned)


def _key_types(
    module: Module, dest: Dialect, columns: Sequence[PlannedColumn], key: Sequence[str], *, exact: bool
) -> tuple[PlannedColumn, ...]:
    """The columns of a new table, those of its key in types fit for it; a type that the module gives stands."""
    given = {item.dest_name for item in module.columns if item.dest_type}
    return tuple(
        replace(column, dest_type=dest.key_type(column.dest_type, exact=exact))
        if column.dest in key and column.dest not in given
        else column
        for column in columns
    )


def _blurred_keys(
    source: Dialect, dest: Dialect, key: Sequence[str], dest_columns: Sequence[Column] | None
) -> tuple[str, ...]:
    """Key columns of an existing destination in which it may take for equal what the source tells apart."""
    if dest.capabilities.exact_text or not source.capabilities.exact_text:
        return ()
    texts = {column.name for column in dest_columns or () if column.family == "text"}
    return tuple(name for name in key if name in texts)


def _typed(columns: Sequence[PlannedColumn]) -> list[tuple[str, str]]:
    return [(column.dest, column.dest_type) for column in columns]


def _in_dest_names(remarks: TableRemarks, columns: Sequence[PlannedColumn], *, new_table: bool) -> TableRemarks:
    texts = {column.dest: remarks.columns.get(column.source) for column in columns}
    return TableRemarks(remarks.table if new_table else None, {name: text for name, text in texts.items() if text})


def staging_name(module: str, dest: Dialect, schema: str | None, table: TableName) -> TableName:
    """Where a module's rows are staged. Raises DestinationError if that were the destination itself."""
    name = module
    if schema is None:
        name = f"pipekit_staging_{module}"
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


def _staging(
    dest: Dialect,
    staging: TableName,
    table: TableName,
    columns: Sequence[PlannedColumn],
    dest_columns: Sequence[Column] | None,
    index: Sequence[str],
    staging_file: str | None,
) -> Staging:
    there = {column.name: column for column in dest_columns or () if any(column.name == item.dest for item in columns)}
    if there:
        # In the destination's exact types: a value that it cannot hold is found while staging, not while merging.
        setup = [dest.create_like_sql(staging, table, [there[item.dest] for item in columns if item.dest in there])]
        setup += [dest.add_column_sql(staging, item.dest, item.dest_type) for item in columns if item.dest not in there]
    else:
        setup = [dest.create_table_sql(staging, _typed(columns), staging=True)]
    drop = dest.drop_table_sql(staging)
    cleanup = [drop]
    leftover = None
    if dest.capabilities.drop_if_exists:
        setup.insert(0, drop)
    else:
        leftover = drop
    if staging_file is not None:
        attach, detach = dest.attach_sql(staging_file, staging.schema or "")
        setup, cleanup = [*attach, *setup], [*cleanup, *detach]
    return Staging(dest.table_sql(staging), leftover, tuple(setup), tuple(index), tuple(cleanup))


def _checks(
    module: Module,
    dest: Dialect,
    staging: str,
    dest_table: str,
    key: Sequence[str],
    *,
    creates: bool,
    blurred: Sequence[str],
) -> Checks:
    count = f"SELECT COUNT(*) FROM {staging}"
    shrink = None
    if module.max_shrink_percent is not None and not creates:
        shrink = f"SELECT COUNT(*) FROM {dest_table}"
    if not key:
        return Checks(count, dest_count=shrink)
    names = ", ".join(dest.quote_identifier(name) for name in key)
    nulls = " OR ".join(f"{dest.quote_identifier(name)} IS NULL" for name in key)
    checked = module.dedupe != "none" or module.strategy == "upsert"
    matched = None
    if module.strategy == "upsert" and not creates:
        condition = dest.in_table("s", dest_table, key)
        matched = f"SELECT COUNT(*) FROM (SELECT DISTINCT {names} FROM {staging}) s WHERE {condition}"
    folded = None
    if blurred and checked:
        exact = [dest.exact_sql(dest.quote_identifier(name)) for name in blurred]
        unlike = " OR ".join(f"MIN({text}) <> MAX({text})" for text in exact)
        folded = f"SELECT {names} FROM {staging} GROUP BY {names} HAVING {unlike}"
    return Checks(
        count,
        null_keys=f"SELECT COUNT(*) FROM {staging} WHERE {nulls}",
        distinct_keys=f"SELECT COUNT(*) FROM (SELECT DISTINCT {names} FROM {staging}) k" if checked else None,
        duplicate_sample=f"SELECT {names} FROM {staging} GROUP BY {names} HAVING COUNT(*) > 1" if checked else None,
        matched=matched,
        folded=folded,
        blurred=(
            _blurred_sql(dest, staging, dest_table, key, blurred)
            if blurred and module.strategy in ("incremental", "upsert")
            else None
        ),
        dest_count=shrink,
    )


def _blurred_sql(dest: Dialect, staging: str, dest_table: str, key: Sequence[str], blurred: Sequence[str]) -> str:
    """Keys of the destination that equal a staged one by its collation, and none of the staged ones exactly.

    Grouped rather than joined by the exact keys: MySQL joins long texts that no index holds row by row with row.
    """
    quoted = {name: dest.quote_identifier(name) for name in key}
    theirs, staged, shown = [], [], []
    for number, (name, sql) in enumerate(quoted.items()):
        theirs.append(f"d.{sql}")
        staged.append(sql)
        shown.append(f"MIN(k.{sql})" if name in blurred else f"k.{sql}")
        if name in blurred:
            theirs.append(f"{dest.exact_sql(f'd.{sql}')} AS e{number}")
            staged.append(dest.exact_sql(sql))
    exact = ", ".join(
        f"k.e{number}" if name in blurred else f"k.{sql}" for number, (name, sql) in enumerate(quoted.items())
    )
    return (
        f"SELECT {', '.join(shown)} FROM (SELECT {', '.join(theirs)}, 1 AS of_dest FROM {dest_table} d "
        f"WHERE EXISTS (SELECT 1 FROM {staging} s WHERE {dest.key_match('d', 's', key)}) "
        f"UNION ALL SELECT {', '.join(staged)}, 0 FROM {staging}) k GROUP BY {exact} HAVING MIN(k.of_dest) = 1"
    )


def _placeholder_warnings(module: Module, source: Dialect) -> list[str]:
    declared = {watermark.name for watermark in module.watermarks}
    used = placeholders(module.query, source.capabilities.lexis)
    warnings = [
        f"{{{name}}} in the query is no declared watermark and stays as it is" for name in used if name not in declared
    ]
    warnings += [f"watermark {name} is not used in the query" for name in sorted(declared - set(used))]
    return warnings
