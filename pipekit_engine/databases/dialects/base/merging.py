"""The SQL of a merge: locks, matching of keys, updates and deletes by key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipekit_engine.databases.dialects.base.identifiers import Identifiers
from pipekit_engine.databases.fence import Fence, FenceName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipekit_engine.common.columns import Column
    from pipekit_engine.databases.names import TableName


class MergeStatements(Identifiers):
    """How a kind moves staged rows into the destination."""

    def lock_table_sql(self, dest: str) -> list[str]:
        """Statements that keep other writers of the table away until the merge commits, and let readers read."""
        return []

    def fence(self, name: FenceName, dest: str) -> Fence:
        """How merges into `dest` (SQL text) of one module are kept apart, whatever became of the run that began them."""
        return Fence()

    def keep_others_away_sql(self, table: str) -> tuple[list[str], list[str]]:
        """Statements that lock a table against writers, outlasting DDL, and that end it. None where there is no such lock."""
        return [], []

    def insert_sql(self, dest: str, columns: str, select: str, *, identity: bool) -> str:
        """Inserts the rows of a query. `identity`: one of the columns is among those that `identity_sql` tells."""
        overriding = "OVERRIDING SYSTEM VALUE " if identity else ""
        return f"INSERT INTO {dest} ({columns}) {overriding}{select}"

    def delete_matching_sql(self, dest: str, staging: str, key: Sequence[str]) -> str:
        """Deletes the rows of `dest` whose key stands in `staging`. Names are SQL text, the key is unquoted."""
        names = [self.quote_identifier(name) for name in key]
        if self.capabilities.row_values and len(names) > 1:
            listed = ", ".join(names)
            return f"DELETE FROM {dest} WHERE ({listed}) IN (SELECT {listed} FROM {staging})"
        if len(names) == 1:
            return f"DELETE FROM {dest} WHERE {names[0]} IN (SELECT {names[0]} FROM {staging})"
        matches = " AND ".join(f"s.{name} = {dest}.{name}" for name in names)
        return f"DELETE FROM {dest} WHERE EXISTS (SELECT 1 FROM {staging} s WHERE {matches})"

    def update_matching_sql(self, dest: str, staged: str, key: Sequence[str], others: Sequence[str]) -> str:
        """Updates rows of `dest` from those of `staged` (a table or subquery in SQL text) with the same key.

        The default is standard MERGE; kinds without it spell it their own way.
        """
        matches = self.key_match("d", "s", key)
        sets = ", ".join(f"{self.quote_identifier(name)} = s.{self.quote_identifier(name)}" for name in others)
        return f"MERGE INTO {dest} d USING {staged} s ON ({matches}) WHEN MATCHED THEN UPDATE SET {sets}"

    def in_table(
        self, row: str, table: str, key: Sequence[str], *, negated: bool = False, where: str | None = None
    ) -> str:
        """Condition that the key of `row` (an alias) stands in `table` (in a row that meets `where`), or that it does not."""
        word = "NOT " if negated else ""
        also = f" AND {where}" if where else ""
        if self.capabilities.matches_by == "exists":
            return f"{word}EXISTS (SELECT 1 FROM {table} m WHERE {self.key_match('m', row, key)}{also})"
        names = [self.quote_identifier(name) for name in key]
        left = ", ".join(f"{row}.{name}" for name in names)
        # A NULL in the subquery would make NOT IN unknown for every row.
        present = " AND ".join(f"{name} IS NOT NULL" for name in names)
        left = f"({left})" if len(names) > 1 else left
        return f"{left} {word}IN (SELECT {', '.join(names)} FROM {table} WHERE {present}{also})"

    def absent_sql(self, row: str, dest: str, staging: str, key: Sequence[str]) -> str:
        """Condition, in an INSERT into `dest`, that the key of `row`, which is one of those in `staging`, is not there yet."""
        return self.in_table(row, dest, key, negated=True)

    def index_staging_sql(self, staging: TableName, key: Sequence[Column]) -> list[str]:
        """Statements that index the staged keys, where the update by key would crawl without."""
        return []

    def key_match(self, left: str, right: str, key: Sequence[str]) -> str:
        """Condition that two rows have the same key."""
        return " AND ".join(f"{left}.{self.quote_identifier(k)} = {right}.{self.quote_identifier(k)}" for k in key)
