"""Column defaults between kinds: literals and the current time are carried over, everything else is not.

A default that means something else in the other database is worse than none: what is not understood in full gives None.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pipekit_engine.common.columns import Column
    from pipekit_engine.databases.dialects.base import Dialect

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_STRING = re.compile(r"(?:N|_utf8mb4\s*)?'((?:[^']|'')*)'", re.IGNORECASE)
#: PostgreSQL's cast at the end: ::character varying(20), ::timestamp(6) without time zone, ::text[]
_CAST = re.compile(
    r"::\s*(?:\"[^\"]+\"|[\w.]+(?:\s+varying|\s+precision)?)(?:\(\d+(?:,\s*\d+)?\))?"
    r"(?:\s+with(?:out)? time zone)?$",
    re.IGNORECASE,
)
#: CAST(x AS type), as H2 shows typed literals.
_CAST_CALL = re.compile(r"CAST\((.*)\s+AS\s+[\w\s]+(?:\([\d\s,]+\))?[\w\s]*\)", re.IGNORECASE | re.DOTALL)
_TYPED = re.compile(r"(?:DATE|TIME|TIMESTAMP)\s*\(?\s*('(?:[^']|'')*')\s*\)?", re.IGNORECASE)
_NOW = re.compile(
    r"(?:current_timestamp|localtimestamp|now|getdate|sysdatetime|sysdatetimeoffset|sysdate|systimestamp"
    r"|transaction_timestamp|current\s+timestamp)(?:\(\s*\d?\s*\))?",
    re.IGNORECASE,
)
_TODAY = re.compile(r"(?:current_date|curdate|current\s+date)(?:\(\s*\))?", re.IGNORECASE)
_ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_ISO_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d(?:\.\d{1,9})?)")

_NUMERIC = frozenset({"int16", "int32", "int64", "decimal", "float32", "float64"})


@dataclass(frozen=True)
class Default:
    """A default that was understood. `value` is the number's or the string's own text."""

    kind: Literal["number", "string", "boolean", "now", "today"]
    value: str = ""


def read_default(text: str | None, source: Dialect | None = None, column: Column | None = None) -> Default | None:
    """Understand a default as a database writes it; None for NULL and for what is not a plain literal or the time."""
    text = _bare((text or "").strip())
    if source is not None and source.raw_defaults and column is not None and column.family == "text":
        # MySQL's metadata gives the text itself; one with parentheses may be an expression.
        return None if not text or "(" in text or text.upper() == "NULL" else Default("string", text)
    if not text or text.upper() == "NULL":
        return None
    if text.upper() in ("TRUE", "FALSE"):
        return Default("boolean", text.upper())
    if _NUMBER.fullmatch(text):
        return Default("number", text)
    match = _STRING.fullmatch(text)
    if match:
        if "\\" in match[1]:
            # An escape in some databases and settings, a character in others.
            return None
        return Default("string", match[1].replace("''", "'"))
    if _NOW.fullmatch(text):
        return Default("now")
    if _TODAY.fullmatch(text):
        return Default("today")
    if source is not None and source.raw_defaults and _ISO_TIMESTAMP.fullmatch(text):
        return Default("string", text)
    return None


def _bare(text: str) -> str:
    """The text without the parentheses, casts and type names around a value."""
    while True:
        before = text
        if text.startswith("(") and text.endswith(")") and _closes_at_end(text):
            text = text[1:-1].strip()
        text = _CAST.sub("", text).strip()
        for pattern in (_CAST_CALL, _TYPED):
            match = pattern.fullmatch(text)
            if match:
                text = match[1].strip()
        if text == before:
            return text


def _closes_at_end(text: str) -> bool:
    """Whether the first parenthesis is closed by the last character; those in strings do not count."""
    depth, quoted = 0, False
    for index, character in enumerate(text):
        if character == "'":
            quoted = not quoted
        elif not quoted and character in "()":
            depth += 1 if character == "(" else -1
            if depth == 0:
                return index == len(text) - 1
    return False


def write_default(default: Default, dest: Dialect, column: Column | None = None) -> str | None:
    """The default as SQL of another kind, for a column of this family; None where it would mean something else."""
    family = column.family if column is not None else None
    kind, value = default.kind, default.value
    if family == "boolean":
        known = {"TRUE": 1, "FALSE": 0, "1": 1, "0": 0, "t": 1, "f": 0, "true": 1, "false": 0}.get(value)
        return None if known is None or kind in ("now", "today") else dest.boolean_literals[known]
    if kind == "boolean":
        if family is None:
            return dest.boolean_literals[value == "TRUE"]
        return str(int(value == "TRUE")) if family in _NUMERIC else None
    if family == "date":
        if kind in ("now", "today"):
            return dest.today_sql
        return dest.date_literal.format(value) if kind == "string" and _ISO_DATE.fullmatch(value) else None
    if family in ("timestamp", "timestamptz"):
        return _timestamp(default, dest, family, column.precision if column is not None else 0)
    if family in _NUMERIC or (family is None and kind == "number"):
        return value if _NUMBER.fullmatch(value) and kind in ("number", "string") else None
    if kind == "now":
        return dest.now_sql(0) if family is None else None
    if kind == "today":
        return dest.today_sql if family is None else None
    return dest.string_literal(value) if family in (None, "text", "uuid", "json", "xml") else None


def _timestamp(default: Default, dest: Dialect, family: str, digits: int) -> str | None:
    if default.kind == "now":
        return dest.now_sql(digits)
    match = _ISO_TIMESTAMP.fullmatch(default.value) if default.kind == "string" else None
    if match is None or family == "timestamptz":
        # A literal without offset means an hour that depends on the session.
        return None
    return dest.timestamp_literal.format(f"{match[1]} {match[2]}")
