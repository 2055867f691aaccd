"""Lineage: source tables and destination tables as assets, without a Materialize button of their own.

The ops log AssetMaterializations for the destinations, which links each asset to the runs that filled it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg

from pipekit_dagster.translator import DagsterPipekitTranslator, connection_kind

if TYPE_CHECKING:
    from pipekit_engine.models import Definitions


def build_asset_specs(definitions: Definitions, translator: DagsterPipekitTranslator) -> list[dg.AssetSpec]:
    """One spec for each table that a module reads or writes. Modules that share a destination share its spec."""
    deps: dict[dg.AssetKey, set[dg.AssetKey]] = {}
    details: dict[dg.AssetKey, dict[str, Any]] = {}
    sources: dict[dg.AssetKey, str] = {}
    for module in definitions.modules.values():
        key = translator.dest_key(module, definitions)
        keys = translator.source_keys(module, definitions)
        deps.setdefault(key, set()).update(keys)
        sources.update(dict.fromkeys(keys, module.source))
        kind = connection_kind(definitions.connections.get(module.dest))
        detail = details.setdefault(
            key,
            {
                "group_name": translator.asset_group(module, definitions),
                "kinds": {kind} if kind else set(),
                "metadata": dict(translator.asset_metadata(module, definitions)),
                "description": "",
            },
        )
        detail["description"] += f"Filled by module `{module.name}` ({module.strategy}).\n\n"
    deps = _without_cycles(deps)
    specs = [dg.AssetSpec(key, deps=sorted(deps[key]), **detail) for key, detail in details.items()]
    for key, connection in sources.items():
        if key not in details:
            kind = connection_kind(definitions.connections.get(connection))
            specs.append(
                dg.AssetSpec(
                    key,
                    group_name="sources",
                    kinds={kind} if kind else set(),
                    description=f"Read over connection `{connection}`.",
                )
            )
    return specs


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
