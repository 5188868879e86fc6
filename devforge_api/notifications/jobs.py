"""What is done about notifications while nobody asks."""

from datetime import timedelta

from devforge_api.core.clock import utc_now
from devforge_api.core.jobs import scheduled
from devforge_api.core.realtime import feed
from devforge_api.notifications.service import inbox, tickets


@scheduled("notifications.purge", every=timedelta(hours=12))
def purge_notifications() -> None:
    """Forget what users were told long ago."""
    inbox.purge(utc_now())


@scheduled("notifications.feeds.purge", every=timedelta(hours=6))
def purge_feeds() -> None:
    """Forget what feeds were told a week ago."""
    feed.purge(utc_now())


@scheduled("notifications.tickets.purge", every=timedelta(minutes=15))
def purge_tickets() -> None:
    """Forget tickets that are over."""
    tickets.purge_expired(utc_now())
