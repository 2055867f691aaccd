"""How many staged rows a merge found in the destination as they are."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the count to the runs; those before it have none."""
    op.add_column("run_log", sa.Column("rows_unchanged", sa.BigInteger().with_variant(sa.Integer(), "sqlite")))
