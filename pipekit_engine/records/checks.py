"""What a check of a module's rows found."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, TypeAlias

from pydantic import Field

from pipekit_engine.records.runs import Record

#: `error`: it could not be asked; `skipped`: there is nothing yet that could be compared.
CheckStatus: TypeAlias = Literal["passed", "failed", "error", "skipped"]


class CheckResult(Record):
    """One check, once. `count` is how many rows are wrong; of rows themselves nothing is kept.

    `run_id` is the module run that it was part of; None when it was asked alone.
    """

    module: str
    name: str
    on: Literal["staging", "destination"]
    severity: Literal["error", "warning"]
    status: CheckStatus
    count: int | None = None
    message: str = ""
    sql: str | None = None
    details: dict[str, int | float | str] = Field(default_factory=dict)
    run_id: int | None = None
    checked_at: datetime
    took_s: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether nothing speaks against the rows; neither does what could not be compared yet."""
        return self.status in ("passed", "skipped")

    @property
    def blocks(self) -> bool:
        """Whether a run fails for it, and `pipekit check` with it."""
        return not self.holds and self.severity == "error"

    @property
    def standing(self) -> str:
        """The status for people: a failed check of severity `warning` is a warning."""
        return "warning" if not self.holds and not self.blocks else self.status

    def as_json(self) -> dict[str, Any]:
        """The result as `--json` and REST show it."""
        return self.model_dump(mode="json")


def summary(results: list[CheckResult]) -> str:
    """Such as `3 passed, 1 warning`; empty for none."""
    counts: dict[str, int] = {}
    for result in results:
        counts[result.standing] = counts.get(result.standing, 0) + 1
    return ", ".join(f"{number} {standing}" for standing, number in counts.items())
