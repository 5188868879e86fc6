"""Looking at an order at its provider, and settling what was seen: the way of all news."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select

from devforge_api.billing.errors import OrderNotFound
from devforge_api.billing.models import Order, Subscription
from devforge_api.billing.service.providers.base import OrderReferences, Provider
from devforge_api.billing.service.settling import Settled, settle
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unedited, unit_of_work


@dataclass(frozen=True, slots=True)
class Look:
    """A numbered look, and how the provider knows its order."""

    number: int
    order: OrderReferences


def begin(order_id: UUID) -> Look:
    """Number a look; of two, what the one with the higher number sees is right.

    :raises OrderNotFound: there is no such order.
    """
    count = unedited(Order, Order.id == order_id, looks=Order.looks + 1)
    row = db.session.execute(count.returning(Order.looks, Order.session_reference)).first()
    if row is None:
        raise OrderNotFound
    subscription = db.session.scalar(select(Subscription.reference).where(Subscription.order_id == order_id))
    return Look(row.looks, OrderReferences(order_id, row.session_reference, subscription))


def look(provider: Provider, order_id: UUID, *, event_id: str | None = None) -> Callable[[], Settled]:
    """Ask the provider about an order, with no transaction open.

    :param event_id: the provider's event that has led here: the cause of what follows.
    :returns: what settles the order, to be called in a unit of work.
    :raises ProviderUnavailable: no answer. :raises OrderNotFound: there is no such order.
    """
    with unit_of_work():
        begun = begin(order_id)
    snapshot = provider.look(begun.order)

    def finish() -> Settled:
        return settle(order_id, snapshot, look=begun.number, event_id=event_id, now=utc_now())

    return finish


def look_and_settle(provider: Provider, order_id: UUID, *, event_id: str | None = None) -> Settled:
    """Both steps, with no transaction open before: for who waits for the result.

    :raises ProviderUnavailable: no answer. :raises OrderNotFound: there is no such order.
    """
    finish = look(provider, order_id, event_id=event_id)
    with unit_of_work():
        return finish()
