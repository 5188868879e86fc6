"""Where payers come back to: what has become of the order, and a button that opens the app.

Whoever has the address needs no sign-in, as it may be opened in another browser than the shop. It
is sealed, and tells nothing but whether an order is paid.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import flask
from flask import Response, make_response, render_template, request

from devforge_api.billing import queries
from devforge_api.billing.errors import CheckoutNotFound, OrderNotFound
from devforge_api.billing.models import OrderStatus
from devforge_api.billing.queries import Returned
from devforge_api.billing.routes.words import WORDS
from devforge_api.billing.service import return_urls
from devforge_api.core import gateway, pages
from devforge_api.core.db import unit_of_work
from devforge_api.core.maintenance import Maintenance
from devforge_api.core.outbox import emit
from devforge_api.core.security import public

# While the provider's word is waited for, the page asks again after so many seconds.
AGAIN_AFTER = (1, 2, 3, 5, 8, 13, 30, 60)

# No part of the API's documentation: a plain blueprint.
billing_pages = flask.Blueprint(
    "billing_pages", __name__, template_folder=str(Path(__file__).resolve().parent.parent / "templates")
)


def show(template: str, status: int = 200, *, leads_to: tuple[str, ...] = (), **values: Any) -> Response:
    """A page in the reader's language, which works without any script.

    :param leads_to: origins to which the answer of a form on it may lead.
    """
    language = pages.reader_language()
    text = render_template(f"billing/{template}", language=language, words=WORDS[language], **values)
    return pages.as_page(make_response(text, status), language, pages.plain_policy(*leads_to))


@billing_pages.get("/billing/return/<uuid:order_id>")
@public()
def returned(order_id: UUID) -> Response:
    """Tell a payer what has become of the order, and have it looked at if that is open."""
    if not return_urls.is_genuine(request.args.get("token", ""), order_id):
        raise OrderNotFound
    found = queries.returned(order_id)
    turned_back = "canceled" in request.args
    state = _state(found, turned_back=turned_back)
    if state in {"checking", "pending"}:
        with suppress(Maintenance), unit_of_work():
            emit("billing.look_requested", order_id=str(order_id))
    kept = found.cancel_url if state in {"pending", "failed", "canceled"} else found.success_url
    return show(
        "return.html",
        state=state,
        again=_again(order_id) if state == "checking" else None,
        checkout_url=found.checkout_url if state == "pending" else None,
        app_url=kept if return_urls.opens_app(kept) else None,
    )


def _state(found: Returned, *, turned_back: bool) -> str:
    if found.status is not OrderStatus.PENDING:
        return found.status.value
    if found.is_paying:
        return "waiting"
    return "pending" if turned_back else "checking"


def _again(order_id: UUID) -> tuple[int, str] | None:
    """When to ask again, and where; None: it was asked often enough."""
    given = request.args.get("again", "0")
    times = int(given) if given.isascii() and given.isdigit() and len(given) < 3 else len(AGAIN_AFTER)
    if times >= len(AGAIN_AFTER):
        return None
    token = request.args["token"]  # genuine, and so of URL-safe letters
    return AGAIN_AFTER[times], f"{return_urls.PAGE}/{order_id}?token={token}&again={times + 1}"


@billing_pages.get(return_urls.BACK)
@public()
def back() -> Response:
    """Tell a customer who comes from the portal that this is all, with a button for the app."""
    sealed = request.args.get("to")
    address = None if sealed is None else return_urls.sealed_address(sealed)
    if sealed is not None and address is None:
        raise CheckoutNotFound
    return show("return.html", state="back", again=None, checkout_url=None, app_url=address)


@billing_pages.record_once
def _prepare(state: Any) -> None:
    gateway.install_dialect(state.app, ("/billing/",), _speak_to_people)


def _speak_to_people(body: dict[str, Any], status: int) -> Response | None:
    """A refusal as a page for who would rather read one."""
    if not reads_pages():
        return None
    page = show("message.html", status, code=body["code"])
    page.vary.add("Accept")
    return page


def reads_pages() -> bool:
    """Whether the caller is a person's browser, and no program that asks for JSON."""
    return request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html"
