"""What is linted: definitions, where each of their parts stands, and what is known about their connections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from pipekit_engine.common.partitions import BOUNDS
from pipekit_engine.databases.dialects import get_dialect
from pipekit_engine.errors import NotFoundError
from pipekit_engine.lint.findings import RULES, Finding, Level
from pipekit_engine.models import DefinitionKind, record_label
from pipekit_engine.sql.comparisons import Use, uses
from pipekit_engine.sql.select_list import SelectList, select_list
from pipekit_engine.sql.syntax import UNKNOWN
from pipekit_engine.sql.text import is_ambiguous

if TYPE_CHECKING:
    from pipekit_engine.databases.dialects import Dialect
    from pipekit_engine.definitions.forms import ParsedRecord
    from pipekit_engine.definitions.yaml_nodes import Loc
    from pipekit_engine.models import Connection, Definitions, Driver, Module
    from pipekit_engine.sql.syntax import SqlSyntax


@dataclass
class Subject:
    """Definitions under lint. `parsed_records` tell where things stand in files; empty for the store.

    `known_connections` and `known_drivers` are those that the definitions may refer to, wherever they are defined.
    """

    definitions: Definitions
    parsed_records: Mapping[tuple[DefinitionKind, str], ParsedRecord] = field(default_factory=dict)
    known_connections: Mapping[str, Connection] = field(default_factory=dict)
    known_drivers: Mapping[str, Driver] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def report(
        self,
        code: str,
        kind: DefinitionKind,
        name: str,
        message: str,
        fix: str = "",
        *,
        loc: Loc = (),
        position: int | None = None,
        level: Level | None = None,
    ) -> None:
        """Note a finding about a record; `loc` is the field's path in it, `position` a place in the field's text."""
        file = line = None
        parsed = self.parsed_records.get((kind, name))
        if parsed is not None:
            place = parsed.place(loc)
            file, line = parsed.file, place.line
            text = parsed.fields.get(str(loc[0])) if len(loc) == 1 else None
            if position is not None and isinstance(text, str):
                line = place.line_of(text, position)
        record = record_label(kind, name)
        where = ".".join(str(part) for part in loc)
        self.findings.append(Finding(code, level or RULES[code].level, record, where, message, fix, file, line))

    def dialect(self, connection: str) -> Dialect | None:
        """Dialect of a connection; None when it or its driver is not known here."""
        found = self.known_connections.get(connection)
        driver = self.known_drivers.get(found.driver) if found else None
        if driver is None:
            return None
        try:
            return get_dialect(driver.kind)
        except NotFoundError:
            return None

    def syntax(self, connection: str) -> SqlSyntax:
        """How SQL is written on a connection."""
        dialect = self.dialect(connection)
        return dialect.capabilities.syntax if dialect else UNKNOWN

    @cached_property
    def modules(self) -> list[ReadModule]:
        """The modules with their queries read."""
        return [ReadModule(self, module) for module in self.definitions.modules.values()]


@dataclass
class ReadModule:
    """A module and what its query says."""

    subject: Subject
    module: Module

    @cached_property
    def source(self) -> Dialect | None:
        """Dialect of the source, if known."""
        return self.subject.dialect(self.module.source)

    @cached_property
    def dest(self) -> Dialect | None:
        """Dialect of the destination, if known."""
        return self.subject.dialect(self.module.dest)

    @property
    def syntax(self) -> SqlSyntax:
        """How the source's SQL is written."""
        return self.subject.syntax(self.module.source)

    @cached_property
    def readable(self) -> bool:
        """False for a query with literals that look like those of another database than the source's."""
        return not is_ambiguous(self.module.query, self.syntax)

    @cached_property
    def select(self) -> SelectList | None:
        """The query's select list, if it could be read."""
        if not self.readable:
            return None
        return select_list(self.module.query, self.syntax)

    @cached_property
    def uses(self) -> list[Use]:
        """Where the query uses its declared watermarks."""
        declared = {watermark.name for watermark in self.module.watermarks}
        return [use for use in self._uses if use.name in declared]

    @cached_property
    def bounds(self) -> list[Use]:
        """Where the query uses the bounds of its partition."""
        return [use for use in self._uses if use.name in BOUNDS] if self.module.partition is not None else []

    @cached_property
    def _uses(self) -> list[Use]:
        return uses(self.module.query, self.syntax) if self.readable else []

    @cached_property
    def given(self) -> list[str] | None:
        """The names that the query gives; None when they are not all known."""
        return self.select.names if self.select is not None and self.select.complete else None

    def report(
        self,
        code: str,
        message: str,
        fix: str = "",
        *,
        loc: Loc = ("query",),
        position: int | None = None,
        level: Level | None = None,
    ) -> None:
        """Note a finding about this module."""
        self.subject.report(code, "modules", self.module.name, message, fix, loc=loc, position=position, level=level)
