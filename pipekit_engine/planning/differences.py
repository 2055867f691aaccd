"""Whether a run can write only what changes, and by which key the rows are told apart."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pipekit_engine.strategies.difference import Difference, RowComparison

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipekit_engine.common.columns import Column
    from pipekit_engine.databases.dialects import Dialect
    from pipekit_engine.databases.introspection import Key
    from pipekit_engine.strategies import Merge, Strategy


def plan_difference(
    strategy: Strategy,
    dest: Dialect,
    merge: Merge,
    *,
    dest_columns: Sequence[Column] | None,
    dest_keys: Sequence[Key],
    changes_sql: str,
) -> tuple[Difference | None, str]:
    """The merge by difference, or None; and in words by what rows are told apart, or why all of them are written.

    `dest_keys` are the primary and unique keys of the destination, `changes_sql` is the table of changes.
    """
    if not strategy.compares:
        return None, "rows are only added"
    if dest_columns is None:
        return None, "the destination is new"
    if merge.replaced:
        return None, "the partition is replaced as a whole"
    there = {column.name: column for column in dest_columns}
    missing = [name for name in merge.columns if name not in there]
    if missing:
        return None, f"column {missing[0]} is new to the destination"
    if strategy.replaces_table:
        key = table_key(merge, there, dest_keys)
        if not key:
            return None, "the destination has no primary or unique key, without NULL, that the query covers" + (
                " and that is the merge_key" if merge.key else ""
            )
        merge = replace(merge, key=key, is_unique=True)
    elif not merge.is_unique and not dest.capabilities.joins_without_index:
        return None, f"the destination has no primary or unique key of {', '.join(merge.key)}"
    columns = [there[name] for name in merge.columns]
    unlike = [column for column in columns if dest.exact_values_sql(column, "x") is None]
    if unlike:
        return None, f"values of column {unlike[0].name} ({unlike[0].type_name}) cannot be told apart"
    difference = strategy.difference(RowComparison(merge, columns, changes_sql))
    if difference is None:
        return None, f"{dest.label} cannot update from a part of the staged rows"
    return difference, f"rows are told apart by {', '.join(difference.key)}"


def table_key(merge: Merge, columns: dict[str, Column], keys: Sequence[Key]) -> tuple[str, ...]:
    """A key of the destination by which every row can be found again: the merge_key if one is given. None: empty."""
    for key in keys:
        covered = all(name in merge.columns and not columns[name].nullable for name in key.columns)
        if covered and (not merge.key or set(key.columns) == set(merge.key)):
            return key.columns
    return ()
