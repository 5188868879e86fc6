"""A slow endpoint keeps nobody waiting but those who want the same."""

import threading
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from devforge_api.core.clock import utc_now
from devforge_api.core.db import db
from devforge_api.core.outbox import OutboxRow, OutboxStatus
from devforge_api.core.worker import WorkerThreads
from devforge_api.webhooks.models import DeliveryStatus
from devforge_api.webhooks.service import schedule, sending
from tests.receiver import receiver
from tests.webhooks.world import deliveries, endpoint_row, later, make_endpoint, tell


class Together:
    """How many are inside at the same time."""

    def __init__(self):
        self._lock, self._inside, self.most = threading.Lock(), 0, 0

    def __enter__(self):
        with self._lock:
            self._inside += 1
            self.most = max(self.most, self._inside)

    def __exit__(self, *_):
        with self._lock:
            self._inside -= 1


class Stalling:
    """A server that takes requests and answers none until it is told to."""

    def __init__(self):
        self.over = threading.Event()
        self.answers = False
        self.calls = 0
        self._lock = threading.Lock()

    def __call__(self, handler):
        with self._lock:
            self.calls += 1
        if not self.answers:
            self.over.wait(30)
        if self.answers:
            handler.send_response(204)
            handler.send_header("Content-Length", "0")
            handler.end_headers()


@pytest.fixture
def stalling():
    found = Stalling()
    with receiver() as peer:
        peer.always = found
        found.url = peer.url
        yield found
        found.over.set()


@pytest.fixture
def hurried(local):
    """Attempts are cut off soon."""
    local.app.config["OUTBOUND_SECONDS"] = 1.0
    return local


def test_many_messages_for_a_stalling_endpoint_let_others_pass(hurried, stalling, peer, wait_until):
    ada, bob = hurried.person(), hurried.person()
    slow = make_endpoint(hurried, ada, stalling.url)
    make_endpoint(hurried, bob, peer.url)
    for _ in range(20):
        tell(hurried, ada.id)
    for _ in range(20):  # asked for after all the others
        tell(hurried, bob.id)
    workers = WorkerThreads(hurried.app)
    workers.start()
    try:
        wait_until(lambda: len(peer.received) == 20)
    finally:
        workers.stop()
    # One attempt was made there, or is being made: not twenty.
    assert stalling.calls == 1
    ours = [one for one in deliveries(hurried) if str(one.endpoint_id) == slow["id"]]
    assert len(ours) == 20
    assert {one.status for one in ours} == {DeliveryStatus.PENDING}
    assert sorted(one.attempts for one in ours)[:-1] == [0] * 19  # waiting counts as no attempt


def test_all_of_a_users_slow_endpoints_take_one_worker(hurried, stalling, peer, wait_until, monkeypatch):
    genuine, slow = sending.attempt, Together()

    def attempt(call):
        with slow if call.url.startswith(stalling.url) else nullcontext():
            return genuine(call)

    monkeypatch.setattr(sending, "attempt", attempt)
    ada, bob = hurried.person(), hurried.person()
    for number in range(10):
        make_endpoint(hurried, ada, f"{stalling.url}/{number}")
    make_endpoint(hurried, bob, peer.url)
    tell(hurried, ada.id)
    for _ in range(5):
        tell(hurried, bob.id)
    workers = WorkerThreads(hurried.app)
    workers.start()
    try:
        wait_until(lambda: len(peer.received) == 5)
        wait_until(lambda: stalling.calls >= 3)  # they have their turns
    finally:
        workers.stop()
    assert slow.most == 1


def test_one_that_was_fast_and_stalls_is_left_alone_for_longer_and_longer(hurried, stalling):
    ada = hurried.person()
    stalling.answers = True
    made = make_endpoint(hurried, ada, stalling.url)
    tell(hurried, ada.id)
    hurried.deliver()
    assert endpoint_row(hurried, made["id"]).proven_at is not None
    stalling.answers = False
    rests = []
    for _ in range(3):
        tell(hurried, ada.id)
        later(hurried)
        row = endpoint_row(hurried, made["id"])
        rests.append(round((row.resting_until - utc_now()) / timedelta(minutes=1)))
        tell(hurried, ada.id)
        calls = stalling.calls
        hurried.deliver()
        assert stalling.calls == calls  # it rests
    assert rests == [1, 2, 4]
    assert endpoint_row(hurried, made["id"]).updated_at == row.updated_at == made_at(made)


def made_at(made):
    return datetime.fromisoformat(made["updated_at"])


def test_all_goes_on_when_it_answers_again(hurried, stalling):
    ada = hurried.person()
    made = make_endpoint(hurried, ada, stalling.url)
    for _ in range(6):
        tell(hurried, ada.id)
    hurried.deliver()
    assert stalling.calls == 1
    stalling.answers = True
    hurried.app.config["OUTBOUND_SECONDS"] = 10.0
    later(hurried)  # its rest is over: one is sent, and all the others after it
    assert {one.status for one in deliveries(hurried)} == {DeliveryStatus.DELIVERED}
    row = endpoint_row(hurried, made["id"])
    assert (row.timeouts, row.resting_until, row.failing_since) == (0, None, None)
    assert stalling.calls == 7


def test_a_rest_that_is_over_is_noticed_without_anybodys_doing(hurried, stalling):
    ada = hurried.person()
    make_endpoint(hurried, ada, stalling.url)
    for _ in range(2):
        tell(hurried, ada.id)
    hurried.deliver()
    with hurried.app.app_context():
        pending = select(OutboxRow.name, OutboxRow.next_attempt_at).where(
            OutboxRow.status == OutboxStatus.PENDING
        )
        found = dict(tuple(row) for row in db.session.execute(pending))
    assert set(found) == {"webhook.delivery_due", "webhook.endpoint_due"}
    assert timedelta(seconds=50) < found["webhook.endpoint_due"] - utc_now() <= timedelta(minutes=1)


def test_an_overloaded_endpoint_gets_none_of_the_others_either(local, peer):
    ada = local.person()
    make_endpoint(local, ada, peer.url)
    peer.replies = [204, (503, {"Retry-After": "600"})]
    tell(local, ada.id)
    local.deliver()
    for _ in range(3):
        tell(local, ada.id)
        local.deliver()
    assert len(peer.received) == 2
    later(local)
    assert {one.status for one in deliveries(local)} == {DeliveryStatus.DELIVERED}


def test_a_test_or_a_replay_does_not_wait_for_the_end_of_a_rest(hurried, stalling):
    ada = hurried.person()
    made = make_endpoint(hurried, ada, stalling.url)
    tell(hurried, ada.id)
    hurried.deliver()
    stalling.answers = True
    hurried.app.config["OUTBOUND_SECONDS"] = 10.0
    sent = hurried.post(f"/webhooks/{made['id']}/test", by=ada)
    assert sent.status_code == 202
    hurried.deliver()
    path = f"/webhooks/{made['id']}/deliveries/{sent.json['data']['id']}"
    assert hurried.get(path, by=ada).json["data"]["status"] == "delivered"


def test_answers_that_are_slow_count_as_slow_even_where_they_say_yes(local, peer, monkeypatch):
    """Or whoever says yes at the last moment, a thousand times, holds all threads for hours."""
    ada = local.person()
    made = make_endpoint(local, ada, peer.url)
    tell(local, ada.id)
    local.deliver()
    assert not endpoint_row(local, made["id"]).on_trial
    genuine = sending.attempt
    monkeypatch.setattr(
        sending, "attempt", lambda call: replace(genuine(call), duration_ms=schedule.SLOW_MS + 1)
    )
    tell(local, ada.id)
    local.deliver()
    row = endpoint_row(local, made["id"])
    assert row.on_trial
    assert row.resting_until is None  # it does answer
    monkeypatch.setattr(sending, "attempt", genuine)
    tell(local, ada.id)
    local.deliver()
    assert not endpoint_row(local, made["id"]).on_trial
    assert [one.status for one in deliveries(local)] == [DeliveryStatus.DELIVERED] * 3
