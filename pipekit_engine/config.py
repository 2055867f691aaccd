"""The configuration file: where state lives, how jrunner runs, which schema holds staging tables.

Looked for in this order: the path given, `PIPEKIT_CONFIG`, `./pipekit.yaml`, `/etc/pipekit/config.yaml`; with none of them,
the defaults stand and state lives in `./pipekit.db`. Relative paths in the file are relative to the file.
"""

from __future__ import annotations

import os
import re
from datetime import timedelta
from difflib import get_close_matches
from ipaddress import ip_network
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from pipekit_engine.common.ages import LONGEST_AGE, read_age
from pipekit_engine.common.validation import FieldProblem, field_problems
from pipekit_engine.common.yaml_limits import TooMuchYaml, check_size
from pipekit_engine.errors import ConfigurationError

SYSTEM_CONFIG = Path("/etc/pipekit/config.yaml")
LOCAL_CONFIG = "pipekit.yaml"
DEFAULT_SECRETS = Path("/etc/pipekit/secrets.env")
#: The drivers in a wheel that was built with some (`make wheel`).
BUNDLED_JARS = Path(__file__).parent / "_drivers"
DEBIAN_JARS = Path("/usr/share/java")
_HOST_PORT = r"(\[[0-9A-Fa-f:.]+\]|[^@/?#:;\s]+)(:\d{1,5})?"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class JRunnerConfig(_Section):
    """How jrunner is started. `command` names an external program to drive by jrunner's flags instead."""

    java: str | None = Field(default=None, description="the java program; JAVA_HOME and PATH are searched when empty")
    heap: str = Field(
        default="256m",
        pattern=r"^\d+[kmgKMG]$",
        description="memory of a module's run in jrunner; up to four runs share a process, whose -Xmx is four times that",
    )
    command: str | None = Field(default=None, description="an external jrunner, driven by its flags")


class MailAlert(_Section):
    """Mail sent when a group fails."""

    host: str
    port: int = 25
    starttls: bool = False
    username: str | None = None
    password: str | None = Field(default=None, description="a $VAR reference")
    sender: str
    to: list[str] = Field(min_length=1)


class AlertsConfig(_Section):
    """Who is told when a group fails."""

    webhook: str | None = Field(default=None, description="URL that takes a JSON POST; may be a $VAR reference")
    mail: MailAlert | None = None
    timeout_s: float = Field(default=10, gt=0)


class SecretSource(_Section):
    """A place beside the secrets file where secrets are looked for: one of the three."""

    folder: Path | None = Field(
        default=None,
        description="a file a secret: systemd's $CREDENTIALS_DIRECTORY, /run/secrets of Docker or Kubernetes",
    )
    command: list[str] | None = Field(
        default=None, min_length=1, description="a program that prints the secret; {key} in it is the secret's name"
    )
    keyring: str | None = Field(
        default=None, description="a service's name in the keyring (pip install pipekit[keyring])"
    )

    @model_validator(mode="after")
    def _is_one(self) -> SecretSource:
        if sum(item is not None for item in (self.folder, self.command, self.keyring)) != 1:
            raise ValueError("takes exactly one of folder, command and keyring")
        return self


class RetentionConfig(_Section):
    """How long finished runs are kept."""

    runs: str | None = Field(default=None, pattern=r"^\d+[dhw]$", description="such as 90d; kept for ever when empty")

    @field_validator("runs")
    @classmethod
    def _is_an_age(cls, text: str | None) -> str | None:
        if text is not None:
            try:
                parse_age(text)
            except ConfigurationError as error:
                raise ValueError(str(error)) from None
        return text

    @property
    def age(self) -> timedelta | None:
        """`runs` as a length of time."""
        return None if self.runs is None else parse_age(self.runs)


class WorkersConfig(_Section):
    """Hosts that share the runs, by a Redis or a RabbitMQ that hands them out."""

    broker: str = Field(
        description="redis://host:6379/0, or amqp://host:5672/vhost of RabbitMQ; rediss:// and amqps:// for TLS; "
        "`username` and `password` hold its login"
    )
    username: str | None = Field(default=None, description="login, if the broker wants one")
    password: str | None = Field(default=None, description="a $VAR reference")
    queue: str = Field(
        default="pipekit", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,79}$", description="the queue that runs are put into"
    )
    at_once: int = Field(default=4, ge=1, le=1000, description="runs that a worker has at work side by side")

    @field_validator("broker")
    @classmethod
    def _broker_is_one_that_is_known(cls, url: str) -> str:
        if not re.fullmatch(rf"rediss?://{_HOST_PORT}(/\d+)?|amqps?://{_HOST_PORT}(/[^@?#\s]*)?", url):
            # The text itself is not repeated: a password may stand in it.
            raise ValueError(
                "must be redis://HOST:PORT/NUMBER or amqp://HOST:PORT/VHOST, rediss:// or amqps:// for TLS, "
                "without a login: `username` and `password` hold it"
            )
        return url

    @field_validator("password")
    @classmethod
    def _password_is_a_reference(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"\$(\w+|\{\w+\})", value):
            raise ValueError("must be a $VAR reference; set the value with `pipekit secrets set VAR`")
        return value

    @model_validator(mode="after")
    def _rabbitmq_has_names(self) -> WorkersConfig:
        if self.is_rabbitmq and self.password is not None and self.username is None:
            raise ValueError("`username` is needed with `password`: a login of RabbitMQ has a name")
        return self

    @property
    def is_rabbitmq(self) -> bool:
        """Whether the broker is a RabbitMQ, and not a Redis."""
        return self.broker.startswith("amqp")


class Config(_Section):
    """The whole configuration. `path` is the file it came from, None when defaults stand."""

    database: str = Field(default="pipekit.db", description="path of an SQLite file, or an SQLAlchemy URL")
    dagster_storage: str | None = Field(
        default=None,
        description="URL of a PostgreSQL database for Dagster's own records, where several hosts share them",
    )
    definitions: Path | None = Field(
        default=None,
        description="folder of YAML files, or one file, that definitions live in: `pipekit apply` reads it, and what is saved in "
        "the browser is written back into it",
    )
    secrets: Path | None = Field(default=None, description="the secrets file; PIPEKIT_SECRETS overrides")
    secrets_from: list[SecretSource] = Field(
        default_factory=list, description="where secrets that the file lacks are looked for, in this order"
    )
    jars: list[Path] = Field(default_factory=lambda: [DEBIAN_JARS], description="folders searched for JDBC jars")
    maven_repository: str | None = Field(
        default=None,
        description="address of a Maven repository for `pipekit drivers install`; may be a $VAR reference, may hold a login",
    )
    staging_schema: str = Field(default="pipekit_staging", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    allowed_driver_settings: list[str] = Field(
        default_factory=list,
        description="driver settings that run code or use files (INIT, socketFactory, ldap) and are allowed all the same",
    )
    connect_timeout_s: float = Field(default=15, gt=0)
    host: str = "127.0.0.1"
    port: int = Field(default=3000, ge=1, le=65535)
    trusted_proxies: list[str] = Field(
        default_factory=list,
        description="addresses or networks of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed",
    )
    jrunner: JRunnerConfig = JRunnerConfig()
    alerts: AlertsConfig = AlertsConfig()
    retention: RetentionConfig = RetentionConfig()
    workers: WorkersConfig | None = Field(
        default=None,
        description="spread the runs of `pipekit serve` over the hosts on which `pipekit serve --worker` runs",
    )
    path: Path | None = Field(default=None, exclude=True)

    @model_validator(mode="after")
    def _workers_share_their_state(self) -> Config:
        if self.workers is not None and (self.dagster_storage is None or self.database_url.startswith("sqlite")):
            raise ValueError("`workers` need `database` and `dagster_storage` on PostgreSQL, which all hosts reach")
        return self

    @field_validator("trusted_proxies")
    @classmethod
    def _proxies_are_addresses(cls, addresses: list[str]) -> list[str]:
        for address in addresses:
            ip_network(address)  # its ValueError says what is wrong
        return addresses

    @field_validator("jrunner", mode="before")
    @classmethod
    def _jrunner_may_be_a_command(cls, value: Any) -> Any:
        return {"command": value} if isinstance(value, str) else value

    @property
    def folder(self) -> Path:
        """Folder that relative paths start from."""
        return self.path.parent if self.path else Path.cwd()

    @property
    def secrets_file(self) -> Path:
        """The secrets file in force: PIPEKIT_SECRETS, then the config's, then /etc/pipekit/secrets.env."""
        override = os.environ.get("PIPEKIT_SECRETS")
        if override:
            return Path(override)
        return self.folder / self.secrets if self.secrets else DEFAULT_SECRETS

    @property
    def definitions_path(self) -> Path | None:
        """`definitions` as an absolute path; None where definitions live in the store alone."""
        return None if self.definitions is None else (self.folder / self.definitions).absolute()

    @property
    def database_url(self) -> str:
        """The state store as an SQLAlchemy URL."""
        if "://" in self.database:
            return self.database
        return f"sqlite:///{(self.folder / self.database).absolute()}"

    @property
    def dagster_storage_url(self) -> str | None:
        """`dagster_storage` for Dagster's own driver; None where Dagster keeps its records in files.

        Raises ConfigurationError for what is no PostgreSQL URL, and for the database that holds pipekit's state.
        """
        if self.dagster_storage is None:
            return None
        match = re.fullmatch(r"(?:postgresql|postgres)(?:\+\w+)?://(.+)", self.dagster_storage)
        if match is None:
            raise ConfigurationError(
                "`dagster_storage` in the config must be the URL of a PostgreSQL database: postgresql://user@host/dagster"
            )
        if "://" in self.database and _place(self.database) == _place(self.dagster_storage):
            # Both keep the revision of their tables in one that is called alembic_version.
            raise ConfigurationError(
                "`dagster_storage` must name another database than `database`: create one for each."
            )
        return f"postgresql+psycopg2://{match[1]}"

    @property
    def jar_folders(self) -> list[Path]:
        """Folders to look for jars in, absolute: those of the configuration, then the drivers that a wheel may hold.

        Debian's folder comes last: its SQLite jar works with Debian's own Java alone, and some of its drivers are old.
        """
        own = [self.folder / folder for folder in self.jars]
        bundled = [BUNDLED_JARS] if BUNDLED_JARS.is_dir() else []
        return [
            *(folder for folder in own if folder != DEBIAN_JARS),
            *bundled,
            *(folder for folder in own if folder == DEBIAN_JARS),
        ]


def _place(url: str) -> str:
    """Host, port and database of a URL: without driver, login and options."""
    return url.partition("://")[2].partition("?")[0].rpartition("@")[2]


def find_config(path: str | Path | None = None) -> Path | None:
    """The configuration file in force, or None when there is none.

    Raises ConfigurationError when a file that was named (by argument or PIPEKIT_CONFIG) does not exist.
    """
    for named, origin in ((path, "--config"), (os.environ.get("PIPEKIT_CONFIG"), "PIPEKIT_CONFIG")):
        if named:
            if not Path(named).is_file():
                raise ConfigurationError(f"{origin} names {str(named)!r}, which is not a file.")
            return Path(named).absolute()
    for candidate in (Path.cwd() / LOCAL_CONFIG, SYSTEM_CONFIG):
        if candidate.is_file():
            return candidate
    return None


def load_config(path: str | Path | None = None) -> Config:
    """Read the configuration. Raises ConfigurationError naming file, field and fix."""
    found = find_config(path)
    if found is None:
        return Config()
    import yaml

    try:
        text = found.read_text(encoding="utf-8")
        check_size(text)
        data = yaml.safe_load(text) or {}
    except TooMuchYaml as error:
        raise ConfigurationError(f"{found}:{error.line}: {error}.") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(f"{found}: cannot be read as YAML: {error}") from None
    if not isinstance(data, dict):
        raise ConfigurationError(f"{found}: must hold `key: value` pairs, such as `database: pipekit.db`.")
    try:
        return Config.model_validate({**data, "path": found})
    except ValidationError as error:
        raise ConfigurationError("\n".join(f"{found}: {_told(item)}" for item in field_problems(error))) from None


def _told(problem: FieldProblem) -> str:
    """`field: what is wrong`, with the nearest right key for an unknown one."""
    if problem.type != "extra_forbidden":
        return str(problem)
    section: Any = Config
    for part in problem.loc[:-1]:
        annotation = section.model_fields[part].annotation
        section = next((kind for kind in (annotation, *get_args(annotation)) if hasattr(kind, "model_fields")), section)
    near = get_close_matches(str(problem.loc[-1]), list(section.model_fields), n=1)
    return f"{'.'.join(map(str, problem.loc))}: unknown key" + (f"; did you mean {near[0]!r}?" if near else "")


def parse_age(text: str) -> timedelta:
    """`90d`, `12w` or `48h` as a duration. Raises ConfigurationError."""
    age = read_age(text, "hdw")
    if age is None:
        raise ConfigurationError(f"{text!r} is no age; write a number and h, d or w, such as 90d.")
    if age > LONGEST_AGE:
        raise ConfigurationError(f"{text!r} is more than a hundred years; to keep runs for ever, leave it out.")
    return age
