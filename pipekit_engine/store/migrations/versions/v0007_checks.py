"""What the checks of modules found last."""

import sqlalchemy as sa
from alembic import op

from pipekit_engine.store.schema import UTCDateTime

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the table; nothing was checked yet."""
    op.create_table(
        "check_result",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("module_id", sa.Integer, nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("run_id", sa.Integer, nullable=True),
        sa.Column("checked_at", UTCDateTime, nullable=False),
        sa.Column("result", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_check_result")),
        sa.UniqueConstraint("module_id", "name", name=op.f("uq_check_result_module_id_name")),
        sa.ForeignKeyConstraint(
            ["module_id"], ["module.id"], name=op.f("fk_check_result_module_id"), ondelete="CASCADE"
        ),
    )
