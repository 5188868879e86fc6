"""What is sold for how much, and what providers call it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from devforge_api.core.clock import utc_now
from devforge_api.core.db import JsonValue, Model, Timestamps, checked_enum, uuid7


class Interval(StrEnum):
    """How often a price is paid."""

    ONE_TIME = "one_time"
    MONTH = "month"
    YEAR = "year"


class Price(Timestamps, Model):
    """What a policy costs. Amount, currency and interval never change: orders and providers know them."""

    __tablename__ = "prices"
    __table_args__ = (
        CheckConstraint("amount >= 0", name="amount_not_negative"),
        CheckConstraint("trial_days IS NULL OR trial_days > 0", name="trial_days_positive"),
        Index("ix_prices_created_at_id", "created_at", "id"),
        Index("ix_prices_product_id_created_at", "product_id", "created_at", "id"),
        Index("ix_prices_policy_id_created_at", "policy_id", "created_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    policy_id: Mapped[UUID] = mapped_column(ForeignKey("policies.id", ondelete="RESTRICT"))
    # The policy's product, repeated so that the price list is read by it.
    product_id: Mapped[UUID] = mapped_column(ForeignKey("products.id", ondelete="RESTRICT"))
    name: Mapped[str]  # as customers read it on receipts
    amount: Mapped[int] = mapped_column(BigInteger)  # for one licence, in minor units
    currency: Mapped[str] = mapped_column(String(3))  # ISO 4217, capitals
    interval: Mapped[Interval] = mapped_column(checked_enum(Interval))
    trial_days: Mapped[int | None]  # before the first payment; recurring prices only
    active: Mapped[bool] = mapped_column(default=True)  # on sale
    metadata_: Mapped[dict[str, Any]] = mapped_column("metadata", JsonValue, default=dict)
    version: Mapped[int] = mapped_column(default=1)

    __mapper_args__ = {"version_id_col": version}


class PriceReference(Model):
    """What a provider calls a price. It goes on naming it, and so the price stays."""

    __tablename__ = "price_references"
    __table_args__ = (UniqueConstraint("provider", "reference"),)

    price_id: Mapped[UUID] = mapped_column(ForeignKey("prices.id", ondelete="RESTRICT"), primary_key=True)
    provider: Mapped[str] = mapped_column(String(32), primary_key=True)
    reference: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class Customer(Model):
    """What a provider calls a user."""

    __tablename__ = "billing_customers"
    __table_args__ = (UniqueConstraint("provider", "reference"),)

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    provider: Mapped[str] = mapped_column(String(32), primary_key=True)
    reference: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
