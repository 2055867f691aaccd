"""What a run tells whoever listens to it: the command line, Dagster, a program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class RunEvent:
    """Something that a run has to say. `log` lines are those that live_log gets, too."""

    kind: Literal["phase", "progress", "log"]
    module: str
    run_id: int
    phase: str
    message: str = ""
    rows: int | None = None
    bytes: int | None = None
    elapsed_s: float | None = None
