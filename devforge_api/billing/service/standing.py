"""What an order has come to, and what its licences should be: a function of what is recorded.

However the news came, in whatever order and however often, the same records give the same answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from devforge_api.billing.models import (
    Dispute,
    DisputeStatus,
    Hold,
    OrderStatus,
    Payment,
    PaymentStatus,
    Refund,
    RefundStatus,
    Subscription,
    SubscriptionStatus,
)
from devforge_api.billing.service.providers.base import SessionState

# Providers charge for a new period some hours after it has begun.
RENEWAL_TAKES = timedelta(days=1)
# A refund may come back within 30 days; until then licences are suspended and not revoked.
REFUND_IS_FINAL_AFTER = timedelta(days=30)
MOVED = (RefundStatus.PENDING, RefundStatus.SUCCEEDED)  # the money has left


class Access(StrEnum):
    """What the buyer may have: nothing yet, licences that wait for money, licences; or not any more."""

    NONE = "none"
    PENDING = "pending"
    GRANTED = "granted"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Recorded:
    """All that is known of an order's money."""

    session: SessionState
    payments: Sequence[Payment] = ()
    refunds: Sequence[Refund] = ()
    disputes: Sequence[Dispute] = ()
    subscription: Subscription | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """The outcome.

    :param hold: why its licences are suspended meanwhile.
    :param until: when a subscription's licences expire; None: as their policy says, or not known yet.
    """

    status: OrderStatus
    access: Access
    hold: Hold | None = None
    until: datetime | None = None

    @property
    def has_licenses(self) -> bool:
        """Whether there must be a licence for each piece; where money came, also if it has gone again."""
        sold = self.status in (OrderStatus.PAID, OrderStatus.REFUNDED, OrderStatus.DISPUTED)
        return sold or self.access is Access.PENDING


def standing(recorded: Recorded, *, now: datetime, grace: timedelta) -> Standing:
    """What an order has come to.

    :param grace: for how long what is paid for is followed by what should be paid.
    """
    paid = sorted(
        (payment for payment in recorded.payments if payment.status is PaymentStatus.PAID),
        key=lambda payment: payment.period_end or payment.paid_at or now,
    )
    if not paid and not _on_trial(recorded.subscription):
        return _unpaid(recorded)
    until = _until(paid, recorded.subscription, grace)
    disputes = {dispute.status for dispute in recorded.disputes}
    if DisputeStatus.LOST in disputes:
        return Standing(OrderStatus.DISPUTED, Access.ENDED)
    if DisputeStatus.OPEN in disputes:
        return Standing(OrderStatus.DISPUTED, Access.GRANTED, Hold.DISPUTE, until)
    refunded_at = _given_back(paid, recorded.refunds)
    if refunded_at is not None:
        over = recorded.subscription is None or recorded.subscription.status is SubscriptionStatus.CANCELED
        if over and refunded_at <= now - REFUND_IS_FINAL_AFTER:
            return Standing(OrderStatus.REFUNDED, Access.ENDED)
        return Standing(OrderStatus.REFUNDED, Access.GRANTED, Hold.REFUND, until)
    return Standing(OrderStatus.PAID, Access.GRANTED, _unpaid_hold(recorded.subscription, now), until)


def _on_trial(subscription: Subscription | None) -> bool:
    return subscription is not None and subscription.status is SubscriptionStatus.TRIALING


def _unpaid(recorded: Recorded) -> Standing:
    """Before the first payment, or without one."""
    subscription = recorded.subscription
    if recorded.session is SessionState.EXPIRED:
        return Standing(OrderStatus.CANCELED, Access.ENDED)
    if recorded.session is SessionState.OPEN:
        return Standing(OrderStatus.PENDING, Access.NONE)
    failed = any(payment.status is PaymentStatus.FAILED for payment in recorded.payments)
    ended = subscription is not None and subscription.status is SubscriptionStatus.CANCELED
    if ended or (failed and subscription is None):  # a subscription tries again
        return Standing(OrderStatus.FAILED, Access.ENDED)
    return Standing(OrderStatus.PENDING, Access.PENDING)


def _given_back(paid: Sequence[Payment], refunds: Sequence[Refund]) -> datetime | None:
    """When all that was paid for the newest period, or at once, had gone back; None: not all of it has."""
    charged = [payment for payment in paid if payment.amount > 0]
    if not charged:
        return None
    # A change of price within a period is a payment of its own, and mostly the smaller one.
    last = charged[-1].period_end
    newest = {payment.id: payment.amount for payment in charged if payment.period_end == last}
    back = [refund for refund in refunds if refund.payment_id in newest and refund.status in MOVED]
    if sum(refund.amount for refund in back) < sum(newest.values()):
        return None
    return max(refund.succeeded_at or refund.created_at for refund in back)


def _unpaid_hold(subscription: Subscription | None, now: datetime) -> Hold | None:
    if subscription is None:
        return None
    if subscription.status is SubscriptionStatus.PAUSED:
        return Hold.PAUSED
    late = subscription.grace_ends_at is not None and subscription.grace_ends_at <= now
    if subscription.status is SubscriptionStatus.UNPAID or (
        subscription.status is SubscriptionStatus.PAST_DUE and late
    ):
        return Hold.UNPAID
    return None


def _until(paid: Sequence[Payment], subscription: Subscription | None, grace: timedelta) -> datetime | None:
    """When a subscription's licences expire: with what is paid for, and a while later if more is to come."""
    if subscription is None:
        return None
    ends = [payment.period_end for payment in paid if payment.period_end is not None]
    if subscription.status is SubscriptionStatus.TRIALING or not ends:
        ends.append(subscription.current_period_end)
    # A period that a change of interval has cut short: what is left of it was credited.
    paid_until = min(max(ends), subscription.current_period_end)
    if subscription.status is SubscriptionStatus.CANCELED or subscription.cancel_at_period_end:
        return paid_until
    allowed = paid_until + max(grace, RENEWAL_TAKES)
    return allowed if subscription.grace_ends_at is None else max(allowed, subscription.grace_ends_at)
