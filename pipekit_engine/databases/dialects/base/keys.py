"""When two keys are the same: what a kind's types and collations take for equal, and the types that tell all texts apart."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Literal

from pipekit_engine.databases.dialects.base.identifiers import Identifiers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipekit_engine.common.columns import Column
    from pipekit_engine.databases.names import TableName

#: How many texts stand for one value of a key: one alone; numbers with more or fewer zeros at their end; 0 and -0; several, of
#: which nobody says here which is the usual one.
Writings = Literal["one", "numbers", "zeros", "many"]

#: What a key of text without a length gets where the type for such texts cannot be compared.
MAX_KEY_TEXT = 1000
#: Elements of arrays that are equal although they are written otherwise, by the name of the array's type.
_LOOSE_ELEMENTS = re.compile(r"(?<![a-z])(?:float|real|double|num|dec|interval|json)|with time zone", re.I)
#: Why texts are taken for equal where the standard's PAD SPACE is the rule.
PADDED = "texts that differ by blanks at their end alone are equal there"


class KeyEquality(Identifiers):
    """How a kind compares the texts of a key."""

    #: Asks for the collation of `exact_key_type` in the spelling that a type takes; no row where there is none yet.
    exact_collation_sql: ClassVar[str | None] = None
    #: Makes that collation, and its spelling.
    new_exact_collation: ClassVar[tuple[str, str] | None] = None

    #: Families of which equal values of other kinds may be different ones here.
    finer_families: ClassVar[frozenset[str]] = frozenset()

    #: Types, by their names, of whose values the kind cannot say which are equal.
    incomparable_types: ClassVar[re.Pattern[str] | None] = None

    def usual_value_sql(self, value: str) -> str:
        """A value (SQL text) of a finer family, not of a text, as the one that stands for all that are equal elsewhere."""
        return value

    def is_untyped(self, column: Column) -> bool:
        """Whether a column holds numbers beside texts that look the same, and tells them apart."""
        return False

    def coarse_type(self, column: Column) -> str | None:
        """Why a column may take different texts for equal, from its description alone; None where it takes none for equal."""
        return None if self.capabilities.exact_text or column.family != "text" else "its collation"

    def coarse_columns_sql(self, table: TableName) -> str | None:
        """A query for (column, why) of a table's columns that may take different texts for equal; None to ask `coarse_type`."""
        return None

    def ignores_case(self, column: Column) -> bool:
        """Whether a column of a query may take texts for equal by more than blanks at their end, from its description alone."""
        return column.family == "text" and not self.capabilities.exact_text

    def query_collations_sql(self, query: str, columns: Sequence[str]) -> str | None:
        """A query for one row with the collation of each of a query's columns, without reading a row of it."""
        return None

    def is_exact_collation(self, collation: str) -> bool:
        """Whether a collation that `query_collations_sql` gave tells texts apart, but for blanks at their end."""
        return True

    def key_type(self, sql_type: str, collation: str | None) -> str:
        """The type of a key column in a new table: fit for an index, and texts that differ are different keys.

        `collation` is the answer to `exact_collation_sql`, None where it was not asked.
        """
        return sql_type

    def exact_sql(self, column: Column, text: str) -> str:
        """A text column's value (SQL text) as something that is equal only to the same text."""
        return text

    def key_writings(self, column: Column) -> Writings:
        """How many texts stand for equal values of a column."""
        if column.family == "decimal" and (column.precision <= 0 or column.type_name.upper().startswith("DECFLOAT")):
            return "numbers"
        if column.family in ("float32", "float64"):
            return "zeros"
        if column.family in ("timestamptz", "timetz") and self.capabilities.instants == "offset":
            return "many"
        return "many" if column.family == "array" and _LOOSE_ELEMENTS.search(column.type_name) else "one"

    def usual_writing_sql(self, writings: Writings, text: str) -> str:
        """A key's text (SQL text) as the one text that stands for all that are equal as numbers."""
        if writings == "zeros":
            return f"CASE WHEN {text} = '-0' THEN '0' ELSE {text} END"
        cut = self._without_end_sql(self._without_end_sql(text, "0"), ".")
        return f"CASE WHEN {text} LIKE '%.%' AND UPPER({text}) NOT LIKE '%E%' THEN {cut} ELSE {text} END"

    def _without_end_sql(self, text: str, character: str) -> str:
        return f"TRIM(TRAILING '{character}' FROM {text})"

    def key_advice(self, table: str, column: Column) -> str:
        """What a person does about a key column that takes different texts for equal."""
        return f"Give column {column.name} of {table} a collation that compares exactly, such as a binary one."


class PaddedKeys(KeyEquality):
    """A kind that has no type for texts but those that are equal when they differ by blanks at the end alone."""

    def coarse_type(self, column: Column) -> str | None:
        return PADDED if column.family == "text" else None

    def exact_sql(self, column: Column, text: str) -> str:
        return f"{text} || 'x'"  # with something behind them the blanks count

    def key_advice(self, table: str, column: Column) -> str:
        return (
            f"{self.label} has no text that tells them apart: cut the blanks in the query (RTRIM), or choose another key than "
            f"{column.name}."
        )
