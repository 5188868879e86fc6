"""Stripe's events: whether they are Stripe's, and which order of ours they concern."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import stripe

from devforge_api.billing.errors import InvalidSignature
from devforge_api.billing.service.providers import events
from devforge_api.billing.service.providers.base import Told
from devforge_api.billing.service.providers.stripe_client import StripeApi
from devforge_api.billing.service.providers.stripe_objects import (
    Json,
    entries,
    identity,
    invoice_subscription,
    order_id,
    our_id,
    part,
)
from devforge_api.core.clock import utc_now

REMEMBERED = timedelta(days=30)  # Stripe lists no older events
# Of one listing: Stripe begins with the newest, we with the oldest. All of it must be read in one go.
WINDOW = timedelta(hours=3)
PAGE = 100

# Stripe lists by at most twenty kinds.
LISTED = (
    "charge.dispute.closed",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.refunded",
    "checkout.session.async_payment_failed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.completed",
    "checkout.session.expired",
    "customer.subscription.created",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.resumed",
    "customer.subscription.updated",
    "invoice.paid",
    "invoice.payment_action_required",
    "invoice.payment_failed",
    "invoice.voided",
    "refund.created",
    "refund.failed",
    "refund.updated",
)
CONCERNING = frozenset(
    {
        *LISTED,
        "charge.dispute.funds_reinstated",
        "charge.dispute.funds_withdrawn",
        "charge.refund.updated",
        "customer.subscription.trial_will_end",
        "invoice.marked_uncollectible",
        "invoice.payment_succeeded",
    }
)


# --- reading ------------------------------------------------------------------------------------


def read_event(body: bytes, headers: Mapping[str, str], secrets: Iterable[str]) -> Told:
    """The event of a webhook call, signed with one of the secrets.

    :raises InvalidSignature: it is not, or not about now.
    :raises ValueError: it is signed, and no event that can be read.
    """
    header = events.header(headers, "Stripe-Signature")
    # The library compares text, which fails where it is not ASCII, and takes the body for UTF-8.
    if not header.isascii() or not any(_verified(body, header, secret) for secret in secrets):
        raise InvalidSignature
    if _told_at(header) > utc_now().timestamp() + events.TOLERANCE:  # the library looks into the past alone
        raise InvalidSignature
    return events.read(body)


def _verified(body: bytes, header: str, secret: str) -> bool:
    try:
        stripe.WebhookSignature.verify_header(body, header, secret, events.TOLERANCE)
    except (stripe.SignatureVerificationError, UnicodeDecodeError):
        return False
    return True


def _told_at(header: str) -> int:
    """The time of a header that was verified: the first one in it, which is what was signed."""
    return next(int(value) for name, _, value in (p.partition("=") for p in header.split(",")) if name == "t")


# --- whose --------------------------------------------------------------------------------------


def order_of(api: StripeApi, payload: Json, *, live: bool) -> UUID | None:
    """The order that an event concerns, asking Stripe where the event does not tell.

    To be called in a block of `StripeApi.calling`. None: of nothing that was bought here, of a kind that
    changes no order, of another account, or of the other mode: live or test.
    """
    if payload.get("type") not in CONCERNING or payload.get("account") is not None:
        return None  # the latter is of another business whose payments pass through ours
    if bool(payload.get("livemode")) is not live:
        return None
    told = part(payload, "data", "object")
    if not isinstance(told, Mapping):
        return None
    found = order_id(told)
    if found is None and told.get("object") == "checkout.session":
        return our_id(told.get("client_reference_id"))
    try:
        return found or _OWNERS.get(str(told.get("object")), _nobody)(api, told)
    except stripe.InvalidRequestError as error:
        if error.http_status == 404:  # it is gone
            return None
        raise


def _nobody(_api: StripeApi, _told: Json) -> UUID | None:
    return None


def _of_invoice(api: StripeApi, told: Json) -> UUID | None:
    found = order_id(part(told, "parent", "subscription_details")) or order_id(
        told.get("subscription_details")
    )
    subscription = invoice_subscription(told)
    if found is not None or subscription is None:
        return found
    return order_id(api.v1.subscriptions.retrieve(subscription).to_dict())


def _of_money(api: StripeApi, told: Json) -> UUID | None:
    """Of what names a payment intent or a charge: a refund, a dispute, or a charge itself."""
    intent = identity(told.get("payment_intent"))
    if intent is not None:
        told = api.v1.payment_intents.retrieve(intent).to_dict()
        return order_id(told) or _of_invoice_paid_by(api, intent, told)
    charge = identity(told.get("charge"))
    if charge is None:
        invoice = identity(told.get("invoice"))  # a charge of former times
        return None if invoice is None else _of_invoice(api, api.v1.invoices.retrieve(invoice).to_dict())
    found = api.v1.charges.retrieve(charge).to_dict()
    return order_id(found) or _of_money(api, {**found, "charge": None})


def _of_invoice_paid_by(api: StripeApi, intent: str, told: Json) -> UUID | None:
    named = identity(told.get("invoice"))  # in former times
    if named is not None:
        return _of_invoice(api, api.v1.invoices.retrieve(named).to_dict())
    paid = api.v1.invoice_payments.list(
        {"payment": {"type": "payment_intent", "payment_intent": intent}, "limit": 1}
    )
    for payment in entries(paid.to_dict()):
        invoice = identity(payment.get("invoice"))
        if invoice is not None:
            return _of_invoice(api, api.v1.invoices.retrieve(invoice).to_dict())
    return None


_OWNERS = {
    "invoice": _of_invoice,
    "charge": _of_money,
    "refund": _of_money,
    "dispute": _of_money,
}


# --- what should have been told -----------------------------------------------------------------


def listed(api: StripeApi, since: datetime, until: datetime) -> Iterator[Told]:
    """Events of the kinds that concern orders, oldest first; both ends belong to it."""
    start = max(since, utc_now() - REMEMBERED)
    while start <= until:
        end = min(start + WINDOW, until)
        with api.calling():
            found = [events.as_told(payload) for payload in _window(api, start, end)]
        yield from reversed(found)
        start = end + timedelta(seconds=1)


def _window(api: StripeApi, start: datetime, end: datetime) -> Iterator[Json]:
    created = {"gte": int(start.timestamp()), "lte": int(end.timestamp())}
    asked: Any = {"types": list(LISTED), "created": created, "limit": PAGE}
    for event in api.v1.events.list(asked).auto_paging_iter():
        yield event.to_dict()
