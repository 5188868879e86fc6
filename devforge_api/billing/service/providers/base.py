"""What billing asks of a payment provider, and the words in which it is answered.

Every method may take as long as the network does, and so is called outside of any transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from devforge_api.billing.models import (
    DisputeStatus,
    Interval,
    PaymentStatus,
    RefundStatus,
    SubscriptionStatus,
)


@dataclass(frozen=True, slots=True)
class PriceToBuy:
    """A price, and what the provider calls it if it knows it."""

    price_id: UUID
    reference: str | None
    name: str
    amount: int
    currency: str
    interval: Interval


@dataclass(frozen=True, slots=True)
class CheckoutRequest:
    """What is to be paid, by whom, and where the payer goes afterwards.

    :param lines: in the order of the order's items, each with its quantity.
    :param trial_days: before the first payment, of recurring prices.
    """

    order_id: UUID
    lines: tuple[tuple[PriceToBuy, int], ...]
    trial_days: int | None
    customer_reference: str | None
    user_id: UUID
    email: str
    success_url: str
    cancel_url: str


@dataclass(frozen=True, slots=True)
class Checkout:
    """A page where an order is paid, and what the provider has learned to call things by.

    :param prices: references of prices that it did not know before.
    """

    reference: str
    url: str
    customer_reference: str | None = None
    prices: Mapping[UUID, str] | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """An event: that something has changed. What is true now is found by looking."""

    event_id: str
    kind: str
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class OrderReferences:
    """How the provider knows an order."""

    order_id: UUID
    session: str | None
    subscription: str | None


class SessionState(StrEnum):
    """Of a checkout. ``complete``: done by the payer; the money may still be on its way."""

    OPEN = "open"
    COMPLETE = "complete"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class SeenPayment:
    """A payment as the provider tells it.

    :param reference: of the checkout (one-time), or of the subscription's invoice.
    :param charge_reference: by which refunds and disputes name it.
    """

    reference: str
    status: PaymentStatus
    amount: int
    currency: str
    charge_reference: str | None = None
    failure: str | None = None
    period_start: datetime | None = None
    period_end: datetime | None = None
    paid_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SeenRefund:
    """A refund as the provider tells it.

    :param refund_id: ours, where we have asked for it.
    """

    reference: str
    charge_reference: str
    status: RefundStatus
    amount: int
    refund_id: UUID | None = None
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class SeenDispute:
    """A dispute as the provider tells it."""

    reference: str
    charge_reference: str
    status: DisputeStatus
    amount: int
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class SeenSubscription:
    """A subscription as the provider tells it.

    :param price_ids: of its items, in the order of the order's items; None: a price that is not ours.
    """

    reference: str
    status: SubscriptionStatus
    current_period_end: datetime
    cancel_at_period_end: bool = False
    ended_at: datetime | None = None
    price_ids: tuple[UUID | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a provider says of one order at one moment, at least the newest hundred payments."""

    session: SessionState
    payments: tuple[SeenPayment, ...] = ()
    refunds: tuple[SeenRefund, ...] = ()
    disputes: tuple[SeenDispute, ...] = ()
    subscription: SeenSubscription | None = None
    customer_reference: str | None = None


class Provider(Protocol):
    """Whoever takes the money.

    Every method but `read_event` raises ProviderUnavailable where there is no answer, and
    ProviderRefused, with the reason, where there is a clear no. What creates or moves something
    can be repeated with the same ids and happens once.
    """

    name: str

    def create_checkout(self, request: CheckoutRequest) -> Checkout:
        """Open a page where the order is paid."""

    def expire_checkout(self, reference: str) -> None:
        """Close the page; one that is complete or closed stays as it is."""

    def look(self, order: OrderReferences) -> Snapshot:
        """What is true of an order now."""

    def read_event(self, body: bytes, headers: Mapping[str, str]) -> Told:
        """The event of a webhook call.

        :raises InvalidSignature: not signed by the provider, or not about now.
        :raises ValueError: signed, and no event that can be read.
        """

    def order_of(self, payload: Mapping[str, Any]) -> UUID | None:
        """Which order of ours an event concerns; None: none."""

    def events(self, since: datetime, until: datetime) -> Iterator[Told]:
        """What should have been told since then, oldest first as far as the provider remembers."""

    def refund(self, refund_id: UUID, charge_reference: str, amount: int) -> None:
        """Give money back. Repeated with the same id, it is given once."""

    def change_price(self, subscription: str, position: int, price: PriceToBuy) -> str:
        """Move an item of a subscription to another price, prorated; its own reference is returned."""

    def cancel(self, subscription: str, *, at_period_end: bool) -> None:
        """End a subscription, now or when what is paid for is over; an ended one stays ended."""

    def resume(self, subscription: str) -> None:
        """Take back that a subscription ends with its period."""

    def portal_url(self, customer_reference: str, return_url: str) -> str:
        """A page where the customer manages cards, invoices and subscriptions."""
