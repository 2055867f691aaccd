"""`@pipekit_assets`: tables that modules fill, as assets of a function of one's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any

import dagster as dg

from pipekit_dagster.asset_checks import check_specs
from pipekit_dagster.assets import read_tables, table_spec
from pipekit_dagster.translator import DagsterPipekitTranslator
from pipekit_engine.config import Config, load_config
from pipekit_engine.errors import ConfigurationError, NotFoundError
from pipekit_engine.store import Store

if TYPE_CHECKING:
    from pipekit_engine.models import Definitions

#: Metadata of an asset: the modules that fill it, one after another.
MODULES_METADATA = "pipekit/modules"


def pipekit_assets(
    *,
    modules: Sequence[str] = (),
    groups: Sequence[str] = (),
    config: Config | None = None,
    translator: DagsterPipekitTranslator | None = None,
    name: str | None = None,
    pool: str | None = None,
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """The tables that some modules fill, as assets which the decorated function materializes; all modules when none are named.

        import dagster as dg
        from pipekit_dagster import PipekitResource, pipekit_assets

        @pipekit_assets(groups=["nightly"])
        def nightly_tables(context: dg.AssetExecutionContext, pipekit: PipekitResource):
            yield from pipekit.run(context)

        defs = dg.Definitions(assets=[nightly_tables], resources={"pipekit": PipekitResource()})

    The checks of the modules are asset checks. Assets and checks can be picked one by one. The definitions are read when the
    function is decorated. Raises NotFoundError for an unknown module or group, ConfigurationError without a usable store or when
    nothing is left to run: disabled modules are no assets here.
    """
    config, translator = config or load_config(), translator or DagsterPipekitTranslator()
    with Store.open(config.database_url) as store:
        definitions = store.definitions.load_checked()[0]
    wanted = _wanted(definitions, modules, groups)
    tables = read_tables(definitions, translator)
    chosen = {key: table for key, table in tables.items() if any(item.name in wanted for item in table.enabled)}
    if not chosen:
        raise ConfigurationError("None of these modules is enabled: there is nothing to run.")
    executable = {key for key, table in tables.items() if table.enabled}
    specs = [
        table_spec(table, definitions, translator, executable).merge_attributes(
            metadata={MODULES_METADATA: [item.name for item in table.enabled]}
        )
        for table in chosen.values()
    ]
    checks = [spec for table in chosen.values() for spec in check_specs(table.enabled, table.key, table.check_names)]
    return dg.multi_asset(name=name, specs=specs, check_specs=checks or None, can_subset=True, pool=pool)


def _wanted(definitions: Definitions, modules: Sequence[str], groups: Sequence[str]) -> set[str]:
    for kind, named, known in (("module", modules, definitions.modules), ("group", groups, definitions.groups)):
        for name in named:
            if name not in known:
                raise NotFoundError(kind, name, known)
    if not modules and not groups:
        return set(definitions.modules)
    return {*modules, *(member for name in groups for member in definitions.groups[name].members)}


def selected_tables(context: dg.AssetExecutionContext) -> list[tuple[dg.AssetKey, list[str]]]:
    """The assets that were picked, or checks of them, each with its modules; a table comes after those that it reads."""
    specs = context.assets_def.specs_by_key
    picked = {*context.selected_asset_keys, *(key.asset_key for key in context.selected_asset_check_keys)}
    order = TopologicalSorter({key: {dep.asset_key for dep in spec.deps} & specs.keys() for key, spec in specs.items()})
    return [(key, list(specs[key].metadata[MODULES_METADATA])) for key in order.static_order() if key in picked]
