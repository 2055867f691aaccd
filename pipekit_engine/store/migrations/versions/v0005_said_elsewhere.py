"""What was said elsewhere than in the store: in the YAML files, by Dagster's switches, by tokens; the cancel of a group's run."""

import sqlalchemy as sa
from alembic import op

from pipekit_engine.store.schema import UTCDateTime

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the columns and the table of tokens.

    A schedule or trigger that is there already may have been switched in Dagster: `declared` has that switch looked at first.
    """
    op.add_column("audit", sa.Column("in_files", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("group_run", sa.Column("cancel_requested", sa.Boolean(), nullable=False, server_default=sa.false()))
    for table in ("schedule", "trigger"):
        op.add_column(table, sa.Column("switch_seen", sa.String(20)))
        op.execute(sa.table(table, sa.column("switch_seen", sa.String())).update().values(switch_seen="declared"))
    op.create_table(
        "token",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("created_at", UTCDateTime, nullable=False),
        sa.Column("expires_at", UTCDateTime),
        sa.Column("last_used_at", UTCDateTime),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token")),
        sa.UniqueConstraint("name", name=op.f("uq_token_name")),
        sa.UniqueConstraint("digest", name=op.f("uq_token_digest")),
    )
