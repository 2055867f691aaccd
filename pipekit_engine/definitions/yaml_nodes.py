"""YAML text -> plain values, each with the place it stands at.

Scalars stay the text that was typed: `default: 2013-01-01` is no date, a column called `no` is no boolean. The records'
own types decide what a text means, so nothing depends on what YAML would guess.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.reader import ReaderError

from pipekit_engine.common.yaml_limits import TooMuchYaml, check_size
from pipekit_engine.models import DefinitionKind

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL = "tag:yaml.org,2002:null"
_MERGE = "tag:yaml.org,2002:merge"
_PLAIN_TAGS = ("tag:yaml.org,2002:",)
#: Deeper than any definition: stops an alias that contains itself.
_MAX_DEPTH = 12

#: The way from a record to a value inside it, as pydantic's errors give it: field names and indices.
Loc = tuple[str | int, ...]
#: Kind and name of a record.
RecordKey = tuple[DefinitionKind, str]


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Something to mend in a definition: where it stands, which field, what is wrong and how to mend it.

    `record` is the record that it concerns, `missing` the kind of another one that it refers to and that is not there.
    """

    file: str
    line: int
    where: str
    what: str
    warning: bool = False
    record: RecordKey | None = field(default=None, compare=False)
    missing: DefinitionKind | None = field(default=None, compare=False)

    @property
    def field_path(self) -> str:
        """The path of the field inside its record, such as `watermarks.since`; empty for the record itself."""
        return self.where if self.record is None else self.where.removeprefix(".".join(self.record)).removeprefix(".")

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.where}: {self.what}" if self.where else f"{place}: {self.what}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands: its path for people (`modules.flights.query`), its line, and whether its text is a block."""

    where: str
    line: int
    block: bool = False

    def line_of(self, text: str, position: int) -> int:
        """The file's line of a position inside the value's text; the value's first line when that cannot be told."""
        return self.line + 1 + text.count("\n", 0, position) if self.block else self.line


@dataclass(slots=True)
class Source:
    """One YAML file while it is read; `record` is the record that is being read."""

    file: str
    record: RecordKey | None = None
    problems: list[Problem] = field(default_factory=list)

    def problem(self, line: int, where: str, what: str, record: RecordKey | None = None) -> None:
        """Note a problem; reading goes on, so that all of them are told at once."""
        self.problems.append(Problem(self.file, line, where, what, record=record or self.record))

    def documents(self, path: Path) -> list[yaml.MappingNode]:
        """The file's documents. A file that cannot be read, or is no YAML, is one problem and no documents."""
        try:
            written = path.read_bytes()
        except OSError as error:
            self.problem(0, "", f"cannot be read: {error.strerror}")
            return []
        return self.parse(written)

    def parse(self, written: bytes) -> list[yaml.MappingNode]:
        """The documents of a file's bytes."""
        try:
            text = written.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = written.count(b"\n", 0, error.start) + 1
            self.problem(line, "", f"is not UTF-8 text (byte {written[error.start]:#04x}): save the file as UTF-8")
            return []
        found = []
        try:
            check_size(text)
            for node in yaml.compose_all(text, Loader=_LOADER):
                if isinstance(node, yaml.MappingNode):
                    found.append(node)
                elif node.tag != _NULL:
                    self.problem(_line(node), "", "must hold `modules:`, `connections:` or the like at its top level")
        except TooMuchYaml as error:
            self.problem(error.line, "", str(error))
        except yaml.YAMLError as error:
            self.problem(*_syntax(error))
        return found

    def pairs(
        self, node: yaml.MappingNode, where: str, kind: DefinitionKind | None = None
    ) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
        """Key text, key node and value node of a mapping; `<<: *anchor` is merged, a key given twice is a problem.

        With `kind`, the keys are the names of records.
        """
        merged: list[tuple[yaml.Node, yaml.Node]] = []
        own: list[tuple[yaml.Node, yaml.Node]] = []
        for key, value in node.value:
            if key.tag == _MERGE:
                parts = value.value if isinstance(value, yaml.SequenceNode) else [value]
                for part in parts:
                    if isinstance(part, yaml.MappingNode):
                        # The first of several anchors wins, as YAML says.
                        merged = [*part.value, *merged]
                    else:
                        self.problem(_line(key), where, "`<<` must name a mapping, such as `<<: *anchor`")
            else:
                own.append((key, value))
        lines: dict[str, int] = {}
        for key, _ in own:
            if not isinstance(key, yaml.ScalarNode):
                self.problem(_line(key), where, "has a key that is not text (quote a value that begins with { or [)")
            elif key.value in lines:
                what = f"is given twice, first in line {lines[key.value]}"
                self.problem(_line(key), _join(where, key.value), what, (kind, key.value) if kind else None)
            else:
                lines[key.value] = _line(key)
        result = {key.value: (key, value) for key, value in merged if isinstance(key, yaml.ScalarNode)}
        for key, value in own:
            if isinstance(key, yaml.ScalarNode):
                result.pop(key.value, None)
                result[key.value] = (key, value)
        for name, (key, value) in result.items():
            yield name, key, value

    def plain(self, node: yaml.Node, loc: Loc, where: str, places: dict[Loc, Place]) -> Any:
        """The node as text, None, list or dict; `places` learns where each part stands."""
        block = isinstance(node, yaml.ScalarNode) and node.style == "|"
        places[loc] = Place(where, _line(node), block)
        if len(loc) > _MAX_DEPTH:
            self.problem(_line(node), where, "is nested too deeply")
            return None
        if not node.tag.startswith(_PLAIN_TAGS):
            self.problem(_line(node), where, "has a YAML tag (!...), which means nothing here; quote the text")
            return None
        if isinstance(node, yaml.ScalarNode):
            return None if node.tag == _NULL else node.value
        if isinstance(node, yaml.SequenceNode):
            return [self.plain(item, (*loc, i), f"{where}[{i}]", places) for i, item in enumerate(node.value)]
        assert isinstance(node, yaml.MappingNode)
        return {
            key: self.plain(value, (*loc, key), _join(where, key), places) for key, _, value in self.pairs(node, where)
        }


def is_merge(key: yaml.Node) -> bool:
    """Whether a key is `<<`."""
    return bool(key.tag == _MERGE)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def line_of(node: yaml.Node) -> int:
    """The line, counted from 1, at which a node begins."""
    return _line(node)


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _syntax(error: yaml.YAMLError) -> tuple[int, str, str]:
    """Line, path and text of a syntax problem. The line's text is not shown: it may hold a password."""
    mark = what = None
    if isinstance(error, yaml.MarkedYAMLError):
        mark, what = error.problem_mark or error.context_mark, error.problem
    elif isinstance(error, ReaderError):
        what = error.reason
    what = what or "cannot be understood"
    if any(word in what for word in ("alias", "anchor", "tag")):
        what = re.sub(r"\s*'[^']*'", "", what) + " (quote a value that begins with *, & or !)"
    elif "cannot start any token" in what:
        what += " (a tab? indent with blanks; quote a value that begins with @, ` or %)"
    elif "mapping values are not allowed" in what or "expected" in what:
        what += " (is the indentation right? quote a value that holds `: ` or begins with {, [ or %)"
    return (mark.line + 1 if mark else 0), "", f"is not YAML: {what}"
