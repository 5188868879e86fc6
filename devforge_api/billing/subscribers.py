"""What billing does when something happened: mostly, it looks at an order and settles it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from devforge_api.billing.models import EventOutcome, Order
from devforge_api.billing.providers import find_provider
from devforge_api.billing.service import inbox, looking
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db
from devforge_api.core.outbox import on


@on("billing.event_received", outside=True)
def act_on_event(payload: dict[str, Any]) -> Callable[[], None] | None:
    """Find the order that a provider's event concerns, and look at it."""
    event_id = UUID(payload["event_id"])
    found = inbox.read(event_id)
    if found is None:
        return None
    event, told = found
    provider = find_provider(event.provider)
    order_id = provider.order_of(told)
    if order_id is None:
        return partial(inbox.mark, event_id, EventOutcome.IGNORED)
    settle = looking.look(provider, order_id, event_id=event.event_id)

    def finish() -> None:
        settle(utc_now())
        inbox.mark(event_id, EventOutcome.SETTLED, order_id=order_id)

    return finish


@on("billing.look_requested", outside=True)
def look_at_order(payload: dict[str, Any]) -> Callable[[], None] | None:
    """Somebody thinks that there is news of an order."""
    order_id = UUID(payload["order_id"])
    order = db.session.get(Order, order_id)
    if order is None:
        return None
    settle = looking.look(find_provider(order.provider), order_id)

    def finish() -> None:
        settle(utc_now())

    return finish
