"""The executor in the web process: threads that deliver events, and keep the schedule."""

from __future__ import annotations

import math
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
from devforge_api.core.outbox import Lane

SCHEDULE_SECONDS = 5.0
IDLE_LIMIT = 5.0  # seconds; the longest pause after failures such as a database that is away
# Threads of each lane: strangers' addresses may each take as long as a call may take at all.
THREADS = {Lane.WORK: 1, Lane.OUTSIDE: 1, Lane.FILES: 1, Lane.STRANGERS: 2}


class WorkerThreads:
    """Claim outbox rows when woken, or when polling finds them due."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self._stop = threading.Event()
        self._lanes = [
            _LaneThread(app, lane, self._stop) for lane, many in THREADS.items() for _ in range(many)
        ]

    def start(self) -> None:
        """Begin; the application's commits wake them from now on.

        The first signing key is made here, before a request can need it. A database that is away
        does not keep the server from starting: the threads try again.
        """
        make_signing_keys(self.app)
        outbox.install_executor(self.app, self)
        for thread in self._lanes:
            thread.start()

    def submit(self, row_id: UUID, lane: Lane) -> None:
        """Wake up; a row is due."""
        for thread in self._lanes:
            if thread.lane is lane:
                thread.wake.set()

    def stop(self) -> None:
        """Finish the rows in hand, then end."""
        self._stop.set()
        for thread in self._lanes:
            thread.wake.set()
        for thread in self._lanes:
            thread.join(timeout=30)


class _LaneThread(threading.Thread):
    """Delivers what belongs to one lane; that of the work keeps the schedule as well."""

    def __init__(self, app: Flask, lane: Lane, stop: threading.Event) -> None:
        super().__init__(name=f"devforge-{lane}", daemon=True)
        self._app, self.lane, self._stopping = app, lane, stop
        self.wake = threading.Event()

    def run(self) -> None:
        """Go on until stopped, whatever fails."""
        poll: float = self._app.config["OUTBOX_POLL_SECONDS"]
        pause, next_schedule, ready = poll, 0.0, False
        while not self._stopping.is_set():
            self.wake.clear()
            try:
                with self._app.app_context():
                    if not ready:
                        ensure_signing_keys()
                        ready = True
                    worked = drain(self._stopping, self.lane, seconds=SCHEDULE_SECONDS)
                    if self.lane is Lane.WORK and time.monotonic() >= next_schedule:
                        jobs.run_due()
                        next_schedule = time.monotonic() + SCHEDULE_SECONDS
                pause = poll
            except Exception:
                worked = 0
                pause = min(pause * 2, IDLE_LIMIT)
                self._app.logger.exception("a worker thread failed and goes on")
            if not worked:
                self.wake.wait(pause)


def make_signing_keys(app: Flask) -> None:
    """Make the first signing keys before a request needs one; a database that is away is no obstacle."""
    try:
        with app.app_context():
            ensure_signing_keys()
    except SQLAlchemyError:
        app.logger.exception("no signing key yet: the database is not ready")


def drain(stop: threading.Event | None = None, lane: Lane | None = None, *, seconds: float = math.inf) -> int:
    """Deliver every due row; in maintenance, none. Returns how many were tried.

    :param lane: whose rows; None: all.
    :param seconds: after which no more are taken up: whoever calls has other things to do as well.
    """
    tried, until = 0, time.monotonic() + seconds
    while not (stop and stop.is_set()) and (not tried or time.monotonic() < until):
        with acting(Occasion(kind="job", request_id="outbox")):
            count = _deliver_batch(lane)
        if not count:
            break
        tried += count
    return tried


def _deliver_batch(lane: Lane | None) -> int:
    try:
        # Where each may take long, another thread is to have the next one.
        row_ids = outbox.claim(lane, limit=1 if lane is Lane.STRANGERS else 20)
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
