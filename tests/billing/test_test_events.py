"""What the built-in provider tells, how it signs that, and what is refused."""

import json
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from devforge_api.billing.models import EventOutcome, Payment, ProviderEvent, Refund
from devforge_api.billing.service.providers.test import TestProvider, sign
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db
from devforge_api.licenses.models import LedgerEntry
from tests.billing.shop import Shop
from tests.factories import code_of


@pytest.fixture
def shop(api):
    return Shop(api)


@pytest.fixture
def bought(api, shop):
    """An order that is paid: once, or by the month."""

    def buy(interval="one_time"):
        made = shop.checkout(api.person(), shop.price(interval=interval))
        shop.decide(made, "approve")
        api.deliver()
        return made

    return buy


@pytest.fixture
def provider(app):
    with app.app_context():
        yield TestProvider(app.config["PUBLIC_URL"])


def event(order_id, event_id="evt_test_own"):
    payload = {
        "id": event_id,
        "type": "invoice.paid",
        "data": {"object": {"metadata": {"order_id": order_id}}},
    }
    return json.dumps(payload).encode()


def post(api, body, header, content_type="application/json"):
    headers = {"Test-Signature": header} if header is not None else {}
    return api.app.test_client().post(
        "/api/v1/billing/webhooks/test", data=body, headers=headers, content_type=content_type
    )


def test_a_signed_event_is_heard_once(app, api, bought):
    made = bought()
    with app.app_context():
        body = event(made["order_id"])
        header = sign(body, utc_now())
    told = [post(api, body, header).json["data"]["duplicate"] for _ in range(2)]
    assert told == [False, True]
    api.deliver()
    with app.app_context():
        row = db.session.scalars(select(ProviderEvent).where(ProviderEvent.event_id == "evt_test_own")).one()
        assert (row.outcome, row.order_id) == (EventOutcome.SETTLED, UUID(made["order_id"]))


def test_events_of_nothing_that_was_bought_here_are_ignored(app, api):
    with app.app_context():
        strange = [
            event(str(uuid4()), "evt_1"), event("no id", "evt_2"),
            b'{"id": "evt_3", "type": "x", "data": []}',
            b'{"id": "evt_4", "type": "x", "data": {"object": {"metadata": {"order_id": 7}}}}',
        ]  # fmt: skip
        for body in strange:
            assert post(api, body, sign(body, utc_now())).status_code == 200
    api.deliver()
    with app.app_context():
        assert set(db.session.scalars(select(ProviderEvent.outcome))) == {EventOutcome.IGNORED}


def test_what_is_not_signed_or_not_of_now_is_refused(app, api, bought):
    made = bought()
    body = event(made["order_id"])
    with app.app_context():
        good = sign(body, utc_now())
        moment, _, mac = good.partition(",v1=")
        wrong = {
            "missing": None,
            "empty": "",
            "nonsense": "v1=1",
            "no moment": f"v1={mac}",
            "other body": sign(body + b" ", utc_now()),
            "stale": sign(body, utc_now() - timedelta(seconds=302)),
            "future": sign(body, utc_now() + timedelta(seconds=302)),
            "moved moment": f"t={int(moment[2:]) + 1},v1={mac}",
            "cut": good[:-1],
            "another scheme": good.replace("v1=", "v0="),
            "huge": good + ",v1=" + "0" * 100_000,
        }
    for name, header in wrong.items():
        refused = post(api, body, header)
        assert (refused.status_code, code_of(refused)) == (400, "INVALID_SIGNATURE"), name
    beside = f"{good},v1={'0' * 64}"  # as while a key is rotated
    assert post(api, body, beside).status_code == 200
    for unreadable in (b"", b"[]", b"{", b'{"id": 1, "type": "x"}', b'{"id": "", "type": "x"}', b"\xff"):
        with app.app_context():
            header = sign(unreadable, utc_now())
        assert code_of(post(api, unreadable, header)) == "MALFORMED_REQUEST", unreadable


def test_while_the_secret_key_is_rotated_both_sign(app, api, make_api, bought):
    made = bought()
    body = event(made["order_id"])
    with app.app_context():
        header = sign(body, utc_now())
    new = "another-key-of-the-tests-of-43-characters--"
    rotated = make_api(SECRET_KEYS=(new, *app.config["SECRET_KEYS"]))
    assert post(rotated, body, header).status_code == 200
    assert code_of(post(make_api(SECRET_KEYS=(new,)), body, header)) == "INVALID_SIGNATURE"


def test_what_was_told_can_be_asked_for_again(bought, provider, shop):
    begin = utc_now()
    made = bought("month")
    middle = utc_now()
    shop.simulate(made["order_id"], "renew")
    kinds = [told.kind for told in provider.events(begin, utc_now())]
    assert kinds == [
        "customer.subscription.created", "checkout.session.completed", "invoice.paid",
        "customer.subscription.updated",
    ]  # fmt: skip
    assert [told.kind for told in provider.events(middle, utc_now())] == kinds[2:]
    assert list(provider.events(begin - timedelta(days=1), begin)) == []
    assert {provider.order_of(told.payload) for told in provider.events(begin, utc_now())} == {
        UUID(made["order_id"])
    }


def test_no_event_tells_the_address_at_which_an_order_is_paid(app, api, shop):
    made = shop.checkout(api.person(), shop.price(interval="month"))
    shop.decide(made, "delay")
    shop.decide(made, "approve")
    shop.simulate(made["order_id"], "refund")
    secret = made["session_id"].removeprefix("cs_test_")
    with app.app_context():
        names = [*db.session.scalars(select(ProviderEvent.event_id)), *_charges(), *_causes()]
    assert len(names) >= 5
    assert not [name for name in names if secret in name]


def _charges():
    return [
        *db.session.scalars(select(Payment.charge_reference)),
        *db.session.scalars(select(Refund.reference)),
    ]


def _causes():
    return [cause for cause in db.session.scalars(select(LedgerEntry.cause_id)) if cause is not None]


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"id":"e","type":"t","d":' + b"[" * 100_000,
        b'{"id":"a\\ud800","type":"t"}',
        b'{"id":"a\\u0000","type":"t"}',
        b'{"id":5,"type":"t"}',
        b"\xff",
        b'{"id":"e","d":' + b"9" * 5_000 + b"}",
    ],
    ids=["deep list", "deep value", "surrogate", "NUL", "number", "no text", "long number"],
)
def test_what_is_signed_and_no_event_is_malformed(api, app, body):
    with app.app_context():
        signature = sign(body, utc_now())
    assert post(api, body, signature).status_code == 400
