"""Which orders may have changed at their provider, and which of its events are known."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, union

from devforge_api.billing.models import (
    Dispute,
    DisputeStatus,
    EventOutcome,
    Order,
    OrderStatus,
    Payment,
    PaymentStatus,
    ProviderEvent,
    Refund,
    RefundStatus,
    Subscription,
    SubscriptionStatus,
)
from devforge_api.core.db import db

UNDER_WAY = (RefundStatus.REQUESTED, RefundStatus.PENDING)
UNDECIDED = (DisputeStatus.INQUIRY, DisputeStatus.OPEN)
RUNNING = (SubscriptionStatus.TRIALING, SubscriptionStatus.ACTIVE, SubscriptionStatus.PAST_DUE)
# How long news may take before they are asked for.
SLOW = timedelta(minutes=15)
RENEWAL_IS_LATE = timedelta(hours=3)
# Pages close after a day; an order that is pending still has lost its news, or waits for money.
PAGE_HAS_CLOSED, MONEY_HAS_COME = timedelta(hours=25), timedelta(days=30)


def known_events(provider: str, event_ids: Sequence[str]) -> set[str]:
    """Which of these events of a provider were told."""
    statement = select(ProviderEvent.event_id).where(
        ProviderEvent.provider == provider, ProviderEvent.event_id.in_(event_ids)
    )
    return set(db.session.scalars(statement))


def waiting_events() -> Sequence[UUID]:
    """The events that nobody has acted upon, oldest first."""
    statement = (
        select(ProviderEvent.id)
        .where(ProviderEvent.outcome == EventOutcome.WAITING)
        .order_by(ProviderEvent.received_at, ProviderEvent.id)
    )
    return db.session.scalars(statement).all()


def suspects(since: datetime) -> list[tuple[UUID, str]]:
    """Orders with an open checkout, a subscription or something undecided, and those that changed since."""
    of_refunds = select(Payment.order_id).join(Refund, Refund.payment_id == Payment.id)
    of_disputes = select(Payment.order_id).join(Dispute, Dispute.payment_id == Payment.id)
    known = Order.session_reference.is_not(None)
    kinds: list[Any] = [
        select(Order.id).where(Order.status == OrderStatus.PENDING, known),
        select(Order.id).where(Order.updated_at >= since, known),
        select(Subscription.order_id).where(Subscription.status != SubscriptionStatus.CANCELED),
        select(Subscription.order_id).where(Subscription.updated_at >= since),
        select(Payment.order_id).where(Payment.updated_at >= since),
        select(Payment.order_id).where(Payment.status == PaymentStatus.PENDING),
        of_refunds.where(Refund.updated_at >= since),
        of_refunds.where(Refund.status.in_(UNDER_WAY)),
        of_disputes.where(Dispute.updated_at >= since),
        of_disputes.where(Dispute.status.in_(UNDECIDED)),
    ]
    ids = union(*kinds).subquery()
    statement = select(Order.id, Order.provider).join(ids, ids.c[0] == Order.id).order_by(Order.id)
    return [(order_id, provider) for order_id, provider in db.session.execute(statement)]


def overdue(now: datetime, *, limit: int) -> list[UUID]:
    """Orders of which there should have been news: at most so many of each kind.

    The newest, as somebody waits for them; but those whose page has closed beginning with the oldest, so
    that many new ones, most of which nobody will pay, do not keep them from being looked at.
    """
    pending = select(Order.id).where(
        Order.status == OrderStatus.PENDING, Order.session_reference.is_not(None)
    )
    kinds: list[Any] = [
        pending.where(Order.created_at.between(now - PAGE_HAS_CLOSED, now - SLOW))
        .order_by(Order.created_at.desc())
        .limit(limit),
        pending.where(Order.created_at.between(now - MONEY_HAS_COME, now - PAGE_HAS_CLOSED))
        .order_by(Order.created_at)
        .limit(limit),
        select(Subscription.order_id)
        .where(Subscription.status.in_(RUNNING), Subscription.current_period_end <= now - RENEWAL_IS_LATE)
        .order_by(Subscription.current_period_end.desc())
        .limit(limit),
        select(Payment.order_id)
        .join(Refund, Refund.payment_id == Payment.id)
        .where(Refund.status.in_(UNDER_WAY), Refund.created_at <= now - SLOW)
        .order_by(Refund.created_at.desc())
        .limit(limit),
    ]
    found: set[UUID] = set()
    for kind in kinds:
        found.update(db.session.scalars(kind))
    return sorted(found)
