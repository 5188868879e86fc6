"""What the operator needs done on the schedule."""

from datetime import timedelta

from devforge_api.core import outbox
from devforge_api.core.jobs import scheduled


@scheduled("ops.outbox.purge", every=timedelta(hours=1))
def purge_outbox() -> None:
    """Forget events that were delivered a week ago."""
    outbox.purge_delivered()
