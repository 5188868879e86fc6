"""Payments, refunds, invoices, subscriptions, the ledger and the inbox: their lists and look-ups.

What belongs to an order is its owner's; staff see everybody's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import defer, joinedload

from devforge_api.billing.errors import (
    InvoiceNotFound,
    PaymentNotFound,
    RefundNotFound,
    SubscriptionNotFound,
)
from devforge_api.billing.models import (
    Dispute,
    DisputeStatus,
    Invoice,
    LedgerLine,
    Order,
    Payment,
    PaymentStatus,
    ProviderEvent,
    Refund,
    RefundStatus,
    Subscription,
)
from devforge_api.core.db import db
from devforge_api.core.errors import NotFound
from devforge_api.core.listing import Listing

Row = TypeVar("Row")

PAYMENTS = Listing(
    "PaymentQuery",
    key=Payment.id,
    filters={
        "order_id": Payment.order_id,
        "status": Payment.status,
        "paid_at": Payment.paid_at,
        "created_at": Payment.created_at,
    },
    sorts={"created_at": Payment.created_at},
)
_WITH_PAYMENT = (joinedload(Refund.payment),)
REFUNDS = Listing(
    "RefundQuery",
    key=Refund.id,
    filters={
        "payment_id": Refund.payment_id,
        "status": Refund.status,
        "created_at": Refund.created_at,
    },
    sorts={"created_at": Refund.created_at},
    load=_WITH_PAYMENT,
)
INVOICES = Listing(
    "InvoiceQuery",
    key=Invoice.id,
    filters={
        "number": Invoice.number,
        "order_id": Invoice.order_id,
        "user_id": Invoice.user_id,
        "issued_at": Invoice.issued_at,
    },
    sorts={"number": Invoice.number, "issued_at": Invoice.issued_at},
    default_sort="-number",
)
SUBSCRIPTIONS = Listing(
    "SubscriptionQuery",
    key=Subscription.id,
    filters={
        "order_id": Subscription.order_id,
        "user_id": Subscription.user_id,
        "status": Subscription.status,
        "created_at": Subscription.created_at,
    },
    sorts={"created_at": Subscription.created_at},
)
BILLING_LEDGER = Listing(
    "BillingLedgerQuery",
    key=LedgerLine.id,
    filters={
        "posting": LedgerLine.posting,
        "order_id": LedgerLine.order_id,
        "account": LedgerLine.account,
        "created_at": LedgerLine.created_at,
    },
    sorts={"created_at": LedgerLine.created_at},
)
PROVIDER_EVENTS = Listing(
    "ProviderEventQuery",
    key=ProviderEvent.id,
    filters={
        "provider": ProviderEvent.provider,
        "order_id": ProviderEvent.order_id,
        "outcome": ProviderEvent.outcome,
        "received_at": ProviderEvent.received_at,
    },
    sorts={"received_at": ProviderEvent.received_at},
    default_sort="-received_at",
)


def payments(*, reader_id: UUID | None) -> Select[Payment]:
    """Everybody's payments, or those of one user's orders."""
    statement = select(Payment)
    return statement if reader_id is None else statement.where(Payment.order_id.in_(_orders_of(reader_id)))


def refunds(*, reader_id: UUID | None) -> Select[Refund]:
    """Everybody's refunds, or those of one user's orders."""
    statement = select(Refund)
    if reader_id is None:
        return statement
    theirs = select(Payment.id).where(Payment.order_id.in_(_orders_of(reader_id)))
    return statement.where(Refund.payment_id.in_(theirs))


def invoices(*, reader_id: UUID | None) -> Select[Invoice]:
    """Everybody's invoices and credit notes, or one user's."""
    statement = select(Invoice)
    return statement if reader_id is None else statement.where(Invoice.user_id == reader_id)


def subscriptions(*, reader_id: UUID | None) -> Select[Subscription]:
    """Everybody's subscriptions, or one user's."""
    statement = select(Subscription)
    return statement if reader_id is None else statement.where(Subscription.user_id == reader_id)


def ledger_lines() -> Select[LedgerLine]:
    """The whole ledger."""
    return select(LedgerLine)


def provider_events() -> Select[ProviderEvent]:
    """The whole inbox, without what the events say."""
    return select(ProviderEvent).options(defer(ProviderEvent.payload, raiseload=True))


def _orders_of(user_id: UUID) -> Select[UUID]:
    return select(Order.id).where(Order.user_id == user_id)


def _one(statement: Select[Row], condition: ColumnElement[bool], missing: type[NotFound]) -> Row:
    found: Row | None = db.session.scalar(statement.where(condition))
    if found is None:
        raise missing
    return found


def get_payment(payment_id: UUID, *, reader_id: UUID | None) -> Payment:
    """One payment. :raises PaymentNotFound: unknown, or not of the reader's orders."""
    return _one(payments(reader_id=reader_id), Payment.id == payment_id, PaymentNotFound)


def get_refund(refund_id: UUID, *, reader_id: UUID | None) -> Refund:
    """One refund with its payment. :raises RefundNotFound: unknown, or not of the reader's orders."""
    statement = refunds(reader_id=reader_id).options(*_WITH_PAYMENT)
    statement = statement.execution_options(populate_existing=True)
    return _one(statement, Refund.id == refund_id, RefundNotFound)


def get_invoice(invoice_id: UUID, *, reader_id: UUID | None) -> Invoice:
    """One invoice or credit note. :raises InvoiceNotFound: unknown, or not the reader's."""
    return _one(invoices(reader_id=reader_id), Invoice.id == invoice_id, InvoiceNotFound)


def get_subscription(subscription_id: UUID, *, reader_id: UUID | None) -> Subscription:
    """One subscription. :raises SubscriptionNotFound: unknown, or not the reader's."""
    statement = subscriptions(reader_id=reader_id).execution_options(populate_existing=True)
    return _one(statement, Subscription.id == subscription_id, SubscriptionNotFound)


def payments_of(order_id: UUID) -> Sequence[Payment]:
    """An order's payments, newest first."""
    newest: tuple[Any, ...] = (Payment.paid_at.desc().nulls_last(), Payment.id.desc())
    return db.session.scalars(select(Payment).where(Payment.order_id == order_id).order_by(*newest)).all()


def refunds_of(order_id: UUID) -> Sequence[Refund]:
    """An order's refunds with their payments, oldest first."""
    of_order = select(Payment.id).where(Payment.order_id == order_id)
    statement = select(Refund).where(Refund.payment_id.in_(of_order)).order_by(Refund.created_at, Refund.id)
    return db.session.scalars(statement.options(*_WITH_PAYMENT)).all()


def newest_paid(order_id: UUID) -> Payment | None:
    """The last payment of an order by which money came in; None: there is none."""
    statement = (
        select(Payment)
        .where(Payment.order_id == order_id, Payment.status == PaymentStatus.PAID, Payment.amount > 0)
        .order_by(Payment.paid_at.desc(), Payment.id.desc())
        .limit(1)
    )
    return db.session.scalar(statement)


def gone_of(payment_id: UUID) -> int:
    """How much of a payment was given back, is about to be, or is held by the payer's bank."""
    back = select(func.coalesce(func.sum(Refund.amount), 0)).where(
        Refund.payment_id == payment_id,
        Refund.status.in_((RefundStatus.REQUESTED, RefundStatus.PENDING, RefundStatus.SUCCEEDED)),
    )
    held = select(func.coalesce(func.sum(Dispute.amount), 0)).where(
        Dispute.payment_id == payment_id, Dispute.status.in_((DisputeStatus.OPEN, DisputeStatus.LOST))
    )
    return int(db.session.scalar(back) or 0) + int(db.session.scalar(held) or 0)
