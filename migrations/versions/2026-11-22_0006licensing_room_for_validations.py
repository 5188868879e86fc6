"""licensing: room beside each licence for its next version.

Revision: 0006licensing
Follows: 0005billing
"""

from alembic import op

revision = "0006licensing"
down_revision = "0005billing"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let pages be filled to four fifths: a validation's moments then change no index.

    No index holds them; but PostgreSQL adds to every index where a row has to move to another page
    ("Heap-Only Tuples", PostgreSQL's manual). Holds for pages written from now on; blocks nobody.
    """
    if op.get_context().dialect.name == "postgresql":
        op.execute("ALTER TABLE licenses SET (fillfactor = 80)")


def downgrade() -> None:
    """Undo."""
    if op.get_context().dialect.name == "postgresql":
        op.execute("ALTER TABLE licenses RESET (fillfactor)")
