"""The browsers that take push messages, and the key that they subscribe with."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import select

from devforge_api.core.db import db
from devforge_api.notifications.models import PushKey, PushSubscription
from devforge_api.notifications.service.browsers import MOST
from tests.factories import code_of
from tests.factories.notifications import Browser, base64url, tell
from tests.notifications.push import PATH, subscribe, subscriptions


@pytest.fixture
def api(push_api):
    return push_api


@pytest.fixture
def ada(api):
    return api.person()


def test_the_key_is_made_once_and_kept_encrypted(api):
    person, start = api.person(), Barrier(4)

    def ask(_):
        start.wait()
        return api.get("/notifications/push-key", by=person).json["data"]["public_key"]

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(ask, range(4)))) == 1
    with api.app.app_context():
        (row,) = db.session.scalars(select(PushKey))
        assert "PRIVATE" not in row.private_key


def test_a_browser_stands_there_once_and_its_address_nowhere(api, ada, service):
    browser, first = subscribe(api, ada, service.url)
    again = api.post(PATH, browser.subscription, by=ada, headers={"User-Agent": "Firefox/146"})
    assert again.json["data"]["id"] == first
    assert again.headers["Location"].endswith(f"{PATH}/{first}")
    (shown,) = subscriptions(api, ada)
    assert shown == again.json["data"] == api.get(f"{PATH}/{first}", by=ada).json["data"]
    assert shown["user_agent"] == "Firefox/146"
    assert shown["endpoint_hash"] == hashlib.sha256(service.url.encode()).hexdigest()
    assert service.url not in json.dumps(shown)
    with api.app.app_context():
        (row,) = db.session.scalars(select(PushSubscription))
        assert service.url not in row.endpoint
        assert base64url(browser.auth) not in row.keys


def test_a_shared_browser_is_whose_who_uses_it_now(api, ada, service):
    browser, _ = subscribe(api, ada, service.url)
    tell(api, [ada])  # on its way when the browser changes hands
    eve = api.person()
    assert api.post(PATH, browser.subscription, by=eve).status_code == 201
    assert subscriptions(api, ada) == []
    api.deliver()
    assert service.received == []
    tell(api, [eve])
    api.deliver()
    assert len(service.received) == 1


def test_a_user_has_a_bounded_number_of_browsers_also_at_once(api, ada, service):
    for number in range(MOST - 2):
        subscribe(api, ada, f"{service.url}/{number}")
    start = Barrier(4)

    def another(number):
        start.wait()
        return api.post(PATH, Browser.at(f"{service.url}/more/{number}").subscription, by=ada)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(another, range(4)))
    assert sorted(one.status_code for one in answers) == [201, 201, 409, 409]
    refused = next(one for one in answers if one.status_code == 409)
    assert code_of(refused) == "TOO_MANY_PUSH_SUBSCRIPTIONS"
    assert refused.json["error"]["params"] == {"limit": MOST}
    again = api.post(PATH, Browser.at(f"{service.url}/0").subscription, by=ada)
    assert again.status_code == 201  # one that is there already


def test_a_browser_is_removed_by_its_id_or_by_its_endpoint(api, ada, service):
    _, first = subscribe(api, ada, service.url)
    assert api.delete(f"{PATH}/{first}", by=ada).status_code == 204
    subscribe(api, ada, service.url)
    there = f"{PATH}/by-endpoint/{hashlib.sha256(service.url.encode()).hexdigest()}"
    eve = api.person()
    for refused in (api.get(there, by=eve), api.delete(there, by=eve), api.get(f"{there}0", by=ada)):
        assert (refused.status_code, code_of(refused)) == (404, "PUSH_SUBSCRIPTION_NOT_FOUND")
    assert [api.get(there, by=ada).json["data"]] == subscriptions(api, ada)
    assert api.delete(there, by=ada).status_code == 204
    assert subscriptions(api, ada) == []


def test_a_repeated_request_is_answered_again(api, ada, service):
    api.get("/notifications/push-key", by=ada)
    body, key = Browser.at(service.url).subscription, {"Idempotency-Key": "browser-1"}
    first, second = (api.post(PATH, body, by=ada, headers=key) for _ in range(2))
    assert first.json == second.json
    assert second.headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize(
    "keys",
    [{}, {"p256dh": "AAAA", "auth": "c2l4dGVlbiBieXRlcyBvaw"},
     {"p256dh": base64url(b"\4" + b"\1" * 64), "auth": "c2l4dGVlbiBieXRlcyBvaw"},
     {"p256dh": "§" * 40, "auth": "c2l4dGVlbiBieXRlcyBvaw"},
     {**Browser.at("").subscription["keys"], "auth": "c2hvcnQ"}],
)  # fmt: skip
def test_keys_that_nothing_can_be_encrypted_for_are_refused(api, ada, service, keys):
    refused = api.post(PATH, {"endpoint": service.url, "keys": keys}, by=ada)
    assert (refused.status_code, code_of(refused)) == (422, "VALIDATION_ERROR")
    assert all(one["field"].startswith("keys.") for one in refused.json["error"]["details"])
