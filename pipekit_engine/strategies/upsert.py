"""Update or insert by a unique key."""

from __future__ import annotations

from pipekit_engine.strategies.base import Merge, MergeStatement, Strategy


class Upsert(Strategy):
    """Rows keep what the query does not give. An UPDATE and an INSERT rather than one MERGE: each must count what it should."""

    name = "upsert"
    summary = "update or insert by a unique key"
    statements = "`UPDATE` rows whose key is there, `INSERT` the others"
    needs_key = True
    unique_key = True

    def merge(self, merge: Merge) -> list[MergeStatement]:
        """UPDATE, unless all columns are the key's, and INSERT."""
        others = [name for name in merge.columns if name not in merge.key]
        updates = [merge.update_matched(others)] if others else []
        return [*merge.lock(), *updates, merge.insert_unmatched()]
