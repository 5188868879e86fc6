"""What comes in between: policies that change, pages opened twice, banks that change their minds."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from devforge_api.billing.models import (
    DisputeStatus,
    Interval,
    Order,
    OrderStatus,
    Subscription,
    SubscriptionStatus,
)
from devforge_api.billing.service import reminders
from devforge_api.billing.service.checking import check
from devforge_api.billing.service.providers.base import Snapshot
from devforge_api.billing.service.providers.test import TestProvider
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from tests.billing.shop import Shop
from tests.billing.world import COMPLETE, MONTH, START, World, disputed, refunded
from tests.factories import code_of


@pytest.fixture
def running(api, provider):
    """Two licences of a monthly subscription whose first period ends in three weeks."""
    found = World(api, interval=Interval.MONTH, quantity=2)
    end = utc_now() + timedelta(days=21)
    provider.says(
        found,
        Snapshot(
            COMPLETE,
            (found.period(0, period_end=end),),
            subscription=found.subscription(current_period_end=end),
        ),
    )
    return found


def change(api, world, price_id):
    with api.app.app_context():
        mine = select(Subscription.id).where(Subscription.order_id == world.order_id)
        subscription_id = db.session.scalars(mine).one()
    path = f"/billing/subscriptions/{subscription_id}/change"
    return api.post(path, {"price_id": str(price_id)}, by=world.buyer)


@pytest.fixture
def strict(api, running):
    """A dearer price, whose policy does not take what both licences run on."""
    with api.app.app_context():
        keys = [license_.key for license_ in running.licenses()]
        product_id = running.licenses()[0].product_id
    for key in keys:
        seat = api.post("/licenses/activate", {"key": key, "fingerprint": "f" * 64})
        assert seat.status_code == 201
    policy_id = api.policy(product_id, name="team", fingerprint_uniqueness="policy")
    return policy_id, running.price(policy_id, interval=Interval.MONTH, amount=9900)


def test_a_change_that_licenses_cannot_follow_is_refused_before_it_is_charged(api, running, strict, provider):
    policy_id, price_id = strict
    assert code_of(change(api, running, price_id)) == "FINGERPRINT_TAKEN"
    assert provider.asked_for("change_price") == []
    assert policy_id not in {license_.policy_id for license_ in running.licenses()}


def test_a_license_that_cannot_follow_its_price_does_not_keep_the_money_from_the_books(
    api, running, strict, provider
):
    policy_id, price_id = strict  # chosen on the provider's own pages
    seen = provider.snapshots[running.order_id]
    assert seen.subscription is not None
    later = seen.subscription.current_period_end + MONTH
    provider.says(
        running,
        replace(
            seen,
            payments=(*seen.payments, running.period(1, period_end=later)),
            subscription=replace(seen.subscription, price_ids=(price_id,), current_period_end=later),
        ),
    )
    policies = [license_.policy_id for license_ in running.licenses()]
    assert (policies.count(policy_id), len(policies)) == (1, 2)
    assert all(license_.expires_at >= later for license_ in running.licenses())
    assert running.balances()["provider"] == 2 * running.amount


def test_what_was_ordered_before_its_policy_became_a_trial_is_given(api, provider):
    world = World(api, quantity=2)
    trial = {"trial": True, "duration_days": 14}
    assert api.patch(f"/policies/{world.policy_id}", trial, by=api.admin()).status_code == 200
    provider.says(world, Snapshot(COMPLETE, (world.payment(),)))
    assert (world.order().status, len(world.licenses())) == (OrderStatus.PAID, 2)


def test_a_subscription_does_not_move_to_a_trial(api, running, provider):
    trial = api.policy(running.licenses()[0].product_id, name="try", trial=True, duration_days=14)
    price_id = running.price(trial, interval=Interval.MONTH, amount=9900)
    refused = change(api, running, price_id)
    assert (refused.status_code, refused.json["error"]["field"]) == (422, "price_id")


def test_of_two_pages_for_a_trial_the_newer_one_stays_open(api, app):
    shop = Shop(api)
    who, price = api.person(), shop.price(interval="month", trial_days=30)
    pages = [shop.checkout(who, price) for _ in range(3)]
    bought = shop.checkout(who, shop.price())  # no trial, and so no matter
    others = shop.checkout(api.person(), price)
    api.deliver()
    for page in (*pages, bought, others):
        shop.decide(page, "approve")
    assert [shop.status(page).value for page in pages] == ["canceled", "canceled", "paid"]
    assert {shop.status(bought), shop.status(others)} == {OrderStatus.PAID}
    with app.app_context():
        statuses = list(db.session.scalars(select(Subscription.status)))
    assert statuses == [SubscriptionStatus.TRIALING] * 2


def test_a_trial_s_page_that_is_still_being_opened_is_not_used_beside_another(api, app, monkeypatch):
    shop = Shop(api)
    who, price = api.person(), shop.price(interval="month", trial_days=30)
    opened, inner = TestProvider.create_checkout, []

    def meanwhile(self, request):
        if not inner:
            inner.append(None)
            inner.append(shop.checkout(who, price))
        return opened(self, request)

    monkeypatch.setattr(TestProvider, "create_checkout", meanwhile)
    assert code_of(shop.refused(who, price)) == "ORDER_NOT_PENDING"
    with app.app_context():
        assert sorted(db.session.scalars(select(Order.status))) == ["canceled", "pending"]


def test_an_account_that_goes_while_its_page_is_opened_leaves_none_open(api, app, monkeypatch):
    shop = Shop(api)
    who, price = api.person(), shop.price()
    opened = TestProvider.create_checkout

    def meanwhile(self, request):
        made = opened(self, request)
        assert api.delete(f"/users/{who.id}", by=shop.admin).status_code == 204
        return made

    monkeypatch.setattr(TestProvider, "create_checkout", meanwhile)
    api.post("/billing/checkout", {"items": [{"price_id": price}]}, by=who)
    api.deliver()
    with app.app_context():
        assert db.session.scalars(select(Order.status)).one() is OrderStatus.CANCELED


def test_nobody_waits_for_the_portal_with_a_connection_in_hand(api, app, monkeypatch):
    shop = Shop(api)
    who = api.person()
    shop.decide(shop.checkout(who, shop.price()), "approve")
    held = []

    def slow(self, customer, return_url):
        held.append(db.engine.pool.checkedout())
        return "https://provider.example/"

    monkeypatch.setattr(TestProvider, "portal_url", slow)
    assert api.post("/billing/portal", {}, by=who).status_code == 200
    assert held == [0]


@pytest.mark.parametrize("verb", ["revoke", "delete"])
def test_an_order_whose_license_the_team_has_ended_is_not_looked_at_for_ever(api, app, verb):
    world, admin = World(api), api.admin()
    paid = Snapshot(COMPLETE, (world.payment(),))
    world.settle(refunded(world_settled(world, paid)))
    path = f"/licenses/{world.license().id}"
    done = api.delete(path, by=admin) if verb == "delete" else api.post(f"{path}/revoke", {}, by=admin)
    assert done.status_code in (200, 204)
    world.now = START + timedelta(days=31)
    with app.app_context(), unit_of_work():
        assert reminders.look_again(world.now) == 1
    world.settle(refunded(paid))
    with app.app_context(), unit_of_work():
        assert reminders.look_again(world.now) == 0


def world_settled(world, snapshot):
    world.settle(snapshot)
    return snapshot


@pytest.mark.parametrize(
    ("steps", "withheld"),
    [
        ([("open", 5900), ("won", 5900), ("lost", 5900)], 5900),
        ([("open", 1000), ("open", 2000), ("won", 2000)], 0),
        ([("open", 2000), ("open", 1000)], 1000),
        ([("open", 5900), ("won", 5900), ("open", 5900), ("won", 5900), ("lost", 5900)], 5900),
        ([("inquiry", 5900), ("won", 5900)], 0),
    ],
)
def test_the_ledger_follows_a_bank_that_changes_its_mind(api, app, steps, withheld):
    world = World(api)
    paid = world_settled(world, Snapshot(COMPLETE, (world.payment(),)))
    for status, amount in steps:
        world.settle(disputed(paid, status=DisputeStatus(status), amount=amount))
        world.settle(disputed(paid, status=DisputeStatus(status), amount=amount))
    assert world.balances().get("disputes", 0) == withheld
    assert world.balances().get("provider", 0) == 5900 - withheld
    with app.app_context():
        assert list(check()) == []


def test_who_pays_by_the_year_now_is_written_to_as_such(api, app, running, provider):
    price_id = running.price(running.policy_id, interval=Interval.YEAR, amount=49000)
    assert change(api, running, price_id).status_code == 200
    seen = provider.snapshots[running.order_id]
    assert seen.subscription is not None
    end = utc_now() + timedelta(days=10)
    provider.says(running, replace(seen, subscription=replace(seen.subscription, current_period_end=end)))
    with app.app_context(), unit_of_work():
        assert reminders.tell_of_renewals(utc_now()) == 1
        assert reminders.tell_of_renewals(utc_now()) == 0
