"""Puts what the wizard made into place: YAML files, secrets and the state store, all of it or nothing.

A module gets a file of its own. New connections go into `connections.yaml`, groups and schedules into `groups.yaml`, or into
the files in which such a name is defined already. A file that a person wrote is only ever added to: its comments and its
layout stay, and the result is read back and compared before it replaces the old one.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipekit_engine.common.files import write_text
from pipekit_engine.definitions.apply_plan import ApplyPlan, make_plan
from pipekit_engine.definitions.export import to_yaml
from pipekit_engine.definitions.load import Loaded, read_definitions
from pipekit_engine.errors import ConfigurationError, DefinitionsError
from pipekit_engine.models import DefinitionKind, Definitions, record_label
from pipekit_engine.security.secrets import Secrets
from pipekit_engine.wizard.yaml_editing import add_member, add_record

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipekit_engine.models import Connection, DefinitionKind, Group, Module, Schedule
    from pipekit_engine.store import Store

_COMMENT_WIDTH = 118


@dataclass
class Outcome:
    """All that is to be written. `comments` are lines for the head of a module's file, by the module's name."""

    modules: dict[str, Module] = field(default_factory=dict)
    comments: dict[str, Sequence[str]] = field(default_factory=dict)
    connections: dict[str, Connection] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    schedules: dict[str, Schedule] = field(default_factory=dict)

    @property
    def definitions(self) -> Definitions:
        """The records, which were checked when they were made."""
        return Definitions.model_construct(
            None,
            drivers={},
            connections=self.connections,
            modules=self.modules,
            groups=self.groups,
            schedules=self.schedules,
            triggers={},
        )


def module_yaml(module: Module, comments: Sequence[str] = ()) -> str:
    """A module's file."""
    head: list[str] = []
    for comment in comments:
        head += textwrap.wrap(comment, _COMMENT_WIDTH, initial_indent="# ", subsequent_indent="# ")
    text = to_yaml(Definitions.model_construct(None, modules={module.name: module}), ["modules"])
    return "\n".join([*head, text])


def preview_yaml(outcome: Outcome) -> str:
    """Everything as one YAML text, for a person to read before anything is written."""
    rest = outcome.definitions.model_copy(update={"modules": {}})
    parts = [to_yaml(rest, ["connections"])]
    parts += [module_yaml(module, outcome.comments.get(name, ())) for name, module in outcome.modules.items()]
    parts.append(to_yaml(rest, ["groups", "schedules"]))
    texts = [part for part in parts if part]
    merged = texts[0] if texts else ""
    for text in texts[1:]:
        # One document: a second `modules:` would be a repeated key.
        head = "modules:\n"
        if head in text and f"\n{head}" in f"\n{merged}":
            before, _, body = text.partition(head)
            comments = textwrap.indent(before, "  ")
            merged += comments + body
        else:
            merged += text
    return merged


class Folder:
    """A folder of definitions, and what is defined where in it. It need not exist."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._loaded: Loaded | None = None
        if path.exists():
            if not path.is_dir():
                raise ConfigurationError(f"{path} is not a folder; --output names one.")
            if any(file.suffix in (".yaml", ".yml") for file in path.rglob("*")):
                try:
                    self._loaded = read_definitions(path)
                except ConfigurationError:
                    self._loaded = None

    def file_of(self, kind: DefinitionKind, name: str) -> Path | None:
        """The file that defines a name."""
        parsed = self._loaded.parsed_records.get((kind, name)) if self._loaded else None
        return Path(parsed.file) if parsed is not None else None

    def names(self, kind: DefinitionKind) -> list[str]:
        """Names of that kind in the folder."""
        return [name for k, name in self._loaded.parsed_records if k == kind] if self._loaded else []

    def group(self, name: str, stored: Definitions) -> Group | None:
        """The group as it stands, None for a new one.

        Raises ConfigurationError when its file and the store differ: adding to it would apply the rest of the file's changes.
        """
        in_file = self._loaded.definitions.groups.get(name) if self._loaded else None
        in_store = stored.groups.get(name)
        there = self.file_of("groups", name)
        if there is not None and in_file != in_store:
            raise ConfigurationError(
                f"Group {name} in {there} is not what the store holds. Run `pipekit apply {self.path}` first, then the wizard."
            )
        return in_store

    def module_file(self, name: str) -> Path:
        """Where a module's file is to be."""
        return self.path / f"{name}.yaml"

    def in_the_way(self, name: str) -> str | None:
        """Why a module of this name cannot simply be written, or None."""
        there, own = self.file_of("modules", name), self.module_file(name)
        if there is not None and there != own:
            return f"{there} defines a module {name} already"
        if own.exists():
            others = [
                record_label(kind, other)
                for (kind, other), parsed in (self._loaded.parsed_records if self._loaded else {}).items()
                if Path(parsed.file) == own and (kind, other) != ("modules", name)
            ]
            if others:
                return f"{own} defines {others[0]}"
            return f"{own} exists"
        return None

    def can_replace(self, name: str) -> bool:
        """Whether a module's file is there and holds nothing but that module."""
        there, own = self.file_of("modules", name), self.module_file(name)
        alone = all(
            (kind, other) == ("modules", name)
            for (kind, other), parsed in (self._loaded.parsed_records if self._loaded else {}).items()
            if Path(parsed.file) == own
        )
        return own.exists() and alone and there in (None, own)

    def texts(self, outcome: Outcome, stored: Definitions) -> dict[Path, str]:
        """The new texts of the files that change. Raises ConfigurationError for a file that cannot be added to."""
        texts: dict[Path, str] = {}

        def current(path: Path) -> str:
            if path not in texts and path.exists():
                return _read(path)
            return texts.get(path, "")

        for name, module in outcome.modules.items():
            texts[self.module_file(name)] = module_yaml(module, outcome.comments.get(name, ()))
        additions: list[tuple[DefinitionKind, Mapping[str, Any], str]] = [
            ("connections", outcome.connections, "connections.yaml"),
            ("groups", outcome.groups, "groups.yaml"),
            ("schedules", outcome.schedules, "groups.yaml"),
        ]
        for kind, records, usual in additions:
            for name, record in records.items():
                there = self.file_of(kind, name)
                if there is None:
                    path = self.path / usual
                    texts[path] = add_record(path, current(path), kind, name, record)
                elif kind == "groups":
                    new = [member for member in record.members if member not in self._members(name, stored)]
                    for member in new:
                        texts[there] = add_member(there, current(there), name, member)
        return {path: text for path, text in texts.items() if not path.exists() or current(path) != _read(path)}

    def _members(self, group: str, stored: Definitions) -> tuple[str, ...]:
        assert self._loaded is not None
        known = self._loaded.definitions.groups.get(group) or stored.groups.get(group)
        return known.members if known else ()


def save(store: Store, folder: Folder, outcome: Outcome, secrets_file: Path) -> tuple[ApplyPlan, list[Path]]:
    """Write files, secrets and records; what was applied, and the files. On any error, everything is as it was.

    Only the records of `outcome` are applied: nothing else in the folder, and nothing is pruned.
    """
    stored = store.definitions.load_checked()[0]
    texts = folder.texts(outcome, stored)
    plan = make_plan(outcome.definitions, stored)
    before = {path: _bytes(path) for path in texts}
    made = _missing_parents(folder.path)
    secrets = Secrets.load(secrets_file)
    old_secrets = {key: secrets.resolve(f"${key}") for key in outcome.secrets if key in secrets.keys()}  # noqa: SIM118
    try:
        for path, text in texts.items():
            write_text(path, text, keep_mode=True)
        if texts:
            _check(folder.path, outcome)
        for key, value in outcome.secrets.items():
            secrets.set(key, value)
        store.definitions.save(plan.changes, by="wizard")
    except BaseException as error:
        for path, content in before.items():
            if content is None:
                path.unlink(missing_ok=True)
            else:
                path.write_bytes(content)
        for key in outcome.secrets:
            if key in old_secrets:
                secrets.set(key, old_secrets[key])
            else:
                secrets.unset(key)
        for path in made:
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
        if isinstance(error, OSError):
            raise ConfigurationError(f"{error.filename}: cannot be written: {error.strerror}.") from None
        raise
    return plan, list(texts)


def _check(path: Path, outcome: Outcome) -> None:
    """Read the folder back: our records must come out as they went in."""
    loaded = read_definitions(path)
    wrong = []
    kinds: tuple[DefinitionKind, ...] = ("connections", "modules", "groups", "schedules")
    for kind in kinds:
        for name, record in outcome.definitions.of_kind(kind).items():
            if loaded.definitions.of_kind(kind).get(name) != record:
                problems = [str(problem) for problem in loaded.errors if problem.record == (kind, name)]
                wrong += problems or [f"{path}: {record_label(kind, name)} does not read back as it was written"]
    if wrong:
        raise DefinitionsError(wrong)


def _missing_parents(path: Path) -> list[Path]:
    """Folders that writing into `path` will make, innermost first."""
    missing = []
    for folder in (path, *path.parents):
        if folder.exists():
            break
        missing.append(folder)
    return missing


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be replaced: {error.strerror}.") from None


def _read(path: Path) -> str:
    """The text with its own line ends."""
    return path.read_bytes().decode("utf-8")
