"""A query or a change of rows as sqlglot's parse tree, or None: what sqlglot cannot read is not known, and nothing is made up.

sqlglot never sees the text as it is written. Our own tokens are spelled anew for it: comments are gone, a literal is a
number in quotes, a quoted name a key, a `{placeholder}` a number. So each database's own literals are read as `SqlSyntax` says
(sqlglot has no dialect for DB2, H2, Derby and HSQLDB, and none for a database that is not known), DB2's LIBRARY/TABLE and
`5 DAYS` get a form that it can read, and no value in a query can lead it astray. Names come back as the database folds them.

sqlglot is imported when the first query is read, never before: it takes a third of a second.
"""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from pipekit_engine.sql.text import as_subquery, is_ambiguous
from pipekit_engine.sql.tokens import Token, tokens

if TYPE_CHECKING:
    from sqlglot import exp

    from pipekit_engine.sql.syntax import SqlSyntax

#: A longer text is not parsed: it would take seconds, and no person wrote it.
_MAX_LENGTH = 50_000
#: Parentheses deeper than this are not parsed: sqlglot descends into them by recursion.
_MAX_DEPTH = 60
_MARK = re.compile(r"\{[A-Za-z_][A-Za-z0-9_]*\}")
#: What a TRUNCATE may end in: DB2's IMMEDIATE, Oracle's DROP STORAGE, PostgreSQL's RESTART IDENTITY.
_TRUNCATE_ENDINGS = ("IMMEDIATE", "DROP", "REUSE", "STORAGE", "RESTART", "CONTINUE", "IDENTITY", "CASCADE", "RESTRICT")
#: Words that begin a list of tables, and those that end one, for DB2's slash.
_TABLE_WORDS = ("FROM", "JOIN", "USING", "INTO", "UPDATE", "TABLE")
_CLAUSES = (
    "SELECT",
    "WHERE",
    "GROUP",
    "HAVING",
    "ORDER",
    "ON",
    "UNION",
    "EXCEPT",
    "INTERSECT",
    "FETCH",
    "SET",
    "VALUES",
    "WHEN",
)
_DURATIONS = tuple(
    f"{unit}{plural}"
    for unit in ("YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND", "MICROSECOND")
    for plural in ("", "S")
)
#: What DB2 and Derby say of a query as a whole, at its end.
_ENDINGS = (("WITH", ("UR", "CS", "RS", "RR", "NC"), 2), ("FOR", ("READ", "FETCH"), 3), ("OPTIMIZE", ("FOR",), 4))


def parse(sql: str, syntax: SqlSyntax) -> exp.Query | None:
    """The tree of one query that only reads; None when it cannot be read. Its names are folded."""
    found = tokens(as_subquery(sql, syntax), syntax)
    first = next((token for token in found if token.text != "("), None)
    if first is None or not first.is_word("SELECT", "WITH"):
        return None
    tree, names = _parse(list(found), sql, syntax)
    if tree is None:
        return None
    from sqlglot import exp

    changes = (exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Into, exp.Command)
    if not isinstance(tree, exp.Query) or tree.find(*changes):
        return None
    for node in tree.find_all(exp.Identifier):
        if node.args.get("quoted") and node.this not in names:
            return None  # made up by sqlglot
        node.set("this", names[node.this] if node.args.get("quoted") else syntax.fold(node.this))
    return tree


def parse_change(sql: str, syntax: SqlSyntax) -> exp.Expr | None:
    """The tree of one INSERT, UPDATE, DELETE, MERGE or TRUNCATE; None when it cannot be read.

    Names are as they are written, `quoted` where they are quoted there; REPLACE INTO is read as INSERT INTO.
    """
    found = [
        token
        for token, following in pairwise((*tokens(as_subquery(sql, syntax), syntax), None))
        if token is not None and not (token.text == "$" and following is not None and following.kind == "mark")
    ]  # `${X}` is how the value of a script's variable is shown
    if not found or not found[0].is_word("WITH", "INSERT", "REPLACE", "UPDATE", "DELETE", "MERGE", "TRUNCATE"):
        return None
    if found[0].is_word("REPLACE"):
        found[0] = found[0]._replace(text="INSERT")
    while found[0].is_word("TRUNCATE") and len(found) > 2 and found[-1].is_word(*_TRUNCATE_ENDINGS):
        found.pop()  # sqlglot knows PostgreSQL's only
    tree, names = _parse(found, sql, replace(syntax, unquoted_case="keep"))
    if tree is None:
        return None
    from sqlglot import exp

    if not isinstance(tree, (exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.TruncateTable)):
        return None
    for node in tree.find_all(exp.Identifier, exp.Literal):
        key = node.this
        if key in names and (node.is_string or node.args.get("quoted")):
            node.set("this", names[key])
            if isinstance(node, exp.Identifier):
                node.set("quoted", key.startswith("q"))
    return tree


def _parse(found: list[Token], sql: str, syntax: SqlSyntax) -> tuple[exp.Expr | None, dict[str, str]]:
    """The tree of the tokens of one statement, and what the keys in it stand for; None when it cannot be read."""
    if len(sql) > _MAX_LENGTH or max(token.depth for token in found) > _MAX_DEPTH:
        return None, {}
    if not syntax.certain and is_ambiguous(sql, syntax):
        return None, {}
    spelled = _Spelling(syntax)
    text = spelled.text(found if syntax.parser else _plain(found), sql)
    if text is None:
        return None, {}
    import sqlglot
    from sqlglot.errors import SqlglotError

    logger = logging.getLogger("sqlglot")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.CRITICAL)  # it warns of what it cannot read; the answer is None then
    try:
        trees = sqlglot.parse(text, read=syntax.parser, error_level=sqlglot.ErrorLevel.IMMEDIATE)
    except (SqlglotError, RecursionError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        # The last ones are sqlglot's own mistakes on odd texts.
        return None, {}
    return trees[0] if len(trees) == 1 else None, spelled.names


def _plain(found: list[Token]) -> list[Token]:
    """The tokens in sqlglot's general dialect, which has neither durations nor isolation levels nor a slash in names."""
    kept: list[Token] = []
    in_list: defaultdict[int, bool] = defaultdict(bool)  # by depth: is this a list of tables?
    expecting = False  # is a table's name due?
    at = 0
    while at < len(found):
        token = found[at]
        following = found[at + 1 : at + 3]
        skip = next(
            (
                count
                for word, seconds, count in _ENDINGS
                if token.depth == 0 and token.is_word(word) and following and following[0].is_word(*seconds)
            ),
            0,
        )
        if skip:
            at += skip
            continue
        if token.is_word(*_DURATIONS) and kept and kept[-1].kind in ("number", "mark"):
            at += 1
            continue
        if token.is_word("CURRENT") and following and following[0].is_word("DATE", "TIME", "TIMESTAMP"):
            kept.append(token._replace(text=f"CURRENT_{following[0].text}"))
            at += 2
            continue
        if token.is_word(*_TABLE_WORDS):
            in_list[token.depth] = expecting = True
        elif token.is_word(*_CLAUSES) or token.text == "(":
            in_list[token.depth + (token.text == "(")] = expecting = False
        elif token.text == ",":
            expecting = in_list[token.depth]
        elif expecting and token.kind in ("word", "name") and not token.is_word("LATERAL", "ONLY"):
            expecting = False
            if [item.text for item in following[:1]] == ["/"]:
                kept += [token, following[0]._replace(kind="punctuation", text=".")]
                at += 2
                continue
        kept.append(token)
        at += 1
    return kept


class _Spelling:
    """Spells tokens as sqlglot reads them. `names` holds quoted names, odd ones and literals by their keys."""

    def __init__(self, syntax: SqlSyntax) -> None:
        self._syntax = syntax
        self._quotes = {"mysql": "``", "tsql": "[]"}.get(syntax.parser, '""')
        self.names: dict[str, str] = {}
        self._literal = ""

    def text(self, found: list[Token], sql: str) -> str | None:
        """The text; None when a placeholder is part of a name, which only a run can tell."""
        parts: list[str] = []
        end = -1
        before: Token | None = None
        for token in found:
            adjacent = token.position == end
            if not adjacent:
                parts.append(" ")
            kinds = {token.kind, before.kind if before else ""}
            if "mark" in kinds and adjacent and kinds & {"word", "name", "number"}:
                return None
            if token.kind == "string" and adjacent and before is not None and before.kind == "string":
                self.names[self._literal] += token.text[:-1]  # 'it''s': one literal
            elif token.kind == "string":
                self._literal = f"{len(self.names):016b}"  # digits of any base: X'...' and B'...' are read, too
                self.names[self._literal] = token.text[1:-1]
                parts.append(f"'{self._literal}'")
            elif token.kind == "mark" and before is not None and (before.is_word("FROM", "JOIN") or before.text == "."):
                parts.append(self._name(token.text))
            elif token.kind == "mark":
                parts.append("1")
            elif token.kind == "name":
                parts.append(self._name(token.text))
            elif token.kind == "word" and re.search(r"(?<!^)[$#@]|[^\x00-\x7f]", token.text):
                folded = self._syntax.fold(token.text)
                parts.append(self._name(folded, "w") if token.text[0] not in "@#:" else token.text)
            else:
                parts.append(token.text)
            end = token.position + self._length(token, sql)
            before = token
        return "".join(parts)

    def _name(self, name: str, prefix: str = "q") -> str:
        key = f"{prefix}{len(self.names)}"
        self.names[key] = name
        return self._quotes[0] + key + self._quotes[1]

    def _length(self, token: Token, sql: str) -> int:
        """How much of the text a token takes; of a quoted name that is more than the name."""
        return len(token.text) if token.kind != "name" else len(token.text) + 2 + token.text.count(sql[token.position])


def has_placeholder(name: str) -> bool:
    """True for a name that is told by a run alone."""
    return _MARK.search(name) is not None
