import os
import signal
import subprocess
import sys
import time

import pytest
from sqlalchemy import func, select

from devforge_api.audit.models import AuditEvent
from devforge_api.core import outbox
from devforge_api.core.db import db, unit_of_work, uuid7
from tests.core import crash_worker

EVENTS = 1000


@pytest.fixture
def subscribed():
    crash_worker.subscribe()
    yield
    outbox._subscribers[crash_worker.EVENT].popitem()


@pytest.fixture
def start(environ):
    started = []

    def run(after=None, when=""):
        crash = {"CRASH_AFTER": str(after), "CRASH_WHEN": when} if after else {}
        command = [sys.executable, "-c", "from tests.core.crash_worker import work; work()"]
        process = subprocess.Popen(command, env={**os.environ, **environ, **crash})
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()


def test_events_survive_workers_killed_in_the_middle_and_none_is_applied_twice(app, subscribed, start):
    ids = [uuid7() for _ in range(EVENTS)]
    with app.app_context(), unit_of_work():
        for id_ in ids:
            outbox.emit(crash_worker.EVENT, license_id=str(id_))

    def applied():
        statement = select(AuditEvent.target_id).where(AuditEvent.action == crash_worker.ACTION)
        with app.app_context():
            return list(db.session.scalars(statement))

    for after, when in ((120, "inside"), (1, "inside"), (33, "committed"), (90, "inside")):
        killed = start(after, when)
        assert killed.wait() == -signal.SIGKILL
    assert 0 < len(applied()) < EVENTS

    # From outside, at no chosen moment, two at once.
    before = len(applied())
    pair = [start(), start()]
    while len(applied()) < before + 150:
        assert all(process.poll() is None for process in pair)
        time.sleep(0.01)
    for process in pair:
        process.kill()
        process.wait()
    assert len(applied()) < EVENTS

    assert [process.wait() for process in (start(), start())] == [0, 0]
    found = applied()
    assert len(found) == EVENTS
    assert set(found) == set(ids)
    with app.app_context():
        delivered = select(func.count()).where(
            outbox.OutboxRow.status == outbox.OutboxStatus.DELIVERED,
            outbox.OutboxRow.subscriber.endswith("crash_worker.apply"),  # it is others' news, too
        )
        assert db.session.scalar(delivered) == EVENTS
