"""Web Push: to a real server, read as a browser reads it; and servers that mean no good."""

import json
from contextlib import ExitStack
from datetime import timedelta
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import select, update

from devforge_api.core import outbound
from devforge_api.core.clock import rfc3339, utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.outbox import FIRST_DELAY, LONGEST_DELAY, OutboxRow, OutboxStatus
from devforge_api.notifications.models import Notification
from devforge_api.notifications.service import pushing, resting
from tests.factories import code_of
from tests.factories.notifications import LICENSE, Browser, tell
from tests.notifications.push import PATH, subscribe, subscriptions
from tests.receiver import dripping, receiver


@pytest.fixture
def api(push_api):
    return push_api


@pytest.fixture(autouse=True)
def _nobody_rests():
    yield
    resting.forget_all()


@pytest.fixture
def ada(api):
    return api.person()


def due(app):
    """Push messages on their way: (status, attempts, seconds from now, error)."""
    with app.app_context():
        rows = db.session.scalars(select(OutboxRow).where(OutboxRow.name == "notification.push_due"))
        now = utc_now()
        return [
            (row.status, row.attempts, (row.next_attempt_at - now).total_seconds(), row.error or "")
            for row in rows.all()
        ]


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
    done, waiting = sorted(due(api.app), key=lambda one: one[0] is OutboxStatus.PENDING)
    assert (done[0], waiting[0]) == (OutboxStatus.DELIVERED, OutboxStatus.PENDING)
    assert 100 < waiting[2] <= 120
    assert api.deliver() == 0
    assert len(service.received) == 1
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
     ("-5", -1), (None, -1), ("Sun, 06 Nov 1994 08:49:37 GMT", 0), ("1.5", -1), ("²", -1),
     (f"Sun, 06 Nov {'9' * 20} 08:49:37 GMT", -1)],
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
def test_what_is_refused_for_good_is_dropped_and_logged(api, ada, service, status, caplog):
    """Whoever chooses the push service could fill the operator's list of failures otherwise."""
    subscribe(api, ada, service.url)
    service.replies = [status]
    tell(api, [ada])
    api.deliver()
    ((state, *_),) = due(api.app)
    assert state is OutboxStatus.DELIVERED
    (record,) = [one for one in caplog.records if one.msg == "a push message was dropped"]
    assert record.why == f"127.0.0.1: {status}"


def age(api, hours):
    """Make what was told older."""
    with api.app.app_context(), unit_of_work():
        then = utc_now() - timedelta(hours=hours)
        db.session.execute(update(Notification).values(created_at=then))


def test_what_fails_for_hours_is_dropped_before_the_outbox_gives_up(api, ada, service):
    subscribe(api, ada, service.url)
    service.always = 500
    tell(api, [ada])
    age(api, 4.1)
    api.deliver()
    assert [one[0] for one in due(api.app)] == [OutboxStatus.DELIVERED]
    # By then the outbox has not tried for the last time.
    waits = range(api.app.config["OUTBOX_MAX_ATTEMPTS"] - 1)
    delays = [min(FIRST_DELAY * 4 ** min(tried, 8), LONGEST_DELAY) for tried in waits]
    assert sum(delays, timedelta(0)) > pushing.TRIED_FOR


def test_a_service_that_always_wants_it_again_at_once_is_asked_ever_more_seldom(api, ada, service):
    subscribe(api, ada, service.url)
    service.always = (429, {"Retry-After": "0"})
    tell(api, [ada])
    age(api, 0.5)
    api.deliver()
    waiting = [one for one in due(api.app) if one[0] is OutboxStatus.PENDING]
    assert len(waiting) == 1
    assert 1790 < waiting[0][2] <= 1810
    assert len(service.received) == 1


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


def test_a_service_that_never_ends_its_answer_is_cut(api, ada):
    with dripping(b"HTTP/1.1 201 Created\r\nX-Long: " + b"x" * 10_000, pause=0.01) as endpoint:
        subscribe(api, ada, endpoint)
        tell(api, [ada])
        api.deliver()
    ((state, _, _, error),) = due(api.app)
    assert (state, "Timeout" in error) == (OutboxStatus.PENDING, True)


def test_of_many_slow_browsers_of_one_user_one_is_called_and_others_wait(api, ada, service, monkeypatch):
    """Each would hold a thread for as long as a call may take, and there are two for all users."""
    monkeypatch.setattr(pushing, "CALL_SECONDS", 0.3)
    monkeypatch.setattr(resting, "SLOW", timedelta(seconds=0.2))
    ben = api.person()
    with ExitStack() as stack:
        for _ in range(3):
            slow = stack.enter_context(dripping(b"HTTP/1.1 201 Created\r\nX: " + b"x" * 10_000, pause=0.01))
            subscribe(api, ada, slow)
        subscribe(api, ben, service.url)
        tell(api, [ada, ben])
        api.deliver()
    assert len(service.received) == 1  # ben's
    waiting = [one for one in due(api.app) if one[0] is OutboxStatus.PENDING]
    tried = [one for one in waiting if "Timeout" in one[3]]
    assert (len(waiting), len(tried)) == (3, 1)
    assert all(20 < seconds <= 30 for _, attempts, seconds, _ in waiting if not attempts)


def test_who_stays_slow_rests_ever_longer_until_that_is_long_ago():
    user, now = uuid4(), utc_now()
    slow, pauses = resting.SLOW, []
    for _ in range(6):
        resting.note(user, slow, now)
        pauses.append(resting.until(user, now) - now)
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (resting.FIRST, resting.LONGEST)
    later = now + resting.LONGEST
    assert resting.until(user, later) is None
    resting.note(user, slow / 2, later)  # a quick browser beside it
    resting.note(user, slow, later)
    assert resting.until(user, later) == later + resting.LONGEST
    later += 3 * resting.LONGEST
    resting.note(user, slow, later)
    assert resting.until(user, later) == later + resting.FIRST


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
