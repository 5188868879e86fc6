"""The executor in the web process: one thread that delivers events and keeps the schedule."""

from __future__ import annotations

import threading
import time
from uuid import UUID

from flask import Flask, current_app
from sqlalchemy.exc import SQLAlchemyError

from devforge_api.core import jobs, maintenance, outbox
from devforge_api.core.context import Occasion, acting
from devforge_api.core.db import db
from devforge_api.core.keys import ensure_signing_keys
from devforge_api.core.maintenance import Maintenance

SCHEDULE_SECONDS = 5.0
IDLE_LIMIT = 5.0  # seconds; the longest pause after failures such as a database that is away


class WorkerThread:
    """Claims outbox rows when woken or when polling finds them due."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="devforge-worker", daemon=True)

    def start(self) -> None:
        """Begin; the application's commits wake it from now on.

        The first signing key is made here, before a request can need it. A database that is away
        does not keep the server from starting: the thread tries again.
        """
        make_signing_keys(self.app)
        outbox.install_executor(self.app, self)
        self._thread.start()

    def submit(self, row_id: UUID) -> None:
        """Wake up; a row is due."""
        self._wake.set()

    def stop(self) -> None:
        """Finish the row in hand, then end."""
        self._stop.set()
        self._wake.set()
        self._thread.join(timeout=30)

    def _loop(self) -> None:
        poll: float = self.app.config["OUTBOX_POLL_SECONDS"]
        pause, next_schedule, ready = poll, 0.0, False
        while not self._stop.is_set():
            self._wake.clear()
            try:
                with self.app.app_context():
                    if not ready:
                        ensure_signing_keys()
                        ready = True
                    worked = drain(self._stop)
                    if time.monotonic() >= next_schedule:
                        jobs.run_due()
                        next_schedule = time.monotonic() + SCHEDULE_SECONDS
                pause = poll
            except Exception:
                worked = 0
                pause = min(pause * 2, IDLE_LIMIT)
                self.app.logger.exception("the worker thread failed and goes on")
            if not worked:
                self._wake.wait(pause)


def make_signing_keys(app: Flask) -> None:
    """Make the first signing keys before a request needs one; a database that is away is no obstacle."""
    try:
        with app.app_context():
            ensure_signing_keys()
    except SQLAlchemyError:
        app.logger.exception("no signing key yet: the database is not ready")


def drain(stop: threading.Event | None = None) -> int:
    """Deliver every due row; in maintenance, none. Returns how many were tried."""
    tried = 0
    while not (stop and stop.is_set()):
        with acting(Occasion(kind="job", request_id="outbox")):
            count = _deliver_batch()
        if not count:
            break
        tried += count
    return tried


def _deliver_batch() -> int:
    try:
        row_ids = outbox.claim()
    except Maintenance:
        return 0
    late = time.monotonic() + current_app.config["OUTBOX_LEASE"].total_seconds() / 2
    for place, row_id in enumerate(row_ids):
        # Maintenance has begun since; or those before took long (a mail server, say), and at the end
        # of the lease another worker would take up what is being done here: given back untried.
        if maintenance.current().active or (place and time.monotonic() > late):
            outbox.give_back(row_ids[place:])
            return place
        outbox.deliver(row_id)
        db.session.remove()
    return len(row_ids)
