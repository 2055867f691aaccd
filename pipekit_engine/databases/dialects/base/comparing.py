"""Telling rows apart exactly, so that a merge writes only what changes; and which errors of a merge are worth another try."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pipekit_engine.databases.dialects.base.identifiers import Identifiers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipekit_engine.common.columns import Column

#: Families whose values are identical when they are equal, in every database.
_PLAIN = frozenset({"boolean", "int16", "int32", "int64", "decimal", "date", "time", "timestamp", "uuid"})


class ExactComparison(Identifiers):
    """How a kind compares two rows of one table's types. `=` may take for equal what a reader sees as different."""

    #: The type of the small number that says how a key's rows change.
    change_type: ClassVar[str] = "SMALLINT"

    def exact_values_sql(self, column: Column, value: str) -> tuple[str, ...] | None:
        """Expressions on a column's `value` (SQL text), all of them equal for identical values only; NULL for NULL.

        A text is not identical to one in other case or with blanks at its end, nor 1.0 to 1.00, nor 0.0 to -0.0. None: this
        kind cannot tell values of that type apart.
        """
        return (value,) if column.family in _PLAIN else None

    def grouped_values_sql(self, column: Column, value: str) -> tuple[str, ...] | None:
        """As `exact_values_sql`, for a GROUP BY."""
        return self.exact_values_sql(column, value)

    def distinct_sql(self, left: str, right: str) -> str:
        """Condition that two values differ, NULL being equal to NULL."""
        return f"{left} IS DISTINCT FROM {right}"

    def differs_sql(self, column: Column, left: str, right: str) -> list[str]:
        """Conditions of which one holds where two values of a column, of a type that can be told apart, are not identical."""
        ours, theirs = self.exact_values_sql(column, left) or (), self.exact_values_sql(column, right) or ()
        return [self.distinct_sql(a, b) for a, b in zip(ours, theirs, strict=True)]

    def sample_sql(self, table: str, alias: str, key: Sequence[str]) -> str | None:
        """About one row in a thousand of a table, from all over it, as in a FROM clause; None where that costs a lot."""
        return None

    def join_in_order_sql(self, table: str, key: str) -> tuple[list[str], list[str]] | None:
        """Statements around one of the same transaction that joins all rows of `table` by a unique key beginning with `key`.

        They let the database take the rows in the key's order where they are kept so. None where it finds out by itself.
        """
        return None

    def is_rolled_back(self, sqlstate: str | None, vendor_code: int | None) -> bool:
        """Whether an error says that the database took a transaction back for the sake of another, or that a lock did not come.

        The same transaction may succeed when it is tried again.
        """
        known = self.capabilities
        return sqlstate in known.rolled_back_states or vendor_code in known.rolled_back_codes


def null_safe(left: str, right: str) -> str:
    """`IS DISTINCT FROM` where it is not known."""
    return (
        f"({left} <> {right} OR ({left} IS NULL AND {right} IS NOT NULL) OR ({left} IS NOT NULL AND {right} IS NULL))"
    )
