"""What is known of a buyer is handed out as a whole, and erased without the books."""

import itertools
import zipfile
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from uuid import UUID

import orjson
import pytest
from sqlalchemy import func, select

from devforge_api.billing.models import (
    Customer,
    Invoice,
    LedgerLine,
    Order,
    OrderStatus,
    Payment,
    ProviderEvent,
    Refund,
    Subscription,
    TestCheckout,
)
from devforge_api.billing.service.personal_data import TABLES
from devforge_api.billing.service.providers.base import OrderReferences, SessionState
from devforge_api.billing.service.providers.test import TestProvider
from devforge_api.core import encryption
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.encryption import decrypt
from tests.billing.shop import Shop

TOPICS = {
    "customers", "orders", "order_items", "order_licenses", "subscriptions", "payments", "refunds",
    "disputes", "invoices", "ledger", "provider_events", "test_checkouts",
}  # fmt: skip


@pytest.fixture
def api(make_api):
    return make_api(DEVFORGE_BILLING_RETURN_URLS="https://ada.example")


@pytest.fixture
def shop(api):
    return Shop(api)


@pytest.fixture
def ada(api, shop):
    """A buyer of everything: once, by the month, declined, refunded and disputed, and not yet paid."""
    who = api.person()
    urls = {"success_url": "https://ada.example/yes", "cancel_url": "https://ada.example/no"}

    def buy(deed=None, *, interval="one_time"):
        made = shop.checkout(who, shop.price(interval=interval), **urls)
        if deed:
            shop.decide(made, deed)
        return made["order_id"]

    orders = {
        "open": buy(),
        "declined": buy("decline"),
        "refunded": buy("approve"),
        "disputed": buy("approve"),
        "running": buy("approve", interval="month"),
    }
    shop.simulate(orders["refunded"], "refund")
    shop.simulate(orders["refunded"], "fail-refund")
    shop.simulate(orders["disputed"], "dispute")
    api.deliver()
    with api.app.app_context(), unit_of_work():
        db.session.execute(Refund.__table__.update().values(reason="Ada was ill", requested_by=shop.admin.id))
    return who, orders


def erase(api, shop, who):
    assert api.delete(f"/users/{who.id}", by=shop.admin).status_code == 204


def look(api, order_id):
    with api.app.app_context():
        return TestProvider("").look(OrderReferences(UUID(order_id), None, None))


def test_a_buyer_s_export_holds_every_topic_and_nothing_of_others(api, shop, ada):
    who, orders = ada
    shop.decide(shop.checkout(api.person(), shop.price()), "approve")
    archive = zipfile.ZipFile(BytesIO(api.get(f"/users/{who.id}/export", by=shop.admin).data))
    files = {name: orjson.loads(archive.read(name)) for name in archive.namelist()}
    topics = {
        name.removeprefix("billing/").removesuffix(".json") for name in files if name.startswith("billing/")
    }
    assert topics == TOPICS
    assert [topic for topic in TOPICS if not files[f"billing/{topic}.json"]] == []
    assert {row["id"] for row in files["billing/orders.json"]} == set(orders.values())
    text = str([files[f"billing/{topic}.json"] for topic in TOPICS])
    assert str(shop.admin.id) not in text
    assert "payload" not in text


def test_after_erasing_the_books_stand_and_name_nobody(api, shop, ada):
    who, _ = ada
    with api.app.app_context():
        counts = {
            kind: db.session.query(kind).count() for kind in (Order, Payment, Refund, Invoice, LedgerLine)
        }
        customer = db.session.scalars(select(Customer.reference)).one()
    erase(api, shop, who)
    with api.app.app_context():
        for kind, count in counts.items():
            assert db.session.query(kind).count() == count, kind
        assert db.session.scalar(select(func.sum(LedgerLine.amount))) == 0
        told = [decrypt(payload) for payload in db.session.scalars(select(ProviderEvent.payload))]
        assert set(told) == {"{}"}
        assert db.session.query(Customer).count() == 0
        for kind in (Order, Subscription, Invoice):
            assert db.session.query(kind).filter(kind.user_id.is_not(None)).count() == 0
        left = str([
            dict(row) for name in sorted(TABLES)
            for row in db.session.execute(select(db.metadata.tables[name])).mappings()
        ])  # fmt: skip
        for mark in (
            "ada.example",
            "Ada was ill",
            customer,
            "Your card was declined",
            "fraudulent",
            str(who.id),
        ):
            assert mark not in left, mark
        # What is under the master key can still be brought under another one.
        assert sum(encryption.reencrypt(ProviderEvent.payload)) == len(told)


def test_nobody_is_charged_whose_account_is_gone(api, shop, ada):
    who, orders = ada
    erase(api, shop, who)
    api.deliver()
    assert look(api, orders["running"]).subscription.ended_at is not None
    assert look(api, orders["open"]).session is SessionState.EXPIRED
    assert shop.order(orders["open"]).status is OrderStatus.CANCELED
    with api.app.app_context():
        page = db.session.scalars(
            select(TestCheckout.reference).where(TestCheckout.order_id == UUID(orders["open"]))
        )
        url = f"{api.app.config['PUBLIC_URL']}/billing/test/checkouts/{page.one()}"
    assert "Closed" in shop.open(url).text
    assert shop.open(f"{url}/approve", "POST").headers["Location"] == "/billing/back"
    assert shop.order(orders["open"]).status is OrderStatus.CANCELED


def test_a_team_member_who_leaves_takes_their_name_from_refunds(api, shop, ada):
    erase(api, Shop(api), shop.admin)
    with api.app.app_context():
        assert db.session.scalars(select(Refund.requested_by)).all() == [None]
        assert db.session.scalars(select(Refund.reason)).all() == ["Ada was ill"]


@pytest.mark.parametrize("number", range(6))
def test_erasing_while_paying_leaves_no_name(api, shop, number):
    who = api.person()
    made = shop.checkout(who, shop.price(interval="month"))
    deeds = [
        lambda: shop.decide(made, "approve"),
        lambda: api.delete(f"/users/{who.id}", by=shop.admin),
        lambda: api.post("/billing/checkout", {"items": []}, by=who),
    ]
    order = list(itertools.permutations(deeds))[number]
    with ThreadPoolExecutor(3) as pool:
        codes = {future.result().status_code for future in [pool.submit(deed) for deed in order]}
    assert codes <= {204, 303, 401, 422}, codes
    api.deliver()
    with api.app.app_context():
        for kind in (Order, Subscription, Invoice):
            assert db.session.query(kind).filter(kind.user_id == who.id).count() == 0
        assert db.session.query(Customer).count() == 0
    found = look(api, made["order_id"])
    assert found.subscription is None or found.subscription.ended_at is not None
