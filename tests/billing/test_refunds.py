"""Giving money back: never too much, never twice, and never forgotten."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, update

from devforge_api.billing.models import (
    DisputeStatus,
    Interval,
    Order,
    PaymentStatus,
    Refund,
    RefundStatus,
)
from devforge_api.billing.service.providers.base import Snapshot
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.outbox import OutboxRow, OutboxStatus
from devforge_api.licenses.models import LicenseStatus
from devforge_api.users.models import User
from tests.billing.world import COMPLETE, World, disputed
from tests.factories import code_of
from tests.licenses.together import at_once, behind

WHY = {"reason": "Bought twice by mistake."}


@pytest.fixture
def world(api, provider):
    """A paid order whose provider is the stub."""
    found = World(api)
    provider.says(found, Snapshot(COMPLETE, (found.payment(),)))
    return found


@pytest.fixture
def admin(api):
    return api.admin()


@pytest.fixture
def give_back(api, world, admin):
    def ask(**values):
        headers = values.pop("headers", {})
        by = values.pop("by", admin)
        path = f"/billing/orders/{world.order_id}/refund"
        return api.post(path, {**WHY, **values}, by=by, headers=headers)

    return ask


def rows(app):
    with app.app_context():
        return list(db.session.scalars(select(Refund).order_by(Refund.id)))


def due_now(app):
    """Outbox rows that were put off are due."""
    with app.app_context(), unit_of_work():
        db.session.execute(update(OutboxRow).values(next_attempt_at=utc_now()))


def dead(app):
    with app.app_context():
        count = select(func.count()).where(OutboxRow.status == OutboxStatus.DEAD)
        return db.session.scalar(count)


def test_a_refund_is_made_at_once_and_everything_follows(api, app, world, give_back, provider, admin):
    answer = give_back()
    assert answer.status_code == 201, answer.json
    data = answer.json["data"]
    assert (data["status"], data["amount"], data["currency"]) == ("succeeded", 5900, "USD")
    assert (data["reason"], data["requested_by"]) == (WHY["reason"], str(admin.id))
    assert answer.headers["Location"] == f"/api/v1/billing/refunds/{data['id']}"
    assert api.get(f"/billing/refunds/{data['id']}", by=world.buyer).json["data"]["status"] == "succeeded"
    assert api.get(f"/billing/orders/{world.order_id}", by=world.buyer).json["data"]["status"] == "refunded"
    assert world.license().status is LicenseStatus.SUSPENDED
    assert world.balances() == {"refunds": 5900, "revenue": -5900}
    assert len(rows(app)) == 1  # the provider's refund is ours
    (asked,) = provider.asked_for("refund")
    assert asked[1:] == (UUID(data["id"]), f"pi_{world.session}", 5900)
    actions = [event["action"] for event in api.get("/audit/events", by=admin).json["data"]]
    assert "refund.requested" in actions
    api.deliver()  # the outbox's own attempt finds it done
    assert len(provider.asked_for("refund")) == 1
    assert dead(app) == 0


def test_parts_are_given_back_until_nothing_is_left(world, give_back):
    assert give_back(amount=900).json["data"]["amount"] == 900
    refused = give_back(amount=5001)
    assert (refused.status_code, code_of(refused)) == (409, "REFUND_TOO_LARGE")
    assert refused.json["error"]["params"] == {"left": 5000}
    assert refused.json["error"]["field"] == "amount"
    assert world.license().status is LicenseStatus.ACTIVE
    assert give_back().json["data"]["amount"] == 5000
    for values in ({}, {"amount": 1}):
        refused = give_back(**values)
        assert (code_of(refused), refused.json["error"]["params"]) == ("REFUND_TOO_LARGE", {"left": 0})


def test_only_what_is_paid_can_be_given_back(api, provider, admin, books):
    world = World(api)
    path = f"/billing/orders/{world.order_id}/refund"
    assert code_of(api.post(path, WHY, by=admin)) == "ORDER_NOT_PAID"
    with_payment = books.payment(books.order(), status=PaymentStatus.FAILED, paid_at=None)
    path = f"/billing/orders/{with_payment.order_id}/refund"
    for values in ({}, {"payment_id": str(with_payment.id)}):
        assert code_of(api.post(path, {**WHY, **values}, by=admin)) == "ORDER_NOT_PAID"
    assert provider.asked_for("refund") == []


def test_the_newest_payment_is_given_back_unless_another_is_named(api, provider, admin):
    world = World(api, interval=Interval.MONTH)
    seen = Snapshot(COMPLETE, (world.period(0), world.period(1)), subscription=world.subscription(periods=2))
    provider.snapshots[world.order_id] = seen
    world.settle(seen)
    path = f"/billing/orders/{world.order_id}/refund"
    newest, oldest = api.get(f"/billing/payments?order_id={world.order_id}&sort=-created_at", by=admin).json[
        "data"
    ]
    if newest["period_end"] < oldest["period_end"]:  # made in the same look
        newest, oldest = oldest, newest
    first = api.post(path, WHY, by=admin).json["data"]
    assert first["payment_id"] == newest["id"]
    assert code_of(api.post(path, WHY, by=admin)) == "REFUND_TOO_LARGE"  # not the month before, unasked
    second = api.post(path, {**WHY, "payment_id": oldest["id"]}, by=admin).json["data"]
    assert (second["payment_id"], second["status"]) == (oldest["id"], "succeeded")


def test_money_that_the_bank_holds_is_not_given_back_too(world, give_back, provider):
    paid = provider.snapshots[world.order_id]
    provider.says(world, disputed(paid, amount=5000))
    assert give_back().json["data"]["amount"] == 900
    assert code_of(give_back(amount=1)) == "REFUND_TOO_LARGE"
    provider.says(world, disputed(provider.snapshots[world.order_id], status=DisputeStatus.WON, amount=5000))
    assert give_back().json["data"]["amount"] == 5000


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "reason"),
        ({"reason": " "}, "reason"),
        ({"reason": "x" * 501}, "reason"),
        ({**WHY, "amount": 0}, "amount"),
        ({**WHY, "amount": -5}, "amount"),
        ({**WHY, "amount": 1.5}, "amount"),
        ({**WHY, "amount": "5"}, "amount"),
        ({**WHY, "currency": "USD"}, "currency"),
    ],
)
def test_nonsense_is_refused_by_its_field(api, world, admin, body, field):
    refused = api.post(f"/billing/orders/{world.order_id}/refund", body, by=admin)
    assert (refused.status_code, refused.json["error"]["field"]) == (422, field)


def test_the_team_gives_money_back_and_buyers_do_not(api, world, give_back):
    refused = give_back(by=world.buyer)
    assert (refused.status_code, code_of(refused)) == (403, "FORBIDDEN")
    assert give_back(by=api.person(role="support")).status_code == 201


def test_an_order_or_payment_that_is_not_there_is_a_404(api, world, admin, books):
    refused = api.post(f"/billing/orders/{uuid4()}/refund", WHY, by=admin)
    assert (refused.status_code, code_of(refused)) == (404, "ORDER_NOT_FOUND")
    another = books.payment(books.order())
    for payment_id in (another.id, uuid4()):
        body = {**WHY, "payment_id": str(payment_id)}
        refused = api.post(f"/billing/orders/{world.order_id}/refund", body, by=admin)
        assert (refused.status_code, code_of(refused)) == (404, "PAYMENT_NOT_FOUND")


def test_a_provider_that_is_away_is_asked_again_until_it_answers(api, app, world, give_back, provider):
    provider.away = True
    answer = give_back()
    assert (answer.status_code, answer.json["data"]["status"]) == (201, "requested")
    api.deliver()
    assert rows(app)[0].status is RefundStatus.REQUESTED
    provider.away = False
    due_now(app)
    api.deliver()
    (refund,) = rows(app)
    assert refund.status is RefundStatus.SUCCEEDED
    assert {call[1] for call in provider.asked_for("refund")} == {refund.id}
    assert world.balances() == {"refunds": 5900, "revenue": -5900}


def test_a_server_that_dies_before_the_call_leaves_it_to_the_outbox(api, app, world, give_back, monkeypatch):
    from devforge_api.billing.routes import refunds as routes

    monkeypatch.setattr(routes.refunds, "carry_out", lambda *_: 1 / 0)
    key = {"Idempotency-Key": "once"}
    first = give_back(headers=key)
    assert (first.status_code, first.json["data"]["status"]) == (201, "requested")
    again = give_back(headers=key)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json["data"]["id"] == first.json["data"]["id"]
    monkeypatch.undo()
    api.deliver()
    (refund,) = rows(app)
    assert refund.status is RefundStatus.SUCCEEDED


def test_a_server_that_dies_after_the_call_gives_back_once(api, app, world, give_back, provider):
    looks = provider.look
    provider.look = lambda order: 1 / 0
    assert give_back().json["data"]["status"] == "requested"
    provider.look = looks
    api.deliver()
    (refund,) = rows(app)
    assert refund.status is RefundStatus.SUCCEEDED
    assert len(provider.asked_for("refund")) == 2  # with the same id: given once
    assert world.balances() == {"refunds": 5900, "revenue": -5900}


def test_a_refused_refund_says_why_and_can_be_asked_for_again(api, app, world, give_back, provider, admin):
    provider.refusal = "The charge is too old."
    answer = give_back()
    assert answer.status_code == 201
    assert (answer.json["data"]["status"], answer.json["data"]["failure"]) == (
        "failed",
        "The charge is too old.",
    )
    assert world.license().status is LicenseStatus.ACTIVE
    assert world.balances() == {"provider": 5900, "revenue": -5900}
    actions = [event["action"] for event in api.get("/audit/events", by=admin).json["data"]]
    assert "refund.failed" in actions
    api.deliver()
    assert len(provider.asked_for("refund")) == 1
    provider.refusal = None
    assert give_back().json["data"]["status"] == "succeeded"


def test_a_repetition_that_is_refused_does_not_undo_what_the_first_call_did(
    api, app, world, give_back, provider
):
    looks = provider.look
    provider.look = lambda order: 1 / 0
    give_back()
    provider.look, provider.refusal = looks, "Charge has already been refunded."
    api.deliver()
    (refund,) = rows(app)
    assert (refund.status, refund.failure) == (RefundStatus.SUCCEEDED, None)


def test_a_key_makes_a_repetition_safe(app, world, give_back, provider):
    key = {"Idempotency-Key": "refund-1"}
    first, again = give_back(amount=100, headers=key), give_back(amount=100, headers=key)
    assert first.json["data"]["id"] == again.json["data"]["id"]
    assert code_of(give_back(amount=200, headers=key)) == "IDEMPOTENCY_KEY_REUSED"
    assert [refund.amount for refund in rows(app)] == [100]
    assert len(provider.asked_for("refund")) == 1


def test_many_at_once_give_back_no_more_than_there_is(app, world, give_back, provider):
    answers = at_once([lambda: give_back(amount=1000)] * 12)
    codes = sorted(answer.status_code for answer in answers)
    assert codes == [201] * 5 + [409] * 7
    assert {code_of(answer) for answer in answers if answer.status_code == 409} == {"REFUND_TOO_LARGE"}
    assert sum(refund.amount for refund in rows(app)) == 5000
    assert len({call[1] for call in provider.asked_for("refund")}) == 5
    assert world.balances() == {"provider": 900, "refunds": 5000, "revenue": -5900}


def test_a_request_that_comes_upon_another_one_waits_and_sees_it(app, world, give_back):
    """The second one begins while the first is not committed yet."""
    from devforge_api.billing import queries
    from devforge_api.billing.service import refunds

    def first():
        order = queries.lock_order(world.order_id)
        refunds.request(order, amount=None, payment_id=None, reason="First.", requested_by=None)

    (second,) = behind(app, first, [give_back])
    assert code_of(second) == "REFUND_TOO_LARGE"
    assert len(rows(app)) == 1


@pytest.mark.production_column("SQLite lets one write at a time")
def test_whoever_refunds_waits_for_an_erasure_before_holding_the_order(api, app, world, admin):
    """An erasure holds the admins' rows, and waits for the buyer's: those who wait for the order hold it."""

    def erasing():
        db.session.execute(select(User.id).where(User.id == admin.id).with_for_update())

    def nobody_holds_the_order():
        order = select(Order.id).where(Order.id == world.order_id).with_for_update(nowait=True)
        assert db.session.scalar(order) == world.order_id

    path = f"/billing/orders/{world.order_id}/refund"
    asking = [lambda: api.post(path, WHY, by=admin)]
    (asked,) = behind(app, erasing, asking, then=nobody_holds_the_order)
    assert asked.status_code == 201
