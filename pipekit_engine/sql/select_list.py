"""The columns that a query gives, read from its select list as far as that can be told without asking a database.

This reads tokens, not a parse tree: what follows the select list may be anything that the database understands (CONNECT BY,
WITH UR, hints) and costs no names, the kinds that sqlglot has no dialect for are read as well, and a word that is a unit in
one database and a name in another makes an item unsure, where a parser would decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipekit_engine.sql.tokens import Token, strip_parentheses, tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipekit_engine.sql.syntax import SqlSyntax


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Words before the select list itself.
_PREFIXES = _words(
    "ALL DISTINCT DISTINCTROW UNIQUE STRAIGHT_JOIN HIGH_PRIORITY SQL_NO_CACHE SQL_CACHE SQL_CALC_FOUND_ROWS SQL_BIG_RESULT "
    "SQL_SMALL_RESULT SQL_BUFFER_RESULT"
)
#: Words that end a select list.
_ENDS = _words(
    "FROM INTO BULK WHERE GROUP HAVING WINDOW ORDER UNION EXCEPT INTERSECT MINUS LIMIT OFFSET FETCH FOR WITH OPTION CONNECT "
    "START"
)
#: Words after which a word belongs to the expression and is no alias.
_BINDING = _words(
    "AND OR NOT IS IN LIKE ILIKE RLIKE REGEXP GLOB SIMILAR TO BETWEEN ESCAPE COLLATE OVER DIV MOD XOR CASE WHEN THEN ELSE AT "
    "TIME ZONE INTERVAL DATE TIMESTAMP ANY SOME EXISTS FROM BINARY PRIOR WITHIN FILTER LOCAL"
)
#: Words that are an expression, or end one, and are also good names of columns.
_ALSO_NAMES = _words("DATE TIME TIMESTAMP DAY DAYS MONTH MONTHS YEAR YEARS HOUR HOURS MINUTE MINUTES SECOND SECONDS")
#: Words that are an expression and never a name.
_OPERANDS = _words(
    "NULL TRUE FALSE END UNKNOWN CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP LOCALTIME LOCALTIMESTAMP SYSDATE SYSTIMESTAMP "
    "ROWNUM USER CURRENT_USER"
)


@dataclass(frozen=True)
class SelectItem:
    """One item. `name` is None for an expression that has none of its own; `star` is `*` or `t.*`.

    `column` is the name that the database gives the column: an unquoted one folded.
    `unsure`: it ends in a word that may be a name or a part of the expression (`x AS ...` would say).
    """

    name: str | None
    star: bool
    position: int
    unsure: bool = False
    column: str | None = None


@dataclass(frozen=True)
class SelectList:
    """The items of a query's outermost SELECT; of the first one in a UNION, which names the columns."""

    items: tuple[SelectItem, ...]

    @property
    def complete(self) -> bool:
        """True when every column and its name is known: then what is not here, the query does not give."""
        return all(item.name is not None for item in self.items)

    @property
    def has_star(self) -> bool:
        """True for `SELECT *` and `SELECT t.*`."""
        return any(item.star for item in self.items)

    @property
    def names(self) -> list[str]:
        """The known names, in order."""
        return [item.name for item in self.items if item.name is not None]


def select_list(sql: str, syntax: SqlSyntax) -> SelectList | None:
    """The select list of a query; None for text that is no SELECT (a call, VALUES, something not understood).

    SQL Server alone reads `alias = expression`.
    """
    found = strip_parentheses([token for token in tokens(sql, syntax) if token.text != ";"])
    start = _after_select(found)
    if start is None:
        return None
    items: list[list[Token]] = [[]]
    for token in found[start:]:
        if token.depth == 0 and token.is_word(*_ENDS):
            break
        if token.depth == 0 and token.text == "," and token.kind == "punctuation":
            items.append([])
        else:
            items[-1].append(token)
    if not all(items):
        return None
    return SelectList(tuple(_item(item, syntax) for item in items))


def _after_select(found: Sequence[Token]) -> int | None:
    """Index of the first token of the select list."""
    if not found or not found[0].is_word("SELECT", "WITH"):
        return None
    at = next((i for i, token in enumerate(found) if token.depth == 0 and token.is_word("SELECT")), None)
    if at is None:
        return None
    at += 1
    while at < len(found):
        token = found[at]
        if token.is_word(*_PREFIXES):
            at += 1
            if at < len(found) and token.is_word("DISTINCT") and found[at].is_word("ON"):
                at = _after_parentheses(found, at + 1)
        elif token.is_word("TOP"):
            at += 1
            at = _after_parentheses(found, at) if at < len(found) and found[at].text == "(" else at + 1
            while at < len(found) and found[at].is_word("PERCENT", "WITH", "TIES"):
                at += 1
        else:
            break
    return at if at < len(found) else None


def _after_parentheses(found: Sequence[Token], at: int) -> int:
    if at >= len(found) or found[at].text != "(":
        return at
    depth = found[at].depth
    at += 1
    while at < len(found) and not (found[at].text == ")" and found[at].depth == depth):
        at += 1
    return at + 1


def _item(item: Sequence[Token], syntax: SqlSyntax) -> SelectItem:
    position = item[0].position
    last = item[-1]
    if last.text == "*" and last.kind == "operator" and (len(item) == 1 or item[-2].text == "."):
        return SelectItem(None, True, position)
    named = _name(item, syntax)
    name = column = None
    if named is not None:
        name = named.text[1:-1] if named.kind == "string" else named.text
        column = syntax.fold(name) if named.kind == "word" else name
    ambiguous = last.kind == "word" and last.depth == 0 and last.text.upper() in _BINDING | _ALSO_NAMES
    return SelectItem(name, False, position, unsure=name is None and len(item) > 1 and ambiguous, column=column)


def _name(item: Sequence[Token], syntax: SqlSyntax) -> Token | None:
    last = item[-1]
    if len(item) == 1:
        reserved = last.kind == "word" and last.text.upper() in _OPERANDS
        return last if last.kind in ("word", "name") and not reserved else None
    before = item[-2]
    if before.is_word("AS") and before.depth == 0:
        return last if last.kind in ("word", "name", "string") else None
    if syntax.equals_names and item[0].kind in ("word", "name") and item[1].text == "=":
        return item[0]
    if _is_path(item):
        return last
    cast = next((i for i, token in enumerate(item) if token.text == "::"), 0)
    if cast and not any(token.is_word("AS") for token in item) and _is_path(item[:cast]):
        return _cast_name(item, cast)
    if last.depth != 0 or last.kind not in ("word", "name"):
        return None
    if last.kind == "word" and last.text.upper() in _OPERANDS | _ALSO_NAMES | _BINDING:
        return None
    ends_expression = (
        before.kind in ("name", "string", "number", "mark")
        or before.text in (")", "]")
        or (before.kind == "word" and before.text.upper() not in _BINDING)
    )
    return last if ends_expression else None


def _is_path(item: Sequence[Token]) -> bool:
    """True for `a`, `a.b` and `a.b.c`."""
    named = all(token.kind in ("word", "name") for token in item[::2])
    return len(item) % 2 == 1 and named and all(token.text == "." for token in item[1::2])


def _cast_name(item: Sequence[Token], cast: int) -> Token | None:
    """Name of `a::type`, which PostgreSQL calls a; of `a::type b` it is b, where the type is one word."""
    rest = item[cast + 1 :]
    if len(rest) == 2 and rest[1].kind in ("word", "name") and not rest[1].is_word("PRECISION", "VARYING"):
        return rest[1]
    return item[cast - 1] if len(rest) == 1 or (rest[1].text in ("(", "[") and rest[-1].text in (")", "]")) else None
