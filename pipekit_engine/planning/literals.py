r"""How values are written in the source's query: by its session's literals, and in the precision of its columns.

A kind's usual rules can be changed by a connection's options or a server's settings (PostgreSQL's
standard_conforming_strings, MariaDB's sql_mode), and of a generic kind nobody knows them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pipekit_engine.common.text import first_line
from pipekit_engine.errors import SourceError
from pipekit_engine.jrunner.errors import JRunnerError
from pipekit_engine.sql.comparisons import uses
from pipekit_engine.sql.text import placeholders

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipekit_engine.common.columns import Column
    from pipekit_engine.databases.connections import ModuleConnections
    from pipekit_engine.databases.dialects import Dialect
    from pipekit_engine.models import Module, ResolvedWatermark
    from pipekit_engine.sql.syntax import SqlSyntax

#: A quote and a backslash, both doubled, and what a session makes of them by whether a backslash escapes in it.
_PROBE = r"SELECT 'a''b\\c'"
_ANSWERS = {r"a'b\\c": False, r"a'b\c": True}
_MATTERS = frozenset("'\"`\\")


def source_syntax(connections: ModuleConnections, watermarks: Mapping[str, ResolvedWatermark]) -> SqlSyntax:
    """The syntax of the source's session, asked where a quote or a backslash makes a difference.

    Raises SourceError where it is needed and cannot be told: then no spelling of a value is known to be safe.
    """
    source, module = connections.source, connections.module
    syntax = source.dialect.capabilities.syntax
    values = [watermarks[name].value for name in placeholders(module.query, syntax) if name in watermarks]
    if not values or ("\\" not in module.query and not any(_MATTERS.intersection(value) for value in values)):
        return syntax

    def ask(sql: str) -> str | None:
        return connections.session.query(source.handle, sql, cancel=connections.cancel).first

    try:
        answer = ask(_PROBE + (source.dialect.capabilities.one_row_from or ""))
        quoted_names = source.dialect.ansi_quotes_sql
        names = quoted_names is not None and ask(quoted_names) in ("1", "true")
    except JRunnerError as error:
        answer, told = None, f"the session refused to tell: {first_line(error)}"
    else:
        told = f"asked for {_PROBE}, the session gave {answer!r}"
    if answer not in _ANSWERS:
        raise SourceError(
            f"The query of module {module.name}, or a value of its watermarks, holds a quote or a backslash, and how connection "
            f"{module.source} writes those in a literal is not known: {told}. Let the resolvers give values without them."
        )
    double_quoted = syntax.double_quoted_strings and not names
    return replace(syntax, backslash_escapes=_ANSWERS[answer], double_quoted_strings=double_quoted)


def fit_watermarks(
    module: Module, source: Dialect, watermarks: Mapping[str, ResolvedWatermark], columns: Sequence[Column]
) -> dict[str, ResolvedWatermark]:
    """The watermarks with their values as the columns hold them with which the query compares them.

    `columns` are the query's, so a comparison with a column that it does not give stays as it is. Raises SourceError for one
    that would lose rows or bring them twice.
    """
    fitted = dict(watermarks)
    described = {column.name.casefold(): column for column in columns}
    for use in uses(module.query, source.capabilities.syntax):
        column = described.get((use.column or "").casefold())
        if column is None or use.name not in fitted:
            continue
        if why := source.misread_watermark(column, use.name, module.query):
            raise SourceError(f"The query of module {module.name} compares watermark {use.name} wrongly: {why}")
        value = source.column_watermark(column, fitted[use.name].value)
        fitted[use.name] = fitted[use.name].model_copy(update={"value": value})
    return fitted
