"""Maintenance: the operator makes the service read-only for a while.

A write is what opens a ``unit_of_work()``, and there it is refused: whatever only reads goes on, by
POST too. Commands go on writing. Jobs stand still and count nothing as failed.

An *occasion* (a request, a batch of events, a scheduled job) is asked once, before its first write.
Whoever has been admitted may finish, so that nothing is left half done.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from math import inf

from flask import Flask, current_app
from prometheus_client import Gauge
from sqlalchemy import CheckConstraint, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from devforge_api.core.clock import utc_now
from devforge_api.core.context import Occasion, occasion
from devforge_api.core.db import Model, after_commit, db, reading_engine
from devforge_api.core.errors import EditConflict, RetryLater

# A process looks once a second. While one of its threads looks, the others go by what is known, but
# never by what is older than this: a change is known everywhere after so many seconds.
PAUSE_SECONDS, OLDEST_SECONDS = 1.0, 2.0
MESSAGE_LENGTH = 255  # characters
OPEN_WRITES = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
  AND backend_type = 'client backend' AND backend_xid IS NOT NULL
"""

ACTIVE = Gauge(
    "devforge_maintenance",
    "1 while writes are refused, as this server last saw it.",
    multiprocess_mode="mostrecent",
)


class Maintenance(RetryLater):
    """The service is read-only for maintenance; try again later."""

    status, code = 503, "MAINTENANCE"


class MaintenanceRow(Model):
    """The one row: whether it is on. No row: it never was."""

    __tablename__ = "maintenance"
    __table_args__ = (CheckConstraint("id = 1", name="only_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, default=1)
    active: Mapped[bool]
    message: Mapped[str | None]  # what refused callers read
    retry_after: Mapped[int]  # seconds
    changed_at: Mapped[datetime] = mapped_column(default=utc_now)  # when it began, or ended


@dataclass(frozen=True, slots=True)
class State:
    """Whether it is on, and since when; ``changed_at`` is None where it never was."""

    active: bool = False
    message: str | None = None
    retry_after: int = 0
    changed_at: datetime | None = None


class _Known:
    """What this process knows of the state, and as of when (monotonic seconds)."""

    def __init__(self) -> None:
        self.last: tuple[float, State] = (-inf, State())
        self._next_look = -inf

    def forget(self) -> None:
        """Look again at the next question."""
        self._next_look = -inf

    def state(self) -> State:
        """The state, at most ``OLDEST_SECONDS`` old.

        :raises SQLAlchemyError: it cannot be read; a write would fail too.
        """
        now = time.monotonic()
        as_of, state = self.last
        if now < self._next_look and now - as_of <= OLDEST_SECONDS:
            return state
        self._next_look = now + PAUSE_SECONDS
        state = read()
        self.last = (now, state)  # as of before the reading; one assignment, so that the pair is one
        ACTIVE.set(state.active)
        return state


# The occasion that was admitted in this thread; compared by identity.
_admitted: ContextVar[Occasion | None] = ContextVar("admitted", default=None)


def init_app(app: Flask) -> None:
    """Have every unit of work ask for admission."""
    app.extensions["devforge-maintenance"] = _Known()
    app.extensions["devforge-write-guard"] = admit


def admit() -> None:
    """Let the occasion under way write, or refuse it.

    :raises Maintenance: with the operator's message.
    :raises SQLAlchemyError: the database is away.
    """
    now = occasion()
    if now.kind == "cli" or _admitted.get() is now:
        return
    state = current()
    if state.active:
        raise Maintenance(state.retry_after, state.message)
    _admitted.set(now)


def current() -> State:
    """The state as this process knows it; a query once a second."""
    return _known().state()


def last_seen() -> State:
    """The state as it was read last, however long ago; no query."""
    return _known().last[1]


def read() -> State:
    """The state in the database, read beside any transaction."""
    row = MaintenanceRow
    statement = select(row.active, row.message, row.retry_after, row.changed_at)
    with reading_engine().connect() as connection:
        found = connection.execute(statement).first()
    return State(*found) if found else State()


def begin(message: str | None, retry_after: int) -> State:
    """Refuse writes from the commit on, or change the words of a maintenance under way.

    :param message: what refused callers read; None for the usual sentence.
    :param retry_after: seconds after which they are told to try again.
    :returns: the state before.
    :raises EditConflict: somebody else began at the same moment.
    """
    row = db.session.get(MaintenanceRow, 1, with_for_update=True)
    before = _state_of(row)
    if row is None:
        row = MaintenanceRow(active=False)
        db.session.add(row)
    if not before.active:
        row.active, row.changed_at = True, utc_now()
    row.message, row.retry_after = message, retry_after
    try:
        db.session.flush()
    except IntegrityError as error:
        raise EditConflict from error
    after_commit(_known().forget)
    return before


def end() -> State:
    """Admit writes again from the commit on. Returns the state before."""
    row = db.session.get(MaintenanceRow, 1, with_for_update=True)
    before = _state_of(row)
    if row is not None and before.active:
        row.active, row.changed_at = False, utc_now()
        db.session.flush()
        after_commit(_known().forget)
    return before


def open_writes() -> int | None:
    """How many transactions of others have written and are still open; None where nobody can tell."""
    if db.engine.dialect.name != "postgresql":
        return None
    return int(db.session.scalar(text(OPEN_WRITES)) or 0)


def _state_of(row: MaintenanceRow | None) -> State:
    return State(row.active, row.message, row.retry_after, row.changed_at) if row else State()


def _known() -> _Known:
    known: _Known = current_app.extensions["devforge-maintenance"]
    return known
