"""What triggers of the destination made of the rows that a merge wrote: counted in its transaction, where there are any."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipekit_engine.databases.dialects.base.tables import UNSEEN_TRIGGERS
from pipekit_engine.planning.differences import table_key
from pipekit_engine.strategies.base import Merge, MergeStatement, Strategy
from pipekit_engine.strategies.difference import RowComparison

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipekit_engine.common.columns import Column
    from pipekit_engine.databases.dialects import Dialect
    from pipekit_engine.databases.introspection import Key


@dataclass(frozen=True)
class TriggerCheck:
    """Statements at the end of a merge that count rows which are not as they were staged; `warning` where none can."""

    all_rows: tuple[MergeStatement, ...] = ()
    only_changes: tuple[MergeStatement, ...] = ()
    warning: str | None = None


def plan_trigger_check(
    strategy: Strategy,
    dest: Dialect,
    merge: Merge,
    *,
    dest_columns: Sequence[Column],
    dest_keys: Sequence[Key],
    changes_sql: str,
    triggers: Sequence[str],
    refuses: bool,
) -> TriggerCheck:
    """The check for a destination with these triggers. `refuses`: a row that is not as it was staged takes the merge back."""
    if not triggers or not strategy.compares:
        return TriggerCheck()
    seen = any(name != UNSEEN_TRIGGERS for name in triggers)
    unchecked = f"what triggers of the destination ({', '.join(triggers)}) make of the rows is not checked: "
    there = {column.name: column for column in dest_columns}
    if any(name not in there for name in merge.columns):
        return TriggerCheck(warning=f"{unchecked}columns are added in this run" if seen else None)
    key = table_key(merge, there, dest_keys) if strategy.replaces_table else tuple(merge.key)
    is_unique = merge.is_unique or (strategy.replaces_table and bool(key))
    columns = [there[name] for name in merge.columns]
    for column in columns:
        if dest.exact_values_sql(column, "x") is None:
            return TriggerCheck(
                warning=f"{unchecked}values of column {column.name} ({column.type_name}) cannot be told apart"
                if seen
                else None
            )
    rows = RowComparison(replace(merge, key=key, is_unique=is_unique), columns, changes_sql)

    def counted(sql: str) -> tuple[MergeStatement, ...]:
        return (MergeStatement(sql, expected="none" if refuses else None, is_count=True, gives="altered"),)

    if key and (is_unique or dest.capabilities.joins_without_index):
        # upsert leaves the key as it is written in the destination.
        with_key = strategy.replaces_rows
        return TriggerCheck(
            counted(rows.altered(only_changes=False, with_key=with_key)),
            counted(rows.altered(only_changes=True, with_key=with_key)),
        )
    # Slow in a large table, and not done for a mere suspicion.
    ungrouped = rows.altered_without_key() if strategy.replaces_table and seen and not merge.replaced else None
    if ungrouped is None:
        return TriggerCheck(warning=f"{unchecked}the destination has no primary or unique key" if seen else None)
    return TriggerCheck(counted(ungrouped), counted(ungrouped))
