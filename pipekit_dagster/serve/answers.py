"""What the REST interface takes and answers, as pydantic models: the OpenAPI description is made from them.

Modules and runs are the engine's own records; what is here adds to them, or stands for what Dagster knows.
"""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from pipekit_engine.models import Group, GroupRunRecord, RunRecord, Schedule
from pipekit_engine.records.statuses import RunStatus

MAX_LIMIT = 1000


class RunOptions(BaseModel):
    """Body of a request to run something; all of it may be left out."""

    model_config = ConfigDict(extra="forbid", strict=True)

    dry_run: bool = Field(default=False, description="resolve, plan and print all SQL; move nothing")
    watermarks: dict[str, str] = Field(
        default_factory=dict, description="watermark values for this run, by name or by module.name"
    )


class RunFilter(BaseModel):
    """Which runs of modules to list; an unknown parameter is refused."""

    model_config = ConfigDict(extra="forbid")

    module: str | SkipJsonSchema[None] = None
    status: RunStatus | SkipJsonSchema[None] = None
    limit: int = Field(default=20, ge=1, le=MAX_LIMIT)


class Started(BaseModel):
    """A Dagster run that was queued, and where to follow it."""

    dagster_run_id: str
    status_url: str
    log_url: str
    url: str = Field(description="the run's page in the user interface")


class DagsterRun(BaseModel):
    """A run as Dagster knows it, with the runs of modules in it."""

    dagster_run_id: str
    job: str
    status: str
    tags: dict[str, str]
    runs: list[RunRecord]


class GroupWithRuns(Group):
    """A group's definition and its newest runs."""

    runs: list[GroupRunRecord]


class ScheduleWithTimes(Schedule):
    """A schedule's definition, when it fired last, and its next fire times as Dagster reckons them: none while it is disabled."""

    last_fired_at: datetime | None
    next: list[datetime]
