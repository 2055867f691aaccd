"""The `checks` of modules as Dagster's asset checks: their specs, and what a run of pipekit found as Dagster's results.

They are asked where the module's run asks them, and belong to the step that materializes the table; picked alone, they are asked
of the table as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from pipekit_dagster.naming import dagster_name, distinct_names
from pipekit_engine.common.visible import fenced, plain_markdown
from pipekit_engine.models import ASKED_ALONE, BUILTIN_CHECKS

if TYPE_CHECKING:
    from pipekit_engine.models import Check, Module
    from pipekit_engine.records.checks import CheckResult

#: Dagster's names of a table's checks, by module and by the check's own name.
CheckNames = Mapping[tuple[str, str], str]


def check_names(modules: Sequence[Module]) -> dict[tuple[str, str], str]:
    """The names of the checks of all modules that fill one table: their own, with the module's where there are several."""
    plain = {
        (module.name, check.name): check.name if len(modules) == 1 else f"{module.name}__{check.name}"
        for module in modules
        for check in module.checks
    }
    names = distinct_names(plain.values(), dagster_name)
    return {key: names[name] for key, name in plain.items()}


def check_specs(modules: Sequence[Module], asset_key: dg.AssetKey, names: CheckNames) -> list[dg.AssetCheckSpec]:
    """The specs of a table's checks."""
    return [
        dg.AssetCheckSpec(
            names[module.name, check.name],
            asset=asset_key,
            description=_describe(module, check),
            blocking=check.severity == "error",
            metadata={"module": module.name, "asked": check.on, "severity": check.severity},
        )
        for module in modules
        for check in module.checks
    ]


def _describe(module: Module, check: Check) -> str:
    when = "before the merge" if check.on == "staging" else "after the merge"
    if check.builtin and check.name in ASKED_ALONE:
        when = "when it is picked alone, not in a run,"
    if check.sql is None:
        return f"{BUILTIN_CHECKS[check.name]}; asked {when} of module {plain_markdown(module.name)}"
    return f"Must give no rows; asked {when} of module {plain_markdown(module.name)}:\n\n{fenced(check.sql)}"


def evaluations(
    results: Iterable[CheckResult], asset_key: dg.AssetKey, names: CheckNames
) -> Iterator[dg.AssetCheckEvaluation]:
    """What was found, as events. Checks that Dagster does not know are left out: the definitions have changed since it loaded."""
    for result in results:
        name = names.get((result.module, result.name))
        if name is not None:
            yield dg.AssetCheckEvaluation(asset_key=asset_key, check_name=name, **_found(result))


def check_results(
    results: Iterable[CheckResult], asset_key: dg.AssetKey, names: CheckNames, selected: Iterable[dg.AssetCheckKey]
) -> Iterator[dg.AssetCheckResult | dg.AssetCheckEvaluation]:
    """The same from the step that materializes the table: as its outputs where they were `selected`, else as events."""
    picked = {key.name for key in selected}
    for event in evaluations(results, asset_key, names):
        if event.check_name not in picked:
            yield event
            continue
        yield dg.AssetCheckResult(
            asset_key=asset_key,
            check_name=event.check_name,
            passed=event.passed,
            severity=event.severity,
            metadata=event.metadata,
            description=event.description,
        )


def _found(result: CheckResult) -> dict[str, Any]:
    metadata: dict[str, Any] = {"status": result.standing, "took_s": result.took_s, **result.details}
    if result.count is not None:
        metadata["count"] = result.count
    if result.run_id is not None:
        metadata["pipekit_run"] = result.run_id
    if result.sql is not None:
        metadata["sql"] = dg.MetadataValue.md(fenced(result.sql))
    return {
        "passed": result.holds,
        "severity": dg.AssetCheckSeverity.ERROR if result.severity == "error" else dg.AssetCheckSeverity.WARN,
        "description": plain_markdown(result.message),
        "metadata": metadata,
    }
