"""The second executor: killed, and with its Redis emptied, it loses nothing and doubles nothing."""

import os
import signal
import subprocess
import sys
import time
from urllib.parse import urlsplit

import pytest
import redis
from sqlalchemy import func, select

from devforge_api.app import create_app
from devforge_api.audit.models import AuditEvent
from devforge_api.core import outbox
from devforge_api.core.celery_executor import CeleryExecutor, make_celery
from devforge_api.core.db import db, unit_of_work, uuid7
from tests import servers
from tests.core import crash_worker

EVENTS = 400
pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def broker(worker_id):
    """A Redis database of this test's own, beside the one of the column."""
    number = 15 - int(worker_id.removeprefix("gw") or 0) if worker_id != "master" else 15
    with servers.redis_server() as server:
        url = f"redis://{urlsplit(server).netloc}/{number}"
        with redis.Redis.from_url(url) as client:
            client.flushdb()
            yield url
            client.flushdb()


@pytest.fixture
def celery_app(app, environ, broker):
    """The application as a web process that hands its events to Celery."""
    crash_worker.subscribe()
    web = create_app({**environ, "DEVFORGE_CELERY_BROKER_URL": broker})
    outbox.install_executor(web, CeleryExecutor(make_celery(web)))
    yield web
    outbox._subscribers[crash_worker.EVENT].popitem()
    with web.app_context():
        db.engine.dispose()


@pytest.fixture
def start(environ, broker, tmp_path):
    """Start Celery's worker or beat, in a process group of its own."""
    groups = []

    def run(*arguments):
        command = [sys.executable, "-m", "celery", "-A", "tests.core.celery_worker", *arguments]
        process = subprocess.Popen(
            [*command, "--loglevel", "ERROR"],
            env={**os.environ, **environ, "DEVFORGE_CELERY_BROKER_URL": broker, "PYTHONWARNINGS": "ignore"},
            start_new_session=True,
        )
        groups.append(process)
        return process

    run("beat", "--schedule", str(tmp_path / "beat"), "--pidfile", "")
    queues = ",".join(lane.queue for lane in outbox.Lane)
    yield lambda: run(
        "worker", "--queues", queues, "--concurrency", "2", "--without-gossip", "--without-mingle"
    )
    for process in groups:
        kill(process)


def kill(process):
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def applied(app):
    statement = select(AuditEvent.target_id).where(AuditEvent.action == crash_worker.ACTION)
    with app.app_context():
        return list(db.session.scalars(statement))


def wait_until(condition):
    while not condition():
        time.sleep(0.05)


def test_nothing_is_lost_or_doubled_when_workers_die_and_redis_is_emptied(celery_app, start, broker):
    ids = [uuid7() for _ in range(EVENTS)]
    with celery_app.app_context():
        for first in range(0, EVENTS, 10):
            with unit_of_work():
                for id_ in ids[first : first + 10]:
                    outbox.emit(crash_worker.EVENT, license_id=str(id_))
    worker = start()
    wait_until(lambda: len(applied(celery_app)) >= EVENTS // 8)
    kill(worker)
    assert len(applied(celery_app)) < EVENTS
    with redis.Redis.from_url(broker) as client:
        client.flushdb()
    worker = start()
    wait_until(lambda: len(applied(celery_app)) >= EVENTS)
    with celery_app.app_context():
        pending = select(func.count()).where(outbox.OutboxRow.status == outbox.OutboxStatus.PENDING)
        wait_until(lambda: (db.session.scalar(pending), db.session.remove())[0] == 0)
    found = applied(celery_app)
    assert len(found) == EVENTS
    assert set(found) == set(ids)


def test_a_broker_that_is_away_does_not_fail_the_request_and_the_row_waits(app, environ):
    web = create_app({**environ, "DEVFORGE_CELERY_BROKER_URL": "redis://127.0.0.1:9/0"})
    outbox.install_executor(web, CeleryExecutor(make_celery(web)))
    body = {"email": "ada@example.com", "password": "correct horse battery"}
    made = web.test_client().post("/api/v1/auth/register", json=body)
    assert made.status_code == 201
    token = made.get_json()["data"]["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert web.test_client().post("/api/v1/auth/logout", json={}, headers=headers).status_code == 204
    with web.app_context():
        pending = select(func.count()).where(outbox.OutboxRow.status == outbox.OutboxStatus.PENDING)
        assert db.session.scalar(pending) > 0
        db.session.remove()
        db.engine.dispose()
