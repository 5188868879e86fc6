"""Checkouts: what is ordered, what the provider is asked, and what is left when it is broken off."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, update

from devforge_api.billing import jobs
from devforge_api.billing.errors import ProviderRefused, ProviderUnavailable
from devforge_api.billing.models import Order, OrderItem, OrderStatus, PriceReference
from devforge_api.billing.service.providers.test import TestProvider
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, in_unit_of_work, unit_of_work
from devforge_api.core.idempotency import IdempotencyKey
from devforge_api.core.outbox import OutboxRow
from tests.billing.shop import Shop
from tests.factories import code_of

KEY = {"Idempotency-Key": "buy-1"}


@pytest.fixture
def shop(api):
    return Shop(api)


@pytest.fixture
def buyer(api):
    return api.person()


def count(app, model):
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(model))


def age(app, order_id, **span):
    """Let an order have been made so long ago."""
    with app.app_context(), unit_of_work():
        values = {"created_at": utc_now() - timedelta(**span)}
        db.session.execute(update(Order).where(Order.id == UUID(str(order_id))).values(values))


def run(app, job):
    with app.app_context(), unit_of_work():
        job()


def test_an_order_is_made_at_the_server_s_prices(app, api, shop, buyer):
    pro, solo = shop.price(name="Pro"), shop.price(amount=1000, name="Solo")
    items = [{"price_id": solo, "quantity": 3}, {"price_id": pro}]
    made = api.post("/billing/checkout", {"items": items}, by=buyer)
    assert made.status_code == 201
    data = made.json["data"]
    assert set(data) == {"checkout_url", "session_id", "order_id"}
    assert made.headers["Location"] == f"/api/v1/billing/orders/{data['order_id']}"
    order = shop.order(data["order_id"])
    assert (order.user_id, order.status, order.amount, order.currency, order.provider) == (
        buyer.id, OrderStatus.PENDING, 8900, "USD", "test",
    )  # fmt: skip
    assert (order.session_reference, order.checkout_url) == (data["session_id"], data["checkout_url"])
    with app.app_context():
        rows = db.session.scalars(select(OrderItem).order_by(OrderItem.position)).all()
        assert [(row.description, row.quantity, row.unit_amount) for row in rows] == [
            ("Solo", 3, 1000),
            ("Pro", 1, 5900),
        ]
        assert set(db.session.scalars(select(PriceReference.price_id))) == {UUID(pro), UUID(solo)}
    assert "118.00" not in shop.open(data["checkout_url"]).text
    assert "89.00 USD" in shop.open(data["checkout_url"]).text
    trail = api.get(f"/audit/events?target_id={data['order_id']}", by=shop.admin).json["data"]
    assert [(row["action"], row["actor_id"]) for row in trail] == [("order.created", str(buyer.id))]


@pytest.mark.parametrize(
    ("items", "field"),
    [
        ([], "items"),
        ([{}], "items.0.price_id"),
        ([{"price_id": str(uuid4())}], "items.0.price_id"),
        ([{"price_id": "PRICE", "quantity": 0}], "items.0.quantity"),
        ([{"price_id": "PRICE", "quantity": 101}], "items.0.quantity"),
        ([{"price_id": "PRICE", "quantity": 1.5}], "items.0.quantity"),
        ([{"price_id": "PRICE", "amount": 1}], "items.0.amount"),
        ([{"price_id": "PRICE"}, {"price_id": "PRICE"}], "items.1.price_id"),
        ([{"price_id": "PRICE"}, {"price_id": "EURO"}], "items.1.price_id"),
        ([{"price_id": "PRICE"}, {"price_id": "MONTH"}], "items.1.price_id"),
        ([{"price_id": "MONTH"}, {"price_id": "TRIED"}], "items.1.price_id"),
        ([{"price_id": "PRICE"}] * 21, "items"),
    ],
)
def test_what_cannot_be_paid_together_is_refused_and_leaves_no_order(app, api, shop, buyer, items, field):
    ids = {
        "PRICE": shop.price(),
        "EURO": shop.price(currency="EUR"),
        "MONTH": shop.price(interval="month"),
        "TRIED": shop.price(interval="month", trial_days=7),
    }
    given = [
        {**item, "price_id": ids.get(item["price_id"], item["price_id"])} if item else item for item in items
    ]
    refused = api.post("/billing/checkout", {"items": given}, by=buyer)
    assert (refused.status_code, refused.json["error"]["field"]) == (422, field)
    assert count(app, Order) == 0


def test_every_wrong_item_is_named(api, shop, buyer):
    refused = shop.refused(buyer, shop.price(), str(uuid4()), shop.price(currency="JPY"))
    assert [(one["field"], one["code"]) for one in refused.json["error"]["details"]] == [
        ("items.1.price_id", "NOT_FOUND"),
        ("items.2.price_id", "MIXED_CURRENCIES"),
    ]


def test_the_largest_order_is_a_number_that_every_program_reads(api, shop, buyer):
    prices = [shop.price(amount=10**12) for _ in range(20)]
    made = shop.checkout(buyer, *prices, quantity=10)
    assert shop.order(made["order_id"]).amount == 2 * 10**14 < 2**53
    items = [{"price_id": price, "quantity": 11} for price in prices]
    refused = api.post("/billing/checkout", {"items": items}, by=buyer)
    assert (refused.status_code, refused.json["error"]["field"]) == (422, "items")


@pytest.mark.parametrize(("quantity", "status"), [(1, "trialing"), (2, "active")])
def test_a_trial_is_for_one_licence(app, api, shop, buyer, quantity, status):
    made = shop.checkout(buyer, shop.price(interval="month", trial_days=7), quantity=quantity)
    shop.decide(made, "approve")
    (subscription,) = api.get("/billing/subscriptions", by=buyer).json["data"]
    assert subscription["status"] == status


def test_where_nothing_is_sold_a_checkout_says_so(api, shop, buyer, make_api):
    price = shop.price()
    refused = make_api(DEVFORGE_BILLING_PROVIDER="none").post(
        "/billing/checkout", {"items": [{"price_id": price}]}, by=buyer
    )
    assert (refused.status_code, code_of(refused)) == (409, "BILLING_NOT_CONFIGURED")


# --- a provider that does not do it -------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status"), [(ProviderRefused("No."), 409), (ProviderUnavailable(3), 503)], ids=["no", "away"]
)
def test_an_order_whose_page_was_not_opened_is_canceled(app, api, shop, buyer, monkeypatch, error, status):
    price = shop.price()

    def fail(*_):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(TestProvider, "create_checkout", fail)
        refused = api.post("/billing/checkout", {"items": [{"price_id": price}]}, by=buyer, headers=KEY)
    assert (refused.status_code, code_of(refused)) == (status, error.code)
    with app.app_context():
        order = db.session.scalars(select(Order)).one()
        assert (order.status, order.session_reference) == (OrderStatus.CANCELED, None)
        assert db.session.scalar(select(func.count()).select_from(IdempotencyKey)) == 0
    assert shop.checkout(buyer, price, headers=KEY)  # the key was released
    trail = api.get(f"/audit/events?target_id={order.id}", by=shop.admin).json["data"]
    assert {row["action"] for row in trail} == {"order.created", "order.canceled"}


def test_the_provider_is_asked_in_no_transaction(app, shop, buyer, monkeypatch):
    seen = []
    genuine = TestProvider.create_checkout

    def watched(self, request):
        seen.append((in_unit_of_work(), db.session.get(Order, request.order_id) is not None))
        return genuine(self, request)

    monkeypatch.setattr(TestProvider, "create_checkout", watched)
    price = shop.price()
    shop.checkout(buyer, price)
    shop.checkout(buyer, price, headers=KEY)
    assert seen == [(False, True), (False, True)]


def killed(*_):
    raise KeyboardInterrupt


def test_a_server_killed_while_it_asks_leaves_an_order_that_is_canceled_later(app, shop, buyer, monkeypatch):
    price = shop.price()
    with monkeypatch.context() as patch:
        patch.setattr(TestProvider, "create_checkout", killed)
        with pytest.raises(KeyboardInterrupt):
            shop.refused(buyer, price)
    with app.app_context():
        order = db.session.scalars(select(Order)).one()
    assert order.status is OrderStatus.PENDING
    fresh = shop.checkout(buyer, price)
    age(app, fresh["order_id"], hours=2)
    age(app, order.id, minutes=59)
    run(app, jobs.cancel_abandoned)
    assert shop.order(str(order.id)).status is OrderStatus.PENDING
    age(app, order.id, minutes=61)
    run(app, jobs.cancel_abandoned)
    assert shop.order(str(order.id)).status is OrderStatus.CANCELED
    assert shop.status(fresh) is OrderStatus.PENDING  # it has a page


def test_an_open_order_whose_page_has_closed_unheard_is_looked_at(app, api, shop, buyer):
    made, late = (shop.checkout(buyer, shop.price()) for _ in range(2))
    with app.app_context(), unit_of_work():
        checkout = TestProvider("").book(late["session_id"])
        state = {**checkout.state, "opened_at": (utc_now() - timedelta(hours=26)).isoformat()}
        table = db.metadata.tables["test_checkouts"]
        db.session.execute(table.update().where(table.c.reference == late["session_id"]).values(state=state))
    age(app, late["order_id"], hours=26)
    run(app, jobs.ask_for_news)
    api.deliver()
    assert (shop.status(late), shop.status(made)) == (OrderStatus.CANCELED, OrderStatus.PENDING)
    age(app, made["order_id"], days=31)
    run(app, jobs.ask_for_news)
    with app.app_context():
        looks = OutboxRow.name == "billing.look_requested"
        waiting = select(func.count()).select_from(OutboxRow).where(OutboxRow.status == "pending", looks)
        assert db.session.scalar(waiting) == 0


# --- repetitions ---------------------------------------------------------------------------------


def test_a_repeated_checkout_is_answered_again_and_makes_no_second_order(app, api, shop, buyer):
    body = {"items": [{"price_id": shop.price()}]}
    first, again = (api.post("/billing/checkout", body, by=buyer, headers=KEY) for _ in range(2))
    assert (first.status_code, first.data) == (201, again.data)
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert count(app, Order) == 1
    other = api.post("/billing/checkout", {"items": [{"price_id": shop.price()}]}, by=buyer, headers=KEY)
    assert code_of(other) == "IDEMPOTENCY_KEY_REUSED"


def test_of_many_equal_checkouts_at_once_one_is_made(app, api, shop, buyer):
    body = {"items": [{"price_id": shop.price()}]}
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: api.post("/billing/checkout", body, by=buyer, headers=KEY), range(16))
        )
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.data for answer in answers if answer.status_code == 201}) == 1
    assert count(app, Order) == 1


def test_while_the_provider_is_asked_a_repetition_waits_and_another_key_does_not(
    app, api, shop, buyer, monkeypatch
):
    asked, go_on = threading.Event(), threading.Event()
    genuine = TestProvider.create_checkout

    def slow(self, request):
        if not asked.is_set():
            asked.set()
            assert go_on.wait(30)
        return genuine(self, request)

    monkeypatch.setattr(TestProvider, "create_checkout", slow)
    body = {"items": [{"price_id": shop.price()}]}
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(api.post, "/billing/checkout", body, by=buyer, headers=KEY)
        try:
            assert asked.wait(30)
            assert (
                code_of(api.post("/billing/checkout", body, by=buyer, headers=KEY)) == "IDEMPOTENCY_IN_FLIGHT"
            )
            other = api.post("/billing/checkout", body, by=buyer, headers={"Idempotency-Key": "buy-2"})
            assert other.status_code == 201
        finally:
            go_on.set()
        assert first.result().status_code == 201
    assert count(app, Order) == 2


def test_prices_that_are_bought_for_the_first_time_by_many_at_once_get_one_name(app, api, shop):
    prices = [shop.price() for _ in range(4)]
    buyers = [api.person() for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        turned = [prices if number % 2 else prices[::-1] for number in range(6)]
        made = list(pool.map(lambda pair: shop.checkout(pair[0], *pair[1]), zip(buyers, turned, strict=True)))
    assert len({one["order_id"] for one in made}) == 6
    assert count(app, PriceReference) == 4
