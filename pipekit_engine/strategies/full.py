"""Replace the whole table."""

from __future__ import annotations

from pipekit_engine.strategies.base import Merge, MergeStatement, Strategy


class Full(Strategy):
    """Empties with DELETE, never TRUNCATE.

    After a TRUNCATE, a reader whose snapshot is older sees an empty table, and in several databases it cannot be rolled back.
    """

    name = "full"
    summary = "replace the whole table"
    statements = "`DELETE` all, `INSERT` all"
    replaces_table = True
    replaces_rows = True

    def merge(self, merge: Merge) -> list[MergeStatement]:
        """DELETE and INSERT."""
        return [*merge.lock(), MergeStatement(f"DELETE FROM {merge.dest_sql}", "deleted"), merge.insert_all()]
