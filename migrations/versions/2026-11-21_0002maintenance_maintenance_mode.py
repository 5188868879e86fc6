"""maintenance mode.

Revision: 0002maintenance
Follows: 0001accounts
"""

import sqlalchemy as sa
from alembic import op

revision = "0002maintenance"
down_revision = "0001accounts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "maintenance",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("message", sa.String(length=255), nullable=True),
        sa.Column("retry_after", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_maintenance_only_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_maintenance")),
    )


def downgrade() -> None:
    """Undo."""
    op.drop_table("maintenance")
