"""The merge strategies, one file each. A new one is a file here and a line in `STRATEGIES`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipekit_engine.strategies.append import Append
from pipekit_engine.strategies.base import Merge, MergeStatement, Strategy
from pipekit_engine.strategies.full import Full
from pipekit_engine.strategies.incremental import Incremental
from pipekit_engine.strategies.upsert import Upsert

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["STRATEGIES", "Merge", "MergeStatement", "Strategy"]

STRATEGIES: Mapping[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        Full(),
        Incremental(),
        Append(),
        Upsert(),
    )
}
