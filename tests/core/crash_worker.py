"""A worker process for the crash test: delivers events and dies where it is told to.

``CRASH_AFTER`` is the number of the delivery during which it kills itself; ``CRASH_WHEN`` says
whether before that delivery's commit (``inside``) or right after it (``committed``).
"""

from __future__ import annotations

import itertools
import os
import signal
import time
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from devforge_api.app import create_app
from devforge_api.audit import service as audit
from devforge_api.core.db import after_commit, db
from devforge_api.core.outbox import OutboxRow, OutboxStatus, on
from devforge_api.core.worker import drain

EVENT = "license.used"  # nobody else hears of it
ACTION = "test.applied"
_numbers = itertools.count(1)


def apply(payload: dict[str, Any]) -> None:
    """Write one row into the audit trail: twice would be seen."""
    audit.record(ACTION, target_type="license", target_id=UUID(payload["license_id"]))
    db.session.flush()
    if str(next(_numbers)) == os.environ.get("CRASH_AFTER"):
        if os.environ["CRASH_WHEN"] == "inside":
            die()
        after_commit(die)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def subscribe() -> None:
    on(EVENT)(apply)


def pending() -> int:
    statement = select(func.count()).where(OutboxRow.status == OutboxStatus.PENDING)
    return db.session.scalar(statement) or 0


def work() -> None:
    """Deliver until nothing is left; rows of killed workers come back when their lease is over."""
    app = create_app()
    subscribe()
    with app.app_context():
        while pending():
            if not drain():
                time.sleep(0.05)
