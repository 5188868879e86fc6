"""The built-in provider: what can be played through, how it signs, and that it moves money once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from devforge_api.billing.errors import ProviderRefused
from devforge_api.billing.models import (
    Interval,
    LedgerLine,
    OrderStatus,
    ProviderEvent,
    SubscriptionStatus,
)
from devforge_api.billing.service.providers import test as provider_module
from devforge_api.billing.service.providers.base import OrderReferences, PriceToBuy
from devforge_api.billing.service.providers.test import TestProvider
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db
from devforge_api.licenses.models import LicenseStatus
from tests.billing.shop import Shop

ACTIVE, SUSPENDED, REVOKED = LicenseStatus.ACTIVE, LicenseStatus.SUSPENDED, LicenseStatus.REVOKED


@pytest.fixture
def shop(api):
    return Shop(api)


@pytest.fixture
def bought(api, shop):
    """An order that is paid: once, or by the month."""

    def buy(interval="one_time", **values):
        made = shop.checkout(api.person(), shop.price(interval=interval, **values))
        shop.decide(made, "approve")
        api.deliver()
        return made

    return buy


@pytest.fixture
def provider(app):
    with app.app_context():
        yield TestProvider(app.config["PUBLIC_URL"])


def looked_at(provider, made):
    return provider.look(OrderReferences(UUID(made["order_id"]), made["session_id"], None))


def balance(app):
    with app.app_context():
        return db.session.scalar(select(func.sum(LedgerLine.amount)))


# --- flask billing simulate --------------------------------------------------------------------


def test_a_subscription_s_life_can_be_played_through(app, api, shop, bought, provider):
    made = bought("month")
    order_id = made["order_id"]
    first = shop.licenses(order_id)[0].expires_at

    def after(deed):
        done = shop.simulate(order_id, deed)
        assert done.exit_code == 0, done.output
        api.deliver()
        subscription = looked_at(provider, made).subscription
        (license_,) = shop.licenses(order_id)
        return shop.status(made), subscription.status, license_.status, license_.expires_at

    paid, status = OrderStatus.PAID, SubscriptionStatus
    assert after("renew")[:3] == (paid, status.ACTIVE, ACTIVE)
    renewed = shop.licenses(order_id)[0].expires_at
    assert timedelta(days=27) < renewed - first < timedelta(days=32)
    assert after("fail-renewal")[:3] == (paid, status.PAST_DUE, ACTIVE)
    assert after("recover")[:3] == (paid, status.ACTIVE, ACTIVE)
    assert shop.licenses(order_id)[0].expires_at - renewed > timedelta(days=27)
    assert after("pause")[:3] == (paid, status.PAUSED, SUSPENDED)
    assert after("resume")[:3] == (paid, status.ACTIVE, ACTIVE)
    assert after("cancel")[:3] == (paid, status.ACTIVE, ACTIVE)
    assert looked_at(provider, made).subscription.cancel_at_period_end
    assert after("resume")[:3] == (paid, status.ACTIVE, ACTIVE)
    assert not looked_at(provider, made).subscription.cancel_at_period_end
    after("cancel")
    assert after("renew")[1] is status.CANCELED
    refused = shop.simulate(order_id, "renew")
    assert (refused.exit_code, "PROVIDER_REFUSED" in refused.output) == (1, True)
    assert "Nothing has changed" in shop.simulate(order_id, "end").output
    assert balance(app) == 0


def test_disputes_and_refunds_can_be_played_through(app, api, shop, bought):
    made = bought()
    steps = [
        ("dispute", OrderStatus.DISPUTED, SUSPENDED),
        ("win", OrderStatus.PAID, ACTIVE),
        ("refund", OrderStatus.REFUNDED, SUSPENDED),
        ("fail-refund", OrderStatus.PAID, ACTIVE),
    ]
    for deed, status, license_status in steps:
        done = shop.simulate(made["order_id"], deed)
        assert done.exit_code == 0, done.output
        (license_,) = shop.licenses(made["order_id"])
        assert (shop.status(made), license_.status) == (status, license_status), deed
    lost = bought()
    for deed in ("dispute", "lose"):
        shop.simulate(lost["order_id"], deed)
    assert (shop.status(lost), shop.licenses(lost["order_id"])[0].status) == (OrderStatus.DISPUTED, REVOKED)
    assert balance(app) == 0


@pytest.mark.parametrize("deed", ["renew", "recover", "pause", "resume", "win", "fail-refund"])
def test_what_has_no_sense_is_refused_and_told_to_nobody(app, shop, bought, deed):
    made = bought()
    refused = shop.simulate(made["order_id"], deed)
    assert (refused.exit_code, "PROVIDER_REFUSED" in refused.output) == (1, True)
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(ProviderEvent)) == 1


def test_only_orders_of_the_built_in_provider_can_be_played_with(api, shop, make_api):
    assert "CHECKOUT_NOT_FOUND" in shop.simulate(str(uuid4()), "renew").output
    none = make_api(DEVFORGE_BILLING_PROVIDER="none")
    done = none.app.test_cli_runner().invoke(args=["billing", "simulate", str(uuid4()), "renew"])
    assert (done.exit_code, "NOT_FOUND" in done.output) == (1, True)


# --- its own rules -----------------------------------------------------------------------------


def test_a_trial_begins_for_nothing_and_is_paid_when_it_ends(shop, api, bought, provider):
    made = bought("month", trial_days=14)
    seen = looked_at(provider, made)
    assert (seen.subscription.status, [one.amount for one in seen.payments]) == (
        SubscriptionStatus.TRIALING,
        [0],
    )
    assert abs(seen.subscription.current_period_end - utc_now() - timedelta(days=14)) < timedelta(minutes=5)
    assert [one.status for one in shop.licenses(made["order_id"])] == [ACTIVE]
    shop.simulate(made["order_id"], "renew")
    seen = looked_at(provider, made)
    assert (seen.subscription.status, [one.amount for one in seen.payments]) == (
        SubscriptionStatus.ACTIVE,
        [0, 5900],
    )


def test_a_checkout_that_is_asked_for_twice_is_one(app, shop, bought, provider, monkeypatch):
    requests = []
    genuine = TestProvider.create_checkout
    monkeypatch.setattr(
        TestProvider,
        "create_checkout",
        lambda self, request: requests.append(request) or genuine(self, request),
    )
    made = bought()
    assert genuine(provider, requests[0]).reference == made["session_id"]


def test_the_same_refund_is_given_once_and_never_more_than_is_left(app, bought, provider):
    made = bought()
    (payment,) = looked_at(provider, made).payments
    refund_id = uuid4()

    def give(amount, asked=None):
        with app.app_context():
            provider.refund(asked or uuid4(), payment.charge_reference, amount)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: give(4000, refund_id), range(8)))
    assert [(one.amount, one.refund_id) for one in looked_at(provider, made).refunds] == [(4000, refund_id)]
    for amount in (1901, 0, -1):
        with pytest.raises(ProviderRefused):
            give(amount)
    give(1900)
    assert sum(one.amount for one in looked_at(provider, made).refunds) == 5900
    with pytest.raises(ProviderRefused):
        provider.refund(uuid4(), "ch_test_unknown_0", 1)


def test_many_refunds_at_once_give_no_more_than_was_paid(app, bought, provider):
    made = bought()
    (payment,) = looked_at(provider, made).payments

    def give(_):
        with app.app_context():
            try:
                provider.refund(uuid4(), payment.charge_reference, 2000)
            except ProviderRefused:
                return 0
            return 2000

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(give, range(6))) == 4000
    assert sum(one.amount for one in looked_at(provider, made).refunds) == 4000


def price_of(amount, interval=Interval.MONTH, currency="USD"):
    return PriceToBuy(uuid4(), None, "Other", amount, currency, interval)


def test_a_change_of_price_is_prorated_and_credit_is_taken_off_the_next(bought, provider, monkeypatch, shop):
    made = bought("month", amount=3000)
    before = looked_at(provider, made).subscription
    half = before.current_period_end - (before.current_period_end - utc_now()) / 2
    monkeypatch.setattr(provider_module, "utc_now", lambda: half)
    dear = price_of(9000)
    for _ in range(2):  # once
        provider.change_price(before.reference, 0, dear)
    seen = looked_at(provider, made)
    assert seen.subscription.price_ids == (dear.price_id,)
    assert [one.amount for one in seen.payments[:-1]] == [3000]
    assert abs(seen.payments[1].amount - 3000) <= 2
    assert seen.subscription.current_period_end == before.current_period_end
    provider.change_price(before.reference, 0, price_of(1000))
    assert len(looked_at(provider, made).payments) == 2
    shop.simulate(made["order_id"], "renew")
    assert [one.amount for one in looked_at(provider, made).payments][2] == 0  # of about 4000 in credit


def test_a_change_to_another_interval_begins_a_period_now(bought, provider):
    made = bought("month", amount=3000)
    before = looked_at(provider, made).subscription
    provider.change_price(before.reference, 0, price_of(30000, Interval.YEAR))
    seen = looked_at(provider, made)
    assert timedelta(days=364) < seen.subscription.current_period_end - utc_now() < timedelta(days=367)
    assert abs(seen.payments[1].amount - 27000) <= 2
    assert seen.payments[1].period_end == seen.subscription.current_period_end


@pytest.mark.parametrize("price", [price_of(1, currency="EUR"), price_of(1, Interval.ONE_TIME)])
def test_a_subscription_stays_with_its_currency_and_is_paid_again(bought, provider, price):
    made = bought("month")
    before = looked_at(provider, made)
    with pytest.raises(ProviderRefused):
        provider.change_price(before.subscription.reference, 0, price)
    assert looked_at(provider, made) == before


# --- the portal ----------------------------------------------------------------------------------


def test_in_the_portal_a_subscription_is_ended_and_kept(api, shop, provider):
    buyer, other = api.person(), api.person()
    mine, theirs = (shop.checkout(who, shop.price(interval="month", name="Pro")) for who in (buyer, other))
    for made in (mine, theirs):
        shop.decide(made, "approve")
    url = api.post("/billing/portal", by=buyer).json["data"]["url"]
    page = shop.open(url)
    assert (mine["session_id"] in page.text, theirs["session_id"] in page.text) == (True, False)

    def press(deed, made):
        return shop.open(f"{url}/{deed}", "POST", data={"subscription": made["session_id"]})

    for _ in range(2):
        assert press("end", mine).status_code == 303
        assert looked_at(provider, mine).subscription.cancel_at_period_end
    assert "Ends on" in shop.open(url).text
    assert press("resume", mine).status_code == 303
    assert not looked_at(provider, mine).subscription.cancel_at_period_end
    assert press("end", theirs).status_code == 404
    assert not looked_at(provider, theirs).subscription.cancel_at_period_end
    for data in ({}, {"subscription": "cs_test_x"}, {"subscription": "\x00"}):
        assert shop.open(f"{url}/end", "POST", data=data).status_code in {400, 404}
    shop.simulate(mine["order_id"], "end")
    assert press("resume", mine).status_code == 409
    german = shop.open(url, headers={"Accept-Language": "de"})
    assert "Beendet am" in german.text


def test_the_portal_closes_after_an_hour_and_cannot_be_made_up(api, shop, bought, monkeypatch, provider):
    buyer = api.person()
    shop.decide(shop.checkout(buyer, shop.price(interval="month")), "approve")
    url = api.post("/billing/portal", by=buyer).json["data"]["url"]
    assert shop.open(url[:-4] + "AAAA").status_code == 404
    later = utc_now() + timedelta(hours=1, seconds=2)
    monkeypatch.setattr("devforge_api.billing.routes.test_pages.utc_now", lambda: later)
    assert shop.open(url).status_code == 404
