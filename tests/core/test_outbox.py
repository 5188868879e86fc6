import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from devforge_api.core import outbox, outbox_upkeep
from devforge_api.core.clock import utc_now
from devforge_api.core.context import Occasion, acting, occasion
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.outbox import Lane, OutboxRow, OutboxStatus
from devforge_api.core.worker import WorkerThreads, drain
from devforge_api.licenses.models import Product
from tests.core.happenings import NAME, emit, rows, subscribing

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture
def subscribe(app):
    """Subscribe functions to an event of the test's own."""
    with subscribing(app) as subscribe:
        yield subscribe


def make_due():
    with unit_of_work():
        db.session.execute(update(OutboxRow).values(next_attempt_at=utc_now()))


def test_an_event_is_delivered_with_its_payload_and_request_id(subscribe):
    seen = []
    subscribe(lambda payload: seen.append((payload, occasion().kind, occasion().request_id)))
    with acting(Occasion("request", "trace-12345")):
        emit(7)
    assert drain() == 1
    assert seen == [({"n": 7}, "job", "trace-12345")]
    assert [(row.status, row.error) for row in rows()] == [(OutboxStatus.DELIVERED, None)]
    assert drain() == 0


def test_the_id_of_the_request_reaches_the_audit_rows_of_its_subscribers(api):
    license_ = api.license(email="ada@example.com")
    person = api.person(email="ada@example.com", verified=False)
    api.patch(f"/users/{person.id}", {"email_verified": True}, by=(admin := api.admin()), headers={
        "X-Request-ID": "trace-of-verification",
    })  # fmt: skip
    api.deliver()
    found = api.get("/audit/events?request_id=trace-of-verification", by=admin).json["data"]
    assert {(event["action"], event["target_id"]) for event in found} >= {
        ("user.email_verified", str(person.id)),
        ("license.updated", str(license_.id)),
    }


def test_a_rolled_back_event_has_never_happened(subscribe):
    subscribe(lambda payload: None)

    def work():
        with unit_of_work():
            outbox.emit(NAME, n=1)
            db.session.flush()
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        work()
    assert rows() == []


def test_an_event_belongs_into_a_transaction_and_into_the_catalogue(subscribe):
    with pytest.raises(RuntimeError):
        outbox.emit(NAME, n=1)
    for name, payload in ((NAME, {}), (NAME, {"n": 1, "m": 2}), ("test.unknown", {"n": 1})):
        with pytest.raises(ValueError, match="catalogue"), unit_of_work():
            outbox.emit(name, **payload)


def test_an_event_without_subscribers_leaves_no_row(subscribe):
    emit(1)
    assert rows() == []


def test_each_subscriber_has_a_row_of_its_own(subscribe):
    seen = []

    @subscribe
    def works(payload):
        seen.append(payload["n"])

    @subscribe
    def fails(payload):
        raise ConnectionError("the far end is away")

    emit(1)
    drain()
    status = {row.subscriber.rpartition(".")[2]: row for row in rows()}
    assert status["works"].status is OutboxStatus.DELIVERED
    assert status["fails"].status is OutboxStatus.PENDING
    assert "the far end is away" in status["fails"].error
    make_due()
    drain()
    assert seen == [1]


def test_what_a_failing_subscriber_wrote_is_rolled_back(subscribe):
    @subscribe
    def fails(payload):
        db.session.add(Product(name="Half", code="half"))
        db.session.flush()
        raise RuntimeError

    emit(1)
    drain()
    assert db.session.scalar(select(Product.id)) is None


def test_failures_are_tried_again_ever_later_and_then_set_aside(app, subscribe):
    calls = []

    @subscribe
    def fails(payload):
        calls.append(payload)
        raise RuntimeError("never")

    emit(1)
    delays = []
    attempts = app.config["OUTBOX_MAX_ATTEMPTS"]
    for _ in range(attempts):
        make_due()
        began = utc_now()
        drain()
        delays.append(rows()[0].next_attempt_at - began)
    assert len(calls) == attempts
    assert rows()[0].status is OutboxStatus.DEAD
    assert "never" in rows()[0].error
    waits = [round(delay.total_seconds()) for delay in delays[:7]]
    assert waits == [1, 4, 16, 64, 256, 1024, 3600]
    make_due()
    assert drain() == 0


def test_a_dead_row_is_replayed_from_its_beginning(app, subscribe):
    broken = [True]
    seen = []

    @subscribe
    def sometimes(payload):
        if broken[0]:
            raise RuntimeError
        seen.append(payload["n"])

    emit(1, 2)
    for _ in range(app.config["OUTBOX_MAX_ATTEMPTS"]):
        make_due()
        drain()
    first, second = rows()
    assert {first.status, second.status} == {OutboxStatus.DEAD}
    broken[0] = False
    with unit_of_work():
        assert outbox_upkeep.replay([first.id]) == 1
    drain()
    assert seen == [1]
    with unit_of_work():
        assert outbox_upkeep.replay() == 1
    drain()
    assert seen == [1, 2]


def test_a_row_whose_subscriber_is_gone_waits_for_its_return(subscribe):
    seen = []

    def handler(payload):
        seen.append(payload["n"])

    subscribe(handler)
    emit(1)
    outbox._subscribers[NAME].clear()
    drain()
    assert "nothing is subscribed" in rows()[0].error
    subscribe(handler)
    make_due()
    drain()
    assert seen == [1]


def test_a_claimed_row_comes_back_when_its_lease_is_over(subscribe):
    seen = []
    subscribe(lambda payload: seen.append(payload["n"]))
    emit(1)
    assert len(outbox.claim()) == 1  # and then its worker is killed
    assert outbox.claim() == []
    assert rows()[0].next_attempt_at > utc_now()
    make_due()
    assert drain() == 1
    assert seen == [1]
    assert rows()[0].attempts == 2


def test_a_row_that_another_worker_has_delivered_is_not_delivered_again(subscribe):
    seen = []
    subscribe(lambda payload: seen.append(payload["n"]))
    emit(1)
    (row_id,) = outbox.claim()
    assert outbox.deliver(row_id)
    assert outbox.deliver(row_id)
    assert seen == [1]


def test_the_oldest_rows_come_first_and_a_claim_is_bounded(subscribe):
    subscribe(lambda payload: None)
    emit(*range(30))
    first = outbox.claim(limit=20)
    assert first == [row.id for row in rows()[:20]]
    assert len(outbox.claim(limit=20)) == 10


def test_many_workers_claim_and_deliver_every_row_once(app, subscribe):
    seen = []
    subscribe(lambda payload: seen.append(payload["n"]))
    emit(*range(300))

    def work(_):
        with app.app_context():
            return drain()

    with ThreadPoolExecutor(6) as pool:
        claimed = list(pool.map(work, range(6)))
    assert sum(claimed) == 300
    assert sorted(seen) == list(range(300))
    assert {row.attempts for row in rows()} == {1}


def test_the_lag_is_the_wait_of_the_oldest_due_row(subscribe):
    subscribe(lambda payload: None)
    assert outbox_upkeep.lag() == timedelta(0)
    emit(1)
    with unit_of_work():
        db.session.execute(update(OutboxRow).values(next_attempt_at=utc_now() - timedelta(minutes=3)))
    assert timedelta(minutes=3) <= outbox_upkeep.lag() < timedelta(minutes=4)
    drain()
    assert outbox_upkeep.lag() == timedelta(0)


def test_delivered_rows_are_purged_after_a_week_and_no_others(subscribe):
    subscribe(lambda payload: None)
    emit(1, 2)
    (row_id, *_) = outbox.claim(limit=1)
    outbox.deliver(row_id)
    with unit_of_work():
        assert outbox_upkeep.purge_delivered() == 0
        old = utc_now() - timedelta(days=8)
        db.session.execute(update(OutboxRow).values(created_at=old))
        delivered = update(OutboxRow).where(OutboxRow.id == row_id)
        db.session.execute(delivered.values(delivered_at=old))
        assert outbox_upkeep.purge_delivered() == 1
    assert [row.status for row in rows()] == [OutboxStatus.PENDING]


def test_the_worker_thread_delivers_what_is_committed_and_stops_when_told(app, subscribe, wait_until):
    seen = []
    subscribe(lambda payload: seen.append(payload["n"]))
    worker = WorkerThreads(app)
    before = app.extensions["devforge-executor"]
    worker.start()
    try:
        emit(1)
        wait_until(lambda: seen == [1])
        emit(2, 3)
        wait_until(lambda: seen == [1, 2, 3])
    finally:
        worker.stop()
        outbox.install_executor(app, before)
    assert not any(thread.is_alive() for thread in worker._lanes)
    emit(4)
    assert rows()[-1].status is OutboxStatus.PENDING


def test_a_slow_peer_keeps_only_its_own_lane_waiting(app, subscribe, wait_until):
    waiting, answered, seen = threading.Event(), threading.Event(), []

    def slow(_payload):
        waiting.set()
        assert answered.wait(30)

    outbox.on(NAME, outside=True, lane=Lane.STRANGERS)(slow)
    worker = WorkerThreads(app)
    before = app.extensions["devforge-executor"]
    worker.start()
    try:
        emit(1)
        assert waiting.wait(30)
        subscribe(lambda payload: seen.append(payload["n"]))
        emit(2)
        wait_until(lambda: seen == [2])
        assert not answered.is_set()
    finally:
        answered.set()
        worker.stop()
        outbox.install_executor(app, before)


def test_rows_of_a_lane_are_claimed_by_that_lane_alone(subscribe):
    def outside(_payload):
        pass

    subscribe(lambda payload: None)
    outbox.on(NAME, outside=True)(outside)
    emit(1)
    assert outbox.claim(Lane.STRANGERS) == []
    assert len(outbox.claim(Lane.OUTSIDE)) == len(outbox.claim(Lane.WORK)) == 1


def test_an_event_for_later_is_delivered_when_it_is_due(subscribe):
    seen = []
    subscribe(lambda payload: seen.append(payload["n"]))
    with unit_of_work():
        outbox.emit_at(utc_now() + timedelta(hours=5), NAME, n=1)
    assert drain() == 0
    make_due()
    assert drain() == 1
    assert seen == [1]


def test_a_subscription_to_an_unknown_event_keeps_the_application_from_starting(app):
    outbox.on("test.misspelt")(lambda payload: None)
    try:
        with pytest.raises(RuntimeError, match=r"test\.misspelt"):
            outbox.init_app(app, app.extensions["devforge-events"])
    finally:
        outbox._subscribers.pop("test.misspelt")
