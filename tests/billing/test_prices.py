"""Prices: what the team keeps, and what everybody sees of it."""

import pytest

from devforge_api.billing.models import Price
from devforge_api.core.db import db
from tests.billing.shop import Shop
from tests.factories import code_of

NOBODY = "01a20000-0000-7000-8000-000000000000"  # nobody's id
ONCE = {"amount": 5900, "currency": "USD", "interval": "one_time"}


@pytest.fixture
def shop(api):
    return Shop(api)


def body(api, **values):
    return {"policy_id": str(api.policy()), **ONCE, **values}


def test_a_price_is_made_shown_listed_and_deleted(api, shop):
    policy = api.policy(name="solo")
    made = api.post("/billing/prices", {"policy_id": str(policy), **ONCE, "currency": "eur"}, by=shop.admin)
    price = made.json["data"]
    assert made.headers["Location"] == f"/api/v1/billing/prices/{price['id']}"
    assert (price["name"], price["currency"], price["trial_days"], price["active"]) == (
        "solo",
        "EUR",
        None,
        True,
    )
    assert price["metadata"] == {}
    shown = api.get(f"/billing/prices/{price['id']}", by=api.person(role="support"))
    assert shown.json["data"] == price
    for query in ("currency=EUR", "interval=one_time", "active=true", f"policy_id={policy}"):
        assert [row["id"] for row in api.get(f"/billing/prices?{query}", by=shop.admin).json["data"]] == [
            price["id"]
        ]
    assert api.get("/billing/prices?currency=USD", by=shop.admin).json["data"] == []
    assert api.delete(f"/billing/prices/{price['id']}", by=shop.admin).status_code == 204
    assert code_of(api.get(f"/billing/prices/{price['id']}", by=shop.admin)) == "PRICE_NOT_FOUND"
    actions = [
        row["action"] for row in api.get(f"/audit/events?target_id={price['id']}", by=shop.admin).json["data"]
    ]
    assert sorted(actions) == ["price.created", "price.deleted"]


@pytest.mark.parametrize("role", ["user", "developer", "support"])
def test_only_admins_change_prices_and_only_the_team_lists_them(api, shop, role):
    price, who = shop.price(), api.person(role=role)
    staff = role == "support"
    assert api.get("/billing/prices", by=who).status_code == (200 if staff else 403)
    assert api.get(f"/billing/prices/{price}", by=who).status_code == (200 if staff else 403)
    for method, given in (("PUT", body(api)), ("PATCH", {"active": False}), ("DELETE", None)):
        assert code_of(api.call(method, f"/billing/prices/{price}", given, by=who)) == "FORBIDDEN"
    assert code_of(api.post("/billing/prices", body(api), by=who)) == "FORBIDDEN"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("amount", 0), ("amount", -1), ("amount", 59.0), ("amount", "5900"), ("amount", 10**12 + 1),
        ("currency", "XYZ"), ("currency", "US"), ("currency", "XAU"), ("currency", "\u0131SK"),
        ("currency", 840),
        ("interval", "week"), ("trial_days", 7), ("trial_days", 0), ("name", "  "), ("name", ""),
        ("policy_id", NOBODY), ("policy_id", "no"), ("product_id", NOBODY), ("version", 2),
    ],
)  # fmt: skip
def test_what_cannot_be_a_price_is_refused_by_its_field(api, shop, field, value):
    refused = api.post("/billing/prices", body(api, **{field: value}), by=shop.admin)
    assert (refused.status_code, refused.json["error"]["field"]) == (422, field)


def test_a_trial_is_given_and_not_sold(api, shop):
    trial = api.policy(trial=True, duration_days=14)
    refused = api.post("/billing/prices", {"policy_id": str(trial), **ONCE}, by=shop.admin)
    assert (refused.status_code, refused.json["error"]["field"]) == (422, "policy_id")


@pytest.mark.parametrize(
    ("field", "value"), [("amount", 1), ("currency", "EUR"), ("interval", "year"), ("policy_id", None)]
)
def test_what_a_price_is_never_changes(api, shop, field, value):
    policy = api.policy()
    price = shop.price(policy)
    value = value or str(api.policy())
    for method, given in (
        ("PATCH", {field: value}),
        ("PUT", {"policy_id": str(policy), **ONCE, field: value}),
    ):
        refused = api.call(method, f"/billing/prices/{price}", given, by=shop.admin)
        assert (refused.status_code, code_of(refused)) == (409, "PRICE_IMMUTABLE")
        assert refused.json["error"]["params"] == {"field": field}
    same = api.patch(f"/billing/prices/{price}", {**ONCE, "currency": "usd"}, by=shop.admin)
    assert same.status_code == 200


def test_replacing_a_price_returns_what_was_left_out_to_its_default(api, shop):
    policy = api.policy(name="solo")
    month = {"amount": 900, "currency": "USD", "interval": "month"}
    price = shop.price(policy, **month, name="Solo", trial_days=14, active=False, metadata={"a": 1})
    path = f"/billing/prices/{price}"
    changed = api.patch(path, {"name": "Solo, monthly", "active": True}, by=shop.admin).json["data"]
    assert (changed["name"], changed["active"], changed["trial_days"], changed["metadata"]) == (
        "Solo, monthly", True, 14, {"a": 1},
    )  # fmt: skip
    replaced = api.put(path, {"policy_id": str(policy), **month}, by=shop.admin).json["data"]
    assert (replaced["name"], replaced["active"], replaced["trial_days"], replaced["metadata"]) == (
        "solo", True, None, {},
    )  # fmt: skip


def test_a_stale_copy_changes_nothing(api, shop):
    path = f"/billing/prices/{shop.price()}"
    tag = api.get(path, by=shop.admin).headers["ETag"]
    assert api.patch(path, {"name": "New"}, by=shop.admin, headers={"If-Match": tag}).status_code == 200
    for method, given in (("PATCH", {"name": "Newer"}), ("DELETE", None)):
        refused = api.call(method, path, given, by=shop.admin, headers={"If-Match": tag})
        assert code_of(refused) == "PRECONDITION_FAILED"


def test_a_price_that_a_subscription_has_left_stays(api, shop):
    policy, buyer = api.policy(), api.person()
    first, second = (shop.price(policy, interval="month", amount=amount) for amount in (900, 1900))
    made = shop.checkout(buyer, first)
    shop.decide(made, "approve")
    subscription = api.get(f"/billing/orders/{made['order_id']}", by=buyer).json["data"]["subscription_id"]
    moved = api.post(f"/billing/subscriptions/{subscription}/change", {"price_id": second}, by=buyer)
    assert moved.status_code == 200
    for price in (first, second):
        assert code_of(api.delete(f"/billing/prices/{price}", by=shop.admin)) == "PRICE_IN_USE"


def test_a_price_that_was_bought_at_stays(api, shop):
    price = shop.price()
    shop.checkout(api.person(), price)
    refused = api.delete(f"/billing/prices/{price}", by=shop.admin)
    assert (refused.status_code, code_of(refused)) == (409, "PRICE_IN_USE")
    with api.app.app_context():
        assert db.session.query(Price).count() == 1


def test_the_same_key_makes_one_price(api, shop):
    given, key = body(api), {"Idempotency-Key": "price-1"}
    ids = {
        api.post("/billing/prices", given, by=shop.admin, headers=key).json["data"]["id"] for _ in range(2)
    }
    assert len(ids) == 1


# --- the price list ----------------------------------------------------------------------------


def test_the_price_list_is_public_in_the_order_of_making_and_may_be_kept(api, shop, client):
    api.entitlement("cloud-sync")
    first, second = api.product("forge"), api.product("anvil")
    pro = api.policy(first, name="pro", entitlements=["cloud-sync"], max_machines=5)
    ids = [shop.price(pro), shop.price(pro, amount=900, interval="month", trial_days=14)]
    other = shop.price(api.policy(second))
    third = shop.price(api.policy(first), currency="EUR")
    listed = client.get("/api/v1/billing/pricing")
    assert listed.headers["Cache-Control"] == "public, max-age=300"
    data = listed.json["data"]
    assert [(product["code"], [price["id"] for price in product["prices"]]) for product in data] == [
        ("forge", [*ids, third]),
        ("anvil", [other]),
    ]
    assert data[0]["prices"][1] == {
        "id": ids[1], "policy_id": str(pro), "name": "pro", "amount": 900, "currency": "USD",
        "interval": "month", "trial_days": 14, "entitlements": ["cloud-sync"], "max_machines": 5,
    }  # fmt: skip
    again = client.get("/api/v1/billing/pricing", headers={"If-None-Match": listed.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    euro = client.get("/api/v1/billing/pricing?currency=eur").json["data"]
    assert [price["id"] for product in euro for price in product["prices"]] == [third]
    refused = client.get("/api/v1/billing/pricing?currency=XYZ")
    assert (refused.status_code, refused.json["error"]["field"]) == (422, "currency")
    trimmed = client.get("/api/v1/billing/pricing?fields=code").json["data"]
    assert trimmed == [{"code": "forge"}, {"code": "anvil"}]


def test_what_is_off_sale_is_not_listed_and_cannot_be_bought(api, shop):
    policy, buyer = api.policy(), api.person()
    price, gone = shop.price(), shop.price(policy)
    api.patch(f"/billing/prices/{price}", {"active": False}, by=shop.admin)
    shown = api.get("/billing/pricing").json["data"]
    assert [one["id"] for product in shown for one in product["prices"]] == [gone]
    api.patch(f"/policies/{policy}", {"trial": True, "duration_days": 14}, by=shop.admin)
    assert api.get("/billing/pricing").json["data"] == []
    for one in (price, gone):
        refused = shop.refused(buyer, one)
        assert (refused.status_code, refused.json["error"]["field"]) == (422, "items.0.price_id")


def test_a_longer_price_list_takes_no_more_queries(api, shop, client, count_queries):
    counts = []
    for _ in range(2):
        shop.price()
        with count_queries() as seen:
            client.get("/api/v1/billing/pricing")
        counts.append(len(seen))
        for _ in range(4):
            shop.price()
    assert counts == [1, 1]
