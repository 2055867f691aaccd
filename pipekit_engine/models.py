"""The records of pipekit: what the YAML definitions say and the state store holds.

A bad value is refused with the name of the field. A record never holds a secret: a password is a `$VAR` reference
that `pipekit_engine.security.secrets` resolves at run time.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias, get_args

from pydantic import AfterValidator, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from pipekit_engine.common.ages import LONGEST_AGE, read_age
from pipekit_engine.common.partitions import BOUNDS
from pipekit_engine.common.partitions import Partition as Partition
from pipekit_engine.records.runs import RUN_LOGS as RUN_LOGS
from pipekit_engine.records.runs import GroupRunRecord as GroupRunRecord
from pipekit_engine.records.runs import Record as Record
from pipekit_engine.records.runs import ResolvedWatermark as ResolvedWatermark
from pipekit_engine.records.runs import RunRecord as RunRecord
from pipekit_engine.records.timezones import check_timezone
from pipekit_engine.strategies import STRATEGIES

if TYPE_CHECKING:
    StrategyName: TypeAlias = str
else:
    # One of those that are registered, also in the JSON schema.
    StrategyName = Literal[tuple(STRATEGIES)]
RunOn = Literal["success", "failure", "always"]
OnSchemaChange = Literal["fail", "add_columns", "ignore"]
OnFailure = Literal["continue", "stop"]
TriggerKind = Literal["watermark", "group"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_SECRET_REFERENCE = re.compile(r"\$(?:[A-Za-z_][A-Za-z0-9_]*|\{[A-Za-z_][A-Za-z0-9_]*\})")
_CRON_FIELD = re.compile(
    r"(?:[0-9*,/#?-]|L|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC|SUN|MON|TUE|WED|THU|FRI|SAT)+", re.IGNORECASE
)
_PLACEHOLDER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _check_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("a name starts with a letter or digit and goes on with letters, digits, '_', '-' or '.'")
    return value


#: A name of a record: it appears in file names, Dagster names and staging table names.
Name = Annotated[str, AfterValidator(_check_name)]


#: `automation` of a module that follows what it reads.
EAGER: Final = "eager"

#: Type of the validation error of a module whose strategy needs a key.
KEY_MISSING: Final = "merge_key_missing"


class NamedRecord(Record):
    """Base of the records that the YAML files define by name."""

    name: Name


class Driver(NamedRecord):
    """A JDBC driver: which jar and class make connections of this kind."""

    kind: str
    jar: str | None = Field(
        default=None, description="path of the driver's jar, or a bare file name found in a jar folder"
    )
    class_name: str | None = Field(
        default=None, alias="class", description="class of java.sql.Driver; found in the jar when empty"
    )
    url_template: str | None = Field(default=None, description="what a JDBC URL of this driver looks like")


def _one_line(value: str) -> str:
    if not value.strip() or any(ord(char) < 32 or ord(char) == 127 for char in value):
        raise ValueError("must be one line of text, without control characters")
    return value


#: Path of a file, from the configuration's folder unless it is absolute.
FilePath = Annotated[str, AfterValidator(_one_line)]
TlsMode = Literal["disable", "prefer", "require", "verify-ca", "verify-full"]


class Tls(Record):
    """How a connection is encrypted, and what is checked of the server; the driver's own settings are made of it."""

    mode: TlsMode = Field(
        description="disable; prefer (encrypted where the server can); require (encrypted, the server is not checked); "
        "verify-ca (its certificate is signed by `ca`); verify-full (and is for the host that the URL names)"
    )
    ca: FilePath | None = Field(
        default=None, description="PEM file of the authorities that are trusted; those of the Java runtime when empty"
    )
    cert: FilePath | None = Field(
        default=None, description="PEM file of our own certificate, for a server that wants one"
    )
    key: FilePath | None = Field(default=None, description="PEM file of the key of `cert`, without a passphrase")

    @model_validator(mode="after")
    def _fields_fit_together(self) -> Tls:
        if self.ca is not None and not self.verifies:
            raise ValueError(f"`ca` is looked at with mode verify-ca or verify-full only, and mode is {self.mode}")
        if (self.cert is None) != (self.key is None):
            raise ValueError("`cert` and `key` are given together")
        if self.cert is not None and self.mode in ("disable", "prefer"):
            raise ValueError(f"`cert` and `key` need mode require, verify-ca or verify-full, and mode is {self.mode}")
        return self

    @property
    def verifies(self) -> bool:
        """Whether the server's certificate is checked."""
        return self.mode.startswith("verify")


class Tunnel(Record):
    """An SSH server through which a connection goes, by OpenSSH's own client. Its host key must be known."""

    host: str = Field(pattern=r"^[A-Za-z0-9_\[:.][A-Za-z0-9_.:%\]-]*$", description="the SSH server")
    port: int = Field(default=22, ge=1, le=65535, description="its port")
    user: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.@+\\-]*$",
        description="the login there; who runs pipekit when empty",
    )
    key: FilePath | None = Field(
        default=None, description="file of the private key, without a passphrase; the usual ones of ~/.ssh when empty"
    )
    known_hosts: FilePath | None = Field(
        default=None, description="file of known host keys; ~/.ssh/known_hosts and the system's when empty"
    )


class Connection(NamedRecord):
    """A database that modules read from or write to."""

    driver: str = Field(description="name of a registered driver, such as postgresql")
    jdbc_url: str
    username: str | None = None
    password: str | None = Field(
        default=None, description="a $VAR reference into the secrets, never the password itself"
    )
    options: dict[str, str] = Field(default_factory=dict, description="JDBC properties for the driver")
    max_parallel: int | None = Field(
        default=None, ge=1, description="module runs that may use this connection side by side"
    )
    staging_schema: Name | None = Field(default=None, description="schema for staging tables; the config's when empty")
    tls: Tls | None = Field(default=None, description="how it is encrypted; as the driver does by itself when empty")
    tunnel: Tunnel | None = Field(default=None, description="the SSH server through which it goes; none when empty")

    @field_validator("password")
    @classmethod
    def _password_is_a_reference(cls, value: str | None) -> str | None:
        if value is not None and not _SECRET_REFERENCE.fullmatch(value):
            # The value itself is not repeated: it may be the password.
            raise ValueError("must be a $VAR reference; set the value with `pipekit secrets set VAR`")
        return value

    @field_validator("options", mode="before")
    @classmethod
    def _options_are_text(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {key: str(item).lower() if isinstance(item, bool) else str(item) for key, item in value.items()}

    @field_validator("jdbc_url")
    @classmethod
    def _url_is_jdbc(cls, value: str) -> str:
        if not value.startswith("jdbc:"):
            raise ValueError("must start with 'jdbc:', such as jdbc:postgresql://host:5432/database")
        return value


class Column(Record):
    """One column of a module: where it comes from and what it becomes."""

    source_name: str
    dest_name: str
    dest_type: str | None = Field(
        default=None, description="SQL type in the destination; mapped from the source when empty"
    )

    @model_validator(mode="before")
    @classmethod
    def _dest_name_defaults_to_source(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"source_name": value, "dest_name": value}
        if isinstance(value, dict) and "source_name" in value and "dest_name" not in value:
            return {**value, "dest_name": value["source_name"]}
        return value


class Watermark(Record):
    """A value that fills `{name}` in the source query: the first cell of the resolver's first row, as text."""

    name: str
    connection: str = Field(description="connection on which the resolver runs")
    resolver_sql: str
    default: str | None = Field(default=None, description="taken when the resolver gives NULL or no row")

    @field_validator("name")
    @classmethod
    def _name_is_a_placeholder(cls, value: str) -> str:
        if not _PLACEHOLDER.fullmatch(value):
            raise ValueError("a watermark's name is letters, digits and '_', not starting with a digit")
        return value

    @field_validator("default", mode="before")
    @classmethod
    def _default_is_text(cls, value: Any) -> Any:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return str(value)
        # YAML turns 2013-01-01 into a date; what the person typed is what is meant.
        return value.isoformat() if hasattr(value, "isoformat") else value


class Hook(Record):
    """SQL that runs after the merge."""

    sql: str
    run_on: RunOn = "success"
    connection: str | None = Field(default=None, description="the module's destination unless said")
    run_order: int | None = Field(
        default=None, ge=0, description="place among the hooks; the order of writing when empty"
    )


#: What a check's SQL can name: the table that is checked, and the destination.
CHECK_PLACEHOLDERS: Final = ("table", "destination")
#: What `pipekit check` and the runs of a module can check without SQL of the module's own, by the name of the check.
BUILTIN_CHECKS: Final[dict[str, str]] = {
    "rows": "the rows that were moved are there",
    "unique_key": "no two rows share the merge_key",
    "not_null": "the columns of the merge_key, or those named, hold no NULL",
    "freshness": "the last success is not older than `fresh_within`",
    "volume": "the number of rows read is near that of earlier runs",
    "diff": "the destination has what the source has now",
}
#: Those of them that no run asks: the source goes on changing while a run reads it, and all rows would be read twice more.
ASKED_ALONE: Final = frozenset({"diff"})
#: Those of them that can be asked of staged rows.
_STAGING_CHECKS: Final = frozenset({"unique_key", "not_null", "volume"})


class Check(Record):
    """Something that has to be true of the rows: SQL that must give none, or one of pipekit's own checks by its name."""

    name: Name
    sql: str | None = Field(
        default=None,
        description="must give no rows; `{table}` is what is checked: staging before the merge, else the destination, which "
        "`{destination}` always is",
    )
    on: Literal["staging", "destination"] = Field(
        default="destination",
        description="`staging`: before the merge, of the staged rows; `destination`: after the merge",
    )
    severity: Literal["error", "warning"] = Field(
        default="error",
        description="`error`: the run fails, on staging before anything is merged; `warning`: it is told, and the run goes on",
    )
    columns: tuple[str, ...] = Field(
        default=(), description="not_null: columns of the destination; the merge_key's when empty"
    )
    runs: int = Field(default=10, ge=1, le=1000, description="volume: earlier successful runs that are compared with")
    deviation_percent: float = Field(
        default=50, gt=0, description="volume: how far the rows read may lie from the mean of those runs"
    )

    @property
    def builtin(self) -> bool:
        """Whether it is one of pipekit's own."""
        return self.sql is None

    @model_validator(mode="after")
    def _fields_fit_together(self) -> Check:
        known = self.name in BUILTIN_CHECKS
        if self.sql is None and not known:
            raise ValueError(f"needs `sql`, or the name of one of pipekit's own checks: {', '.join(BUILTIN_CHECKS)}")
        if self.sql is not None and known:
            raise ValueError(f"{self.name} is one of pipekit's own checks and takes no `sql`; give yours another name")
        if self.sql is not None and not self.sql.strip():
            raise ValueError("`sql` is empty; write a SELECT for the rows that must not be")
        if known and self.on == "staging" and self.name not in _STAGING_CHECKS:
            raise ValueError(f"{self.name} is a check of the destination")
        if self.columns and self.name != "not_null":
            raise ValueError("`columns` is for not_null")
        if self.name != "volume" and self.model_fields_set & {"runs", "deviation_percent"}:
            raise ValueError("`runs` and `deviation_percent` are for volume")
        return self


#: Least and greatest number of each field of a cron expression.
_CRON_RANGES = (("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7))


def check_cron(value: str) -> str:
    """The cron expression without spaces around it. Raises ValueError unless it fires some day."""
    from croniter import croniter

    value = value.strip()
    aliases = ("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually")
    if value.startswith("@"):
        if value not in aliases:
            raise ValueError(f"{value!r} is not one of {', '.join(aliases)}")
    elif len(value.split()) != 5:
        raise ValueError("must have five fields: minute hour day month weekday")
    else:
        odd = [field for field in value.split() if not _CRON_FIELD.fullmatch(field)]
        if odd:
            # croniter knows more (R, H, W); Dagster does not, or they would differ from one evaluation to the next.
            raise ValueError(f"{odd[0]!r} is not a cron field: use numbers, names, '*', ',', '-', '/', 'L' and '#'")
    try:
        croniter(value, datetime(2026, 1, 1)).get_next()
    except Exception as error:  # croniter's own errors are of many families
        for field, (name, least, most) in zip(value.split(), _CRON_RANGES, strict=False):
            wrong = [n for n in re.findall(r"(?<![/\d#])\d+", field) if not least <= int(n) <= most]
            if wrong:
                raise ValueError(f"{value!r}: the {name} {wrong[0]} is not between {least} and {most}") from None
        raise ValueError(f"{value!r} is not a cron expression that ever fires: {error}") from None
    return value


class Module(NamedRecord):
    """One sync job: a source query, a destination table and how the rows are merged into it."""

    source: str
    dest: str
    query: str
    dest_table: str = Field(
        description="read as the destination reads a name in SQL: schema.table, quoted parts kept exactly"
    )
    strategy: StrategyName = Field(
        description="how the rows get in: "
        + ", ".join(f"`{item.name}` ({item.summary})" for item in STRATEGIES.values())
    )
    merge_key: tuple[str, ...] = ()
    columns: tuple[Column, ...] = Field(default=(), description="taken from the described query when empty")
    enabled: bool = True
    dedupe: str = Field(default="none", description="none, error, or 'latest by COLUMN'")
    max_shrink_percent: float | None = Field(default=None, ge=0, le=100)
    on_schema_change: OnSchemaChange = "fail"
    cascades: Literal["refuse", "allow"] = "refuse"
    verify: Literal["counts", "values"] = Field(
        default="counts",
        description="what is compared of the rows read and those in staging: their number, or also their values as the "
        "destination gives them back, which reads staging once more",
    )
    staging: Literal["always", "auto"] = Field(
        default="always",
        description="whether rows go into a staging table first: `auto` loads them straight into the destination, in the merge's "
        "transaction, where nothing asks the staged rows; its locks then last as long as the source is read",
    )
    resume_every: int | None = Field(
        default=None,
        ge=1,
        description="rows after which a load stays staged when the run breaks off, so that the next one goes on behind them: "
        "for a module with a merge_key and without watermarks, whose source has an index on the key",
    )
    retry: int = Field(default=0, ge=0, le=20, description="further tries after a failure before the merge")
    watermarks: tuple[Watermark, ...] = ()
    hooks: tuple[Hook, ...] = ()
    checks: tuple[Check, ...] = ()
    tags: dict[str, str] = Field(default_factory=dict)
    owners: tuple[str, ...] = Field(default=(), description="mail addresses, or names of teams, of who answers for it")
    split_by: tuple[str, ...] = Field(
        default=(),
        description="an indexed key whose ranges are read over several connections: a column, or several; or `ctid` "
        "(PostgreSQL), `rowid` (SQLite)",
    )
    retry_merge: int = Field(
        default=3,
        ge=0,
        le=20,
        description="further tries of the merge, from staging, when the database took it back for a deadlock or a lock that did "
        "not come",
    )
    parallel: int = Field(
        default=1,
        ge=1,
        le=32,
        description="connections that read the source, in ranges of split_by, or else of the key",
    )
    automation: str | None = Field(
        default=None,
        description="when Dagster materializes the table by itself: `eager`, after one of the tables that the query reads was "
        "filled by a module, or a cron expression in UTC",
    )
    partition: Partition | None = Field(
        default=None,
        description="a run reads and replaces one day, month, hour or range of numbers, by `{partition_start}` and "
        "`{partition_end}` in the query",
    )
    fresh_within: str | None = Field(
        default=None,
        description="age from which Dagster shows the table as overdue: a number and m, h, d or w, such as 36h",
    )

    @field_validator("merge_key", "split_by", mode="before")
    @classmethod
    def _key_may_be_text(cls, value: Any) -> Any:
        if value is None:
            return ()
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("merge_key", "split_by")
    @classmethod
    def _key_names_are_distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if "," in name:
                # The store keeps the key as comma-separated text.
                raise ValueError(f"a key column's name cannot hold a comma: {name!r}")
        if len({name.casefold() for name in value}) != len(value):
            raise ValueError("names a column twice")
        return value

    @field_validator("dedupe")
    @classmethod
    def _dedupe_is_known(cls, value: str) -> str:
        if value in ("none", "error") or re.fullmatch(r"latest by \S.*", value):
            return value
        raise ValueError("must be none, error or 'latest by COLUMN'")

    @field_validator("automation", mode="before")
    @classmethod
    def _automation_is_eager_or_cron(cls, value: Any) -> Any:
        if value is None or value == EAGER:
            return value
        try:
            return check_cron(str(value))
        except ValueError as error:
            raise ValueError(f"must be {EAGER} or a cron expression such as '0 5 * * *': {error}") from None

    @field_validator("fresh_within")
    @classmethod
    def _fresh_within_is_an_age(cls, value: str | None) -> str | None:
        if value is None:
            return None
        age = read_age(value)
        if not age:
            raise ValueError(f"{value!r} is no age; write a number and m, h, d or w, such as 36h")
        if age > LONGEST_AGE:
            raise ValueError(f"{value!r} is more than a hundred years; leave it out")
        return value

    @property
    def fresh_age(self) -> timedelta | None:
        """`fresh_within` as a duration."""
        return read_age(self.fresh_within) if self.fresh_within else None

    @property
    def dedupe_column(self) -> str | None:
        """Column of `dedupe: latest by COLUMN`, else None."""
        return self.dedupe.removeprefix("latest by ").strip() if self.dedupe.startswith("latest by ") else None

    def _refuse_resume(self) -> None:
        """Raise ValueError for a load that cannot go on where it broke off."""
        if self.resume_every is None:
            return
        if not self.merge_key:
            raise ValueError("resume_every needs a merge_key, by whose first column the source is read in ranges")
        if not STRATEGIES[self.strategy].rereads:
            raise ValueError(f"resume_every is not for strategy {self.strategy}, which would add rows of two moments")
        for given, what, why in (
            (
                self.watermarks,
                "watermarks",
                "rows that change between two tries would be behind the next value, and never come",
            ),
            (self.partition, "a partition", "which is small, and read again"),
            (self.split_by or self.parallel > 1, "split_by and parallel", "whose ranges are read side by side"),
            (self.verify == "values", "verify: values", "which compares all rows of one read"),
        ):
            if given:
                raise ValueError(f"resume_every does not go with {what}: {why}")

    @model_validator(mode="after")
    def _fields_fit_together(self) -> Module:
        strategy = STRATEGIES[self.strategy]
        if strategy.needs_key and not self.merge_key:
            raise PydanticCustomError(KEY_MISSING, "strategy {strategy} needs a merge_key", {"strategy": self.strategy})
        if self.dedupe != "none" and not self.merge_key:
            raise ValueError("dedupe needs a merge_key")
        if self.max_shrink_percent is not None and not strategy.replaces_table:
            fitting = [name for name, other in STRATEGIES.items() if other.replaces_table]
            raise ValueError(f"max_shrink_percent is for strategy {' or '.join(fitting)}")
        if self.partition is not None:
            if not strategy.replaces_table:
                fitting = [name for name, other in STRATEGIES.items() if other.replaces_table]
                raise ValueError(
                    f"partition is for strategy {' or '.join(fitting)}, which then replaces one partition: "
                    f"{self.strategy} would leave rows in it that the source has no more"
                )
            if self.watermarks:
                raise ValueError("a module with a partition has no watermarks: what they leave out would be deleted")
        self._refuse_resume()
        names = [watermark.name for watermark in self.watermarks]
        if len(set(names)) != len(names):
            raise ValueError("declares a watermark twice")
        checks = [check.name for check in self.checks]
        if len(set(checks)) != len(checks):
            raise ValueError("has two checks of one name")
        if "freshness" in checks and self.fresh_within is None:
            raise ValueError("check freshness needs fresh_within")
        if "diff" in checks:
            undefaulted = [watermark.name for watermark in self.watermarks if watermark.default is None]
            if undefaulted:
                raise ValueError(
                    f"check diff compares all rows: watermark {undefaulted[0]} needs a `default` that leaves none out"
                )
            if self.dedupe_column is not None or self.strategy == "append":
                raise ValueError(
                    "check diff is not for `append` or `dedupe: latest`: the destination has other rows than the query"
                )
        for check in self.checks:
            if check.builtin and not self.merge_key and not check.columns and check.name in ("unique_key", "not_null"):
                raise ValueError(
                    f"check {check.name} needs a merge_key{' or columns' if check.name == 'not_null' else ''}"
                )
        dest_names = [column.dest_name for column in self.columns]
        if len(set(dest_names)) != len(dest_names):
            raise ValueError("columns name a destination column twice")
        return self

    @property
    def placeholders(self) -> tuple[str, ...]:
        """What a run fills in the query: its watermarks, and the bounds of its partition."""
        return (*(watermark.name for watermark in self.watermarks), *(BOUNDS if self.partition else ()))

    @property
    def ordered_hooks(self) -> tuple[Hook, ...]:
        """Hooks in run_order, ties and unordered ones in the order of writing."""
        placed = [(hook.run_order if hook.run_order is not None else i, i, hook) for i, hook in enumerate(self.hooks)]
        return tuple(hook for _, _, hook in sorted(placed, key=lambda item: item[:2]))


class Group(NamedRecord):
    """Modules that run together. `layers` run one after another; the members of one layer may run side by side."""

    layers: tuple[tuple[str, ...], ...] = Field(min_length=1)
    max_parallel: int = Field(default=1, ge=1)
    on_failure: OnFailure = "continue"
    spread: bool = Field(
        default=False, description="whether a run of `pipekit serve` gives the members to the workers, each by itself"
    )

    @field_validator("layers")
    @classmethod
    def _members_are_distinct(cls, value: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
        members = [member for layer in value for member in layer]
        twice = sorted({member for member in members if members.count(member) > 1})
        if twice:
            raise ValueError(f"lists {', '.join(twice)} twice")
        if any(not layer for layer in value):
            raise ValueError("has an empty list among its members")
        return value

    @property
    def members(self) -> tuple[str, ...]:
        """All members, in run order."""
        return tuple(member for layer in self.layers for member in layer)


class Schedule(NamedRecord):
    """A cron expression that runs a group."""

    group: str
    cron: str
    timezone: str = "UTC"
    enabled: bool = True
    misfire_grace: int | None = Field(default=None, ge=1, description="seconds after which a missed tick is skipped")

    @field_validator("cron")
    @classmethod
    def _cron_has_a_next_tick(cls, value: str) -> str:
        return check_cron(value)

    @field_validator("timezone")
    @classmethod
    def _timezone_is_known(cls, value: str) -> str:
        return check_timezone(value)


class Trigger(NamedRecord):
    """An event that runs a group: a resolver's value changed, or another group succeeded."""

    group: str
    kind: TriggerKind
    connection: str | None = Field(default=None, description="watermark: where the resolver runs")
    sql: str | None = Field(default=None, description="watermark: its value is compared with last time's")
    after: str | None = Field(default=None, description="group: the group whose success is waited for")
    every: int = Field(default=60, ge=5, description="seconds between two looks")
    enabled: bool = True

    @model_validator(mode="after")
    def _settings_fit_the_kind(self) -> Trigger:
        if self.kind == "watermark" and not (self.connection and self.sql):
            raise ValueError("a watermark trigger needs connection and sql")
        if self.kind == "group":
            if not self.after:
                raise ValueError("a group trigger needs after: the group whose success it waits for")
            if self.after == self.group:
                raise ValueError("a group cannot trigger itself")
        return self


#: What the YAML files define and the state store holds; the key of the YAML files and the field of `Definitions`.
DefinitionKind = Literal["drivers", "connections", "modules", "groups", "schedules", "triggers"]
#: In the order in which one kind may refer to those before it.
DEFINITION_KINDS: tuple[DefinitionKind, ...] = get_args(DefinitionKind)
RECORD_TYPES: dict[DefinitionKind, type[NamedRecord]] = {
    "drivers": Driver,
    "connections": Connection,
    "modules": Module,
    "groups": Group,
    "schedules": Schedule,
    "triggers": Trigger,
}


def singular(kind: DefinitionKind) -> str:
    """What one record of the kind is called, such as `module`."""
    return kind[:-1]


def record_label(kind: DefinitionKind, name: str) -> str:
    """A record for a person, such as `module orders`."""
    return f"{singular(kind)} {name}"


class Definitions(Record):
    """All that the YAML files define, by name."""

    drivers: dict[str, Driver] = Field(default_factory=dict)
    connections: dict[str, Connection] = Field(default_factory=dict)
    modules: dict[str, Module] = Field(default_factory=dict)
    groups: dict[str, Group] = Field(default_factory=dict)
    schedules: dict[str, Schedule] = Field(default_factory=dict)
    triggers: dict[str, Trigger] = Field(default_factory=dict)

    def of_kind(self, kind: DefinitionKind) -> dict[str, NamedRecord]:
        """The records of one kind, by name."""
        records: dict[str, NamedRecord] = getattr(self, kind)
        return records

    @property
    def connection_limits(self) -> dict[str, int]:
        """`max_parallel` of the connections that have one: the module runs that may use the connection side by side."""
        return {name: item.max_parallel for name, item in self.connections.items() if item.max_parallel is not None}
