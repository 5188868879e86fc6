"""What billing must do at a certain time, although nobody tells it to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import or_, select

from devforge_api.billing.models import (
    Hold,
    Interval,
    Order,
    OrderItem,
    OrderLicense,
    OrderStatus,
    Payment,
    Price,
    Refund,
    Subscription,
    SubscriptionStatus,
)
from devforge_api.billing.queries import lock_order
from devforge_api.billing.service import letters
from devforge_api.billing.service.recording import open_books
from devforge_api.billing.service.standing import REFUND_IS_FINAL_AFTER
from devforge_api.core.db import db
from devforge_api.core.outbox import emit

BATCH = 500
# How long before it is charged a period is told of.
NOTICE = {Interval.MONTH: timedelta(days=3), Interval.YEAR: timedelta(days=14)}
RUNNING = (SubscriptionStatus.ACTIVE, SubscriptionStatus.TRIALING)


def look_again(now: datetime) -> int:
    """Have those orders looked at whose licences a deadline has changed. Returns how many.

    A payment's grace is over, or a refund is final: what follows is settled like any other news.
    """
    held = select(OrderItem.order_id).join(OrderLicense, OrderLicense.item_id == OrderItem.id)
    grace_is_over = (
        select(Subscription.order_id)
        .where(
            Subscription.status == SubscriptionStatus.PAST_DUE,
            Subscription.grace_ends_at <= now,
            Subscription.order_id.in_(held.where(OrderLicense.hold.is_(None))),
        )
        .limit(BATCH)
    )
    refund_is_final = (
        select(Order.id)
        .join(Payment, Payment.order_id == Order.id)
        .join(Refund, Refund.payment_id == Payment.id)
        .outerjoin(Subscription, Subscription.order_id == Order.id)
        .where(
            or_(Subscription.id.is_(None), Subscription.status == SubscriptionStatus.CANCELED),
            Order.status == OrderStatus.REFUNDED,
            Refund.succeeded_at <= now - REFUND_IS_FINAL_AFTER,
            Order.id.in_(held.where(OrderLicense.hold == Hold.REFUND)),
        )
        .limit(BATCH)
    )
    found = {*db.session.scalars(grace_is_over), *db.session.scalars(refund_is_final)}
    for order_id in sorted(found):
        emit("billing.look_requested", order_id=str(order_id))
    return len(found)


def tell_of_renewals(now: datetime) -> int:
    """Write, once for each period, to those who are about to be charged. Returns to how many."""
    told = 0
    for interval, notice in NOTICE.items():
        for order_id in _to_be_told(interval, now, now + notice):
            books = open_books(lock_order(order_id))
            subscription = books.subscription
            if subscription is not None and _is_charged(subscription):
                letters.tell_of_renewal(books, subscription)
                subscription.renewal_told_for = subscription.current_period_end
                told += 1
    return told


def _to_be_told(interval: Interval, now: datetime, until: datetime) -> Sequence[UUID]:
    told_for = Subscription.renewal_told_for
    untold = or_(told_for.is_(None), told_for != Subscription.current_period_end)
    statement = (
        select(Subscription.order_id)
        # What it is paid by now: a month may have become a year.
        .join(OrderItem, OrderItem.order_id == Subscription.order_id)
        .join(Price, Price.id == OrderItem.price_id)
        .where(
            OrderItem.position == 0,
            Price.interval == interval,
            Subscription.status.in_(RUNNING),
            Subscription.cancel_at_period_end.is_(False),
            Subscription.current_period_end.between(now, until),
            untold,
        )
        .order_by(Subscription.order_id)
        .limit(BATCH)
    )
    return db.session.scalars(statement).all()


def _is_charged(subscription: Subscription) -> bool:
    """Also after it was locked."""
    told = subscription.renewal_told_for == subscription.current_period_end
    return subscription.status in RUNNING and not subscription.cancel_at_period_end and not told
