"""The plan of a module run as records: every statement that will be executed, and what each must count.

A dry run prints the very object that a real run executes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipekit_engine.databases.fence import Fence
    from pipekit_engine.models import Module, ResolvedWatermark, RunOn
    from pipekit_engine.planning.columns import PlannedColumn
    from pipekit_engine.planning.indexes import MissingIndex
    from pipekit_engine.planning.keys import CoarseKey, FixedKey
    from pipekit_engine.planning.module_checks import PlannedCheck
    from pipekit_engine.planning.partitions import PartitionRows
    from pipekit_engine.planning.ranges import RangedStaging
    from pipekit_engine.planning.split import PlannedSplit
    from pipekit_engine.strategies import MergeStatement
    from pipekit_engine.strategies.difference import Difference


@dataclass(frozen=True)
class PlannedHook:
    """A hook's statements, and the connection on which they run."""

    run_on: RunOn
    connection: str
    statements: tuple[str, ...]


@dataclass(frozen=True)
class Staging:
    """The staging table: its name, what makes it, what follows once it is filled, and what takes it away.

    `schema` has to be made first where it is missing; None puts staging beside the destination. `file` is SQLite's file for
    staging, which a run removes. `leftovers` drop what a killed run may have left, where `setup` cannot say IF EXISTS;
    each fails when there is nothing. `as_read` are key columns once more, in a type that keeps what was read. `attach` is
    what of `setup` opens the file.
    """

    table: str
    schema: str | None
    file: str | None
    leftovers: tuple[str, ...]
    setup: tuple[str, ...]
    filled: tuple[str, ...]
    cleanup: tuple[str, ...]
    as_read: tuple[PlannedColumn, ...] = ()
    attach: tuple[str, ...] = ()


@dataclass(frozen=True)
class DirectLoad:
    """A load without staging: statements before and behind the source's rows, all in one transaction. `why` it is right."""

    why: str
    before: tuple[MergeStatement, ...]
    after: tuple[MergeStatement, ...]

    @property
    def script(self) -> list[str]:
        """The statements, with a comment where the rows come."""
        return [*_texts(self.before), "-- here come the rows of the source query", *_texts(self.after)]


@dataclass(frozen=True)
class Checks:
    """Queries on the staging table, before the merge. Each gives one number, but for the sample."""

    count: str
    null_keys: str | None = None
    distinct_keys: str | None = None
    duplicate_sample: str | None = None
    #: Where a statement must count them: staged keys that the destination has already.
    matched: str | None = None
    #: Where the destination may take for equal what the source tells apart: staged keys that it takes for one, and keys of the
    #: destination that it takes for staged ones. Samples, empty when all is well; `coarse` are the columns.
    folded: str | None = None
    blurred: str | None = None
    coarse: tuple[CoarseKey, ...] = ()
    #: Where the key has CHAR columns, `fixed`: texts that end in blanks, which those would take off. A sample, empty when all is
    #: well.
    cut: str | None = None
    fixed: tuple[FixedKey, ...] = ()
    #: Where numbers of the key are texts there: keys of the destination that equal staged ones as numbers alone. A sample, and
    #: what mends the table.
    rewritten: str | None = None
    rewrite: str | None = None
    #: Of a partition: staged rows that it does not have, and those of them that are in none.
    partition: PartitionRows | None = None
    #: With max_shrink_percent: rows in the destination now, or in its partition.
    dest_count: str | None = None


@dataclass(frozen=True)
class RunPlan:
    """All that a run will do. `merge` runs in one transaction; `prepare` holds DDL that cannot be rolled back there."""

    module: Module
    source_sql: str
    watermarks: Mapping[str, ResolvedWatermark]
    columns: tuple[PlannedColumn, ...]
    key: tuple[str, ...]
    dest_table: str
    creates_destination: bool
    staging: Staging
    fence: Fence
    checks: Checks
    prepare: tuple[str, ...]
    #: Comments on what `prepare` made; one that fails is told, and costs nothing else.
    comments: tuple[str, ...]
    undo_prepare: tuple[str, ...]
    #: Every row is written.
    merge: tuple[MergeStatement, ...]
    #: Only rows that differ are written; None where that cannot be had. `comparison` says by what, or why not.
    difference: Difference | None
    comparison: str
    hooks: tuple[PlannedHook, ...]
    #: With `staging: auto`: the load without staging, which then replaces staging, checks and merge; or why there is none.
    direct: DirectLoad | None = field(default=None, kw_only=True)
    why_staged: str = field(default="", kw_only=True)
    #: With `resume_every`: how the source is read in ranges, each of which stays staged.
    ranges: RangedStaging | None = field(default=None, kw_only=True)
    #: How the source is read over several connections; None: over one.
    split: PlannedSplit | None = field(default=None, kw_only=True)
    #: The module's own `checks`.
    module_checks: tuple[PlannedCheck, ...] = field(default=(), kw_only=True)
    #: What an existing destination has no index for.
    missing_indexes: tuple[MissingIndex, ...] = field(default=(), kw_only=True)
    #: Triggers of the destination that may change a row which is written.
    triggers: tuple[str, ...] = field(default=(), kw_only=True)
    #: Columns of an existing destination that are NOT NULL; of a new one, those of the key.
    not_null: tuple[str, ...] = field(default=(), kw_only=True)
    #: What the destination wants after a select list of constants; None where that is not known.
    one_row_from: str | None = field(default="", kw_only=True)
    warnings: tuple[str, ...] = field(default=())

    @property
    def usual_merge(self) -> tuple[MergeStatement, ...]:
        """The statements that are run unless the staged rows tell otherwise."""
        return self.difference.unique if self.difference is not None else self.merge

    def merge_sql(self, statements: Sequence[MergeStatement]) -> str:
        """The merge by these statements as a script, for run_log and people."""
        return ";\n".join((*self.prepare, *self.comments, *(statement.sql for statement in statements)))

    @property
    def recorded_merge(self) -> str:
        """What run_log holds of the merge before its rows have been seen."""
        return ";\n".join(self.direct.script) if self.direct is not None else self.merge_sql(self.usual_merge)

    def render(self) -> str:
        """The whole plan as a readable script."""
        module = self.module
        lines = [
            f"-- pipekit plan of module {module.name}: {module.source} -> {module.dest}, strategy {module.strategy}"
        ]
        if self.checks.partition is not None:
            lines.append(f"-- partition {self.checks.partition.item.key} by {self.checks.partition.column}")
        lines += [f"-- {{{name}}} = {mark.value!r} ({mark.origin})" for name, mark in self.watermarks.items()]
        lines += [f"-- warning: {warning}" for warning in self.warnings]
        lines += _section(f"source query, on {module.source}", [self.source_sql])
        if self.split is not None:
            title = f"read over {self.split.lanes} connections in {self.split.by}, on {module.source}"
            lines += _section(title, self.split.script)
        if self.direct is not None:
            title = f"load and merge, on {module.dest}, in one transaction, without staging: {self.direct.why}"
            lines += _section(title, self.direct.script)
        else:
            lines += self._staged()
        lines += self._checks("destination", f"after the merge, on {module.dest}")
        for hook in self.hooks:
            lines += _section(f"hook on {hook.run_on}, on {hook.connection}", hook.statements)
        if self.direct is None:
            lines += _section(f"clean up, on {module.dest}", self.staging.cleanup)
        return "\n".join(lines) + "\n"

    def _staged(self) -> list[str]:
        module = self.module
        why = f" ({self.why_staged})" if self.why_staged else ""
        lines = []
        if self.ranges is not None:
            title = f"ranges of {self.ranges.rows:,} rows, on {module.source}, each of which stays in staging"
            lines += _section(title, [self.ranges.bound_sql("..."), self.ranges.rows_sql("...", "...")])
        lines += _section(f"staging, on {module.dest}{why}", (*self.staging.setup, *self.staging.filled))
        lines += self._checks("staging", f"before the merge, on {module.dest}")
        if self.prepare:
            lines += _section(
                f"destination, on {module.dest} (this database commits DDL at once)", (*self.prepare, *self.comments)
            )
        title = f"merge, on {module.dest}, in one transaction"
        if self.difference is None:
            lines += _section(f"{title}; all rows are written: {self.comparison}", _texts(self.merge))
        else:
            lines += _section(
                f"{title}; only rows that differ are written: {self.comparison}", _texts(self.difference.unique)
            )
            if self.difference.repeated is not None:
                lines += _section("the same, where staged rows share a key", _texts(self.difference.repeated))
            lines += _section(self.difference.otherwise, _texts(self.merge))
        return lines

    def _checks(self, on: str, where: str) -> list[str]:
        lines: list[str] = []
        for planned in self.module_checks:
            if planned.on == on:
                title = f"check {planned.check.name} ({planned.check.severity}), {where}"
                lines += _section(title, [planned.sql] if planned.sql is not None else [])
        return lines


def _texts(statements: Sequence[MergeStatement]) -> list[str]:
    return [statement.sql for statement in statements]


def _section(title: str, statements: Sequence[str]) -> list[str]:
    return ["", f"-- {title}", *(text if text.startswith("--") else f"{text};" for text in statements)]
