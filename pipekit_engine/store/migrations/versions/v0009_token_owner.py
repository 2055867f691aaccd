"""Whose a token is that a person made for themselves on a page."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the column; tokens that are there were made by the command, and are nobody's."""
    op.add_column("token", sa.Column("owner", sa.Text, nullable=True))
