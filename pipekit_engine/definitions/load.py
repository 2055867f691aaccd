"""Reads definitions from YAML files, and tells all that is wrong with them at once.

    loaded = load_definitions(Path("definitions"))
    loaded.definitions.modules["flights"]

Every problem names file, line, field and fix. A folder is searched with its subfolders; names starting with a dot are
left out. Top-level keys that begin with `x-` are free for YAML anchors.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from pipekit_engine.definitions.check import check
from pipekit_engine.definitions.forms import ParsedRecord, read_record
from pipekit_engine.definitions.yaml_nodes import Problem, Source, line_of
from pipekit_engine.errors import ConfigurationError, DefinitionsError
from pipekit_engine.models import DEFINITION_KINDS, DefinitionKind, Definitions, singular


@dataclass(slots=True)
class Loaded:
    """What files define. `parsed_records` also holds the records that have problems; `definitions` only the good ones."""

    definitions: Definitions
    parsed_records: dict[tuple[DefinitionKind, str], ParsedRecord] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    #: True when a file could not be read at all: what it defines is not known to be missing.
    unreadable: bool = False

    @property
    def errors(self) -> list[Problem]:
        """Problems that forbid applying."""
        return [problem for problem in self.problems if not problem.warning]

    @property
    def warnings(self) -> list[Problem]:
        """Things that are probably not meant."""
        return [problem for problem in self.problems if problem.warning]


def definition_files(path: Path) -> list[Path]:
    """The YAML files that `path` stands for: itself, or all of a folder's, sorted. Raises ConfigurationError."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise ConfigurationError(f"{path}: there is no such file or folder.")
    found = []
    for file in sorted(path.rglob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(path).parts)
        if file.suffix in (".yaml", ".yml") and file.is_file() and not hidden:
            found.append(file)
    if not found:
        raise ConfigurationError(f"{path}: holds no .yaml or .yml file.")
    return found


def read_definitions(path: Path) -> Loaded:
    """Read all files and collect their problems; nothing is raised for a bad file."""
    files = definition_files(path)
    loaded = Loaded(Definitions(), files=files)
    for file in files:
        source = Source(str(file))
        _take(loaded, source, source.documents(file))
    return _whole(loaded)


def read_text(file: str, written: bytes) -> Loaded:
    """As `read_definitions`, from the bytes of one file; `file` is its name in problems."""
    loaded = Loaded(Definitions())
    source = Source(file)
    _take(loaded, source, source.parse(written))
    return _whole(loaded)


def _take(loaded: Loaded, source: Source, documents: list[yaml.MappingNode]) -> None:
    loaded.unreadable |= bool(source.problems)
    for document in documents:
        _read_document(source, document, loaded)
    loaded.problems += source.problems


def _whole(loaded: Loaded) -> Loaded:
    records: dict[DefinitionKind, dict[str, Any]] = {kind: {} for kind in DEFINITION_KINDS}
    for (kind, name), parsed in loaded.parsed_records.items():
        if parsed.record is not None:
            records[kind][name] = parsed.record
    # The records are checked already: building the whole from them must not check them again.
    loaded.definitions = Definitions.model_construct(None, **records)
    return loaded


def load_definitions(
    path: Path, existing: Mapping[DefinitionKind, Collection[str]] | None = None, *, prune: bool = False
) -> Loaded:
    """Read definitions and check them against each other and against the names in `existing` (the store's).

    With `prune`, what only `existing` has is about to go, so nothing may refer to it. Raises DefinitionsError with all
    problems; warnings stay in the result.
    """
    loaded = read_definitions(path)
    if not loaded.unreadable:
        loaded.problems += check(loaded.parsed_records, existing or {}, prune=prune)
    loaded.problems.sort()
    if loaded.errors:
        raise DefinitionsError([str(problem) for problem in loaded.errors])
    return loaded


def _read_document(source: Source, document: yaml.MappingNode, loaded: Loaded) -> None:
    for word, key, value in source.pairs(document, ""):
        if word.startswith("x-"):
            continue
        if word not in DEFINITION_KINDS:
            near = get_close_matches(word, DEFINITION_KINDS, n=1)
            fix = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(DEFINITION_KINDS)}"
            source.problem(line_of(key), word, f"unknown key; {fix}")
            continue
        kind: DefinitionKind = word
        if not isinstance(value, yaml.MappingNode):
            if source.plain(value, (), word, {}) is not None:
                source.problem(line_of(key), word, f"must map the {kind}' names to what they are")
            continue
        for name, name_key, node in source.pairs(value, word, kind):
            source.record = (kind, name)
            parsed = read_record(source, kind, name, name_key, node)
            first = loaded.parsed_records.get((kind, name))
            if first is None:
                loaded.parsed_records[kind, name] = parsed
            else:
                what = f"this {singular(kind)} is already defined in {first.file}:{first.line}"
                source.problem(parsed.line, f"{kind}.{name}", what)
        source.record = None
