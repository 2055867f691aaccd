"""From descriptions to a plan, without asking anybody: the same arguments give the same plan."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pipekit_engine.databases.dialects.base.tables import UNSEEN_TRIGGERS
from pipekit_engine.databases.fence import FenceName
from pipekit_engine.databases.remarks import TableRemarks
from pipekit_engine.errors import ConfigurationError, DestinationError
from pipekit_engine.planning.checks import plan_checks, rewrite_keys_sql
from pipekit_engine.planning.columns import Layout, PlannedColumn, key_columns_of_source, plan_columns, resolve_key
from pipekit_engine.planning.differences import plan_difference
from pipekit_engine.planning.direct import plan_direct
from pipekit_engine.planning.indexes import MissingIndex, missing_indexes, wanted_indexes
from pipekit_engine.planning.keys import (
    KeyFacts,
    exact_key_types,
    find_coarse_keys,
    find_fixed_keys,
    find_key_cells,
    find_rewritten_keys,
    key_columns,
    refuse_key_types,
)
from pipekit_engine.planning.module_checks import plan_module_checks
from pipekit_engine.planning.partitions import plan_partition
from pipekit_engine.planning.plan import PlannedHook, RunPlan
from pipekit_engine.planning.staging import plan_staging, staging_name
from pipekit_engine.planning.triggers import plan_trigger_check
from pipekit_engine.sql.syntax import UNKNOWN
from pipekit_engine.sql.text import as_subquery, materialize, placeholders, split_statements, unfilled
from pipekit_engine.strategies import STRATEGIES, Merge, MergeStatement

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pipekit_engine.common.columns import Column
    from pipekit_engine.common.partitions import PartitionRange
    from pipekit_engine.databases.dialects import Dialect
    from pipekit_engine.databases.introspection import Key
    from pipekit_engine.databases.names import TableName
    from pipekit_engine.models import Module, ResolvedWatermark
    from pipekit_engine.planning.source_columns import SourceColumns
    from pipekit_engine.sql.syntax import SqlSyntax


def source_query(module: Module, syntax: SqlSyntax, watermarks: Mapping[str, ResolvedWatermark]) -> str:
    """The module's query with its watermarks' values in it, fit to stand in a FROM clause. `syntax` is the source session's.

    Raises SourceError for a value that cannot stand where its placeholder does.
    """
    values = {name: watermark.value for name, watermark in watermarks.items()}
    return as_subquery(materialize(module.query, values, syntax), syntax)


def refuse_unfilled(module: Module, source: Dialect) -> None:
    """Raise ConfigurationError for a placeholder in the query that no watermark fills: it would match no row, in silence."""
    declared = module.placeholders
    wrong = [name for name in placeholders(module.query, source.capabilities.syntax) if name not in declared]
    if wrong:
        told = "\n".join(f"{unfilled(name, declared)}." for name in wrong)
        raise ConfigurationError(f"The query of module {module.name} cannot be used: {told}")


def plan_run(
    module: Module,
    *,
    source: Dialect,
    dest: Dialect,
    watermarks: Mapping[str, ResolvedWatermark],
    source_sql: str,
    source_columns: Sequence[Column],
    dest_columns: Sequence[Column] | None,
    staging_schema: str | None,
    staging_file: str | None = None,
    remarks: TableRemarks | None = None,
    key_facts: KeyFacts | None = None,
    hook_dialects: Mapping[str, Dialect] | None = None,
    dest_keys: Sequence[Key] = (),
    identity_columns: Collection[str] = (),
    known_columns: SourceColumns | None = None,
    dest_indexes: Sequence[Sequence[str]] | None = None,
    dest_triggers: Sequence[str] = (),
    partition: PartitionRange | None = None,
    load_obstacle: str | None = None,
    loads_in_transaction: bool = True,
    table_columns: Collection[str] | None = None,
) -> RunPlan:
    """Plan a run.

    `source_columns` describe `source_sql` (of `source_query`), `dest_columns` the destination table (None: it does not exist).
    `staging_schema` None puts staging beside the destination; `staging_file` is SQLite's attached file. `remarks` on the
    source, its columns by their names in the query, become comments of a new destination and of new columns.
    `hook_dialects` are those of the connections that hooks name, `dest_keys` the destination's primary and unique keys,
    `key_facts` is what the databases said of texts in keys, `known_columns` what the source's catalogue said of new columns;
    `dest_indexes` are the destination's (None: not known), `identity_columns` those of its columns that it numbers itself unless
    an INSERT says otherwise. `dest_triggers` are the names of those that may change a row which is written.
    `partition` is the one that is replaced, of a module that has them. `load_obstacle` says why rows cannot go straight into the
    destination, with `staging: auto`, where the databases know that; `loads_in_transaction` whether the session writes rows and
    what goes with them in one transaction. `table_columns` are columns of the query that are known to be copied from a table,
    where that was asked.
    Raises DestinationError when destination and columns do not fit, ConfigurationError for names that cannot be used.
    """
    facts = key_facts or KeyFacts()
    table = dest.table_name(module.dest_table)
    layout = plan_columns(module, source, dest, source_columns, dest_columns, known=known_columns)
    key = resolve_key(module, layout.columns)
    creates = dest_columns is None
    if creates:
        layout = _fit_row(
            module,
            dest,
            replace(layout, columns=exact_key_types(module, source, dest, layout.columns, key, facts, source_columns)),
            key,
        )
    staging_table = staging_name(module.name, dest, staging_schema, table)
    strategy = STRATEGIES[module.strategy]
    numbered = [column.dest for column in layout.columns if column.dest in identity_columns]
    _refuse_fixed_identity(dest, table, numbered)
    rows_of = None
    if partition is not None:
        rows_of = plan_partition(
            module,
            partition,
            dest,
            staging_sql=dest.table_sql(staging_table),
            columns=layout.columns,
            source_columns=source_columns,
            dest_columns=dest_columns,
        )
    rows = Merge(
        dest,
        dest_sql=dest.table_sql(table),
        staging_sql=dest.table_sql(staging_table),
        columns=[column.dest for column in layout.columns],
        key=key,
        dedupe_column=layout.dest_name(module.dedupe_column) if module.dedupe_column else None,
        overrides_identity=bool(numbered),
        is_unique=any(set(item.columns) <= set(key) for item in dest_keys),
        replaced=None if rows_of is None else rows_of.where,
    )
    # Nothing is in the way of rows in a table that the run makes.
    merge = [rows.insert_all()] if creates else strategy.merge(rows)
    changes_table = staging_name(module.name, dest, staging_schema, table, suffix=" changes")
    difference, comparison = plan_difference(
        strategy,
        dest,
        rows,
        dest_columns=dest_columns,
        dest_keys=dest_keys,
        changes_sql=dest.table_sql(changes_table),
    )
    trigger_check = plan_trigger_check(
        strategy,
        dest,
        rows,
        dest_columns=dest_columns or (),
        dest_keys=dest_keys,
        changes_sql=dest.table_sql(changes_table),
        triggers=dest_triggers,
        refuses=module.verify == "values",
    )
    if difference is not None:
        difference = difference.checked_by(trigger_check.only_changes)
        if module.cascades == "allow" or any(name != UNSEEN_TRIGGERS for name in dest_triggers):
            difference = difference.always()
    merge += trigger_check.all_rows
    index: list[str] = []
    keyed = key_columns(layout.columns, key, source_columns, dest_columns)
    coarse = find_coarse_keys(source, dest, dest.table_sql(table), keyed, facts)
    if not strategy.needs_key and module.dedupe == "none":
        keyed = ()  # nothing compares them
    refuse_key_types(source, dest, dest.table_sql(table), keyed)
    asked = find_key_cells(source, dest, keyed)
    layout = replace(layout, columns=tuple(replace(item, key=asked.get(item.dest)) for item in layout.columns))
    fixed = find_fixed_keys(source, dest, dest.table_sql(table), keyed)
    rewritten = find_rewritten_keys(source, dest, dest.table_sql(table), keyed)
    rewrite = [rewrite_keys_sql(dest, dest.table_sql(staging_table), rewritten)] if rewritten else []
    counts_matches = any(statement.expected in ("matched", "unmatched") for statement in merge)
    compared = difference.key if difference is not None else key
    keyed_columns = [column for name in compared for column in dest_columns or () if column.name == name]
    if difference is not None or (dest_columns is not None and (counts_matches or (coarse and strategy.needs_key))):
        # A key that is new to the table has nothing to be matched with.
        index = dest.index_staging_sql(staging_table, keyed_columns) if len(keyed_columns) == len(compared) else []
    marks_table = staging_name(module.name, dest, staging_schema, table, suffix=" ranges")
    ranges, why_whole = None, ""
    if module.resume_every is not None:
        from pipekit_engine.planning.ranges import plan_ranges

        ranges, why_whole = plan_ranges(
            module.resume_every,
            source,
            dest,
            marks_table,
            columns=layout.columns,
            key=key,
            source_columns=source_columns,
            source_sql=source_sql,
            table_columns=table_columns,
            in_one_transaction=loads_in_transaction,
        )
    staging = plan_staging(
        dest,
        staging_table,
        table,
        layout.columns,
        dest_columns,
        schema=staging_schema,
        file=staging_file,
        filled=[*rewrite, *index],
        before=facts.setup if creates else (),
        as_read=[item.as_read for item in fixed],
        changes=(changes_table, keyed_columns) if difference is not None else None,
        marks=marks_table if ranges is not None else None,
    )
    split, why_alone = None, ""
    if module.parallel > 1:
        from pipekit_engine.planning.split import plan_split

        split, why_alone = plan_split(
            module,
            source,
            source_columns=source_columns,
            source_sql=source_sql,
            table_columns=table_columns,
            keys=_keys(layout.columns, key, dest_keys, source_columns),
        )
    fence = dest.fence(FenceName(staging.table), dest.table_sql(table))
    never_null = known_columns.never_null if known_columns else frozenset()
    made = _typed(layout.columns if creates else layout.added)
    fed = {column.dest for column in layout.columns}
    not_null = tuple(item.name for item in dest_columns or () if not item.nullable and item.name in fed)
    if creates:
        given = {item.dest_name for item in module.columns if item.dest_type}
        required = {item.dest for item in layout.columns if item.source in never_null and item.dest not in given}
        not_null = tuple(key)
        made = [(name, dest.not_null_type(sql) if name in required.union(key) else sql) for name, sql in made]
    ddl: list[str] = []
    indexes: list[str] = []
    if creates:
        ddl.append(dest.create_table_sql(table, made))
        # Without them each later merge would read the whole table, and each resolver.
        types = dict(_typed(layout.columns))
        for names, purpose in wanted_indexes(module, dest, types, key):
            typed = [(name, types[name]) for name in names]
            indexes += dest.index_key_sql(
                table, typed, unique=strategy.unique_key and purpose == "key", purpose=purpose
            )
    added = [dest.add_column_sql(table, column.dest, column.dest_type) for column in layout.added]
    comments: list[str] = []
    if remarks:
        new = layout.columns if creates else layout.added
        comments = dest.comment_sql(table, _in_dest_names(remarks, new, new_table=creates), made)
    lacking: tuple[MissingIndex, ...] = ()
    if dest_columns is not None and dest_indexes is not None:
        lacking = missing_indexes(module, dest, key, dest_columns, dest_indexes)
    in_transaction = dest.capabilities.transactional_ddl
    undo = [dest.drop_table_sql(table)] if creates and not in_transaction else []
    entered = [MergeStatement(sql) for sql in fence.enter]
    commented = [MergeStatement(sql, optional=True) for sql in comments if in_transaction]
    direct, why_staged = plan_direct(
        module,
        dest,
        rows,
        merge,
        first=[*entered, *(MergeStatement(sql) for sql in ddl), *commented],
        indexes=indexes,
        creates=creates,
        adds_columns=bool(added),
        needs_setup=bool(facts.setup),
        compares_rows=difference is not None,
        compares_keys=bool(coarse or fixed or rewritten),
        triggers=dest_triggers,
        obstacle=load_obstacle,
    )
    ddl += [*indexes, *added]
    return RunPlan(
        module=module,
        source_sql=source_sql,
        watermarks=watermarks,
        columns=layout.columns,
        key=key,
        dest_table=dest.table_sql(table),
        creates_destination=creates,
        staging=staging,
        fence=fence,
        one_row_from=dest.capabilities.one_row_from,
        checks=plan_checks(
            module,
            dest,
            staging.table,
            dest.table_sql(table),
            key,
            creates=creates,
            counts_matches=counts_matches,
            coarse=coarse,
            fixed=fixed,
            rewritten=rewritten,
            partition=rows_of,
        ),
        prepare=() if in_transaction else tuple(ddl),
        comments=() if in_transaction else tuple(comments),
        undo_prepare=tuple(undo),
        merge=(
            *entered,
            *(MergeStatement(sql) for sql in ddl if in_transaction),
            *commented,
            *merge,
        ),
        difference=difference and difference.behind(fence.enter),
        comparison=comparison,
        direct=direct,
        why_staged=why_staged,
        ranges=ranges,
        split=split,
        not_null=not_null,
        hooks=plan_hooks(module, {**(hook_dialects or {}), module.dest: dest}),
        module_checks=plan_module_checks(
            module,
            dest,
            table=dest.table_sql(table),
            columns=list(
                dict.fromkeys([*(item.dest for item in layout.columns), *(c.name for c in dest_columns or ())])
            ),
            key=key,
            staging=staging.table,
        ),
        missing_indexes=lacking,
        triggers=tuple(dest_triggers),
        warnings=(
            *_unused_watermarks(module, source),
            *layout.warnings,
            *([f"resume_every is not used: {why_whole}"] if why_whole else []),
            *([f"parallel is not used: {why_alone}"] if why_alone else []),
            *(item.warning(module.name, dest.table_sql(table)) for item in lacking),
            *([trigger_check.warning] if trigger_check.warning else []),
        ),
    )


def _keys(
    columns: Sequence[PlannedColumn], key: Sequence[str], dest_keys: Sequence[Key], source_columns: Sequence[Column]
) -> list[tuple[str, list[Column]]]:
    """Keys of the module that the query gives, each with what it is."""
    fed = {column.dest for column in columns}
    given = [("the merge key", list(key))] if key else []
    given += [("the destination's primary key", list(item.columns)) for item in dest_keys if item.primary]
    return [
        (what, key_columns_of_source(columns, names, source_columns)) for what, names in given if fed.issuperset(names)
    ]


def _fit_row(module: Module, dest: Dialect, layout: Layout, key: Sequence[str]) -> Layout:
    """The layout of a new table with rows no longer than the database takes; what keys and the module say stays."""
    given = {item.dest_name for item in module.columns if item.dest_type}
    other = dest.fit_row(_typed(layout.columns), {*key, *given})
    return replace(
        layout,
        columns=tuple(replace(item, dest_type=other.get(item.dest, item.dest_type)) for item in layout.columns),
        warnings=(
            *layout.warnings,
            *(f"column {name} becomes {sql}: its row would be too long" for name, sql in other.items()),
        ),
    )


def _refuse_fixed_identity(dest: Dialect, table: TableName, columns: Sequence[str]) -> None:
    """Raise DestinationError for columns that the destination numbers whatever an INSERT says."""
    for column in columns:
        if freed := dest.free_identity_sql(table, column):
            raise DestinationError(
                f"Column {column} of {dest.table_sql(table)} is GENERATED ALWAYS AS IDENTITY: {dest.label} takes none. "
                f"To keep the query's numbers: {freed}. Or list the other columns in `columns`, and it numbers its rows itself."
            )


def plan_hooks(module: Module, dialects: Mapping[str, Dialect]) -> tuple[PlannedHook, ...]:
    """The module's hooks in their order; `dialects` are those of the connections that they run on."""
    planned = []
    for hook in module.ordered_hooks:
        connection = hook.connection or module.dest
        syntax = dialects[connection].capabilities.syntax if connection in dialects else UNKNOWN
        planned.append(PlannedHook(hook.run_on, connection, tuple(split_statements(hook.sql, syntax))))
    return tuple(planned)


def _typed(columns: Sequence[PlannedColumn]) -> list[tuple[str, str]]:
    return [(column.dest, column.dest_type) for column in columns]


def _in_dest_names(remarks: TableRemarks, columns: Sequence[PlannedColumn], *, new_table: bool) -> TableRemarks:
    texts = {column.dest: remarks.columns.get(column.source) for column in columns}
    return TableRemarks(remarks.table if new_table else None, {name: text for name, text in texts.items() if text})


def _unused_watermarks(module: Module, source: Dialect) -> list[str]:
    declared = {watermark.name for watermark in module.watermarks}
    used = placeholders(module.query, source.capabilities.syntax)
    return [f"watermark {name} is not used in the query" for name in sorted(declared.difference(used))]
