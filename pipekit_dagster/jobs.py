"""Groups as jobs: layers of ops with a barrier between them.

Each op of a layer waits for all ops of the layer before. With `on_failure: continue` it waits for their outputs, which an op
gives even when it fails; with `on_failure: stop`, for their success. There is one op object per module, shared by all jobs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from pipekit_dagster.executor import pipekit_thread_executor
from pipekit_dagster.tags import GROUP_TAG

if TYPE_CHECKING:
    from pipekit_engine.models import Group

#: Ops of the job `modules` that run side by side at most.
MODULES_MAX_PARALLEL = 4
#: Begins the name of a job's graph, which nobody sees.
GRAPH_PREFIX = "job__"


def build_group_job(
    group: Group, *, name: str, ops: Mapping[str, dg.OpDefinition], skipped: Sequence[str], tags: Mapping[str, str]
) -> dg.JobDefinition:
    """The job of a group. `ops` has the op of every member; those in `skipped` are left out."""
    layers = [[ops[member] for member in layer if member not in skipped] for layer in group.layers]
    order = " → ".join(", ".join(layer) for layer in group.layers)
    description = f"Group `{group.name}`: {order}. On failure: {group.on_failure}."
    if skipped:
        description += f"\n\nSkipped because disabled: {', '.join(skipped)}."
    return build_layered_job(
        name,
        [layer for layer in layers if layer],
        description=description,
        max_concurrent=group.max_parallel,
        continue_on_failure=group.on_failure == "continue",
        tags={**tags, GROUP_TAG: group.name},
    )


def build_layered_job(
    name: str,
    layers: Sequence[Sequence[dg.OpDefinition]],
    *,
    description: str,
    max_concurrent: int,
    continue_on_failure: bool,
    tags: Mapping[str, str],
) -> dg.JobDefinition:
    """A job whose layers run one after another, and the ops of a layer side by side."""

    def compose() -> None:
        previous: list[Any] = []
        for layer in layers:
            previous = [op(after=previous) if previous else op() for op in layer]

    # Dagster keeps graphs and ops in one space of names; a group may be called like one of its modules.
    return dg.graph(name=f"{GRAPH_PREFIX}{name}")(compose).to_job(
        name=name,
        description=description,
        tags=dict(tags),
        executor_def=pipekit_thread_executor.configured(
            {"max_concurrent": max_concurrent, "continue_on_failure": continue_on_failure}
        ),
    )
