"""Runs that somebody launches in Dagster's own pages carry the name of that user, as those of our pages and REST do."""

from __future__ import annotations

from typing import Any

from pipekit_dagster.tags import TRIGGERED_BY_TAG
from pipekit_web.server.auth import ANYONE
from pipekit_web.server.middleware import USER_KEY


class NameUsers:
    """GraphQL middleware: adds the user to the tags with which a mutation launches a run."""

    def resolve(self, next_: Any, root: Any, info: Any, **arguments: Any) -> Any:
        """Resolve a field."""
        if root is None and info.operation.operation.value == "mutation":
            user = info.context.source.scope.get(USER_KEY, ANYONE)
            if user is not ANYONE:
                _add_tag(arguments, {"key": TRIGGERED_BY_TAG, "value": user.by})
        return next_(root, info, **arguments)


def _add_tag(arguments: dict[str, Any], tag: dict[str, str]) -> None:
    """Add a tag to the runs that a mutation's arguments ask for. The last of a key holds, so it goes last."""
    for launch in [arguments.get("executionParams"), *(arguments.get("executionParamsList") or ())]:
        if launch:
            metadata = launch.setdefault("executionMetadata", {})
            metadata["tags"] = [*(metadata.get("tags") or ()), tag]
    backfill = arguments.get("backfillParams")
    if backfill:
        backfill["tags"] = [*(backfill.get("tags") or ()), tag]
    again = arguments.get("reexecutionParams")
    if again:
        again["extraTags"] = [*(again.get("extraTags") or ()), tag]
