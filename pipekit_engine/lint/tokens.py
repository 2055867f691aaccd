"""SQL text as tokens with their depth in parentheses: enough to read a select list and a comparison, never a parser."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, NamedTuple

from pipekit_engine.sql.text import spans

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


_CODE = re.compile(
    r"""
      (?P<mark> \{[A-Za-z_][A-Za-z0-9_]*\} )
    | (?P<name> (?<![\w\])]) \[ [^\[\]]+ \] )          # SQL Server's [name]; an array's [1] follows its name at once
    | (?P<number> \d+(?:\.\d*)?(?:[eE][+-]?\d+)? | \.\d+ )
    | (?P<word> [^\W\d][\w$\#@]* | [@\#]+[^\W\d][\w$\#]* | (?<!:):(?!:)[^\W\d]\w* )
    | (?P<operator> <=> | <> | != | \^= | ~= | >= | => | <= | :: | \|\| | [-+*/%=<>!|&^~] )
    | (?P<punctuation> [^\s] )
    """,
    re.VERBOSE,
)


@lru_cache(maxsize=256)
def tokens(sql: str) -> tuple[Token, ...]:
    """All tokens but comments. Parentheses carry the depth outside of them."""
    found: list[Token] = []
    depth = position = 0
    for span in spans(sql):
        if span.kind == "string":
            found.append(Token("string", span.text, position, depth))
        elif span.kind == "name":
            found.append(Token("name", span.text[1:-1], position, depth))
        elif span.kind == "code":
            for match in _CODE.finditer(span.text):
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
