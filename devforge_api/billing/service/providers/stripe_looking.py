"""Asking Stripe for all that is true of one order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import stripe

from devforge_api.billing.service.providers.base import (
    OrderReferences,
    SeenDispute,
    SeenRefund,
    SessionState,
    Snapshot,
)
from devforge_api.billing.service.providers.stripe_client import StripeApi
from devforge_api.billing.service.providers.stripe_objects import (
    Json,
    charge_reference,
    dispute,
    entries,
    identity,
    invoice_charge,
    invoice_payment,
    part,
    refund,
    seen_subscription,
    session_payment,
    session_state,
)
from devforge_api.core.clock import utc_now

PAGE = 100  # at most, and as much as is looked at of a subscription's invoices
CHARGES = 500  # of a customer's, whose other orders are among them
OPEN_FOR = timedelta(days=1)  # a session, if nothing else is said
INTENT = "payment_intent.latest_charge.refunds"


def look(api: StripeApi, order: OrderReferences) -> Snapshot:
    """A snapshot, to be called in a block of `StripeApi.calling`."""
    if order.session is not None:
        session = api.v1.checkout.sessions.retrieve(order.session, {"expand": [INTENT]}).to_dict()
    elif order.subscription is None:
        session = _unrecorded(api, order.order_id)
    else:
        session = {}
    subscription = identity(session.get("subscription")) or order.subscription
    if subscription is not None:
        return _look_at_subscription(api, session, subscription)
    return _look_at_payment(api, session)


def _unrecorded(api: StripeApi, order_id: UUID) -> dict[str, Any]:
    """The session of an order that we do not know it of: we were stopped before we had noted it.

    It was made soon after the order, whose id tells when that was (RFC 9562 section 5.7).
    """
    made = datetime.fromtimestamp((order_id.int >> 80) / 1000, UTC)
    created = {"gte": int(made.timestamp()) - 300, "lte": int((made + OPEN_FOR).timestamp())}
    asked: Any = {"created": created, "limit": PAGE}
    for session in api.v1.checkout.sessions.list(asked).auto_paging_iter():
        if session.client_reference_id == str(order_id):
            return api.v1.checkout.sessions.retrieve(session.id, {"expand": [INTENT]}).to_dict()
    # There is none. After a day, none that would be made could still be found.
    return {"status": "open" if utc_now() < made + OPEN_FOR else "expired"}


# --- paid once ----------------------------------------------------------------------------------


def _look_at_payment(api: StripeApi, session: Json) -> Snapshot:
    payment = session_payment(session)
    refunds: list[SeenRefund] = []
    disputes: list[SeenDispute] = []
    charge = part(session, "payment_intent", "latest_charge")
    if payment is not None and payment.charge_reference is not None and part(charge, "paid"):
        refunds = _refunds(api, charge, payment.charge_reference)
        disputes = _disputes(api, payment.charge_reference)
    return Snapshot(
        session=session_state(session),
        payments=() if payment is None else (payment,),
        refunds=tuple(refunds),
        disputes=tuple(disputes),
        customer_reference=identity(session.get("customer")),
    )


# --- paid again and again -----------------------------------------------------------------------


def _look_at_subscription(api: StripeApi, session: Json, reference: str) -> Snapshot:
    subscription = api.v1.subscriptions.retrieve(reference).to_dict()
    if part(subscription, "items", "has_more"):
        items = api.v1.subscription_items.list({"subscription": reference, "limit": PAGE})
        subscription["items"] = items.to_dict()
    invoices = _invoices(api, reference)
    customer = identity(subscription.get("customer"))
    wanted = {name for name in map(invoice_charge, invoices) if name is not None}
    charges = [] if customer is None else _charges(api, customer, invoices, wanted)
    payments = [invoice_payment(invoice, charges) for invoice in invoices]
    refunds: list[SeenRefund] = []
    disputes: list[SeenDispute] = []
    for charge in charges:
        name = charge_reference(charge)
        if name is not None and charge.get("status") == "succeeded":
            refunds += _refunds(api, charge, name)
            disputes += _disputes(api, name) if charge.get("disputed") else []
    return Snapshot(
        session=session_state(session) if session else SessionState.COMPLETE,
        payments=tuple(payment for payment in payments if payment is not None),
        refunds=tuple(refunds),
        disputes=tuple(disputes),
        subscription=seen_subscription(subscription),
        customer_reference=customer,
    )


def _invoices(api: StripeApi, subscription: str) -> Sequence[Json]:
    asked: Any = {"subscription": subscription, "limit": PAGE}
    try:
        found = api.v1.invoices.list(asked | {"expand": ["data.payments"]})
    except stripe.InvalidRequestError:  # a server of former times, whose invoices name their charge
        found = api.v1.invoices.list(asked)
    return entries(found.to_dict())


def _charges(api: StripeApi, customer: str, invoices: Iterable[Json], wanted: set[str]) -> list[Json]:
    """The charges of these invoices, newest first, among all of a customer's."""
    # Invoices of former times name a charge where charges do not name a payment intent.
    renamed = {
        identity(invoice.get("charge")): invoice_charge(invoice)
        for invoice in invoices
        if invoice.get("charge") is not None
    }
    found: list[Json] = []
    missing = set(wanted)
    page = api.v1.charges.list({"customer": customer, "limit": PAGE, "expand": ["data.refunds"]})
    for number, charge in enumerate(page.auto_paging_iter(), start=1):
        told = charge.to_dict()
        told["payment_intent"] = told.get("payment_intent") or renamed.get(told["id"])
        if charge_reference(told) in wanted:
            found.append(told)
            missing.discard(str(charge_reference(told)))
        if number % PAGE == 0 and (not missing or number >= CHARGES):
            break
    return found


# --- refunds and disputes -----------------------------------------------------------------------


def named_charge(reference: str) -> Any:
    """How a charge is asked for by its reference."""
    return {"charge" if reference.startswith(("ch_", "py_")) else "payment_intent": reference}


def charge_currency(api: StripeApi, reference: str) -> str:
    """The currency of a charge or payment intent."""
    if reference.startswith(("ch_", "py_")):
        return api.v1.charges.retrieve(reference).currency
    return api.v1.payment_intents.retrieve(reference).currency


def refunds_of(api: StripeApi, reference: str) -> Iterator[Json]:
    """All refunds of a charge or payment intent."""
    for made in api.v1.refunds.list(named_charge(reference) | {"limit": PAGE}).auto_paging_iter():
        yield made.to_dict()


def _refunds(api: StripeApi, charge: Json, reference: str) -> list[SeenRefund]:
    embedded = charge.get("refunds")
    whole = embedded is not None and not part(embedded, "has_more")
    return [refund(made, reference) for made in (entries(embedded) if whole else refunds_of(api, reference))]


def _disputes(api: StripeApi, reference: str) -> list[SeenDispute]:
    opened = api.v1.disputes.list(named_charge(reference) | {"limit": PAGE})
    return [dispute(told, reference) for told in entries(opened.to_dict())]
