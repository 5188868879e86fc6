"""What is done about webhooks while nobody asks."""

from datetime import timedelta

from devforge_api.core.clock import utc_now
from devforge_api.core.jobs import scheduled
from devforge_api.webhooks.service import cleaning, waiting


@scheduled("webhooks.forgotten", every=timedelta(minutes=10))
def wake_forgotten() -> None:
    """Have deliveries attempted that wait for an endpoint which waits for nothing."""
    waiting.wake_forgotten(utc_now())


# Often: a run takes a bounded number of rows, and has to keep up with what is sent.
@scheduled("webhooks.purge", every=timedelta(minutes=5))
def purge() -> None:
    """Forget what was sent a month ago, and secrets that were rotated away."""
    now = utc_now()
    cleaning.purge(now)
    cleaning.forget_secrets(now)
