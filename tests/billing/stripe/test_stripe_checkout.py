"""Opening checkouts at Stripe: prices, customers and sessions are made once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from devforge_api.billing.errors import ProviderRefused, ProviderUnavailable
from devforge_api.billing.models import Interval
from devforge_api.billing.service.providers import stripe_client
from devforge_api.billing.service.providers.base import OrderReferences, SessionState
from devforge_api.billing.service.providers.stripe import StripeProvider
from devforge_api.core.db import uuid7
from tests.billing.fake_stripe import SECRET_KEY, WEBHOOK_SECRET
from tests.billing.stripe.conftest import request_for, to_buy


def made(fake, kind):
    return fake.books.all(kind)


def test_a_checkout_carries_the_order_everywhere(provider, fake):
    price = to_buy()
    request = request_for((price, 2))
    checkout = provider.create_checkout(request)
    session = fake.pay(checkout.reference)
    intent = fake.get(session["payment_intent"])
    assert session["client_reference_id"] == str(request.order_id)
    assert session["metadata"] == intent["metadata"] == {"order_id": str(request.order_id)}
    assert (session["amount_total"], session["currency"], session["mode"]) == (11800, "usd", "payment")
    assert (session["success_url"], session["cancel_url"]) == (request.success_url, request.cancel_url)
    assert checkout.url.startswith("https://checkout.stripe.example/")
    (at_stripe,) = made(fake, "price")
    assert checkout.prices == {price.price_id: at_stripe["id"]}
    assert at_stripe["metadata"] == {"price_id": str(price.price_id)}
    (customer,) = made(fake, "customer")
    assert checkout.customer_reference == customer["id"] == session["customer"]
    assert customer["metadata"] == {"user_id": str(request.user_id)}
    assert customer["email"] == "ada@example.com"


def test_what_is_known_already_is_not_made_again(provider, fake):
    first = provider.create_checkout(request_for((price := to_buy(), 1)))
    known = to_buy(price.price_id, reference=first.prices[price.price_id])
    again = provider.create_checkout(request_for((known, 1), customer_reference=first.customer_reference))
    assert again.reference != first.reference
    assert not again.prices
    assert (len(made(fake, "price")), len(made(fake, "customer"))) == (1, 1)


def test_a_repeated_checkout_of_an_order_is_the_same_page(provider, fake):
    request = request_for()
    assert provider.create_checkout(request) == provider.create_checkout(request)
    assert len(made(fake, "checkout.session")) == 1


def test_callers_at_once_open_one_page(provider, fake):
    request = request_for()
    with ThreadPoolExecutor(8) as pool:
        pages = list(pool.map(provider.create_checkout, [request] * 16))
    assert len({page.reference for page in pages}) == 1
    assert [len(made(fake, kind)) for kind in ("price", "customer", "checkout.session")] == [1, 1, 1]


@pytest.mark.parametrize("lost", [0, 1, 2], ids=["price", "customer", "session"])
def test_an_answer_that_is_lost_makes_nothing_twice(provider, fake, lost):
    fake.lost = [False] * lost + [True]
    provider.create_checkout(request_for())
    assert len(fake.calls) == 4, "one of the three requests was repeated"
    assert [len(made(fake, kind)) for kind in ("price", "customer", "checkout.session")] == [1, 1, 1]


def test_a_subscription_knows_its_order_its_items_places_and_its_trial(provider, fake):
    lines = [(to_buy(interval=Interval.YEAR, amount=amount), 1) for amount in (100, 200, 300)]
    request = request_for(*lines, trial_days=14)
    session = fake.pay(provider.create_checkout(request).reference)
    subscription = fake.get(session["subscription"])
    assert subscription["status"] == "trialing"
    assert subscription["metadata"] == {
        "order_id": str(request.order_id),
        **{f"item_{place}": str(price.price_id) for place, (price, _) in enumerate(lines)},
    }
    seen = provider.look(OrderReferences(request.order_id, session["id"], None)).subscription
    assert seen.price_ids == tuple(price.price_id for price, _ in lines)


@pytest.mark.parametrize(
    ("currency", "ours", "theirs"),
    [("EUR", 1999, 1999), ("JPY", 1500, 1500), ("KWD", 1230, 1230), ("ISK", 1500, 150000), ("MGA", 5000, 50)],
)
def test_amounts_go_in_the_units_of_stripe_and_come_back_in_ours(provider, fake, currency, ours, theirs):
    request = request_for((to_buy(amount=ours, currency=currency), 1))
    session = fake.pay(provider.create_checkout(request).reference)
    assert (session["amount_total"], session["currency"]) == (theirs, currency.lower())
    (payment,) = provider.look(OrderReferences(request.order_id, session["id"], None)).payments
    assert (payment.amount, payment.currency) == (ours, currency)


def test_an_amount_that_stripe_cannot_write_is_refused(provider):
    with pytest.raises(ProviderRefused):
        provider.create_checkout(request_for((to_buy(amount=5001, currency="MGA"), 1)))


def test_a_customer_that_was_removed_at_stripe_is_made_again(provider, fake):
    gone = provider.create_checkout(request_for()).customer_reference
    fake.remove_customer(gone)
    request = request_for(customer_reference=gone)
    page = provider.create_checkout(request)
    assert page.customer_reference not in (None, gone)
    assert provider.create_checkout(request) == page


def test_a_page_is_closed_once_and_a_complete_one_stays(provider, fake):
    page, paid = (provider.create_checkout(request_for()).reference for _ in range(2))
    provider.expire_checkout(page)
    provider.expire_checkout(page)
    assert fake.get(page)["status"] == "expired"
    fake.pay(paid)
    provider.expire_checkout(paid)
    assert fake.get(paid)["status"] == "complete"


def test_the_session_of_an_order_that_does_not_know_it_is_found(provider, fake):
    """The process was killed after Stripe had made the session, and before we had noted it."""
    others = [provider.create_checkout(request_for()) for _ in range(3)]
    request = request_for()
    fake.pay(provider.create_checkout(request).reference)
    seen = provider.look(OrderReferences(request.order_id, None, None))
    assert seen.session is SessionState.COMPLETE
    assert len(seen.payments) == 1
    nothing = provider.look(OrderReferences(uuid7(), None, None))
    assert (nothing.session, nothing.payments) == (SessionState.OPEN, ())
    assert others


def test_the_portal_is_the_customers_own(provider, fake):
    customer = provider.create_checkout(request_for()).customer_reference
    url = provider.portal_url(customer, "https://shop.example/back")
    assert url.startswith("https://billing.stripe.example/")
    assert fake.calls[-1][2] == {"customer": customer, "return_url": "https://shop.example/back"}
    with pytest.raises(ProviderRefused):
        provider.portal_url("cus_of_nobody", "https://shop.example/back")


# --- no answer, and a clear no --------------------------------------------------------------------
def test_a_server_error_is_tried_once_more(provider, fake):
    fake.fail(500)
    assert provider.create_checkout(request_for()).reference
    fake.fail(503, times=2)
    with pytest.raises(ProviderUnavailable):
        provider.create_checkout(request_for())


def test_too_many_requests_say_when_to_come_again(provider, fake):
    fake.fail(429, Retry_After="17")
    with pytest.raises(ProviderUnavailable) as told:
        provider.create_checkout(request_for())
    assert told.value.params == {"retry_after": 17}


def test_nobody_at_home_is_unavailable():
    provider = StripeProvider(SECRET_KEY, webhook_secrets=(WEBHOOK_SECRET,), api_base="http://127.0.0.1:9")
    with pytest.raises(ProviderUnavailable):
        provider.create_checkout(request_for())


def test_all_requests_together_have_their_time(provider, fake, monkeypatch):
    monkeypatch.setattr(stripe_client, "TOGETHER_SECONDS", 0)
    with pytest.raises(ProviderUnavailable):
        provider.create_checkout(request_for())
    assert fake.calls == []


def test_a_refusal_tells_the_reason(provider):
    with pytest.raises(ProviderRefused, match="No such price: 'price_that_is_gone'"):
        provider.create_checkout(request_for((to_buy(reference="price_that_is_gone"), 1)))


def test_a_wrong_key_is_our_own_trouble_and_is_shown_to_nobody(fake, caplog):
    key = "sk_test_another_key_that_is_secret"
    provider = StripeProvider(key, webhook_secrets=(WEBHOOK_SECRET,), api_base=fake.address)
    with pytest.raises(ProviderUnavailable) as told:
        provider.create_checkout(request_for())
    assert told.value.__cause__ is None
    assert told.value.__suppress_context__
    assert key not in f"{told.value} {caplog.text}"
    assert "DEVFORGE_STRIPE_SECRET_KEY" in caplog.text


@pytest.mark.parametrize(
    ("key", "secrets"), [("", ("whsec",)), ("sk", ()), ("sk", ("",)), ("sk", ("a", " "))]
)
def test_an_empty_key_or_secret_is_refused(key, secrets):
    with pytest.raises(ValueError, match="an empty one signs anything"):
        StripeProvider(key, webhook_secrets=secrets, api_base=None)
