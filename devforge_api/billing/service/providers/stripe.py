"""Stripe: Checkout Sessions, and whatever comes of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from uuid import UUID

import stripe

from devforge_api.billing.errors import ProviderRefused
from devforge_api.billing.models import Interval, SubscriptionStatus
from devforge_api.billing.service.providers import stripe_events
from devforge_api.billing.service.providers.base import (
    Checkout,
    CheckoutRequest,
    OrderReferences,
    PriceToBuy,
    Snapshot,
    Told,
)
from devforge_api.billing.service.providers.stripe_client import StripeApi
from devforge_api.billing.service.providers.stripe_looking import (
    charge_currency,
    look,
    named_charge,
    refunds_of,
)
from devforge_api.billing.service.providers.stripe_objects import (
    SUBSCRIPTIONS,
    item_price,
    ordered_items,
    part,
    to_units,
)

if TYPE_CHECKING:
    from stripe.params import PriceCreateParams, SubscriptionUpdateParams
    from stripe.params.billing_portal import SessionCreateParams as PortalCreateParams
    from stripe.params.checkout import SessionCreateParams


class StripeProvider:
    """Takes the money by Stripe.

    Whatever it makes carries our ids: a price ``metadata.price_id``, a customer ``metadata.user_id``, a
    session, a subscription and a payment intent ``metadata.order_id``, a refund ``metadata.refund_id``.
    """

    name = "stripe"

    def __init__(self, secret_key: str, *, webhook_secrets: tuple[str, ...], api_base: str | None) -> None:
        """:param webhook_secrets: several while they are rotated. :raises ValueError: one is empty."""
        if not secret_key.strip() or not webhook_secrets or not all(map(str.strip, webhook_secrets)):
            raise ValueError("Stripe needs a secret key and webhook secrets; an empty one signs anything")
        self._api = StripeApi(secret_key, api_base=api_base)
        self._secrets = webhook_secrets
        self._live = re.match(r"(sk|rk)_(org_)?live_", secret_key) is not None

    # --- checkouts ------------------------------------------------------------------------------
    def create_checkout(self, request: CheckoutRequest) -> Checkout:
        """Open a page where the order is paid."""
        with self._api.calling():
            learned = {
                price.price_id: self._make_price(price)
                for price in {price.price_id: price for price, _ in request.lines}.values()
                if price.reference is None
            }
            customer = request.customer_reference or self._make_customer(request)
            lines = [
                {"price": price.reference or learned[price.price_id], "quantity": quantity}
                for price, quantity in request.lines
            ]
            try:
                session = self._make_session(request, lines, customer)
            except stripe.InvalidRequestError as error:
                if error.param != "customer" or error.code != "resource_missing":
                    raise
                # Somebody has removed the customer at Stripe.
                customer = self._make_customer(request, instead_of=customer)
                session = self._make_session(request, lines, customer)
            return Checkout(session.id, str(session.url), customer, learned)

    def _make_price(self, price: PriceToBuy) -> str:
        asked: PriceCreateParams = {
            "currency": price.currency.lower(),
            "unit_amount": to_units(price.amount, price.currency),
            "product_data": {"name": price.name},
            "metadata": {"price_id": str(price.price_id)},
        }
        if price.interval is not Interval.ONE_TIME:
            asked["recurring"] = {"interval": "month" if price.interval is Interval.MONTH else "year"}
        # The name may be edited between two attempts, and another request under a known key is refused.
        key = _key("price", price.price_id, price.name)
        return self._api.v1.prices.create(asked, {"idempotency_key": key}).id

    def _make_customer(self, request: CheckoutRequest, *, instead_of: str = "") -> str:
        made = self._api.v1.customers.create(
            {"email": request.email, "metadata": {"user_id": str(request.user_id)}},
            {"idempotency_key": _key("customer", request.user_id, request.email, instead_of)},
        )
        return made.id

    def _make_session(
        self, request: CheckoutRequest, lines: list[Any], customer: str
    ) -> stripe.checkout.Session:
        ours = {"order_id": str(request.order_id)}
        asked: SessionCreateParams = {
            "customer": customer,
            "client_reference_id": str(request.order_id),
            "line_items": lines,
            "metadata": ours,
            "success_url": request.success_url,
            "cancel_url": request.cancel_url,
        }
        if all(price.interval is Interval.ONE_TIME for price, _ in request.lines):
            asked["mode"] = "payment"
            asked["payment_intent_data"] = {"metadata": ours}
        else:
            asked["mode"] = "subscription"
            places = {f"item_{place}": str(price.price_id) for place, (price, _) in enumerate(request.lines)}
            asked["subscription_data"] = {"metadata": {**ours, **places}}
            if request.trial_days is not None:
                asked["subscription_data"]["trial_period_days"] = request.trial_days
        # One session for an order; another one only for another customer.
        key = _key("checkout", request.order_id, customer)
        return self._api.v1.checkout.sessions.create(asked, {"idempotency_key": key})

    def expire_checkout(self, reference: str) -> None:
        """Close the page; one that is complete or closed stays as it is."""
        sessions = self._api.v1.checkout.sessions
        with self._api.calling():
            try:
                sessions.expire(reference)
            except stripe.InvalidRequestError:
                if sessions.retrieve(reference).status == "open":
                    raise

    # --- what is true ---------------------------------------------------------------------------
    def look(self, order: OrderReferences) -> Snapshot:
        """What is true of an order now."""
        with self._api.calling():
            return look(self._api, order)

    def read_event(self, body: bytes, headers: Mapping[str, str]) -> Told:
        """The event of a webhook call."""
        return stripe_events.read_event(body, headers, self._secrets)

    def order_of(self, payload: Mapping[str, Any]) -> UUID | None:
        """Which order of ours an event concerns; None: none, or of the other mode (test, live)."""
        with self._api.calling():
            return stripe_events.order_of(self._api, payload, live=self._live)

    def events(self, since: datetime, until: datetime) -> Iterator[Told]:
        """What has happened from one moment to the other, oldest first; Stripe remembers 30 days."""
        return stripe_events.listed(self._api, since, until)

    # --- money back -----------------------------------------------------------------------------
    def refund(self, refund_id: UUID, charge_reference: str, amount: int) -> None:
        """Give money back. Repeated with the same id, it is given once."""
        v1 = self._api.v1
        with self._api.calling():
            # An idempotency key is remembered for a day; what was made, for ever.
            for made in refunds_of(self._api, charge_reference):
                if part(made, "metadata", "refund_id") == str(refund_id):
                    return
            units = to_units(amount, charge_currency(self._api, charge_reference))
            asked = named_charge(charge_reference) | {"amount": units}
            asked["metadata"] = {"refund_id": str(refund_id)}
            v1.refunds.create(asked, {"idempotency_key": str(refund_id)})

    # --- subscriptions --------------------------------------------------------------------------
    def change_price(self, subscription: str, position: int, price: PriceToBuy) -> str:
        """Move an item of a subscription to another price; its own reference is returned.

        The difference is charged at once, or kept for the next invoices: whoever moves up has paid
        for it. A card that does not give it leaves everything as it was, and raises ProviderRefused.
        """
        with self._api.calling():
            reference = price.reference or self._make_price(price)
            told = self._api.v1.subscriptions.retrieve(subscription).to_dict()
            items = ordered_items(told)
            if position >= len(items):
                raise ProviderRefused("This subscription has no such item.")
            item = items[position]
            if item_price(item) == price.price_id:
                return reference
            self._api.v1.subscriptions.update(
                subscription,
                {
                    "items": [{"id": item["id"], "price": reference, "quantity": item.get("quantity") or 1}],
                    "metadata": {f"item_{position}": str(price.price_id)},
                    "payment_behavior": "error_if_incomplete",
                    "proration_behavior": "always_invoice",
                },
            )
            return reference

    def cancel(self, subscription: str, *, at_period_end: bool) -> None:
        """End a subscription, now or when what is paid for is over; an ended one stays ended."""
        subscriptions = self._api.v1.subscriptions
        with self._api.calling():
            try:
                if at_period_end:
                    subscriptions.update(subscription, {"cancel_at_period_end": True})
                else:
                    subscriptions.cancel(subscription)
            except stripe.InvalidRequestError:
                if not self._ended(subscription):
                    raise

    def _ended(self, subscription: str) -> bool:
        told = self._api.v1.subscriptions.retrieve(subscription).status
        return SUBSCRIPTIONS.get(told) is SubscriptionStatus.CANCELED

    def resume(self, subscription: str) -> None:
        """Take back that a subscription ends with its period."""
        with self._api.calling():
            told = self._api.v1.subscriptions.retrieve(subscription)
            asked: SubscriptionUpdateParams = {"cancel_at_period_end": False}
            # The portal's way of saying the same; Stripe does not take both at once.
            if told.cancel_at is not None and not told.cancel_at_period_end:
                asked = {"cancel_at": ""}
            self._api.v1.subscriptions.update(subscription, asked)

    def portal_url(self, customer_reference: str, return_url: str) -> str:
        """A page where the customer manages cards, invoices and subscriptions."""
        with self._api.calling():
            asked: PortalCreateParams = {"customer": customer_reference, "return_url": return_url}
            return self._api.v1.billing_portal.sessions.create(asked).url


def _key(kind: str, *parts: object) -> str:
    """An idempotency key: the same for the same, and of a length that Stripe takes."""
    digest = sha256("\n".join(map(str, parts)).encode()).hexdigest()
    return f"{kind}-{digest}"
