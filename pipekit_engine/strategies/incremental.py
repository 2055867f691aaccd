"""Replace all rows of the keys that were read."""

from __future__ import annotations

from pipekit_engine.strategies.base import Merge, MergeStatement, Strategy
from pipekit_engine.strategies.difference import INSERTED, REPLACED, Difference, RowComparison


class Incremental(Strategy):
    """Many rows may share a key, such as a day's: what was withdrawn from it goes, too."""

    name = "incremental"
    summary = "replace all rows of the keys that were read; a key may be shared by many rows"
    statements = "`DELETE` the rows whose key is staged, `INSERT` all staged"
    needs_key = True
    replaces_rows = True

    def difference(self, rows: RowComparison) -> Difference:
        """DELETE and INSERT of the rows of keys whose rows differ."""
        changes = None if rows.is_unique else rows.repeated_changes()
        repeated = None
        # Where a unique key is, a row that was kept is in the way of the new one.
        kept = [] if rows.is_unique else [rows.merge.count_matched(rows.changes_sql, "arriving")]
        if changes is not None:
            repeated = [changes, rows.delete_changed(), rows.staged_of_changed_keys(), rows.insert_changed(), *kept]
        return rows.decide(
            [
                *rows.staged_changes(with_key=True),
                rows.counted("outdated", REPLACED),
                rows.delete_changed(),
                rows.counted("arriving", INSERTED, REPLACED),
                rows.insert_changed(),
                *kept,
            ],
            repeated=repeated,
        )

    def merge(self, merge: Merge) -> list[MergeStatement]:
        """DELETE by key, and INSERT."""
        delete = merge.dialect.delete_matching_sql(merge.dest_sql, merge.staging_sql, merge.key)
        insert = merge.insert_all()
        kept = (
            [merge.count_matched(merge.staging_sql, insert.expected)] if insert.expected and not merge.is_unique else []
        )
        return [*merge.lock(), MergeStatement(delete, "deleted"), insert, *kept]
