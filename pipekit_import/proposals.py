"""A whole folder of scripts as definitions: modules, connections, groups, schedules, and what could not be inferred."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from pipekit_engine.common.validation import field_problems
from pipekit_engine.models import Definitions, Group, Schedule
from pipekit_import.crontab import Entry, read_crontabs
from pipekit_import.events import Account, Note, ScriptCall, Secret
from pipekit_import.infer import Proposal, propose
from pipekit_import.interpreter import Interpreter
from pipekit_import.logins import Connections
from pipekit_import.tree import Tree
from pipekit_import.values import Spot

#: Scripts and their calls: stops a script that calls itself with ever new arguments.
_MAX_ACCOUNTS = 5_000
_Key = tuple[str, tuple[str | None, ...]]


@dataclass
class Import:
    """What was made of a folder."""

    root: Path
    proposals: list[Proposal] = field(default_factory=list)
    connections: Connections = field(default_factory=Connections)
    groups: dict[str, Group] = field(default_factory=dict)
    schedules: dict[str, Schedule] = field(default_factory=dict)
    secrets: list[Secret] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    @property
    def complete(self) -> list[Proposal]:
        """Modules that can be applied as they are."""
        return [proposal for proposal in self.proposals if proposal.complete]

    @property
    def incomplete(self) -> list[Proposal]:
        """Proposals that a person has to finish."""
        return [proposal for proposal in self.proposals if not proposal.complete]

    @property
    def definitions(self) -> Definitions:
        """All that can be applied: complete modules, the connections that they use, their groups and schedules."""
        modules = {p.name: p.module for p in self.complete if p.module is not None}
        used: set[str] = set()
        for module in modules.values():
            used |= {module.source, module.dest, *(mark.connection for mark in module.watermarks)}
            used |= {hook.connection for hook in module.hooks if hook.connection is not None}
        connections = {name: item for name, item in self.connections.found.items() if name in used}
        return Definitions.model_construct(
            None,
            drivers={},
            connections=connections,
            modules=modules,
            groups=self.groups,
            schedules=self.schedules,
            triggers={},
        )


def import_folder(root: Path) -> Import:
    """Read all scripts and crontabs under a folder. Nothing is run. Raises ConfigurationError when there is no such folder."""
    tree = Tree(root)
    result = Import(root)
    entries = read_crontabs(tree, result.notes)
    accounts = _follow_all(tree, [call for entry in entries for call in entry.calls])
    made: dict[_Key, list[Proposal]] = {}
    reached = {spot for account in accounts.values() for spot in account.reached}
    for key, account in accounts.items():
        for spot in sorted(account.present - reached):
            account.notes.append(Note(spot, "when this runs was not understood", blocking=True))
        made[key] = propose(account, result.connections)
        result.secrets += account.secrets
        result.proposals += made[key]
    result.secrets = _distinct([*result.secrets, *result.connections.secrets])
    _name_apart(result.proposals)
    _make_groups(result, accounts, made, entries)
    return result


def _follow_all(tree: Tree, called: list[ScriptCall]) -> dict[_Key, Account]:
    """Follow every script, and those that are called with arguments once for each call; sourced files are parts of others."""
    accounts: dict[_Key, Account] = {}
    queue: list[_Key] = [(call.script, call.arguments) for call in called]
    queue += [(script, ()) for script in tree.scripts]
    while queue:
        key = queue.pop(0)
        if key not in accounts and len(accounts) < _MAX_ACCOUNTS:
            accounts[key] = Interpreter(tree, *key).run()
            queue += [(call.script, call.arguments) for call in accounts[key].calls]
    with_arguments = {script for script, arguments in accounts if arguments}
    sourced = {file for account in accounts.values() for file in account.sourced}
    return {
        key: account
        for key, account in sorted(accounts.items(), key=lambda item: item[0][0])
        if not (key[0] in sourced or (key[0] in with_arguments and not key[1]))
    }


def _distinct(secrets: list[Secret]) -> list[Secret]:
    found: dict[Spot, Secret] = {}
    for secret in secrets:
        found.setdefault(secret.spot, secret)
    return [found[spot] for spot in sorted(found)]


def _name_apart(proposals: list[Proposal]) -> None:
    """Give each module a name of its own: one that is taken is told apart by the script's folder, or by a number."""
    taken: set[str] = set()
    for proposal in proposals:
        name = proposal.name
        folders = [folder for folder in os.path.dirname(proposal.script).split("/") if folder and folder != name]
        choices = [name, *(folder if name in folder else f"{folder}_{name}" for folder in reversed(folders))]
        choices = [re.sub(r"[^A-Za-z0-9_.-]+", "_", choice).strip("._-") for choice in choices]
        free = [choice for choice in choices if choice and choice not in taken]
        number = 2
        while f"{name}_{number}" in taken:
            number += 1
        proposal.name = free[0] if free else f"{name}_{number}"
        taken.add(proposal.name)
        if proposal.module is not None and proposal.module.name != proposal.name:
            proposal.module = proposal.module.model_copy(update={"name": proposal.name})


def _make_groups(
    result: Import, accounts: dict[_Key, Account], made: dict[_Key, list[Proposal]], entries: list[Entry]
) -> None:
    def modules_of(key: _Key, seen: tuple[_Key, ...] = ()) -> list[Proposal]:
        if key in seen or key not in accounts:
            return []
        found = list(made[key])
        for call in accounts[key].calls:
            found += modules_of((call.script, call.arguments), (*seen, key))
        return found

    scheduled: set[_Key] = set()
    for entry in entries:
        keys: list[_Key] = [(call.script, call.arguments) for call in entry.calls]
        scheduled.update(keys)
        members = [proposal for key in keys for proposal in modules_of(key)]
        group = _group(result, _stem(keys[0][0]), members, entry.spot)
        if group is not None:
            _schedule(result, group, entry)
    called = {(call.script, call.arguments) for account in accounts.values() for call in account.calls}
    for key in accounts:
        members = modules_of(key)
        if key not in scheduled and key not in called and len(members) > 1:
            _group(result, _stem(key[0]), members, Spot(key[0], 1))


def _group(result: Import, stem: str, members: list[Proposal], spot: Spot) -> str | None:
    names = list(dict.fromkeys(proposal.name for proposal in members if proposal.complete))
    left = list(dict.fromkeys(proposal.name for proposal in members if not proposal.complete))
    if left:
        result.notes.append(Note(spot, f"add to its group when they are complete: {', '.join(left)}"))
    if not names:
        return None
    same = next((name for name, group in result.groups.items() if list(group.members) == names), None)
    if same is not None:
        return same
    name, number = stem, 2
    while name in result.groups:
        name, number = f"{stem}_{number}", number + 1
    result.groups[name] = Group(name=name, layers=tuple((member,) for member in names))
    return name


def _schedule(result: Import, group: str, entry: Entry) -> None:
    name, number = f"{group}-cron", 2
    while name in result.schedules:
        name, number = f"{group}-cron-{number}", number + 1
    if entry.timezone is None:
        result.notes.append(
            Note(entry.spot, f"schedule {name}: the crontab names no time zone; UTC is taken; say `timezone:`")
        )
    try:
        result.schedules[name] = Schedule(name=name, group=group, cron=entry.cron, timezone=entry.timezone or "UTC")
    except ValidationError as error:
        what = field_problems(error)[0].message
        result.notes.append(Note(entry.spot, f"schedule {name} was left out: {what}"))


def _stem(script: str) -> str:
    folder, file = os.path.split(script)
    stem = file.split(".")[0]
    if stem.lower() in ("run", "sync", "load", "job", "main", "start", "etl", "wrapper") and folder:
        stem = os.path.basename(folder)
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", stem).strip("._-") or "imported"
