"""How a run of a module or of a group stands; pydantic-free, so that the command line can list the statuses quickly."""

from __future__ import annotations

from typing import Literal, get_args

RunStatus = Literal["running", "success", "dry_run", "error", "cancelled"]
RUN_STATUSES: tuple[RunStatus, ...] = get_args(RunStatus)
