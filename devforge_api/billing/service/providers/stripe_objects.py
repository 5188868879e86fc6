"""What Stripe's objects say, in the words of `base`; each status in one place.

They are plain mappings, in the newest shape or, where an older one is still met, in both: since API
version 2025-03-31 a period's end stands on the subscription's items, an invoice's subscription below
``parent`` and what has paid it below ``payments``. A status that is not known here is logged, and taken
for the one that neither gives nor takes anything for good.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from fractions import Fraction
from typing import Any, TypeVar
from uuid import UUID

from devforge_api.billing.errors import ProviderRefused
from devforge_api.billing.models import DisputeStatus, PaymentStatus, RefundStatus, SubscriptionStatus
from devforge_api.billing.service.providers.base import (
    SeenDispute,
    SeenPayment,
    SeenRefund,
    SeenSubscription,
    SessionState,
)

log = logging.getLogger(__name__)

Json = Mapping[str, Any]
Status = TypeVar("Status", bound=StrEnum)

# Where Stripe's smallest unit is not ISO 4217's: so many of Stripe's are one of ours
# (https://docs.stripe.com/currencies#zero-decimal and #special-cases).
UNITS = {"ISK": Fraction(100), "UGX": Fraction(100), "MGA": Fraction(1, 100)}

SESSIONS = {
    "open": SessionState.OPEN,
    "complete": SessionState.COMPLETE,
    "expired": SessionState.EXPIRED,
}
INTENTS = {  # of a complete checkout that is not paid
    "processing": PaymentStatus.PENDING,
    "requires_action": PaymentStatus.PENDING,
    "requires_capture": PaymentStatus.PENDING,
    "requires_confirmation": PaymentStatus.PENDING,
    "requires_payment_method": PaymentStatus.FAILED,
    "succeeded": PaymentStatus.PAID,
    "canceled": PaymentStatus.FAILED,
}
SUBSCRIPTIONS = {
    "incomplete": SubscriptionStatus.INCOMPLETE,
    "incomplete_expired": SubscriptionStatus.CANCELED,
    "trialing": SubscriptionStatus.TRIALING,
    "active": SubscriptionStatus.ACTIVE,
    "past_due": SubscriptionStatus.PAST_DUE,
    "unpaid": SubscriptionStatus.UNPAID,
    "paused": SubscriptionStatus.PAUSED,
    "canceled": SubscriptionStatus.CANCELED,
}
REFUNDS = {
    "pending": RefundStatus.PENDING,
    "requires_action": RefundStatus.PENDING,
    "succeeded": RefundStatus.SUCCEEDED,
    "failed": RefundStatus.FAILED,
    "canceled": RefundStatus.CANCELED,
}
DISPUTES = {
    "warning_needs_response": DisputeStatus.INQUIRY,
    "warning_under_review": DisputeStatus.INQUIRY,
    "warning_closed": DisputeStatus.WON,
    "needs_response": DisputeStatus.OPEN,
    "under_review": DisputeStatus.OPEN,
    "appeal_needs_response": DisputeStatus.OPEN,
    "appeal_under_review": DisputeStatus.OPEN,
    "prevented": DisputeStatus.WON,  # by a refund, which is told of as such
    "charge_refunded": DisputeStatus.WON,  # likewise, in former times
    "won": DisputeStatus.WON,
    "lost": DisputeStatus.LOST,
}


def known(table: Mapping[str, Status], told: Any, otherwise: Status) -> Status:
    """A status in our words."""
    found = table.get(told) if isinstance(told, str) else None
    if found is None:
        log.warning("Stripe tells of a status %.40r that is not known: taken for %s", told, otherwise)
    return found or otherwise


# --- parts --------------------------------------------------------------------------------------


def identity(value: Any) -> str | None:
    """The id of an object that may be expanded."""
    found = value.get("id") if isinstance(value, Mapping) else value
    return found if isinstance(found, str) else None


def part(value: Any, *path: str) -> Any:
    """What lies below an object, name by name; None where one of them is absent."""
    for name in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def entries(value: Any) -> Sequence[Json]:
    """The objects of an embedded list."""
    found = part(value, "data")
    return [entry for entry in found if isinstance(entry, Mapping)] if isinstance(found, list) else []


def moment(seconds: Any) -> datetime | None:
    """A moment that Stripe tells in seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, int) else None


def our_id(value: Any) -> UUID | None:
    """An id of ours that Stripe keeps for us; None: it is not one."""
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


def order_id(value: Any) -> UUID | None:
    """The order that an object says it belongs to."""
    return our_id(part(value, "metadata", "order_id"))


def to_units(amount: int, currency: str) -> int:
    """Our amount as Stripe writes it. :raises ProviderRefused: it has no such small change."""
    units = amount * UNITS.get(currency.upper(), Fraction(1))
    if units.denominator != 1:
        raise ProviderRefused(f"There are no such small amounts of {currency.upper()}.")
    return int(units)


def from_units(amount: Any, currency: Any) -> int:
    """An amount of Stripe's as we write it."""
    return int((amount or 0) / UNITS.get(str(currency).upper(), Fraction(1)))


def charge_reference(value: Json) -> str | None:
    """By which name a charge, a refund or a dispute is linked with its payment.

    The payment intent's, which stays the same when a charge fails and another one is made; what has
    none is of former times, and is named by its charge.
    """
    charge = value.get("id") if value.get("object") == "charge" else value.get("charge")
    return identity(value.get("payment_intent")) or identity(charge)


# --- checkouts ----------------------------------------------------------------------------------


def session_state(session: Json) -> SessionState:
    """Of a checkout."""
    paid = session.get("payment_status") in ("paid", "no_payment_required")
    otherwise = SessionState.COMPLETE if paid else SessionState.OPEN
    return known(SESSIONS, session.get("status"), otherwise)


def session_payment(session: Json) -> SeenPayment | None:
    """The payment of a checkout that is complete, with its payment intent expanded; None: it is not."""
    if session_state(session) is not SessionState.COMPLETE:
        return None
    intent = session.get("payment_intent")
    status = PaymentStatus.PAID
    if session.get("payment_status") not in ("paid", "no_payment_required"):
        status = known(INTENTS, part(intent, "status"), PaymentStatus.PENDING)
    failed = status is PaymentStatus.FAILED
    charged = part(intent, "latest_charge", "created") or part(intent, "created")
    currency = str(session.get("currency") or "").upper()
    return SeenPayment(
        reference=str(session["id"]),
        status=status,
        amount=from_units(session.get("amount_total"), currency),
        currency=currency,
        charge_reference=identity(intent) or identity(part(intent, "latest_charge")),
        failure=part(intent, "last_payment_error", "message") if failed else None,
        paid_at=moment(charged or session.get("created")) if status is PaymentStatus.PAID else None,
    )


# --- invoices -----------------------------------------------------------------------------------


def invoice_subscription(invoice: Json) -> str | None:
    """The subscription that an invoice is of."""
    newest = part(invoice, "parent", "subscription_details", "subscription")
    return identity(newest) or identity(invoice.get("subscription"))


def invoice_charge(invoice: Json) -> str | None:
    """By which name refunds and disputes of an invoice's money go."""
    of_payments = sorted(entries(invoice.get("payments")), key=lambda one: one.get("status") != "paid")
    for payment in of_payments:
        if payment.get("status") != "canceled":
            found = charge_reference({**(part(payment, "payment") or {}), "object": "payment"})
            if found is not None:
                return found
    return charge_reference({**invoice, "object": "invoice"})


def invoice_payment(invoice: Json, charges: Iterable[Json] = ()) -> SeenPayment | None:
    """The payment of a subscription's invoice; None: it does not ask for one yet.

    :param charges: newest first; those of other invoices are passed over.
    """
    told = invoice.get("status")
    if told == "draft":
        return None
    reference = invoice_charge(invoice)
    mine = [] if reference is None else [one for one in charges if charge_reference(one) == reference]
    status, failure = _invoice_status(invoice, mine[0] if mine else {})
    paid = status is PaymentStatus.PAID
    start, end = _period(invoice)
    currency = str(invoice.get("currency") or "").upper()
    paid_at = part(invoice, "status_transitions", "paid_at") or part(mine[0] if mine else {}, "created")
    return SeenPayment(
        reference=str(invoice["id"]),
        status=status,
        amount=from_units(invoice.get("amount_paid" if paid else "amount_due"), currency),
        currency=currency,
        charge_reference=reference,
        failure=failure,
        period_start=start,
        period_end=end,
        paid_at=moment(paid_at or invoice.get("created")) if paid else None,
    )


def _invoice_status(invoice: Json, charge: Json) -> tuple[PaymentStatus, str | None]:
    told = invoice.get("status")
    if told == "paid":
        return PaymentStatus.PAID, None
    if told in ("void", "uncollectible"):
        return PaymentStatus.FAILED, str(told)
    known({"open": PaymentStatus.PENDING}, told, PaymentStatus.PENDING)
    if charge.get("status") == "failed" or (invoice.get("attempted") and charge.get("status") != "pending"):
        return PaymentStatus.FAILED, charge.get("failure_message")
    return PaymentStatus.PENDING, None


def _period(invoice: Json) -> tuple[datetime | None, datetime | None]:
    """What an invoice is for. Its own period is the one before: its lines tell."""
    periods = [
        line["period"]
        for line in entries(invoice.get("lines"))
        if isinstance(part(line, "period", "end"), int)
        and (part(line, "parent", "type") or line.get("type")) != "invoice_item_details"
    ]
    last = max(periods, key=lambda period: period["end"], default=None)
    if last is None:
        return moment(invoice.get("period_start")), moment(invoice.get("period_end"))
    return moment(last.get("start")), moment(last["end"])


# --- refunds and disputes -----------------------------------------------------------------------


def refund(told: Json, reference: str) -> SeenRefund:
    """A refund of a charge that goes by this name."""
    status = known(REFUNDS, told.get("status"), RefundStatus.PENDING)
    return SeenRefund(
        reference=str(told["id"]),
        charge_reference=reference,
        status=status,
        amount=from_units(told.get("amount"), told.get("currency")),
        refund_id=our_id(part(told, "metadata", "refund_id")),
        failure=told.get("failure_reason"),
    )


def dispute(told: Json, reference: str) -> SeenDispute:
    """A dispute of a charge that goes by this name."""
    return SeenDispute(
        reference=str(told["id"]),
        charge_reference=reference,
        status=known(DISPUTES, told.get("status"), DisputeStatus.OPEN),
        amount=from_units(told.get("amount"), told.get("currency")),
        reason=told.get("reason"),
    )


# --- subscriptions ------------------------------------------------------------------------------


def item_price(item: Json) -> UUID | None:
    """Which price of ours a subscription's item is at; None: one that is not ours."""
    price = item.get("price") or item.get("plan")
    return our_id(part(price, "metadata", "price_id"))


def ordered_items(subscription: Json) -> Sequence[Json]:
    """A subscription's items in the order of the order's items.

    Stripe promises no order. The subscription's metadata remember which price stood where
    (``item_0``, …); what matches none of them has been moved elsewhere and takes the places left.
    """
    items = list(entries(subscription.get("items")))
    places: list[Json | None] = []
    for place in range(len(items)):
        wanted = our_id(part(subscription, "metadata", f"item_{place}"))
        found = next((item for item in items if wanted is not None and item_price(item) == wanted), None)
        if found is not None:
            items.remove(found)
        places.append(found)
    left = iter(items)
    return [next(left) if place is None else place for place in places]


def period_end(subscription: Json) -> datetime | None:
    """When what a subscription asks for now is over."""
    told = [item.get("current_period_end") for item in entries(subscription.get("items"))]
    ends = [end for end in (*told, subscription.get("current_period_end")) if isinstance(end, int)]
    return moment(max(ends, default=None))


def seen_subscription(told: Json) -> SeenSubscription:
    """A subscription."""
    status = known(SUBSCRIPTIONS, told.get("status"), SubscriptionStatus.PAST_DUE)
    # "Temporarily unable to provide services": the other behaviors go on providing them
    # (https://docs.stripe.com/billing/subscriptions/pause-payment).
    if status is SubscriptionStatus.ACTIVE and part(told, "pause_collection", "behavior") == "void":
        status = SubscriptionStatus.PAUSED
    end = period_end(told) or moment(told.get("created")) or datetime.fromtimestamp(0, UTC)
    cancel_at = moment(told.get("cancel_at"))
    return SeenSubscription(
        reference=str(told["id"]),
        status=status,
        current_period_end=end,
        cancel_at_period_end=bool(told.get("cancel_at_period_end"))
        or (cancel_at is not None and cancel_at <= end),
        ended_at=moment(told.get("ended_at")),
        price_ids=tuple(item_price(item) for item in ordered_items(told)),
    )
