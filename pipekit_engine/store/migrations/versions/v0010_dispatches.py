"""Work that is sent to workers of other hosts, and whether a group's members are."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the table and the column; nothing is sent yet."""
    op.create_table(
        "dispatch",
        sa.Column("id", sa.String(100), nullable=False),
        sa.Column("queue", sa.String(100), nullable=False),
        sa.Column("group_run_id", sa.Integer, nullable=True),
        sa.Column("payload", sa.Text, nullable=True),
        sa.Column("sent_s", sa.Float, nullable=False),
        sa.Column("sends", sa.Integer, nullable=False),
        sa.Column("claimed_by", sa.Text, nullable=True),
        sa.Column("claimed_s", sa.Float, nullable=True),
        sa.Column("outcome", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dispatch")),
    )
    op.add_column("grp", sa.Column("spread", sa.Boolean, nullable=False, server_default=sa.false()))
