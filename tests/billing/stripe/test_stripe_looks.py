"""What the adapter sees at Stripe after each thing that can happen there."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from devforge_api.billing.errors import ProviderRefused
from devforge_api.billing.models import (
    DisputeStatus,
    Interval,
    PaymentStatus,
    RefundStatus,
    SubscriptionStatus,
)
from devforge_api.billing.service.providers.base import OrderReferences, SessionState
from devforge_api.core.db import uuid7
from tests.billing.fake_stripe_books import LENGTHS
from tests.billing.stripe.conftest import request_for, to_buy

MONTH = timedelta(seconds=LENGTHS["month"])


class Bought:
    """A checkout that was opened, and looks at it."""

    def __init__(self, provider, fake, *lines, **values):
        self.provider, self.fake = provider, fake
        self.request = request_for(*lines, **values)
        self.page = provider.create_checkout(self.request)
        self.session = self.page.reference

    @property
    def subscription(self):
        return self.fake.get(self.session)["subscription"]

    def look(self):
        return self.provider.look(OrderReferences(self.request.order_id, self.session, None))


@pytest.fixture
def once(provider, fake):
    return Bought(provider, fake)


@pytest.fixture
def monthly(provider, fake):
    found = Bought(provider, fake, (to_buy(interval=Interval.MONTH), 1))
    fake.pay(found.session)
    return found


# --- once ---------------------------------------------------------------------------------------
def test_a_page_on_which_nobody_has_paid(once, fake):
    assert (once.look().session, once.look().payments) == (SessionState.OPEN, ())
    fake.expire(once.session)
    assert (once.look().session, once.look().payments) == (SessionState.EXPIRED, ())


def test_a_paid_page(once, fake):
    before = int(time.time())
    session = fake.pay(once.session)
    seen = once.look()
    (payment,) = seen.payments
    assert seen.session is SessionState.COMPLETE
    assert (payment.reference, payment.charge_reference) == (once.session, session["payment_intent"])
    assert (payment.status, payment.amount, payment.currency) == (PaymentStatus.PAID, 5900, "USD")
    assert datetime.fromtimestamp(before, UTC) <= payment.paid_at <= datetime.now(UTC)
    assert seen.customer_reference == once.page.customer_reference
    assert seen.subscription is None


def test_money_that_is_on_its_way(once, fake):
    fake.pay(once.session, later=True)
    seen = once.look()
    assert (seen.session, seen.payments[0].status) == (SessionState.COMPLETE, PaymentStatus.PENDING)
    assert seen.payments[0].paid_at is None
    fake.money_comes(once.session)
    assert once.look().payments[0].status is PaymentStatus.PAID


def test_money_that_does_not_come(once, fake):
    fake.pay(once.session, later=True)
    fake.money_fails(once.session)
    (payment,) = once.look().payments
    assert (payment.status, payment.failure) == (PaymentStatus.FAILED, "The debit was refused.")


def test_nothing_is_asked_for_a_gift(provider, fake):
    gift = Bought(provider, fake, (to_buy(amount=0), 1))
    fake.pay(gift.session)
    (payment,) = gift.look().payments
    assert (payment.status, payment.amount, payment.charge_reference) == (PaymentStatus.PAID, 0, None)


# --- back ---------------------------------------------------------------------------------------
def test_refunds_of_the_dashboard_and_of_ours(once, provider, fake):
    charge = fake.pay(once.session)["payment_intent"]
    theirs = fake.refund(once.session, 900)
    refund_id = uuid7()
    provider.refund(refund_id, charge, 1000)
    seen = {refund.reference: refund for refund in once.look().refunds}
    assert len(seen) == 2
    assert seen[theirs["id"]].refund_id is None
    assert seen[theirs["id"]].amount == 900
    (ours,) = [refund for refund in seen.values() if refund.refund_id == refund_id]
    assert (ours.amount, ours.status, ours.charge_reference) == (1000, RefundStatus.SUCCEEDED, charge)


def test_a_refund_is_given_once_even_when_stripe_has_forgotten_the_key(once, provider, fake):
    charge, refund_id = fake.pay(once.session)["payment_intent"], uuid7()
    fake.lost = [False, False, True]  # the two questions before it are answered
    for _ in range(3):
        provider.refund(refund_id, charge, 1000)
        fake._remembered.clear()
    assert [refund.amount for refund in once.look().refunds] == [1000]


def test_more_than_was_paid_is_refused_with_the_reason(once, provider, fake):
    charge = fake.pay(once.session)["payment_intent"]
    provider.refund(uuid7(), charge, 5000)
    with pytest.raises(ProviderRefused, match="greater than unrefunded amount"):
        provider.refund(uuid7(), charge, 901)
    provider.refund(uuid7(), charge, 900)
    with pytest.raises(ProviderRefused, match="already been refunded"):
        provider.refund(uuid7(), charge, 1)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("pending", RefundStatus.PENDING),
        ("requires_action", RefundStatus.PENDING),
        ("failed", RefundStatus.FAILED),
        ("canceled", RefundStatus.CANCELED),
        ("a_new_word", RefundStatus.PENDING),
    ],
)
def test_what_has_become_of_a_refund(once, fake, told, expected):
    fake.pay(once.session)
    fake.turn_refund(fake.refund(once.session)["id"], told)
    assert once.look().refunds[0].status is expected


def test_all_of_many_refunds_are_seen(once, monthly, fake):
    fake.pay(once.session)
    invoice = fake.get(monthly.subscription)["latest_invoice"]
    for _ in range(25):
        fake.refund(once.session, 10)
        fake.refund(invoice, 10)
    assert [len({refund.reference for refund in seen.look().refunds}) for seen in (once, monthly)] == [25, 25]


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("warning_needs_response", DisputeStatus.INQUIRY),
        ("warning_closed", DisputeStatus.WON),
        ("needs_response", DisputeStatus.OPEN),
        ("appeal_under_review", DisputeStatus.OPEN),
        ("prevented", DisputeStatus.WON),
        ("won", DisputeStatus.WON),
        ("lost", DisputeStatus.LOST),
        ("a_new_word", DisputeStatus.OPEN),
    ],
)
def test_what_has_become_of_a_dispute(once, monthly, fake, told, expected):
    fake.pay(once.session)
    for bought, of in ((once, once.session), (monthly, fake.get(monthly.subscription)["latest_invoice"])):
        fake.close_dispute(fake.dispute(of)["id"], told)
        (dispute,) = bought.look().disputes
        assert (dispute.status, dispute.amount, dispute.reason) == (expected, 5900, "fraudulent")
        assert dispute.charge_reference == bought.look().payments[0].charge_reference


# --- again and again ----------------------------------------------------------------------------
def test_a_subscription_and_its_first_payment(monthly, fake):
    seen = monthly.look()
    (payment,) = seen.payments
    assert (payment.status, payment.amount) == (PaymentStatus.PAID, 5900)
    assert payment.reference.startswith("in_")
    assert payment.charge_reference.startswith("pi_")
    assert payment.period_end - payment.period_start == MONTH
    assert seen.subscription.status is SubscriptionStatus.ACTIVE
    assert seen.subscription.current_period_end == payment.period_end
    assert seen.subscription.price_ids == (monthly.request.lines[0][0].price_id,)
    assert len(fake.calls) == 3 + 4, "a look is four requests"


def test_a_first_payment_that_is_on_its_way(provider, fake):
    bought = Bought(provider, fake, (to_buy(interval=Interval.MONTH), 1))
    fake.pay(bought.session, later=True)
    assert bought.look().payments[0].status is PaymentStatus.PENDING
    fake.money_comes(bought.session)
    assert bought.look().payments[0].status is PaymentStatus.PAID


def test_a_trial_asks_for_nothing_first(provider, fake):
    bought = Bought(provider, fake, (to_buy(interval=Interval.MONTH), 1), trial_days=14)
    fake.pay(bought.session)
    seen = bought.look()
    assert (seen.payments[0].amount, seen.payments[0].status) == (0, PaymentStatus.PAID)
    assert seen.payments[0].period_end - seen.payments[0].period_start == timedelta(days=14)
    assert seen.subscription.status is SubscriptionStatus.TRIALING


def test_renewals_failures_and_recovery(monthly, fake):
    fake.renew(monthly.subscription)
    newest, first = monthly.look().payments
    assert newest.period_start == first.period_end
    fake.renew(monthly.subscription, declined=True)
    seen = monthly.look()
    assert (seen.payments[0].status, seen.payments[0].failure) == (
        PaymentStatus.FAILED,
        "Your card was declined.",
    )
    assert seen.payments[0].amount == 5900
    assert seen.subscription.status is SubscriptionStatus.PAST_DUE
    fake.recover(monthly.subscription)
    seen = monthly.look()
    assert [payment.status for payment in seen.payments] == [PaymentStatus.PAID] * 3
    assert seen.payments[0].failure is None
    assert seen.subscription.status is SubscriptionStatus.ACTIVE


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("incomplete", SubscriptionStatus.INCOMPLETE),
        ("incomplete_expired", SubscriptionStatus.CANCELED),
        ("unpaid", SubscriptionStatus.UNPAID),
        ("paused", SubscriptionStatus.PAUSED),
        ("a_new_word", SubscriptionStatus.PAST_DUE),
    ],
)
def test_what_has_become_of_a_subscription(monthly, fake, told, expected):
    fake.turn(monthly.subscription, told)
    assert monthly.look().subscription.status is expected


def test_collection_that_is_paused_because_nothing_is_provided(monthly, fake):
    for behavior, expected in (("void", "paused"), ("keep_as_draft", "active")):
        fake.books.objects[monthly.subscription]["pause_collection"] = {"behavior": behavior}
        assert monthly.look().subscription.status == expected


def test_ending_now_or_with_the_period_and_going_on(monthly, provider, fake):
    subscription = monthly.subscription
    for _ in range(2):
        provider.cancel(subscription, at_period_end=True)
        assert monthly.look().subscription.cancel_at_period_end
    for _ in range(2):
        provider.resume(subscription)
        assert not monthly.look().subscription.cancel_at_period_end
    # The portal may put it as a date.
    fake.books.objects[subscription]["cancel_at"] = int(
        monthly.look().subscription.current_period_end.timestamp()
    )
    assert monthly.look().subscription.cancel_at_period_end
    provider.resume(subscription)
    assert not monthly.look().subscription.cancel_at_period_end
    for _ in range(2):
        provider.cancel(subscription, at_period_end=False)
        provider.cancel(subscription, at_period_end=True)
    seen = monthly.look().subscription
    assert (seen.status, seen.ended_at is None) == (SubscriptionStatus.CANCELED, False)
    with pytest.raises(ProviderRefused):
        provider.resume(subscription)


def test_an_item_moves_to_another_price_and_keeps_its_place(provider, fake):
    lines = [(to_buy(interval=Interval.MONTH, amount=amount), 2) for amount in (1000, 2000, 3000)]
    bought = Bought(provider, fake, *lines)
    fake.pay(bought.session)
    dearer = to_buy(interval=Interval.MONTH, amount=9000)
    reference = provider.change_price(bought.subscription, 1, dearer)
    ids = [price.price_id for price, _ in lines]
    assert bought.look().subscription.price_ids == (ids[0], dearer.price_id, ids[2])
    assert bought.look().payments[0].amount == 14000, "the difference, for both pieces"
    known = to_buy(dearer.price_id, reference=reference, interval=Interval.MONTH, amount=9000)
    assert provider.change_price(bought.subscription, 1, known) == reference
    assert len(bought.look().payments) == 2, "asked again, nothing is charged again"
    with pytest.raises(ProviderRefused):
        provider.change_price(bought.subscription, 3, dearer)


def test_moving_down_asks_for_nothing(monthly, provider):
    cheaper = to_buy(interval=Interval.MONTH, amount=100)
    provider.change_price(monthly.subscription, 0, cheaper)
    seen = monthly.look()
    assert (seen.payments[0].amount, seen.payments[0].status) == (0, PaymentStatus.PAID)
    assert seen.subscription.price_ids == (cheaper.price_id,)


def test_a_card_that_does_not_give_the_difference_leaves_the_price(monthly, provider, fake):
    fake.books.declined.add(monthly.page.customer_reference)
    dearer = to_buy(interval=Interval.MONTH, amount=9000)
    with pytest.raises(ProviderRefused, match="declined"):
        provider.change_price(monthly.subscription, 0, dearer)
    assert monthly.look().subscription.price_ids == (monthly.request.lines[0][0].price_id,)


def test_a_price_chosen_in_the_portal_and_one_that_is_not_ours(monthly, provider, fake):
    other = provider.create_checkout(request_for((dearer := to_buy(interval=Interval.MONTH), 1)))
    fake.change_price(monthly.subscription, other.prices[dearer.price_id])
    assert monthly.look().subscription.price_ids == (dearer.price_id,)
    fake.books.objects[monthly.subscription]["items"]["data"][0]["price"]["metadata"] = {}
    assert monthly.look().subscription.price_ids == (None,)


def test_a_customers_other_charges_are_not_this_orders(provider, fake):
    mine = Bought(provider, fake, (to_buy(interval=Interval.MONTH), 1))
    fake.pay(mine.session)
    same = {"customer_reference": mine.page.customer_reference, "user_id": mine.request.user_id}
    for _ in range(110):  # more than one page of charges
        other = Bought(provider, fake, **same)
        fake.pay(other.session)
    fake.refund(other.session)
    fake.refund(fake.get(mine.subscription)["latest_invoice"], 70)
    assert [refund.amount for refund in mine.look().refunds] == [70]
