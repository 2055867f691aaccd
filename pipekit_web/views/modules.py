"""The list of modules, and one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, get_args

from markupsafe import Markup

from pipekit_engine.definitions.export import to_yaml
from pipekit_engine.models import Check, Definitions, Module, RunRecord
from pipekit_engine.operations.lineage import ModuleLineage, module_lineage
from pipekit_web import charts
from pipekit_web.asking import LONG_S, asking
from pipekit_web.views.paging import page_of
from pipekit_web.views.partitions import SHOWN, PartitionsPage, partitions_page

if TYPE_CHECKING:
    from pipekit_engine.engine import Engine
    from pipekit_engine.records.checks import CheckResult
    from pipekit_engine.store import BrokenRecord, Lease, Store

State = Literal["running", "failed", "cancelled", "ok", "never", "disabled"]
STATES: tuple[State, ...] = get_args(State)
PER_PAGE = 100


@dataclass(frozen=True)
class ModuleRow:
    """One line of the list. `fresh_at` is the end of the newest success among the runs that are looked at."""

    module: Module
    groups: tuple[str, ...]
    state: State
    last: RunRecord | None
    fresh_at: datetime | None = None
    spark: Markup | None = None


@dataclass(frozen=True)
class Filters:
    """Which modules are listed; empty texts mean all."""

    text: str = ""
    group: str = ""
    connection: str = ""
    state: str = ""
    page: int = 1


@dataclass(frozen=True)
class ModuleList:
    """A page of modules, and what they may be filtered by."""

    rows: list[ModuleRow]
    found: int
    pages: int
    filters: Filters
    groups: list[str]
    connections: list[str]
    states: tuple[State, ...]
    broken: list[BrokenRecord]


@dataclass(frozen=True)
class ModulePage:
    """All of one module."""

    row: ModuleRow
    yaml: str
    runs: list[RunRecord]
    history: Markup
    newest: RunRecord | None
    lease: Lease | None
    #: Its checks, each with what it found last; None for one that was not asked yet.
    checks: list[tuple[Check, CheckResult | None]]
    #: The newest partitions; None for a module without any.
    partitions: PartitionsPage | None
    lineage: ModuleLineage


def groups_of(definitions: Definitions) -> dict[str, tuple[str, ...]]:
    """The groups that each module is in."""
    found: dict[str, list[str]] = {}
    for group in definitions.groups.values():
        for member in group.members:
            found.setdefault(member, []).append(group.name)
    return {name: tuple(groups) for name, groups in found.items()}


def state_of(module: Module, last: RunRecord | None) -> State:
    """How a module stands, by its newest real run."""
    if last is not None and last.status == "running":
        return "running"
    if not module.enabled:
        return "disabled"
    if last is None:
        return "never"
    return "failed" if last.status == "error" else "cancelled" if last.status == "cancelled" else "ok"


def module_rows(definitions: Definitions, last: Mapping[str, Sequence[RunRecord]]) -> list[ModuleRow]:
    """A row for each module, by name, without its spark line."""
    groups, rows = groups_of(definitions), []
    for name in sorted(definitions.modules):
        module, newest = definitions.modules[name], next(iter(last.get(name, ())), None)
        rows.append(ModuleRow(module, groups.get(name, ()), state_of(module, newest), newest))
    return rows


def module_list(store: Store, filters: Filters) -> ModuleList:
    """The modules that fit the filters, a page of them with their history."""
    definitions, broken = store.definitions.load_checked()
    fitting = [row for row in module_rows(definitions, store.runs.newest_of_each(1)) if _fits(row, filters)]
    shown, page, pages = page_of(fitting, filters.page, PER_PAGE)
    runs = store.runs.newest_of_each(charts.SPARK_RUNS, [row.module.name for row in shown])
    return ModuleList(
        [_with_history(row, runs.get(row.module.name, [])) for row in shown],
        len(fitting),
        pages,
        Filters(filters.text, filters.group, filters.connection, filters.state, page),
        sorted(definitions.groups),
        sorted(definitions.connections),
        STATES,
        [item for item in broken if item.kind == "modules"],
    )


def _fits(row: ModuleRow, filters: Filters) -> bool:
    module = row.module
    words = f"{module.name} {module.dest_table}".casefold()
    return (
        filters.text.casefold() in words
        and filters.group in ("", *row.groups)
        and filters.connection in ("", module.source, module.dest)
        and filters.state in ("", row.state)
    )


def _with_history(row: ModuleRow, runs: Sequence[RunRecord]) -> ModuleRow:
    fresh = next((run.finished_at for run in runs if run.status == "success"), None)
    return ModuleRow(row.module, row.groups, row.state, row.last, fresh, charts.sparkline(runs))


def module_page(store: Store, name: str) -> ModulePage:
    """One module. Raises NotFoundError, ConfigurationError for a broken row."""
    module = store.definitions.module(name)
    definitions = store.definitions.load_checked()[0]
    runs = store.runs.newest_of_each(charts.HISTORY_RUNS, [name]).get(name, [])
    newest = store.runs.list(module=name, limit=1)
    found = {result.name: result for result in store.checks.last(name).get(name, [])}
    row = ModuleRow(
        module,
        groups_of(definitions).get(name, ()),
        state_of(module, runs[0] if runs else None),
        next(iter(runs), None),
    )
    return ModulePage(
        _with_history(row, runs),
        to_yaml(Definitions.model_construct(None, modules={name: module}), ["modules"]),
        store.runs.list(module=name, limit=20),
        charts.history(runs) if runs else Markup(),
        store.runs.get(newest[0].id) if newest else None,
        store.leases.find("module", name),
        [(check, found.get(check.name)) for check in module.checks],
        partitions_page(store, module, per_page=SHOWN) if module.partition else None,
        module_lineage(module, definitions),
    )


def check_now(engine: Engine, name: str) -> list[CheckResult]:
    """Ask a module's checks of its destination; the results are in the store. Raises PipekitError after two minutes."""
    with asking(engine, LONG_S) as workspace:
        return engine.check(name, sessions=workspace.sessions)
