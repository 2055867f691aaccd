"""All answers for one module, and the module that they make."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pydantic import ValidationError

from pipekit_engine.common.names import find_name
from pipekit_engine.common.validation import describe
from pipekit_engine.databases.dialects import USUAL_SCHEMAS
from pipekit_engine.databases.dialects.base.watermarks import Lag
from pipekit_engine.errors import ConfigurationError
from pipekit_engine.models import Column as ModuleColumn
from pipekit_engine.models import Hook, Module, Watermark
from pipekit_engine.sql.text import as_subquery, placeholders
from pipekit_engine.wizard.watermark_sql import Window, default_lag, default_value, window

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from pipekit_engine.common.columns import Column
    from pipekit_engine.databases.dialects import Dialect
    from pipekit_engine.databases.introspection import ColumnInfo, TableInfo
    from pipekit_engine.sql.syntax import SqlSyntax
    from pipekit_engine.wizard.proposals import Candidate, Proposal

_LIST_WIDTH = 100
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass
class DraftColumn:
    """A column of the source and what becomes of it. `dest_type` None: mapped from the source's type."""

    info: ColumnInfo
    dest_name: str
    dest_type: str | None = None
    included: bool = True

    @property
    def name(self) -> str:
        """The column's name at the source."""
        return self.info.column.name


@dataclass
class Draft:
    """The answers for one module. Either `table` or `query` is given.

    `there` holds the destination's columns when its table exists already. `zero_times` are columns with MariaDB's zero dates,
    which no other database holds: they are read as NULL. `instants` are columns whose texts compare by the instant alone,
    `unordered` those that no condition on times finds, with what they hold instead. `notes` are things found on the way that
    the person should know.
    """

    name: str
    source: str
    dest: str
    source_dialect: Dialect
    dest_dialect: Dialect
    columns: list[DraftColumn]
    dest_table: str
    table: TableInfo | None = None
    query: str | None = None
    there: Sequence[Column] | None = None
    strategy: str = "full"
    key: tuple[str, ...] = ()
    mark: Candidate | None = None
    reason: str = ""
    cautions: tuple[str, ...] = ()
    lag: Lag = field(default_factory=Lag)
    default: str | None = None
    bounded: bool = False
    hooks: tuple[Hook, ...] = ()
    zero_times: frozenset[str] = frozenset()
    instants: frozenset[str] = frozenset()
    unordered: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        """The table or `a query`, for people."""
        return self.source_dialect.source_name(self.table) if self.table else "a query"

    @property
    def syntax(self) -> SqlSyntax:
        """How the source's SQL is written."""
        return self.source_dialect.capabilities.syntax

    @property
    def infos(self) -> list[ColumnInfo]:
        """What is known of the source's columns."""
        return [column.info for column in self.columns]

    @property
    def ordered(self) -> list[ColumnInfo]:
        """The columns that may be a watermark by what they hold."""
        return [info for info in self.infos if info.column.name not in self.unordered]

    def take(
        self, proposal: Proposal, *, lag: Lag | None = None, default: str | None = None, least: str | None = None
    ) -> None:
        """Take over a proposal; `least` is the smallest value of a numeric watermark now."""
        self.strategy, self.key, self.mark = proposal.strategy, proposal.key, proposal.watermark
        self.reason, self.cautions = proposal.reason, proposal.cautions
        if self.mark is None:
            self.lag, self.default, self.bounded = Lag(), None, False
            return
        self.lag = default_lag(self.mark, self.strategy) if lag is None else lag
        if lag is None and not self.dest_dialect.takes_lag and self.mark.kind != "number":
            self.lag = Lag()
        self.default = default_value(self.mark, least) if default is None else default

    def dest_name(self, source_name: str) -> str:
        """What a source column is called in the destination."""
        return next(column.dest_name for column in self.columns if column.name == source_name)

    def module(self) -> Module:
        """The module. Raises ConfigurationError naming the answer that does not fit."""
        self._check_columns()
        query, watermarks = self._query()
        renamed = any(
            column.included and (column.dest_type or column.dest_name != self._usual_name(column.name))
            for column in self.columns
        )
        columns = [
            ModuleColumn(source_name=column.name, dest_name=column.dest_name, dest_type=column.dest_type)
            for column in self.columns
            if column.included and (renamed or (self.query and self._leaves_out()))
        ]
        try:
            return Module(
                name=self.name,
                source=self.source,
                dest=self.dest,
                query=query,
                dest_table=self.dest_table,
                strategy=self.strategy,
                merge_key=tuple(self.dest_name(name) for name in self.key),
                columns=tuple(columns),
                watermarks=watermarks,
                hooks=self.hooks,
            )
        except ValidationError as error:
            raise refused(f"module {self.name}", error) from None

    def _leaves_out(self) -> bool:
        return not all(column.included for column in self.columns)

    def _usual_name(self, name: str) -> str:
        return usual_name(name, self.source_dialect, self.dest_dialect, self.there)

    def _check_columns(self) -> None:
        moved = [column.name for column in self.columns if column.included]
        if not moved:
            raise ConfigurationError(f"{self.name}: no column is left to move.")
        roles = [("the key", name) for name in self.key]
        if self.mark is not None:
            roles.append(("the watermark", self.mark.column))
        for role, name in roles:
            if name not in moved:
                raise ConfigurationError(
                    f"{self.name}: {name} is {role}, so it has to be among the columns that are moved."
                )

    def _query(self) -> tuple[str, tuple[Watermark, ...]]:
        source = self.source_dialect
        if self.query is not None:
            return self._given_query()
        assert self.table is not None
        names = [self._selected(column.name) for column in self.columns if column.included]
        from_table = source.source_name(self.table)
        query = f"SELECT {_wrapped(names)}\nFROM {from_table}"
        if self.mark is None:
            return query, ()
        found = self._window(source.identifier(self.mark.column), from_table)
        return f"{query}\nWHERE {found.condition}", self._watermarks("since", found)

    def _selected(self, name: str) -> str:
        """A column in the select list. One of the key stays as it is: a NULL there would be refused as well."""
        identifier = self.source_dialect.identifier(name)
        return f"NULLIF({identifier}, 0) AS {identifier}" if name in self.zero_times - {*self.key} else identifier

    def _given_query(self) -> tuple[str, tuple[Watermark, ...]]:
        """The person's query; a watermark's condition goes around it unless it has a placeholder of its own."""
        assert self.query is not None
        query = as_subquery(self.query, self.syntax)
        own = placeholders(query, self.syntax)
        if self.mark is None:
            if own:
                raise ConfigurationError(
                    f"{self.name}: the query holds {{{own[0]}}}: name the column whose greatest value fills it with --watermark."
                )
            return query, ()
        if len(own) > 1:
            raise ConfigurationError(
                f"{self.name}: the query holds {', '.join(f'{{{name}}}' for name in own)}; the wizard fills one placeholder. "
                "Write the module's YAML by hand."
            )
        if own and self.bounded:
            raise ConfigurationError(
                f"{self.name}: the query has its own {{{own[0]}}}, so no window can be put around it: leave out --window, or the "
                "placeholder."
            )
        column = self.source_dialect.identifier(self.mark.column)
        found = self._window(column if own else f"q.{column}", None)
        if own:
            return query, self._watermarks(own[0], found)
        return f"SELECT *\nFROM (\n{query}\n) q\nWHERE {found.condition}", self._watermarks("since", found)

    def _window(self, column: str, table: str | None) -> Window:
        assert self.mark is not None
        described = next(info.column for info in self.infos if info.column.name == self.mark.column)
        dest_name = self.dest_name(self.mark.column)
        there = {column.name: column.family for column in self.there or ()}
        # A key cannot be NULL: such rows would end the run.
        mark = replace(self.mark, nullable=False) if self.mark.column in self.key else self.mark
        return window(
            mark,
            strategy=self.strategy,
            source=self.source_dialect,
            source_column=column,
            described=described,
            dest=self.dest_dialect,
            dest_table=self.dest_table,
            dest_column=self.dest_dialect.identifier(dest_name),
            dest_family=there.get(dest_name, described.family),
            lag=self.lag,
            source_table=table,
            bounded=self.bounded,
            zeros=self.mark.column in self.zero_times,
            instants=self.mark.column in self.instants,
        )

    def _watermarks(self, name: str, found: Window) -> tuple[Watermark, ...]:
        since = Watermark(name=name, connection=self.dest, resolver_sql=found.since, default=self.default)
        if found.until is None:
            return (since,)
        return since, Watermark(name="until", connection=self.source, resolver_sql=found.until)

    def comments(self) -> list[str]:
        """What the module does, for the head of its file."""
        lines = [
            f"{self.title} of {self.source}, kept in step in {self.dest}. Proposed by `pipekit wizard`; yours to edit."
        ]
        lines.append(f"{self.strategy}: {self.reason}.")
        if self.mark is not None and self.lag.amount:
            what = f"{self.lag.words}{' numbers' if self.lag.unit is None else ''}"
            lines.append(f"The last {what} are read again each time, for rows that were committed late.")
        lines += [f"Note: {caution}." for caution in (*self.cautions, *self.notes)]
        return lines


def refused(what: str, error: ValidationError) -> ConfigurationError:
    """What a record's checks found, as an error for a person."""
    return ConfigurationError(f"{what}: {describe(error)}")


def usual_name(name: str, source: Dialect, dest: Dialect, there: Sequence[Column] | None) -> str:
    """What a run would call a source column in the destination by itself: as an existing column, or in the usual case."""
    return find_name(name, [column.name for column in there or ()]) or dest.column_name_from(source, name)


def module_name(table: TableInfo | None, taken: Collection[str]) -> str:
    """A free name for a module: the table's, then with its schema, then with a number."""
    base = _name(table.name if table else "query")
    options = [base]
    if table is not None and table.schema:
        options.append(_name(f"{table.schema}_{table.name}"))
    number = 2
    while options[0] in taken:
        options.pop(0)
        if not options:
            options.append(f"{base}_{number}")
            number += 1
    return options[0]


def _name(text: str) -> str:
    return _NOT_IN_NAMES.sub("_", text.lower()).lstrip("_.-")[:100] or "table"


def dest_table_name(table: TableInfo, source: Dialect, dest: Dialect, schema: str | None = None) -> str:
    """Where a table goes: the same name in the destination's case, in `schema`, or in a schema of the source's name.

    The latter only where schemas are free to make, and not for the source's default schema.
    """
    if schema is None and dest.free_schemas and table.schema and table.schema.lower() not in USUAL_SCHEMAS:
        schema = dest.column_name_from(source, table.schema)
        if schema.lower() in USUAL_SCHEMAS:
            schema = None
    return dest.dest_name(table.name, schema=schema, source=source)


def _wrapped(names: Iterable[str]) -> str:
    """Names with commas between, in lines of a readable length; a quoted name is never broken."""
    lines = [""]
    for name in names:
        if lines[-1] and len(lines[-1]) + len(name) > _LIST_WIDTH:
            lines.append("")
        lines[-1] += f"{name}, "
    return "\n  ".join(line.rstrip() for line in lines).removesuffix(",")
