"""What the REST interface takes and answers, as pydantic models: the OpenAPI description is made from them.

Modules and runs are the engine's own records; what is here adds to them, or stands for what Dagster knows.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from pipekit_engine.models import DefinitionKind, Group, GroupRunRecord, RunRecord, Schedule
from pipekit_engine.records.statuses import RunStatus
from pipekit_web.views.partitions import Standing

MAX_LIMIT = 1000


class RunOptions(BaseModel):
    """Body of a request to run something; all of it may be left out."""

    model_config = ConfigDict(extra="forbid", strict=True)

    dry_run: bool = Field(default=False, description="resolve, plan and print all SQL; move nothing")
    watermarks: dict[str, str] = Field(
        default_factory=dict, description="watermark values for this run, by name or by module.name"
    )
    partition: str | None = Field(
        default=None,
        max_length=40,
        description="the partition to run of modules that have them, such as 2024-05-31; else the newest that has ended",
    )


class BackfillOptions(BaseModel):
    """Which partitions to fill: those named, or a range, by default all that have ended; all of it may be left out."""

    model_config = ConfigDict(extra="forbid", strict=True)

    since: str | None = Field(default=None, alias="from", max_length=40, description="the first partition")
    until: str | None = Field(default=None, alias="to", max_length=40, description="the last partition, included")
    partitions: list[str] = Field(
        default_factory=list, max_length=2000, description="these, also where they are filled; instead of a range"
    )
    again: bool = Field(default=False, description="also those that are filled already")
    keep_going: bool = Field(default=False, description="go on with the next partition after one that failed")


class PartitionShown(BaseModel):
    """How a partition stands. `run_id`, `rows` and `filled_at` are of the newest run that filled it."""

    partition: str
    state: Standing
    run_id: int | None
    rows: int | None
    filled_at: datetime | None
    tried_by: int | None = Field(description="the newest run, where that has not filled it")


class TableShown(BaseModel):
    """A table at an end of a module; no parts of a name for what a query reads that cannot be told."""

    connection: str
    table: list[str]
    modules: list[str] = Field(
        description="other modules: those that fill what is read, those that read what is written"
    )


class Lineage(BaseModel):
    """The tables that a module reads and writes. `beside` are the other modules that write its table."""

    reads: list[TableShown]
    writes: TableShown
    beside: list[str]


class RunFilter(BaseModel):
    """Which runs of modules to list; an unknown parameter is refused."""

    model_config = ConfigDict(extra="forbid")

    module: str | SkipJsonSchema[None] = None
    status: RunStatus | SkipJsonSchema[None] = None
    limit: int = Field(default=20, ge=1, le=MAX_LIMIT)


class GroupRunFilter(BaseModel):
    """Which runs of groups to list; an unknown parameter is refused."""

    model_config = ConfigDict(extra="forbid")

    group: str | SkipJsonSchema[None] = None
    limit: int = Field(default=20, ge=1, le=MAX_LIMIT)


class Asked(BaseModel):
    """Whether a run was asked to end; false when it had ended already."""

    asked: bool


class GroupRunWithMembers(GroupRunRecord):
    """A group's run and its members' runs, in the order of their start."""

    members: list[RunRecord]


class Started(BaseModel):
    """A run that was asked for, and where to follow it. Without Dagster, `dagster_run_id` is a number of our own."""

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
    error: str | None = Field(default=None, description="why nothing ran, where nothing did")


class GroupWithRuns(Group):
    """A group's definition and its newest runs."""

    runs: list[GroupRunRecord]


class ScheduleWithTimes(Schedule):
    """A schedule's definition, when it fired last, and its next fire times as Dagster reckons them: none while it is disabled."""

    last_fired_at: datetime | None
    next: list[datetime]


class AuditChange(BaseModel):
    """One change of a definition, as it was planned. Secrets are stars."""

    id: int
    at: datetime
    by: str
    action: str
    kind: DefinitionKind
    name: str
    lines: list[str] = Field(description="what changed, as a plan shows it")
    in_files: bool = Field(description="whether the YAML files say the same since")


class AuditFilter(BaseModel):
    """Which changes to list; an unknown parameter is refused."""

    model_config = ConfigDict(extra="forbid")

    kind: DefinitionKind | SkipJsonSchema[None] = None
    name: str | SkipJsonSchema[None] = None
    limit: int = Field(default=100, ge=1, le=MAX_LIMIT)


class AuditRecord(AuditChange):
    """One change, with the record as its YAML file would have held it; null where there was none."""

    before: dict[str, Any] | None
    after: dict[str, Any] | None


class Switch(BaseModel):
    """Whether a schedule or trigger fires."""

    model_config = ConfigDict(extra="forbid", strict=True)

    enabled: bool


class FileOutcome(BaseModel):
    """What became of a change in the YAML files that definitions live in."""

    file: str
    written: bool
    diff: str
    why: str = Field(description="why it was not written; the diff is to be copied then")


class Saved(BaseModel):
    """A change of a definition: as it was made, or with `plan=true` as it would be."""

    saved: bool
    action: Literal["create", "change", "delete", "none"]
    lines: list[str] = Field(description="the plan, as `pipekit apply` shows it")
    warnings: list[str] = Field(default_factory=list, description="of the checks, and of lint")
    version: str = Field(default="", description="of the record from now on: its ETag")
    files: list[FileOutcome] = Field(default_factory=list)


class Conflict(BaseModel):
    """Somebody else has changed the record since it was read: both versions."""

    error: str
    theirs: dict[str, Any] | None = Field(description="the record as it is now; null when it is gone")
    yours: dict[str, Any] | None


class Preview(BaseModel):
    """First rows of a table, each value as text."""

    columns: list[str]
    rows: list[list[str | None]]
    truncated: bool
