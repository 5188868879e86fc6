"""Reading, and no longer: each change is told to the reader's other windows, so that badges agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete, select, update

from devforge_api.core.clock import rfc3339, utc_now
from devforge_api.core.db import affected, db
from devforge_api.core.realtime import feed
from devforge_api.notifications import queries
from devforge_api.notifications.models import Notification

KEPT = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Marked:
    """What marking has done: how many it changed, and how many are unread now."""

    changed: int
    unread: int


def mark(user_id: UUID, ids: Sequence[UUID], *, read: bool) -> Marked:
    """Mark some of a user's notifications as read or unread; what is not the user's is passed by."""
    queries.lock_reader(user_id)
    state = Notification.read_at.is_(None) if read else Notification.read_at.is_not(None)
    changed = _change(user_id, read, Notification.id.in_(ids), state)
    return _told(user_id, changed, read=read, ids=[str(one) for one in changed])


def mark_all(user_id: UUID, *, before: datetime | None) -> Marked:
    """Mark everything that a user was told until a moment as read.

    :param before: that moment included; None: now.
    """
    queries.lock_reader(user_id)
    until = before or utc_now()
    changed = _change(user_id, True, Notification.created_at <= until, Notification.read_at.is_(None))
    return _told(user_id, changed, read=True, before=rfc3339(until))


def lock(notification_id: UUID, *, user_id: UUID) -> Notification:
    """One of a user's notifications, locked until commit.

    :raises NotificationNotFound: it is another's, or there is none.
    """
    queries.lock_reader(user_id)
    return queries.get_notification(notification_id, user_id=user_id, for_update=True)


def remove(notification: Notification) -> None:
    """Forget a notification. :param notification: by `lock`."""
    user_id, notification_id = notification.user_id, notification.id
    db.session.delete(notification)
    db.session.flush()
    _told(user_id, [notification_id], removed=True, ids=[str(notification_id)])


def purge(now: datetime) -> int:
    """Delete what is older than it is kept. Returns how many rows."""
    return affected(delete(Notification).where(Notification.created_at < now - KEPT))


def _change(user_id: UUID, read: bool, *which: ColumnElement[bool]) -> list[UUID]:
    """The ids of those that were in the other state. Locked in one order: two windows may do the same."""
    wanted = select(Notification.id).where(Notification.user_id == user_id, Notification.in_app, *which)
    ids = list(db.session.scalars(wanted.order_by(Notification.id).with_for_update()))
    for first in range(0, len(ids), 1000):
        some = update(Notification).where(Notification.id.in_(ids[first : first + 1000]))
        values = {"read_at": utc_now() if read else None}
        db.session.execute(some.values(values).execution_options(synchronize_session=False))
    return ids


def _told(user_id: UUID, changed: Sequence[UUID], **what: Any) -> Marked:
    unread = queries.count_unread(user_id)
    if changed:
        feed.append([user_id], "notification", {**what, "unread": unread})
    return Marked(len(changed), unread)
