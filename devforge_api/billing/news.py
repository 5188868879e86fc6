"""Orders and money, as buyers and the team's programs are told of them. Amounts are in minor units."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from devforge_api.billing.models import Order, Payment, Refund, Subscription
from devforge_api.core.clock import rfc3339
from devforge_api.core.db import db
from devforge_api.core.news import Data, tells

Told = tuple[list[UUID], Data]


@tells("order.canceled", "order.created", "order.disputed", "order.failed", "order.paid", "order.refunded")
def tell_of_order(payload: dict[str, Any]) -> Told | None:
    """Its buyer."""
    order = db.session.get(Order, UUID(payload["order_id"]))
    return None if order is None else _told(order, {"amount": order.amount, "currency": order.currency})


@tells("payment.failed", "payment.paid")
def tell_of_payment(payload: dict[str, Any]) -> Told | None:
    """The order's buyer, and what was paid, or was to be."""
    payment = db.session.get(Payment, UUID(payload["payment_id"]))
    if payment is None:
        return None
    amounts = {"payment_id": str(payment.id), "amount": payment.amount, "currency": payment.currency}
    return _told(db.session.get_one(Order, payment.order_id), amounts)


@tells("payment.refunded")
def tell_of_refund(payload: dict[str, Any]) -> Told | None:
    """The order's buyer, and what was given back."""
    refund = db.session.get(Refund, UUID(payload["refund_id"]))
    if refund is None:
        return None
    payment = db.session.get_one(Payment, refund.payment_id)
    amounts = {
        "payment_id": str(payment.id),
        "refund_id": str(refund.id),
        "amount": refund.amount,
        "currency": payment.currency,
    }
    return _told(db.session.get_one(Order, payment.order_id), amounts)


@tells("subscription.changed")
def tell_of_subscription(payload: dict[str, Any]) -> Told | None:
    """The order's buyer, and how the subscription is now."""
    subscription = db.session.get(Subscription, UUID(payload["subscription_id"]))
    if subscription is None:
        return None
    ends = rfc3339(subscription.current_period_end)
    data = {
        "subscription_id": str(subscription.id),
        "subscription_status": subscription.status.value,
        "current_period_end": ends,
        "cancel_at_period_end": subscription.cancel_at_period_end,
    }
    return _told(db.session.get_one(Order, subscription.order_id), data)


def _told(order: Order, data: Data) -> Told:
    head = {
        "order_id": str(order.id),
        "user_id": str(order.user_id) if order.user_id else None,
        "status": order.status.value,
    }
    return [order.user_id] if order.user_id else [], {**head, **data}
