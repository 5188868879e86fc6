"""Webhook calls: whose they are, which order they concern, and what they are answered."""

from __future__ import annotations

import json
import random
import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from devforge_api.billing.errors import InvalidSignature
from devforge_api.billing.models import EventOutcome, Interval, ProviderEvent
from devforge_api.billing.service.providers.stripe import StripeProvider
from devforge_api.core.db import db, uuid7
from tests.billing.fake_stripe import SECRET_KEY, WEBHOOK_SECRET
from tests.billing.stripe.conftest import request_for, to_buy
from tests.factories import V1, code_of

HOOK = f"{V1}/billing/webhooks/stripe"
EVENT = {"id": "evt_1", "object": "event", "type": "invoice.paid", "livemode": False, "data": {"object": {}}}
BODY = json.dumps(EVENT).encode()
OTHER = "whsec_another_one_with_many_letters"


def read(provider, headers, body=BODY):
    return provider.read_event(body, headers)


# --- signatures ---------------------------------------------------------------------------------
def test_a_signed_event_is_read(provider, fake):
    told = read(provider, fake.sign(BODY))
    assert (told.event_id, told.kind, told.payload) == ("evt_1", "invoice.paid", EVENT)
    (signature,) = (value for name, value in fake.sign(BODY).items() if name.startswith("Stripe"))
    assert read(provider, {"stripe-signature": signature}) == told


@pytest.mark.parametrize("seconds", [-299, 0, 299])
def test_clocks_may_differ_by_five_minutes(provider, fake, seconds):
    assert read(provider, fake.sign(BODY, at=int(time.time()) + seconds))


@pytest.mark.parametrize("seconds", [-86400, -301, 302, 86400])
def test_what_is_stale_or_of_the_future_is_refused(provider, fake, seconds):
    with pytest.raises(InvalidSignature):
        read(provider, fake.sign(BODY, at=int(time.time()) + seconds))


@pytest.mark.parametrize("secret", ["", " ", OTHER, WEBHOOK_SECRET.upper()])
def test_other_secrets_are_refused(provider, fake, secret):
    with pytest.raises(InvalidSignature):
        read(provider, fake.sign(BODY, secret=secret))


def test_another_body_is_refused(provider, fake):
    for body in (BODY + b" ", BODY.replace(b"evt_1", b"evt_2"), b"", b"\xff" + BODY):
        with pytest.raises(InvalidSignature):
            read(provider, fake.sign(BODY), body)


def test_a_header_that_is_none_is_refused(provider, fake):
    now, good = int(time.time()), fake.sign(BODY)["Stripe-Signature"]
    signature = good.partition("v1=")[2]
    bad = [
        "", "t=", f"t={now}", f"v1={signature}", f"t={now},v0={signature}", f"t={now},v1=", "=,=,=",
        f"t=x,v1={signature}", f"t={now},v1=é{signature}", f"t={'9' * 5000},v1={signature}", "t,v1", ",",
        f"t={now + 1},{good}", f"t={now},v1={signature.upper()}",
    ]  # fmt: skip
    for header in bad:
        with pytest.raises(InvalidSignature):
            read(provider, {"Stripe-Signature": header})
    with pytest.raises(InvalidSignature):
        read(provider, {})


def test_while_a_secret_is_rotated_both_are_good_and_one_of_several_signatures(fake):
    rotating = StripeProvider(SECRET_KEY, webhook_secrets=(OTHER, WEBHOOK_SECRET), api_base=None)
    assert read(rotating, fake.sign(BODY))
    assert read(rotating, fake.sign(BODY, secret=OTHER))
    assert read(rotating, fake.sign(BODY, more=f"v1={'0' * 64},v0=1,"))
    after = StripeProvider(SECRET_KEY, webhook_secrets=(OTHER,), api_base=None)
    with pytest.raises(InvalidSignature):
        read(after, fake.sign(BODY))


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"7", b"null", b"{}", b'{"id": 1, "type": "a"}', b'{"id": "", "type": "a"}',
        b'{"id": "a\\u0000", "type": "a"}', b'{"id": "a", "type": "%s"}' % (b"a" * 256),
        b'{"id": "a", "type": null}', b"[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_signed_and_no_event_cannot_be_read(provider, fake, body):
    with pytest.raises(ValueError, match=r"an event has|Expecting|nested"):
        read(provider, fake.sign(body), body)


# --- whose --------------------------------------------------------------------------------------
@pytest.fixture
def everything(provider, fake):
    """Every event of two orders and all that can happen to them, and who they are."""
    once, monthly = request_for(), request_for((to_buy(interval=Interval.MONTH), 1))
    first = provider.create_checkout(once).reference
    second = provider.create_checkout(monthly).reference
    fake.pay(first, later=True)
    fake.money_comes(first)
    provider.refund(uuid7(), fake.get(first)["payment_intent"], 100)
    fake.turn_refund(fake.refund(first, 10)["id"])
    fake.close_dispute(fake.dispute(first)["id"], "won")
    subscription = fake.pay(second)["subscription"]
    fake.renew(subscription)
    fake.renew(subscription, declined=True)
    fake.recover(subscription)
    invoice = fake.get(subscription)["latest_invoice"]
    fake.turn_refund(fake.refund(invoice, 10)["id"])
    fake.close_dispute(fake.dispute(invoice)["id"], "lost")
    fake.turn(subscription, "paused")
    fake.resume(subscription)
    fake.cancel(subscription, at_period_end=True)
    fake.cancel(subscription)
    return once.order_id, monthly.order_id, fake.take_events()


def test_every_event_leads_to_its_order(provider, fake, everything):
    once, monthly, events = everything
    assert len({event["type"] for event in events}) >= 14
    found = {event["id"]: provider.order_of(event) for event in events}
    assert set(found.values()) == {once, monthly}
    first_of_monthly = next(
        place for place, event in enumerate(events) if event["type"] == "customer.subscription.created"
    )
    assert set(list(found.values())[:first_of_monthly]) == {once}
    assert set(list(found.values())[first_of_monthly:]) == {monthly}


def test_events_of_nothing_that_was_bought_here(provider, fake, everything):
    event = everything[2][0]
    strange = {"id": "evt_x", "type": "invoice.paid", "livemode": False}
    for other in [
        {**event, "livemode": True},
        {**event, "account": "acct_of_somebody_else"},
        {**event, "type": "customer.updated"},
        {**event, "type": "a.new.kind"},
        strange,
        {**strange, "data": None},
        {**strange, "data": {"object": "x"}},
        {**strange, "data": {"object": {"object": "invoice"}}},
        {**strange, "data": {"object": {"object": "a.new.one", "metadata": []}}},
        {**strange, "data": {"object": {"object": "invoice", "metadata": {"order_id": "7"}}}},
    ]:
        assert provider.order_of(other) is None


def test_what_is_gone_at_stripe_belongs_to_nothing(provider):
    for told in [
        {"object": "refund", "payment_intent": "pi_gone"},
        {"object": "refund", "charge": "ch_gone"},
        {"object": "invoice", "subscription": "sub_gone"},
    ]:
        event = {"id": "evt_x", "type": "refund.created", "livemode": False, "data": {"object": told}}
        assert provider.order_of(event) is None


def test_test_mode_is_nothing_to_a_live_key(fake, everything):
    live = StripeProvider("rk_live_1234567890", webhook_secrets=(WEBHOOK_SECRET,), api_base=fake.address)
    before = len(fake.calls)
    assert {live.order_of(event) for event in everything[2]} == {None}
    assert len(fake.calls) == before, "it is not even asked for"


def test_the_list_of_events_has_all_of_them_oldest_first(provider, fake, everything):
    now, events = datetime.now(UTC), everything[2]
    for place, event in enumerate(events * 8):  # more than two pages, over three days
        again = fake.books.make("evt", "event", type=event["type"], data=event["data"])
        again["created"] = int(now.timestamp()) - 86400 * 3 + place
    for event in events:
        event["created"] = int(now.timestamp())
        fake.books.objects[event["id"]]["created"] = int(now.timestamp())
    fake.books.make("evt", "event", type="customer.updated", data={"object": {}})
    told = list(provider.events(now - timedelta(days=4), now))
    assert len(told) == len(events) * 9
    moments = [event.payload["created"] for event in told]
    assert moments == sorted(moments)
    assert len({event.event_id for event in told}) == len(told)
    assert [e.event_id for e in provider.events(now - timedelta(hours=1), now)] == [e["id"] for e in events]
    assert list(provider.events(now + timedelta(days=1), now)) == []


# --- the route ----------------------------------------------------------------------------------
def test_a_provider_that_is_not_configured_is_not_found(api):
    for name in ("stripe", "paypal", "test%00"):
        answer = api.post(f"/billing/webhooks/{name}", {})
        assert answer.status_code == 404, name


def test_an_event_is_stored_once_however_often_it_is_told(shop, fake):
    client = shop.app.test_client()
    assert fake.deliver(client, EVENT).json["data"] == {"received": True, "duplicate": False}
    for _ in range(3):
        assert fake.deliver(client, EVENT).json["data"] == {"received": True, "duplicate": True}
    with shop.app.app_context():
        (row,) = db.session.scalars(select(ProviderEvent)).all()
    assert (row.event_id, row.kind, row.outcome) == ("evt_1", "invoice.paid", EventOutcome.WAITING)
    assert "evt_1" not in row.payload, "it is encrypted"
    shop.deliver()
    with shop.app.app_context():
        (row,) = db.session.scalars(select(ProviderEvent)).all()
    assert (row.outcome, row.handled_at is None) == (EventOutcome.IGNORED, False)


@pytest.mark.parametrize("kind", ["a.new.kind", "customer.updated", "v2.core.event_destination.ping"])
def test_kinds_that_concern_no_order_are_received_and_ignored(shop, fake, kind):
    assert fake.deliver(shop.app.test_client(), {**EVENT, "type": kind}).status_code == 200
    shop.deliver()
    with shop.app.app_context():
        assert db.session.scalar(select(ProviderEvent.outcome)) is EventOutcome.IGNORED


def test_what_is_not_signed_is_refused_and_leaves_nothing(shop, fake):
    client = shop.app.test_client()
    for answer in (
        client.post(HOOK, data=BODY, headers=fake.sign(BODY, secret=OTHER)),
        client.post(HOOK, data=BODY, headers=fake.sign(BODY, at=int(time.time()) - 301)),
        client.post(HOOK, data=BODY, headers=fake.sign(BODY, at=int(time.time()) + 302)),
        client.post(HOOK, data=BODY),
        client.post(HOOK, data=BODY, headers={"Stripe-Signature": "t=1,v1=\xff"}),
    ):
        assert (answer.status_code, code_of(answer)) == (400, "INVALID_SIGNATURE")
    with shop.app.app_context():
        assert db.session.scalars(select(ProviderEvent)).all() == []


def test_what_is_signed_and_cannot_be_used_is_never_an_error_of_ours(shop, fake):
    """Stripe repeats for three days what is answered 500."""
    chance = random.Random(6)
    client = shop.app.test_client()
    bodies = [b"", b"{", b"[]", b'"\xc3\xa9"', b'{"id": "a"}', b"[" * 50_000, b"9" * 9_000]
    for _ in range(60):
        cut = bytearray(BODY)
        cut[chance.randrange(len(cut))] = chance.randrange(128)
        bodies.append(bytes(cut))
    for number, body in enumerate(bodies):
        answer = client.post(HOOK, data=body, headers=fake.sign(body))
        assert answer.status_code in (200, 400), (number, body[:80], answer.data)
    assert code_of(client.post(HOOK, data=b"{", headers=fake.sign(b"{"))) == "MALFORMED_REQUEST"
    while shop.deliver():
        pass
    with shop.app.app_context():
        assert set(db.session.scalars(select(ProviderEvent.outcome))) <= {EventOutcome.IGNORED}
