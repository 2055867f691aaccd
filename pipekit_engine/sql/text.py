"""Reading SQL text just far enough: literals, quoted names and comments apart from the rest.

Never a parser of any dialect. It answers three questions: where are the `{placeholders}`, does one stand inside a string
literal, and where does a statement end. MySQL writes literals and comments in its own way, so a caller that knows the
dialect says so by its `Lexis`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Kind = Literal["code", "string", "name", "comment"]
#: How literals and comments are written: as the standard and most databases have it, or as MySQL and MariaDB do.
Lexis = Literal["standard", "mysql"]


class Span(NamedTuple):
    """A stretch of text of one kind; the stretches of a text follow each other without gaps."""

    kind: Kind
    text: str


#: What begins a stretch that is not code. A doubled closing quote continues the literal: it is read as two literals in a
#: row, which comes to the same. In an ordinary literal a backslash stands for itself; E'...' is PostgreSQL's literal with
#: escapes, $tag$ ... $tag$ its literal without any, and q'[...]' Oracle's.
_STANDARD = re.compile(
    r"""
      (?P<string> '[^']*(?:'|\Z)
                | (?<![A-Za-z0-9_$]) [eE]'(?:[^'\\]|\\.|'')*(?:'|\\?\Z)
                | (?<![A-Za-z0-9_$]) [nN]?[qQ]'(?:\[.*?\]'|\(.*?\)'|\{.*?\}'|<.*?>'|(?P<mark>[^\s\[({<]).*?(?P=mark)')
                | (?<![A-Za-z0-9_$]) (?P<tag>\$(?:[A-Za-z_][A-Za-z0-9_]*)?\$) .*? (?:(?P=tag)|\Z) )
    | (?P<name>   "[^"]*(?:"|\Z) | `[^`]*(?:`|\Z) )
    | (?P<comment> --[^\n]* | /\*.*?(?:\*/|\Z) )
    """,
    re.VERBOSE | re.DOTALL,
)
#: A backslash escapes in a literal, double quotes are a literal's, # begins a comment, and -- only before a blank.
_MYSQL = re.compile(
    r"""
      (?P<string> '(?:[^'\\]|\\.)*(?:'|\\?\Z) | "(?:[^"\\]|\\.)*(?:"|\\?\Z) )
    | (?P<name>   `[^`]*(?:`|\Z) )
    | (?P<comment> \#[^\n]* | --(?=[\s\0]|\Z)[^\n]* | /\*.*?(?:\*/|\Z) )
    """,
    re.VERBOSE | re.DOTALL,
)
_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
#: A statement that starts like this holds statements of its own; its semicolons are not ours to split at.
_BODY = re.compile(
    r"\s*(?:BEGIN\b(?!\s*(?:;|TRAN|WORK|\Z))|DECLARE\b|(?:CREATE|ALTER)\b(?:\s+OR\s+REPLACE)?(?:\s+\w+){0,3}?"
    r"\s+(?:PROCEDURE|FUNCTION|TRIGGER|PACKAGE|EVENT)\b)",
    re.IGNORECASE,
)


def spans(sql: str, lexis: Lexis = "standard") -> Iterator[Span]:
    """The text as stretches of code, string literals, quoted names and comments."""
    position = 0
    for match in (_MYSQL if lexis == "mysql" else _STANDARD).finditer(sql):
        if match.start() > position:
            yield Span("code", sql[position : match.start()])
        kind: Kind = "name" if match["name"] else "comment" if match["comment"] else "string"
        yield Span(kind, match.group())
        position = match.end()
    if position < len(sql):
        yield Span("code", sql[position:])


def placeholders(sql: str, lexis: Lexis = "standard") -> list[str]:
    """Names of the `{placeholders}` in the text, in order, each once; those in comments do not count."""
    found: dict[str, None] = {}
    for span in spans(sql, lexis):
        if span.kind != "comment":
            found.update(dict.fromkeys(_PLACEHOLDER.findall(span.text)))
    return list(found)


def materialize(sql: str, values: Mapping[str, str], lexis: Lexis = "standard") -> str:
    """Put values in place of `{name}`. Only names in `values` are replaced, and a value is never looked at again.

    Inside a string literal a quote in the value is doubled, and so is a backslash where it would escape: the literal means
    exactly the value, and a value never ends the literal that it stands in. Elsewhere the value goes in as it is: a
    number, or SQL that the resolver made. Comments are left alone.
    """

    def fill(span: Span) -> str:
        if span.kind == "comment":
            return span.text

        def value(match: re.Match[str]) -> str:
            text = values.get(match[1])
            if text is None:
                return match[0]
            return _in_literal(text, span.text[0], lexis) if span.kind == "string" else text

        return _PLACEHOLDER.sub(value, span.text)

    return "".join(map(fill, spans(sql, lexis)))


def _in_literal(value: str, opening: str, lexis: Lexis) -> str:
    """The value as it is written inside a literal that begins with this character."""
    if opening in "eE" or (lexis == "mysql" and opening in "'\""):
        value = value.replace("\\", "\\\\")
    quote = "'" if opening in "eE" else opening
    return value.replace(quote, quote * 2) if quote in "'\"" else value


def split_statements(sql: str, lexis: Lexis = "standard") -> list[str]:
    """The statements of a script, without their semicolons.

    Semicolons in literals, names and comments do not split, nor do those of a routine's or block's body: a text that
    begins with such a statement is one statement.
    """
    if _BODY.match("".join(span.text for span in spans(sql, lexis) if span.kind != "comment")):
        return [sql.strip()]
    statements: list[list[str]] = [[]]
    has_code = [False]
    for span in spans(sql, lexis):
        if span.kind != "code":
            statements[-1].append(span.text)
            has_code[-1] |= span.kind != "comment"
            continue
        first, *others = span.text.split(";")
        for index, part in enumerate((first, *others)):
            if index:
                statements.append([])
                has_code.append(False)
            statements[-1].append(part)
            has_code[-1] |= bool(part.strip())
    return ["".join(parts).strip() for parts, code in zip(statements, has_code, strict=True) if code]


def as_subquery(sql: str, lexis: Lexis = "standard") -> str:
    """A query that can stand in parentheses: no trailing semicolon, and no comment at its end that would swallow the rest."""
    parts = list(spans(sql, lexis))
    while parts and (parts[-1].kind == "comment" or not parts[-1].text.strip(" \t\r\n;")):
        parts.pop()
    return "".join(span.text for span in parts).rstrip(" \t\r\n;")
