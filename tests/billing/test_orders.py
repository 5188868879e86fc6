"""Orders, payments, documents: who sees what of them, and what that costs."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from devforge_api.billing.models import (
    Account,
    EventOutcome,
    Interval,
    InvoiceKind,
    OrderStatus,
    PaymentStatus,
    RefundStatus,
    SubscriptionStatus,
)
from tests.factories import code_of

PATHS = ("orders", "payments", "refunds", "invoices", "subscriptions")


def ids(answer):
    assert answer.status_code == 200, answer.json
    return [row["id"] for row in answer.json["data"]]


@pytest.fixture
def bought(api, books):
    """A person with one of each: order, payment, refund, invoice, subscription."""
    owner = api.person()
    order = books.order(owner, [(books.price(interval=Interval.MONTH), 2)], licensed=True)
    payment = books.payment(order)
    refund = books.refund(payment, amount=100)
    return owner, {
        "orders": order,
        "payments": payment,
        "refunds": refund,
        "invoices": books.invoice(payment, order, number=1),
        "subscriptions": books.subscription(order),
    }


def test_an_order_tells_everything_that_belongs_to_it(api, books):
    owner = api.person()
    pro, team = books.price(), books.price(name="Team", amount=900)
    order = books.order(owner, [(pro, 1), (team, 2)], licensed=True)
    shown = api.get(f"/billing/orders/{order.id}", by=owner)
    assert shown.status_code == 200
    data = shown.json["data"]
    assert [item | {"licenses": 0} for item in data["items"]] == [
        {
            "position": position,
            "price_id": str(price.id),
            "policy_id": str(price.policy_id),
            "description": price.name,
            "quantity": quantity,
            "unit_amount": price.amount,
            "licenses": 0,
        }
        for position, (price, quantity) in enumerate([(pro, 1), (team, 2)])
    ]
    assert (data["amount"], data["currency"], data["interval"]) == (5900 + 1800, "USD", "one_time")
    assert (data["status"], data["subscription_id"], data["checkout_url"]) == ("paid", None, None)
    assert data["paid_at"] is not None
    licenses = {row["id"]: row["key"] for row in api.get("/licenses", by=owner).json["data"]}
    assert {row["id"]: row["key"] for row in data["licenses"]} == licenses
    assert {row["status"] for row in data["licenses"]} == {"active"}
    assert shown.headers["Cache-Control"] == "no-store"


def test_the_page_to_pay_on_is_told_to_the_owner_while_the_order_waits(api, books):
    owner = api.person()
    order = books.order(owner, status=OrderStatus.PENDING)
    paid = books.order(owner)
    url = f"/billing/orders/{order.id}"
    assert api.get(url, by=owner).json["data"]["checkout_url"] == order.checkout_url
    assert api.get(url, by=api.admin()).json["data"]["checkout_url"] is None
    assert api.get(f"/billing/orders/{paid.id}", by=owner).json["data"]["checkout_url"] is None


def test_keys_are_shown_as_licences_show_them(api, books):
    owner, friend = api.person(), api.person()
    order = books.order(owner, licensed=True)
    path = f"/billing/orders/{order.id}"

    def key(by):
        (license_,) = api.get(path, by=by).json["data"]["licenses"]
        return license_["key"]

    whole = key(owner)
    assert len(whole) > 20
    assert key(api.admin()) == whole
    masked = key(api.person(role="support"))
    assert "…" in masked
    assert masked.endswith(whole[-6:])
    license_id = api.get(path, by=owner).json["data"]["licenses"][0]["id"]
    moved = api.post(f"/licenses/{license_id}/transfer", {"user_id": str(friend.id)}, by=api.admin())
    assert moved.status_code == 200, moved.json
    # Given away, it is not theirs to read any more.
    assert "…" in key(owner)
    assert "…" not in key(api.admin())


def test_a_token_that_may_not_read_licences_reads_no_keys(api, books):
    owner = api.reauthenticated(api.person())
    order = books.order(owner, licensed=True)
    made = api.post("/auth/tokens", {"name": "Shop", "scopes": ["billing:read"]}, by=owner)
    headers = {"Authorization": f"Bearer {made.json['data']['token']}"}
    (license_,) = api.get(f"/billing/orders/{order.id}", headers=headers).json["data"]["licenses"]
    assert "…" in license_["key"]


@pytest.mark.parametrize("path", PATHS)
def test_owners_see_their_own_and_strangers_nothing(api, bought, path):
    owner, made = bought
    stranger, row = api.person(), made[path]
    assert ids(api.get(f"/billing/{path}", by=owner)) == [str(row.id)]
    assert ids(api.get(f"/billing/{path}", by=stranger)) == []
    for staff in (api.admin(), api.person(role="support")):
        assert ids(api.get(f"/billing/{path}", by=staff)) == [str(row.id)]
        assert api.get(f"/billing/{path}/{row.id}", by=staff).status_code == 200
    assert api.get(f"/billing/{path}/{row.id}", by=owner).json["data"]["id"] == str(row.id)
    refused = api.get(f"/billing/{path}/{row.id}", by=stranger)
    unknown = api.get(f"/billing/{path}/{uuid4()}", by=stranger)
    assert refused.status_code == unknown.status_code == 404
    assert code_of(refused) == code_of(unknown) == f"{path[:-1].upper()}_NOT_FOUND"


@pytest.mark.parametrize("path", PATHS)
def test_nothing_of_it_can_be_written(api, bought, path):
    _, made = bought
    for method in ("PUT", "PATCH", "DELETE"):
        refused = api.call(method, f"/billing/{path}/{made[path].id}", {}, by=api.admin())
        assert (refused.status_code, code_of(refused)) == (405, "METHOD_NOT_ALLOWED")


def test_ledger_and_inbox_are_for_the_team(api, books):
    owner = api.person()
    order = books.order(owner)
    books.posting("payment:1", order, {Account.PROVIDER: 5900, Account.REVENUE: -5900})
    books.event(order_id=order.id, outcome=EventOutcome.SETTLED)
    for path in ("ledger", "events"):
        assert code_of(api.get(f"/billing/{path}", by=owner)) == "FORBIDDEN"
    support = api.person(role="support")
    lines = api.get("/billing/ledger", by=support).json["data"]
    assert {(line["account"], line["amount"]) for line in lines} == {("provider", 5900), ("revenue", -5900)}
    (event,) = api.get("/billing/events", by=support).json["data"]
    assert (event["kind"], event["outcome"]) == ("checkout.completed", "settled")
    assert "payload" not in event


def test_lists_are_filtered_by_every_declared_field(api, books, bought):
    owner, made = bought
    other = api.person()
    second = books.order(other, status=OrderStatus.PENDING)
    waiting = books.payment(second, status=PaymentStatus.PENDING, paid_at=None)
    back = books.refund(waiting, status=RefundStatus.REQUESTED, reference=None)
    note = books.invoice(waiting, second, number=2, kind=InvoiceKind.CREDIT_NOTE)
    ended = books.subscription(second, status=SubscriptionStatus.CANCELED)
    line, _ = books.posting("payment:2", second, {Account.PROVIDER: 5, Account.REVENUE: -5})
    event = books.event(outcome=EventOutcome.IGNORED)
    books.event(provider="stripe", order_id=second.id)
    admin = api.admin()
    for query, row in [
        ("orders?status=pending", second),
        (f"orders?user_id={other.id}", second),
        ("orders?sort=created_at&limit=1", made["orders"]),
        (f"payments?order_id={second.id}", waiting),
        ("payments?status=pending", waiting),
        ("payments?paid_at_gt=2020-01-01T00:00:00Z", made["payments"]),
        (f"refunds?payment_id={waiting.id}", back),
        ("refunds?status=requested", back),
        ("invoices?number=2", note),
        ("invoices?limit=1", note),
        ("invoices?number_lt=2", made["invoices"]),
        (f"invoices?order_id={second.id}", note),
        (f"invoices?user_id={other.id}", note),
        (f"subscriptions?order_id={second.id}", ended),
        ("subscriptions?status=canceled", ended),
        (f"subscriptions?user_id={owner.id}", made["subscriptions"]),
        (f"ledger?order_id={second.id}&account=provider", line),
        ("ledger?posting=payment:2&account_ne=revenue", line),
        ("events?outcome=ignored", event),
        ("events?provider=test", event),
    ]:
        assert ids(api.get(f"/billing/{query}", by=admin)) == [str(row.id)], query
    for query in ("orders?amount=1", "payments?sort=amount", "refunds?reason=x", "events?payload=x"):
        assert api.get(f"/billing/{query}", by=admin).status_code == 422, query
    future = "created_at_gt=2090-01-01T00:00:00Z"
    for path in ("orders", "payments", "refunds", "subscriptions", "ledger"):
        assert ids(api.get(f"/billing/{path}?{future}", by=admin)) == []


def test_an_owner_sees_only_what_is_theirs_however_they_filter(api, books, bought):
    owner, _ = bought
    other = api.person()
    order = books.order(other)
    payment = books.payment(order)
    assert ids(api.get(f"/billing/orders?user_id={other.id}", by=owner)) == []
    assert ids(api.get(f"/billing/payments?order_id={order.id}", by=owner)) == []
    assert ids(api.get(f"/billing/refunds?payment_id={payment.id}", by=owner)) == []


def test_the_ledger_is_walked_by_its_cursor(api, books):
    order = books.order()
    for number in range(4):
        books.posting(f"payment:{number}", order, {Account.PROVIDER: 1, Account.REVENUE: -1})
    admin, seen, query = api.admin(), [], "limit=3"
    while query:
        answer = api.get(f"/billing/ledger?{query}", by=admin)
        seen += ids(answer)
        cursor = answer.json["pagination"].get("next_cursor")
        query = f"limit=3&cursor={cursor}" if cursor else ""
    assert len(seen) == len(set(seen)) == 8


def test_invoices_have_a_number_for_people(api, books):
    owner = api.person()
    order = books.order(owner)
    payment = books.payment(order)
    at = datetime(2026, 12, 31, 23, 59, tzinfo=UTC)
    books.invoice(payment, order, number=123, issued_at=at)
    (invoice,) = api.get("/billing/invoices", by=owner).json["data"]
    assert (invoice["number"], invoice["printed_number"]) == (123, "2026-000123")
    assert invoice["lines"] == [
        {"description": "Pro", "quantity": 1, "unit_amount": 5900, "amount": 5900},
    ]


def test_who_asked_for_a_refund_is_for_the_team(api, books):
    owner, admin = api.person(), api.admin()
    refund = books.refund(books.payment(books.order(owner)), requested_by=admin.id)
    path = f"/billing/refunds/{refund.id}"
    assert api.get(path, by=owner).json["data"]["requested_by"] is None
    assert api.get(path, by=admin).json["data"]["requested_by"] == str(admin.id)
    assert api.get(path, by=owner).json["data"]["reason"] == "Bought twice."


def test_lists_and_reads_cost_the_same_however_many_rows(api, books, bought, count_queries):
    owner, made = bought
    admin = api.admin()

    def costs():
        found = {}
        for path in (*PATHS, "ledger", "events"):
            for who in (owner, admin):
                if who is owner and path in {"ledger", "events"}:
                    continue
                with count_queries() as seen:
                    assert api.get(f"/billing/{path}", by=who).status_code == 200
                found[path, who.id] = len(seen)
        return found

    costs()
    few = costs()
    for _ in range(4):
        order = books.order(owner, [(books.price(), 2), (books.price(), 1)], licensed=True)
        payment = books.payment(order)
        books.refund(payment, amount=5)
        books.invoice(payment, order, number=len(few) + _ * 10)
        books.subscription(order)
        books.event()
        books.posting(f"payment:{payment.id}", order, {Account.PROVIDER: 1, Account.REVENUE: -1})
    many = costs()
    assert many == few
    assert max(count for (path, _), count in many.items() if path != "orders") <= 2
    assert max(many.values()) <= 5
    with count_queries() as seen:
        api.get(f"/billing/orders/{made['orders'].id}", by=owner)
    assert len(seen) <= 5
