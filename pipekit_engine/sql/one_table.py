"""Queries of the form `SELECT ... FROM one_table [alias] [WHERE ...]`, whose every row is one row of that table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipekit_engine.sql.tokens import tokens

if TYPE_CHECKING:
    from pipekit_engine.sql.syntax import SqlSyntax
    from pipekit_engine.sql.tokens import Token

#: What makes of rows more, fewer, or others.
_OTHER_FORMS = (
    "DISTINCT", "ALL", "TOP", "INTO", "JOIN", "GROUP", "HAVING", "WINDOW", "ORDER", "LIMIT", "OFFSET", "FETCH", "FOR", "UNION",
    "INTERSECT", "EXCEPT", "MINUS", "TABLESAMPLE", "ONLY", "LATERAL", "INDEXED", "NOT", "OVER",
)  # fmt: skip
#: Those of them that stand behind a WHERE.
_BEHIND = tuple(word for word in _OTHER_FORMS if word not in ("DISTINCT", "ALL", "TOP", "NOT", "ONLY", "INDEXED"))
#: Before a parenthesis in a select list: no function, a type, or a function of one row. Any other may be an aggregate.
_OF_ONE_ROW = frozenset((
    "AND", "OR", "NOT", "IN", "WHEN", "THEN", "ELSE", "CASE", "AS", "BETWEEN", "LIKE", "IS", "DECIMAL", "NUMERIC", "VARCHAR",
    "CHAR", "CHARACTER", "TIMESTAMP", "TIME", "BIT", "VARYING", "CAST", "COALESCE", "NULLIF", "IFNULL", "LOWER", "UPPER",
    "TRIM", "LTRIM", "RTRIM", "BTRIM", "SUBSTR", "SUBSTRING", "REPLACE", "REVERSE", "LENGTH", "CHAR_LENGTH", "OCTET_LENGTH",
    "ABS", "ROUND", "FLOOR", "CEIL", "CEILING", "TRUNC", "MOD", "POWER", "SQRT", "SIGN", "CONCAT", "CONCAT_WS", "LEFT", "RIGHT",
    "LPAD", "RPAD", "POSITION", "INSTR", "TO_CHAR", "TO_DATE", "TO_TIMESTAMP", "TO_NUMBER", "DATE", "DATETIME", "JULIANDAY",
    "UNIXEPOCH", "STRFTIME", "EXTRACT", "DATE_PART", "DATE_TRUNC", "AGE", "MAKE_DATE", "GREATEST", "LEAST", "ENCODE", "DECODE",
    "HEX", "MD5", "SHA256", "TYPEOF", "IIF", "JSON_EXTRACT", "REGEXP_REPLACE", "SPLIT_PART",
))  # fmt: skip


@dataclass(frozen=True)
class OneTable:
    """A query of one table: `head` up to its WHERE, `condition` (may be empty), `table` as written, `name` of it in the query."""

    head: str
    condition: str
    table: str
    name: str

    @property
    def source(self) -> str:
        """What stands behind FROM."""
        return self.table if self.name == self.table else f"{self.table} AS {self.name}"

    def where(self, condition: str) -> str:
        """The query with one more condition."""
        own = f"({self.condition}\n) AND " if self.condition else ""
        return f"{self.head} WHERE {own}{condition}"


def read_one_table(sql: str, syntax: SqlSyntax) -> OneTable | None:
    """The parts of such a query; None for one that is not surely of this form."""
    found = tokens(sql, syntax)
    outer = [token for token in found if token.depth == 0]
    if not outer or not outer[0].is_word("SELECT"):
        return None
    begin = next((i for i, token in enumerate(outer) if token.is_word("FROM")), None)
    if begin is None or not _keeps_rows(found, outer[begin].position):
        return None
    end = next((i for i, token in enumerate(outer) if token.is_word("WHERE")), len(outer))
    if any(token.is_word("FROM", "WHERE", *_OTHER_FORMS) for token in outer[begin + 1 : end]):
        return None
    before, behind = outer[1:begin], outer[end + 1 :]
    if any(token.is_word("DISTINCT", "ALL", "TOP") for token in before[:1]) or any(t.is_word("INTO") for t in before):
        return None
    if any(token.is_word("WHERE", *_BEHIND) for token in behind):
        return None
    named = _names(outer[begin + 1 : end], sql)
    if named is None:
        return None
    where = outer[end].position if end < len(outer) else len(sql)
    condition = sql[where + len("WHERE") :].strip() if end < len(outer) else ""
    if end < len(outer) and not condition:
        return None
    head = sql[:where].rstrip()
    return OneTable(f"{head}\n", condition, *named)


def _keeps_rows(found: tuple[Token, ...], end: int) -> bool:
    """Whether a select list calls nothing that may be an aggregate."""
    listed = [token for token in found if token.position < end]
    for index, token in enumerate(listed):
        if token.text != "(" or token.kind != "punctuation" or index == 0:
            continue
        caller = listed[index - 1]
        qualified = index > 1 and listed[index - 2].text == "."
        if caller.kind == "name" or (caller.kind == "word" and (qualified or caller.text.upper() not in _OF_ONE_ROW)):
            return False
    return not any(token.is_word("OVER", "SELECT") for token in listed[1:])


def _names(source: list[Token], sql: str) -> tuple[str, str] | None:
    """A table as it is written, and by what the query calls it."""
    path = 0
    while path < len(source) and source[path].kind in ("word", "name"):
        path += 1
        if path < len(source) and source[path].text == ".":
            path += 1
            continue
        break
    rest = source[path:]
    if path == 0 or source[path - 1].text == ".":
        return None
    if rest and rest[0].is_word("AS"):
        rest = rest[1:]
        if not rest:
            return None
    if len(rest) > 1 or (rest and rest[0].kind not in ("word", "name")):
        return None
    table = _text(sql, source[0], source[path - 1])
    return (table, _text(sql, rest[0], rest[0])) if rest else (table, table)


def _text(sql: str, first: Token, last: Token) -> str:
    """What is written from one token to another; a quoted name keeps its quotes."""
    end = last.position + len(last.text)
    if last.kind == "name":
        opening = sql[last.position]
        closing = "]" if opening == "[" else opening
        end = last.position + 1
        while True:
            end = sql.index(closing, end) + 1
            if sql[end : end + 1] != closing:
                break
            end += 1
    return sql[first.position : end]
