"""Orders as they are shown: with their items, licences and subscription, at a constant number of queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select

from devforge_api.billing.errors import OrderNotFound
from devforge_api.billing.models import (
    Interval,
    Order,
    OrderItem,
    OrderLicense,
    OrderStatus,
    Subscription,
)
from devforge_api.core.db import db
from devforge_api.core.listing import Listing, Page
from devforge_api.licenses.models import License


@dataclass(frozen=True, slots=True)
class ShownOrder:
    """An order, and what belongs to it."""

    id: UUID
    user_id: UUID | None
    status: OrderStatus
    amount: int
    currency: str
    interval: Interval
    provider: str
    session_reference: str | None
    checkout_url: str | None
    paid_at: datetime | None
    created_at: datetime
    updated_at: datetime
    items: Sequence[OrderItem]
    licenses: Sequence[License]
    subscription_id: UUID | None


class OrderListing(Listing):
    """Pages of `ShownOrder`: a page costs as many queries as one order."""

    def run(self, statement: Select[Any], query: Mapping[str, Any]) -> Page:
        """One page of the orders that the statement selects, with what belongs to them."""
        page = super().run(statement, query)
        return Page(shown(page.items), page.pagination)


ORDERS = OrderListing(
    "OrderQuery",
    key=Order.id,
    filters={"status": Order.status, "user_id": Order.user_id, "created_at": Order.created_at},
    sorts={"created_at": Order.created_at},
)


def orders(*, reader_id: UUID | None) -> Select[Order]:
    """Everybody's orders, or one user's."""
    statement = select(Order)
    return statement if reader_id is None else statement.where(Order.user_id == reader_id)


def get_order(order_id: UUID, *, reader_id: UUID | None) -> Order:
    """One order.

    :param reader_id: whose it must be; None: anybody's.
    :raises OrderNotFound: unknown, or not the reader's.
    """
    order = db.session.scalar(orders(reader_id=reader_id).where(Order.id == order_id))
    if order is None:
        raise OrderNotFound
    return order


def items_of(order_id: UUID) -> Sequence[OrderItem]:
    """What was ordered, in its order."""
    statement = select(OrderItem).where(OrderItem.order_id == order_id).order_by(OrderItem.position)
    return db.session.scalars(statement).all()


def shown(orders: Sequence[Order]) -> list[ShownOrder]:
    """Orders with what belongs to them, by three queries however many there are."""
    ids = [order.id for order in orders]
    if not ids:
        return []
    items: dict[UUID, list[OrderItem]] = {}
    for item in db.session.scalars(
        select(OrderItem).where(OrderItem.order_id.in_(ids)).order_by(OrderItem.position)
    ):
        items.setdefault(item.order_id, []).append(item)
    licenses: dict[UUID, list[License]] = {}
    of_orders = (
        select(OrderItem.order_id, License)
        .join(OrderLicense, OrderLicense.item_id == OrderItem.id)
        .join(License, License.id == OrderLicense.license_id)
        .where(OrderItem.order_id.in_(ids))
        .order_by(OrderItem.position, OrderLicense.number)
    )
    for order_id, license_ in db.session.execute(of_orders):
        licenses.setdefault(order_id, []).append(license_)
    kept_going = select(Subscription.order_id, Subscription.id).where(Subscription.order_id.in_(ids))
    subscriptions: dict[UUID, UUID] = {row.order_id: row.id for row in db.session.execute(kept_going)}
    return [
        ShownOrder(
            id=order.id,
            user_id=order.user_id,
            status=order.status,
            amount=order.amount,
            currency=order.currency,
            interval=order.interval,
            provider=order.provider,
            session_reference=order.session_reference,
            checkout_url=order.checkout_url,
            paid_at=order.paid_at,
            created_at=order.created_at,
            updated_at=order.updated_at,
            items=items.get(order.id, []),
            licenses=licenses.get(order.id, []),
            subscription_id=subscriptions.get(order.id),
        )
        for order in orders
    ]
