"""What billing does when something happened: mostly, it looks at an order and settles it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from devforge_api.billing import queries
from devforge_api.billing.errors import ProviderRefused
from devforge_api.billing.models import Order, RefundStatus, Subscription, SubscriptionStatus
from devforge_api.billing.providers import find_provider
from devforge_api.billing.service import hearing, inbox, looking, reconciling, refunds
from devforge_api.core.db import db, release_connection
from devforge_api.core.outbox import Undeliverable, on


@on("billing.event_received", outside=True)
def act_on_event(payload: dict[str, Any]) -> Callable[[], object] | None:
    """Find the order that a provider's event concerns, and look at it."""
    found = inbox.read(UUID(payload["event_id"]))
    if found is None:
        return None
    event, told = found
    return hearing.act_on(find_provider(event.provider), event, told)


@on("billing.look_requested", outside=True)
def look_at_order(payload: dict[str, Any]) -> Callable[[], object] | None:
    """Somebody thinks that there is news of an order."""
    order_id = UUID(payload["order_id"])
    order = db.session.get(Order, order_id)
    if order is None:
        return None
    return looking.look(find_provider(order.provider), order_id)


@on("billing.refund_requested", outside=True)
def give_back(payload: dict[str, Any]) -> Callable[[], None] | None:
    """Have the provider give money back, unless the request itself has done so."""
    refund = queries.get_refund(UUID(payload["refund_id"]), reader_id=None)
    if refund.status is not RefundStatus.REQUESTED:
        return None
    return refunds.carry_out(find_provider(refund.provider), refund)


@on("billing.cancel_requested", outside=True)
def end_subscription(payload: dict[str, Any]) -> Callable[[], object] | None:
    """End a subscription at its provider, at once: nobody is charged any more."""
    subscription = db.session.get(Subscription, UUID(payload["subscription_id"]))
    if subscription is None or subscription.status is SubscriptionStatus.CANCELED:
        return None
    provider = find_provider(subscription.provider)
    release_connection()
    try:
        provider.cancel(subscription.reference, at_period_end=False)
    except ProviderRefused as error:
        # Not looked at: settling would ask for the same end, and be refused again, without end.
        raise Undeliverable(f"subscription {subscription.id}: {error.message}") from error
    return looking.look(provider, subscription.order_id)


@on("billing.news_wanted", outside=True)
def hear_again(payload: dict[str, Any]) -> None:
    """Store what a provider should have told in some hours, and was not heard."""
    since, until = (datetime.fromisoformat(payload[name]) for name in ("since", "until"))
    for _ in reconciling.hear(find_provider(payload["provider"]), since, until):
        pass


@on("billing.close_requested", outside=True)
def close_page(payload: dict[str, Any]) -> Callable[[], object] | None:
    """Close the page of an order that nobody may pay any more, and see what has become of it."""
    order_id = UUID(payload["order_id"])
    order = db.session.get(Order, order_id)
    if order is None or order.session_reference is None:
        return None
    provider = find_provider(order.provider)
    release_connection()
    provider.expire_checkout(order.session_reference)
    return looking.look(provider, order_id)
