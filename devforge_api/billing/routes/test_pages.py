"""The built-in provider's pages: where it asks the payer, and its customers manage subscriptions.

No cookie is looked at: who has the address, which cannot be guessed, may decide.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit
from uuid import UUID

from flask import Response, request

from devforge_api.billing.errors import CheckoutNotFound
from devforge_api.billing.models import OrderStatus, PaymentStatus
from devforge_api.billing.providers import configured
from devforge_api.billing.routes.pages import billing_pages, show
from devforge_api.billing.service import looking
from devforge_api.billing.service.amounts import shown
from devforge_api.billing.service.providers.base import SessionState
from devforge_api.billing.service.providers.test import PAGES, TestProvider
from devforge_api.billing.service.providers.test_book import Book
from devforge_api.billing.service.providers.test_portal import PORTAL, read_portal
from devforge_api.billing.service.return_urls import BACK
from devforge_api.core.clock import utc_now
from devforge_api.core.responses import success
from devforge_api.core.security import public

log = logging.getLogger(__name__)
DEEDS: Mapping[str, Callable[[Book], None]] = {
    "approve": Book.approve,
    "decline": Book.decline,
    "delay": Book.delay,
}
# What a program is told where the order could not be settled at once.
UNSETTLED = {
    "paid": OrderStatus.PAID,
    "failed": OrderStatus.FAILED,
    "expired": OrderStatus.CANCELED,
}


def provider() -> TestProvider:
    """The built-in one. :raises CheckoutNotFound: it is not configured here."""
    found = configured().get("test")
    if not isinstance(found, TestProvider):
        raise CheckoutNotFound
    return found


@billing_pages.get(f"{PAGES}/<reference>")
@public()
def checkout_page(reference: str) -> Response:
    """Ask the payer."""
    book = provider().book(reference)
    currency = book.state["currency"]
    targets = [book.state["success_url"], book.state["cancel_url"]]
    return show(
        "test_checkout.html",
        leads_to=tuple(_origin(target) for target in targets if target),
        page=f"{PAGES}/{reference}",
        state=_outcome(book),
        interval=book.state["interval"],
        trial_days=book.state["trial_days"],
        lines=[
            (line["name"], line["quantity"], shown(line["amount"] * line["quantity"], currency))
            for line in book.state["lines"]
        ],
        total=shown(book.total, currency),
        onward=_onward(book),
        turn_back=book.state["cancel_url"] or BACK,
    )


@billing_pages.post(f"{PAGES}/<reference>/<any({','.join(DEEDS)}):deed>")
@public()
def decide(reference: str, deed: str) -> Response:
    """Take the payer's decision, settle the order, and send the payer on; again changes nothing."""
    book = provider().change(reference, DEEDS[deed])
    status = _settle(book) or UNSETTLED.get(_outcome(book), OrderStatus.PENDING)
    if request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json":
        answer = success({"order_id": book.state["order_id"], "status": status})
        answer.headers["Cache-Control"] = "no-store"
        return answer
    return _see_other(_onward(book))


@billing_pages.get(f"{PORTAL}/<sealed>")
@public()
def portal_page(sealed: str) -> Response:
    """Show a customer the subscriptions."""
    customer, return_url = _portal(sealed)
    books = [book for book in provider().books_of(customer) if book.state["subscription"] is not None]
    subscriptions = [
        {
            "reference": book.reference,
            "name": ", ".join(line["name"] for line in book.state["lines"]),
            "amount": shown(book.total, book.state["currency"]),
            "interval": book.state["interval"],
            "status": book.state["subscription"]["status"],
            "ends": book.state["subscription"]["cancel_at_period_end"],
            "until": book.state["subscription"]["period_end"][:10],
            "ended": (book.state["subscription"]["ended_at"] or "")[:10],
        }
        for book in books
    ]
    return show(
        "test_portal.html", page=f"{PORTAL}/{sealed}", subscriptions=subscriptions, return_url=return_url
    )


@billing_pages.post(f"{PORTAL}/<sealed>/<any(end,resume):deed>")
@public()
def manage(sealed: str, deed: str) -> Response:
    """End one of the customer's subscriptions with its period, or take that back."""
    customer, _ = _portal(sealed)
    reference = request.form.get("subscription", "")
    if provider().book(reference).state["customer"] != customer:
        raise CheckoutNotFound
    book = provider().change(reference, _cancel if deed == "end" else Book.resume)
    _settle(book)
    return _see_other(f"{PORTAL}/{sealed}")


def _cancel(book: Book) -> None:
    book.cancel(at_period_end=True)


def _portal(sealed: str) -> tuple[str, str]:
    found = read_portal(sealed, utc_now())
    provider()
    if found is None:
        raise CheckoutNotFound
    return found


def _settle(book: Book) -> OrderStatus | None:
    """Settle the order at once, so that whoever comes back finds it done; None: that has failed.

    The event, which is committed, repeats it.
    """
    event_id = book.state["events"][-1]["id"] if book.state["events"] else None
    try:
        return looking.look_and_settle(provider(), UUID(book.state["order_id"]), event_id=event_id).status
    except Exception:
        log.exception("an order was not settled at once", extra={"order_id": book.state["order_id"]})
        return None


def _outcome(book: Book) -> str:
    """What the page shows: ``open``, ``expired``, or what has become of the first payment."""
    if book.session is not SessionState.COMPLETE:
        return book.session.value
    return "waiting" if book.money is PaymentStatus.PENDING else str(book.money)


def _onward(book: Book) -> str:
    paying = book.money in {PaymentStatus.PAID, PaymentStatus.PENDING}
    address: str = book.state["success_url" if paying else "cancel_url"]
    return address or BACK  # of an account that is gone


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


def _see_other(address: str) -> Response:
    """Send a browser on by GET (RFC 9110 section 15.4.4)."""
    return Response(status=303, headers={"Location": address, "Cache-Control": "no-store"})
