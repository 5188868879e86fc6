"""What a provider has said of an order's money becomes rows, postings and documents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select

from devforge_api.billing.models import (
    Account,
    Dispute,
    DisputeStatus,
    Interval,
    Order,
    OrderItem,
    Payment,
    PaymentStatus,
    Price,
    Refund,
    RefundStatus,
    Subscription,
    SubscriptionStatus,
)
from devforge_api.billing.service import documents
from devforge_api.billing.service.ledger import Postings
from devforge_api.billing.service.providers.base import (
    SeenDispute,
    SeenPayment,
    SeenRefund,
    SeenSubscription,
    Snapshot,
)
from devforge_api.billing.service.standing import MOVED, Recorded
from devforge_api.core.db import db, uuid7
from devforge_api.core.outbox import Undeliverable, emit


class AmountDiffers(Undeliverable):
    """What was paid is not what was ordered: a person must look at it."""


@dataclass
class Books:
    """An order, locked, with all that belongs to it.

    :param news: what has been recorded just now, in words.
    :param paid: payments that came in just now. :param moved: items at another price than before.
    :param cause: what the provider calls that which has changed last.
    """

    order: Order
    items: list[OrderItem]
    payments: list[Payment]
    refunds: list[Refund]
    disputes: list[Dispute]
    subscription: Subscription | None
    news: list[str] = field(default_factory=list)
    paid: list[Payment] = field(default_factory=list)
    failed: list[Payment] = field(default_factory=list)
    moved: list[OrderItem] = field(default_factory=list)
    cause: str | None = None

    def note(self, what: str, reference: str, status: str) -> None:
        """Say what has changed just now."""
        self.news.append(f"{what} {reference} {status}")
        self.cause = reference

    def recorded(self, snapshot: Snapshot) -> Recorded:
        """What its standing follows from."""
        return Recorded(snapshot.session, self.payments, self.refunds, self.disputes, self.subscription)

    def charged(self, reference: str) -> Payment | None:
        """The payment that a charge belongs to."""
        return next((payment for payment in self.payments if payment.charge_reference == reference), None)


def open_books(order: Order) -> Books:
    """Read what belongs to a locked order."""
    payments = _all(Payment, Payment.order_id == order.id, by=Payment.id)
    ids = [payment.id for payment in payments]
    return Books(
        order,
        _all(OrderItem, OrderItem.order_id == order.id, by=OrderItem.position),
        payments,
        _all(Refund, Refund.payment_id.in_(ids), by=Refund.id),
        _all(Dispute, Dispute.payment_id.in_(ids), by=Dispute.id),
        db.session.scalar(select(Subscription).where(Subscription.order_id == order.id)),
    )


def _all(model: Any, which: Any, *, by: Any) -> list[Any]:
    return list(db.session.scalars(select(model).where(which).order_by(by)))


def record(
    books: Books, snapshot: Snapshot, *, event_id: str | None, now: datetime, grace: timedelta
) -> None:
    """Bring an order's rows to what was seen, and post what has moved.

    :raises AmountDiffers: a checkout was paid with another amount than was asked for.
    """
    postings = Postings(books.order, event_id)
    if books.order.user_id is None:
        snapshot = _without_words(snapshot)
    if snapshot.subscription is not None:
        _record_subscription(books, snapshot.subscription, now=now, grace=grace)
    for payment in snapshot.payments:
        _record_payment(books, payment, postings, now)
    db.session.flush()  # refunds and disputes refer to them
    for refund in snapshot.refunds:
        _record_refund(books, refund, postings, now)
    for dispute in snapshot.disputes:
        _record_dispute(books, dispute, postings)
    db.session.flush()


def _without_words(snapshot: Snapshot) -> Snapshot:
    """What banks say of a payer is not kept of somebody whose account was erased."""
    return replace(
        snapshot,
        payments=tuple(replace(payment, failure=None) for payment in snapshot.payments),
        refunds=tuple(replace(refund, failure=None) for refund in snapshot.refunds),
        disputes=tuple(replace(dispute, reason=None) for dispute in snapshot.disputes),
    )


def _record_payment(books: Books, seen: SeenPayment, postings: Postings, now: datetime) -> None:
    order = books.order
    if seen.status is PaymentStatus.PAID and order.interval is Interval.ONE_TIME:
        _check_amount(order, seen)
    payment = next((known for known in books.payments if known.reference == seen.reference), None)
    before = None if payment is None else payment.status
    if payment is None:
        payment = Payment(id=uuid7(), order_id=order.id, provider=order.provider, reference=seen.reference)
        db.session.add(payment)
        books.payments.append(payment)
    if before is PaymentStatus.PAID:
        payment.charge_reference = seen.charge_reference or payment.charge_reference
        return
    payment.status, payment.amount, payment.currency = seen.status, seen.amount, seen.currency
    payment.charge_reference, payment.failure = seen.charge_reference, seen.failure
    payment.period_start, payment.period_end = seen.period_start, seen.period_end
    if seen.status is before:
        return
    books.note("payment", seen.reference, seen.status.value)
    if seen.status is PaymentStatus.FAILED:
        books.failed.append(payment)
    if seen.status is PaymentStatus.PAID:
        payment.paid_at = seen.paid_at or now
        books.paid.append(payment)
        postings.post(
            f"payment:{payment.id}",
            source=Account.REVENUE,
            target=Account.PROVIDER,
            amount=payment.amount,
        )
        documents.invoice(order, books.items, payment, now=now)
        emit("payment.paid", order_id=str(order.id), payment_id=str(payment.id))


def _check_amount(order: Order, seen: SeenPayment) -> None:
    if (seen.amount, seen.currency) != (order.amount, order.currency):
        raise AmountDiffers(
            f"order {order.id} asks for {order.amount} {order.currency}: {seen.amount} {seen.currency} came"
        )


def _record_refund(books: Books, seen: SeenRefund, postings: Postings, now: datetime) -> None:
    payment = books.charged(seen.charge_reference)
    if payment is None:  # of a payment that is older than what the provider lists
        return
    refund = _known_refund(books, seen)
    before = None if refund is None else refund.status
    if refund is None:
        refund = Refund(id=uuid7(), payment_id=payment.id, provider=payment.provider)
        db.session.add(refund)
        books.refunds.append(refund)
    refund.reference, refund.amount, refund.failure = seen.reference, seen.amount, seen.failure
    refund.status = seen.status
    if refund.created_at is None:
        refund.created_at = now
    if seen.status is before:
        return
    books.note("refund", seen.reference, seen.status.value)
    if seen.status is RefundStatus.SUCCEEDED:
        refund.succeeded_at = now
    if seen.status in MOVED:
        out = postings.post(
            f"refund:{refund.id}", source=Account.PROVIDER, target=Account.REFUNDS, amount=refund.amount
        )
        if out:
            documents.credit_note(books.order, refund, now=now)
            emit("payment.refunded", order_id=str(books.order.id), refund_id=str(refund.id))
    elif f"refund:{refund.id}" in postings:
        back = postings.post(
            f"refund_failed:{refund.id}",
            source=Account.REFUNDS,
            target=Account.PROVIDER,
            amount=refund.amount,
        )
        if back:
            documents.take_back(books.order, refund, now=now)


def _known_refund(books: Books, seen: SeenRefund) -> Refund | None:
    for refund in books.refunds:
        if refund.reference == seen.reference:
            return refund
    ours = (refund for refund in books.refunds if refund.reference is None and refund.id == seen.refund_id)
    return next(ours, None)


def _record_dispute(books: Books, seen: SeenDispute, postings: Postings) -> None:
    payment = books.charged(seen.charge_reference)
    if payment is None:
        return
    dispute = next((known for known in books.disputes if known.reference == seen.reference), None)
    before = None if dispute is None else (dispute.status, dispute.amount)
    if dispute is None:
        dispute = Dispute(
            id=uuid7(), payment_id=payment.id, provider=payment.provider, reference=seen.reference
        )
        db.session.add(dispute)
        books.disputes.append(dispute)
    dispute.status, dispute.amount, dispute.reason = seen.status, seen.amount, seen.reason
    if (seen.status, seen.amount) == before:
        return
    books.note("dispute", seen.reference, seen.status.value)
    if seen.status in (DisputeStatus.OPEN, DisputeStatus.LOST):
        postings.withhold(dispute.id, seen.amount)
    elif seen.status is DisputeStatus.WON:
        postings.withhold(dispute.id, 0)


def _record_subscription(books: Books, seen: SeenSubscription, *, now: datetime, grace: timedelta) -> None:
    order, subscription = books.order, books.subscription
    new = subscription is None
    if subscription is None:
        subscription = books.subscription = Subscription(
            id=uuid7(),
            order_id=order.id,
            user_id=order.user_id,
            provider=order.provider,
            reference=seen.reference,
            status=SubscriptionStatus.INCOMPLETE,
        )
        db.session.add(subscription)
    before = (subscription.status, subscription.cancel_at_period_end)
    if before[0] is not SubscriptionStatus.CANCELED:  # for good, whatever comes late
        subscription.status = seen.status
    subscription.current_period_end = seen.current_period_end
    subscription.cancel_at_period_end = seen.cancel_at_period_end
    subscription.ended_at = seen.ended_at
    if seen.status is not SubscriptionStatus.PAST_DUE:
        subscription.grace_ends_at = None
    elif subscription.grace_ends_at is None:
        subscription.grace_ends_at = now + grace
    books.moved = list(_moved(books.items, seen.price_ids))
    changed = before != (subscription.status, subscription.cancel_at_period_end)
    if new or changed or books.moved:
        books.note("subscription", seen.reference, subscription.status.value)
        emit("subscription.changed", order_id=str(order.id), subscription_id=str(subscription.id))


def _moved(items: list[OrderItem], price_ids: Iterable[UUID | None]) -> Iterator[OrderItem]:
    """The items whose price is another one at the provider; they are at that one afterwards."""
    changed = [
        (item, price_id)
        for item, price_id in zip(items, price_ids, strict=False)
        if price_id is not None and price_id != item.price_id
    ]
    if not changed:
        return
    prices: Mapping[UUID, Price] = {
        price.id: price
        for price in db.session.scalars(select(Price).where(Price.id.in_([new for _, new in changed])))
    }
    for item, price_id in changed:
        price = prices.get(price_id)
        if price is not None:
            item.price_id, item.policy_id = price.id, price.policy_id
            item.unit_amount, item.description = price.amount, price.name
            yield item
