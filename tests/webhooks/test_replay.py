"""Sending once more, and by request."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from devforge_api.core.clock import rfc3339, utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.outbox import OutboxRow, OutboxStatus
from devforge_api.webhooks.models import DeliveryStatus, WebhookDelivery, WebhookEndpoint, WebhookMessage
from devforge_api.webhooks.service import cleaning, replaying, telling
from tests.factories import code_of
from tests.webhooks.world import deliveries, endpoint_row, later, make_endpoint, tell, types

DAY = timedelta(days=1)
SINCE = {"since": "2020-01-01T00:00:00Z"}


@pytest.fixture
def ada(local):
    return local.person()


@pytest.fixture
def made(local, ada, peer):
    return make_endpoint(local, ada, peer.url)


def set_all(api, **values):
    with api.app.app_context(), unit_of_work():
        db.session.execute(update(WebhookDelivery).values(**values))


def replay(api, made, ada, **body):
    return api.post(f"/webhooks/{made['id']}/replay", body, by=ada)


def test_a_test_goes_the_same_way_to_that_endpoint_alone(local, ada, made, peer):
    make_endpoint(local, ada, peer.url + "/other")
    sent = local.post(f"/webhooks/{made['id']}/test", by=ada)
    assert sent.status_code == 202
    assert (sent.json["data"]["event"], sent.json["data"]["status"]) == ("webhook.test", "pending")
    local.deliver()
    (request,) = peer.received
    assert request.path == "/hook"
    assert types(peer.received) == ["webhook.test"]
    assert request.headers["webhook-id"] == sent.json["data"]["message_id"]


def test_tests_are_few(local, ada, made):
    codes = [local.post(f"/webhooks/{made['id']}/test", by=ada).status_code for _ in range(11)]
    assert codes == [202] * 10 + [429]
    set_all(local, created_at=utc_now() - timedelta(minutes=2))
    assert local.post(f"/webhooks/{made['id']}/test", by=ada).status_code == 202


def test_nothing_is_sent_to_a_disabled_endpoint_by_request_either(local, ada, made):
    local.patch(f"/webhooks/{made['id']}", {"status": "disabled"}, by=ada)
    for refused in (local.post(f"/webhooks/{made['id']}/test", by=ada), replay(local, made, ada, **SINCE)):
        assert (refused.status_code, code_of(refused)) == (409, "WEBHOOK_ENDPOINT_DISABLED")


def test_one_delivery_is_sent_again_with_its_id_and_body(local, ada, made, peer):
    tell(local, ada.id)
    tell(local, ada.id)
    local.deliver()
    chosen = deliveries(local)[0]
    done = replay(local, made, ada, delivery_id=str(chosen.id))
    assert (done.status_code, done.json["data"]) == (202, {"replayed": 1, "next_since": None})
    local.deliver()
    assert len(peer.received) == 3
    again = peer.received[2]
    first = next(one for one in peer.received if one.headers["webhook-id"] == again.headers["webhook-id"])
    assert again.headers["webhook-id"] == str(chosen.message_id)
    assert first.body == again.body
    path = f"/webhooks/{made['id']}/deliveries/{chosen.id}"
    shown = local.get(path, by=ada).json["data"]
    assert (shown["status"], shown["attempts"], len(shown["log"])) == ("delivered", 1, 2)


def test_what_was_given_up_within_a_time_is_sent_again(local, ada, made, peer):
    for _ in range(4):
        tell(local, ada.id)
    old, failed, delivered, newer = deliveries(local)
    local.deliver()
    peer.received.clear()
    now = utc_now()
    with local.app.app_context(), unit_of_work():
        for row, status, age in (
            (old, DeliveryStatus.FAILED, 3 * DAY),
            (failed, DeliveryStatus.FAILED, DAY),
            (delivered, DeliveryStatus.DELIVERED, DAY),
            (newer, DeliveryStatus.FAILED, timedelta(0)),
        ):
            change = update(WebhookDelivery).where(WebhookDelivery.id == row.id)
            db.session.execute(change.values(status=status, created_at=now - age))
    body = {"since": rfc3339(now - 2 * DAY), "until": rfc3339(now - DAY / 2)}
    assert replay(local, made, ada, **body).json["data"]["replayed"] == 1
    local.deliver()
    assert [one.headers["webhook-id"] for one in peer.received] == [str(failed.message_id)]
    assert replay(local, made, ada, **body, status="all").json["data"]["replayed"] == 2
    local.deliver()
    assert len(peer.received) == 3


def test_attempts_begin_anew(local, ada, made, peer):
    tell(local, ada.id)
    set_all(local, attempts=9)
    peer.replies = [500, 500]
    local.deliver()
    assert (deliveries(local)[0].status, deliveries(local)[0].attempts) == (DeliveryStatus.FAILED, 10)
    replay(local, made, ada, **SINCE)
    local.deliver()
    (delivery,) = deliveries(local)
    assert (delivery.status, delivery.attempts) == (DeliveryStatus.PENDING, 1)
    later(local)
    assert deliveries(local)[0].status is DeliveryStatus.DELIVERED


def test_a_call_replays_so_many_and_tells_where_to_go_on(local, ada, made, peer, monkeypatch):
    monkeypatch.setattr(replaying, "MOST_REPLAYED", 2)
    for _ in range(5):
        tell(local, ada.id)
    local.deliver()
    since, counts = SINCE["since"], []
    while since:
        answer = replay(local, made, ada, since=since, status="all").json["data"]
        counts.append(answer["replayed"])
        since = answer["next_since"]
    assert counts == [2, 2, 1]
    local.deliver()
    assert len(peer.received) == 10


def test_replays_leave_one_after_the_other(local, ada, made, monkeypatch):
    for _ in range(3):
        tell(local, ada.id)
    local.deliver()
    monkeypatch.setattr(telling, "PACE", timedelta(minutes=1))
    replay(local, made, ada, **SINCE, status="all")
    with local.app.app_context():
        pending = OutboxRow.status == OutboxStatus.PENDING
        found = db.session.scalars(
            select(OutboxRow.next_attempt_at).where(pending).order_by(OutboxRow.next_attempt_at)
        ).all()
    assert [later - found[0] for later in found] == [timedelta(minutes=n) for n in range(3)]


def test_calls_that_replay_everything_again_and_again_ask_for_nothing_twice(local, ada, made, peer):
    def asked_for():
        with local.app.app_context():
            return db.session.scalar(select(func.count()).where(OutboxRow.name == telling.DUE))

    for _ in range(5):
        tell(local, ada.id)
    local.deliver()
    first, *_ = deliveries(local)
    with local.app.app_context(), unit_of_work():
        parked = {"status": DeliveryStatus.PENDING, "next_attempt_at": None}
        db.session.execute(update(WebhookDelivery).where(WebhookDelivery.id == first.id).values(**parked))
    before = asked_for()
    counts = [replay(local, made, ada, **SINCE, status="all").json["data"]["replayed"] for _ in range(5)]
    assert counts == [4, 0, 0, 0, 0]
    assert asked_for() == before + 4
    later(local)
    # Which also goes on with what was parked.
    assert {one.status for one in deliveries(local)} == {DeliveryStatus.DELIVERED}
    assert len(peer.received) == 10


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"until": "2026-01-01T00:00:00Z"},
        {**SINCE, "delivery_id": "0199f0a0-7c1e-7a54-8d3f-6f1f3d1b2c4d"},
        {"delivery_id": "0199f0a0-7c1e-7a54-8d3f-6f1f3d1b2c4d", "until": "2026-01-01T00:00:00Z"},
        {**SINCE, "status": "delivered"},
    ],
)
def test_a_replay_that_is_not_said_properly_is_none(local, ada, made, body):
    assert replay(local, made, ada, **body).status_code == 422


def test_deliveries_are_listed_and_filtered_by_few_queries(local, ada, made, peer, count_queries):
    peer.replies = [500]
    tell(local, ada.id)
    local.deliver()
    for _ in range(3):
        tell(local, ada.id, event="order.paid")
    local.deliver()
    path = f"/webhooks/{made['id']}/deliveries"
    with count_queries() as seen:
        listed = local.get(path, by=ada)
    assert len(seen) <= 3
    assert listed.json["pagination"]["total"] == 4
    filters = {"status=pending": 1, "event=order.paid": 3, "created_at_lt=2020-01-01T00:00:00Z": 0}
    for query, many in filters.items():
        assert local.get(f"{path}?{query}", by=ada).json["pagination"]["total"] == many
    assert "body" not in listed.json["data"][0]


def test_what_was_sent_a_month_ago_is_forgotten_and_what_is_under_way_is_not(local, ada, made, peer):
    for _ in range(4):
        tell(local, ada.id)
    local.deliver()
    under_way, parked, delivered, fresh = (row.id for row in deliveries(local))
    long_ago = utc_now() - timedelta(days=31)
    with local.app.app_context(), unit_of_work():
        db.session.execute(update(WebhookMessage).values(created_at=long_ago))
        for row, values in (
            (under_way, {"status": DeliveryStatus.PENDING, "next_attempt_at": utc_now()}),
            (parked, {"status": DeliveryStatus.PENDING, "next_attempt_at": None}),
            (delivered, {}),
        ):
            aged = update(WebhookDelivery).where(WebhookDelivery.id == row)
            db.session.execute(aged.values(created_at=long_ago, **values))
    with local.app.app_context(), unit_of_work():
        assert cleaning.purge(utc_now()) == 4  # two deliveries, and their messages
    assert [row.id for row in deliveries(local)] == [under_way, fresh]
    with local.app.app_context():
        assert db.session.scalar(select(func.count()).select_from(WebhookMessage)) == 2


def test_a_secret_that_was_rotated_away_is_forgotten_after_its_time(local, ada, made):
    local.post(f"/webhooks/{made['id']}/rotate-secret", by=ada)
    with local.app.app_context(), unit_of_work():
        cleaning.forget_secrets(utc_now())
    assert endpoint_row(local, made["id"]).previous_secret is not None
    with local.app.app_context(), unit_of_work():
        db.session.execute(update(WebhookEndpoint).values(previous_secret_until=utc_now() - DAY))
    with local.app.app_context(), unit_of_work():
        cleaning.forget_secrets(utc_now())
    row = endpoint_row(local, made["id"])
    assert (row.previous_secret, row.previous_secret_until) == (None, None)
