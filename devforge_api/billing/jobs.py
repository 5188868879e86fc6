"""What is done about orders while nobody asks."""

from datetime import timedelta

from devforge_api.billing.service import checkout
from devforge_api.core.clock import utc_now
from devforge_api.core.jobs import scheduled


@scheduled("billing.orders.abandoned", every=timedelta(minutes=10))
def cancel_abandoned() -> None:
    """Cancel orders whose checkout was broken off before the provider knew of it."""
    checkout.cancel_abandoned(utc_now())


@scheduled("billing.orders.overdue", every=timedelta(hours=6))
def look_at_overdue() -> None:
    """Look at orders whose page has closed and of which nothing was heard."""
    checkout.look_at_overdue(utc_now())
