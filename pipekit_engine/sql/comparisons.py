"""How a query compares its watermarks: `at >= '{since}'`, `'{since}' < at`, `at BETWEEN {from} AND {to}`.

This reads tokens, not a parse tree: each use has its place in the text, and a condition is told however little of the rest of
the query can be parsed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pipekit_engine.sql.tokens import Token, tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipekit_engine.sql.syntax import SqlSyntax

Operator = Literal[">", ">=", "<", "<=", "=", "between", "and"]

_MARK = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_OPERATORS: dict[str, Operator] = {">": ">", ">=": ">=", "<": "<", "<=": "<=", "=": "="}
_MIRRORED: dict[Operator, Operator] = {">": "<", ">=": "<=", "<": ">", "<=": ">="}
#: Words that end the search for an operator: what stands before them is another condition.
_STOPS = (
    "WHERE", "AND", "OR", "NOT", "ON", "HAVING", "SELECT", "FROM", "WHEN", "THEN", "ELSE", "CASE", "IN", "LIKE",
    "LIMIT", "OFFSET", "BY",
)  # fmt: skip
#: Further words that end a condition.
_EDGES = ("GROUP", "ORDER", "UNION", "EXCEPT", "INTERSECT", "WINDOW", "FETCH", "JOIN", "LEFT", "INNER")


@dataclass(frozen=True)
class Use:
    """A place where a query uses a watermark.

    `operator` is as seen from the column: `>` also for `{since} < at`; "between" and "and" are the two bounds of BETWEEN.
    `column` is what it is compared with where that is a column as it stands, by its name alone, and no expression.
    """

    name: str
    operator: Operator | None
    quoted: bool
    position: int
    column: str | None = None


def uses(sql: str, syntax: SqlSyntax) -> list[Use]:
    """All uses of `{name}` in a query, in order; those in comments do not count."""
    found = tokens(sql, syntax)
    result = []
    for i, token in enumerate(found):
        if token.kind not in ("mark", "string", "name"):
            continue
        for match in _MARK.finditer(token.text):
            quoted = token.kind != "mark"
            operator, column = _comparison(found, i)
            result.append(Use(match[1], operator, quoted, token.position + match.start(), column))
    return result


def _comparison(found: Sequence[Token], at: int) -> tuple[Operator | None, str | None]:
    before = _before(found, at)
    if before is not None:
        operator, place = before
        return operator, _bare_column(found[:place], found[place].depth)
    depth = found[at].depth
    for place, token in enumerate(found[at + 1 :], at + 1):
        if token.depth < depth or token.text == ")":
            depth = token.depth
            continue
        if token.kind == "operator" and token.text in _OPERATORS:
            operator = _OPERATORS[token.text]
            return _MIRRORED.get(operator, operator), _bare_column(found[place + 1 :][::-1], token.depth, ends=True)
        if token.depth > depth or token.kind in ("string", "number") or token.text in ("+", "-", "::", ",", "("):
            continue
        if token.kind == "word" and not token.is_word(*_STOPS, "BETWEEN", "GROUP", "ORDER", "UNION"):
            continue
        return None, None
    return None, None


def _bare_column(found: Sequence[Token], depth: int, *, ends: bool = False) -> str | None:
    """The last name of `a.b.name` that ends these tokens, if nothing but a condition's edge stands before it.

    `ends`: the tokens are in reverse, and the name stands after the operator.
    """
    names = ("word", "name")
    parts: list[Token] = []
    for token in reversed(found):
        wanted = token.kind in names if len(parts) % 2 == 0 else token.text == "."
        if not wanted or token.depth != depth or token.is_word(*_STOPS, *_EDGES):
            edge = (
                token.depth < depth or token.text in (";", ",", ")" if ends else "(") or token.is_word(*_STOPS, *_EDGES)
            )
            break
        parts.append(token)
    else:
        edge = True
    if not edge or len(parts) % 2 == 0:
        return None
    return parts[-1 if ends else 0].text


def _before(found: Sequence[Token], at: int) -> tuple[Operator, int] | None:
    """The comparison whose right side the token is in; functions and arithmetic around it are looked through."""
    depth = found[at].depth
    for i in range(at - 1, -1, -1):
        token = found[i]
        if token.depth > depth:
            continue  # inside parentheses that were closed before
        depth = min(depth, token.depth)
        if token.kind == "operator":
            if token.text in _OPERATORS:
                return _OPERATORS[token.text], i
            if token.text not in ("+", "-", "::"):
                return None
        elif token.is_word("BETWEEN"):
            return "between", i
        elif token.is_word("AND"):
            return ("and", i) if _closes_between(found, i) else None
        elif token.is_word(*_STOPS) or token.text == ";":
            return None
    return None


def _closes_between(found: Sequence[Token], at: int) -> bool:
    """Whether the AND at this place belongs to a BETWEEN before it."""
    for i in range(at - 1, -1, -1):
        token = found[i]
        if token.depth > found[at].depth:
            continue
        if token.depth < found[at].depth or token.is_word("AND", "OR", "WHERE", "ON", "HAVING", "WHEN"):
            return False
        if token.is_word("BETWEEN"):
            return True
    return False
