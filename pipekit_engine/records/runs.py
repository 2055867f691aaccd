"""One row of run_log, one of group_run, and the base of all records."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, computed_field

from pipekit_engine.records.statuses import RunStatus


class Record(BaseModel):
    """Base of all records: unknown fields are refused, text is kept as written."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True, frozen=True, defer_build=True)


class ResolvedWatermark(Record):
    """A watermark's value in one run, and where it came from."""

    value: str
    origin: Literal["resolver", "default", "override", "partition"]


#: The fields of a RunRecord that lists of runs leave out: they may be long.
RUN_LOGS = frozenset({"stdout", "stderr", "live_log"})


class RunRecord(Record):
    """One row of run_log.

    Times are UTC; `timings` are seconds per phase; counts are None where the phase was not reached.
    """

    id: int
    module: str
    status: RunStatus
    phase: str | None = None
    triggered_by: str
    group_run_id: int | None = None
    dagster_run_id: str | None = None
    partition: str | None = None
    started_at: datetime
    finished_at: datetime | None = None
    source_sql: str | None = None
    merge_sql: str | None = None
    watermarks: dict[str, ResolvedWatermark] = Field(default_factory=dict)
    rows_read: int | None = None
    rows_staged: int | None = None
    rows_deleted: int | None = None
    rows_inserted: int | None = None
    rows_updated: int | None = None
    rows_unchanged: int | None = None
    bytes: int | None = None
    timings: dict[str, float] = Field(default_factory=dict)
    error: str | None = None
    stdout: str = ""
    stderr: str = ""
    live_log: str = ""

    @property
    def label(self) -> str:
        """What ran, for a person: the module, and its partition if it has any."""
        return f"{self.module} {self.partition}" if self.partition else self.module

    @computed_field  # type: ignore[prop-decorator]
    @property
    def duration_s(self) -> float | None:
        """Seconds from start to finish; None while it runs."""
        return (self.finished_at - self.started_at).total_seconds() if self.finished_at else None

    def as_json(self, *, logs: bool = False) -> dict[str, Any]:
        """The run as `--json` and the REST interface show it, with its duration; without its logs unless asked."""
        return self.model_dump(mode="json", exclude=set() if logs else set(RUN_LOGS))


class GroupRunRecord(Record):
    """One row of group_run."""

    id: int
    group: str
    status: RunStatus
    triggered_by: str
    dagster_run_id: str | None = None
    started_at: datetime
    finished_at: datetime | None = None
    error: str | None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def duration_s(self) -> float | None:
        """Seconds from start to finish; None while it runs."""
        return (self.finished_at - self.started_at).total_seconds() if self.finished_at else None

    def as_json(self) -> dict[str, Any]:
        """The group run as `--json` shows it, with its duration."""
        return self.model_dump(mode="json")
