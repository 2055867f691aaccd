"""Starts a Dagster run for a module or group, through Dagster's own GraphQL mutation and so under its permissions."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipekit_dagster.build import MODULES_JOB, Names
from pipekit_dagster.serve.home import LOCATION
from pipekit_dagster.tags import TRIGGERED_BY_TAG
from pipekit_dagster.translator import DagsterPipekitTranslator
from pipekit_web.launching import LaunchRefused

if TYPE_CHECKING:
    from pipekit_engine.store import Store

_LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on Error { message }
  }
}
"""
#: How Dagster says that it does not know a job or an op.
_UNKNOWN = ("PipelineNotFoundError", "InvalidSubsetError")
_UNKNOWN_JOB = "No remote job named"
#: The repository that Dagster makes of a module's `defs`.
_REPOSITORY = "__repository__"


class NotShownYet(LaunchRefused):
    """Dagster does not know the definition: it was saved a moment ago, and the code location is being reloaded."""


def launch(
    schema: Any,
    context: Any,
    store: Store,
    *,
    kind: str,
    name: str,
    dry_run: bool,
    watermarks: Mapping[str, str],
    partition: str | None = None,
    partitions: Sequence[str] = (),
    keep_going: bool = False,
    triggered_by: str = "manual",
) -> str:
    """Queue a run of the module or group; its Dagster run id. Raises NotFoundError, NotShownYet and LaunchRefused."""
    definitions, broken = store.definitions.load_checked()
    names = Names.of(definitions, broken, DagsterPipekitTranslator())
    if kind == "groups":
        store.definitions.group(name)
        selector: dict[str, Any] = {"jobName": names.jobs[name]}
    else:
        store.definitions.module(name)
        selector = {"jobName": MODULES_JOB, "solidSelection": [names.ops[name]]}
    settings: dict[str, Any] = {}
    if dry_run:
        settings["dry_run"] = True
    if watermarks:
        settings["watermarks"] = dict(watermarks)
    if partition is not None:
        settings["partition"] = partition
    if partitions:
        settings |= {"partitions": list(partitions), "keep_going": keep_going}
    params = {
        "selector": {"repositoryLocationName": LOCATION, "repositoryName": _REPOSITORY, **selector},
        "runConfigData": {"resources": {"pipekit": {"config": settings}}} if settings else {},
        "executionMetadata": {"tags": [{"key": TRIGGERED_BY_TAG, "value": triggered_by}]},
    }
    result = asyncio.run(schema.execute_async(_LAUNCH, variables={"params": params}, context=context))
    if result.errors:
        raise LaunchRefused("; ".join(str(error.message) for error in result.errors))
    answer = result.data["launchRun"]
    if answer["__typename"] == "LaunchRunSuccess":
        return str(answer["run"]["runId"])
    problems = [item["message"] for item in answer.get("errors", [])] or [answer.get("message", "")]
    said = f"{answer['__typename']}: {'; '.join(problems)}"
    unknown = answer["__typename"] in _UNKNOWN or _UNKNOWN_JOB in said
    raise NotShownYet(said) if unknown else LaunchRefused(said)
