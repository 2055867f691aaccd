"""A module's `checks` as queries. Those of staged rows, and those of the destination; each is asked of one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pipekit_engine.common.names import find_name
from pipekit_engine.errors import ConfigurationError, NotFoundError
from pipekit_engine.models import ASKED_ALONE, CHECK_PLACEHOLDERS
from pipekit_engine.sql.text import as_subquery, materialize
from pipekit_engine.strategies import STRATEGIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipekit_engine.databases.dialects import Dialect
    from pipekit_engine.models import Check, Module

#: How a check's answer is read: its rows are wrong; its number is that of the wrong rows; its number must be that of the rows
#: moved, or no smaller; it is compared with earlier runs, with the clock, or with the source.
How = Literal["rows", "count", "exactly", "at_least", "history", "age", "diff"]


@dataclass(frozen=True)
class PlannedCheck:
    """A check, ready to be asked. `sql` is None where the store alone answers."""

    check: Check
    on: Literal["staging", "destination"]
    how: How
    sql: str | None = None
    #: Destination columns, of a check that is about some.
    columns: tuple[str, ...] = ()


def plan_module_checks(
    module: Module,
    dest: Dialect,
    *,
    table: str,
    columns: Sequence[str],
    key: Sequence[str],
    staging: str | None = None,
) -> tuple[PlannedCheck, ...]:
    """The checks of a run, or of a module alone, in their order.

    `table` is the destination (SQL text), with these `columns` and this `key`. Without `staging` no run is under way: checks of
    staged rows are then asked of the destination, into which the rows went. Raises ConfigurationError for an unknown column.
    """
    planned = []
    for check in module.checks:
        if check.builtin and check.name in ASKED_ALONE and staging is not None:
            continue
        on = check.on if staging is not None else "destination"
        asked = staging if on == "staging" and staging is not None else table
        planned.append(_plan(check, module, dest, on, asked, table, columns, key, staging))
    return tuple(planned)


def _plan(
    check: Check,
    module: Module,
    dest: Dialect,
    on: Literal["staging", "destination"],
    asked: str,
    table: str,
    columns: Sequence[str],
    key: Sequence[str],
    staging: str | None,
) -> PlannedCheck:
    if check.sql is not None:
        syntax = dest.capabilities.syntax
        sql = materialize(
            as_subquery(check.sql, syntax), dict(zip(CHECK_PLACEHOLDERS, (asked, table), strict=True)), syntax
        )
        return PlannedCheck(check, on, "rows", sql)
    quoted = [dest.quote_identifier(name) for name in key]
    if check.name == "unique_key":
        names = ", ".join(quoted)
        sql = f"SELECT COUNT(*) FROM (SELECT {names} FROM {asked} GROUP BY {names} HAVING COUNT(*) > 1) k"
        return PlannedCheck(check, on, "count", sql, tuple(key))
    if check.name == "not_null":
        names_checked = tuple(_column(module, name, columns) for name in check.columns) or tuple(key)
        nulls = " OR ".join(f"{dest.quote_identifier(name)} IS NULL" for name in names_checked)
        return PlannedCheck(check, on, "count", f"SELECT COUNT(*) FROM {asked} WHERE {nulls}", names_checked)
    if check.name == "rows":
        if staging is not None and key and not STRATEGIES[module.strategy].replaces_table:
            missing = dest.in_table("s", table, key, negated=True)
            sql = f"SELECT COUNT(*) FROM (SELECT DISTINCT {', '.join(quoted)} FROM {staging}) s WHERE {missing}"
            return PlannedCheck(check, on, "count", sql, tuple(key))
        how: How = "exactly" if STRATEGIES[module.strategy].replaces_table else "at_least"
        return PlannedCheck(check, on, how, f"SELECT COUNT(*) FROM {table}")
    if check.name == "volume":
        return PlannedCheck(check, on, "history")
    return PlannedCheck(check, on, "diff" if check.name == "diff" else "age")


def key_columns(module: Module, columns: Sequence[str]) -> tuple[str, ...]:
    """The merge_key in the names of the destination's `columns`. Raises ConfigurationError."""
    return tuple(_column(module, name, columns) for name in module.merge_key)


def _column(module: Module, name: str, columns: Sequence[str]) -> str:
    there = find_name(name, columns)
    if there is None:
        given = find_name(name, [item.source_name for item in module.columns])
        renamed = next((item.dest_name for item in module.columns if item.source_name == given), "")
        there = find_name(renamed, columns)
    if there is None:
        raise ConfigurationError(f"module {module.name}: checks: {NotFoundError('column', name, columns)}")
    return there
