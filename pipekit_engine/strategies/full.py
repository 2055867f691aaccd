"""Replace the whole table."""

from __future__ import annotations

from pipekit_engine.strategies.base import Merge, MergeStatement, Strategy
from pipekit_engine.strategies.difference import DELETED, INSERTED, REPLACED, Difference, RowComparison


class Full(Strategy):
    """Empties with DELETE, never TRUNCATE.

    After a TRUNCATE, a reader whose snapshot is older sees an empty table, and in several databases it cannot be rolled back.
    """

    name = "full"
    summary = "replace the whole table"
    statements = "`DELETE` all, `INSERT` all"
    replaces_table = True
    replaces_rows = True
    loads_directly = True

    def difference(self, rows: RowComparison) -> Difference | None:
        """DELETE and INSERT of the rows that differ, if no two rows of the destination have one key."""
        if not rows.is_unique:
            return None
        return rows.decide(
            [
                *rows.all_changes(),
                rows.counted("outdated", REPLACED, DELETED),
                rows.delete_changed(),
                rows.counted("arriving", INSERTED, REPLACED),
                rows.insert_changed(),
                rows.merge.total(),
            ]
        )

    def merge(self, merge: Merge) -> list[MergeStatement]:
        """DELETE and INSERT; then the table, or the part of it that is replaced, holds the staged rows and no other."""
        delete = MergeStatement(f"DELETE FROM {merge.replaced_rows}", "deleted")
        return [*merge.lock(), delete, merge.insert_all(), merge.total()]
