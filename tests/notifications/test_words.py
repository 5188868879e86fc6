"""Every piece of news has its words, in every language, and nothing that they ask for is missing."""

import json
import string
from uuid import uuid4

import pytest

from devforge_api.core import news
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.languages import LANGUAGES
from devforge_api.events import EVENTS
from devforge_api.licenses.models import License
from devforge_api.notifications import catalogue, words
from devforge_api.notifications.catalogue import DEFAULTS, ENTRIES, SILENT
from devforge_api.notifications.models import Channel, Kind, Notification
from devforge_api.notifications.routes.words import WORDS
from tests.factories.billing import Books

KEYS = sorted(words.EN)


def event_of(key):
    return key.partition("/")[0]


def test_all_news_is_either_a_notification_or_passed_by_on_purpose():
    assert set(news.told()) - set(ENTRIES) == SILENT & set(news.told())
    assert not set(ENTRIES) & SILENT
    assert set(ENTRIES) | SILENT <= set(EVENTS)


def test_every_entry_has_texts_in_every_language_and_no_text_is_left_over():
    assert set(words.TEXTS) == set(LANGUAGES)
    assert {event_of(key) for key in KEYS} == set(ENTRIES)
    for language in LANGUAGES:
        assert sorted(words.TEXTS[language]) == KEYS, language


@pytest.mark.parametrize("key", KEYS)
def test_a_text_puts_in_the_same_in_every_language(key):
    def wanted(text):
        return {(name, spec) for _, name, spec, _ in string.Formatter().parse(" ".join(text)) if name}

    first, *others = (wanted(words.TEXTS[language][key]) for language in LANGUAGES)
    for other in others:
        assert other == first
    assert {spec for _, spec in first} <= {"", "day", "money"}


def test_every_kind_and_channel_has_a_default_and_a_name():
    assert set(DEFAULTS) == set(Kind)
    for kind, choices in DEFAULTS.items():
        assert set(choices) == set(Channel)
        for each in WORDS.values():
            assert each(kind.value) != each("unknown")
    # Letters of kinds that never have any would have no way to choose them.
    for entry in ENTRIES.values():
        if entry.written:
            assert DEFAULTS[entry.kind][Channel.MAIL] != catalogue.NEVER


@pytest.fixture
def ids(api):
    """What the payload of any event may name, all of it real."""
    owner = api.person()
    license_ = api.license(owner=owner)
    books = Books(api)
    order = books.order(owner, [(books.price(license_.policy_id), 1)])
    payment = books.payment(order)
    refund, subscription = books.refund(payment), books.subscription(order)
    release = api.release(license_.product_id, "2.0.0")
    known = {
        "user_id": owner.id,
        "license_id": license_.id,
        "order_id": order.id,
        "payment_id": payment.id,
        "refund_id": refund.id,
        "subscription_id": subscription.id,
        "release_id": release,
        "product_id": license_.product_id,
    }
    found = {name: str(value) for name, value in known.items()}
    return {**found, "user_ids": [str(owner.id)], "provider": "github"}


def tellings(name, ids):
    """What the event's own teller says of it, as the outbox would have it."""
    payload = {key: ids.get(key, str(uuid4())) for key in EVENTS[name].keys}
    told = news._tellers[name](json.loads(json.dumps(payload)))
    return None if told is None else json.loads(json.dumps(told[1]))


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_tellers_say_fills_every_text(api, ids, context, language):
    seen = set()
    for name in sorted(set(ENTRIES) & set(news.told())):
        data = tellings(name, ids)
        if data is None:
            continue
        for key in (one for one in KEYS if event_of(one) == name):
            variant = key.partition("/")[2]
            if variant == "until":
                data["expires_at"] = "2026-01-15T09:30:00Z"
            text = words.text_of(name, variant, language, data)
            assert words.MISSING not in text.title + text.body, key
            assert "{" not in text.title + text.body, key
            seen.add(name)
        link = catalogue.link_of(Notification(event=name, data=data))
        assert (link is None) == (ENTRIES[name].about is None), name
    assert len(seen) >= 25


def test_every_variant_is_reached_by_what_is_told():
    reached = {
        f"subscription.changed/{catalogue.ENTRIES['subscription.changed'].variant(data)}"
        for data in (
            {"subscription_status": "past_due"}, {"subscription_status": "unpaid"},
            {"subscription_status": "paused"}, {"subscription_status": "canceled"},
            {"subscription_status": "active", "cancel_at_period_end": True},
        )
    } | {
        f"license.renewed/{catalogue.ENTRIES['license.renewed'].variant(data)}"
        for data in ({"expires_at": None}, {"expires_at": "2026-01-15T09:30:00Z"})
    }  # fmt: skip
    assert reached == {key for key in KEYS if "/" in key}
    running = {"subscription_status": "active", "cancel_at_period_end": False}
    assert catalogue.ENTRIES["subscription.changed"].variant(running) is None


def test_amounts_and_days_are_written_as_people_read_them():
    money = {"amount": 5900, "currency": "USD", "current_period_end": "2026-03-01T00:00:00Z"}
    assert words.text_of("payment.refunded", "", "en", money).body.startswith("59.00 USD were")
    assert words.text_of("subscription.changed", "ending", "en", money).body.endswith("on 2026-03-01.")


def test_a_row_of_before_its_text_asked_for_more_can_be_read_still():
    assert words.text_of("license.issued", "", "en", {}).body == "You have a licence for ? (?)."


def test_nothing_is_put_in_but_by_its_plain_name():
    data = {"product_name": "{policy.__class__}", "policy": "pro"}
    assert "{policy.__class__}" in words.text_of("license.issued", "", "en", data).body


def test_a_pending_licence_is_not_told(api, ids, context):
    with unit_of_work():
        row = db.session.get_one(License, db.session.scalars(db.select(License.id)).first())
        row.status = "pending"
    assert tellings("license.issued", {**ids, "license_id": str(row.id)}) is None
