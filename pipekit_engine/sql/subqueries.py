"""A query within another one: what of it can stand in a FROM clause, and what has to stand before or be left out."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from pipekit_engine.sql.tokens import Token, tokens

if TYPE_CHECKING:
    from pipekit_engine.sql.syntax import SqlSyntax

#: What, behind an order, makes it say which rows there are, or in which form.
_LIMITS = ("OFFSET", "FETCH", "LIMIT", "FOR")
#: `SELECT DISTINCT TOP`.
_SELECT_WORDS = 3


def divide_query(sql: str, syntax: SqlSyntax, *, ordered: bool) -> tuple[str, str]:
    """The query's WITH clause, which has to stand before all others, and the rest, fit for a subquery.

    Where a subquery is not `ordered`, an ORDER BY at the end that only sorts is left out, with the hints behind it.
    """
    found = tokens(sql, syntax)
    start = _main(found)
    head, body = (sql[: found[start].position], found[start:]) if start else ("", found)
    end = len(sql) if ordered or not body else _end(body, len(sql))
    return head, sql[len(head) : end].rstrip()


def _main(found: tuple[Token, ...]) -> int:
    """The index of the token that begins the query behind its WITH clause; 0 without one."""
    if not found or not found[0].is_word("WITH"):
        return 0
    for index, token in enumerate(found):
        # `)` behind a definition ends it; a list of its columns has a name before it.
        if token.depth == 0 and (
            token.is_word("SELECT", "VALUES") or (token.text == "(" and found[index - 1].text == ")")
        ):
            return index
    return 0


def _end(body: tuple[Token, ...], end: int) -> int:
    outer = [token for token in body if token.depth == 0]
    pairs = pairwise(outer)
    order = next((i for i, (one, two) in enumerate(pairs) if one.is_word("ORDER") and two.is_word("BY")), len(outer))
    hints = next((i for i, token in enumerate(outer) if token.is_word("OPTION")), len(outer))
    limited = any(token.is_word("TOP") for token in outer[:_SELECT_WORDS]) or any(
        token.is_word(*_LIMITS) for token in outer[order:]
    )
    cut = hints if limited else min(order, hints)
    return outer[cut].position if cut < len(outer) else end
