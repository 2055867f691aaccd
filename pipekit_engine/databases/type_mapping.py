"""Building blocks of the type tables: which type a described column gets, and what that type cannot hold.

A warning never means a silent loss while rows move: jrunner refuses a single value that does not fit. It says beforehand which
rows would be refused, or what is kept in another form.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from pipekit_engine.common.columns import Column
    from pipekit_engine.databases.dialects.base import Dialect


@dataclass(frozen=True)
class MappedType:
    """A column type of the destination, and what the mapping loses, if anything."""

    sql: str
    warning: str | None = None


#: A type's SQL with {precision} and {scale}, or a function of the column and the kind that it comes from.
TypeRule: TypeAlias = "str | Callable[[Column, Dialect], MappedType]"

#: Families without a type of their own in most databases; as text they lose nothing but what can be done with them.
_AS_TEXT = frozenset({"interval", "array"})


def apply_rules(dest: Dialect, column: Column, source: Dialect) -> MappedType:
    """The type that `dest.types` gives a column, with every warning that applies."""
    rule = dest.types.get(column.family)
    warnings: list[str | None] = []
    if rule is None:
        # The digits of a time or an interval are no length of a text.
        rule, column = dest.types["text"], replace(column, precision=0, scale=0)
        if column.family in _AS_TEXT:
            warnings.append("kept as text, as the source writes it")
    if isinstance(rule, str):
        mapped = MappedType(rule.format(precision=column.precision, scale=column.scale))
    else:
        mapped = rule(column, source)
    if dest.is_kin(source):
        # Whatever this kind holds, it holds again.
        return replace(mapped, warning=None)
    warnings.append(mapped.warning)
    if column.family == "timestamptz":
        warnings.append(_zone_loss(dest, source))
    return replace(mapped, warning="; ".join(text for text in warnings if text) or None)


def _zone_loss(dest: Dialect, source: Dialect) -> str | None:
    keeps = dest.capabilities.instants
    if keeps == "none":
        return f"{dest.label} has no timestamp with time zone: the instant is kept as the time in UTC"
    if keeps == "utc" and source.capabilities.instants == "offset":
        return "the instant is kept, the offset that it was written with is not"
    return None


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

    def map_decimal(column: Column, source: Dialect) -> MappedType:
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

    def map_fractional(column: Column, source: Dialect) -> MappedType:
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

    def map_text(column: Column, source: Dialect) -> MappedType:
        own = own_length > 0 and source.types.get("text") is map_text
        length = column.precision * (1 if own else bytes_per_character)
        return MappedType(
            sized.format(precision=length) if 0 < length <= (own_length if own else max_length) else unlimited
        )

    return map_text


def noted(rule: TypeRule, warning: str) -> TypeRule:
    """The same type, with one more thing that it cannot hold."""

    def map_noted(column: Column, source: Dialect) -> MappedType:
        mapped = (
            MappedType(rule.format(precision=column.precision, scale=column.scale))
            if isinstance(rule, str)
            else rule(column, source)
        )
        return replace(mapped, warning=f"{mapped.warning}; {warning}" if mapped.warning else warning)

    return map_noted


#: Bits of the integers that a family holds, and decimal digits that a floating-point family keeps.
_INTEGER_BITS = {"int16": 16, "int32": 32, "int64": 64}
_INTEGER_DIGITS = {"int16": 5, "int32": 10, "int64": 19}
_FLOAT_DIGITS = {"float32": 6, "float64": 15}
_CLOCKS = frozenset({"time", "timetz", "timestamp", "timestamptz"})


def narrowing(there: Column, described: Column, source: Dialect) -> str | None:
    """What an existing column may not hold of a source column, by what both say of themselves; None where nothing is known.

    SQLite's declared types bind no value, so nothing is concluded from them.
    """
    if not source.binding_types:
        return None
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
