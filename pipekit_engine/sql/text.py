"""Reading SQL text just far enough: literals, quoted names and comments apart from the rest.

Never a parser of any dialect. It answers three questions: where are the `{placeholders}`, does one stand inside a string
literal, and where does a statement end. A run depends on the answers, so it never fails, whatever the text, and it knows how
each kind of database writes its literals; a parser does neither.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from pipekit_engine.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pipekit_engine.sql.syntax import SqlSyntax

#: Before any time that a database can hold; SQL Server's older types are converted to datetime2 first.
FIRST_TIMESTAMP = "0001-01-01 00:00:00"

Kind = Literal["code", "string", "name", "comment"]


class Span(NamedTuple):
    """A stretch of text of one kind; the stretches of a text follow each other without gaps."""

    kind: Kind
    text: str


@cache
def _pattern(syntax: SqlSyntax) -> re.Pattern[str]:
    """What begins a stretch that is not code.

    A doubled closing quote continues the literal: it is read as two literals in a row, which comes to the same.
    """
    before = r"(?<![A-Za-z0-9_$])"
    escaped = r"(?:[^{0}\\]|\\.)*(?:{0}|\\?\Z)"
    plain = r"[^{0}]*(?:{0}|\Z)"
    body = escaped if syntax.backslash_escapes else plain
    strings, names, comments = ["'" + body.format("'")], ["`[^`]*(?:`|\\Z)"], [r"/\*.*?(?:\*/|\Z)"]
    (strings if syntax.double_quoted_strings else names).append(
        '"' + (body if syntax.double_quoted_strings else plain).format('"')
    )
    if syntax.escape_strings:
        escapes = r"'(?:[^'\\]|\\.|'')*(?:'|\\?\Z)"
        # A literal after a line break goes on with the one before, and with its escapes.
        strings.append(before + rf"[eE]{escapes}(?:\s*?(?:--[^\n]*)?\n\s*{escapes})*")
    if syntax.q_strings:
        brackets = r"\[.*?\]'|\(.*?\)'|\{.*?\}'|<.*?>'"
        strings.append(before + rf"[nN]?[qQ]'(?:{brackets}|(?P<mark>[^\s\[({{<]).*?(?P=mark)')")
    if syntax.dollar_strings:
        strings.append(before + r"(?P<tag>\$(?:[^\W\d]\w*)?\$).*?(?:(?P=tag)|\Z)")
    if syntax.brackets == "names":
        names.append(r"\[(?:[^\]]|\]\])*(?:\]|\Z)")
    comments.append(r"--(?=[\s\0]|\Z)[^\n]*" if syntax.spaced_dashes else r"--[^\n]*")
    if syntax.hash_comments:
        comments.append(r"\#[^\n]*")
    kinds = {"string": strings, "name": names, "comment": comments}
    return re.compile("|".join(f"(?P<{kind}>{'|'.join(parts)})" for kind, parts in kinds.items()), re.DOTALL)


_Q_STRING = re.compile(r"\b[nN]?[qQ]'")
#: In U&'...' an escape begins with a backslash, or with what UESCAPE says.
_UNICODE_LITERAL = re.compile(r"\bU&['\"]", re.IGNORECASE)
_UESCAPE = re.compile(r"\bUESCAPE\s*'(.)'", re.IGNORECASE)
_COMMENT_MARK = re.compile(r"/\*|\*/")
#: `{{name}}` is the text `{name}`. Only what would be a placeholder is doubled: braces of JSON and of arrays stay as they are.
_PLACEHOLDER = re.compile(r"\{\{(?P<literal>[A-Za-z_][A-Za-z0-9_]*)\}\}|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}")
#: A statement that starts like this holds statements of its own; its semicolons are not ours to split at.
_BODY = re.compile(
    r"\s*(?:BEGIN\b(?!\s*(?:;|TRAN|WORK|\Z))|DECLARE\b|(?:CREATE|ALTER)\b(?:\s+OR\s+REPLACE)?(?:\s+\w+){0,3}?"
    r"\s+(?:PROCEDURE|FUNCTION|TRIGGER|PACKAGE|EVENT)\b)",
    re.IGNORECASE,
)


def spans(sql: str, syntax: SqlSyntax) -> Iterator[Span]:
    """The text as stretches of code, string literals, quoted names and comments."""
    pattern = _pattern(syntax)
    position = 0
    while match := pattern.search(sql, position):
        if match.start() > position:
            yield Span("code", sql[position : match.start()])
        kind: Kind = "name" if match["name"] else "comment" if match["comment"] else "string"
        position = match.end()
        if syntax.nested_comments and match[0].startswith("/*"):
            position = _end_of_comment(sql, match.start())
        yield Span(kind, sql[match.start() : position])
    if position < len(sql):
        yield Span("code", sql[position:])


def _end_of_comment(sql: str, start: int) -> int:
    """Where a comment that may hold others ends."""
    depth = 0
    for mark in _COMMENT_MARK.finditer(sql, start):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(sql)


def is_ambiguous(sql: str, syntax: SqlSyntax) -> bool:
    """True for a text with what looks like a literal of another database: it may be read wrongly, so better not at all."""
    escapes = syntax.backslash_escapes or (syntax.certain and syntax.escape_strings)
    return (not escapes and "\\'" in sql) or (not syntax.q_strings and _Q_STRING.search(sql) is not None)


def placeholders(sql: str, syntax: SqlSyntax) -> list[str]:
    """Names of the `{placeholders}` in the text, in order, each once; those in comments and `{{name}}` do not count."""
    found: dict[str, None] = {}
    for span in spans(sql, syntax):
        if span.kind != "comment":
            found.update((match["name"], None) for match in _PLACEHOLDER.finditer(span.text) if match["name"])
    return list(found)


def unfilled(name: str, declared: Sequence[str]) -> str:
    """What to say of a placeholder that none of the declared watermarks fills."""
    near = get_close_matches(name, declared, n=1)
    hint = f"did you mean {{{near[0]}}}?" if near else "declare one."
    return f"{{{name}}} is filled by no watermark; {hint} The text itself is written {{{{{name}}}}}"


def materialize(sql: str, values: Mapping[str, str], syntax: SqlSyntax) -> str:
    """Put values in place of `{name}`, and `{name}` in place of `{{name}}`.

    Only names in `values` are replaced, and a value is never looked at again.

    Inside a string literal a quote in the value is doubled, and so is a backslash where it would escape: the literal means
    exactly the value, and a value never ends the literal or the quoted name that it stands in. Elsewhere the value goes in as
    it is: a number, or SQL that the resolver made. Comments are left alone.
    Raises SourceError for a value that no spelling puts into its literal: one that holds the end of `$$...$$` or
    `q'[...]'`, or a backslash in `U&'...'`.
    """
    escapes = {"\\", *_UESCAPE.findall(sql)} if _UNICODE_LITERAL.search(sql) else set()

    def fill(span: Span) -> str:
        if span.kind == "comment":
            return span.text

        def value(match: re.Match[str]) -> str:
            if match["literal"]:
                return match[0][1:-1]
            text = values.get(match["name"])
            if text is None:
                return match[0]
            if span.kind == "code":
                return text
            if escapes.intersection(text):
                raise _unsafe(
                    match["name"], "a query with U&'...'", "it holds the character that begins an escape there"
                )
            return _in_quotes(text, span, syntax)

        filled = _PLACEHOLDER.sub(value, span.text)
        delimiter = _undoubled(span)
        if delimiter and filled != span.text and [one.text for one in spans(filled, syntax)] != [filled]:
            names = ", ".join(
                dict.fromkeys(match["name"] for match in _PLACEHOLDER.finditer(span.text) if match["name"])
            )
            raise _unsafe(names, delimiter, "it holds what ends that literal")
        return filled

    return "".join(map(fill, spans(sql, syntax)))


def _unsafe(name: str, literal: str, why: str) -> SourceError:
    return SourceError(
        f"The value of watermark {name} cannot stand in {literal}: {why}. Write the literal in the query as '{{{name}}}'."
    )


def _undoubled(span: Span) -> str:
    """What a literal is called whose end cannot be doubled to stand for itself; empty for any other."""
    if span.kind != "string" or span.text[0] in "eE'\"":
        return ""
    return "$$...$$" if span.text[0] == "$" else "q'[...]'"


def _in_quotes(value: str, span: Span, syntax: SqlSyntax) -> str:
    """The value as it is written inside a literal or a quoted name."""
    opening = span.text[0]
    if span.kind == "name":
        closing = "]" if opening == "[" else opening
        return value.replace(closing, closing * 2)
    if opening in "eE" or (syntax.backslash_escapes and opening in "'\""):
        value = value.replace("\\", "\\\\")
    quote = "'" if opening in "eE" else opening
    return value.replace(quote, quote * 2) if quote in "'\"" else value


def split_statements(sql: str, syntax: SqlSyntax) -> list[str]:
    """The statements of a script, without their semicolons.

    Semicolons in literals, names and comments do not split, nor do those of a routine's or block's body: a text that
    begins with such a statement is one statement.
    """
    if _BODY.match("".join(span.text for span in spans(sql, syntax) if span.kind != "comment")):
        return [sql.strip()]
    statements: list[list[str]] = [[]]
    has_code = [False]
    for span in spans(sql, syntax):
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


def as_subquery(sql: str, syntax: SqlSyntax) -> str:
    """A query that can stand in parentheses: no trailing semicolon, and no comment at its end that would swallow the rest."""
    parts = list(spans(sql, syntax))
    while parts and (parts[-1].kind == "comment" or not parts[-1].text.strip(" \t\r\n;")):
        parts.pop()
    return "".join(span.text for span in parts).rstrip(" \t\r\n;")


def sample_query(sql: str, syntax: SqlSyntax) -> str:
    """The query with a value before all others in its placeholders, so that a database can describe it."""
    values = {name: FIRST_TIMESTAMP if f"'{{{name}}}" in sql else "0" for name in placeholders(sql, syntax)}
    return materialize(as_subquery(sql, syntax), values, syntax)
