"""From what scripts do to pipekit modules: strategy, key, watermarks, columns and hooks."""

from __future__ import annotations

import os
import re
import textwrap
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from pipekit_engine.common.validation import field_problems
from pipekit_engine.models import KEY_MISSING, Module
from pipekit_engine.sql.select_list import select_list
from pipekit_engine.sql.text import as_subquery, split_statements
from pipekit_engine.strategies import STRATEGIES
from pipekit_import.events import Account, Note, Pull, Statements
from pipekit_import.logins import Connections, syntax_of
from pipekit_import.sqlread import Statement, bare, read_statements, same_table, uncommented
from pipekit_import.values import Login, Spot, plain, shown, unknowns
from pipekit_import.watermarks import watermarks_of

#: Names of tables that are made to be copied from.
_STAGING = re.compile(r"(?:^|[._])(?:stg|stage|staging|tmp|temp|work|wrk|load|in|new|buffer)(?:[._]|$)", re.IGNORECASE)
#: Commands of psql (\\x) and sqlite3 (.x), and those that change nothing.
_CLIENT_COMMAND = re.compile(r"\s*(\\[a-z!]+|\.[a-z]+\b)")
_HARMLESS_COMMANDS = {
    "\\set", "\\unset", "\\timing", "\\echo", "\\qecho", "\\warn", "\\q", "\\quit", "\\pset", "\\t", "\\a", "\\x", "\\encoding",
    "\\conninfo", "\\errverbose", ".timeout", ".bail", ".mode", ".headers", ".quit", ".exit", ".echo", ".print",
}  # fmt: skip
#: What a statement may begin with to be a hook.
_HOOK = re.compile(
    r"(?:analy[sz]e|vacuum|refresh|call|exec|execute|select|grant|revoke|update|insert|comment|cluster|reindex|optimize|alter|"
    r"create|do|notify|merge|pragma|perform|with|check|flush)\b",
    re.IGNORECASE,
)
_BLANK = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass
class Proposal:
    """A module as proposed. `module` is None when something that it needs is not known; then `fields` holds what is."""

    name: str
    script: str
    fields: dict[str, Any]
    notes: list[Note] = field(default_factory=list)
    module: Module | None = None

    @property
    def complete(self) -> bool:
        """True when nothing stands against applying it."""
        return self.module is not None and not any(note.blocking for note in self.notes)


@dataclass
class _Step:
    """A statement that was read, with its place among the script's steps and its login."""

    order: int
    statement: Statement
    login: Login
    taken: bool = False


def propose(account: Account, connections: Connections) -> list[Proposal]:
    """The modules of one script, in its order."""
    pulls: list[tuple[int, Pull]] = []
    steps: list[_Step] = []
    shared: list[Note] = list(account.notes)
    for order, step in enumerate(account.steps):
        if isinstance(step, Pull):
            if step.dest is None:
                shared.append(
                    Note(step.spot, "the rows that jrunner prints go nowhere that is understood", blocking=True)
                )
            else:
                pulls.append((order, step))
            continue
        steps += _read(step, order, shared)
    proposals = []
    local: list[str] = []
    for i, (order, pull) in enumerate(pulls):
        after = pulls[i + 1][0] if i + 1 < len(pulls) else len(account.steps)
        before = pulls[i - 1][0] if i else -1
        builder = _Builder(
            account, pull, steps, connections, (before, order, after), last=i + 1 == len(pulls), local=local
        )
        proposals.append(builder.build(len(pulls) == 1))
    for proposal in proposals:
        proposal.notes = [*shared, *proposal.notes]
    if not proposals and (account.steps or any(note.blocking for note in shared)):
        name = _BLANK.sub("_", os.path.dirname(account.script) or os.path.basename(account.script).split(".")[0])
        shared.append(Note(Spot(account.script, 1), "no load of a table was found in it", blocking=True))
        proposals.append(Proposal(name, account.script, {}, shared))
    return proposals


def _read(step: Statements, order: int, notes: list[Note]) -> list[_Step]:
    for unknown in unknowns(step.sql):
        notes.append(Note(step.spot, f"the SQL holds {shown((unknown,))}, which only a run tells"))
    text = shown(step.sql)
    for number, line in enumerate(text.split("\n")):
        command = _CLIENT_COMMAND.match(line)
        if command and command[1] not in _HARMLESS_COMMANDS:
            spot = Spot(step.sql_spot.file, step.sql_spot.line + number)
            notes.append(Note(spot, f"{command[1]} is a command of the client that is not read", blocking=True))
    return [
        _Step(order, statement, step.login) for statement in read_statements(text, step.sql_spot, syntax_of(step.login))
    ]


@dataclass
class _Builder:
    """Builds the module of one load. `window` holds the places of the load before, of this one and of the next one."""

    account: Account
    pull: Pull
    steps: list[_Step]
    connections: Connections
    window: tuple[int, int, int]
    last: bool
    notes: list[Note] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)
    dest: str | None = None
    #: The connections that this script's loads use; those of other scripts are no candidates for its logins.
    local: list[str] = field(default_factory=list)
    #: The loaded table and the one that its rows end in.
    tables: tuple[str, ...] = ()
    #: A note says, with its place, that the load has no key.
    key_is_told_missing: bool = False

    def block(self, text: str, spot: Spot | None = None) -> None:
        """Note something that a person has to decide."""
        self.notes.append(Note(spot or self.pull.spot, text, blocking=True))

    def build(self, only: bool) -> Proposal:
        """The proposal; `only`: the script has no other load."""
        pull = self.pull
        assert pull.dest is not None
        source = self.connections.of(pull.source, pull.spot, self.notes)
        self.dest = self._dest(pull.dest)
        self.local += [name for name in (source, self.dest) if name is not None and name not in self.local]
        self.fields = {"source": source, "dest": self.dest, "query": self._query()}
        loaded = plain(pull.table)
        if not loaded:
            self.block(f"the table {shown(pull.table) or '(-dt)'} is not known")
            loaded = ""
        copy = self._copy_from(loaded)
        table = copy.table if copy else loaded
        self.tables = (loaded, table)
        self.fields["dest_table"] = table or None
        if copy is None and _STAGING.search(loaded):
            self.block(f"{loaded} looks like a table that is copied on, but nothing was found that does")
        self._renamed(copy)
        self._strategy(loaded, table, copy)
        self._watermarks()
        self._hooks(loaded, table)
        if "-t" in pull.flags:
            self.notes.append(Note(pull.spot, "-t trimmed trailing blanks: trim in the query where they matter"))
        folder = os.path.basename(os.path.dirname(self.account.script))
        stem = os.path.basename(self.account.script).split(".")[0]
        unclear = self.pull.table == () or plain(self.pull.table) is None
        name = folder if only and folder and not self.account.arguments else stem if unclear else bare(table or loaded)
        name = _BLANK.sub("_", name or "unnamed").strip("._-") or "unnamed"
        proposal = Proposal(name, self.account.script, self.fields, self.notes)
        self._validate(proposal)
        return proposal

    def _dest(self, login: Login) -> str | None:
        """The connection of the rows' destination; a client's login may be that of a JDBC one in the same script."""
        if login.client and plain(login.database):
            known = [name for name in self.local if self.connections.matching(login, name)]
            if known:
                return known[0]
        return self.connections.of(login, self.pull.spot, self.notes)

    def _resolve(self, login: Login, spot: Spot) -> str | None:
        """The connection of a login of the script; a client's that says nothing else is the destination's."""
        if login.client:
            for name in (self.dest, *self.local):
                if self.connections.matching(login, name):
                    if not plain(login.database) and not plain(login.url):
                        self.notes.append(
                            Note(spot, f"{login.client} names no database that is known here: {name} is taken")
                        )
                    return name
        return self.connections.of(login, spot, self.notes)

    def _in_place(self, step: _Step) -> bool:
        """Whether a statement runs in the destination's database, as far as its login says."""
        return self.dest is None or not step.login.client or self.connections.matching(step.login, self.dest)

    def _query(self) -> str | None:
        for unknown in unknowns(self.pull.query):
            self.block(f"the query holds {shown((unknown,))}, which nothing here sets", unknown.spot)
        text = shown(self.pull.query)
        if unknowns(self.pull.query):
            return text.strip() or None
        syntax = syntax_of(self.pull.source)
        statements = split_statements(text, syntax)
        if len(statements) != 1:
            self.block(f"the query is {len(statements)} statements", self.pull.query_spot)
        lines = [line.rstrip() for line in as_subquery(text, syntax).strip("\n").split("\n")]
        return textwrap.dedent("\n".join(lines)).strip() or None

    def _renamed(self, copy: Statement | None) -> None:
        """COPY t (a, b) gives names of its own to the exported columns."""
        if not self.pull.columns:
            return
        given = select_list(self.fields.get("query") or "", syntax_of(self.pull.source))
        names = given.names if given is not None and given.complete else None
        if names is None or len(names) != len(self.pull.columns):
            self.block(f"COPY names {len(self.pull.columns)} columns: name those of the query in the same way, with AS")
            return
        pairs = list(zip(names, self.pull.columns, strict=True))
        if all(name.lower() == dest.lower() for name, dest in pairs):
            return
        if copy is not None:
            self.block("COPY gives the columns other names: give them those names in the query, with AS")
            return
        self.fields["columns"] = [
            name if name.lower() == dest.lower() else {"source_name": name, "dest_name": dest} for name, dest in pairs
        ]

    # Strategy

    def _on(self, table: str, *kinds: str) -> list[_Step]:
        return [
            step for step in self.steps if step.statement.kind in kinds and self._means(step.statement.table, table)
        ]

    def _means(self, name: str, table: str) -> bool:
        """Whether a statement's name is this table: stg.orders and orders are two tables where both occur."""
        exact = {item.lower() for item in self.tables}
        if name.lower() in exact:
            return name.lower() == table.lower()
        return same_table(name, table)

    def _copy_from(self, loaded: str) -> Statement | None:
        """The statement that brings the loaded table's rows into another one."""
        for step in self.steps:
            statement = step.statement
            if (
                statement.kind in ("insert", "merge")
                and step.order > self.window[1]
                and self._in_place(step)
                and same_table(statement.other, loaded)
            ):
                if statement.table.lower() == loaded.lower():
                    continue
                step.taken = True
                return statement
        return None

    def _strategy(self, loaded: str, table: str, copy: Statement | None) -> None:
        if copy is not None:
            for step in self._on(loaded, "clear", "housekeeping"):
                step.taken = True  # pipekit makes and empties its own staging table
            if copy.problem:
                self.block(copy.problem, copy.spot)
            self._columns(copy)
        elif "-c" in self.pull.flags:
            self.fields["strategy"] = "full"
        for step in self._on(table, "housekeeping"):
            step.taken = True
            if step.statement.text.lower().startswith(("create", "drop")):
                text = "pipekit creates the destination by itself where it is missing; the types may differ"
                self.notes.append(Note(step.statement.spot, text))
        clears, keys = self._on(table, "clear"), self._on(table, "delete_keys")
        ranges, updates = self._on(table, "delete_range"), self._on(table, "update")
        merging = copy is not None and copy.kind == "merge"
        ways = [bool(clears), bool(keys), bool(ranges), bool(updates) or merging or bool(copy and copy.conflict)]
        if sum(ways) > 1:
            self.block(
                f"{table} is changed in more than one way: choose the strategy", (copy or self.steps[0].statement).spot
            )
        for step in (*clears, *keys, *ranges, *updates):
            step.taken = True
            if step.statement.problem:
                self.block(step.statement.problem, step.statement.spot)
        if clears:
            self.fields["strategy"] = "full"
        elif keys:
            self._keyed("incremental", keys[0].statement)
        elif ranges:
            self._ranged(ranges[0].statement)
        elif updates:
            self._keyed("upsert", updates[0].statement)
        elif (merging and copy is not None) or (copy is not None and copy.conflict == "update"):
            self._keyed("upsert", copy)
        elif copy is not None and (copy.conflict == "nothing" or copy.only_new):
            self._keyed("upsert", copy)
            self.block(
                "it inserts new keys and leaves old rows alone; upsert would update them: is that right?", copy.spot
            )
        elif "strategy" not in self.fields:
            self.fields["strategy"] = "append"
            if not self.pull.query or shown(self.pull.query) == plain(self.pull.query):
                self.notes.append(Note(self.pull.spot, "append without a watermark: every run adds all rows again"))
        twins = [other for other in self.account.steps if isinstance(other, Pull) and plain(other.table) == loaded]
        if len(twins) > 1 and (copy is not None or STRATEGIES[self.fields["strategy"]].replaces_table):
            self.block(
                f"{len(twins)} loads fill {loaded}: make them one query (UNION ALL), or give each a table of its own"
            )
        if copy is not None and copy.latest_by and self.fields.get("merge_key"):
            self.fields["dedupe"] = f"latest by {copy.latest_by}"

    def _keyed(self, strategy: str, statement: Statement) -> None:
        self.fields["strategy"] = strategy
        if statement.keys:
            self.fields["merge_key"] = [self._source_name(key) for key in statement.keys]
        else:
            self.key_is_told_missing = True
            self.block(
                f"{strategy} needs a key, and the statement names none: the primary key of the destination?",
                statement.spot,
            )

    def _ranged(self, statement: Statement) -> None:
        self._keyed("incremental", statement)
        key = statement.keys[0]
        text = f"rows are replaced by {key}, for each {key} that the query gives; the script deleted them all from a value on"
        self.notes.append(Note(statement.spot, text))
        if re.search(r"(?:_at|_ts|time|stamp|updated|modified|changed)", key, re.IGNORECASE):
            self.block(f"{key} looks like a moment, not like a batch: name the key of the rows instead", statement.spot)

    def _source_name(self, name: str) -> str:
        """A key as the query spells it."""
        found = select_list(self.fields.get("query") or "", syntax_of(self.pull.source))
        return next((item for item in found.names if item.lower() == name.lower()), name) if found else name

    def _columns(self, copy: Statement) -> None:
        """Names that differ between the loaded table and the destination."""
        if copy.kind != "insert":
            return
        if copy.sources is None:
            self.block("it computes columns on the way: move that into the source query, with AS", copy.spot)
            return
        if not copy.sources or not copy.columns:
            if copy.sources or copy.columns:
                self.notes.append(Note(copy.spot, "columns were matched by position; pipekit matches them by name"))
            return
        if len(copy.sources) != len(copy.columns):
            self.block("it names another number of columns than it selects", copy.spot)
            return
        pairs = list(zip(copy.sources, copy.columns, strict=True))
        given = select_list(self.fields.get("query") or "", syntax_of(self.pull.source))
        known = {name.lower(): name for name in given.names} if given and given.complete else None
        missing = [name for name, _ in pairs if known is not None and name.lower() not in known]
        if missing:
            self.block(f"the query gives no {', '.join(missing)}: name its columns as the loaded table did", copy.spot)
            return
        named = [(known[name.lower()] if known else name, dest) for name, dest in pairs]
        whole = known is None or {name.lower() for name, _ in pairs} == set(known)
        if all(name.lower() == dest.lower() for name, dest in named) and whole:
            return
        self.fields["columns"] = [
            name if name.lower() == dest.lower() else {"source_name": name, "dest_name": dest} for name, dest in named
        ]

    # The rest

    def _watermarks(self) -> None:
        kind = self.connections.found[self.dest].driver if self.dest else ""
        marks = watermarks_of(self.pull.query, self._resolve, self.dest or "", kind, self.notes)
        if marks:
            self.fields["watermarks"] = {
                mark.name: mark.model_dump(exclude={"name"}, exclude_none=True) for mark in marks
            }

    def _hooks(self, loaded: str, table: str) -> None:
        before, here, after = self.window
        hooks: list[Any] = []
        for step in self.steps:
            statement = step.statement
            inside = (here < step.order < after) or (before < step.order < here) or (self.last and step.order > here)
            if step.taken or not inside or statement.kind == "noise":
                continue
            if statement.kind in ("clear", "housekeeping") and not self._means(statement.table, table):
                mentions_other = any(
                    same_table(statement.table, shown(other.table))
                    for other in self.account.steps
                    if isinstance(other, Pull)
                )
                if mentions_other:
                    continue
            step.taken = True
            if step.order < here:
                self.block("it runs before the load; pipekit has hooks after the merge only", statement.spot)
                continue
            if statement.kind != "other":
                self.block("it changes rows in a way that belongs to no load here", statement.spot)
                continue
            if not _HOOK.match(uncommented(statement.text, syntax_of(step.login))):
                self.block(f"{statement.text.strip()[:40]} is no SQL that is known here", statement.spot)
                continue
            if "${" in statement.text or re.search(r"\{[a-z_]\w*\}", statement.text):
                self.block("the hook would hold a value of the script", statement.spot)
                continue
            if statement.problem:
                self.block(statement.problem, statement.spot)
                continue
            hook: dict[str, str] = {"sql": statement.text.strip()}
            connection = self._resolve(step.login, statement.spot)
            if connection is not None and connection != self.dest:
                hook["connection"] = connection
            hooks.append(hook)
        if hooks:
            self.fields["hooks"] = hooks

    def _validate(self, proposal: Proposal) -> None:
        missing = [name for name in ("source", "dest", "query", "dest_table", "strategy") if not self.fields.get(name)]
        if missing:
            return
        marks = [{"name": name, **mark} for name, mark in self.fields.get("watermarks", {}).items()]
        try:
            proposal.module = Module.model_validate({**self.fields, "name": proposal.name, "watermarks": marks})
        except ValidationError as error:
            for problem in field_problems(error):
                if problem.type == KEY_MISSING and self.key_is_told_missing:
                    continue  # said already, with its place
                self.block(str(problem))
