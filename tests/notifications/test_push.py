"""Web Push: to a real server, read as a browser reads it; and servers that mean no good."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from urllib.parse import urlsplit
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select, update

from devforge_api.core import outbound
from devforge_api.core.clock import rfc3339, utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.outbox import OutboxRow, OutboxStatus
from devforge_api.notifications.models import Notification, PushKey, PushSubscription
from devforge_api.notifications.service import pushing
from devforge_api.notifications.service.browsers import MOST
from tests.factories import code_of
from tests.factories.notifications import LICENSE, Browser, base64url, tell
from tests.receiver import dripping, receiver

PATH = "/notifications/push-subscriptions"


@pytest.fixture
def api(make_api, app):
    return make_api(
        DEVFORGE_LOCAL_DESTINATIONS="loopback",
        DEVFORGE_MAIL_FROM="Dev Forge <help@example.org>",
        OUTBOUND_SECONDS=2.0,
    )


@pytest.fixture
def service():
    """A push service."""
    with receiver() as found:
        found.always = 201
        yield found


@pytest.fixture
def ada(api):
    return api.person()


def subscribe(api, person, endpoint):
    """A browser of a person's, as it subscribes: with the server's key."""
    assert api.get("/notifications/push-key", by=person).status_code == 200
    browser = Browser.at(endpoint)
    made = api.post(PATH, browser.subscription, by=person)
    assert made.status_code == 201, made.json
    return browser, made.json["data"]["id"]


def due(app):
    """Push messages on their way: (status, attempts, seconds from now, error)."""
    with app.app_context():
        rows = db.session.scalars(select(OutboxRow).where(OutboxRow.name == "notification.push_due"))
        now = utc_now()
        return [
            (row.status, row.attempts, (row.next_attempt_at - now).total_seconds(), row.error or "")
            for row in rows.all()
        ]


def subscriptions(api, person):
    return api.get(PATH, by=person).json["data"]


# --- a message ---------------------------------------------------------------------------------
def test_a_browser_reads_what_it_is_sent(api, ada, service, set_locale):
    browser, _ = subscribe(api, ada, service.url)
    set_locale(ada, "de")
    tell(api, [ada])
    api.deliver()
    (message,) = service.received
    (row,) = api.get("/notifications", by=ada).json["data"]
    assert json.loads(browser.decrypt(message.body)) == {
        name: row[name] for name in ("id", "title", "body", "kind", "link")
    }
    assert row["title"] == "Ihre Lizenz für Dev Forge ist abgelaufen"
    assert message.method == "POST"
    headers = message.headers
    assert (headers["ttl"], headers["urgency"], headers["content-encoding"]) == (
        "86400",
        "normal",
        "aes128gcm",
    )
    assert headers["topic"] == UUID(row["id"]).hex
    assert len(headers["topic"]) <= 32
    assert subscriptions(api, ada)[0]["last_delivered_at"] is not None
    assert subscriptions(api, ada)[0]["updated_at"] < subscriptions(api, ada)[0]["last_delivered_at"]


def test_a_push_service_knows_us_by_the_key_that_browsers_subscribe_with(api, ada, service):
    subscribe(api, ada, service.url)
    tell(api, [ada])
    api.deliver()
    scheme, _, told = service.received[0].headers["authorization"].partition(" ")
    parts = dict(part.split("=", 1) for part in told.split(","))
    public = api.get("/notifications/push-key", by=ada).json["data"]["public_key"]
    assert (scheme, parts["k"]) == ("vapid", public)
    point = jwt.utils.base64url_decode(public)
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    origin = service.url.removesuffix(urlsplit(service.url).path)
    claims = jwt.decode(parts["t"], key, algorithms=["ES256"], audience=origin)
    assert claims["sub"] == "mailto:help@example.org"
    assert 0 < claims["exp"] - utc_now().timestamp() <= 24 * 3600


@pytest.mark.parametrize(
    ("sender", "url", "expected"),
    [("Dev Forge <a@b.example>", "http://127.0.0.1:8000", "mailto:a@b.example"),
     ("no-reply@localhost", "https://api.example.org:8443", "https://api.example.org"),
     ("no-reply@localhost", "http://127.0.0.1:8000", "mailto:no-reply@localhost")],
)  # fmt: skip
def test_whom_a_push_service_may_write_to(app, monkeypatch, sender, url, expected):
    monkeypatch.setitem(app.config, "MAIL_FROM", sender)
    monkeypatch.setitem(app.config, "PUBLIC_URL", url)
    with app.app_context():
        assert pushing.contact() == expected


def test_a_message_fits_whatever_its_words(app):
    data = {**LICENSE, "product_name": "ß🦊" * 3000, "policy": "x" * 9000}
    long = Notification(id=UUID(int=1), kind="licenses", event="license.expired", data=data)
    long.kind = pushing.catalogue.Kind.LICENSES
    told = pushing.payload(long, "en")
    assert len(told.encode()) < 3993  # what one record of RFC 8291 holds
    assert json.loads(told)["link"]["id"] == LICENSE["license_id"]


def test_all_browsers_of_a_user_get_it_and_nobody_else_s(api, ada, service):
    for name in ("/a", "/b"):
        subscribe(api, ada, service.url + name)
    subscribe(api, api.person(), service.url + "/c")
    tell(api, [ada])
    api.deliver()
    assert sorted(one.path for one in service.received) == ["/hook/a", "/hook/b"]


def test_what_was_read_meanwhile_or_is_of_yesterday_is_not_sent(api, ada, service):
    subscribe(api, ada, service.url)
    tell(api, [ada])
    api.post("/notifications/read", {"all": True}, by=ada)
    tell(api, [ada])
    with api.app.app_context(), unit_of_work():
        aged = utc_now() - timedelta(days=1, minutes=1)
        db.session.execute(update(Notification).values(created_at=aged))
    api.deliver()
    assert service.received == []
    assert {status for status, *_ in due(api.app)} == {OutboxStatus.DELIVERED}


def test_who_wants_none_or_is_banned_gets_none(api, ada, service):
    subscribe(api, ada, service.url)
    api.patch("/notifications/preferences", {"licenses": {"push": False}}, by=ada)
    tell(api, [ada])
    assert due(api.app) == []
    tell(api, [ada], "order.paid", amount=1, currency="USD")
    api.ban(ada.id)
    api.deliver()
    assert service.received == []


# --- what the push service answers ----------------------------------------------------------------
@pytest.mark.parametrize("status", [404, 410])
def test_a_browser_that_is_gone_is_forgotten(api, ada, service, status):
    subscribe(api, ada, service.url)
    service.replies = [status]
    tell(api, [ada])
    api.deliver()
    assert subscriptions(api, ada) == []
    assert due(api.app)[0][0] is OutboxStatus.DELIVERED


@pytest.mark.parametrize("status", [429, 503])
def test_a_push_service_says_when_it_wants_to_be_asked_again(api, ada, service, status):
    subscribe(api, ada, service.url)
    service.replies = [(status, {"Retry-After": "120"})]
    tell(api, [ada])
    api.deliver()
    first, second = (
        sorted(due(api.app), key=lambda one: one[2])[-1],
        min(due(api.app), key=lambda one: one[1]),
    )
    assert second[0] is OutboxStatus.PENDING
    assert 100 < second[2] <= 120
    assert api.deliver() == 0
    assert len(service.received) == 1
    assert first is not None
    with api.app.app_context(), unit_of_work():
        db.session.execute(update(OutboxRow).values(next_attempt_at=utc_now()))
    api.deliver()
    assert len(service.received) == 2
    assert service.received[0].headers["topic"] == service.received[1].headers["topic"]


def test_a_service_that_wants_it_after_its_time_does_not_get_it(api, ada, service):
    subscribe(api, ada, service.url)
    service.replies = [(503, {"Retry-After": "999999999999"})]
    tell(api, [ada])
    api.deliver()
    assert [one[0] for one in due(api.app)] == [OutboxStatus.DELIVERED]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("120", 120), ("0", 0), (" 7 ", 7), ("Sun, 06 Nov 2044 08:49:37 GMT", None), ("soon", -1), ("", -1),
     ("-5", -1), (None, -1), ("Sun, 06 Nov 1994 08:49:37 GMT", 0), ("1.5", -1), ("²", -1)],
)  # fmt: skip
def test_when_to_ask_again_is_read_in_both_forms(header, seconds):
    now = utc_now()
    at = pushing.retry_at(header, now)
    if seconds == -1:
        assert at is None
    elif seconds is None:
        assert rfc3339(at) == "2044-11-06T08:49:37Z"
    else:
        assert at == now + timedelta(seconds=seconds)


@pytest.mark.parametrize("status", [500, 502, 429, 503])
def test_other_troubles_are_tried_again(api, ada, service, status):
    subscribe(api, ada, service.url)
    service.replies = [status]
    tell(api, [ada])
    api.deliver()
    ((state, attempts, _, error),) = due(api.app)
    assert (state, attempts) == (OutboxStatus.PENDING, 1)
    assert f"127.0.0.1: {status}" in error
    assert urlsplit(service.url).path not in error  # whoever knows the address may send


@pytest.mark.parametrize("status", [400, 401, 403, 413])
def test_what_is_refused_for_good_is_set_aside(api, ada, service, status):
    subscribe(api, ada, service.url)
    service.replies = [status]
    tell(api, [ada])
    api.deliver()
    ((state, _, _, error),) = due(api.app)
    assert state is OutboxStatus.DEAD
    assert str(status) in error


# --- no good ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_inward_causes_no_request(api, ada, service, status):
    with receiver() as inside:
        subscribe(api, ada, service.url)
        service.always = (status, {"Location": inside.url})
        tell(api, [ada])
        api.deliver()
        assert len(service.received) == 1
        assert inside.received == []
    assert due(api.app)[0][0] is OutboxStatus.DEAD


def test_a_service_that_never_ends_its_answer_is_cut(api, ada):
    with dripping(b"HTTP/1.1 201 Created\r\nX-Long: " + b"x" * 10_000, pause=0.01) as endpoint:
        subscribe(api, ada, endpoint)
        tell(api, [ada])
        api.deliver()
    ((state, _, _, error),) = due(api.app)
    assert (state, "Timeout" in error) == (OutboxStatus.PENDING, True)


@pytest.mark.parametrize(
    "endpoint",
    ["http://push.example.net/x", "https://127.0.0.1/x", "https://[::1]/x", "https://169.254.169.254/latest",
     "https://user:pass@push.example.net/x", "https://[::ffff:127.0.0.1]/x", "https://10.0.0.1:8443/x"],
)  # fmt: skip
def test_an_endpoint_inside_our_network_is_refused_at_registration(app, make_api, endpoint):
    api = make_api()  # as it is in production
    person = api.person()
    refused = api.post(PATH, Browser.at(endpoint).subscription, by=person)
    assert (refused.status_code, code_of(refused)) == (422, "VALIDATION_ERROR")
    assert refused.json["error"]["details"][0]["field"] == "endpoint"
    assert subscriptions(api, person) == []


def test_a_name_that_means_an_inner_address_later_causes_no_request(make_api, app, monkeypatch, service):
    api = make_api()
    person = api.person()
    answers = iter(["93.184.215.14"])
    monkeypatch.setattr(outbound, "resolve", lambda host, port: [next(answers, "127.0.0.1")])
    endpoint = f"https://push.example.net:{urlsplit(service.url).port}/x"
    subscribe(api, person, endpoint)
    tell(api, [person])
    api.deliver()
    assert service.received == []
    ((state, _, _, error),) = due(api.app)
    assert (state, "DestinationRefused" in error) == (OutboxStatus.PENDING, True)


# --- subscriptions ---------------------------------------------------------------------------------
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
    hashed = hashlib.sha256(service.url.encode()).hexdigest()
    eve = api.person()
    refused = api.delete(f"{PATH}?endpoint_hash={hashed}", by=eve)
    assert (refused.status_code, code_of(refused)) == (404, "PUSH_SUBSCRIPTION_NOT_FOUND")
    assert code_of(api.delete(PATH, by=ada)) == "VALIDATION_ERROR"
    assert api.delete(f"{PATH}?endpoint_hash={hashed}", by=ada).status_code == 204
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
