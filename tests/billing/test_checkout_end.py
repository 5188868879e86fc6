"""How a checkout ends that is not paid, who may try first, and the portal."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from devforge_api.billing.models import Customer, Order, OrderStatus
from devforge_api.billing.service.providers.base import SessionState
from devforge_api.billing.service.providers.test import TestProvider
from devforge_api.core.db import db
from tests.billing.shop import Shop
from tests.factories import code_of


@pytest.fixture
def shop(api):
    return Shop(api)


@pytest.fixture
def buyer(api):
    return api.person()


def cancel(api, made, by):
    return api.post(f"/billing/orders/{made['order_id']}/cancel", by=by)


def test_one_s_own_open_order_can_be_canceled_and_its_page_is_closed(api, shop, buyer):
    made = shop.checkout(buyer, shop.price())
    assert code_of(cancel(api, made, api.person())) == "ORDER_NOT_FOUND"
    for _ in range(2):
        done = cancel(api, made, buyer)
        assert (done.status_code, done.json["data"]["status"]) == (200, "canceled")
    assert "Closed" in shop.open(made["checkout_url"]).text
    shop.decide(made, "approve")
    assert shop.status(made) is OrderStatus.CANCELED
    assert shop.licenses(made["order_id"]) == []


@pytest.mark.parametrize(
    ("deed", "status"), [("approve", "paid"), ("delay", "pending"), ("decline", "failed")]
)
def test_what_is_decided_or_on_its_way_is_not_canceled(api, shop, buyer, deed, status):
    made = shop.checkout(buyer, shop.price())
    shop.decide(made, deed)
    refused = cancel(api, made, buyer)
    assert (refused.status_code, code_of(refused)) == (409, "ORDER_NOT_PENDING")
    assert refused.json["error"]["params"] == {"status": status}


def test_an_order_that_is_canceled_while_its_page_is_opened_cannot_be_paid(
    app, api, shop, buyer, monkeypatch
):
    genuine = TestProvider.create_checkout
    opened = []

    def meanwhile(self, request):
        assert cancel(api, {"order_id": request.order_id}, buyer).status_code == 200
        opened.append(genuine(self, request))
        return opened[0]

    monkeypatch.setattr(TestProvider, "create_checkout", meanwhile)
    assert code_of(shop.refused(buyer, shop.price())) == "ORDER_NOT_PENDING"
    with app.app_context():
        assert TestProvider("").book(opened[0].reference).session is SessionState.EXPIRED
        assert db.session.scalars(select(Order.status)).all() == [OrderStatus.CANCELED]


@pytest.mark.parametrize("number", range(4))
def test_paying_and_canceling_at_once_end_in_one_of_both(api, shop, buyer, number):
    made = shop.checkout(buyer, shop.price())
    deeds = [lambda: shop.decide(made, "approve"), lambda: cancel(api, made, buyer)]
    with ThreadPoolExecutor(2) as pool:
        results = [
            future.result() for future in [pool.submit(deed) for deed in deeds[:: 1 if number % 2 else -1]]
        ]
    assert {result.status_code for result in results} <= {200, 303, 409}
    api.deliver()
    status, licenses = shop.status(made), shop.licenses(made["order_id"])
    assert (status, len(licenses)) in {(OrderStatus.PAID, 1), (OrderStatus.CANCELED, 0)}


# --- trials ----------------------------------------------------------------------------------------


def test_a_trial_is_for_new_customers_of_a_product(api, shop, buyer):
    product = api.product()
    price = shop.price(api.policy(product), interval="month", trial_days=14)
    first = shop.checkout(buyer, price)
    assert "14 days" in shop.open(first["checkout_url"]).text
    shop.decide(first, "approve")
    again = shop.checkout(buyer, price)
    assert "Pay 59.00 USD?" in shop.open(again["checkout_url"]).text
    other = shop.checkout(buyer, shop.price(interval="month", trial_days=14))
    assert "14 days" in shop.open(other["checkout_url"]).text


# --- the portal ------------------------------------------------------------------------------------


def test_the_portal_is_for_customers_who_have_paid(app, api, shop, buyer):
    made = shop.checkout(buyer, shop.price(interval="month"))
    refused = api.post("/billing/portal", by=buyer)
    assert (refused.status_code, code_of(refused)) == (409, "NO_CUSTOMER")
    shop.decide(made, "approve")
    opened = api.post("/billing/portal", by=buyer)
    assert opened.status_code == 200
    assert opened.headers["Cache-Control"] == "no-store"
    page = shop.open(opened.json["data"]["url"])
    assert (page.status_code, "59.00 USD a month" in page.text) == (200, True)
    with app.app_context():
        assert db.session.scalars(select(Customer.user_id)).all() == [buyer.id]
