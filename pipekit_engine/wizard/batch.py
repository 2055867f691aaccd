"""From what was asked for to what is to be written, without asking anybody."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import ValidationError

from pipekit_engine.common.validation import field_problems
from pipekit_engine.errors import ConfigurationError, PipekitError
from pipekit_engine.models import Group, Schedule
from pipekit_engine.wizard.builder import Wishes, draft_query, draft_table, match_tables
from pipekit_engine.wizard.draft import dest_table_name, refused
from pipekit_engine.wizard.writing import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pipekit_engine.databases.introspection import TableInfo
    from pipekit_engine.models import Definitions, Module
    from pipekit_engine.planning.plan import RunPlan
    from pipekit_engine.wizard.draft import Draft
    from pipekit_engine.wizard.workspace import Workspace
    from pipekit_engine.wizard.writing import Folder


@dataclass(frozen=True)
class GroupWish:
    """The group that the modules join, and its schedule if it is to get one."""

    name: str
    cron: str | None = None
    timezone: str = "UTC"


@dataclass(frozen=True)
class Request:
    """What is wanted: tables by pattern, or one table, or a query; from where to where; `force` replaces what is there."""

    source: str
    dest: str
    table: str | None = None
    patterns: tuple[str, ...] = ()
    query: str | None = None
    wishes: Wishes = field(default_factory=Wishes)
    group: GroupWish | None = None
    force: bool = False


@dataclass
class Proposed:
    """A draft with its module and plan, or the reason why there is none."""

    title: str
    draft: Draft | None = None
    module: Module | None = None
    plan: RunPlan | None = None
    problem: str | None = None


def propose_all(workspace: Workspace, request: Request, folder: Folder) -> list[Proposed]:
    """A proposal for each table, planned against the real databases. With one table or a query, its error is raised."""
    stored = workspace.engine.store.definitions.load_checked()[0]
    taken = {*stored.modules, *folder.names("modules")}
    if request.query is not None:
        draft = draft_query(workspace, request.source, request.query, request.dest, request.wishes, taken)
        return [_finished(workspace, draft, folder, request.force, stored)]
    browser = workspace.browser(request.source)
    if request.table is not None:
        return [_one(workspace, request, browser.find(request.table), folder, stored, taken)]
    proposed = []
    for table in match_tables(workspace, request.source, request.patterns):
        try:
            one = _one(workspace, request, table, folder, stored, taken)
        except PipekitError as error:
            proposed.append(Proposed(browser.dialect.source_name(table), problem=str(error)))
            continue
        assert one.draft is not None
        name, dest_table = one.draft.name, one.draft.dest_table
        clash = next((item for item in proposed if item.draft and _same_dest(item.draft, one.draft)), None)
        if clash is not None:
            one = Proposed(one.title, problem=f"it would go into {dest_table}, as {clash.title} does")
        else:
            taken.add(name)
        proposed.append(one)
    return proposed


def _one(
    workspace: Workspace, request: Request, table: TableInfo, folder: Folder, stored: Definitions, taken: set[str]
) -> Proposed:
    return _finished(workspace, propose_table(workspace, request, table, stored, taken), folder, request.force, stored)


def propose_table(
    workspace: Workspace, request: Request, table: TableInfo, stored: Definitions, taken: set[str]
) -> Draft:
    """A draft for one table. Raises ConfigurationError where a module moves it already or it would go onto itself."""
    wishes = request.wishes
    known = already_synced(workspace, request, table, stored)
    if known is not None and wishes.name is None:
        if not request.force:
            raise ConfigurationError(
                f"{workspace.browser(request.source).dialect.source_name(table)} is already synced by module {known.name}: "
                "--force proposes it anew, --name makes another module."
            )
        wishes = Wishes(**{**wishes.__dict__, "name": known.name})
    draft = draft_table(workspace, request.source, table, request.dest, wishes, taken)
    if is_itself(workspace, draft):
        raise ConfigurationError(
            f"{draft.title} would be copied onto itself, and what others write meanwhile would be lost: name another "
            "destination with --dest, --dest-schema or --dest-table."
        )
    return draft


def already_synced(workspace: Workspace, request: Request, table: TableInfo, stored: Definitions) -> Module | None:
    """The module that moves this table to where this request would put it."""
    dest = workspace.browser(request.dest, creates=True).dialect
    source = workspace.browser(request.source).dialect
    text = request.wishes.dest_table or dest_table_name(table, source, dest, request.wishes.dest_schema)
    wanted = dest.table_name(text)
    for module in stored.modules.values():
        same_ends = (module.source, module.dest) == (request.source, request.dest)
        if same_ends and dest.table_name(module.dest_table) == wanted:
            return module
    return None


def is_itself(workspace: Workspace, draft: Draft) -> bool:
    """Whether the destination is the very table that is read, as far as the connections tell."""
    known = workspace.connections()
    ends = [known[name].jdbc_url.partition("?")[0] for name in (draft.source, draft.dest)]
    if draft.table is None or draft.source_dialect.kind != draft.dest_dialect.kind or ends[0] != ends[1]:
        return False
    name = draft.dest_dialect.table_name(draft.dest_table)
    if name.name != draft.table.name:
        return False
    schema = name.schema or workspace.browser(draft.dest).home()
    return schema is None or draft.table.schema in (None, schema)


def _same_dest(one: Draft, other: Draft) -> bool:
    name = one.dest_dialect.table_name
    return name(one.dest_table) == name(other.dest_table)


def _finished(workspace: Workspace, draft: Draft, folder: Folder, force: bool, stored: Definitions) -> Proposed:
    check_free(draft.name, folder, stored, force=force)
    module = draft.module()
    return Proposed(draft.title, draft, module, workspace.rehearse(module))


def check_name(name: str, workspace: Workspace, folder: Folder, *, force: bool) -> None:
    """Raise ConfigurationError or ValueError for a name that a module cannot have, or that is taken."""
    from pydantic import TypeAdapter, ValidationError

    from pipekit_engine.models import Name

    try:
        TypeAdapter(Name).validate_python(name)
    except ValidationError as error:
        raise ValueError(field_problems(error)[0].message) from None
    check_free(name, folder, workspace.engine.store.definitions.load_checked()[0], force=force)


def check_free(name: str, folder: Folder, stored: Definitions, *, force: bool) -> None:
    """Raise ConfigurationError when a module of this name would replace something that nobody said to replace."""
    way = folder.in_the_way(name)
    if way is None and name in stored.modules:
        way = f"a module {name} is in the store already"
    if way is None:
        return
    if not force:
        raise ConfigurationError(f"{way}: --force replaces it, --name makes another module.")
    if folder.module_file(name).exists() and not folder.can_replace(name):
        raise ConfigurationError(
            f"{way}, and that file holds more than this module: change it by hand, or choose another --name."
        )
    there = folder.file_of("modules", name)
    if there is not None and there != folder.module_file(name):
        raise ConfigurationError(f"{way}: remove it there first, or choose another --name.")


def outcome_of(workspace: Workspace, drafts: Iterable[Draft], group: GroupWish | None, folder: Folder) -> Outcome:
    """All that is to be written for these drafts. Raises ConfigurationError."""
    outcome = Outcome(secrets=dict(workspace.new_secrets))
    for draft in drafts:
        module = draft.module()
        outcome.modules[module.name] = module
        outcome.comments[module.name] = draft.comments()
        for connection in (module.source, module.dest):
            if connection in workspace.new_connections:
                outcome.connections[connection] = workspace.new_connections[connection]
    if group is not None and outcome.modules:
        join_group(outcome, group, workspace.engine.store.definitions.load_checked()[0], folder)
    return outcome


def join_group(outcome: Outcome, wish: GroupWish, stored: Definitions, folder: Folder) -> None:
    """Put the modules at the end of the group, made if it is new, and give it its schedule."""
    known = folder.group(wish.name, stored)
    layers = known.layers if known else ()
    members = known.members if known else ()
    new = [(name,) for name in outcome.modules if name not in members]
    try:
        if known is None:
            outcome.groups[wish.name] = Group(name=wish.name, layers=tuple(new))
        elif new:
            outcome.groups[wish.name] = known.model_copy(update={"layers": (*layers, *new)})
        if wish.cron is not None:
            schedule = Schedule(
                name=_schedule_name(wish, stored, folder), group=wish.name, cron=wish.cron, timezone=wish.timezone
            )
            outcome.schedules[schedule.name] = schedule
    except ValidationError as error:
        raise refused(f"group {wish.name}", error) from None


def _schedule_name(wish: GroupWish, stored: Definitions, folder: Folder) -> str:
    for schedule in stored.schedules.values():
        if schedule.group == wish.name:
            raise ConfigurationError(
                f"Group {wish.name} already has the schedule {schedule.name} ({schedule.cron}, {schedule.timezone}): leave out "
                "--schedule, or change that one."
            )
    names = {*stored.schedules, *folder.names("schedules")}
    return next(name for name in (wish.name, f"{wish.name}-schedule", *_numbered(wish.name)) if name not in names)


def _numbered(name: str) -> Sequence[str]:
    return [f"{name}-{number}" for number in range(2, 1000)]
