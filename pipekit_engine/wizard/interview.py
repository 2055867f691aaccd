"""The conversation: where from, what, where to, which group; then everything on one screen, to be changed or written.

What flags have answered is not asked. Nothing is saved here: the interview ends with drafts and a group, or with None.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pipekit_engine.errors import ConfigurationError, PipekitError
from pipekit_engine.wizard.batch import GroupWish, Request, already_synced, check_name
from pipekit_engine.wizard.builder import Wishes, draft_query, draft_table, match_tables
from pipekit_engine.wizard.connecting import database_of
from pipekit_engine.wizard.prompts import Back, Choice, Edit
from pipekit_engine.wizard.review import Review
from pipekit_engine.wizard.screens import ask_connection, ask_group, choose_connection

if TYPE_CHECKING:
    from pipekit_engine.databases.browser import Browser
    from pipekit_engine.databases.introspection import TableInfo
    from pipekit_engine.wizard.draft import Draft
    from pipekit_engine.wizard.prompts import Terminal
    from pipekit_engine.wizard.workspace import Workspace
    from pipekit_engine.wizard.writing import Folder

_QUERY = "‹ a query of my own ›"
_ALL = "‹ all schemas ›"


@dataclass
class Given:
    """What flags have answered."""

    source: str | None = None
    dest: str | None = None
    table: str | None = None
    patterns: tuple[str, ...] = ()
    query: str | None = None
    wishes: Wishes = field(default_factory=Wishes)
    group: GroupWish | None = None
    force: bool = False


@dataclass
class Answers:
    """What the interview gave. `run`: the person wants the first run at once."""

    drafts: list[Draft]
    group: GroupWish | None
    run: bool
    force: bool


class Interview:
    """One conversation on a terminal."""

    def __init__(self, terminal: Terminal, workspace: Workspace, folder: Folder, given: Given) -> None:
        self._terminal = terminal
        self._workspace = workspace
        self._folder = folder
        self._given = given
        self._source = given.source or ""
        self._dest = given.dest or ""
        self._tables: list[TableInfo] = []
        self._query = given.query
        self._group = given.group
        self._drafts: list[Draft] = []
        self._force = given.force
        self._forward = True

    def hold(self) -> Answers | None:
        """Ask everything; None when the person ends it without writing."""
        steps: list[Callable[[], bool]] = [
            self._ask_source,
            self._ask_what,
            self._ask_dest,
            self._make_drafts,
            self._ask_group,
        ]
        at = 0
        while at < len(steps):
            try:
                asked = steps[at]()
                # Going back, a step that flags have answered is stepped over; the first one stays.
                self._forward = self._forward or asked or at == 0
                at += 1 if self._forward else -1
            except Back:
                self._forward = False
                at = max(0, at - 1)
            except PipekitError as error:
                if self._answered(steps[at]):
                    raise
                self._terminal.say(f"  {error}", "ansired")
                if steps[at] == self._make_drafts:
                    # The answers do not go together: another destination, or another table.
                    self._forward = False
                    at -= 1
        review = Review(self._terminal, self._workspace, self._folder, self._drafts, self._group, force=self._force)
        verdict = review.hold()
        if verdict is None:
            return None
        return Answers(review.drafts, review.group, run=verdict == "run", force=self._force)

    @property
    def _dest_given(self) -> bool:
        return self._given.dest is not None

    @property
    def _what_given(self) -> bool:
        return bool(self._given.table or self._given.patterns or self._given.query)

    def _answered(self, step: Callable[[], bool]) -> bool:
        """Whether flags have answered a step, so that asking again would not help."""
        return (
            (step == self._ask_source and self._given.source is not None)
            or (step == self._ask_what and self._what_given)
            or (step == self._ask_dest and self._dest_given)
            or (step == self._make_drafts and self._dest_given and self._what_given)
        )

    # The steps. Each says whether it asked anything.

    def _ask_source(self) -> bool:
        if self._given.source is not None:
            self._open(self._given.source)
            return False
        name = choose_connection(self._terminal, self._workspace, "Copy from", start=self._source or None)
        self._source = name or ask_connection(self._terminal, self._workspace, is_source=True)
        self._open(self._source)
        return True

    def _ask_dest(self) -> bool:
        if self._given.dest is not None:
            self._open(self._given.dest, creates=True)
            return False
        name = choose_connection(
            self._terminal, self._workspace, "Copy to", start=self._dest or None, without=self._source
        )
        self._dest = name or ask_connection(self._terminal, self._workspace, is_source=False)
        self._open(self._dest, creates=True)
        return True

    def _open(self, name: str, *, creates: bool = False) -> Browser:
        return self._workspace.browser(name, creates=creates)

    def _ask_what(self) -> bool:
        browser = self._workspace.browser(self._source)
        if self._given.query is not None:
            return False
        if self._given.table is not None:
            self._tables = [browser.find(self._given.table)]
            return False
        if self._given.patterns:
            self._tables = match_tables(self._workspace, self._source, self._given.patterns)
            return False
        self._query, self._tables = None, []
        database = self._ask_database(browser)
        schema = self._ask_schema(browser, database)
        if schema == _QUERY or not self._ask_tables(browser, schema, database):
            self._query = self._terminal.sql("Your query")
        return True

    def _ask_database(self, browser: Browser) -> str | None:
        """The database to look in, None for the connection's own."""
        others = browser.databases()
        if not others:
            return None
        choices: list[Choice[str | None]] = [Choice(None, "‹ the connection's own ›")]
        choices += [Choice(name, name) for name in others]
        return self._terminal.pick("Database", choices)

    def _ask_schema(self, browser: Browser, database: str | None) -> str | None:
        staging = self._workspace.staging_schemas(self._source)
        schemas = [name for name in browser.schemas(database) if name.casefold() not in staging]
        if len(schemas) <= 1:
            return schemas[0] if schemas else None
        url = self._workspace.connections()[self._source].jdbc_url
        own = (database_of(url) or "").casefold()
        usual = next((name for name in schemas if name.casefold() == own), None)
        usual = usual or next((name for name in schemas if name.casefold() in ("public", "dbo")), None)
        label = next((field.label for field in browser.fields if field.name == "schema"), "schema")
        choices = [Choice(name, name) for name in schemas]
        choices += [Choice(_ALL, _ALL), Choice(_QUERY, _QUERY)]
        return self._terminal.pick(label.capitalize(), choices, start=usual)

    def _ask_tables(self, browser: Browser, schema: str | None, database: str | None) -> bool:
        """Choose tables; False when the person would rather write a query."""
        several = schema == _ALL
        staging = self._workspace.staging_schemas(self._source)
        tables = browser.tables(None if several else schema, database)
        tables = [table for table in tables if (table.schema or "").casefold() not in staging]
        choices: list[Choice[TableInfo | None]] = []
        for table in tables:
            title = f"{table.schema}.{table.name}" if several and table.schema else table.name
            detail = " · ".join(part for part in ("view" if table.kind == "view" else "", table.remarks or "") if part)
            choices.append(Choice(table, title, " ".join(detail.split())))
        choices.append(Choice(None, _QUERY))
        chosen = self._terminal.tick("Tables", choices)
        assert not isinstance(chosen, Edit)
        self._tables = [table for table in chosen if table is not None]
        return bool(self._tables)

    def _make_drafts(self) -> bool:
        """Draft every chosen table; those that cannot be are told and left out."""
        if not self._forward:
            return False
        workspace, wishes = self._workspace, self._given.wishes
        stored = workspace.engine.store.definitions.load_checked()[0]
        taken = {*stored.modules, *self._folder.names("modules")}
        self._drafts = []
        if self._query is not None:
            self._drafts = [draft_query(workspace, self._source, self._query, self._dest, self._query_wishes(), taken)]
            return False
        request = Request(self._source, self._dest, wishes=wishes)
        for table in self._tables:
            try:
                known = already_synced(workspace, request, table, stored)
                own = wishes
                if known is not None and wishes.name is None:
                    if not self._replace(known.name, table):
                        continue
                    own = replace(wishes, name=known.name)
                draft = draft_table(workspace, self._source, table, self._dest, own, taken)
            except PipekitError as error:
                if len(self._tables) == 1:
                    raise
                self._terminal.say(f"  left out: {table.name}: {error}", "ansired")
                continue
            taken.add(draft.name)
            self._drafts.append(draft)
        if not self._drafts:
            raise ConfigurationError("No table is left to sync.")
        return False

    def _query_wishes(self) -> Wishes:
        wishes = self._given.wishes
        if wishes.name is None:
            name = self._terminal.text("Module name", "query", check=self._check_name)
            wishes = replace(wishes, name=name)
        from pipekit_engine.sql.text import placeholders

        tokens = placeholders(self._query or "", self._workspace.dialect(self._source).capabilities.syntax)
        if tokens and wishes.watermark is None:
            column = self._terminal.text(f"Column whose greatest value fills {{{tokens[0]}}}")
            key = wishes.key
            if key is None:
                text = self._terminal.text("Key: columns that tell rows apart", optional=True)
                key = tuple(part.strip() for part in text.split(",") if part.strip())
            wishes = replace(wishes, watermark=column, key=key or None, strategy=wishes.strategy)
        return wishes

    def _check_name(self, name: str) -> None:
        check_name(name, self._workspace, self._folder, force=self._force)

    def _replace(self, module: str, table: TableInfo) -> bool:
        question = f"{table.name} is already synced by module {module}. Propose it anew and replace it"
        if self._force or self._terminal.yes(question, default=False):
            self._force = True
            return True
        return False

    def _ask_group(self) -> bool:
        if self._given.group is not None:
            return False
        self._group = ask_group(self._terminal, self._workspace, self._folder, self._source)
        return True
