"""As a buyer: from the price list over Stripe's page to a licence, by HTTP alone."""

from __future__ import annotations

from sqlalchemy import select

from devforge_api.billing.models import PriceReference
from devforge_api.core.db import db
from tests.billing.shop import Shop


def test_a_checkout_of_a_subscription_ends_in_a_licence(shop, fake):
    counter = Shop(shop)
    price_id = counter.price(interval="month")
    buyer = shop.person()
    made = counter.checkout(buyer, price_id, quantity=2)
    assert made["checkout_url"].startswith("https://checkout.stripe.example/")
    order = f"/billing/orders/{made['order_id']}"
    assert shop.get(order, by=buyer).json["data"]["status"] == "pending"
    fake.pay(made["session_id"])
    for event in fake.take_events() * 2:
        assert fake.deliver(shop.app.test_client(), event).status_code == 200
    shop.deliver()
    told = shop.get(order, by=buyer).json["data"]
    assert (told["status"], [one["status"] for one in told["licenses"]]) == ("paid", ["active"] * 2)
    assert shop.get(order, by=shop.person()).status_code == 404
    portal = shop.post("/billing/portal", {}, by=buyer)
    assert portal.json["data"]["url"].startswith("https://billing.stripe.example/")


def test_the_second_checkout_knows_the_price_and_the_customer(shop, fake):
    counter, buyer = Shop(shop), shop.person()
    price_id = counter.price()
    for _ in range(2):
        fake.pay(counter.checkout(buyer, price_id)["session_id"])
    assert [len(fake.books.all(kind)) for kind in ("price", "customer")] == [1, 1]
    with shop.app.app_context():
        assert db.session.scalars(select(PriceReference.reference)).all() == [
            fake.books.all("price")[0]["id"]
        ]


def test_while_stripe_is_away_nothing_is_bought_and_the_same_call_goes_through_later(shop, fake):
    counter, buyer = Shop(shop), shop.person()
    body = {"items": [{"price_id": counter.price(), "quantity": 1}]}
    headers = {"Idempotency-Key": "one-checkout"}
    fake.fail(503, times=2)
    away = shop.post("/billing/checkout", body, by=buyer, headers=headers)
    assert (away.status_code, away.json["error"]["code"]) == (503, "PAYMENT_PROVIDER_UNAVAILABLE")
    assert int(away.headers["Retry-After"]) >= 1
    fake.lost = [False, False, True]
    made = shop.post("/billing/checkout", body, by=buyer, headers=headers)
    assert made.status_code == 201, made.json
    again = shop.post("/billing/checkout", body, by=buyer, headers=headers)
    assert again.json["data"]["session_id"] == made.json["data"]["session_id"]
    assert len(fake.books.all("checkout.session")) == 1
