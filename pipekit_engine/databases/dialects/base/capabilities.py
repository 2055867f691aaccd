"""What each database promises, as data: the merge plan and the tests read the same record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pipekit_engine.sql.syntax import UNKNOWN, SqlSyntax


@dataclass(frozen=True)
class Capabilities:
    """The promises of one kind of database. The tests check each against the real database where there is one."""

    #: Characters around a quoted identifier; the closing one is doubled inside.
    quote: tuple[str, str] = ('"', '"')
    #: An identifier of letters, digits and underscores in that case needs no quotes. False where nobody knows the case.
    reads_plain_names: bool = True
    #: Longest identifier, in `identifier_unit`.
    max_identifier_length: int = 63
    identifier_unit: Literal["bytes", "characters"] = "characters"
    #: CREATE TABLE, ALTER TABLE and DROP TABLE can be rolled back.
    transactional_ddl: bool = False
    #: TRUNCATE can be rolled back. `full` uses DELETE all the same: a truncated table is empty for readers of older snapshots.
    transactional_truncate: bool = False
    #: A table can be named by schema (or, for MySQL, by database).
    schemas: bool = True
    #: A schema is made by CREATE SCHEMA. False where one is more than that: a user, say.
    creates_schemas: bool = True
    #: `DROP TABLE IF EXISTS` is understood.
    drop_if_exists: bool = True
    #: `(a, b) IN (SELECT a, b ...)` is understood.
    row_values: bool = True
    #: `(a, b) > (1, 2)` is understood: by the first column, then by the next.
    compares_rows: bool = False
    #: How to ask whether a key stands in another table: most plan EXISTS as one hash join; some run it row by row, but read
    #: the subquery of an IN once.
    matches_by: Literal["exists", "in"] = "exists"
    #: A subquery may end with ORDER BY, which says nothing there.
    ordered_subqueries: bool = True
    #: Texts that differ are different keys. False where the usual collation takes some of them for equal: other case, other
    #: accents, blanks at the end.
    exact_text: bool = True
    #: A join on columns without an index is planned as a hash join (or its like): its cost grows with the rows, not with their
    #: product.
    joins_without_index: bool = True
    #: Rows are updated from a subquery; elsewhere only from a table.
    updates_from_subquery: bool = True
    #: FULL JOIN is known, and as fast as any join.
    full_join: bool = False
    #: What ends a SELECT inside an INSERT so that nobody changes the rows that it read before the transaction ends, where no
    #: lock on the table does that.
    locking_read: str = ""
    #: By what an error says that a table or its schema does not exist: SQLStates, vendor codes, a pattern (without case) of its
    #: message.
    missing_table_states: frozenset[str] = field(default_factory=frozenset)
    missing_table_codes: frozenset[int] = field(default_factory=frozenset)
    missing_table_message: str | None = None
    #: SQLStates and vendor codes by which an error says that the database took the transaction back for the sake of another, or
    #: that a lock did not come in time. Sources: the databases' lists of error codes.
    rolled_back_states: frozenset[str] = frozenset({"40001", "40P01"})
    rolled_back_codes: frozenset[int] = field(default_factory=frozenset)
    #: SQLStates and vendor codes by which an error says that the login may not do that.
    denied_states: frozenset[str] = frozenset({"42501", "42502"})
    denied_codes: frozenset[int] = field(default_factory=frozenset)
    #: Patterns, without case, of messages: a NULL was refused, what stands before the name of its column, a table or index of
    #: that name exists, a key is longer than an index holds.
    null_message: str = r"\bnull\b"
    column_in_message: str = r"(?:column:?\s+[\"'`]?|\.)"
    exists_message: str = "already exists"
    long_key_message: str | None = None
    #: What a timestamp with time zone keeps: the instant with the offset that it was written with, the instant alone, or
    #: there is no such type.
    instants: Literal["offset", "utc", "none"] = "offset"
    #: Longest comment on a table or column, in `comment_unit`; 0: the database has none.
    max_comment_length: int = 0
    comment_unit: Literal["bytes", "characters"] = "characters"
    #: With `staging: auto` rows may be loaded straight into a destination, in the transaction that commits them: readers see the
    #: rows from before meanwhile, and a rollback takes the load back.
    loads_directly: bool = False
    #: Takes the one row behind `{}` others, at the end of a query that is in order.
    row_behind: str = "OFFSET {} ROWS FETCH NEXT 1 ROWS ONLY"
    #: How rows get in fast; said by `pipekit doctor` and the docs.
    bulk_path: str = "batched inserts"
    #: How literals, comments and names are written in its SQL, and what an unquoted name stands for.
    syntax: SqlSyntax = UNKNOWN
    #: Clause after the select list for a SELECT of constants; Oracle and DB2 want a table. None: nobody knows.
    one_row_from: str | None = ""
