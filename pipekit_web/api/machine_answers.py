"""What the REST interface takes and answers beside definitions and runs: the machine, people, databases, the wizard."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from pipekit_engine.models import DefinitionKind, GroupRunRecord, RunRecord
from pipekit_web.api.answers import FileOutcome
from pipekit_web.server.auth import MIN_PASSWORD_CHARS, Role
from pipekit_web.views.wizard import AT_ONCE, Row


class Body(BaseModel):
    """What is sent: an unknown field is refused, and no value is read as one of another type."""

    model_config = ConfigDict(extra="forbid", strict=True)


class SecretNamed(BaseModel):
    """A secret by its name, and the connections that refer to it. `is_set` is null where a program or a keyring may have it."""

    key: str
    is_set: bool | None
    connections: list[str]


class SecretValue(Body):
    """A secret's value, which no answer holds."""

    value: str = Field(max_length=100_000)


class DriverJars(BaseModel):
    """The jars that a driver would use; none where `missing` says what is wanted."""

    jars: list[str]
    missing: str


class Told(BaseModel):
    """How something went that asks elsewhere: a database, a repository of jars."""

    ok: bool
    text: str


class ConnectionTrial(Body):
    """Fields of a connection that are not saved, and a password that is not set; an editor may try them."""

    fields: dict[str, JsonValue] = Field(default_factory=dict)
    password: str | None = None


class LintFinding(BaseModel):
    """Something that lint found."""

    code: str
    level: Literal["error", "warning", "info"]
    record: str
    field: str
    message: str
    fix: str
    file: str | None
    line: int | None


class DoctorCheck(BaseModel):
    """One thing that the doctor looked at; `ok` is null for what is worth knowing and no fault."""

    name: str
    ok: bool | None
    detail: str
    fix: str | None


class Lock(BaseModel):
    """A lock that is held. One of a dead process can be freed."""

    what: Literal["module", "group"]
    name: str
    owner: str | None
    since: datetime
    dead: bool
    run_id: int | None


class Unlocked(BaseModel):
    """Whether there was a lock to free."""

    unlocked: bool


class UserShown(BaseModel):
    """Who may log in."""

    name: str
    role: Role


class UserFields(Body):
    """A user's role, and a password: for a new user, or a new one."""

    role: Role
    password: str | None = Field(default=None, min_length=MIN_PASSWORD_CHARS, max_length=1000)


class TokenShown(BaseModel):
    """A token without itself."""

    name: str
    role: Role
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    owner: str | None = Field(description="whose it is: it ends with them; null for one that the command made")
    expired: bool


class NewToken(Body):
    """A token that is wanted; without `days` it ends when it is revoked."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")
    role: Role = "viewer"
    days: int | None = Field(default=None, ge=1, le=3650)


class TokenMade(BaseModel):
    """A token, which cannot be had again."""

    name: str
    role: Role
    token: str


class Sql(Body):
    """A query to try: a module's, or a watermark's resolver."""

    sql: str = Field(min_length=1, max_length=500_000)
    rows: int = Field(default=50, ge=1, le=200)


class DescribedColumn(BaseModel):
    """A column of a query, as its source describes it."""

    name: str
    family: str
    type_name: str
    precision: int
    scale: int
    nullable: bool


class ModuleTrial(BaseModel):
    """What a run would do, and the first rows of the source query; or why that cannot be told."""

    sql: str
    columns: list[str]
    rows: list[list[str | None]]
    truncated: bool
    problem: str


class LateSchedule(BaseModel):
    """A schedule that should have fired."""

    schedule: str
    since: datetime


class NextTick(BaseModel):
    """A schedule's next time."""

    schedule: str
    group: str
    at: datetime


class BrokenDefinition(BaseModel):
    """A row of the store that is no valid record."""

    kind: DefinitionKind
    name: str
    problem: str


class Standing(BaseModel):
    """How things stand: modules by state, what runs, what failed within a day, what is late, what comes next."""

    counts: dict[str, int]
    running: list[RunRecord]
    running_groups: list[GroupRunRecord]
    failed: list[RunRecord]
    late: list[LateSchedule]
    next: list[NextTick]
    broken: list[BrokenDefinition]


class Found(BaseModel):
    """Something that a search found, and its page."""

    kind: str
    name: str
    url: str
    text: str


class CronTimes(BaseModel):
    """A cron expression in words and when it fires next, or what is wrong with it."""

    words: str
    next: list[datetime]
    problem: str | None


class TableWanted(Body):
    """A table to sync; what is null is proposed. `key` is columns with commas; an empty `watermark` is none."""

    table: str = Field(min_length=1, max_length=1000)
    name: str | None = None
    dest_table: str | None = None
    strategy: str | None = None
    key: str | None = None
    watermark: str | None = None


class TablesWanted(Body):
    """Tables to sync, from a connection to another, and the group that they join, with its schedule."""

    source: str
    dest: str
    tables: list[TableWanted] = Field(min_length=1, max_length=AT_ONCE)
    group: str | None = Field(default=None, min_length=1, max_length=100)
    cron: str | None = Field(default=None, max_length=200)
    timezone: str = Field(default="UTC", max_length=100)


class Proposal(BaseModel):
    """How a table would be synced and why, or why not."""

    table: str
    name: str
    dest_table: str
    strategy: str
    key: str
    watermark: str
    watermarks: dict[str, str] = Field(description="columns that could be the watermark, with the reason of each")
    reason: str
    cautions: list[str]
    problem: str

    @classmethod
    def of(cls, row: Row) -> Proposal:
        """From the line of the wizard's page."""
        fields: dict[str, Any] = {name: getattr(row, name) for name in cls.model_fields if name != "watermarks"}
        return cls(**{**fields, "cautions": list(row.cautions)}, watermarks=dict(row.watermarks))


class Proposals(BaseModel):
    """The wizard's proposals; with `plan=true` the definitions as YAML, the SQL of each module, and what a save must name."""

    tables: list[Proposal]
    problems: list[str]
    text: str = Field(description="for POST /api/definitions")
    sql: dict[str, str]
    versions: dict[str, dict[str, str]]


class DefinitionsText(Body):
    """Definitions as YAML, and the versions of the records that they change, as a plan gave them."""

    text: str = Field(max_length=500_000)
    versions: dict[str, dict[str, str]] = Field(default_factory=dict)


class Applied(BaseModel):
    """What a text of definitions changed, or with `plan=true` would change."""

    saved: bool
    lines: list[str]
    warnings: list[str]
    versions: dict[str, dict[str, str]] = Field(description="of the records before the change; empty for a new one")
    files: list[FileOutcome] = Field(default_factory=list)
