"""Subscribers that wait for the network: no transaction is open, the lease holds the row."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from devforge_api.core import worker
from devforge_api.core.clock import utc_now
from devforge_api.core.db import db, in_unit_of_work, unit_of_work
from devforge_api.core.outbox import OutboxRow, OutboxStatus, Undeliverable
from devforge_api.core.worker import drain
from devforge_api.licenses.models import Product
from tests.core.happenings import emit, rows, subscribing

pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture
def subscribe(app):
    with subscribing(app, outside=True) as subscribe:
        yield subscribe


def product(code):
    db.session.add(Product(name=code, code=code))


def codes():
    return sorted(db.session.scalars(select(Product.code)))


def test_no_transaction_is_open_and_others_write_meanwhile(app, subscribe):
    seen = []

    @subscribe
    def slow(payload):
        seen.append(in_unit_of_work())
        with app.app_context(), unit_of_work():  # another writer: on SQLite there is room for one
            product("meanwhile")

    emit(1)
    assert drain() == 1
    assert seen == [False]
    assert codes() == ["meanwhile"]
    assert [row.status for row in rows()] == [OutboxStatus.DELIVERED]


def test_what_it_returns_is_written_with_the_delivery_or_not_at_all(subscribe, monkeypatch):
    subscribe(lambda payload: lambda: product(f"n{payload['n']}"))
    emit(1)
    kept = OutboxRow.mark_delivered
    monkeypatch.setattr(OutboxRow, "mark_delivered", lambda self: 1 / 0)
    drain()
    assert codes() == []
    assert rows()[0].status is OutboxStatus.PENDING
    monkeypatch.setattr(OutboxRow, "mark_delivered", kept)
    with unit_of_work():
        db.session.execute(update(OutboxRow).values(next_attempt_at=utc_now()))
    drain()
    assert codes() == ["n1"]
    assert rows()[0].status is OutboxStatus.DELIVERED


def test_who_has_other_things_to_do_takes_up_no_more_after_some_time(subscribe):
    """Neither the schedule nor another lane waits until nothing at all is due."""
    done = []
    subscribe(lambda payload: done.append(payload["n"]))
    for number in range(45):
        emit(number)
    assert [drain(seconds=0) for _ in range(4)] == [20, 20, 5, 0]
    assert len(done) == 45


def test_what_cannot_be_helped_is_set_aside_at_once(subscribe):
    @subscribe
    def refused(payload):
        raise Undeliverable("550 no such user")

    emit(1)
    drain()
    (row,) = rows()
    assert (row.status, row.attempts) == (OutboxStatus.DEAD, 1)
    assert "550 no such user" in row.error


def test_other_failures_are_tried_again(subscribe):
    @subscribe
    def fails(payload):
        raise OSError("no route")

    emit(1)
    drain()
    (row,) = rows()
    assert (row.status, row.attempts) == (OutboxStatus.PENDING, 1)
    assert row.next_attempt_at > utc_now() - timedelta(seconds=5)


def test_a_batch_that_takes_long_gives_back_what_its_lease_would_not_cover(app, subscribe, monkeypatch):
    """Or another worker would take a row up while this one is busy with it."""
    now = [0.0]
    seen = []
    monkeypatch.setattr(worker.time, "monotonic", lambda: now[0])

    @subscribe
    def slow(payload):
        seen.append(payload["n"])
        now[0] += app.config["OUTBOX_LEASE"].total_seconds() * 0.3

    emit(1, 2, 3, 4)
    assert worker._deliver_batch(None) == 2
    assert seen == [1, 2]
    assert [row.attempts for row in rows()] == [1, 1, 0, 0]
    assert drain() == 2
    assert seen == [1, 2, 3, 4]
