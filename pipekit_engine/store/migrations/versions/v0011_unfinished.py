"""Indexes for what is asked all the time, however long the history and however many modules: what runs, and what is old."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the indexes. Those of locks hold only the locks that are held."""
    for table in ("run_log", "group_run"):
        op.create_index(f"ix_{table}_finished_at", table, ["finished_at"])
    for table in ("module", "grp"):
        held = sa.text("running")
        op.create_index(f"ix_{table}_running", table, ["running_token"], postgresql_where=held, sqlite_where=held)
    op.create_index("ix_hook_module_id", "hook", ["module_id"])
    op.create_index("ix_group_member_module_id", "group_member", ["module_id"])
