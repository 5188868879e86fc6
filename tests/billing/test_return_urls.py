"""Where payers may be sent back to, and what the page says that they come back to."""

import html
import re
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from devforge_api.billing.models import OrderStatus
from devforge_api.billing.service.providers.test import TestProvider
from devforge_api.core.db import db
from devforge_api.core.outbox import OutboxRow
from tests.billing.shop import Shop
from tests.factories import code_of

ALLOWED = "https://shop.example,http://localhost:3000,devforge:"
NOT_ALLOWED = [
    "https://evil.example/",
    "https://shop.example.evil.example/",
    "https://shop.example:8443/",
    "https://shop.example:443@evil.example/",
    "https://user@shop.example/",
    "https://user:password@shop.example/",
    "http://shop.example/",
    "https://evil.example/https://shop.example/",
    "https://evil.example#https://shop.example/",
    "https://evil.example?https://shop.example/",
    "https://shop.example\\@evil.example/",
    "https:\\\\shop.example/",
    "https:/shop.example/",
    "https:shop.example/",
    "https:///shop.example/",
    "//shop.example/",
    "/account",
    "shop.example",
    "",
    " https://shop.example/",
    "https://shop.example/\n",
    "https://shop.example/a b",
    'https://shop.example/"><script>',
    "https://shop.example/{session_id}",
    "https://{order_id}.evil.example/",
    "https://{order_id}shop.example/",
    "https://shop\u3002example/",
    "https://\u017fhop.example/",
    "HTTPS://shop.example/",
    "http://localhost:3001/",
    "http://127.0.0.1:3000/",
    "javascript:alert(1)",
    "data:text/html,x",
    "file:///etc/passwd",
    "DEVFORGE://x",
    "devforges://x",
    "devforge",
    "x-devforge://x",
]


@pytest.fixture
def api(make_api):
    return make_api(DEVFORGE_BILLING_RETURN_URLS=ALLOWED)


@pytest.fixture
def shop(api):
    return Shop(api)


@pytest.fixture
def buyer(api):
    return api.person()


@pytest.mark.parametrize("field", ["success_url", "cancel_url"])
def test_no_address_that_is_not_allowed_is_ever_returned_to(api, shop, buyer, field):
    price = shop.price()
    for address in NOT_ALLOWED:
        refused = shop.refused(buyer, price, **{field: address})
        assert (refused.status_code, refused.json["error"]["field"]) == (422, field), address
    assert (
        code_of(shop.refused(buyer, price, **{field: "https://shop.example/" + "a" * 2000}))
        == "VALIDATION_ERROR"
    )
    assert (
        code_of(api.post("/billing/portal", {"return_url": "https://evil.example/"}, by=buyer))
        == "VALIDATION_ERROR"
    )


@pytest.mark.parametrize(
    "address",
    [
        "https://shop.example",
        "https://shop.example/thanks?order={order_id}#top",
        "https://shop.example?x=//evil.example/",
        "http://localhost:3000/",
        "PUBLIC/own/page",
    ],
)
def test_allowed_addresses_are_returned_to_as_they_are(api, shop, buyer, address):
    address = address.replace("PUBLIC", api.app.config["PUBLIC_URL"])
    made = shop.checkout(buyer, shop.price(), success_url=address, cancel_url=address)
    expected = address.replace("{order_id}", made["order_id"])
    assert shop.order(made["order_id"]).success_url == expected
    assert shop.decide(made, "approve").headers["Location"] == expected


def test_an_app_s_scheme_is_not_told_to_the_provider_but_opened_by_a_button(api, shop, buyer):
    urls = {"success_url": "devforge://orders/{order_id}?a=1&b=2", "cancel_url": "devforge:pricing"}
    made = shop.checkout(buyer, shop.price(), **urls)
    with api.app.app_context():
        state = TestProvider("").book(made["session_id"]).state
    assert "devforge" not in state["success_url"] + state["cancel_url"]
    back = shop.open(state["cancel_url"])
    assert "Nothing was paid" in back.text
    assert links(back) == [made["checkout_url"], "devforge:pricing"]
    back = shop.open(shop.decide(made, "approve").headers["Location"])
    assert "Thank you" in back.text
    assert links(back) == [f"devforge://orders/{made['order_id']}?a=1&b=2"]


def links(page):
    return [html.unescape(one) for one in re.findall(r'<a [^>]*href="([^"]*)"', page.text)]


@pytest.mark.parametrize(
    ("deed", "says", "german"),
    [
        ("approve", "Thank you!", "Vielen Dank!"),
        ("decline", "The payment has failed", "Die Zahlung ist fehlgeschlagen"),
        ("delay", "on its way", "Ihre Zahlung ist unterwegs"),
    ],
)
def test_the_page_says_what_has_become_of_the_order(api, shop, buyer, deed, says, german):
    made = shop.checkout(buyer, shop.price())
    address = shop.decide(made, deed).headers["Location"]
    page = shop.open(address)
    assert (page.status_code, says in page.text, "refresh" in page.text) == (200, True, False)
    page = shop.open(address, headers={"Accept-Language": "de-AT, en;q=0.5"})
    assert (german in page.text, 'lang="de"' in page.text) == (True, True)
    assert page.headers["Content-Language"] == "de"


def test_while_nothing_is_known_the_page_has_the_order_looked_at_and_asks_again(
    api, shop, buyer, monkeypatch
):
    made = shop.checkout(buyer, shop.price())

    def fail(*_, **__):
        raise RuntimeError("away")

    with monkeypatch.context() as patch:
        patch.setattr("devforge_api.billing.routes.test_pages.looking.look_and_settle", fail)
        address = shop.decide(made, "approve").headers["Location"]
    assert shop.status(made) is OrderStatus.PENDING
    with api.app.app_context():
        db.session.execute(OutboxRow.__table__.delete())  # as if its event had been lost, too
        db.session.commit()
    waits = []
    following = address
    for _ in range(20):
        page = shop.open(following)
        assert "We are checking your payment" in page.text
        again = re.search(r'content="([0-9]+); url=([^"]+)"', page.text)
        if again is None:
            break
        waits.append(int(again[1]))
        following = api.app.config["PUBLIC_URL"] + html.unescape(again[2])
    assert 5 <= len(waits) < 12
    assert waits == sorted(waits)
    api.deliver()
    assert shop.status(made) is OrderStatus.PAID
    assert "Thank you!" in shop.open(address).text
    with api.app.app_context():  # a paid order is not looked at again
        waiting = select(OutboxRow.id).where(
            OutboxRow.name == "billing.look_requested", OutboxRow.status == "pending"
        )
        assert db.session.scalars(waiting).all() == []


@pytest.mark.parametrize("again", ["-1", "1e9", "999999999999", "²", "x", ""])
def test_a_strange_count_of_attempts_ends_the_asking(api, shop, buyer, again):
    made = shop.checkout(buyer, shop.price())
    with api.app.app_context():
        address = TestProvider("").book(made["session_id"]).state["success_url"]
    page = shop.open(f"{address}&again={again}")
    assert (page.status_code, "refresh" in page.text) == (200, False)


def test_without_its_token_the_page_tells_nothing(api, shop, buyer):
    made, other = (shop.checkout(buyer, shop.price()) for _ in range(2))
    address = shop.decide(made, "approve").headers["Location"]
    token = address.partition("token=")[2]
    own = f"{api.app.config['PUBLIC_URL']}/billing/return"
    tried = [
        f"{own}/{made['order_id']}",
        f"{own}/{made['order_id']}?token=",
        f"{own}/{made['order_id']}?token={token[:-2]}",
        f"{own}/{made['order_id']}?token={token}A",
        f"{own}/{other['order_id']}?token={token}",
        f"{own}/{uuid4()}?token={token}",
        f"{own}/{made['order_id']}?token=%C3%A4",
        f"{own}/no-order?token={token}",
    ]
    pages = [shop.open(one) for one in tried]
    assert {page.status_code for page in pages} == {404}
    assert len({page.data for page in pages}) == 1
    as_program = shop.open(tried[0], headers={"Accept": "application/json"})
    assert code_of(as_program) == "ORDER_NOT_FOUND"
    with api.app.app_context():
        assert (
            db.session.scalar(select(OutboxRow.id).where(OutboxRow.name == "billing.look_requested")) is None
        )


def test_the_page_survives_maintenance(api, shop, buyer, monkeypatch):
    from devforge_api.core import maintenance

    made = shop.checkout(buyer, shop.price())
    with api.app.app_context():
        address = TestProvider("").book(made["session_id"]).state["success_url"]

    def refuse():
        raise maintenance.Maintenance(1)

    monkeypatch.setitem(api.app.extensions, "devforge-write-guard", refuse)
    assert "We are checking your payment" in shop.open(address).text


def test_coming_back_from_the_portal_an_app_is_opened_by_a_button(api, shop, buyer):
    shop.decide(shop.checkout(buyer, shop.price(interval="month")), "approve")
    opened = api.post("/billing/portal", {"return_url": "devforge://account"}, by=buyer).json["data"]["url"]
    (back,) = links(shop.open(opened))
    assert back.startswith(f"{api.app.config['PUBLIC_URL']}/billing/back?to=")
    assert links(shop.open(back)) == ["devforge://account"]
    assert shop.open(back[:-3]).status_code == 404
    assert links(shop.open(f"{api.app.config['PUBLIC_URL']}/billing/back")) == []
    web = api.post("/billing/portal", {"return_url": "https://shop.example/me"}, by=buyer).json["data"]["url"]
    assert links(shop.open(web)) == ["https://shop.example/me"]


def test_what_is_kept_of_an_order_holds_no_token(api, shop, buyer):
    made = shop.checkout(buyer, shop.price())
    order = shop.order(made["order_id"])
    assert order.id == UUID(made["order_id"])
    assert order.success_url == f"{api.app.config['PUBLIC_URL']}/billing/return/{order.id}"
