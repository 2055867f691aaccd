"""The wizard's pages: what is in a database, what is proposed for its tables, and the definitions that become of it.

What a person has chosen so far travels in the pages' fields; the server keeps nothing between two of them. The engine is the
one of the terminal's wizard.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pipekit_engine.errors import ConfigurationError, PipekitError
from pipekit_engine.store.audit import version_of
from pipekit_engine.wizard.batch import GroupWish, Request, already_synced, outcome_of, propose_table
from pipekit_engine.wizard.builder import Wishes
from pipekit_engine.wizard.proposals import candidates
from pipekit_engine.wizard.writing import Folder, preview_yaml
from pipekit_web.views.paging import page_of

if TYPE_CHECKING:
    from pipekit_engine.databases.browser import Browser
    from pipekit_engine.databases.introspection import TableInfo
    from pipekit_engine.models import DefinitionKind, Definitions
    from pipekit_engine.wizard.draft import Draft
    from pipekit_engine.wizard.workspace import Workspace

#: Tables that a page lists, and that are proposed at once.
LISTED, AT_ONCE = 300, 40
#: Characters of all plans that a page shows.
_SQL_CHARS = 60_000
#: The terminal's wizard writes files itself; here the save writes those that the configuration names.
_NO_FOLDER = Path("/nonexistent")


@dataclass(frozen=True)
class Place:
    """Where in a source somebody looks around. Empty texts are the outermost level."""

    database: str = ""
    schema: str = ""
    words: str = ""
    page: int = 1


@dataclass(frozen=True)
class Listing:
    """What is at a place: the levels above the tables, and the tables, of which `found` fit the words."""

    place: Place
    databases: Sequence[str] = ()
    schemas: Sequence[str] = ()
    tables: Sequence[tuple[str, TableInfo]] = ()
    found: int = 0
    pages: int = 1
    problem: str = ""

    @property
    def first(self) -> int:
        """The place of the first table that is shown among those that were found, from 1 on."""
        return (self.place.page - 1) * LISTED + 1


@dataclass(frozen=True)
class Row:
    """One table's proposal as its line of the page shows it, or why there is none."""

    table: str
    name: str = ""
    dest_table: str = ""
    strategy: str = ""
    key: str = ""
    watermark: str = ""
    watermarks: Sequence[tuple[str, str]] = ()
    reason: str = ""
    cautions: Sequence[str] = ()
    problem: str = ""
    #: Strategy, key and watermark are the engine's own proposal.
    proposed: bool = False

    @property
    def answers(self) -> str:
        """Strategy, key and watermark as one text, by which the next page tells whether they were changed."""
        return " / ".join((self.strategy, self.key, self.watermark))


@dataclass(frozen=True)
class Asked:
    """What a person has said of one table; a text that is None is to be proposed."""

    table: str
    name: str | None = None
    dest_table: str | None = None
    strategy: str | None = None
    key: str | None = None
    watermark: str | None = None

    def wishes(self) -> Wishes:
        """As the engine takes them."""
        key = None if self.key is None else tuple(part.strip() for part in self.key.split(",") if part.strip())
        return Wishes(
            name=self.name or None,
            dest_table=self.dest_table or None,
            strategy=self.strategy or None,
            key=key,
            watermark=self.watermark if self.watermark is None else self.watermark or "none",
        )


@dataclass(frozen=True)
class Planned:
    """All that is to be saved, as its YAML, what each module would run, and the versions that the plan was made from."""

    text: str = ""
    sql: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[tuple[DefinitionKind, str], str] = field(default_factory=dict)
    problems: Sequence[str] = ()

    def by_kind(self) -> dict[str, dict[str, str]]:
        """The versions as a page carries them."""
        found: dict[str, dict[str, str]] = {}
        for (kind, name), version in self.versions.items():
            found.setdefault(kind, {})[name] = version
        return found


def look_around(workspace: Workspace, source: str, place: Place) -> Listing:
    """The databases, schemas and tables at a place; a database that refuses is told in `problem`."""
    try:
        browser = workspace.browser(source)
        levels = {level.name for level in browser.fields}
        databases = browser.databases() if "database" in levels else []
        schemas = browser.schemas(place.database or None) if "schema" in levels else []
        schema = place.schema
        if not schema and not place.database and schemas:
            home = browser.home()
            schema = home if home in schemas else schemas[0] if len(schemas) == 1 else ""
        if schemas and not schema:
            return Listing(place, databases, schemas)
        found = browser.tables(schema or None, place.database or None)
        words = place.words.casefold()
        fitting = [table for table in found if words in table.name.casefold()]
        shown, page, pages = page_of(fitting, place.page, LISTED)
        named = [(browser.dialect.source_name(table), table) for table in shown]
        at = Place(place.database, schema, place.words, page)
        return Listing(at, databases, schemas, named, len(fitting), pages)
    except PipekitError as error:
        return Listing(place, problem=str(error))


def propose(workspace: Workspace, source: str, dest: str, asked: Sequence[Asked]) -> tuple[list[Row], list[Draft]]:
    """A line for each table, and the drafts of those that can be."""
    if len(asked) > AT_ONCE:
        raise ConfigurationError(f"That is {len(asked)} tables: take {AT_ONCE} at once at most.")
    stored = workspace.engine.store.definitions.load_checked()[0]
    taken: set[str] = {*stored.modules}
    rows: list[Row] = []
    drafts: list[Draft] = []
    listed: dict[tuple[str | None, str | None], dict[str, TableInfo]] = {}
    for item in asked:
        try:
            browser = workspace.browser(source)
            table = _find(browser, item.table, listed)
            draft = _draft(workspace, Request(source, dest, wishes=item.wishes()), table, stored, taken)
            draft.module()
        except PipekitError as error:
            rows.append(refused_row(item, str(error)))
            continue
        clash = next((other for other in drafts if other.dest_table == draft.dest_table), None)
        if draft.name in taken or clash is not None:
            why = f"there is a module {draft.name} already" if clash is None else f"{clash.title} goes there, too"
            rows.append(refused_row(item, f"{why}: choose another name and destination table."))
            continue
        taken.add(draft.name)
        drafts.append(draft)
        rows.append(_row(item, draft))
    return rows, drafts


def _find(browser: Browser, text: str, listed: dict[tuple[str | None, str | None], dict[str, TableInfo]]) -> TableInfo:
    name = browser.dialect.table_name(text)
    place = (name.schema, name.catalog)
    if place not in listed:
        listed[place] = {browser.dialect.source_name(table): table for table in browser.tables(*place)}
    # What a program writes may be shorter than what the page's list has.
    return listed[place].get(text) or browser.find(text)


def _draft(workspace: Workspace, request: Request, table: TableInfo, stored: Definitions, taken: set[str]) -> Draft:
    known = already_synced(workspace, request, table, stored)
    if known is not None:
        raise ConfigurationError(f"Module {known.name} moves it there already: edit that one, or choose another table.")
    if request.wishes.name is None:
        return propose_table(workspace, request, table, stored, taken)
    return propose_table(workspace, request, table, stored, set())


def refused_row(item: Asked, problem: str) -> Row:
    """A line with what was said of a table, and what is wrong with it."""
    return Row(
        item.table,
        item.name or "",
        item.dest_table or "",
        item.strategy or "",
        item.key or "",
        item.watermark or "",
        problem=problem,
    )


def _row(item: Asked, draft: Draft) -> Row:
    marks = candidates(draft.table.name if draft.table else "", draft.ordered)
    offered = [(mark.column, mark.reason) for mark in marks]
    chosen = draft.mark.column if draft.mark else ""
    if chosen and chosen not in [column for column, _ in offered]:
        offered.append((chosen, draft.mark.reason if draft.mark else ""))
    return Row(
        item.table,
        draft.name,
        draft.dest_table,
        draft.strategy,
        ", ".join(draft.key),
        chosen,
        offered,
        draft.reason,
        (*draft.cautions, *draft.notes),
        proposed=(item.strategy, item.key, item.watermark) == (None, None, None),
    )


def plan(workspace: Workspace, drafts: Sequence[Draft], group: GroupWish | None) -> Planned:
    """The definitions of all drafts, and the SQL of each module as a run would execute it now."""
    stored = workspace.engine.store.definitions.load_checked()[0]
    sql, problems, left = {}, [], _SQL_CHARS
    for draft in drafts:
        try:
            text = workspace.rehearse(draft.module()).render()
        except PipekitError as error:
            problems.append(f"{draft.title}: {error}")
            continue
        sql[draft.name] = text if len(text) <= left else "Left out here; a dry run of the module shows it."
        left -= len(text)
    if problems:
        return Planned(sql=sql, problems=problems)
    try:
        outcome = outcome_of(workspace, drafts, group, Folder(_NO_FOLDER))
    except PipekitError as error:
        return Planned(sql=sql, problems=[str(error)])
    versions: dict[tuple[DefinitionKind, str], str] = {}
    kinds: tuple[DefinitionKind, ...] = ("modules", "groups", "schedules")
    for kind in kinds:
        for name in outcome.definitions.of_kind(kind):
            versions[kind, name] = version_of(stored.of_kind(kind).get(name))
    return Planned(preview_yaml(outcome), sql, versions)
