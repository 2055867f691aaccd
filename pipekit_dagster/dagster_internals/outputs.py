"""An output of whose assets Dagster tells nothing by itself."""

from __future__ import annotations

from typing import Final

# Metadata of an output whose asset events its op has told already. Check: `_log_materialization_or_observation_events_for_asset`
# in `dagster/_core/execution/plan/execute_step.py` still tells none for such an output, and those that depend on it are run.
from dagster._core.definitions.source_asset import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION

#: Metadata for the output of a step that has told the materialization of each of its partitions itself, one by one.
UNTOLD: Final = {SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION: True}
