"""What is known of the databases behind connections."""

import sqlalchemy as sa
from alembic import op

from pipekit_engine.store.schema import UTCDateTime

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the table; no connection has a certificate yet."""
    op.create_table(
        "certificate",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("connection_id", sa.Integer, nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("product", sa.Text, nullable=False),
        sa.Column("product_version", sa.Text, nullable=False),
        sa.Column("driver", sa.Text, nullable=False),
        sa.Column("driver_version", sa.Text, nullable=False),
        sa.Column("pipekit", sa.String(40), nullable=False),
        sa.Column("certified_at", UTCDateTime, nullable=False),
        sa.Column("held", sa.Integer, nullable=False),
        sa.Column("refused", sa.Integer, nullable=False),
        sa.Column("broken", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certificate")),
        sa.UniqueConstraint("connection_id", name=op.f("uq_certificate_connection_id")),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connection.id"], name=op.f("fk_certificate_connection_id"), ondelete="CASCADE"
        ),
    )
