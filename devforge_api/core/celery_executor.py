"""The second executor: Celery with Redis. Tasks carry a row's id; the table stays the truth.

A task that is lost, doubled or late changes nothing: a row is claimed by an atomic update before
it is delivered, and the sweeper, run by beat, finds every due row that no task brought. Each lane of
the outbox is a queue, so that workers can be told which of them to serve.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any
from uuid import UUID

from celery import Celery
from celery.signals import worker_process_init
from flask import Flask
from kombu.exceptions import OperationalError

from devforge_api.core import jobs, outbox
from devforge_api.core.context import Occasion, acting
from devforge_api.core.db import db
from devforge_api.core.maintenance import Maintenance
from devforge_api.core.outbox import Lane
from devforge_api.core.worker import drain

DELIVER, SWEEP, SCHEDULE = "devforge.deliver", "devforge.sweep", "devforge.schedule"
SWEEP_SECONDS, SCHEDULE_SECONDS = 2.0, 5.0
LONGEST_SWEEP = 10.0

log = logging.getLogger(__name__)


def _every(seconds: float, task: str, lane: Lane, *arguments: str) -> dict[str, Any]:
    # A tick that could not be run in time is dropped: the next one does its work.
    options = {"expires": seconds, "queue": lane.queue}
    return {"task": task, "schedule": seconds, "args": arguments, "options": options}


def make_celery(app: Flask) -> Celery:
    """Celery's application for ours, with its three tasks and beat's schedule."""
    celery = Celery("devforge", broker=app.config["CELERY_BROKER_URL"], set_as_current=False)
    celery.conf.update(
        task_ignore_result=True,
        task_acks_late=True,
        worker_prefetch_multiplier=4,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_transport_options={
            "socket_timeout": 5,
            "socket_connect_timeout": 1,
            "visibility_timeout": 300,
        },
        # A request must not wait for a broker that is away: the sweeper delivers instead.
        task_publish_retry=False,
        timezone="UTC",
        task_default_queue=Lane.WORK.queue,
        beat_schedule={SCHEDULE: _every(SCHEDULE_SECONDS, SCHEDULE, Lane.WORK)}
        | {f"{SWEEP}.{lane}": _every(SWEEP_SECONDS, SWEEP, lane, lane.value) for lane in Lane},
    )

    def forget_connections(**_: object) -> None:
        # A forked process must not talk on its parent's connections.
        with app.app_context():
            db.engine.dispose(close=False)

    worker_process_init.connect(forget_connections, weak=False)

    def deliver(row_id: str) -> None:
        # In maintenance the task is over, and the row waits for the sweeper.
        with app.app_context(), acting(Occasion(kind="job", request_id="outbox")), suppress(Maintenance):
            if outbox.claim_one(UUID(row_id)):
                outbox.deliver(UUID(row_id))
            db.session.remove()

    def sweep(lane: str) -> None:
        with app.app_context():
            # Not for as long as anything is due: a worker may serve other lanes as well.
            drain(lane=Lane(lane), seconds=LONGEST_SWEEP)

    def schedule() -> None:
        with app.app_context():
            jobs.run_due()

    for name, task in ((DELIVER, deliver), (SWEEP, sweep), (SCHEDULE, schedule)):
        celery.task(name=name, shared=False)(task)  # not the tasks of another application
    return celery


class CeleryExecutor:
    """Hands committed rows to Celery's workers."""

    def __init__(self, celery: Celery) -> None:
        self._celery: Any = celery

    def submit(self, row_id: UUID, lane: Lane) -> None:
        """Send a task; where the broker is away, leave the row to the sweeper."""
        try:
            self._celery.send_task(DELIVER, (str(row_id),), expires=60, queue=lane.queue)
        except (OperationalError, OSError) as error:
            log.warning("the broker is away; the sweeper will deliver", extra={"error": str(error)})
