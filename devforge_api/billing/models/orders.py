"""Orders, what was bought with them, and the licences that came of it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from devforge_api.billing.models.catalogue import Interval
from devforge_api.core.db import Model, Timestamps, checked_enum, uuid7


class OrderStatus(StrEnum):
    """What has become of an order, as its buyer sees it."""

    PENDING = "pending"
    PAID = "paid"
    FAILED = "failed"
    CANCELED = "canceled"
    REFUNDED = "refunded"
    DISPUTED = "disputed"


class Order(Timestamps, Model):
    """One checkout."""

    __tablename__ = "orders"
    __table_args__ = (
        CheckConstraint("amount >= 0", name="amount_not_negative"),
        UniqueConstraint("provider", "session_reference"),
        Index("ix_orders_created_at_id", "created_at", "id"),
        Index("ix_orders_status_created_at", "status", "created_at", "id"),
        Index("ix_orders_user_id_created_at", "user_id", "created_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    # Orders are kept for the books; without the account they name nobody.
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    status: Mapped[OrderStatus] = mapped_column(checked_enum(OrderStatus), default=OrderStatus.PENDING)
    amount: Mapped[int] = mapped_column(BigInteger)  # of all items, for one interval
    currency: Mapped[str] = mapped_column(String(3))
    interval: Mapped[Interval] = mapped_column(checked_enum(Interval))  # the same for all items
    provider: Mapped[str] = mapped_column(String(32))
    session_reference: Mapped[str | None]  # the provider's checkout; None: it was not reached yet
    checkout_url: Mapped[str | None] = mapped_column(Text)  # where it is paid while it is pending
    success_url: Mapped[str] = mapped_column(Text)
    cancel_url: Mapped[str] = mapped_column(Text)
    paid_at: Mapped[datetime | None]  # for the first time
    # Looks at the provider are numbered when they begin; of two, the later begun one is right.
    looks: Mapped[int] = mapped_column(default=0)
    settled_look: Mapped[int] = mapped_column(default=0)


class OrderItem(Model):
    """Licences of one policy within an order, at the price of that day."""

    __tablename__ = "order_items"
    __table_args__ = (
        CheckConstraint("quantity > 0", name="quantity_positive"),
        UniqueConstraint("order_id", "position"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    order_id: Mapped[UUID] = mapped_column(ForeignKey("orders.id", ondelete="CASCADE"))
    position: Mapped[int]  # from 0
    # A subscription's items move to other prices, and with them to other policies.
    price_id: Mapped[UUID] = mapped_column(ForeignKey("prices.id", ondelete="RESTRICT"), index=True)
    policy_id: Mapped[UUID] = mapped_column(ForeignKey("policies.id", ondelete="RESTRICT"), index=True)
    description: Mapped[str]
    quantity: Mapped[int]
    unit_amount: Mapped[int] = mapped_column(BigInteger)


class Hold(StrEnum):
    """Why billing has suspended a licence."""

    REFUND = "refund"
    DISPUTE = "dispute"
    UNPAID = "unpaid"
    PAUSED = "paused"


class OrderLicense(Model):
    """A piece of an item and its licence. Its key is what keeps an item from being fulfilled twice."""

    __tablename__ = "order_licenses"

    item_id: Mapped[UUID] = mapped_column(ForeignKey("order_items.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)  # from 0, below the item's quantity
    # A licence that the team removes is not made again.
    license_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("licenses.id", ondelete="SET NULL"), unique=True
    )
    hold: Mapped[Hold | None] = mapped_column(checked_enum(Hold))
    # Whether the hold has suspended it: one that the team had suspended before is not reinstated.
    suspended: Mapped[bool] = mapped_column(default=False)
    # The expiry that a subscription has given it last: one that the team has set since stays.
    until: Mapped[datetime | None]
