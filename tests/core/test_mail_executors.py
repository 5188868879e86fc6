"""Both executors send letters: the web process's thread, and Celery's task."""

from uuid import UUID

from sqlalchemy import select

from devforge_api.core import outbox
from devforge_api.core.celery_executor import DELIVER, make_celery
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.mail import outgoing
from devforge_api.core.outbox import OutboxRow
from devforge_api.core.worker import WorkerThreads
from tests.mailbox import Mailbox

ADA = "ada@example.com"


def send(app) -> UUID:
    with app.app_context(), unit_of_work():
        outgoing.send("test", to=ADA, locale=None, link="https://example.org/")
    with app.app_context():
        row = db.session.scalar(select(OutboxRow))
        assert row is not None
        return row.id


def files(box):
    return list(box.folder.glob("*.eml")) if box.folder.exists() else []


def test_the_worker_thread_sends_a_letter(app, wait_until):
    box, worker, before = Mailbox(app), WorkerThreads(app), app.extensions["devforge-executor"]
    worker.start()
    try:
        send(app)
        wait_until(lambda: len(files(box)) == 1)
    finally:
        worker.stop()
        outbox.install_executor(app, before)
    box.empty()


def test_celery_s_task_sends_a_letter_once(app):
    app.config["CELERY_BROKER_URL"], before = "memory://", app.config["CELERY_BROKER_URL"]
    box = Mailbox(app)
    try:
        task = make_celery(app).tasks[DELIVER]
        row_id = send(app)
        task(str(row_id))
        task(str(row_id))
    finally:
        app.config["CELERY_BROKER_URL"] = before
    (path,) = files(box)
    with app.app_context():
        assert db.session.get(OutboxRow, row_id).delivered_at is not None
    assert path.stat().st_size > 0
    box.empty()
