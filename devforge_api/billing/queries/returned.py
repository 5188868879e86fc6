"""What is told to a payer who comes back."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import exists, select

from devforge_api.billing.errors import OrderNotFound
from devforge_api.billing.models import Order, OrderStatus, Payment, PaymentStatus
from devforge_api.core.db import db


@dataclass(frozen=True, slots=True)
class Returned:
    """An order as its payer finds it again.

    :param is_paying: its money is on its way.
    """

    status: OrderStatus
    checkout_url: str | None
    success_url: str
    cancel_url: str
    is_paying: bool


def returned(order_id: UUID) -> Returned:
    """What has become of an order. :raises OrderNotFound: there is no such order."""
    paying = exists().where(Payment.order_id == Order.id, Payment.status == PaymentStatus.PENDING)
    statement = select(Order.status, Order.checkout_url, Order.success_url, Order.cancel_url, paying)
    row = db.session.execute(statement.where(Order.id == order_id)).first()
    if row is None:
        raise OrderNotFound
    return Returned(*row)
