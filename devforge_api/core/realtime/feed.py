"""Each user's feed: what they are told, in order, kept for a week so that a reconnection misses nothing.

A row's id is its place in its user's feed, from a counter that stays locked until the commit: whoever
has read up to an id has read all before it, also when transactions overlap. (An id from a sequence,
or a time, becomes visible out of order.)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, String, delete, insert, select
from sqlalchemy.orm import Mapped, mapped_column

from devforge_api.core.clock import utc_now
from devforge_api.core.db import JsonValue, Model, affected, after_commit, before_commit, db, insert_into
from devforge_api.core.realtime.publishing import poke

KEPT = timedelta(days=7)


class Feed(Model):
    """How far a user's feed has come."""

    __tablename__ = "feeds"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    last_id: Mapped[int] = mapped_column(BigInteger)


class FeedEvent(Model):
    """One message of a user's feed."""

    __tablename__ = "feed_events"
    __table_args__ = (Index("ix_feed_events_created_at", "created_at"),)

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    type: Mapped[str] = mapped_column(String(64))
    data: Mapped[dict[str, Any]] = mapped_column(JsonValue)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


@dataclass(frozen=True, slots=True)
class Message:
    """What a user is told: ``type`` of the contract's list, ``data`` JSON without secrets."""

    user_id: UUID
    type: str
    data: dict[str, Any]


def append(users: Iterable[UUID], type_: str, data: dict[str, Any]) -> None:
    """Tell users something once the open unit of work has committed."""
    for user_id in users:
        before_commit(_write, Message(user_id, type_, data))


def _write(messages: list[Message]) -> None:
    """All messages of a transaction at its end: the counters are locked briefly, and in one order."""
    by_user: dict[UUID, list[Message]] = {}
    for message in messages:
        by_user.setdefault(message.user_id, []).append(message)
    rows = []
    for user_id in sorted(by_user):
        count = len(by_user[user_id])
        counter = insert_into(Feed).values(user_id=user_id, last_id=count)
        counter = counter.on_conflict_do_update(
            index_elements=[Feed.user_id], set_={"last_id": Feed.last_id + count}
        )
        last: int = db.session.execute(counter.returning(Feed.last_id)).scalar_one()
        for place, message in enumerate(by_user[user_id], last - count + 1):
            rows.append({"user_id": user_id, "id": place, "type": message.type, "data": message.data})
    db.session.execute(insert(FeedEvent), rows)
    after_commit(partial(poke, list(by_user)))


def last_ids(users: Iterable[UUID]) -> dict[UUID, int]:
    """How far users' feeds have come; those who were never told anything are left out."""
    statement = select(Feed.user_id, Feed.last_id).where(Feed.user_id.in_(list(users)))
    return {feed.user_id: feed.last_id for feed in db.session.execute(statement)}


def read_after(user_id: UUID, last_id: int, *, limit: int = 100) -> Sequence[FeedEvent]:
    """What a user was told after a message, in order."""
    statement = select(FeedEvent).where(FeedEvent.user_id == user_id, FeedEvent.id > last_id)
    return db.session.scalars(statement.order_by(FeedEvent.id).limit(limit)).all()


def purge(now: datetime) -> int:
    """Delete what is older than it is kept. Returns how many rows."""
    return affected(delete(FeedEvent).where(FeedEvent.created_at < now - KEPT))
