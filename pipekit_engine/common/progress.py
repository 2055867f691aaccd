"""How far a request is: reported by jrunner, shown by the command line and by Dagster."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """How far a request is; sent about once a second."""

    phase: str
    rows: int
    bytes: int
    elapsed_ms: int
