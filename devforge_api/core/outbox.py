"""Events that leave with the transaction: written by ``emit``, delivered at least once.

Each subscriber of an event has a row of its own, so that one that fails does not repeat the
others. A subscriber runs in a unit of work that also marks its row delivered: what it writes to
the database is applied exactly once, whatever is killed when. One that talks to the network is
subscribed as ``outside``: it runs with no transaction open, held by its lease alone, in a lane of
its own, so that a slow peer keeps nobody waiting but those who want the same.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any, Protocol
from uuid import UUID

from flask import Flask, current_app
from sqlalchemy import ColumnElement, Index, Text, select, update
from sqlalchemy.orm import Mapped, mapped_column

from devforge_api.core.clock import utc_now
from devforge_api.core.context import Occasion, acting, occasion
from devforge_api.core.db import (
    Model,
    affected,
    after_commit,
    checked_enum,
    db,
    in_unit_of_work,
    unit_of_work,
    uuid7,
)

FIRST_DELAY, LONGEST_DELAY = timedelta(seconds=1), timedelta(hours=1)
ERROR_LENGTH = 2000


class OutboxStatus(StrEnum):
    """``dead``: set aside after too many attempts, until an operator replays it."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


class OutboxRow(Model):
    """One event for one subscriber."""

    __tablename__ = "outbox"
    __table_args__ = (
        Index("ix_outbox_due", "status", "next_attempt_at"),
        Index("ix_outbox_name_created_at", "name", "created_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    name: Mapped[str]
    subscriber: Mapped[str]
    payload: Mapped[dict[str, Any]]
    request_id: Mapped[str]
    status: Mapped[OutboxStatus] = mapped_column(checked_enum(OutboxStatus), default=OutboxStatus.PENDING)
    attempts: Mapped[int] = mapped_column(default=0)
    # When it is due; a claim moves it past the lease, so a killed worker's rows come back.
    next_attempt_at: Mapped[datetime] = mapped_column(default=utc_now)
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    delivered_at: Mapped[datetime | None]

    def mark_delivered(self) -> None:
        """Its subscriber has done its work."""
        self.status, self.delivered_at, self.error = OutboxStatus.DELIVERED, utc_now(), None


class Lane(StrEnum):
    """Who delivers together, one after the other in each of the lane's threads.

    ``work``: the database alone. ``outside``: mail servers, payment providers. ``files``: pictures
    and contents of any size. ``strangers``: addresses that users have given, any of which may be as
    slow as it likes.
    """

    WORK = "work"
    OUTSIDE = "outside"
    FILES = "files"
    STRANGERS = "strangers"

    @property
    def queue(self) -> str:
        """Its name at a broker."""
        return f"devforge.{self}"


@dataclass(frozen=True, slots=True)
class EventType:
    """An entry of the event catalogue: what happened, and the payload's keys."""

    meaning: str
    keys: frozenset[str]


class Executor(Protocol):
    """Whoever delivers rows: a thread of this process, or a queue's workers.

    It may lose what it is told: due rows are found again by polling the table.
    """

    def submit(self, row_id: UUID, lane: Lane) -> None:
        """A row of this lane has been committed and is due."""


class Unattended:
    """No executor in this process, as in the CLI: rows wait for one that polls."""

    def submit(self, row_id: UUID, lane: Lane) -> None:
        """Leave the row to others."""


class Undeliverable(Exception):
    """Trying again cannot help: the row is set aside at once. The message says why."""


Handler = Callable[[dict[str, Any]], Any]
_subscribers: dict[str, dict[str, Handler]] = {}
_emitted_at: ContextVar[datetime] = ContextVar("emitted_at")
_lanes: dict[str, Lane] = {}  # of subscribers by name; whoever is not in it belongs to the work


def on(*names: str, outside: bool = False, lane: Lane = Lane.OUTSIDE) -> Callable[[Handler], Handler]:
    """Subscribe a function to events by name. It may run twice, and must not mind.

    :param outside: run it in no unit of work, as what waits for the network must: a transaction
        would keep every other writer waiting. It has to end within half of ``OUTBOX_LEASE``, and
        may return a function without arguments: that runs in the unit of work which marks the
        row delivered.
    :param lane: of one that runs outside.
    """

    def subscribe(handler: Handler) -> Handler:
        subscriber = f"{handler.__module__}.{handler.__qualname__}"
        for name in names:
            _subscribers.setdefault(name, {})[subscriber] = handler
        if outside:
            _lanes[subscriber] = lane
        return handler

    return subscribe


def init_app(app: Flask, catalogue: dict[str, EventType]) -> None:
    """Install the event catalogue; a subscription to an unknown event is refused."""
    unknown = set(_subscribers) - set(catalogue)
    if unknown:
        raise RuntimeError(f"subscribed to events that the catalogue lacks: {sorted(unknown)}")
    app.extensions["devforge-events"] = catalogue
    app.extensions["devforge-executor"] = Unattended()


def install_executor(app: Flask, executor: Executor) -> None:
    """Tell who delivers the rows that this process commits."""
    app.extensions["devforge-executor"] = executor


def emit(name: str, **payload: Any) -> None:
    """Write an event into the open transaction, for each of its subscribers.

    :raises RuntimeError: outside of a unit of work.
    :raises ValueError: name or payload keys differ from the catalogue.
    """
    emit_at(utc_now(), name, **payload)


def emit_at(due_at: datetime, name: str, /, **payload: Any) -> None:
    """The same, delivered no earlier than at a moment."""
    if not in_unit_of_work():
        raise RuntimeError("an event is emitted in the transaction whose work it tells of")
    known = current_app.extensions["devforge-events"].get(name)
    if known is None or set(payload) != known.keys:
        raise ValueError(f"event {name} with {sorted(payload)} does not match the catalogue")
    executor: Executor = current_app.extensions["devforge-executor"]
    now = utc_now()  # one moment for all who hear of it
    for subscriber in _subscribers.get(name, {}):
        row = OutboxRow(
            id=uuid7(),
            name=name,
            subscriber=subscriber,
            payload=payload,
            request_id=occasion().request_id,
            next_attempt_at=due_at,
            created_at=now,
        )
        db.session.add(row)
        if due_at <= now:
            after_commit(partial(executor.submit, row.id, _lanes.get(subscriber, Lane.WORK)))


def claim(lane: Lane | None = None, limit: int = 20) -> list[UUID]:
    """Take due rows for this worker, oldest first, by one atomic update.

    :param lane: whose; None: any.
    """
    now = utc_now()
    due = (
        select(OutboxRow.id)
        .where(OutboxRow.status == OutboxStatus.PENDING, OutboxRow.next_attempt_at <= now, *_belongs_to(lane))
        .order_by(OutboxRow.next_attempt_at, OutboxRow.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        # A plain subquery may be run again for each row, and then locks more than the limit.
        .cte("due")
    )
    take = (
        update(OutboxRow)
        .where(OutboxRow.id.in_(select(due.c.id)))
        .values(attempts=OutboxRow.attempts + 1, next_attempt_at=now + current_app.config["OUTBOX_LEASE"])
        .returning(OutboxRow.id)
        .execution_options(synchronize_session=False)
    )
    with unit_of_work():
        return sorted(db.session.scalars(take))


def _belongs_to(lane: Lane | None) -> list[ColumnElement[bool]]:
    if lane is None:
        return []
    if lane is Lane.WORK:  # and rows whose subscriber is no more: somebody has to tell
        return [OutboxRow.subscriber.not_in(sorted(_lanes))]
    return [OutboxRow.subscriber.in_(sorted(name for name, its in _lanes.items() if its is lane))]


def claim_one(row_id: UUID) -> bool:
    """Take one row for this worker, if it is due; False where another one has it."""
    now = utc_now()
    take = (
        update(OutboxRow)
        .where(
            OutboxRow.id == row_id,
            OutboxRow.status == OutboxStatus.PENDING,
            OutboxRow.next_attempt_at <= now,
        )
        .values(attempts=OutboxRow.attempts + 1, next_attempt_at=now + current_app.config["OUTBOX_LEASE"])
        .execution_options(synchronize_session=False)
    )
    with unit_of_work():
        return affected(take) == 1


def give_back(row_ids: list[UUID]) -> None:
    """Undo the claim of rows that were not tried: they are due, and no attempt is counted."""
    untried = (
        update(OutboxRow)
        .where(OutboxRow.id.in_(row_ids), OutboxRow.status == OutboxStatus.PENDING)
        .values(attempts=OutboxRow.attempts - 1, next_attempt_at=utc_now())
        .execution_options(synchronize_session=False)
    )
    with unit_of_work():
        db.session.execute(untried)


def deliver(row_id: UUID) -> bool:
    """Run a claimed row's subscriber; on failure put it off, or aside after too many attempts.

    :returns: whether it is delivered now (also when another worker was faster).
    """
    try:
        with unit_of_work():
            row = _pending(row_id)
            if row is None:
                return True
            handler = _subscribers.get(row.name, {}).get(row.subscriber)
            if handler is None:
                raise LookupError(f"nothing is subscribed as {row.subscriber}")
            if row.subscriber not in _lanes:
                _run(handler, row)
                row.mark_delivered()
                return True
        then = _run(handler, row)
        with unit_of_work():
            row = _pending(row_id)
            if then is not None:
                then()
            if row is not None:
                row.mark_delivered()
    except Exception as error:
        _put_off(row_id, traceback.format_exc()[-ERROR_LENGTH:], final=isinstance(error, Undeliverable))
        current_app.logger.exception("an outbox row failed", extra={"outbox_id": str(row_id)})
        return False
    return True


def _pending(row_id: UUID) -> OutboxRow | None:
    """The row, locked until commit, unless it is done with."""
    pending = select(OutboxRow).where(OutboxRow.id == row_id, OutboxRow.status == OutboxStatus.PENDING)
    return db.session.scalar(pending.with_for_update())


def _run(handler: Handler, row: OutboxRow) -> Any:
    token = _emitted_at.set(row.created_at)
    try:
        with acting(Occasion(kind="job", request_id=row.request_id)):
            return handler(row.payload)
    finally:
        _emitted_at.reset(token)


def emitted_at() -> datetime:
    """When the event was emitted that is being delivered. :raises LookupError: none is."""
    return _emitted_at.get()


def _put_off(row_id: UUID, error: str, *, final: bool) -> None:
    with unit_of_work():
        row = db.session.get(OutboxRow, row_id, with_for_update=True)
        if row is None or row.status is not OutboxStatus.PENDING:
            return
        row.error = error
        if final or row.attempts >= current_app.config["OUTBOX_MAX_ATTEMPTS"]:
            row.status = OutboxStatus.DEAD
        else:
            delay = min(FIRST_DELAY * 4 ** min(row.attempts - 1, 8), LONGEST_DELAY)
            row.next_attempt_at = utc_now() + delay


def payloads_since(name: str, since: datetime) -> list[dict[str, Any]]:
    """The payloads of an event's rows since a moment, delivered ones too."""
    statement = select(OutboxRow.payload).where(OutboxRow.name == name, OutboxRow.created_at >= since)
    return list(db.session.scalars(statement))
