"""SQL text as tokens with their depth in parentheses: enough to read a select list and a comparison, never a parser."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from pipekit_engine.sql.text import spans

if TYPE_CHECKING:
    from pipekit_engine.sql.syntax import SqlSyntax

TokenKind = Literal["word", "name", "string", "number", "mark", "operator", "punctuation"]


class Token(NamedTuple):
    """A token: `text` as written (a quoted name without its quotes), `position` in the SQL, `depth` of parentheses."""

    kind: TokenKind
    text: str
    position: int
    depth: int

    def is_word(self, *words: str) -> bool:
        """True for an unquoted word that is one of these (given in upper case)."""
        return self.kind == "word" and self.text.upper() in words


_CODE = r"""
      (?P<mark> \{[A-Za-z_][A-Za-z0-9_]*\} )
    | (?P<name> %s )
    | (?P<number> \d+(?:\.\d*)?(?:[eE][+-]?\d+)? | \.\d+ )
    | (?P<word> [^\W\d][\w%s]* | [@\#]+[^\W\d][\w$\#]* | (?<!:):(?!:)[^\W\d]\w* )
    | (?P<operator> <=> | <> | != | \^= | ~= | >= | => | <= | :: | \|\| | [-+*/%%=<>!|&^~] )
    | (?P<punctuation> [^\s] )
    """
#: SQL Server's [name] where the database is not known; an array's [1] follows its name at once.
_BRACKETED = r"(?<![\w\])]) \[ [^\[\]]+ \]"
_NEVER = r"(?!)"


@cache
def _code(syntax: SqlSyntax) -> re.Pattern[str]:
    brackets = _BRACKETED if syntax.brackets == "maybe" else _NEVER
    return re.compile(_CODE % (brackets, re.escape(syntax.name_characters)), re.VERBOSE)


@lru_cache(maxsize=256)
def tokens(sql: str, syntax: SqlSyntax) -> tuple[Token, ...]:
    """All tokens but comments. Parentheses carry the depth outside of them."""
    pattern = _code(syntax)
    found: list[Token] = []
    depth = position = 0
    name_ends = -1
    for span in spans(sql, syntax):
        if span.kind == "string":
            found.append(Token("string", span.text, position, depth))
        elif span.kind == "name":
            quote, text = span.text[0], span.text[1:-1]
            if name_ends == position and sql[position - 1] == quote:
                # A doubled quote in a name is read as the end of one and the beginning of another.
                found[-1] = found[-1]._replace(text=f"{found[-1].text}{quote}{text}")
            else:
                found.append(Token("name", text.replace("]]", "]") if quote == "[" else text, position, depth))
            name_ends = position + len(span.text)
        elif span.kind == "code":
            for match in pattern.finditer(span.text):
                kind: TokenKind = match.lastgroup  # type: ignore[assignment]
                text = match[0]
                if text in (")", "]"):
                    depth = max(0, depth - 1)
                found.append(Token(kind, text[1:-1] if kind == "name" else text, position + match.start(), depth))
                if text in ("(", "["):
                    depth += 1
        position += len(span.text)
    return tuple(found)


def strip_parentheses(found: list[Token]) -> list[Token]:
    """The tokens of `(SELECT ...)` without parentheses that enclose all of them."""
    while len(found) > 1 and found[0].text == "(" and found[-1].text == ")" and found[0].depth == 0:
        if any(token.depth == 0 for token in found[1:-1]):
            break
        found = [token._replace(depth=token.depth - 1) for token in found[1:-1]]
    return found
