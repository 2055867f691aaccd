"""Destination tables as assets that can be materialized, and the tables that queries read as external ones.

One table is one asset, however many modules fill it: to materialize it is to run them, one after another. The ops of a group's
job report materializations of the same assets, which links each asset to the runs that filled it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property, reduce
from operator import or_
from typing import TYPE_CHECKING, Any

import dagster as dg

from pipekit_dagster.asset_checks import CheckNames, check_names, check_specs
from pipekit_dagster.naming import dagster_name, distinct_names
from pipekit_dagster.ops import build_asset_op
from pipekit_dagster.outcome import page_metadata
from pipekit_dagster.partitions import partitions_definition, table_partition
from pipekit_dagster.tags import ORIGIN_TAG, TRIGGERED_BY_TAG
from pipekit_dagster.translator import DagsterPipekitTranslator, connection_kind
from pipekit_engine.models import EAGER

if TYPE_CHECKING:
    from pipekit_engine.models import Definitions, Module

#: Tag of the asset of a table that no enabled module fills.
DISABLED_TAG = "pipekit/disabled"
#: Seconds between two looks of Dagster whether the conditions of `automation` are met.
_AUTOMATION_EVERY_S = 30


@dataclass
class Table:
    """A destination table: the modules that fill it, by name, and the tables that they read."""

    key: dg.AssetKey
    modules: list[Module] = field(default_factory=list)
    deps: set[dg.AssetKey] = field(default_factory=set)
    #: What the table reads and no module fills, with the connection over which it is read.
    sources: dict[dg.AssetKey, str] = field(default_factory=dict)

    @cached_property
    def check_names(self) -> CheckNames:
        """Dagster's names of the checks of all its modules."""
        return check_names(self.modules)

    @property
    def enabled(self) -> list[Module]:
        """The modules that run when the table is materialized; a table without one cannot be."""
        return [module for module in self.modules if module.enabled]


def read_tables(definitions: Definitions, translator: DagsterPipekitTranslator) -> dict[dg.AssetKey, Table]:
    """The destination tables of all modules, by asset key."""
    tables: dict[dg.AssetKey, Table] = {}
    for module in sorted(definitions.modules.values(), key=lambda item: item.name):
        key = translator.dest_key(module, definitions)
        table = tables.setdefault(key, Table(key))
        table.modules.append(module)
        found = translator.source_keys(module, definitions)
        table.deps.update(found)
        table.sources.update(dict.fromkeys(found, module.source))
    kept = _without_cycles({key: table.deps for key, table in tables.items()})
    for key, table in tables.items():
        table.deps = kept[key]
        table.sources = {dep: name for dep, name in table.sources.items() if dep not in tables}
    return tables


def build_assets(
    tables: dict[dg.AssetKey, Table],
    definitions: Definitions,
    translator: DagsterPipekitTranslator,
    taken: Iterable[str],
) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """An executable asset for each table that an enabled module fills, an external one for each other table.

    `taken` has the names of all other ops: Dagster keeps the ops of assets and of jobs in one space of names.
    """
    plain = {key.to_string(): dagster_name("__".join(key.path)) for key in tables}
    names = distinct_names(plain, plain.__getitem__, taken)
    executable = {key for key, table in tables.items() if table.enabled}
    made: list[dg.AssetsDefinition | dg.AssetSpec] = []
    for key, table in tables.items():
        spec = table_spec(table, definitions, translator, executable)
        if key not in executable:
            made.append(spec)
            continue
        inputs = {f"after_{number}": dep for number, dep in enumerate(sorted(table.deps))}
        first = table.enabled[0]
        pools = sorted(
            {
                pool
                for module in table.enabled
                for pool in (translator.pool(module, definitions), *translator.more_pools(module, definitions))
                if pool is not None
            }
        )
        checks = {spec.name: spec for spec in check_specs(table.enabled, key, table.check_names)}
        outputs = {f"check_{name}": spec for name, spec in checks.items()}
        op = build_asset_op(
            table.enabled,
            name=names[key.to_string()],
            asset_key=key,
            inputs=list(inputs),
            check_outputs=list(outputs),
            check_names=table.check_names,
            column_deps=lambda module, column: translator.column_deps(module, definitions, column),
            tags=dict(translator.op_tags(first, definitions)),
            pool=next(iter(pools), None),
            more_pools=pools[1:],
        )
        made.append(
            dg.AssetsDefinition(
                keys_by_input_name=inputs,
                keys_by_output_name={"result": key},
                node_def=op,
                specs=[spec],
                check_specs_by_output_name=outputs,
                can_subset=bool(outputs),  # checks can be picked alone
                # Of a range of partitions each is a run of pipekit; a process and a JVM for each would take hours for a year.
                backfill_policy=dg.BackfillPolicy.single_run() if spec.partitions_def is not None else None,
            )
        )
    sources = {dep: name for table in tables.values() for dep, name in table.sources.items()}
    return [*made, *(_source_spec(key, connection, definitions) for key, connection in sources.items())]


def build_automation_sensor(tables: dict[dg.AssetKey, Table], name: str) -> dg.SensorDefinition | None:
    """The sensor that looks at the conditions of `automation`; None where no module has one.

    It is on: who writes `automation` wants it to happen. One made by Dagster itself would wait for somebody to switch it on.
    """
    keys = [key for key, table in tables.items() if any(module.automation for module in table.enabled)]
    if not keys:
        return None
    return dg.AutomationConditionSensorDefinition(
        name=name,
        target=dg.AssetSelection.assets(*keys),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=_AUTOMATION_EVERY_S,
        run_tags={TRIGGERED_BY_TAG: "automation", ORIGIN_TAG: name},
        description="Materializes the tables of modules with `automation` when their condition is met.",
    )


def automation_condition(module: Module, unfilled: Iterable[dg.AssetKey]) -> dg.AutomationCondition[Any] | None:
    """A module's `automation` as Dagster's condition. Tables in `unfilled`, which no module fills, are not waited for.

    Raises DagsterError or CheckError for a cron expression that Dagster does not take.
    """
    if module.automation is None:
        return None
    condition = (
        dg.AutomationCondition.eager()
        if module.automation == EAGER
        else dg.AutomationCondition.on_cron(module.automation)
    )
    ignored = sorted(unfilled)
    return condition.ignore(dg.AssetSelection.assets(*ignored)) if ignored else condition


def table_spec(
    table: Table, definitions: Definitions, translator: DagsterPipekitTranslator, executable: set[dg.AssetKey]
) -> dg.AssetSpec:
    """The asset of a table; `executable` are those that some module fills."""
    first = (table.enabled or table.modules)[0]
    kind = connection_kind(definitions.connections.get(first.dest))
    texts = [f"Filled by module `{module.name}` ({module.strategy}){_disabled(module)}." for module in table.modules]
    tags: dict[str, str] = {}
    for module in reversed(table.modules):
        tags |= translator.asset_tags(module, definitions)
    if not table.enabled:
        tags[DISABLED_TAG] = "true"
    unfilled = table.deps - executable
    conditions = [found for module in table.enabled if (found := automation_condition(module, unfilled)) is not None]
    ages = [module.fresh_age for module in table.enabled if module.fresh_age is not None]
    owners = dict.fromkeys(owner for module in table.modules for owner in translator.asset_owners(module, definitions))
    partition = table_partition(table.enabled)
    return dg.AssetSpec(
        table.key,
        partitions_def=None if partition is None else partitions_definition(partition),
        deps=sorted(table.deps),
        description="\n\n".join(texts),
        metadata={
            **translator.asset_metadata(first, definitions),
            **page_metadata(f"modules/{first.name}"),
        },
        # A dry run gives no output, and so no materialization.
        skippable=bool(table.enabled),
        group_name=translator.asset_group(first, definitions),
        automation_condition=reduce(or_, conditions) if conditions else None,
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=min(ages)) if ages else None,
        owners=list(owners),
        tags=tags,
        kinds={kind} if kind else set(),
    )


def _disabled(module: Module) -> str:
    return "" if module.enabled else ", which is **disabled**: set `enabled: true` in its definition to run it"


def _source_spec(key: dg.AssetKey, connection: str, definitions: Definitions) -> dg.AssetSpec:
    kind = connection_kind(definitions.connections.get(connection))
    return dg.AssetSpec(
        key,
        group_name="sources",
        kinds={kind} if kind else set(),
        description=f"Read over connection `{connection}`.",
    )


def _without_cycles(deps: dict[dg.AssetKey, set[dg.AssetKey]]) -> dict[dg.AssetKey, set[dg.AssetKey]]:
    """The same dependencies without those that close a circle.

    Two modules may well feed each other's tables; Dagster sorts assets by their dependencies, and a circle has no order.
    """
    kept: dict[dg.AssetKey, set[dg.AssetKey]] = {}
    done: set[dg.AssetKey] = set()
    for start in sorted(deps):
        path = [(start, iter(sorted(deps[start])))]
        if start in done:
            continue
        kept[start] = set()
        on_path = {start}
        while path:
            key, rest = path[-1]
            dep = next(rest, None)
            if dep is None:
                done.add(key)
                on_path.discard(key)
                path.pop()
            elif dep not in on_path:
                kept[key].add(dep)
                if dep in deps and dep not in done:
                    kept[dep] = set()
                    on_path.add(dep)
                    path.append((dep, iter(sorted(deps[dep]))))
    return kept
