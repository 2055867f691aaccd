"""How a connection is encrypted, and the tunnel that it goes through."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the columns; connections that are there have neither."""
    op.add_column("connection", sa.Column("tls", sa.Text, nullable=True))
    op.add_column("connection", sa.Column("tunnel", sa.Text, nullable=True))
