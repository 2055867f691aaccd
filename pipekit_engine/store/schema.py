"""Tables of the state store, as SQLAlchemy Core.

This is the newest shape; `migrations/` leads there from every earlier one, and a test holds the two against each other.
Times are UTC: ISO 8601 text in SQLite (so that a person can read the file), `timestamptz` in PostgreSQL.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
    text,
    true,
)

from pipekit_engine.records.statuses import RUN_STATUSES

if TYPE_CHECKING:
    from sqlalchemy import Dialect
    from sqlalchemy.types import TypeEngine

    from pipekit_engine.models import DefinitionKind

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UTCDateTime(TypeDecorator[datetime]):
    """An instant. Python side: an aware datetime in UTC. Naive datetimes are refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Text in SQLite, which has no type for instants; the database's own type elsewhere."""
        chosen: TypeEngine[Any] = String(32) if dialect.name == "sqlite" else DateTime(timezone=True)
        return dialect.type_descriptor(chosen)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> object:
        """Fixed-width text, so that it sorts as the instants do."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("the store takes aware datetimes only")
        value = value.astimezone(timezone.utc)
        return value.isoformat(timespec="microseconds") if dialect.name == "sqlite" else value

    def process_result_value(self, value: object, dialect: Dialect) -> datetime | None:
        """Always aware, always UTC."""
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        return value.astimezone(timezone.utc) if isinstance(value, datetime) else None


#: A count of rows or bytes: beyond two thousand million, so 64 bits.
Count = BigInteger().with_variant(Integer(), "sqlite")

#: Makes an index of the locks that are held alone.
_WHERE_RUNNING: dict[str, Any] = {"postgresql_where": text("running"), "sqlite_where": text("running")}

_STATUS_CHECK = "status IN (" + ", ".join(f"'{status}'" for status in RUN_STATUSES) + ")"

driver = Table(
    "driver",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("kind", String(40), nullable=False),
    Column("jar", Text),
    Column("class", Text, key="class_name"),
    Column("url_template", Text),
    Column("updated_at", UTCDateTime, nullable=False),
)

connection = Table(
    "connection",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("driver", String(100), ForeignKey("driver.name", onupdate="CASCADE"), nullable=False),
    Column("jdbc_url", Text, nullable=False),
    Column("username", Text),
    Column("password", Text),
    Column("options", Text, nullable=False, server_default="{}"),
    Column("max_parallel", Integer),
    Column("staging_schema", String(100)),
    Column("tls", Text),
    Column("tunnel", Text),
    Column("updated_at", UTCDateTime, nullable=False),
)

#: What `pipekit connections certify` found; the newest of each connection.
certificate = Table(
    "certificate",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("connection_id", Integer, ForeignKey("connection.id", ondelete="CASCADE"), nullable=False, unique=True),
    Column("kind", String(40), nullable=False),
    Column("product", Text, nullable=False),
    Column("product_version", Text, nullable=False),
    Column("driver", Text, nullable=False),
    Column("driver_version", Text, nullable=False),
    Column("pipekit", String(40), nullable=False),
    Column("certified_at", UTCDateTime, nullable=False),
    Column("held", Integer, nullable=False),
    Column("refused", Integer, nullable=False),
    Column("broken", Text, nullable=False),
)

module = Table(
    "module",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("source", String(100), ForeignKey("connection.name", onupdate="CASCADE"), nullable=False),
    Column("dest", String(100), ForeignKey("connection.name", onupdate="CASCADE"), nullable=False),
    Column("query", Text, nullable=False),
    Column("dest_table", Text, nullable=False),
    Column("strategy", String(20), nullable=False),
    Column("merge_key", Text, nullable=False, server_default=""),
    Column("columns_json", Text, nullable=False, server_default="[]"),
    Column("enabled", Boolean, nullable=False, server_default=true()),
    Column("options_json", Text, nullable=False, server_default="{}"),
    Column("updated_at", UTCDateTime, nullable=False),
    # The lock. `running_token` is drawn anew for each run: who lost the lock cannot mistake another's for its own.
    Column("running", Boolean, nullable=False, server_default=false()),
    Column("running_token", String(36)),
    Column("running_owner", Text),
    Column("running_child", Text),
    Column("running_since", UTCDateTime),
    Column("heartbeat_at", UTCDateTime),
    Index("ix_module_running", "running_token", **_WHERE_RUNNING),
)

watermark = Table(
    "watermark",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("module_id", Integer, ForeignKey("module.id", ondelete="CASCADE"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("name", String(100), nullable=False),
    Column("connection", String(100), ForeignKey("connection.name", onupdate="CASCADE"), nullable=False),
    Column("resolver_sql", Text, nullable=False),
    Column("default_value", Text),
    UniqueConstraint("module_id", "name"),
)

#: What runs have filled; written by the transaction that ends a run.
module_partition = Table(
    "module_partition",
    metadata,
    Column("module_id", Integer, ForeignKey("module.id", ondelete="CASCADE"), primary_key=True),
    Column("partition", String(40), primary_key=True),
    Column("run_id", Integer, nullable=False),  # the run itself may be pruned
    Column("rows", Count),
    Column("started_at", UTCDateTime, nullable=False),
    Column("finished_at", UTCDateTime, nullable=False),
)

hook = Table(
    "hook",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("module_id", Integer, ForeignKey("module.id", ondelete="CASCADE"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("run_order", Integer),
    Column("run_on", String(10), nullable=False),
    Column("sql", Text, nullable=False),
    Column("connection", String(100), ForeignKey("connection.name", onupdate="CASCADE")),
    Index("ix_hook_module_id", "module_id"),
)

grp = Table(
    "grp",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("max_parallel", Integer, nullable=False, server_default="1"),
    Column("on_failure", String(10), nullable=False, server_default="continue"),
    Column("spread", Boolean, nullable=False, server_default=false()),
    Column("updated_at", UTCDateTime, nullable=False),
    Column("running", Boolean, nullable=False, server_default=false()),
    Column("running_token", String(36)),
    Column("running_owner", Text),
    Column("running_child", Text),
    Column("running_since", UTCDateTime),
    Column("heartbeat_at", UTCDateTime),
    Index("ix_grp_running", "running_token", **_WHERE_RUNNING),
)

group_member = Table(
    "group_member",
    metadata,
    Column("group_id", Integer, ForeignKey("grp.id", ondelete="CASCADE"), primary_key=True),
    Column("module_id", Integer, ForeignKey("module.id"), primary_key=True),
    Column("run_order", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    Index("ix_group_member_module_id", "module_id"),
)

group_run = Table(
    "group_run",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("group_name", String(100), nullable=False, key="group"),
    Column("status", String(10), nullable=False),
    Column("triggered_by", Text, nullable=False),
    Column("dagster_run_id", String(64)),
    Column("started_at", UTCDateTime, nullable=False),
    Column("finished_at", UTCDateTime),
    Column("error", Text),
    Column("cancel_requested", Boolean, nullable=False, server_default=false()),
    CheckConstraint(_STATUS_CHECK, name="status"),
    Index("ix_group_run_group", "group", "id"),
    Index("ix_group_run_finished_at", "finished_at"),
    sqlite_autoincrement=True,  # a pruned run's number is never given to another
)

run_log = Table(
    "run_log",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("module", String(100), nullable=False),
    Column("group_run_id", Integer, ForeignKey("group_run.id")),
    Column("dagster_run_id", String(64)),
    Column("triggered_by", Text, nullable=False),
    Column("status", String(10), nullable=False),
    Column("phase", String(20)),
    Column("token", String(36)),
    Column("cancel_requested", Boolean, nullable=False, server_default=false()),
    Column("started_at", UTCDateTime, nullable=False),
    Column("finished_at", UTCDateTime),
    Column("source_sql", Text),
    Column("merge_sql", Text),
    Column("watermarks", Text, nullable=False, server_default="{}"),
    Column("rows_read", Count),
    Column("rows_staged", Count),
    Column("rows_deleted", Count),
    Column("rows_inserted", Count),
    Column("rows_updated", Count),
    Column("rows_unchanged", Count),
    Column("bytes", Count),
    Column("timings", Text, nullable=False, server_default="{}"),
    Column("error", Text),
    Column("stdout", Text, nullable=False, server_default=""),
    Column("stderr", Text, nullable=False, server_default=""),
    Column("live_log", Text, nullable=False, server_default=""),
    Column("partition", String(40)),
    CheckConstraint(_STATUS_CHECK, name="status"),
    Index("ix_run_log_module", "module", "id"),
    Index("ix_run_log_group_run_id", "group_run_id"),
    Index("ix_run_log_dagster_run_id", "dagster_run_id"),
    Index("ix_run_log_status", "status"),
    Index("ix_run_log_finished_at", "finished_at"),
    sqlite_autoincrement=True,
)

schedule = Table(
    "schedule",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("group_id", Integer, ForeignKey("grp.id"), nullable=False),
    Column("cron", Text, nullable=False),
    Column("timezone", Text, nullable=False),
    Column("enabled", Boolean, nullable=False, server_default=true()),
    Column("misfire_grace", Integer),
    Column("last_fired_at", UTCDateTime),
    Column("switch_seen", String(20)),
    Column("updated_at", UTCDateTime, nullable=False),
)

trigger = Table(
    "trigger",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("group_id", Integer, ForeignKey("grp.id"), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("settings", Text, nullable=False),
    Column("cursor", Text),
    Column("enabled", Boolean, nullable=False, server_default=true()),
    Column("switch_seen", String(20)),
    Column("updated_at", UTCDateTime, nullable=False),
)

#: What each check of a module found last. `run_id` is the run that it was part of, if it was; that run may be pruned.
check_result = Table(
    "check_result",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("module_id", Integer, ForeignKey("module.id", ondelete="CASCADE"), nullable=False),
    Column("name", String(100), nullable=False),
    Column("status", String(20), nullable=False),
    Column("run_id", Integer),
    Column("checked_at", UTCDateTime, nullable=False),
    Column("result", Text, nullable=False),
    UniqueConstraint("module_id", "name"),
)

#: Work that is sent to workers of other hosts, until it has ended. Times are seconds since the epoch, by the store's clock.
dispatch = Table(
    "dispatch",
    metadata,
    Column("id", String(100), primary_key=True),
    Column("queue", String(100), nullable=False),
    Column("group_run_id", Integer),
    Column("payload", Text),
    Column("sent_s", Float, nullable=False),
    Column("sends", Integer, nullable=False),
    Column("claimed_by", Text),
    Column("claimed_s", Float),
    Column("outcome", Text),
)

#: Each change of a definition. `before` and `after` hold the record as JSON; null where there was, or is, none.
audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", UTCDateTime, nullable=False),
    Column("by", Text, nullable=False),
    Column("action", String(10), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("name", String(100), nullable=False),
    Column("before", Text),
    Column("after", Text),
    # Whether the YAML files say the same since.
    Column("in_files", Boolean, nullable=False, server_default=false()),
    Index("ix_audit_kind_name", "kind", "name", "id"),
)

#: Logins of programs. `digest` is the SHA-256 of a token's 256 random bits: nothing to be guessed, so nothing to be slowed down.
token = Table(
    "token",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("role", String(20), nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
    Column("created_at", UTCDateTime, nullable=False),
    Column("expires_at", UTCDateTime),
    Column("last_used_at", UTCDateTime),
    Column("owner", Text),
)

#: One row: counts the changes of definitions, so that a reader can tell cheaply whether anything changed.
definitions_version = Table(
    "definitions_version",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("version", Integer, nullable=False, server_default=text("0")),
    Column("changed_at", UTCDateTime),
)

DEFINITION_TABLES: dict[DefinitionKind, Table] = {
    "drivers": driver,
    "connections": connection,
    "modules": module,
    "groups": grp,
    "schedules": schedule,
    "triggers": trigger,
}
