"""Ranges of a query's rows between two values of a key: how such a value is written, and which rows are in no range.

A key's values must have one order for all rows. Which value is a bound does not matter: each decides but how many rows a range
has, as long as none of them comes before the one that it follows. So a value that may not be written as it was read is no bound.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from pipekit_engine.databases.dialects.base.comparing import ExactComparison
from pipekit_engine.databases.dialects.base.watermarks import WatermarkStatements

if TYPE_CHECKING:
    from pipekit_engine.common.columns import Column
    from pipekit_engine.sql.one_table import OneTable

#: Families with one order for all values. In floating point NaN has none, and a text does not always give the number back.
_NUMBERS = frozenset({"int16", "int32", "int64", "decimal"})
_TIMES = frozenset({"date", "timestamp", "timestamptz"})
#: What is written, as the first group. jrunner reads these patterns as well: they are of Java and Python alike.
_NUMBER = r"(-?[0-9]+(?:\.[0-9]+)?)"
#: A text that holds nothing that one session reads otherwise than another.
ANY_TEXT = r"([^\\\x00-\x1f\x7f]*)"
_ASCII = r"([\x20-\x5b\x5d-\x7e]*)"
_DAY = r"(?!0000)[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_TIME = _DAY + r" [0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?"


@dataclass(frozen=True)
class KeyLiteral:
    """How a key's value is written as SQL: `form` around the first group of `pattern`, which all of the value must match."""

    form: str
    pattern: str

    def write(self, value: str) -> str | None:
        """The value as SQL; None for one that is not safely written."""
        match = re.fullmatch(self.pattern, value)
        return self.form.replace("{}", match[1].replace("'", "''")) if match else None


class RangeStatements(WatermarkStatements, ExactComparison):
    """How a kind reads ranges."""

    #: Cells have types of their own, and compare by them: only the columns of tables are known to have one order for all rows.
    typed_cells: ClassVar[bool] = False
    #: The name by which `split_by` means where a row of a table is kept; empty: there is none that has ranges.
    row_place: ClassVar[str] = ""
    uuid_literal: ClassVar[str] = "'{}'"
    #: Literals hold each character that a column may hold.
    unicode_literals: ClassVar[bool] = True

    def key_literal(self, column: Column) -> KeyLiteral | None:
        """How the values of a key's column are written; None for a type whose values are no bounds."""
        if column.family in _NUMBERS:
            return KeyLiteral("{}", _NUMBER)
        if column.family == "uuid":
            return KeyLiteral(self.uuid_literal, _ASCII)
        if column.family == "text" and self.exact_values_sql(column, "") is not None:
            return KeyLiteral("'{}'", ANY_TEXT if self.unicode_literals else _ASCII)
        if column.family in _TIMES:
            pattern = _DAY if column.family == "date" else _TIME
            zone = r"\+00:00" if column.family == "timestamptz" else ""
            return KeyLiteral(self.time_literal(column, "{}"), f"({pattern}){zone}")
        return None

    def bound_value_sql(self, name: str) -> str:
        """The value of a key's column that may become a bound; NULL for one that is no value of the column's type."""
        return name

    def place_literal(self) -> KeyLiteral:
        """How a place is written."""
        return KeyLiteral("{}", _NUMBER)

    def place_bound_sql(self, query: OneTable, after: str | None, rows: int) -> str:
        """A query for the place behind so many rows, or about as many, from `after` on; no row: fewer follow."""
        place = f"{query.name}.{self.row_place}"
        bare = replace(query, head=f"SELECT {place} FROM {query.source}")
        return f"{bare.where(f'{place} > {after}' if after else f'{place} IS NOT NULL')} ORDER BY {place} " + (
            self.capabilities.row_behind.format(rows - 1)
        )

    def place_obstacle_sql(self, table: str) -> str | None:
        """A query that tells why the rows of a table, as it is written in a query, have no places; no row or NULL: they have."""
        return None
