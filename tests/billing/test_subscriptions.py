"""Subscriptions: changed, ended and taken back by their owners, at the provider."""

from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import select

from devforge_api.billing.errors import ProviderUnavailable
from devforge_api.billing.models import (
    Interval,
    OrderItem,
    PriceReference,
    Subscription,
    SubscriptionStatus,
)
from devforge_api.billing.service.providers.base import Snapshot
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.outbox import OutboxRow, OutboxStatus, emit
from devforge_api.licenses.models import LicenseStatus
from tests.billing.world import COMPLETE, World
from tests.factories import code_of


@pytest.fixture
def world(api, provider):
    """A monthly order whose first period is paid."""
    found = World(api, interval=Interval.MONTH)
    provider.says(found, Snapshot(COMPLETE, (found.period(0),), subscription=found.subscription()))
    return found


@pytest.fixture
def subscription(app, world):
    with app.app_context():
        return db.session.scalar(select(Subscription).where(Subscription.order_id == world.order_id))


@pytest.fixture
def step(api, world, subscription):
    """One of the calls: change, cancel or resume."""

    def ask(name, by=None, **values):
        return api.post(f"/billing/subscriptions/{subscription.id}/{name}", values, by=by or world.buyer)

    return ask


@pytest.fixture
def better(api, world):
    """A dearer price, of another policy of the same product."""
    with api.app.app_context():
        product_id = world.license().product_id
    policy_id = api.policy(product_id, name="team")
    return policy_id, world.price(policy_id, interval=Interval.MONTH, amount=9900)


def test_an_upgrade_changes_the_policy_and_keeps_the_key(app, world, step, better, provider):
    policy_id, price_id = better
    before = world.license()
    answer = step("change", price_id=str(price_id))
    assert answer.status_code == 200, answer.json
    assert answer.json["data"]["status"] == "active"
    after = world.license()
    with app.app_context():
        assert (after.policy_id, after.key) == (policy_id, before.key)
        (item,) = db.session.scalars(select(OrderItem)).all()
        assert (item.price_id, item.unit_amount) == (price_id, 9900)
        reference = db.session.scalar(select(PriceReference.reference))
    assert reference == f"price_{price_id}"
    (asked,) = provider.asked_for("change_price")
    assert (asked[1], asked[2], asked[3].amount, asked[3].reference) == (
        f"sub_{world.session}",
        0,
        9900,
        None,
    )
    back = step("change", price_id=str(world.price_id))
    assert back.status_code == 200
    step("change", price_id=str(price_id), item=0)
    assert provider.asked_for("change_price")[-1][3].reference == reference  # known by now


def test_a_month_may_become_a_year(world, step, provider):
    price_id = world.price(world.policy_id, interval=Interval.YEAR, amount=49000)
    assert step("change", price_id=str(price_id)).status_code == 200
    assert provider.asked_for("change_price")[0][3].interval is Interval.YEAR


def test_the_same_price_again_asks_for_nothing(world, step, provider):
    assert step("change", price_id=str(world.price_id)).status_code == 200
    assert provider.asked_for("change_price") == []


def test_what_does_not_fit_is_refused_by_its_field(api, world, step, provider):
    product_id = world.license().product_id
    same = api.policy(product_id, name="team")
    month = {"interval": Interval.MONTH, "amount": 900}
    for price_id, words in [
        (uuid4(), "no such price"),
        (world.price(same, **month, active=False), "no such price"),
        (world.price(same, interval=Interval.ONE_TIME, amount=900), "again and again"),
        (world.price(api.policy(), **month), "another product"),
    ]:
        refused = step("change", price_id=str(price_id))
        assert (refused.status_code, refused.json["error"]["field"]) == (422, "price_id"), words
        assert words in refused.json["error"]["message"]
    fitting = world.price(same, **month)
    for item in (1, 99):
        refused = step("change", price_id=str(fitting), item=item)
        assert (refused.status_code, refused.json["error"]["field"]) == (422, "item")
    assert step("change", price_id=str(fitting), item=-1).status_code == 422
    assert step("change").status_code == 422
    assert provider.asked_for("change_price") == []


def test_of_several_items_the_one_to_change_is_named(api, app, world, step, better):
    with app.app_context(), unit_of_work():
        second = OrderItem(
            order_id=world.order_id,
            position=1,
            price_id=world.price_id,
            policy_id=world.policy_id,
            description="Pro",
            quantity=1,
            unit_amount=5900,
        )
        db.session.add(second)
    refused = step("change", price_id=str(better[1]))
    assert (refused.status_code, refused.json["error"]["field"]) == (422, "item")


def test_an_owner_ends_it_with_its_period_and_takes_that_back(world, step, provider):
    ended = step("cancel")
    assert ended.status_code == 200, ended.json
    assert (ended.json["data"]["cancel_at_period_end"], ended.json["data"]["status"]) == (True, "active")
    assert world.license().status is LicenseStatus.ACTIVE
    again = step("resume")
    assert again.json["data"]["cancel_at_period_end"] is False
    assert [call[0] for call in provider.calls if call[0] != "look"] == ["cancel", "resume"]


def test_only_the_team_ends_it_at_once(api, world, step, provider):
    refused = step("cancel", at_period_end=False)
    assert (refused.status_code, code_of(refused)) == (403, "FORBIDDEN")
    assert provider.asked_for("cancel") == []
    ended = step("cancel", by=api.admin(), at_period_end=False)
    assert ended.json["data"]["status"] == "canceled"
    assert ended.json["data"]["ended_at"] is not None
    for name, values in [
        ("cancel", {}),
        ("resume", {}),
        ("change", {"price_id": str(world.price_id)}),
    ]:
        refused = step(name, **values)
        assert (refused.status_code, code_of(refused)) == (409, "SUBSCRIPTION_ENDED"), name


def test_strangers_and_support_change_nothing(api, world, step, provider):
    for who in (api.person(), api.person(role="support")):
        for name, values in [
            ("cancel", {}),
            ("cancel", {"at_period_end": False}),
            ("resume", {}),
            ("change", {"price_id": str(world.price_id)}),
        ]:
            refused = step(name, by=who, **values)
            assert (refused.status_code, code_of(refused)) == (404, "SUBSCRIPTION_NOT_FOUND"), name
    assert [call for call in provider.calls if call[0] != "look"] == []


def test_a_provider_that_is_away_or_refuses_is_told_of(api, world, step, provider, better):
    provider.away = True
    for name, values in [("cancel", {}), ("resume", {}), ("change", {"price_id": str(better[1])})]:
        refused = step(name, **values)
        assert (refused.status_code, code_of(refused)) == (503, ProviderUnavailable.code), name
    provider.away, provider.refusal = False, "Mixed intervals."
    refused = step("change", price_id=str(better[1]))
    assert (refused.status_code, code_of(refused)) == (409, "PROVIDER_REFUSED")
    assert refused.json["error"]["message"] == "Mixed intervals."
    assert world.license().policy_id == world.policy_id


def test_a_refusal_because_it_has_ended_meanwhile_is_learnt_from(api, world, step, provider):
    provider._now(f"sub_{world.session}", status=SubscriptionStatus.CANCELED)
    provider.refusal = "This subscription is canceled."
    assert code_of(step("resume")) == "PROVIDER_REFUSED"
    assert code_of(step("resume")) == "SUBSCRIPTION_ENDED"


def test_who_has_changed_it_stands_in_the_audit_trail(api, world, step, better):
    step("change", price_id=str(better[1]))
    step("cancel")
    step("resume")
    events = api.get("/audit/events", by=api.admin()).json["data"]
    told = {event["action"]: event["actor_id"] for event in events}
    for verb in ("price_change_requested", "cancel_requested", "resume_requested"):
        assert told[f"subscription.{verb}"] == str(world.buyer.id)


def request_end(app, subscription):
    with app.app_context(), unit_of_work():
        emit("billing.cancel_requested", subscription_id=str(subscription.id))


def outbox(app):
    with app.app_context():
        found = select(OutboxRow).where(OutboxRow.name == "billing.cancel_requested")
        return [(row.status, row.error) for row in db.session.scalars(found)]


def test_an_end_that_was_decided_here_is_asked_of_the_provider(api, app, world, subscription, provider):
    request_end(app, subscription)
    api.deliver()
    assert provider.asked_for("cancel") == [("cancel", subscription.reference, False)]
    with app.app_context():
        found = db.session.get(Subscription, subscription.id)
        assert found.status is SubscriptionStatus.CANCELED
    request_end(app, subscription)  # twice is once
    api.deliver()
    assert len(provider.asked_for("cancel")) == 1


def test_a_refused_end_is_set_aside_for_a_person(api, app, world, subscription, provider):
    provider.refusal = "No such subscription."
    request_end(app, subscription)
    api.deliver()
    ((status, error),) = outbox(app)
    assert status is OutboxStatus.DEAD
    assert "No such subscription." in error
