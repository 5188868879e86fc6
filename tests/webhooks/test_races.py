"""Two workers, a replay in the middle, a worker that is killed: at least once, and never at once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from devforge_api.core import outbox
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.outbox import Lane, OutboxRow, OutboxStatus
from devforge_api.core.worker import drain
from devforge_api.webhooks.models import DeliveryStatus, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from devforge_api.webhooks.service import sending, waiting
from tests.webhooks.world import deliveries, endpoint_row, later, make_endpoint, tell

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture
def proven(local, peer):
    """An endpoint that has taken a message, so that several may be on their way to it."""
    ada = local.person()
    made = make_endpoint(local, ada, peer.url)
    tell(local, ada.id)
    local.deliver()
    peer.received.clear()
    return ada, made


class Gate:
    """Holds requests until it is opened, and counts how many there are at once."""

    def __init__(self):
        self.entered, self.open = threading.Semaphore(0), threading.Event()
        self._lock = threading.Lock()
        self.inside = self.most = 0

    def __call__(self, handler):
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.entered.release()
        self.open.wait(30)
        with self._lock:
            self.inside -= 1
        handler.send_response(204)
        handler.send_header("Content-Length", "0")
        handler.end_headers()


def in_app(api, call, *given):
    with api.app.app_context():
        return call(*given)


def newest(api):
    return deliveries(api)[-1]


def ask_again(api, delivery_id, times=1):
    with api.app.app_context(), unit_of_work():
        for _ in range(times):
            outbox.emit("webhook.delivery_due", delivery_id=str(delivery_id))


def test_however_often_a_delivery_is_asked_for_it_is_attempted_once(local, peer, proven):
    ada, _ = proven
    tell(local, ada.id)
    ask_again(local, newest(local).id, times=7)
    gate = peer.always = Gate()
    with ThreadPoolExecutor(6) as pool:
        working = [pool.submit(in_app, local, drain, None, Lane.STRANGERS) for _ in range(6)]
        assert gate.entered.acquire(timeout=20)
        gate.open.set()
        for one in working:
            one.result(30)
    later(local)
    assert len(peer.received) == 1
    assert gate.most == 1
    assert newest(local).attempts == 1


def test_a_replay_in_the_middle_of_an_attempt_starts_no_second_one_beside_it(local, peer, proven):
    ada, made = proven
    tell(local, ada.id)
    gate = peer.always = Gate()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(in_app, local, drain, None, Lane.STRANGERS)
        assert gate.entered.acquire(timeout=20)
        body = {"delivery_id": str(newest(local).id)}
        assert local.post(f"/webhooks/{made['id']}/replay", body, by=ada).status_code == 202
        local.deliver()  # another worker, which finds it taken
        assert gate.most == 1
        gate.open.set()
        first.result(30)
    later(local)
    assert newest(local).status is DeliveryStatus.DELIVERED
    assert gate.most == 1


def test_workers_that_meet_at_an_endpoint_on_trial_make_one_attempt_at_a_time(local, peer):
    ada = local.person()
    make_endpoint(local, ada, peer.url)
    for _ in range(6):
        tell(local, ada.id)
    gate = peer.always = Gate()
    with ThreadPoolExecutor(4) as pool:
        working = [pool.submit(in_app, local, drain, None, Lane.STRANGERS) for _ in range(4)]
        assert gate.entered.acquire(timeout=20)
        assert gate.most == 1
        gate.open.set()
        for one in working:
            one.result(30)
    assert gate.most == 1
    later(local)
    assert {one.status for one in deliveries(local)} == {DeliveryStatus.DELIVERED}
    assert len(peer.received) == 6


def _forget_leases(api):
    """The time of whoever was killed is over."""
    past = utc_now() - timedelta(seconds=1)
    with api.app.app_context(), unit_of_work():
        pending = OutboxRow.status == OutboxStatus.PENDING
        db.session.execute(update(OutboxRow).where(pending).values(next_attempt_at=past))
        db.session.execute(
            update(WebhookDelivery)
            .where(WebhookDelivery.claimed_until.is_not(None))
            .values(claimed_until=past)
        )
        db.session.execute(
            update(WebhookEndpoint).where(WebhookEndpoint.busy_until.is_not(None)).values(busy_until=past)
        )


def test_killed_between_attempt_and_record_it_is_sent_again_with_the_same_id(local, peer, monkeypatch):
    class Killed(BaseException):
        """Nothing of ours catches it."""

    ada = local.person()
    made = make_endpoint(local, ada, peer.url)
    tell(local, ada.id)
    tell(local, ada.id)

    def die(*_):
        raise Killed

    genuine = sending.record
    monkeypatch.setattr(sending, "record", die)
    with pytest.raises(Killed):
        local.deliver()
    monkeypatch.setattr(sending, "record", genuine)
    assert len(peer.received) == 1
    local.deliver()  # the lease still holds it, and the other waits for its turn
    assert len(peer.received) == 1
    _forget_leases(local)
    local.deliver()
    later(local)
    assert len(peer.received) == 3
    ids = [request.headers["webhook-id"] for request in peer.received]
    assert ids[0] in ids[1:]
    assert len(set(ids)) == 2
    assert {one.status for one in deliveries(local)} == {DeliveryStatus.DELIVERED}
    assert endpoint_row(local, made["id"]).busy_until is None


def test_a_failed_record_is_made_up_for(local, peer, monkeypatch, proven):
    ada, _ = proven
    tell(local, ada.id)
    genuine = sending.record
    monkeypatch.setattr(sending, "record", lambda *_: 1 / 0)
    local.deliver()
    monkeypatch.setattr(sending, "record", genuine)
    _forget_leases(local)
    later(local)
    assert newest(local).status is DeliveryStatus.DELIVERED
    assert len(peer.received) == 2


def test_what_everybody_has_forgotten_is_found_by_the_job(local, peer, proven):
    ada, _ = proven
    tell(local, ada.id)
    with local.app.app_context(), unit_of_work():
        db.session.execute(
            update(WebhookDelivery)
            .where(WebhookDelivery.status == DeliveryStatus.PENDING)
            .values(next_attempt_at=None)
        )
    local.deliver()
    assert peer.received == []
    with local.app.app_context(), unit_of_work():
        waiting.wake_forgotten(utc_now())
    local.deliver()
    assert len(peer.received) == 1


def test_an_endpoint_that_is_deleted_during_an_attempt_leaves_nothing(local, peer, proven):
    ada, made = proven
    tell(local, ada.id)
    gate = peer.always = Gate()
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(in_app, local, drain, None, Lane.STRANGERS)
        assert gate.entered.acquire(timeout=20)
        assert local.delete(f"/webhooks/{made['id']}", by=ada).status_code == 204
        gate.open.set()
        working.result(30)
    assert deliveries(local) == []
    with local.app.app_context():
        assert db.session.scalar(select(func.count()).select_from(WebhookAttempt)) == 0
        bad = select(func.count()).where(OutboxRow.status != OutboxStatus.DELIVERED)
        assert db.session.scalar(bad) == 0


def test_telling_while_an_endpoint_is_deleted_or_enabled_loses_nothing(local, peer):
    """On PostgreSQL these meet at the endpoint's row; nobody waits for ever, and nothing fails."""
    ada = local.person()
    for _ in range(8):
        made = make_endpoint(local, ada, peer.url)
        with ThreadPoolExecutor(3) as pool:
            done = [
                pool.submit(tell, local, ada.id),
                pool.submit(local.delete, f"/webhooks/{made['id']}", by=ada),
                pool.submit(local.deliver),
            ]
            assert done[1].result(30).status_code == 204
            for one in done:
                one.result(30)
    local.deliver()
    assert deliveries(local) == []


def test_parking_and_enabling_at_once_leave_nothing_parked(local, peer):
    ada = local.person()
    made = make_endpoint(local, ada, peer.url)
    for number in range(6):
        local.patch(f"/webhooks/{made['id']}", {"status": "enabled"}, by=ada)
        for _ in range(3):
            tell(local, ada.id)
        local.patch(f"/webhooks/{made['id']}", {"status": "disabled"}, by=ada)
        enable = {"status": "enabled"}
        with ThreadPoolExecutor(2) as pool:
            working = pool.submit(local.deliver)
            pool.submit(local.patch, f"/webhooks/{made['id']}", enable, by=ada).result(30)
            working.result(30)
        local.deliver()
        found = deliveries(local)
        assert len(found) == 3 * (number + 1)
        assert {one.status for one in found} == {DeliveryStatus.DELIVERED}


def test_a_claim_ends_before_the_lease_of_whoever_was_killed(local, peer, proven):
    """Or the one who takes over would find the delivery taken, and leave it."""
    ada, _ = proven
    tell(local, ada.id)
    now = utc_now()
    with local.app.app_context():
        with unit_of_work():
            assert sending.claim(newest(local).id, now) is not None
        db.session.remove()
        row = db.session.get(WebhookDelivery, UUID(str(newest(local).id)))
        assert now < row.claimed_until < now + local.app.config["OUTBOX_LEASE"]
