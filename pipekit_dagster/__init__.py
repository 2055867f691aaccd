"""pipekit in Dagster: a module is an op, a group is a job, a schedule row a schedule, a trigger row a sensor.

    from pipekit_dagster import build_pipekit_definitions

    defs = build_pipekit_definitions()

`pipekit_dagster.definitions` holds such a `defs` for the configuration in force; `pipekit serve` shows it. Nothing heavy
is imported until a name is used: `pipekit_dagster.serve` works without importing Dagster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipekit_engine.common.lazy import names_from

if TYPE_CHECKING:
    from pipekit_dagster.build import build_pipekit_definitions
    from pipekit_dagster.component import PipekitComponent
    from pipekit_dagster.decorator import pipekit_assets
    from pipekit_dagster.executor import pipekit_thread_executor
    from pipekit_dagster.launcher import PipekitRunLauncher
    from pipekit_dagster.resource import PipekitResource
    from pipekit_dagster.translator import DagsterPipekitTranslator

__all__ = [
    "DagsterPipekitTranslator",
    "PipekitComponent",
    "PipekitResource",
    "PipekitRunLauncher",
    "build_pipekit_definitions",
    "pipekit_assets",
    "pipekit_thread_executor",
]

_HOMES = {
    "DagsterPipekitTranslator": "pipekit_dagster.translator",
    "PipekitComponent": "pipekit_dagster.component",
    "PipekitResource": "pipekit_dagster.resource",
    "PipekitRunLauncher": "pipekit_dagster.launcher",
    "build_pipekit_definitions": "pipekit_dagster.build",
    "pipekit_assets": "pipekit_dagster.decorator",
    "pipekit_thread_executor": "pipekit_dagster.executor",
}

__getattr__ = names_from(__name__, _HOMES)


def __dir__() -> list[str]:
    """The names above: `dg` looks for components among them."""
    return __all__
