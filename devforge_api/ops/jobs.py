"""What the operator needs done on the schedule."""

from datetime import timedelta

from devforge_api.core import outbox_upkeep
from devforge_api.core.clock import utc_now
from devforge_api.core.jobs import scheduled
from devforge_api.core.mail import outgoing


@scheduled("ops.outbox.purge", every=timedelta(hours=1))
def purge_outbox() -> None:
    """Forget events that were delivered a week ago."""
    outbox_upkeep.purge_delivered()


@scheduled("ops.mails.purge", every=timedelta(hours=6))
def purge_mails() -> None:
    """Forget letters that were sent a month ago."""
    outgoing.purge_sent(utc_now())
