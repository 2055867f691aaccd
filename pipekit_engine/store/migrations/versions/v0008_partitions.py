"""Which partitions of a module are filled, and the partition of a run."""

import sqlalchemy as sa
from alembic import op

from pipekit_engine.store.schema import Count, UTCDateTime

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the table and the column; no module has partitions yet."""
    op.create_table(
        "module_partition",
        sa.Column("module_id", sa.Integer, nullable=False),
        sa.Column("partition", sa.String(40), nullable=False),
        sa.Column("run_id", sa.Integer, nullable=False),
        sa.Column("rows", Count, nullable=True),
        sa.Column("started_at", UTCDateTime, nullable=False),
        sa.Column("finished_at", UTCDateTime, nullable=False),
        sa.PrimaryKeyConstraint("module_id", "partition", name=op.f("pk_module_partition")),
        sa.ForeignKeyConstraint(
            ["module_id"], ["module.id"], name=op.f("fk_module_partition_module_id"), ondelete="CASCADE"
        ),
    )
    op.add_column("run_log", sa.Column("partition", sa.String(40), nullable=True))
