"""What providers tell of money: payments, refunds, disputes, subscriptions; and our documents of it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from devforge_api.core.clock import utc_now
from devforge_api.core.db import JsonValue, Model, Timestamps, checked_enum, uuid7


class SubscriptionStatus(StrEnum):
    """Stripe's words. ``canceled`` is for good."""

    INCOMPLETE = "incomplete"  # its first payment waits
    TRIALING = "trialing"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    UNPAID = "unpaid"
    PAUSED = "paused"
    CANCELED = "canceled"


class Subscription(Timestamps, Model):
    """What keeps an order's licences going."""

    __tablename__ = "subscriptions"
    __table_args__ = (
        UniqueConstraint("provider", "reference"),
        Index("ix_subscriptions_created_at_id", "created_at", "id"),
        Index("ix_subscriptions_user_id_created_at", "user_id", "created_at", "id"),
        Index("ix_subscriptions_status_created_at", "status", "created_at", "id"),
        Index("ix_subscriptions_status_current_period_end", "status", "current_period_end"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id", ondelete="CASCADE"), unique=True)
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    provider: Mapped[str] = mapped_column(String(32))
    reference: Mapped[str]
    status: Mapped[SubscriptionStatus] = mapped_column(checked_enum(SubscriptionStatus))
    current_period_end: Mapped[datetime]
    cancel_at_period_end: Mapped[bool] = mapped_column(default=False)
    ended_at: Mapped[datetime | None]
    grace_ends_at: Mapped[datetime | None]  # a payment has failed: until then its licences work on
    renewal_told_for: Mapped[datetime | None]  # the period's end that its owner was written to about


class PaymentStatus(StrEnum):
    """``paid`` is for good; what is given back is a refund. ``failed``: the last attempt did."""

    PENDING = "pending"
    PAID = "paid"
    FAILED = "failed"


class Payment(Timestamps, Model):
    """Money for an order: once, or for one period of its subscription."""

    __tablename__ = "payments"
    __table_args__ = (
        CheckConstraint("amount >= 0", name="amount_not_negative"),
        UniqueConstraint("provider", "reference"),
        Index("ix_payments_created_at_id", "created_at", "id"),
        Index("ix_payments_order_id_created_at", "order_id", "created_at", "id"),
        Index("ix_payments_status_created_at", "status", "created_at", "id"),
        Index("ix_payments_paid_at", "paid_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id", ondelete="RESTRICT"))
    provider: Mapped[str] = mapped_column(String(32))
    reference: Mapped[str]  # of what is paid: the checkout, or a subscription's invoice
    charge_reference: Mapped[str | None] = mapped_column(String(255), index=True)  # of what moved the money
    status: Mapped[PaymentStatus] = mapped_column(checked_enum(PaymentStatus))
    amount: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    failure: Mapped[str | None] = mapped_column(Text)  # the provider's words
    period_start: Mapped[datetime | None]  # of a subscription
    period_end: Mapped[datetime | None]
    paid_at: Mapped[datetime | None]


class RefundStatus(StrEnum):
    """``requested``: here, and the provider may not know yet. A succeeded one can still fail."""

    REQUESTED = "requested"
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


class Refund(Timestamps, Model):
    """Money that goes back."""

    __tablename__ = "refunds"
    __table_args__ = (
        CheckConstraint("amount > 0", name="amount_positive"),
        UniqueConstraint("provider", "reference"),
        Index("ix_refunds_created_at_id", "created_at", "id"),
        Index("ix_refunds_payment_id", "payment_id"),
        Index("ix_refunds_status_created_at", "status", "created_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payments.id", ondelete="RESTRICT"))
    provider: Mapped[str] = mapped_column(String(32))
    reference: Mapped[str | None]
    status: Mapped[RefundStatus] = mapped_column(checked_enum(RefundStatus))
    amount: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str | None] = mapped_column(Text)  # in the words of whoever asked for it
    requested_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"), index=True)
    failure: Mapped[str | None] = mapped_column(Text)
    succeeded_at: Mapped[datetime | None]

    payment: Mapped[Payment] = relationship(lazy="raise", viewonly=True)


class DisputeStatus(StrEnum):
    """``open``: the money is withheld; ``inquiry``: a bank asks, and nothing is withheld."""

    INQUIRY = "inquiry"
    OPEN = "open"
    WON = "won"
    LOST = "lost"


class Dispute(Timestamps, Model):
    """A payer's bank takes a payment back, perhaps for a time."""

    __tablename__ = "disputes"
    __table_args__ = (
        UniqueConstraint("provider", "reference"),
        Index("ix_disputes_payment_id", "payment_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    payment_id: Mapped[UUID] = mapped_column(ForeignKey("payments.id", ondelete="RESTRICT"))
    provider: Mapped[str] = mapped_column(String(32))
    reference: Mapped[str]
    status: Mapped[DisputeStatus] = mapped_column(checked_enum(DisputeStatus))
    amount: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str | None] = mapped_column(Text)


class InvoiceKind(StrEnum):
    """A credit note takes back, wholly or in part, what an invoice asked for."""

    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"


class Invoice(Model):
    """Our document of a payment or refund; numbered without gaps, in the order of the commits."""

    __tablename__ = "invoices"
    __table_args__ = (
        UniqueConstraint("kind", "source_id"),
        Index("ix_invoices_issued_at_id", "issued_at", "id"),
        Index("ix_invoices_order_id", "order_id"),
        Index("ix_invoices_user_id_issued_at", "user_id", "issued_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    number: Mapped[int] = mapped_column(BigInteger, unique=True)
    kind: Mapped[InvoiceKind] = mapped_column(checked_enum(InvoiceKind))
    source_id: Mapped[UUID]  # of the payment, or of the refund
    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id", ondelete="RESTRICT"))
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    amount: Mapped[int] = mapped_column(BigInteger)  # a credit note's is positive as well
    currency: Mapped[str] = mapped_column(String(3))
    lines: Mapped[list[dict[str, Any]]] = mapped_column(JsonValue)  # description, quantity, amounts
    issued_at: Mapped[datetime] = mapped_column(default=utc_now)

    @property
    def printed_number(self) -> str:
        """As documents show it: the year of issue, and the number that is the next one in any year."""
        return f"{self.issued_at.year}-{self.number:06}"
