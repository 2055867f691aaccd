"""Who changed which definition, and how it was before and after."""

import sqlalchemy as sa
from alembic import op

from pipekit_engine.store.schema import UTCDateTime

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the table; what was changed before is not known."""
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("at", UTCDateTime(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("action", sa.String(10), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("before", sa.Text()),
        sa.Column("after", sa.Text()),
    )
    op.create_index("ix_audit_kind_name", "audit", ["kind", "name", "id"])
