"""What is done about notifications while nobody asks."""

from datetime import timedelta

from devforge_api.core.clock import utc_now
from devforge_api.core.jobs import scheduled
from devforge_api.notifications.service import inbox


@scheduled("notifications.purge", every=timedelta(hours=12))
def purge_notifications() -> None:
    """Forget what users were told long ago."""
    inbox.purge(utc_now())
