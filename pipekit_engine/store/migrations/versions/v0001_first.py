"""The first state store: definitions, locks, runs, schedules and triggers."""

import sqlalchemy as sa
from alembic import op

from pipekit_engine.store.schema import UTCDateTime

revision = "0001"
down_revision = None

#: The database itself keeps a finished run as it was.
_PROTECT_SQLITE = """
CREATE TRIGGER run_log_finished_is_final BEFORE UPDATE ON run_log WHEN OLD.finished_at IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'a finished run is never changed'); END
"""
_PROTECT_POSTGRESQL = """
CREATE FUNCTION pipekit_run_log_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'a finished run is never changed'; END $$;
CREATE TRIGGER run_log_finished_is_final BEFORE UPDATE ON run_log FOR EACH ROW
WHEN (OLD.finished_at IS NOT NULL) EXECUTE FUNCTION pipekit_run_log_is_final()
"""


def upgrade() -> None:
    """Create every table, the row that counts changes, and the protection of finished runs."""
    count = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "definitions_version",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("changed_at", UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_definitions_version")),
    )
    op.create_table(
        "driver",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("jar", sa.Text(), nullable=True),
        sa.Column("class", sa.Text(), nullable=True),
        sa.Column("url_template", sa.Text(), nullable=True),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_driver")),
        sa.UniqueConstraint("name", name=op.f("uq_driver_name")),
    )
    op.create_table(
        "group_run",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("group_name", sa.String(length=100), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("triggered_by", sa.Text(), nullable=False),
        sa.Column("dagster_run_id", sa.String(length=64), nullable=True),
        sa.Column("started_at", UTCDateTime(), nullable=False),
        sa.Column("finished_at", UTCDateTime(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "status IN ('running', 'success', 'dry_run', 'error', 'cancelled')", name=op.f("ck_group_run_status")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_group_run")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_group_run_group", "group_run", ["group_name", "id"], unique=False)
    op.create_table(
        "grp",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("max_parallel", sa.Integer(), server_default="1", nullable=False),
        sa.Column("on_failure", sa.String(length=10), server_default="continue", nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("running", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("running_token", sa.String(length=36), nullable=True),
        sa.Column("running_owner", sa.Text(), nullable=True),
        sa.Column("running_child", sa.Text(), nullable=True),
        sa.Column("running_since", UTCDateTime(), nullable=True),
        sa.Column("heartbeat_at", UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grp")),
        sa.UniqueConstraint("name", name=op.f("uq_grp_name")),
    )
    op.create_table(
        "connection",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("driver", sa.String(length=100), nullable=False),
        sa.Column("jdbc_url", sa.Text(), nullable=False),
        sa.Column("username", sa.Text(), nullable=True),
        sa.Column("password", sa.Text(), nullable=True),
        sa.Column("options", sa.Text(), server_default="{}", nullable=False),
        sa.Column("max_parallel", sa.Integer(), nullable=True),
        sa.Column("staging_schema", sa.String(length=100), nullable=True),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["driver"], ["driver.name"], name=op.f("fk_connection_driver"), onupdate="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_connection")),
        sa.UniqueConstraint("name", name=op.f("uq_connection_name")),
    )
    op.create_table(
        "run_log",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("module", sa.String(length=100), nullable=False),
        sa.Column("group_run_id", sa.Integer(), nullable=True),
        sa.Column("dagster_run_id", sa.String(length=64), nullable=True),
        sa.Column("triggered_by", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("phase", sa.String(length=20), nullable=True),
        sa.Column("token", sa.String(length=36), nullable=True),
        sa.Column("cancel_requested", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("started_at", UTCDateTime(), nullable=False),
        sa.Column("finished_at", UTCDateTime(), nullable=True),
        sa.Column("source_sql", sa.Text(), nullable=True),
        sa.Column("merge_sql", sa.Text(), nullable=True),
        sa.Column("watermarks", sa.Text(), server_default="{}", nullable=False),
        sa.Column("rows_read", count, nullable=True),
        sa.Column("rows_staged", count, nullable=True),
        sa.Column("rows_deleted", count, nullable=True),
        sa.Column("rows_inserted", count, nullable=True),
        sa.Column("rows_updated", count, nullable=True),
        sa.Column("bytes", count, nullable=True),
        sa.Column("timings", sa.Text(), server_default="{}", nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("stdout", sa.Text(), server_default="", nullable=False),
        sa.Column("stderr", sa.Text(), server_default="", nullable=False),
        sa.Column("live_log", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint(
            "status IN ('running', 'success', 'dry_run', 'error', 'cancelled')", name=op.f("ck_run_log_status")
        ),
        sa.ForeignKeyConstraint(["group_run_id"], ["group_run.id"], name=op.f("fk_run_log_group_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run_log")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_run_log_dagster_run_id", "run_log", ["dagster_run_id"], unique=False)
    op.create_index("ix_run_log_group_run_id", "run_log", ["group_run_id"], unique=False)
    op.create_index("ix_run_log_module", "run_log", ["module", "id"], unique=False)
    op.create_index("ix_run_log_status", "run_log", ["status"], unique=False)
    op.create_table(
        "schedule",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("group_id", sa.Integer(), nullable=False),
        sa.Column("cron", sa.Text(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("misfire_grace", sa.Integer(), nullable=True),
        sa.Column("last_fired_at", UTCDateTime(), nullable=True),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["group_id"], ["grp.id"], name=op.f("fk_schedule_group_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedule")),
        sa.UniqueConstraint("name", name=op.f("uq_schedule_name")),
    )
    op.create_table(
        "trigger",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("group_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("cursor", sa.Text(), nullable=True),
        sa.Column("enabled", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["group_id"], ["grp.id"], name=op.f("fk_trigger_group_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trigger")),
        sa.UniqueConstraint("name", name=op.f("uq_trigger_name")),
    )
    op.create_table(
        "module",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("source", sa.String(length=100), nullable=False),
        sa.Column("dest", sa.String(length=100), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("dest_table", sa.Text(), nullable=False),
        sa.Column("strategy", sa.String(length=20), nullable=False),
        sa.Column("merge_key", sa.Text(), server_default="", nullable=False),
        sa.Column("columns_json", sa.Text(), server_default="[]", nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("options_json", sa.Text(), server_default="{}", nullable=False),
        sa.Column("updated_at", UTCDateTime(), nullable=False),
        sa.Column("running", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("running_token", sa.String(length=36), nullable=True),
        sa.Column("running_owner", sa.Text(), nullable=True),
        sa.Column("running_child", sa.Text(), nullable=True),
        sa.Column("running_since", UTCDateTime(), nullable=True),
        sa.Column("heartbeat_at", UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["dest"], ["connection.name"], name=op.f("fk_module_dest"), onupdate="CASCADE"),
        sa.ForeignKeyConstraint(["source"], ["connection.name"], name=op.f("fk_module_source"), onupdate="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_module")),
        sa.UniqueConstraint("name", name=op.f("uq_module_name")),
    )
    op.create_table(
        "group_member",
        sa.Column("group_id", sa.Integer(), nullable=False),
        sa.Column("module_id", sa.Integer(), nullable=False),
        sa.Column("run_order", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["group_id"], ["grp.id"], name=op.f("fk_group_member_group_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["module_id"], ["module.id"], name=op.f("fk_group_member_module_id")),
        sa.PrimaryKeyConstraint("group_id", "module_id", name=op.f("pk_group_member")),
    )
    op.create_table(
        "hook",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("module_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("run_order", sa.Integer(), nullable=True),
        sa.Column("run_on", sa.String(length=10), nullable=False),
        sa.Column("sql", sa.Text(), nullable=False),
        sa.Column("connection", sa.String(length=100), nullable=True),
        sa.ForeignKeyConstraint(
            ["connection"], ["connection.name"], name=op.f("fk_hook_connection"), onupdate="CASCADE"
        ),
        sa.ForeignKeyConstraint(["module_id"], ["module.id"], name=op.f("fk_hook_module_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hook")),
    )
    op.create_table(
        "watermark",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("module_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("connection", sa.String(length=100), nullable=False),
        sa.Column("resolver_sql", sa.Text(), nullable=False),
        sa.Column("default_value", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["connection"], ["connection.name"], name=op.f("fk_watermark_connection"), onupdate="CASCADE"
        ),
        sa.ForeignKeyConstraint(["module_id"], ["module.id"], name=op.f("fk_watermark_module_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_watermark")),
        sa.UniqueConstraint("module_id", "name", name=op.f("uq_watermark_module_id_name")),
    )
    op.execute("INSERT INTO definitions_version (id, version) VALUES (1, 0)")
    op.execute(_PROTECT_SQLITE if op.get_bind().dialect.name == "sqlite" else _PROTECT_POSTGRESQL)
