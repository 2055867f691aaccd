"""Which tables a source query reads, for the lineage graph.

This is a reading of SQL text, not a parser: it finds the names after FROM and JOIN, in any dialect, and leaves out what a
WITH clause defines. Where it finds nothing the lineage says only which connection the rows come from. Runs do not depend on it.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"""
      --[^\n]*                                          # comments
    | /\*.*?\*/
    | '(?:[^']|'')*'                                    # text
    | (?P<name>(?:"(?:[^"]|"")+"|`[^`]+`|\[[^\]\d][^\]]*\]|[^\W\d][\w$\#@]*)        # a name, its parts joined by dots
        (?:\s*\.\s*(?:"(?:[^"]|"")+"|`[^`]+`|\[[^\]]+\]|[^\W\d][\w$\#@]*))*)
    | (?P<mark>[(),;])
    """,
    re.VERBOSE | re.DOTALL,
)
_PART = re.compile(r'"((?:[^"]|"")+)"|`([^`]+)`|\[([^\]]+)\]|([^\s."`\[\]]+)')

_PARENTHESIS = re.compile(r"\s*\(")
#: What follows AS where a WITH clause defines a name.
_OPENS = re.compile(r"\s*(?:(?:NOT\s+)?MATERIALIZED\s*)?\(", re.IGNORECASE)

#: Words that end the list of tables after FROM.
_CLAUSE = frozenset(
    [
        "where",
        "group",
        "order",
        "having",
        "limit",
        "union",
        "except",
        "intersect",
        "minus",
        "fetch",
        "offset",
        "window",
        "for",
        "on",
        "using",
        "set",
        "returning",
        "select",
        "qualify",
        "connect",
        "start",
        "option",
    ]
)
#: Words between FROM and a table's name.
_SKIP = frozenset(["only", "lateral", "table"])
_JOIN_WORDS = frozenset(["left", "right", "full", "inner", "outer", "cross", "natural"])


def split_name(name: str) -> tuple[str, ...]:
    """The parts of a table's name: `sales."Order Lines"` is `("sales", "Order Lines")`."""
    parts = []
    for match in _PART.finditer(name):
        quoted, backtick, bracket, plain = match.groups()
        parts.append(quoted.replace('""', '"') if quoted else backtick or bracket or plain)
    return tuple(parts)


def source_tables(sql: str) -> list[tuple[str, ...]]:
    """The tables that a query reads, each as the parts of its name, in the order of their appearance.

    >>> source_tables("WITH x AS (SELECT 1 FROM a) SELECT * FROM x JOIN sales.orders o ON o.id = x.id")
    [('a',), ('sales', 'orders')]
    """
    found: list[tuple[str, ...]] = []
    defined: set[str] = set()
    expecting: list[bool] = [False]  # for each open parenthesis: is a table's name due?
    in_list: list[bool] = [False]  # ... and would a comma start another?
    last_name = ""
    calls: list[bool] = [False]  # is this parenthesis the argument list of a function? FROM in it is EXTRACT's
    for match in _TOKEN.finditer(sql):
        mark, name = match.group("mark"), match.group("name")
        if mark == "(":
            is_call = bool(last_name) and not expecting[-1] and last_name not in _NOT_FUNCTIONS
            if expecting[-1]:
                expecting[-1] = False
            expecting.append(False)
            in_list.append(False)
            calls.append(is_call)
            last_name = ""
        elif mark == ")":
            if len(expecting) > 1:
                expecting.pop()
                in_list.pop()
                calls.pop()
            last_name = ")"
        elif mark == ",":
            if in_list[-1]:
                expecting[-1] = True
            last_name = ""
        elif mark == ";":
            expecting[-1] = in_list[-1] = False
        elif name:
            word = name.lower()
            if word in ("from", "join"):
                if not calls[-1]:
                    expecting[-1] = in_list[-1] = True
            elif word == "as" and _OPENS.match(sql, match.end()):
                defined.add(_previous_name(sql[: match.start()]))
            elif word == "select":
                calls[-1] = False
                expecting[-1] = in_list[-1] = False
            elif word in _CLAUSE:
                expecting[-1] = in_list[-1] = False
            elif word in _SKIP or word in _JOIN_WORDS:
                pass
            elif expecting[-1]:
                expecting[-1] = False
                is_function = _PARENTHESIS.match(sql, match.end()) is not None
                parts = split_name(name)
                if not is_function and parts not in found:
                    found.append(parts)
            last_name = word
    return [parts for parts in found if not (len(parts) == 1 and parts[0].lower() in defined)]


#: Words before a parenthesis that do not make it a function's.
_NOT_FUNCTIONS = frozenset(
    [
        "select",
        "from",
        "join",
        "where",
        "and",
        "or",
        "not",
        "in",
        "exists",
        "as",
        "on",
        "using",
        "by",
        "having",
        "union",
        "all",
        "any",
        "some",
        "except",
        "intersect",
        "case",
        "when",
        "then",
        "else",
        "values",
        "with",
        "materialized",
        "recursive",
        "lateral",
        "over",
        "filter",
        "distinct",
        "between",
        "like",
    ]
) | {")"}


def _previous_name(text: str) -> str:
    """The name that ends `text`: what a WITH clause defines, its column list left out."""
    stripped = text.rstrip()
    if stripped.endswith(")"):
        stripped = stripped[: stripped.rfind("(")].rstrip()
    # A name is not longer than this, and a search from the very beginning would take a second for some dozens of WITH clauses.
    match = re.search(r'("(?:[^"]|"")+"|[\w$#@]+)$', stripped[-300:])
    return split_name(match.group(1))[0].lower() if match else ""
