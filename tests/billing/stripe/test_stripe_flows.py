"""From a checkout at Stripe to licences and back, by webhooks that come as they please."""

from __future__ import annotations

import time
from datetime import timedelta
from unittest.mock import patch

import pytest
from sqlalchemy import func, select

from devforge_api.billing.models import (
    EventOutcome,
    Interval,
    Invoice,
    Order,
    OrderStatus,
    Payment,
    ProviderEvent,
)
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.licenses.models import LicenseStatus
from tests.billing.stripe.conftest import request_for, to_buy

ACTIVE, SUSPENDED, REVOKED = LicenseStatus.ACTIVE, LicenseStatus.SUSPENDED, LicenseStatus.REVOKED
PENDING = LicenseStatus.PENDING
PAID = {"provider": 5900, "revenue": -5900}


@pytest.fixture
def once(sell):
    return sell()


@pytest.fixture
def monthly(sell):
    return sell(interval=Interval.MONTH)


def state(sale):
    return sale.order().status, sale.license().status


def outcomes(sale):
    with sale.api.app.app_context():
        return set(db.session.scalars(select(ProviderEvent.outcome)))


# --- once ---------------------------------------------------------------------------------------
def test_a_webhook_makes_the_order_paid_and_its_licence(once, fake):
    fake.pay(once.session)
    (event,) = fake.take_events()
    once.tell(event)
    assert state(once) == (OrderStatus.PAID, ACTIVE)
    assert once.history() == [("issued", "payment", event["id"])]
    assert once.balances() == PAID
    assert outcomes(once) == {EventOutcome.SETTLED}


def test_every_piece_of_every_item_has_its_licence_once(sell, fake):
    sale = sell(quantity=3, more=(100, 200))
    fake.pay(sale.session)
    (event,) = fake.take_events()
    sale.tell(event, event, event)
    assert len(sale.licenses()) == 5
    assert sale.balances() == {"provider": 3 * 5900 + 300, "revenue": -3 * 5900 - 300}


def test_money_on_its_way_makes_a_licence_that_waits(once, fake):
    fake.pay(once.session, later=True)
    once.tell()
    assert state(once) == (OrderStatus.PENDING, PENDING)
    assert once.balances() == {}
    fake.money_comes(once.session)
    once.tell()
    assert state(once) == (OrderStatus.PAID, ACTIVE)
    assert once.balances() == PAID


def test_money_that_does_not_come_ends_it(once, fake):
    fake.pay(once.session, later=True)
    once.tell()
    fake.money_fails(once.session)
    once.tell()
    assert state(once) == (OrderStatus.FAILED, REVOKED)
    assert once.balances() == {}


def test_a_page_that_nobody_has_paid(once, fake):
    fake.expire(once.session)
    once.tell()
    assert once.order().status is OrderStatus.CANCELED
    assert once.licenses() == []


def test_a_refund_of_the_dashboard_suspends_and_its_failure_reinstates(once, fake):
    fake.pay(once.session)
    once.tell()
    refund = fake.refund(once.session)
    once.tell()
    assert state(once) == (OrderStatus.REFUNDED, SUSPENDED)
    assert once.balances() == {"refunds": 5900, "revenue": -5900}
    fake.turn_refund(refund["id"])
    once.tell()
    assert state(once) == (OrderStatus.PAID, ACTIVE)
    assert once.balances() == PAID


def test_a_part_that_goes_back_leaves_the_licence(once, fake):
    fake.pay(once.session)
    fake.refund(once.session, 900)
    once.tell()
    assert state(once) == (OrderStatus.PAID, ACTIVE)
    assert once.balances() == {"provider": 5000, "refunds": 900, "revenue": -5900}
    fake.refund(once.session, 5000)
    once.tell()
    assert state(once) == (OrderStatus.REFUNDED, SUSPENDED)


@pytest.mark.parametrize(("end", "expected"), [("won", ACTIVE), ("lost", REVOKED)])
def test_a_dispute_suspends_until_it_is_decided(once, fake, end, expected):
    fake.pay(once.session)
    once.tell()
    dispute = fake.dispute(once.session)
    once.tell()
    assert state(once) == (OrderStatus.DISPUTED, SUSPENDED)
    fake.close_dispute(dispute["id"], end)
    once.tell()
    assert once.license().status is expected
    assert once.balances() == (PAID if end == "won" else {"disputes": 5900, "revenue": -5900})


def test_what_is_lost_to_a_bank_before_anybody_has_looked_was_sold_all_the_same(once, fake):
    fake.pay(once.session)
    fake.close_dispute(fake.dispute(once.session)["id"], "lost")
    once.tell_badly(1)
    assert state(once) == (OrderStatus.DISPUTED, REVOKED)
    assert once.balances() == {"disputes": 5900, "revenue": -5900}


def test_an_inquiry_takes_nothing(once, fake):
    fake.pay(once.session)
    dispute = fake.dispute(once.session, status="warning_needs_response")
    once.tell()
    assert state(once) == (OrderStatus.PAID, ACTIVE)
    fake.close_dispute(dispute["id"], "warning_closed")
    once.tell()
    assert state(once) == (OrderStatus.PAID, ACTIVE)
    assert once.balances() == PAID


# --- again and again ----------------------------------------------------------------------------
def test_renewals_extend_and_what_is_late_is_suspended_after_its_grace(monthly, fake):
    fake.pay(monthly.session)
    monthly.tell()
    first = monthly.license().expires_at
    invoice = fake.renew(monthly.subscription_id)
    monthly.tell()
    assert monthly.license().expires_at == first + timedelta(days=30)
    fake.renew(monthly.subscription_id, declined=True)
    monthly.tell()
    assert state(monthly) == (OrderStatus.PAID, ACTIVE), "in its grace"
    fake.turn(monthly.subscription_id, "unpaid")
    monthly.tell()
    assert monthly.license().status is SUSPENDED
    fake.recover(monthly.subscription_id)
    monthly.tell()
    assert state(monthly) == (OrderStatus.PAID, ACTIVE)
    assert monthly.license().expires_at == first + timedelta(days=60)
    assert monthly.balances() == {"provider": 3 * 5900, "revenue": -3 * 5900}
    assert invoice["id"] in payments(monthly)


def payments(sale):
    with sale.api.app.app_context():
        return list(db.session.scalars(select(Payment.reference).where(Payment.order_id == sale.order_id)))


def test_a_trial_gives_the_licence_before_any_money(sell, fake):
    sale = sell(interval=Interval.MONTH, trial_days=14)
    fake.pay(sale.session)
    sale.tell()
    assert state(sale) == (OrderStatus.PAID, ACTIVE)
    assert sale.balances() == {}
    fake.renew(sale.subscription_id)
    sale.tell()
    assert sale.balances() == PAID


def test_canceling_lets_it_run_out(monthly, fake):
    fake.pay(monthly.session)
    monthly.tell()
    end = fake.get(monthly.subscription_id)["items"]["data"][0]["current_period_end"]
    assert monthly.license().expires_at.timestamp() > end, "the grace after it"
    fake.cancel(monthly.subscription_id, at_period_end=True)
    monthly.tell()
    assert monthly.license().expires_at.timestamp() == end
    fake.cancel(monthly.subscription_id)
    monthly.tell()
    assert monthly.license().status is ACTIVE, "what is paid for is given"
    assert monthly.license().expires_at.timestamp() == end


def test_a_pause_and_its_end(monthly, fake):
    fake.pay(monthly.session)
    fake.turn(monthly.subscription_id, "paused")
    monthly.tell()
    assert monthly.license().status is SUSPENDED
    fake.resume(monthly.subscription_id)
    monthly.tell()
    assert monthly.license().status is ACTIVE


def test_another_price_chosen_in_the_portal_is_another_policy_with_the_same_key(monthly, fake):
    fake.pay(monthly.session)
    monthly.tell()
    before, team = monthly.license(), monthly.api.policy(monthly.license().product_id)
    price_id = monthly.price(team, interval=Interval.MONTH, amount=9900)
    dearer = to_buy(price_id, interval=Interval.MONTH, amount=9900)
    reference = monthly.provider.create_checkout(request_for((dearer, 1))).prices[price_id]
    fake.change_price(monthly.subscription_id, reference)
    monthly.tell()
    after = monthly.license()
    assert (after.id, after.policy_id, after.encrypted_key) == (before.id, team, before.encrypted_key)
    assert monthly.balances() == {"provider": 9900, "revenue": -9900}


# --- as they please -----------------------------------------------------------------------------
def everything(sale, fake):
    """All that can happen to a subscription, and then its end."""
    subscription = fake.pay(sale.session)["subscription"]
    fake.renew(subscription)
    fake.renew(subscription, declined=True)
    fake.recover(subscription)
    invoice = fake.get(subscription)["latest_invoice"]
    fake.refund(invoice, 900)
    fake.turn_refund(fake.refund(invoice, 100)["id"])
    fake.close_dispute(fake.dispute(invoice)["id"], "won")
    fake.turn(subscription, "paused")
    fake.resume(subscription)
    fake.cancel(subscription)


@pytest.mark.parametrize("seed", range(6))
def test_twice_and_in_any_order_it_comes_to_the_same(sell, fake, seed):
    orderly, other = (sell(interval=Interval.MONTH) for _ in range(2))
    for sale, badly in ((orderly, False), (other, True)):
        everything(sale, fake)
        if badly:
            sale.tell_badly(seed)
        else:
            sale.tell()
    assert state(orderly) == state(other) == (OrderStatus.PAID, ACTIVE)
    assert abs(orderly.license().expires_at - other.license().expires_at) < timedelta(minutes=5)
    with orderly.api.app.app_context():
        numbers = list(db.session.scalars(select(Invoice.number).order_by(Invoice.number)))
        postings = db.session.scalar(select(func.count()).select_from(Payment))
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert postings == 6
    assert orderly.balances() == {"provider": 2 * (17700 - 900), "refunds": 1800, "revenue": -35400}


def test_an_old_event_after_the_end_resurrects_nothing(monthly, fake):
    fake.pay(monthly.session)
    active = fake.take_events()
    monthly.tell(*active[:1])
    fake.cancel(monthly.subscription_id)
    invoice = fake.get(monthly.subscription_id)["latest_invoice"]
    fake.close_dispute(fake.dispute(invoice)["id"], "lost")
    monthly.tell()
    assert monthly.license().status is REVOKED
    monthly.tell(*active * 2)
    assert monthly.license().status is REVOKED
    assert len(monthly.licenses()) == 1


def test_events_that_come_a_day_later_are_signed_anew_and_count(once, fake):
    """Stripe signs every attempt with its own time, and keeps the event's."""
    fake.pay(once.session)
    (event,) = fake.take_events()
    event["created"] -= 86400
    once.tell(event)
    assert state(once) == (OrderStatus.PAID, ACTIVE)


def test_a_replayed_call_of_yesterday_is_refused(once, fake):
    fake.pay(once.session)
    (event,) = fake.take_events()
    yesterday = int(time.time()) - 86400
    assert fake.deliver(once.api.app.test_client(), event, at=yesterday).status_code == 400
    once.act()
    assert once.order().status is OrderStatus.PENDING


def test_what_was_never_told_is_in_the_list_of_events(once, fake):
    fake.pay(once.session)
    fake.take_events()
    told = list(once.provider.events(utc_now() - timedelta(hours=1), utc_now()))
    assert [once.provider.order_of(event.payload) for event in told] == [once.order_id]


def test_while_stripe_does_not_answer_the_event_waits(once, fake):
    fake.pay(once.session)
    fake.fail(500, times=2)
    once.tell()
    assert once.order().status is OrderStatus.PENDING
    assert outcomes(once) == {EventOutcome.WAITING}
    with patch("devforge_api.core.outbox.utc_now", lambda: utc_now() + timedelta(minutes=5)):
        once.act()
    assert state(once) == (OrderStatus.PAID, ACTIVE)
    assert outcomes(once) == {EventOutcome.SETTLED}


def test_the_session_that_we_were_stopped_before_noting_is_paid_all_the_same(once, fake):
    with once.api.app.app_context(), unit_of_work():
        db.session.get_one(Order, once.order_id).session_reference = None
    fake.pay(once.session)
    once.tell()
    assert state(once) == (OrderStatus.PAID, ACTIVE)


def test_another_installations_orders_at_the_same_account_are_not_ours(once, fake):
    """Two of a team's servers with one Stripe test account hear of each other's orders."""
    other = once.provider.create_checkout(request_for())
    fake.pay(other.reference)
    once.tell()
    assert outcomes(once) == {EventOutcome.IGNORED}
