"""The built-in provider: pages of this server on which nothing is paid.

It behaves as one outside would. It keeps what it knows in a table of its own, is asked between
transactions, and tells what has changed by signed events, which it puts into the inbox itself.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select

from devforge_api.billing.errors import CheckoutNotFound, InvalidSignature, ProviderRefused
from devforge_api.billing.models import TestCheckout
from devforge_api.billing.service import inbox
from devforge_api.billing.service.providers import events
from devforge_api.billing.service.providers.base import (
    Checkout,
    CheckoutRequest,
    OrderReferences,
    PriceToBuy,
    Snapshot,
    Told,
)
from devforge_api.billing.service.providers.test_book import Book, opened
from devforge_api.billing.service.providers.test_portal import portal_path
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.signing import pseudonym, secrets_for

PAGES = "/billing/test/checkouts"
SIGNATURE = "Test-Signature"
SIGNING = "billing test events"


class TestProvider:
    """Takes no money."""

    __test__ = False  # no test, though its name begins so
    name = "test"

    def __init__(self, public_url: str) -> None:
        self._public_url = public_url

    # --- the page ------------------------------------------------------------------------------
    def create_checkout(self, request: CheckoutRequest) -> Checkout:
        """Open a page; asked for again, the same one."""
        customer = request.customer_reference or f"cus_test_{pseudonym('billing test', str(request.user_id))}"
        with unit_of_work():
            known = select(TestCheckout).where(TestCheckout.order_id == request.order_id)
            row = db.session.scalar(known)
            if row is None:
                row = TestCheckout(
                    reference=f"cs_test_{secrets.token_urlsafe(24)}",
                    order_id=request.order_id,
                    state=opened(request, customer, utc_now()),
                )
                db.session.add(row)
        return Checkout(
            reference=row.reference,
            url=f"{self._public_url}{PAGES}/{row.reference}",
            prices={price.price_id: _price_reference(price) for price, _ in request.lines},
        )

    def expire_checkout(self, reference: str) -> None:
        """Close the page, if it is open."""
        self.change(reference, Book.expire)

    def change(self, reference: str, deed: Callable[[Book], None]) -> Book:
        """Let something happen to an order, and tell of it in the same transaction.

        :raises CheckoutNotFound: there is no such checkout. :raises ProviderRefused: it cannot happen.
        """
        with unit_of_work():
            row = db.session.get(TestCheckout, reference, with_for_update=True)
            if row is None:
                raise CheckoutNotFound
            book = Book(row.reference, deepcopy(row.state), utc_now())
            deed(book)
            for told in book.tell():
                inbox.store(self.name, told)
            if book.state != row.state:
                row.state = book.state
        return book

    def book(self, reference: str) -> Book:
        """What is known of a checkout. :raises CheckoutNotFound: there is none."""
        return _read(TestCheckout.reference == reference)

    def books_of(self, customer: str) -> Sequence[Book]:
        """Those of a customer, newest first."""
        theirs = TestCheckout.state["customer"].as_string() == customer
        rows = db.session.scalars(select(TestCheckout).where(theirs).order_by(TestCheckout.created_at.desc()))
        return [Book(row.reference, row.state, utc_now()) for row in rows]

    def reference_of(self, order_id: UUID) -> str:
        """Which checkout is an order's. :raises CheckoutNotFound: none of ours."""
        return _read(TestCheckout.order_id == order_id).reference

    # --- what is true, and what was told -------------------------------------------------------
    def look(self, order: OrderReferences) -> Snapshot:
        """What is true of an order now."""
        try:
            return _read(TestCheckout.order_id == order.order_id).snapshot()
        except CheckoutNotFound:
            raise ProviderRefused("This order has no checkout here.") from None

    def read_event(self, body: bytes, headers: Mapping[str, str]) -> Told:
        """The event of a webhook call, signed by `sign`."""
        given = events.header(headers, SIGNATURE)
        found = re.fullmatch(r"t=([0-9]{1,12})((?:,v1=[0-9a-f]{64}){1,5})", given)
        if found is None or abs(utc_now().timestamp() - int(found[1])) > events.TOLERANCE:
            raise InvalidSignature
        good = {_signature(secret, found[1], body) for secret in secrets_for(SIGNING)}
        offered = found[2].replace(",v1=", " ").split()
        if not any(hmac.compare_digest(one, other) for one in offered for other in good):
            raise InvalidSignature
        return events.read(body)

    def order_of(self, payload: Mapping[str, Any]) -> UUID | None:
        """Which order of ours an event concerns."""
        try:
            order_id = UUID(payload["data"]["object"]["metadata"]["order_id"])
        except (KeyError, TypeError, ValueError, AttributeError):
            return None
        found = select(TestCheckout.order_id).where(TestCheckout.order_id == order_id)
        return db.session.scalar(found)

    def events(self, since: datetime, until: datetime) -> Iterator[Told]:
        """What was told since then, oldest first."""
        begun = select(TestCheckout).where(TestCheckout.created_at <= until)
        found = [
            (datetime.fromisoformat(noted["at"]), book.told(noted))
            for row in db.session.scalars(begun)
            for book in [Book(row.reference, row.state, until)]
            for noted in row.state["events"]
        ]
        for at, told in sorted(found, key=lambda one: one[0]):
            if since <= at <= until:
                yield told

    # --- what we ask for -----------------------------------------------------------------------
    def refund(self, refund_id: UUID, charge_reference: str, amount: int) -> None:
        """Give money back, at once."""
        order = charge_reference.removeprefix("ch_test_").rpartition("_")[0]
        self._asked(order, lambda book: book.refund(charge_reference, amount, refund_id=refund_id))

    def change_price(self, subscription: str, position: int, price: PriceToBuy) -> str:
        """Move an item of a subscription to another price, prorated."""
        self._asked(_order_of(subscription), lambda book: book.change_price(position, price))
        return _price_reference(price)

    def cancel(self, subscription: str, *, at_period_end: bool) -> None:
        """End a subscription, now or when what is paid for is over."""
        self._asked(_order_of(subscription), lambda book: book.cancel(at_period_end=at_period_end))

    def resume(self, subscription: str) -> None:
        """Take back that a subscription ends with its period."""
        self._asked(_order_of(subscription), Book.resume)

    def portal_url(self, customer_reference: str, return_url: str) -> str:
        """A page where the customer's subscriptions are ended and resumed; it is open for an hour."""
        return self._public_url + portal_path(customer_reference, return_url, utc_now())

    def _asked(self, order: str, deed: Callable[[Book], None]) -> None:
        try:
            self.change(self.reference_of(UUID(order)), deed)
        except (CheckoutNotFound, ValueError):
            raise ProviderRefused("There is nothing of this name here.") from None


def sign(body: bytes, at: datetime) -> str:
    """The header by which an event is known to be of this provider."""
    moment = str(int(at.timestamp()))
    return f"t={moment},v1={_signature(secrets_for(SIGNING)[0], moment, body)}"


def _signature(secret: str, moment: str, body: bytes) -> str:
    return hmac.digest(secret.encode(), moment.encode() + b"." + body, "sha256").hex()


def _read(which: Any) -> Book:
    fresh = select(TestCheckout).where(which).execution_options(populate_existing=True)
    row = db.session.scalar(fresh)
    if row is None:
        raise CheckoutNotFound
    return Book(row.reference, row.state, utc_now())


def _order_of(subscription: str) -> str:
    return subscription.removeprefix("sub_test_")


def _price_reference(price: PriceToBuy) -> str:
    return f"price_test_{price.price_id.hex}"
