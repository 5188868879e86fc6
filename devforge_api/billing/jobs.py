"""What is done about orders while nobody asks."""

from datetime import timedelta

from devforge_api.billing.providers import configured
from devforge_api.billing.service import checkout, inbox, reconciling, reminders
from devforge_api.core.clock import utc_now
from devforge_api.core.jobs import scheduled


@scheduled("billing.deadlines", every=timedelta(minutes=10))
def look_again() -> None:
    """Look at orders whose payment's grace is over, or whose refund is final."""
    reminders.look_again(utc_now())


@scheduled("billing.renewals", every=timedelta(hours=1))
def tell_of_renewals() -> None:
    """Write to those who are about to be charged."""
    reminders.tell_of_renewals(utc_now())


@scheduled("billing.orders.abandoned", every=timedelta(minutes=10))
def cancel_abandoned() -> None:
    """Cancel orders whose checkout was broken off before the provider knew of it."""
    checkout.cancel_abandoned(utc_now())


@scheduled("billing.events.purge", every=timedelta(hours=12))
def purge_events() -> None:
    """Forget what providers told long ago."""
    inbox.purge(utc_now())


@scheduled("billing.reconcile", every=timedelta(hours=1))
def ask_for_news() -> None:
    """Have heard again what webhooks may have lost, and orders looked at that should have moved."""
    reconciling.ask_for_news(configured(), utc_now())
