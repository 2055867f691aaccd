"""Limits of GraphQL: what one query may ask for, how deep, how often under other names, and how long it may take.

Dagster's own user interface stays far below each. A document's tokens are looked at before it is parsed: a parser's stack ends
long before its memory does.
"""

from __future__ import annotations

import json
import threading
import time
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    OperationDefinitionNode,
    SelectionSetNode,
    parse,
)
from graphql.language import Lexer, Source, TokenKind

MAX_TOKENS = 20_000
MAX_NESTED = 40
#: Fields under other names, fragments counted as often as they are spread: without aliases equal fields are one.
MAX_ALIASES = 200
MAX_FIELDS = 20_000
#: Seconds after which a query's fields are no longer resolved.
MAX_SECONDS = 15.0
#: Queries of one user that run side by side; more wait.
MAX_AT_ONCE = 8
#: Subscriptions of one websocket.
MAX_SUBSCRIPTIONS = 100

_OPENS = {TokenKind.BRACE_L, TokenKind.PAREN_L, TokenKind.BRACKET_L}
_CLOSES = {TokenKind.BRACE_R, TokenKind.PAREN_R, TokenKind.BRACKET_R}


def check_query(query: str) -> None:
    """Raise GraphQLError for a query beyond the limits, or that is none."""
    lexer, tokens, depth = Lexer(Source(query)), 0, 0
    while (kind := lexer.advance().kind) is not TokenKind.EOF:
        tokens += 1
        depth += (kind in _OPENS) - (kind in _CLOSES)
        if depth > MAX_NESTED:
            raise GraphQLError(f"The query is nested more than {MAX_NESTED} deep.")
        if tokens > MAX_TOKENS:
            raise GraphQLError(f"The query has more than {MAX_TOKENS} tokens.")
    document = parse(query)
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    counter = _Counter(fragments)
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode):
            counter.count(node.selection_set, 0)


class _Counter:
    """Counts fields and aliases of operations, fragments as often as they are spread."""

    def __init__(self, fragments: dict[str, FragmentDefinitionNode]) -> None:
        self._fragments = fragments
        self.fields = self.aliases = 0

    def count(self, selections: SelectionSetNode, depth: int) -> None:
        """Raise GraphQLError beyond the limits; fragments that spread themselves end by depth."""
        if depth > MAX_NESTED:
            raise GraphQLError(f"The query is nested more than {MAX_NESTED} deep.")
        for node in selections.selections:
            inner: SelectionSetNode | None = getattr(node, "selection_set", None)
            if isinstance(node, FieldNode):
                self.fields += 1
                self.aliases += node.alias is not None
            elif isinstance(node, FragmentSpreadNode):
                self.fields += 1
                fragment = self._fragments.get(node.name.value)
                inner = fragment.selection_set if fragment else None
            if self.aliases > MAX_ALIASES:
                raise GraphQLError(f"The query asks for more than {MAX_ALIASES} fields by other names (aliases).")
            if self.fields > MAX_FIELDS:
                raise GraphQLError(f"The query asks for more than {MAX_FIELDS} fields.")
            if inner is not None:
                self.count(inner, depth + 1)


def read_body(body: bytes, *, is_json: bool) -> str | None:
    """What is wrong with the body of a request; None when it is a query within the limits."""
    try:
        text = body.decode("utf-8")
        data = json.loads(text) if is_json else {"query": text}
    except (ValueError, RecursionError):
        return "The body is not JSON in UTF-8." if is_json else "The body is not UTF-8."
    if not isinstance(data, dict):
        return 'The body must be an object: {"query": ..., "variables": ..., "operationName": ...}.'
    return check_payload(data)


def check_payload(data: dict[str, Any]) -> str | None:
    """What is wrong with query, variables and name of an operation; None when nothing is."""
    variables = data.get("variables")
    if isinstance(variables, str):
        try:
            variables = json.loads(variables)
        except (ValueError, RecursionError):
            return "`variables` is text that is not JSON."
    if variables is not None and not isinstance(variables, dict):
        return "`variables` must be an object."
    for name in ("operationName", "operation_name"):
        if not isinstance(data.get(name), str | None):
            return f"`{name}` must be text."
    if not isinstance(data.get("query"), str):
        return "`query` must be text."
    try:
        check_query(data["query"])
    except GraphQLError as error:
        return error.message
    except RecursionError:
        return "The query is nested too deep."
    return None


class Deadline:
    """GraphQL middleware: once a query has run too long, its fields are errors. A query runs on one thread."""

    def __init__(self, seconds: float = MAX_SECONDS) -> None:
        self._seconds = seconds
        self._local = threading.local()

    def begin(self) -> None:
        """A query begins on this thread."""
        self._local.ends = time.monotonic() + self._seconds

    def is_over(self) -> bool:
        """Whether the query that began on this thread has run too long."""
        return time.monotonic() > float(getattr(self._local, "ends", "inf"))

    def resolve(self, next_: Any, root: Any, info: Any, **arguments: Any) -> Any:
        """Resolve a field, or not any more."""
        if self.is_over():
            raise GraphQLError(f"The query took longer than {self._seconds:g} seconds. Ask for less at once.")
        return next_(root, info, **arguments)
