"""The built-in provider's page: what it shows, and that every button can be pressed twice."""

import itertools
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from devforge_api.billing.models import EventOutcome, OrderStatus, ProviderEvent
from devforge_api.billing.service.providers.test import TestProvider
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db
from devforge_api.licenses.models import LicenseStatus
from tests.billing.shop import Shop

DEEDS = ("approve", "decline", "delay")
OUTCOMES = {"approve": OrderStatus.PAID, "decline": OrderStatus.FAILED, "delay": OrderStatus.PENDING}


@pytest.fixture
def shop(api):
    return Shop(api)


@pytest.fixture
def buyer(api):
    return api.person()


def events(app):
    with app.app_context():
        return db.session.scalars(select(ProviderEvent).order_by(ProviderEvent.id)).all()


def test_the_page_shows_what_is_paid_and_changes_nothing(shop, buyer):
    made = shop.checkout(buyer, shop.price(name="Pro"), shop.price(amount=1250, name="Solo"), quantity=2)
    page = shop.open(made["checkout_url"])
    text = " ".join(re.sub(r"<[^>]+>", " ", page.text).replace("\N{MULTIPLICATION SIGN}", "x").split())
    assert "Pay 143.00 USD?" in text
    assert "2 x Pro 118.00 USD once 2 x Solo 25.00 USD once Total 143.00 USD once" in text
    assert re.findall(r'action="[^"]*/(\w+)"', page.text) == list(DEEDS)
    assert shop.status(made) is OrderStatus.PENDING
    german = shop.open(made["checkout_url"], headers={"Accept-Language": "de"})
    assert "143.00 USD zahlen?" in german.text


@pytest.mark.parametrize("where", ["checkout", "return", "portal", "missing"])
def test_every_page_is_armoured(api, shop, buyer, where):
    made = shop.checkout(buyer, shop.price(interval="month", name='"><script>alert(1)</script>'))
    page = shop.open(made["checkout_url"])
    if where == "return":
        page = shop.open(shop.decide(made, "approve").headers["Location"])
    elif where == "portal":
        shop.decide(made, "approve")
        page = shop.open(api.post("/billing/portal", by=buyer).json["data"]["url"])
    elif where == "missing":
        page = shop.open(made["checkout_url"] + "x")
        assert page.status_code == 404
    policy = page.headers["Content-Security-Policy"]
    for part in ("default-src 'none'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"):
        assert part in policy
    assert "script-src" not in policy
    assert "unsafe" not in policy
    assert page.headers["X-Frame-Options"] == "DENY"
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert "Set-Cookie" not in page.headers
    assert not re.search(r"<script|<style| style=| on[a-z]+=", page.text)


def test_a_form_may_lead_to_where_the_payer_returns_and_nowhere_else(make_api):
    api = make_api(DEVFORGE_BILLING_RETURN_URLS="https://shop.example,https://other.example")
    shop = Shop(api)
    made = shop.checkout(api.person(), shop.price(), success_url="https://shop.example/yes")
    policy = shop.open(made["checkout_url"]).headers["Content-Security-Policy"]
    own = api.app.config["PUBLIC_URL"]
    assert f"form-action 'self' https://shop.example {own};" in policy


@pytest.mark.parametrize("deed", DEEDS)
def test_a_button_settles_the_order_at_once_and_sends_the_payer_on(app, shop, buyer, deed):
    made = shop.checkout(buyer, shop.price(), quantity=2)
    for _ in range(3):
        done = shop.decide(made, deed)
        assert done.status_code == 303
        assert ("canceled=1" in done.headers["Location"]) == (deed == "decline")
        assert shop.status(made) is OUTCOMES[deed]
    licenses = shop.licenses(made["order_id"])
    assert len(licenses) == (0 if deed == "decline" else 2)
    wanted = LicenseStatus.PENDING if deed == "delay" else LicenseStatus.ACTIVE
    assert {license_.status for license_ in licenses} <= {wanted}
    assert {license_.user_id for license_ in licenses} <= {buyer.id}
    assert len(events(app)) == 1


@pytest.mark.parametrize(("first", "second"), list(itertools.product(("approve", "decline"), DEEDS)))
def test_a_decision_is_for_good(app, api, shop, buyer, first, second):
    made = shop.checkout(buyer, shop.price())
    shop.decide(made, first)
    before = [one.event_id for one in events(app)]
    shop.decide(made, second)
    api.deliver()
    assert shop.status(made) is OUTCOMES[first]
    assert [one.event_id for one in events(app)] == before
    assert len(shop.licenses(made["order_id"])) == (1 if first == "approve" else 0)


@pytest.mark.parametrize("interval", ["one_time", "month"])
@pytest.mark.parametrize("deed", ["approve", "decline"])
def test_money_that_was_on_its_way_arrives_or_does_not(api, shop, buyer, deed, interval):
    made = shop.checkout(buyer, shop.price(interval=interval))
    shop.decide(made, "delay")
    (waiting,) = shop.licenses(made["order_id"])
    assert waiting.status is LicenseStatus.PENDING
    page = shop.open(made["checkout_url"])
    assert re.findall(r'action="[^"]*/(\w+)"', page.text) == ["approve", "decline"]
    shop.decide(made, "delay")
    shop.decide(made, deed)
    api.deliver()
    assert shop.status(made) is OUTCOMES[deed]
    statuses = [license_.status for license_ in shop.licenses(made["order_id"])]
    assert (LicenseStatus.ACTIVE in statuses) == (deed == "approve")
    assert LicenseStatus.PENDING not in statuses


def test_a_program_gets_json_and_a_plain_client_is_sent_on(shop, buyer):
    made = shop.checkout(buyer, shop.price())
    plain = shop.decide(made, "approve", headers={})
    assert plain.status_code == 303
    told = shop.decide(made, "approve", headers={"Accept": "application/json"})
    assert (told.status_code, told.json["data"]) == (200, {"order_id": made["order_id"], "status": "paid"})
    for body in ({"data": {"x": "1"}}, {"json": {}}, {"data": b"\xff", "content_type": "text/plain"}):
        assert shop.decide(made, "approve", **body).status_code == 303


@pytest.mark.parametrize(
    ("path", "method"), [("", "POST"), ("/approve", "GET"), ("/steal", "POST"), ("x", "GET")]
)
def test_there_is_nothing_else_on_the_page(shop, buyer, path, method):
    made = shop.checkout(buyer, shop.price())
    assert shop.open(made["checkout_url"] + path, method).status_code in {404, 405}
    assert shop.status(made) is OrderStatus.PENDING


def test_where_the_provider_is_not_configured_its_pages_are_not_there(api, shop, buyer, make_api):
    made = shop.checkout(buyer, shop.price(interval="month"))
    shop.decide(made, "approve")
    portal = api.post("/billing/portal", by=buyer).json["data"]["url"]
    other = Shop(make_api(DEVFORGE_BILLING_PROVIDER="none"))
    for address in (made["checkout_url"], portal):
        assert other.open(address).status_code == 404
    assert other.decide(made, "decline").status_code == 404
    assert other.open(f"{portal}/end", "POST").status_code == 404


def test_what_could_not_be_settled_at_once_is_settled_by_its_event(app, api, shop, buyer, monkeypatch):
    made = shop.checkout(buyer, shop.price())

    def fail(*_, **__):
        raise RuntimeError("away")

    with monkeypatch.context() as patch:
        patch.setattr("devforge_api.billing.routes.test_pages.looking.look_and_settle", fail)
        told = shop.decide(made, "approve", headers={"Accept": "application/json"})
    assert (told.status_code, told.json["data"]["status"]) == (200, "paid")
    assert shop.status(made) is OrderStatus.PENDING
    api.deliver()
    assert shop.status(made) is OrderStatus.PAID
    (event,) = events(app)
    assert (event.kind, event.outcome) == ("checkout.session.completed", EventOutcome.SETTLED)
    assert event.order_id == UUID(made["order_id"])


def test_a_licence_s_ledger_cites_the_payment_s_event(app, api, shop, buyer):
    made = shop.checkout(buyer, shop.price())
    shop.decide(made, "approve")
    api.deliver()
    (license_,) = shop.licenses(made["order_id"])
    history = api.get(f"/licenses/{license_.id}/ledger", by=shop.admin).json["data"]
    (event,) = events(app)
    assert {entry["cause_id"] for entry in history} == {event.event_id}


@pytest.mark.parametrize("number", range(6))
def test_of_several_buttons_at_once_one_decides(app, api, shop, buyer, number):
    made = shop.checkout(buyer, shop.price())
    order = list(itertools.permutations(DEEDS))[number] * 2
    with ThreadPoolExecutor(len(order)) as pool:
        answers = list(pool.map(lambda deed: shop.decide(made, deed), order))
    assert {answer.status_code for answer in answers} == {303}
    api.deliver()
    with app.app_context():
        book = TestProvider("").book(made["session_id"])
    status, licenses = shop.status(made), shop.licenses(made["order_id"])
    assert status.value == book.money
    assert len([one for one in licenses if one.status is LicenseStatus.ACTIVE]) == (
        1 if status is OrderStatus.PAID else 0
    )
    assert len({one["id"] for one in book.state["events"]}) == len(events(app)) <= 2


def test_after_a_day_the_page_is_closed(app, shop, buyer):
    made = shop.checkout(buyer, shop.price())
    with app.app_context():
        state = TestProvider("").book(made["session_id"]).state
        old = {**state, "opened_at": (utc_now() - timedelta(hours=24)).isoformat()}
        table = db.metadata.tables["test_checkouts"]
        db.session.execute(table.update().where(table.c.reference == made["session_id"]).values(state=old))
        db.session.commit()
    assert "Closed" in shop.open(made["checkout_url"]).text
    assert "canceled=1" in shop.decide(made, "approve").headers["Location"]
    assert shop.status(made) is OrderStatus.CANCELED
