"""What a merge strategy is: the statements of the merge, and what it asks of key and watermark.

A strategy stands below the records, which are checked by it, so it knows a database only as `MergeDialect`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipekit_engine.common.columns import Column
    from pipekit_engine.strategies.difference import Difference, RowComparison

Counts = Literal["deleted", "inserted", "updated"]
#: What a statement's row count must be: all staged rows, staged keys, keys that the destination had, keys that it had not; or
#: what an earlier statement gives: rows of the destination that are replaced or deleted, staged rows that are written. Of rows
#: that triggers of the destination altered, `none` where they are refused.
Expected = Literal["staged", "distinct", "matched", "unmatched", "outdated", "arriving", "altered", "none"]
#: The column of the table of changes that says what happens to a key's rows.
CHANGE = "pipekit_change"


@dataclass(frozen=True)
class MergeStatement:
    """One statement of the merge, which run_log count it feeds, and the count that it must have.

    An `optional` one that the database refuses is left out, and the merge is done again without it. `is_count`: a query for a
    number, its count; `gives` is the name by which later statements expect it. `known` is the part of `sql` that counts the rows
    that are merged: a run, which knows their number, writes that instead.
    """

    sql: str
    counts: Counts | None = None
    expected: Expected | None = None
    optional: bool = False
    is_count: bool = False
    gives: Expected | None = None
    known: str | None = None

    def sql_knowing(self, rows: int | None) -> str:
        """The statement for so many rows to merge; None where that is not known."""
        return self.sql if self.known is None or rows is None else self.sql.replace(self.known, str(rows))


class MergeCapabilities(Protocol):
    """What a difference needs of `pipekit_engine.databases.dialects.base.capabilities.Capabilities`, which documents it."""

    @property
    def full_join(self) -> bool: ...

    @property
    def locking_read(self) -> str: ...

    @property
    def updates_from_subquery(self) -> bool: ...


class MergeDialect(Protocol):
    """What a strategy needs of the destination's dialect (`pipekit_engine.databases.dialects.Dialect`, which documents it)."""

    @property
    def capabilities(self) -> MergeCapabilities: ...

    def quote_identifier(self, name: str) -> str: ...

    def lock_table_sql(self, dest: str) -> list[str]: ...

    def insert_sql(self, dest: str, columns: str, select: str, *, identity: bool) -> str: ...

    def delete_matching_sql(self, dest: str, staging: str, key: Sequence[str]) -> str: ...

    def update_matching_sql(self, dest: str, staged: str, key: Sequence[str], others: Sequence[str]) -> str: ...

    def absent_sql(self, row: str, dest: str, staging: str, key: Sequence[str]) -> str: ...

    def key_match(self, left: str, right: str, key: Sequence[str]) -> str: ...

    def in_table(
        self, row: str, table: str, key: Sequence[str], *, negated: bool = False, where: str | None = None
    ) -> str: ...

    def exact_values_sql(self, column: Column, value: str) -> tuple[str, ...] | None: ...

    def grouped_values_sql(self, column: Column, value: str) -> tuple[str, ...] | None: ...

    def distinct_sql(self, left: str, right: str) -> str: ...

    def sample_sql(self, table: str, alias: str, key: Sequence[str]) -> str | None: ...

    def differs_sql(self, column: Column, left: str, right: str) -> list[str]: ...

    def join_in_order_sql(self, table: str, key: str) -> tuple[list[str], list[str]] | None: ...


@dataclass(frozen=True)
class Merge:
    """What is merged. Names are unquoted; `dest_sql` and `staging_sql` are SQL texts of table names."""

    dialect: MergeDialect
    dest_sql: str
    staging_sql: str
    columns: Sequence[str]
    key: Sequence[str]
    #: Of staged rows with the same key only the one with the greatest value here is merged.
    dedupe_column: str | None = None
    #: One of the columns is numbered by the destination itself, unless the INSERT says otherwise.
    overrides_identity: bool = False
    #: A primary or unique key of the destination holds no two rows with one `key`.
    is_unique: bool = False
    #: The condition of the destination's rows that are replaced, where those are not all: the staged rows fulfil it.
    replaced: str | None = None

    def insert_rows(self, select: str) -> str:
        """An INSERT of the columns with the rows of a query."""
        return self.dialect.insert_sql(self.dest_sql, self.column_list, select, identity=self.overrides_identity)

    @property
    def column_list(self) -> str:
        """The columns, quoted, with commas between."""
        return ", ".join(self.dialect.quote_identifier(name) for name in self.columns)

    @property
    def rows_sql(self) -> str:
        """The staged rows that are merged: the staging table, or a subquery of its latest rows, NULL counting as the oldest."""
        if self.dedupe_column is None:
            return self.staging_sql
        partition = ", ".join(self.dialect.quote_identifier(name) for name in self.key)
        order = self.dialect.quote_identifier(self.dedupe_column)
        return (
            f"(SELECT {self.column_list} FROM (SELECT {self.column_list}, ROW_NUMBER() OVER (PARTITION BY {partition} "
            f"ORDER BY CASE WHEN {order} IS NULL THEN 1 ELSE 0 END, {order} DESC) AS pipekit_rank FROM {self.staging_sql}) r "
            f"WHERE pipekit_rank = 1)"
        )

    def lock(self) -> list[MergeStatement]:
        """Keeps other writers away until the commit, where the database needs to be told."""
        return [MergeStatement(sql) for sql in self.dialect.lock_table_sql(self.dest_sql)]

    def insert_all(self) -> MergeStatement:
        """Inserts all rows."""
        sql = self.insert_rows(f"SELECT {self.column_list} FROM {self.rows_sql} s")
        return MergeStatement(sql, "inserted", "staged" if self.dedupe_column is None else "distinct")

    def total(self) -> MergeStatement:
        """What is replaced of the destination holds exactly the staged rows: no trigger or rule kept others, or added some."""
        return MergeStatement(
            f"SELECT COUNT(*) FROM {self.replaced_rows}", expected=self.insert_all().expected, is_count=True
        )

    @property
    def replaced_rows(self) -> str:
        """The destination, with the condition of the rows that are replaced; fit to stand after FROM."""
        return f"{self.dest_sql} WHERE {self.replaced}" if self.replaced else self.dest_sql

    def count_matched(self, keys_sql: str, expected: Expected) -> MergeStatement:
        """The destination's rows of the keys in a table: when they were deleted and inserted, no trigger or rule kept others."""
        condition = self.dialect.in_table("d", keys_sql, self.key)
        return MergeStatement(
            f"SELECT COUNT(*) FROM {self.dest_sql} d WHERE {condition}", expected=expected, is_count=True
        )

    def insert_unmatched(self) -> MergeStatement:
        """Inserts the rows whose key the destination lacks."""
        absent = self.dialect.absent_sql("s", self.dest_sql, self.staging_sql, self.key)
        select = ", ".join(f"s.{self.dialect.quote_identifier(name)}" for name in self.columns)
        sql = self.insert_rows(f"SELECT {select} FROM {self.rows_sql} s WHERE {absent}")
        return MergeStatement(sql, "inserted", "unmatched")

    def update_matched(self, others: Sequence[str], rows_sql: str | None = None) -> MergeStatement:
        """Updates columns of the destination's rows whose key is staged, or stands in the subquery `rows_sql`."""
        sql = self.dialect.update_matching_sql(self.dest_sql, rows_sql or self.rows_sql, self.key, others)
        return MergeStatement(sql, "updated", "matched")


class Strategy:
    """A way to merge staged rows into a table. Stateless; `STRATEGIES` holds one instance of each by its name."""

    name: ClassVar[str]
    #: What it does to the destination, in the words of a person who chooses (the wizard).
    summary: ClassVar[str]
    #: Its statements in short, and what another run after an unknown outcome gives (docs/guarantees.md).
    statements: ClassVar[str]
    rerun: ClassVar[str] = "right"
    #: A merge_key must be given. Where the destination has rows with a staged key, they are replaced or left as a whole.
    needs_key: ClassVar[bool] = False
    #: No two staged rows may have the same key.
    unique_key: ClassVar[bool] = False
    #: Everything that is not staged goes: max_shrink_percent guards it, and a watermark would delete what it leaves out.
    replaces_table: ClassVar[bool] = False
    #: Rows in the destination are replaced by new ones, whose columns outside of the query get their defaults.
    replaces_rows: ClassVar[bool] = False
    #: Rows are compared with the destination's, and those that are there already are left as they are.
    compares: ClassVar[bool] = True
    #: The merge looks at no staged row: without a key, they may as well come from the source.
    loads_directly: ClassVar[bool] = False
    #: A row that is read again does no harm, so a watermark may read its newest value again. Where it would come twice, a
    #: watermark is expected, and has to exclude the value that was read last.
    rereads: ClassVar[bool] = True

    @property
    def watermark_operator(self) -> str:
        """How a query compares its column with the watermark."""
        return ">=" if self.rereads else ">"

    def merge(self, merge: Merge) -> list[MergeStatement]:
        """Statements that merge the staged rows into a table that exists; all run in one transaction."""
        raise NotImplementedError

    def difference(self, rows: RowComparison) -> Difference | None:
        """The same merge, writing only rows that differ; None where it cannot be had."""
        return None
