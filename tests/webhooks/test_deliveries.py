"""Messages on their way to a real server: signed, tried again, given up, and never sent inwards."""

import json
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, update
from standardwebhooks import Webhook, WebhookVerificationError

from devforge_api.core import outbound
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.outbox import OutboxRow, OutboxStatus
from devforge_api.webhooks.models import DeliveryStatus, WebhookDelivery, WebhookEndpoint
from devforge_api.webhooks.service import schedule, signing
from tests.receiver import dripping, receiver
from tests.webhooks.world import deliveries, endpoint_row, later, log_of, make_endpoint, tell, types


def verified(secret, request):
    """What a receiver reads who uses the scheme's own library."""
    return Webhook(secret).verify(request.body, request.headers)


def test_a_message_is_signed_so_that_the_schemes_own_library_verifies_it(local, peer):
    ada = local.person()
    made = make_endpoint(local, ada, peer.url)
    tell(local, ada.id, data={"license_id": "1", "name": "Ä"})
    local.deliver()
    (request,) = peer.received
    body = verified(made["secret"], request)
    assert set(body) == {"type", "timestamp", "data"}
    assert body["type"] == "license.renewed"
    assert body["data"] == {"license_id": "1", "name": "Ä"}
    assert datetime.fromisoformat(body["timestamp"]).utcoffset() == timedelta(0)
    assert request.method == "POST"
    assert request.headers["content-type"] == "application/json"
    other = signing.new_secret()
    with pytest.raises(WebhookVerificationError):
        verified(other, request)
    (delivery,) = deliveries(local)
    assert (delivery.status, delivery.attempts) == (DeliveryStatus.DELIVERED, 1)
    assert request.headers["webhook-id"] == str(delivery.message_id)


def test_during_a_rotation_the_old_and_the_new_secret_verify(local, peer):
    ada = local.person()
    made = make_endpoint(local, ada, peer.url)
    rotated = local.post(f"/webhooks/{made['id']}/rotate-secret", by=ada).json["data"]
    assert rotated["secret"] != made["secret"]
    tell(local, ada.id)
    local.deliver()
    with local.app.app_context(), unit_of_work():  # a day later
        past = utc_now() - timedelta(seconds=1)
        db.session.execute(update(WebhookEndpoint).values(previous_secret_until=past))
    tell(local, ada.id)
    local.deliver()
    during, after = peer.received
    assert verified(made["secret"], during) == verified(rotated["secret"], during)
    verified(rotated["secret"], after)
    with pytest.raises(WebhookVerificationError):
        verified(made["secret"], after)
    assert len(during.headers["webhook-signature"].split()) == 2
    assert len(after.headers["webhook-signature"].split()) == 1


def test_a_rotation_in_an_emergency_ends_the_old_secret_at_once(local, peer):
    ada = local.person()
    made = make_endpoint(local, ada, peer.url)
    rotated = local.post(f"/webhooks/{made['id']}/rotate-secret", {"keep_previous_hours": 0}, by=ada)
    assert rotated.json["data"]["previous_secret_until"] is None
    tell(local, ada.id)
    local.deliver()
    with pytest.raises(WebhookVerificationError):
        verified(made["secret"], peer.received[0])


def test_two_failures_and_a_success_keep_the_id_and_renew_the_timestamp(local, peer, monkeypatch):
    ada = local.person()
    made = make_endpoint(local, ada, peer.url)
    peer.replies = [500, 500, 200]
    genuine, seconds = signing.headers, [0]

    def aging(message_id, body, signers, now):  # each attempt is a second older
        seconds[0] += 1
        return genuine(message_id, body, signers, now + timedelta(seconds=seconds[0]))

    monkeypatch.setattr(signing, "headers", aging)
    tell(local, ada.id)
    local.deliver()
    later(local)
    later(local)
    assert later(local) == 0
    bodies, ids, times = zip(
        *(
            (request.body, request.headers["webhook-id"], request.headers["webhook-timestamp"])
            for request in peer.received
        ),
        strict=True,
    )
    assert len(bodies) == 3
    assert len(set(bodies)) == len(set(ids)) == 1
    assert sorted(set(times)) == list(times)
    assert len(set(times)) == 3
    for request in peer.received:
        verified(made["secret"], request)
    (delivery,) = deliveries(local)
    assert (delivery.status, delivery.attempts, delivery.error) == (DeliveryStatus.DELIVERED, 3, None)
    log = log_of(local, ada, made)
    assert [(one["response_status"], one["error"]) for one in log] == [
        (500, "refused"), (500, "refused"), (200, None),
    ]  # fmt: skip
    assert endpoint_row(local, made["id"]).failing_since is None


def test_the_next_attempts_come_when_the_scheme_says_and_end_after_three_days(local, peer):
    ada = local.person()
    make_endpoint(local, ada, peer.url)
    peer.always = 503
    tell(local, ada.id)
    local.deliver()
    waits = []
    while (delivery := deliveries(local)[0]).status is DeliveryStatus.PENDING:
        waits.append(delivery.next_attempt_at - utc_now())
        with local.app.app_context():
            due = db.session.scalars(
                select(OutboxRow.next_attempt_at).where(
                    OutboxRow.status == OutboxStatus.PENDING, OutboxRow.name == "webhook.delivery_due"
                )
            ).all()
        assert due == [delivery.next_attempt_at]
        later(local)
    hours = [5 / 3600, 5 / 60, 0.5, 2, 5, 10, 14, 20, 24]
    assert len(peer.received) == len(hours) + 1
    minute = timedelta(minutes=1)
    for wait, expected in zip(waits, hours, strict=True):
        assert timedelta(hours=expected * 0.9) - minute < wait <= timedelta(hours=expected * 1.1)
    assert (delivery.status, delivery.attempts) == (DeliveryStatus.FAILED, 10)
    assert later(local) == 0


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [("120", 120), ("9999999999", 86400), ("1", 5), ("soon", 5), ("-5", 5),
     # Too large for a date: the attempt must be recorded all the same, or it is made again for ever.
     (f"Sun, 06 Nov {'9' * 20} 08:49:37 GMT", 5), (f"Sun, 06 Nov 2044 08:49:37 +{'9' * 20}", 5)],
)  # fmt: skip
def test_an_overloaded_endpoint_is_left_alone_for_as_long_as_it_asks(local, peer, asked, seconds):
    ada = local.person()
    make_endpoint(local, ada, peer.url)
    peer.always = (429, {"Retry-After": asked})
    before = utc_now()
    tell(local, ada.id)
    local.deliver()
    wait = deliveries(local)[0].next_attempt_at - before
    assert timedelta(seconds=seconds * 0.85) < wait < timedelta(seconds=seconds * 1.15 + 60)


def test_retry_after_may_be_a_moment():
    now = datetime.fromisoformat("2026-01-15T09:30:00Z")
    assert schedule.retry_after("Thu, 15 Jan 2026 09:32:00 GMT", now) == timedelta(minutes=2)
    assert schedule.retry_after("Thu, 15 Jan 2026 09:29:00 GMT", now) is None
    assert schedule.retry_after(None, now) is None


@pytest.mark.parametrize("status", [301, 302, 307, 308, 304, 400, 404, 500])
def test_whatever_is_not_2xx_has_failed_and_nothing_is_followed(local, peer, status):
    ada = local.person()
    made = make_endpoint(local, ada, peer.url)
    with receiver() as elsewhere:
        peer.always = (status, {"Location": elsewhere.url})
        tell(local, ada.id)
        local.deliver()
    assert elsewhere.received == []
    (attempt,) = log_of(local, ada, made)
    assert attempt["response_status"] == status
    assert attempt["error"] == ("redirected" if status < 400 else "refused")
    assert deliveries(local)[0].status is DeliveryStatus.PENDING


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_2xx_is_enough(local, peer, status):
    ada = local.person()
    make_endpoint(local, ada, peer.url)
    peer.always = status
    tell(local, ada.id)
    local.deliver()
    assert deliveries(local)[0].status is DeliveryStatus.DELIVERED


def test_410_disables_the_endpoint_and_its_owner_is_told(local, peer):
    ada = local.person()
    gone = make_endpoint(local, ada, peer.url)
    with receiver() as other:
        make_endpoint(local, ada, other.url)
        peer.always = 410
        tell(local, ada.id)
        tell(local, ada.id)
        local.deliver()
        later(local)
    shown = local.get(f"/webhooks/{gone['id']}", by=ada).json["data"]
    assert (shown["status"], shown["disabled_reason"]) == ("disabled", "gone")
    assert len(peer.received) == 1  # the second message was kept
    assert types(other.received).count("webhook.disabled") == 1
    (news,) = [
        json.loads(one.body) for one in other.received if json.loads(one.body)["type"] == "webhook.disabled"
    ]
    assert news["data"]["endpoint_id"] == gone["id"]
    assert news["data"]["reason"] == "gone"
    (deed,) = local.get("/audit/events?action=webhook.disabled", by=local.admin()).json["data"]
    assert (deed["target_id"], deed["actor_kind"]) == (gone["id"], "job")


def test_five_days_of_nothing_but_failure_disable_it(local, peer):
    ada = local.person()
    made = make_endpoint(local, ada, peer.url)
    peer.always = 500
    tell(local, ada.id)
    local.deliver()
    assert endpoint_row(local, made["id"]).failing_since is not None
    _failing_for(local, timedelta(days=5) - timedelta(minutes=10))
    later(local)
    assert local.get(f"/webhooks/{made['id']}", by=ada).json["data"]["status"] == "enabled"
    _failing_for(local, timedelta(days=5))
    later(local)
    shown = local.get(f"/webhooks/{made['id']}", by=ada).json["data"]
    assert (shown["status"], shown["disabled_reason"]) == ("disabled", "failing")


def _failing_for(api, time):
    with api.app.app_context(), unit_of_work():
        db.session.execute(update(WebhookEndpoint).values(failing_since=utc_now() - time))


def test_what_waits_for_a_disabled_endpoint_is_kept_and_enabling_sends_it(local, peer):
    ada = local.person()
    made = make_endpoint(local, ada, peer.url)
    peer.replies = [500]
    tell(local, ada.id)
    local.deliver()
    local.patch(f"/webhooks/{made['id']}", {"status": "disabled"}, by=ada)
    tell(local, ada.id)  # nobody is there to want it
    later(local)
    assert len(peer.received) == 1
    (delivery,) = deliveries(local)
    assert (delivery.status, delivery.attempts, delivery.next_attempt_at) == (DeliveryStatus.PENDING, 1, None)
    shown = local.patch(f"/webhooks/{made['id']}", {"status": "enabled"}, by=ada).json["data"]
    assert (shown["failing_since"], shown["disabled_reason"], shown["disabled_at"]) == (None, None, None)
    local.deliver()
    assert len(peer.received) == 2
    assert deliveries(local)[0].status is DeliveryStatus.DELIVERED


def test_a_name_that_turns_inwards_is_refused_at_each_attempt(local, monkeypatch):
    lookups = []

    def resolve(host, port):
        lookups.append(host)
        return ["93.184.215.14"] if len(lookups) == 1 else ["169.254.169.254"]

    monkeypatch.setattr(outbound, "resolve", resolve)
    dialled = []
    monkeypatch.setattr(outbound.socket, "create_connection", lambda *given: dialled.append(given))
    ada = local.person()
    made = make_endpoint(local, ada, "https://rebinding.example/hook")
    tell(local, ada.id)
    local.deliver()
    later(local)
    assert dialled == []
    assert len(lookups) == 3
    log = log_of(local, ada, made)
    assert [(one["response_status"], one["error"]) for one in log] == [(None, "destination_refused")] * 2


def test_a_server_that_drips_is_cut_off(local, make_api, peer):
    local.app.config["OUTBOUND_SECONDS"] = 0.5
    ada = local.person()
    with dripping(b"HTTP/1.1 200 OK\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", pause=0.05) as url:
        made = make_endpoint(local, ada, url)
        tell(local, ada.id)
        local.deliver()
    (attempt,) = log_of(local, ada, made)
    assert (attempt["response_status"], attempt["error"]) == (None, "timed_out")
    assert attempt["duration_ms"] >= 500


def test_nobody_listens_or_something_else_does(local):
    ada = local.person()
    with receiver() as peer:
        url = peer.url
    made = make_endpoint(local, ada, url)
    tell(local, ada.id)
    local.deliver()
    (attempt,) = log_of(local, ada, made)
    assert (attempt["response_status"], attempt["error"]) == (None, "unreachable")


def test_what_an_endpoint_answers_is_shown_to_nobody(local, peer):
    def talkative(handler):
        handler.send_response(500)
        handler.end_headers()
        handler.wfile.write(b"the-secret-of-the-inside")

    ada = local.person()
    made = make_endpoint(local, ada, peer.url)
    peer.always = talkative
    tell(local, ada.id)
    local.deliver()
    path = f"/webhooks/{made['id']}/deliveries"
    listed = local.get(path, by=ada)
    one = local.get(f"{path}/{listed.json['data'][0]['id']}", by=ada)
    assert "the-secret" not in listed.text + one.text
    with local.app.app_context():
        assert db.session.scalar(select(WebhookDelivery.error)) == "refused"


def test_a_fault_of_our_own_is_an_attempt_like_any_other(local, peer, monkeypatch):
    ada = local.person()
    made = make_endpoint(local, ada, peer.url)
    tell(local, ada.id)

    def broken(*_):
        raise RuntimeError("our own mistake")

    monkeypatch.setattr(outbound, "session", broken)
    local.deliver()
    (delivery,) = deliveries(local)
    assert (delivery.status, delivery.attempts) == (DeliveryStatus.PENDING, 1)
    assert [one["error"] for one in log_of(local, ada, made)] == ["failed_here"]
    assert peer.received == []
