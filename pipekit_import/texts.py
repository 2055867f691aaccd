"""Changing texts as sed, envsubst and psql's -v do, with values that may hold watermarks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pipekit_import.values import Part, Spot, Text, Value, joined, plain

if TYPE_CHECKING:
    from pipekit_import.expand import Expander


def replace_text(value: Value, old: str, new: str | Value, count: int = -1) -> Value:
    """Put `new` in place of `old` in the known text of a value."""
    replacement: Value = (Text(new),) if isinstance(new, str) else new
    parts: list[Part] = []
    for part in value:
        if not isinstance(part, Text) or old not in part.text:
            parts.append(part)
            continue
        pieces = part.text.split(old, count)
        for i, piece in enumerate(pieces):
            if i:
                parts += replacement
            parts.append(Text(piece, part.spot))
    return joined(tuple(parts))


def cut(value: Value, text: str) -> tuple[Value, Value]:
    """What stands before and after a text in a value."""
    mark = "\0"
    parts = replace_text(value, text, mark, 1)
    for i, part in enumerate(parts):
        if isinstance(part, Text) and mark in part.text:
            before, after = part.text.split(mark, 1)
            spot = part.spot and Spot(part.spot.file, part.spot.line + before.count("\n") + text.count("\n"))
            return joined((*parts[:i], Text(before, part.spot))), joined((Text(after, spot), *parts[i + 1 :]))
    return value, ()


def lines_of(value: Value) -> list[Value]:
    """The value's lines."""
    lines: list[list[Part]] = [[]]
    for part in value:
        if not isinstance(part, Text):
            lines[-1].append(part)
            continue
        for i, piece in enumerate(part.text.split("\n")):
            if i:
                lines.append([])
            if piece:
                spot = part.spot
                row = part.text.split("\n")[:i]
                lines[-1].append(Text(piece, Spot(spot.file, spot.line + len(row)) if spot else None))
    return [joined(tuple(line)) for line in lines]


def sed(text: Value, expression: Value) -> Value | None:
    """Apply `s/old/new/`; None for anything else that sed can do."""
    first = expression[0] if expression else None
    if not isinstance(first, Text) or len(first.text) < 2 or first.text[0] != "s" or first.text[1].isalnum():
        return None
    delimiter = first.text[1]
    fields: list[list[Part]] = [[]]
    for i, part in enumerate(expression):
        if not isinstance(part, Text):
            fields[-1].append(part)
            continue
        body = part.text[2:] if i == 0 else part.text
        for j, piece in enumerate(re.split(rf"(?<!\\){re.escape(delimiter)}", body)):
            if j:
                fields.append([])
            if piece:
                fields[-1].append(Text(piece.replace("\\" + delimiter, delimiter), part.spot))
    if len(fields) != 3:
        return None
    pattern, flags = plain(tuple(fields[0])), plain(tuple(fields[2])) or ""
    if pattern is None or re.search(r"[*+?\[\]^]|\$$|\\\(", pattern.replace("\\.", "").replace("\\$", "")):
        return None
    pattern = re.sub(r"\\(.)", r"\1", pattern)
    new = joined(tuple(fields[1]))
    if "g" in flags:
        return replace_text(text, pattern, new)
    lines: list[Part] = []
    for i, line in enumerate(lines_of(text)):
        if i:
            lines.append(Text("\n"))
        done = False
        for part in line:
            if isinstance(part, Text) and pattern in part.text and not done:
                lines += replace_text((part,), pattern, new, 1)
                done = True
            else:
                lines.append(part)
    return joined(tuple(lines))


def substitute_variables(text: Value, expander: Expander, spot: Spot) -> Value:
    """What envsubst prints."""
    parts: list[Part] = []
    for part in text:
        if not isinstance(part, Text):
            parts.append(part)
            continue
        for piece in re.split(r"(\$\{\w+\}|\$[A-Za-z_]\w*)", part.text):
            parts += expander.text(piece, part.spot or spot) if piece.startswith("$") else (Text(piece, part.spot),)
    return joined(tuple(parts))


def psql_variables(sql: Value, variables: dict[str, Value]) -> Value:
    """`:name`, `:'name'` and `:"name"` of psql -v."""
    for name, value in variables.items():
        for quote in ("'", '"'):
            quoted: Value = (Text(quote), *value, Text(quote))
            sql = replace_text(sql, f":{quote}{name}{quote}", joined(quoted))
        parts: list[Part] = []
        for part in sql:
            if not isinstance(part, Text):
                parts.append(part)
                continue
            for i, piece in enumerate(re.split(rf"(?<!:):{re.escape(name)}\b", part.text)):
                if i:
                    parts += value
                parts.append(Text(piece, part.spot))
        sql = joined(tuple(parts))
    return sql
