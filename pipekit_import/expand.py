"""Expansion of shell words: quotes, variables, command substitutions. What cannot be known becomes `Unknown`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from pipekit_import.lexer import Word, skip_part
from pipekit_import.values import (
    Date,
    Environment,
    Spot,
    Text,
    Unknown,
    Value,
    joined,
    plain,
    with_default,
)

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9?#$!@*-]", re.ASCII)
_BRACED = re.compile(r"(#?)([A-Za-z_][A-Za-z0-9_]*|[0-9]+|[?#$!@*-])(.*)", re.ASCII | re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "\\": "\\", "'": "'"}


@dataclass
class Expander:
    """Expands words with the variables and the command substitutions of one interpreter."""

    #: Value of a variable; None when nothing sets it.
    lookup: Callable[[str, Spot], Value | None]
    #: Output of a command substitution.
    substitute: Callable[[str, Spot], Value]
    #: `${NAME:=default}` sets the variable.
    assign: Callable[[str, Value], None]

    def expand(self, word: Word, file: str) -> Value:
        """The word's value, as one field."""
        return self.text(word.raw, Spot(file, word.line))

    def fields(self, word: Word, file: str) -> list[Value]:
        """The word's values: an unquoted one whose text has blanks is several."""
        value = self.expand(word, file)
        text = plain(value)
        if text is None or "$" not in word.raw.split('"')[0] + "".join(word.raw.split('"')[2::2]):
            return [value]
        return [(Text(part, Spot(file, word.line)),) for part in text.split()]

    def text(self, raw: str, spot: Spot, *, in_quotes: bool = False, document: bool = False) -> Value:
        """Expand text. In a here-document quotes are characters like others."""
        parts: list[Value] = []
        literal = ""
        at = 0
        line = spot.line

        def flush() -> None:
            nonlocal literal
            if literal:
                parts.append((Text(literal, Spot(spot.file, line)),))
                literal = ""

        while at < len(raw):
            char = raw[at]
            here = Spot(spot.file, line + raw.count("\n", 0, at))
            if char == "\\" and at + 1 < len(raw):
                follows = raw[at + 1]
                if (in_quotes or document) and follows not in '$`"\\\n':
                    literal += char
                if follows != "\n":
                    literal += follows
                at += 2
            elif char == "'" and not in_quotes and not document:
                end = skip_part(raw, at)
                literal += raw[at + 1 : end - 1]
                at = end
            elif char == '"' and not in_quotes and not document:
                end = skip_part(raw, at)
                flush()
                quoted = self.text(raw[at + 1 : end - 1], here, in_quotes=True)
                parts.append(quoted or (Text("", here),))
                at = end
            elif char == "`":
                end = skip_part(raw, at)
                flush()
                parts.append(self.substitute(raw[at + 1 : end - 1].replace("\\`", "`"), here))
                at = end
            elif char == "$":
                end, value = self._dollar(raw, at, here, in_quotes=in_quotes or document)
                if value is None:
                    literal += raw[at:end]
                else:
                    flush()
                    parts.append(value)
                at = end
            else:
                literal += char
                at += 1
        flush()
        return joined(tuple(part for value in parts for part in value))

    def _dollar(self, raw: str, at: int, spot: Spot, *, in_quotes: bool) -> tuple[int, Value | None]:
        if raw.startswith("$'", at) and not in_quotes:
            end = skip_part(raw, at)
            body = re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[0]), raw[at + 2 : end - 1])
            return end, (Text(body, spot),)
        if raw.startswith("$((", at):
            end = skip_part(raw, at)
            return end, (Unknown(raw[at:end], spot),)
        if raw.startswith("$(", at):
            end = skip_part(raw, at)
            return end, self.substitute(raw[at + 2 : end - 1], spot)
        if raw.startswith("${", at):
            end = skip_part(raw, at)
            return end, self._braced(raw[at + 2 : end - 1], raw[at:end], spot)
        match = _NAME.match(raw, at + 1)
        if not match:
            return at + 1, None
        return match.end(), self._variable(match[0], spot)

    def _variable(self, name: str, spot: Spot) -> Value:
        value = self.lookup(name, spot)
        if value is not None:
            return value
        if re.fullmatch(r"[A-Za-z_]\w*", name):
            return (Environment(name, spot),)
        return (Unknown(f"${name}", spot),)

    def _braced(self, body: str, raw: str, spot: Spot) -> Value:
        match = _BRACED.fullmatch(body)
        if not match or match[1]:
            return (Unknown(raw, spot),)
        name, rest = match[2], match[3].removeprefix("[0]")
        value = self._variable(name, spot)
        if not rest:
            return value
        operator = re.match(r":?[-=?+]", rest)
        if operator:
            return self._alternative(name, value, operator[0], rest[operator.end() :], spot, raw)
        text = plain(value)
        if text is None:
            return (Unknown(raw, spot),)
        return self._cut(text, rest, raw, spot)

    def _alternative(self, name: str, value: Value, operator: str, rest: str, spot: Spot, raw: str) -> Value:
        other = self.text(rest, spot, in_quotes=False)
        if operator[-1] == "?":
            return value
        if operator[-1] == "+":
            return other if value and not isinstance(value[0], Environment) else (Unknown(raw, spot),)
        missing = value == () or (len(value) == 1 and isinstance(value[0], (Environment, Unknown)))
        if missing:
            result = other
        else:
            default = plain(other)
            result = with_default(value, default) if default is not None else value
        if operator[-1] == "=":
            self.assign(name, result)
        return result

    def _cut(self, text: str, rest: str, raw: str, spot: Spot) -> Value:
        """`${x##*/}`, `${x%/*}`, `${x//a/b}`, `${x,,}`: of known text."""
        if rest in (",,", "^^"):
            return (Text(text.lower() if rest == ",," else text.upper(), spot),)
        match = re.match(r"(##|#|%%|%)(.*)", rest, re.DOTALL)
        if match:
            pattern = plain(self.text(match[2], spot))
            if pattern is None:
                return (Unknown(raw, spot),)
            return (Text(_strip(text, match[1], pattern), spot),)
        match = re.match(r"(//|/)([^/]*)/(.*)", rest, re.DOTALL)
        if match:
            return (Text(text.replace(match[2], match[3], -1 if match[1] == "//" else 1), spot),)
        return (Unknown(raw, spot),)


def _strip(text: str, operator: str, pattern: str) -> str:
    expression = "".join(".*" if char == "*" else "." if char == "?" else re.escape(char) for char in pattern)
    lengths = range(len(text) + 1)
    cuts = [n for n in lengths if re.fullmatch(expression, text[:n] if operator[0] == "#" else text[n:], re.DOTALL)]
    if not cuts:
        return text
    if operator[0] == "#":
        return text[max(cuts) if operator == "##" else min(cuts) :]
    return text[: min(cuts) if operator == "%%" else max(cuts)]


def date_value(words: list[str], spot: Spot) -> Value | None:
    """What `date` with these arguments prints, if it is a day near the run's; None when that cannot be told."""
    days = 0
    form = "%a %b %e %H:%M:%S %Z %Y"
    at = 0
    while at < len(words):
        word = words[at]
        if word.startswith("+"):
            form = word[1:]
        elif word in ("-d", "--date") and at + 1 < len(words):
            at += 1
            offset = _days(words[at])
            if offset is None:
                return None
            days = offset
        elif word.startswith("--date="):
            offset = _days(word[7:])
            if offset is None:
                return None
            days = offset
        elif word not in ("-u", "--utc"):
            return None
        at += 1
    return (Date(days, form, spot),)


def _days(text: str) -> int | None:
    text = text.strip().lower()
    known = {"today": 0, "now": 0, "yesterday": -1, "tomorrow": 1}
    if text in known:
        return known[text]
    match = re.fullmatch(r"(?:today|now)?\s*([+-]?\d+)\s*(day|days|week|weeks)(\s+ago)?", text)
    if not match:
        return None
    count = int(match[1]) * (7 if match[2].startswith("week") else 1)
    return -count if match[3] else count
