"""Update or insert by a unique key."""

from __future__ import annotations

from pipekit_engine.strategies.base import Merge, MergeStatement, Strategy
from pipekit_engine.strategies.difference import INSERTED, REPLACED, Difference, RowComparison


class Upsert(Strategy):
    """Rows keep what the query does not give. An UPDATE and an INSERT rather than one MERGE: each must count what it should."""

    name = "upsert"
    summary = "update or insert by a unique key"
    statements = "`UPDATE` rows whose key is there, `INSERT` the others"
    needs_key = True
    unique_key = True

    def difference(self, rows: RowComparison) -> Difference | None:
        """UPDATE of the rows that differ, and INSERT. The key is not written: two spellings of it that are equal stay two."""
        if not rows.dialect.capabilities.updates_from_subquery:
            return None
        others = [name for name in rows.merge.columns if name not in rows.merge.key]
        updates = [rows.counted("outdated", REPLACED), rows.update_changed(others)] if others else []
        return rows.decide(
            [*rows.staged_changes(with_key=False), *updates, rows.counted("arriving", INSERTED), rows.insert_new()]
        )

    def merge(self, merge: Merge) -> list[MergeStatement]:
        """UPDATE, unless all columns are the key's, and INSERT."""
        others = [name for name in merge.columns if name not in merge.key]
        updates = [merge.update_matched(others)] if others else []
        return [*merge.lock(), *updates, merge.insert_unmatched()]
