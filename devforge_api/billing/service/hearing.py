"""Acting on what a provider has told: mostly, its order is looked at and settled."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from devforge_api.billing.errors import OrderNotFound
from devforge_api.billing.models import EventOutcome, ProviderEvent
from devforge_api.billing.service import inbox
from devforge_api.billing.service.looking import look
from devforge_api.billing.service.providers.base import Provider
from devforge_api.billing.service.settling import Settled
from devforge_api.core.db import release_connection

Finish = Callable[[], Settled | None]


def act_on(provider: Provider, event: ProviderEvent, told: dict[str, Any]) -> Finish:
    """Find the order that an event concerns, and look at it; with no transaction open.

    :returns: what settles the order and marks the event, to be called in a unit of work.
    :raises ProviderUnavailable: no answer.
    """
    release_connection()
    order_id = provider.order_of(told)
    if order_id is None:
        return partial(_ignore, event.id)
    try:
        settle = look(provider, order_id, event_id=event.event_id)
    except OrderNotFound:  # of another installation that the provider takes for us
        return partial(_ignore, event.id)
    return partial(_settle, event.id, order_id, settle)


def _ignore(event_id: UUID) -> None:
    inbox.mark(event_id, EventOutcome.IGNORED)


def _settle(event_id: UUID, order_id: UUID, settle: Callable[[], Settled]) -> Settled:
    settled = settle()
    inbox.mark(event_id, EventOutcome.SETTLED, order_id=order_id)
    return settled
