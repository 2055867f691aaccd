"""Makes a draft for a table or query: asks the databases what they know of it, and proposes the rest.

What a person asked for in flags goes in as `Wishes` and stands; everything else is proposed around it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from pipekit_engine.databases.dialects.base.watermarks import Lag
from pipekit_engine.databases.introspection import ColumnInfo
from pipekit_engine.errors import ConfigurationError, NotFoundError, SourceError
from pipekit_engine.sql.text import placeholders, sample_query
from pipekit_engine.wizard.draft import Draft, DraftColumn, dest_table_name, module_name, usual_name
from pipekit_engine.wizard.proposals import candidate, candidates, find_column, identifying_key, propose

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from pipekit_engine.databases.browser import Browser
    from pipekit_engine.databases.introspection import Key, TableInfo
    from pipekit_engine.models import Hook
    from pipekit_engine.wizard.workspace import Workspace

#: Rows of a table that are looked at to see how it keeps its times; texts may have an offset here and there.
_SAMPLE_ROWS = 1000
_TEXT_ROWS = 1_000_000
_TEXT_TIMES = frozenset({"timestamp", "timestamptz", "date", "text"})


@dataclass(frozen=True)
class Wishes:
    """What a person decided beforehand; None and empty: to be proposed. Column names are the source's."""

    name: str | None = None
    dest_table: str | None = None
    dest_schema: str | None = None
    strategy: str | None = None
    key: tuple[str, ...] | None = None
    watermark: str | None = None
    lag: Lag | None = None
    default: str | None = None
    bounded: bool = False
    columns: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    renames: Mapping[str, str] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    hooks: tuple[Hook, ...] = ()


def draft_table(
    workspace: Workspace, source: str, table: TableInfo, dest: str, wishes: Wishes, taken: Collection[str] = ()
) -> Draft:
    """A draft for one table. Raises RunError (a database refuses) and ConfigurationError families."""
    browser = workspace.browser(source)
    infos = browser.columns(table)
    if not infos:
        raise SourceError(f"{browser.dialect.source_name(table)} on {source} has no columns that this login may read.")
    draft = _draft(workspace, source, dest, infos, wishes, table=table, taken=taken)
    _propose(draft, browser, wishes, identifying_key(infos, _keys(browser, table)))
    return draft


def draft_query(
    workspace: Workspace, source: str, query: str, dest: str, wishes: Wishes, taken: Collection[str] = ()
) -> Draft:
    """A draft for a query of the person's own. Its columns are described by the database."""
    browser = workspace.browser(source)
    infos = [
        ColumnInfo(column) for column in browser.describe(sample_query(query, browser.dialect.capabilities.syntax))
    ]
    draft = _draft(workspace, source, dest, infos, wishes, query=query, taken=taken)
    if (
        wishes.strategy is None
        and wishes.watermark is None
        and wishes.key is None
        and not placeholders(query, draft.syntax)
    ):
        draft.take(propose(draft.name, infos, strategy="full"))
        draft.reason = "all rows of the query each time"
    else:
        _propose(draft, browser, wishes, ())
    return draft


def match_tables(workspace: Workspace, source: str, patterns: Iterable[str]) -> list[TableInfo]:
    """Tables whose `schema.table` (or name alone, for a pattern without a dot) fits one of the patterns, without case.

    A view or partition is taken only when it is named in full: what it shows mostly comes from tables that are taken, too.
    Where a schema is a database of its own, a pattern without a dot means the connection's own database.
    Raises NotFoundError for a pattern that fits nothing.
    """
    browser, staging = workspace.browser(source), workspace.staging_schemas(source)
    found: dict[TableInfo, None] = {}
    listed: dict[str | None, list[TableInfo]] = {}
    home = (
        browser.home() if any(level.label == "database" for level in browser.fields if level.name == "schema") else None
    )
    for pattern in patterns:
        schema, dot, name = pattern.rpartition(".")
        if dot and not set("*?[") & set(schema):
            exact = next((item for item in browser.schemas() if item.casefold() == schema.casefold()), schema)
            tables = browser.tables(exact)
        else:
            where = None if dot else home
            if where not in listed:
                listed[where] = browser.tables(where)
            tables = listed[where]
        fitting = [
            table
            for table in tables
            if ((table.kind == "table" and not table.partition) or not set("*?[") & set(name))
            and (table.schema or "").casefold() not in staging
            and fnmatchcase(table.name.casefold(), name.casefold())
            and (not dot or fnmatchcase((table.schema or "").casefold(), schema.casefold()))
        ]
        if not fitting:
            raise NotFoundError("table like", pattern, [browser.dialect.source_name(table) for table in tables])
        found.update(dict.fromkeys(fitting))
    return list(found)


def _keys(browser: Browser, table: TableInfo) -> Sequence[Key]:
    return browser.keys(table) if table.kind == "table" else []


def _draft(
    workspace: Workspace,
    source: str,
    dest: str,
    infos: list[ColumnInfo],
    wishes: Wishes,
    *,
    table: TableInfo | None = None,
    query: str | None = None,
    taken: Collection[str],
) -> Draft:
    from_dialect, to_dialect = workspace.browser(source).dialect, workspace.browser(dest, creates=True).dialect
    name = wishes.name or module_name(table, taken)
    if wishes.dest_table is not None:
        dest_table = wishes.dest_table
    elif table is not None:
        dest_table = dest_table_name(table, from_dialect, to_dialect, wishes.dest_schema)
    else:
        dest_table = to_dialect.dest_name(to_dialect.fold(name), schema=wishes.dest_schema)
    there = workspace.table_columns(dest, dest_table)
    columns = [DraftColumn(info, usual_name(info.column.name, from_dialect, to_dialect, there)) for info in infos]
    draft = Draft(
        name, source, dest, from_dialect, to_dialect, columns, dest_table, table=table, query=query, there=there
    )
    draft.hooks = wishes.hooks
    _shape_columns(draft, wishes)
    return draft


def _shape_columns(draft: Draft, wishes: Wishes) -> None:
    """Which columns move, under which names and types."""
    by_name = {column.name: column for column in draft.columns}

    def find(name: str) -> DraftColumn:
        return by_name[find_column(name, draft.infos).column.name]

    if wishes.columns:
        wanted = [find(name).name for name in wishes.columns]
        for column in draft.columns:
            column.included = column.name in wanted
        draft.columns.sort(key=lambda column: wanted.index(column.name) if column.included else len(wanted))
    for name in wishes.exclude:
        find(name).included = False
    for name, new in wishes.renames.items():
        find(name).dest_name = new
    for name, sql_type in wishes.types.items():
        find(name).dest_type = sql_type


def _propose(draft: Draft, browser: Browser, wishes: Wishes, key: Sequence[str]) -> None:
    table = draft.table.name if draft.table else draft.name
    as_text = draft.source_dialect.times_are_text
    infos = [column.info for column in draft.columns if column.included]
    if draft.table is not None:
        draft.zero_times = _zero_times(draft, browser, infos)
        if draft.zero_times:
            names = ", ".join(info.column.name for info in infos if info.column.name in draft.zero_times)
            draft.notes.append(f"zero dates in {names} become NULL")
    watermark = wishes.watermark
    if draft.table is not None:
        found = _sampled(draft, browser, infos, draft.source_dialect.numeric_times_sql)
        draft.unordered.update((info.column.name, "times as numbers") for info, numeric in found if numeric)
    marks = [mark.column for mark in candidates(table, infos, times_as_text=as_text)]
    if watermark is not None and watermark != "none":
        marks.append(candidate(table, draft.infos, watermark, times_as_text=as_text).column)
    learn_texts(draft, browser, marks)
    if watermark is not None and watermark != "none":
        refuse_unordered(draft, marks[-1])
    infos = [info for info in infos if info.column.name not in draft.unordered]
    present = {info.column.name for info in infos}
    proposal = propose(
        table,
        infos,
        strategy=wishes.strategy,
        key=wishes.key,
        watermark=watermark,
        identifying=[] if set(key) - present else key,
        times_as_text=as_text,
    )
    own = placeholders(draft.query, draft.syntax) if draft.query is not None else []
    if own and proposal.watermark is None:
        raise ConfigurationError(
            f"The query holds {{{own[0]}}}: name the column whose greatest value in the destination fills "
            "it with --watermark."
        )
    least = None
    if proposal.watermark is not None and proposal.watermark.kind == "number" and draft.table is not None:
        column = draft.source_dialect.identifier(proposal.watermark.column)
        least = browser.preview(f"SELECT min({column}) FROM {draft.title}", 1).first
    draft.take(proposal, lag=wishes.lag, default=wishes.default, least=least)
    draft.bounded = wishes.bounded and draft.mark is not None
    for kept in sorted(set(draft.unordered.values())):
        names = ", ".join(name for name, what in draft.unordered.items() if what == kept)
        draft.notes.append(f"{names} keeps {kept}, so it cannot be the watermark")
    if draft.mark is not None and draft.mark.column in draft.instants:
        draft.notes.append(
            f"{draft.mark.column} keeps times as texts of two forms, or with an offset from UTC: compared by the instant"
        )


def _zero_times(draft: Draft, browser: Browser, infos: Sequence[ColumnInfo]) -> frozenset[str]:
    """Columns that hold zero dates, or get one by default."""
    found = _sampled(draft, browser, infos, draft.source_dialect.zero_dates_sql)
    return frozenset(
        info.column.name for info, holds in found if holds or (info.default or "").strip("'").startswith("0000-00-00")
    )


def refuse_unordered(draft: Draft, column: str) -> None:
    """Raise ConfigurationError for a watermark that keeps what no condition on times finds."""
    if column in draft.unordered:
        raise ConfigurationError(
            f"{column} keeps {draft.unordered[column]} in {draft.title}, which no condition on times finds. Choose another "
            "watermark, or give a query that converts it."
        )


def learn_texts(draft: Draft, browser: Browser, names: Iterable[str]) -> None:
    """Note of each column that may become the watermark how the texts compare that it keeps as times."""
    infos = {info.column.name: info for info in draft.infos}
    asked = [infos[name] for name in dict.fromkeys(names) if infos[name].column.family in _TEXT_TIMES]
    table = draft.title
    if draft.query is not None:
        if placeholders(draft.query, draft.syntax):
            return  # its condition is the person's own
        table = f"({sample_query(draft.query, draft.syntax)})"
    columns = [draft.source_dialect.identifier(info.column.name) for info in asked]
    sql = draft.source_dialect.text_times_sql(columns, table, _TEXT_ROWS) if asked else None
    if sql is None:
        return
    for info, cell in zip(asked, browser.preview(sql, 1).rows[0], strict=True):
        if cell == "1" and info.column.family != "date":
            draft.instants |= {info.column.name}
        elif cell != "0":
            draft.unordered.setdefault(info.column.name, "times as texts without an order")


def _sampled(
    draft: Draft,
    browser: Browser,
    infos: Sequence[ColumnInfo],
    question: Callable[[Sequence[str], str, int], str | None],
) -> list[tuple[ColumnInfo, bool]]:
    """The answer for each column of dates or times; nothing where the kind of database has no such question."""
    times = [info for info in infos if info.column.family in ("timestamp", "timestamptz", "date")]
    names = [draft.source_dialect.identifier(info.column.name) for info in times]
    sql = question(names, draft.title, _SAMPLE_ROWS) if times else None
    if sql is None:
        return []
    return [(info, cell == "1") for info, cell in zip(times, browser.preview(sql, 1).rows[0], strict=True)]
