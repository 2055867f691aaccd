"""The merge strategies as SQL: what runs in the one transaction that changes the destination.

`full` empties the destination with DELETE, never TRUNCATE: after a TRUNCATE, a reader whose snapshot is older sees an empty
table, and in several databases it cannot be rolled back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipekit_engine.databases.dialects import Dialect
    from pipekit_engine.models import Module

Counts = Literal["deleted", "inserted", "updated"]
#: What a statement's row count must be: all staged rows, staged keys, keys that the destination had, keys that it had not.
Expected = Literal["staged", "distinct", "matched", "unmatched"]

_STAGED: Expected = "staged"
_DISTINCT: Expected = "distinct"


@dataclass(frozen=True)
class MergeStatement:
    """One statement of the merge, which run_log count it feeds, and the count that it must have.

    An `optional` one that the database refuses is left out, and the merge is done again without it.
    """

    sql: str
    counts: Counts | None = None
    expected: Expected | None = None
    optional: bool = False


def merge_statements(
    module: Module,
    dest: Dialect,
    *,
    dest_sql: str,
    staging_sql: str,
    columns: Sequence[str],
    key: Sequence[str],
    dedupe_column: str | None,
    new_table: bool,
) -> list[MergeStatement]:
    """Statements that merge staging into the destination. Names are unquoted; `*_sql` are SQL texts of table names."""
    quoted = [dest.quote_identifier(name) for name in columns]
    listed = ", ".join(quoted)
    rows, expected = staging_sql, _STAGED
    if dedupe_column is not None:
        rows, expected = _latest(dest, staging_sql, listed, key, dedupe_column), _DISTINCT
    inserted = MergeStatement(f"INSERT INTO {dest_sql} ({listed}) SELECT {listed} FROM {rows} s", "inserted", expected)
    if new_table:
        return [inserted]
    lock = [MergeStatement(sql) for sql in dest.lock_table_sql(dest_sql)]
    if module.strategy == "append":
        return [inserted]
    if module.strategy == "full":
        return [*lock, MergeStatement(f"DELETE FROM {dest_sql}", "deleted"), inserted]
    if module.strategy == "incremental":
        return [*lock, MergeStatement(dest.delete_matching_sql(dest_sql, staging_sql, key), "deleted"), inserted]
    others = [name for name in columns if name not in key]
    statements = list(lock)
    if others:
        update = dest.update_matching_sql(dest_sql, rows, key, others)
        statements.append(MergeStatement(update, "updated", "matched"))
    absent = dest.absent_sql("s", dest_sql, staging_sql, key)
    select = ", ".join(f"s.{name}" for name in quoted)
    statements.append(
        MergeStatement(
            f"INSERT INTO {dest_sql} ({listed}) SELECT {select} FROM {rows} s WHERE {absent}", "inserted", "unmatched"
        )
    )
    return statements


def _latest(dest: Dialect, staging: str, listed: str, key: Sequence[str], by: str) -> str:
    """A subquery of the staged rows: of each key the one with the greatest `by`, NULL counting as the oldest."""
    partition = ", ".join(dest.quote_identifier(name) for name in key)
    order = dest.quote_identifier(by)
    return (
        f"(SELECT {listed} FROM (SELECT {listed}, ROW_NUMBER() OVER (PARTITION BY {partition} "
        f"ORDER BY CASE WHEN {order} IS NULL THEN 1 ELSE 0 END, {order} DESC) AS pipekit_rank FROM {staging}) r "
        f"WHERE pipekit_rank = 1)"
    )
