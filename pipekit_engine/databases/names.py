"""Table names as people write them: `schema.table`, with quoted parts kept exactly."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pipekit_engine.errors import ConfigurationError

_QUOTES = {'"': '"', "`": "`", "[": "]"}
_BARE = re.compile(r"[^\s.\"`\[\]]+")


@dataclass(frozen=True)
class NamePart:
    """One part of a dotted name. A quoted part is exact; an unquoted one is read as the database reads it."""

    text: str
    quoted: bool


@dataclass(frozen=True)
class TableName:
    """A table's name in the database's own spelling, unquoted. `schema` is None when it was not given."""

    name: str
    schema: str | None = None
    catalog: str | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """The given parts, outermost first."""
        return tuple(part for part in (self.catalog, self.schema, self.name) if part is not None)


def split_name(text: str) -> list[NamePart]:
    """Parts of a dotted name. Raises ConfigurationError naming the text when it is not one."""
    parts: list[NamePart] = []
    position = 0
    while True:
        part, position = _part(text, position)
        parts.append(part)
        if position == len(text):
            break
        if text[position] != ".":
            raise _not_a_name(text)
        position += 1
    if len(parts) > 3:
        raise _not_a_name(text)
    return parts


def quoted_name(parts: Iterable[str]) -> str:
    """A dotted name of exact parts, as `split_name` reads it back."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


def _part(text: str, position: int) -> tuple[NamePart, int]:
    if position < len(text) and text[position] in _QUOTES:
        close, at = _QUOTES[text[position]], position + 1
        out: list[str] = []
        while at < len(text):
            if text[at] == close:
                if text[at : at + 2] != close * 2:
                    if not out:
                        break
                    return NamePart("".join(out), quoted=True), at + 1
                at += 1
            out.append(text[at])
            at += 1
        raise _not_a_name(text)
    match = _BARE.match(text, position)
    if not match:
        raise _not_a_name(text)
    return NamePart(match.group(), quoted=False), match.end()


def _not_a_name(text: str) -> ConfigurationError:
    return ConfigurationError(
        f"{text!r} is not a table name: write table, schema.table or catalog.schema.table; "
        'quote a part with blanks or dots: "my.table"'
    )
