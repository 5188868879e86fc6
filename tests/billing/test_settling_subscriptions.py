"""What becomes of a subscription's licences, whatever its provider says."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from devforge_api.billing.models import (
    DisputeStatus,
    Interval,
    OrderStatus,
    PaymentStatus,
    SubscriptionStatus,
)
from devforge_api.billing.service import reminders, settling
from devforge_api.billing.service.providers.base import Snapshot
from devforge_api.core.db import unit_of_work
from devforge_api.licenses.models import LicenseStatus
from devforge_api.licenses.service import lifecycle
from devforge_api.licenses.service.ordered import lock_licenses
from tests.billing.world import COMPLETE, MONTH, START, disputed, running

DAY = timedelta(days=1)
ACTIVE, SUSPENDED, REVOKED = LicenseStatus.ACTIVE, LicenseStatus.SUSPENDED, LicenseStatus.REVOKED


def test_a_subscription_lasts_as_long_as_is_paid_for_and_the_grace(monthly):
    monthly.settle(running(monthly))
    assert monthly.license().expires_at == START + MONTH + 7 * DAY
    monthly.settle(running(monthly, 2), event="evt_renewed")
    assert monthly.license().expires_at == START + 2 * MONTH + 7 * DAY
    assert monthly.history()[-1] == ("renewed", "payment", "evt_renewed")
    assert monthly.balances() == {"provider": 2 * 5900, "revenue": -2 * 5900}


def test_a_failed_renewal_suspends_when_its_grace_is_over(monthly, api):
    monthly.settle(running(monthly))
    late = replace(
        running(monthly, status=SubscriptionStatus.PAST_DUE),
        payments=(monthly.period(0), monthly.period(1, status=PaymentStatus.FAILED, paid_at=None)),
    )
    monthly.now = START + MONTH
    monthly.settle(late)
    assert monthly.license().status is ACTIVE
    monthly.now += 7 * DAY
    with api.app.app_context(), unit_of_work():
        assert reminders.look_again(monthly.now) == 1
    monthly.settle(late)
    assert monthly.license().status is SUSPENDED
    with api.app.app_context(), unit_of_work():
        assert reminders.look_again(monthly.now) == 0
    monthly.settle(running(monthly, 2))
    assert monthly.license().status is ACTIVE
    assert monthly.license().expires_at == START + 2 * MONTH + 7 * DAY


def test_a_canceled_subscription_lasts_to_the_end_of_its_period(monthly):
    monthly.settle(running(monthly))
    monthly.settle(running(monthly, cancel_at_period_end=True))
    assert (monthly.license().status, monthly.license().expires_at) == (ACTIVE, START + MONTH)
    monthly.settle(running(monthly, status=SubscriptionStatus.CANCELED, ended_at=START + DAY))
    assert (monthly.license().status, monthly.license().expires_at) == (ACTIVE, START + MONTH)
    assert monthly.order().status is OrderStatus.PAID


def test_a_canceled_subscription_does_not_come_back(monthly):
    monthly.settle(running(monthly, status=SubscriptionStatus.CANCELED))
    monthly.settle(running(monthly))
    assert monthly.license().expires_at == START + MONTH


def test_a_pause_suspends_and_its_end_reinstates(monthly):
    monthly.settle(running(monthly, status=SubscriptionStatus.PAUSED))
    monthly.settle(running(monthly, status=SubscriptionStatus.PAUSED))
    assert monthly.license().status is SUSPENDED
    monthly.settle(running(monthly))
    assert monthly.license().status is ACTIVE


def test_a_trial_works_before_any_payment(monthly):
    trial = monthly.subscription(status=SubscriptionStatus.TRIALING)
    monthly.settle(Snapshot(COMPLETE, subscription=trial))
    assert (monthly.order().status, monthly.license().status) == (OrderStatus.PAID, ACTIVE)
    assert monthly.license().expires_at == START + MONTH + 7 * DAY


def test_another_plan_keeps_the_key(monthly, api):
    monthly.settle(running(monthly))
    key = monthly.license().key_hash
    product_id = monthly.license().product_id
    better = api.policy(product_id=product_id, name="better")
    price_id = monthly.price(better, interval=Interval.MONTH, amount=9900)
    monthly.settle(running(monthly, price_ids=(price_id,)), event="evt_upgrade")
    assert (monthly.license().policy_id, monthly.license().key_hash) == (better, key)
    assert ("transferred", "payment", "evt_upgrade") in monthly.history()


def test_an_expiry_that_the_team_has_set_stays(monthly, api):
    monthly.settle(running(monthly))
    gift = START + 300 * DAY
    with api.app.app_context(), unit_of_work():
        (license_,) = lock_licenses([monthly.license().id]).values()
        lifecycle.change(license_, {"expires_at": gift})
    monthly.settle(running(monthly))
    assert monthly.license().expires_at == gift


def test_a_lost_dispute_ends_the_subscription_at_its_provider(monthly, monkeypatch):
    monthly.settle(running(monthly))
    emitted = []
    monkeypatch.setattr(settling, "emit", lambda name, **payload: emitted.append(name))
    monthly.settle(disputed(running(monthly), status=DisputeStatus.LOST))
    assert monthly.license().status is REVOKED
    assert "billing.cancel_requested" in emitted
