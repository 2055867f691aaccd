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


@dataclass(frozen=True)
class Use:
    """A place where a query uses a watermark.

    `operator` is as seen from the column: `>` also for `{since} < at`; "between" and "and" are the two bounds of BETWEEN.
    """

    name: str
    operator: Operator | None
    quoted: bool
    position: int


def uses(sql: str, syntax: SqlSyntax) -> list[Use]:
    """All uses of `{name}` in a query, in order; those in comments do not count."""
    found = tokens(sql, syntax)
    result = []
    for i, token in enumerate(found):
        if token.kind not in ("mark", "string", "name"):
            continue
        for match in _MARK.finditer(token.text):
            quoted = token.kind != "mark"
            result.append(Use(match[1], _operator(found, i), quoted, token.position + match.start()))
    return result


def _operator(found: Sequence[Token], at: int) -> Operator | None:
    before = _before(found, at)
    if before is not None:
        return before
    depth = found[at].depth
    for token in found[at + 1 :]:
        if token.depth < depth or token.text == ")":
            depth = token.depth
            continue
        if token.kind == "operator" and token.text in _OPERATORS:
            operator = _OPERATORS[token.text]
            return _MIRRORED.get(operator, operator)
        if token.depth > depth or token.kind in ("string", "number") or token.text in ("+", "-", "::", ",", "("):
            continue
        if token.kind == "word" and not token.is_word(*_STOPS, "BETWEEN", "GROUP", "ORDER", "UNION"):
            continue
        return None
    return None


def _before(found: Sequence[Token], at: int) -> Operator | None:
    """The comparison whose right side the token is in; functions and arithmetic around it are looked through."""
    depth = found[at].depth
    for i in range(at - 1, -1, -1):
        token = found[i]
        if token.depth > depth:
            continue  # inside parentheses that were closed before
        depth = min(depth, token.depth)
        if token.kind == "operator":
            if token.text in _OPERATORS:
                return _OPERATORS[token.text]
            if token.text not in ("+", "-", "::"):
                return None
        elif token.is_word("BETWEEN"):
            return "between"
        elif token.is_word("AND"):
            return "and" if _closes_between(found, i) else None
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
