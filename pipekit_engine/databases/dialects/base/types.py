"""Types: which type a described column gets, what that type cannot hold, and the rules of which the type tables are made.

A warning never means a silent loss while rows move: jrunner refuses a single value that does not fit. It says beforehand which
rows would be refused, or what is kept in another form.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from pipekit_engine.databases.dialects.base.identifiers import Identifiers

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pipekit_engine.common.columns import Column
    from pipekit_engine.databases.names import TableName


@dataclass(frozen=True)
class MappedType:
    """A column type of the destination, and what the mapping loses, if anything."""

    sql: str
    warning: str | None = None


#: A type's SQL with {precision} and {scale}, or a function of the column and the kind that it comes from.
TypeRule: TypeAlias = "str | Callable[[Column, TypeSystem], MappedType]"

#: What a `dest_type` may say beside the type.
_SAYS_MORE = re.compile(r"\b(?:null|default|generated|identity|auto_increment|primary|unique|check|references)\b", re.I)
#: Families without a type of their own in most databases; as text they lose nothing but what can be done with them.
_AS_TEXT = frozenset({"interval", "array"})


class TypeSystem(Identifiers):
    """The types of a kind."""

    #: The type of each family; one without an entry gets that of text.
    types: ClassVar[Mapping[str, TypeRule]] = {}
    #: A column's declared type binds the values in it.
    binding_types: ClassVar[bool] = True

    def map_type(self, column: Column, source: TypeSystem) -> MappedType:
        """Type in this database for a described source column; the warning says what the mapping loses."""
        if source.kind == self.kind:
            native = self.native_type(column)
            if native is not None:
                return MappedType(native)
        rule = self.types.get(column.family)
        warnings: list[str | None] = []
        if rule is None:
            # The digits of a time or an interval are no length of a text.
            rule, column = self.types["text"], replace(column, precision=0, scale=0)
            if column.family in _AS_TEXT:
                warnings.append("kept as text, as the source writes it")
        mapped = _apply(rule, column, source)
        if self.is_kin(source):
            # Whatever this kind holds, it holds again.
            return replace(mapped, warning=None)
        warnings.append(mapped.warning)
        if column.family == "timestamptz":
            warnings.append(self._zone_loss(source))
        return replace(mapped, warning="; ".join(text for text in warnings if text) or None)

    def _zone_loss(self, source: TypeSystem) -> str | None:
        keeps = self.capabilities.instants
        if keeps == "none":
            return f"{self.label} has no timestamp with time zone: the instant is kept as the time in UTC"
        if keeps == "utc" and source.capabilities.instants == "offset":
            return "the instant is kept, the offset that it was written with is not"
        return None

    def native_type(self, column: Column) -> str | None:
        """The very type of a column of the same kind, when its description gives it in full; None to map by family."""
        return None

    def exact_types_sql(self, table: TableName) -> str | None:
        """A query on the catalogue for types of a table's columns that a description does not tell; the name comes first."""
        return None

    def exact_type(self, row: Sequence[str | None]) -> str | None:
        """The very type that a row of that query tells, for a column in any database of this kind; None to go by description."""
        return row[1]

    def type_to_ask_for(self, column: Column) -> str | None:
        """The name of a column's type, in SQL, if it is one that not every database of this kind has."""
        return None

    def known_types_sql(self, names: Sequence[str]) -> str | None:
        """A query for those of the types that this database has, as they were given."""
        return None

    def not_null_type(self, sql_type: str) -> str:
        """The type of a column in CREATE TABLE that is never NULL; what says more of it than its type is left alone."""
        return sql_type if _SAYS_MORE.search(sql_type) else f"{sql_type} NOT NULL"

    def fit_row(self, columns: Sequence[tuple[str, str]], keep: Collection[str]) -> dict[str, str]:
        """Of a new table's (name, type) columns those that need another type for a row to fit, but for those to `keep`."""
        return {}

    def is_kin(self, other: TypeSystem) -> bool:
        """Whether what the other kind holds is held here in the very same types."""
        return isinstance(other, type(self)) or isinstance(self, type(other))

    def narrowing(self, there: Column, column: Column, source: TypeSystem) -> str | None:
        """What an existing column `there` of this database may refuse of a source column; None where nothing is known."""
        # Declared types that bind no value tell nothing.
        return _narrowing(there, column) if source.binding_types else None


def _apply(rule: TypeRule, column: Column, source: TypeSystem) -> MappedType:
    if isinstance(rule, str):
        return MappedType(rule.format(precision=column.precision, scale=column.scale))
    return rule(column, source)


def decimal(
    sql: str, *, max_precision: int, max_scale: int | None = None, unconstrained: str | None = None, scale: int = 10
) -> TypeRule:
    """A decimal type of up to `max_precision` digits.

    What has more digits gets all there are, with as many behind the point as the source has, but for up to `scale` of them not
    at the cost of those before it. A column without limits gets `unconstrained`, which holds everything; where the database has
    no such type, `max_precision` digits with `scale` of them behind the point.
    """
    most = max_precision if max_scale is None else max_scale

    def limited(digits: int) -> MappedType:
        kept = f"{max_precision - digits} digits before and {digits} after the point are kept"
        return MappedType(
            sql.format(precision=max_precision, scale=digits), f"{kept}, a row that needs more is refused"
        )

    def map_decimal(column: Column, source: TypeSystem) -> MappedType:
        if column.precision <= 0:
            return limited(scale) if unconstrained is None else MappedType(unconstrained)
        # NUMERIC(3,-2) holds hundreds, NUMERIC(2,5) hundred-thousandths: written out they have five digits each.
        behind = max(column.scale, 0)
        before = max(column.precision - column.scale, 0)
        if before + behind <= max_precision and behind <= most:
            return MappedType(sql.format(precision=max(before + behind, 1), scale=behind))
        if unconstrained is not None and max_scale is None:
            return MappedType(unconstrained)
        return limited(min(behind, most, max(scale, max_precision - before)))

    return map_decimal


def fractional(sql: str, *, max_digits: int) -> TypeRule:
    """A time or timestamp type with fractional digits, with a warning when the source has more of them."""

    def map_fractional(column: Column, source: TypeSystem) -> MappedType:
        digits = column.precision
        warning = None
        if digits > max_digits:
            kept = (
                f"{max_digits} are kept, a row that needs more is refused"
                if max_digits
                else "a row with any is refused"
            )
            warning = f"{digits} fractional digits; {kept}"
        return MappedType(sql.format(precision=min(digits, max_digits)), warning)

    return map_fractional


def sized_text(
    sized: str, *, max_length: int, unlimited: str, own_length: int = 0, bytes_per_character: int = 1
) -> TypeRule:
    """`sized` for text with a known length up to `max_length`; `unlimited` otherwise.

    Text of the same kind of database may be up to `own_length` long: it is known to fit. With `bytes_per_character` the type
    counts bytes: a length in characters becomes the bytes that they may need.
    """

    def map_text(column: Column, source: TypeSystem) -> MappedType:
        own = own_length > 0 and source.types.get("text") is map_text
        length = column.precision * (1 if own else bytes_per_character)
        return MappedType(
            sized.format(precision=length) if 0 < length <= (own_length if own else max_length) else unlimited
        )

    return map_text


def own_or_other(own: TypeRule, other: TypeRule, warning: str) -> TypeRule:
    """The rule `own` for columns of the same kind of database, and `other`, with a warning, for those that may hold more."""

    def map_by_kind(column: Column, source: TypeSystem) -> MappedType:
        if source.types.get(column.family) is map_by_kind:
            return _apply(own, column, source)
        mapped = _apply(other, column, source)
        return replace(mapped, warning=f"{mapped.warning}; {warning}" if mapped.warning else warning)

    return map_by_kind


#: Bits of the integers that a family holds, and decimal digits that a floating-point family keeps.
_INTEGER_BITS = {"int16": 16, "int32": 32, "int64": 64}
_INTEGER_DIGITS = {"int16": 5, "int32": 10, "int64": 19}
_FLOAT_DIGITS = {"float32": 6, "float64": 15}
_CLOCKS = frozenset({"time", "timetz", "timestamp", "timestamptz"})


def _narrowing(there: Column, described: Column) -> str | None:
    """What an existing column may not hold of a source column, by what both say of themselves; None where nothing is known."""
    pair = (described.family, there.family)
    if pair == ("text", "text") and 0 < there.precision < described.precision:
        return (
            f"up to {described.precision} characters; {there.precision} are allowed, a row that needs more is refused"
        )
    if pair == ("decimal", "decimal"):
        return _narrower_decimal(there, described)
    if described.family in _INTEGER_BITS:
        return _narrower_integer(there, described)
    if described.family == "decimal" and there.family in _INTEGER_BITS and described.scale > 0:
        return f"{described.scale} digits after the point; a row that has any is refused"
    if described.family == "decimal" and there.family in _FLOAT_DIGITS:
        digits = _FLOAT_DIGITS[there.family]
        if not 0 < described.precision <= digits:
            return f"floating point keeps {digits} digits, a row that needs more is refused"
    if described.family in _FLOAT_DIGITS and there.family == "decimal" and there.precision > 0:
        before, behind = there.precision - there.scale, there.scale
        return f"{before} digits before and {behind} after the point are kept, a number that needs more is refused"
    if pair == ("float64", "float32"):
        return "single precision; a row that needs double is refused"
    if described.family in _CLOCKS and there.family in _CLOCKS:
        notes = []
        if there.precision < described.precision:
            kept = f"{there.precision} are kept, " if there.precision else "none are kept, "
            notes.append(f"{described.precision} fractional digits; {kept}a row that needs more is refused")
        if pair == ("timestamptz", "timestamp"):
            notes.append("the time zone is lost: the instant is kept as the time in UTC")
        return "; ".join(notes) or None
    if described.family in ("timestamp", "timestamptz") and there.family == "date":
        return "dates only; a row with a time of day is refused"
    return None


def _narrower_decimal(there: Column, described: Column) -> str | None:
    if there.precision <= 0:
        return None
    before, behind = there.precision - there.scale, there.scale
    limited = described.precision > 0
    if limited and described.precision - described.scale <= before and described.scale <= behind:
        return None
    return f"{before} digits before and {behind} after the point are kept, a row that needs more is refused"


def _narrower_integer(there: Column, described: Column) -> str | None:
    bits = _INTEGER_BITS[described.family]
    if there.family in _FLOAT_DIGITS and _FLOAT_DIGITS[there.family] < _INTEGER_DIGITS[described.family]:
        return f"floating point keeps {_FLOAT_DIGITS[there.family]} digits, a row that needs more is refused"
    if there.family in _INTEGER_BITS and _INTEGER_BITS[there.family] < bits:
        return f"{bits} bits; {_INTEGER_BITS[there.family]} are kept, a row that needs more is refused"
    if there.family == "decimal" and 0 < there.precision - there.scale < _INTEGER_DIGITS[described.family]:
        return f"{there.precision - there.scale} digits are kept, a row that needs more is refused"
    return None
