"""What somebody was told, and how, as part of what is known of a person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, delete

from devforge_api.core.personal_data import Erased, PersonalData, Row, Subject, rows, run
from devforge_api.core.realtime.feed import Feed, FeedEvent
from devforge_api.notifications.models import Notification, Preference, PushSubscription, RealtimeTicket

# Each has its `user_id`; and what of it is secret.
_TABLES: tuple[tuple[Any, frozenset[str]], ...] = (
    (Notification, frozenset()),
    (Preference, frozenset()),
    (PushSubscription, frozenset({"endpoint", "endpoint_hash", "keys"})),
    (RealtimeTicket, frozenset({"token_hash"})),
    (FeedEvent, frozenset()),
    (Feed, frozenset()),
)


def _export(subject: Subject) -> Iterator[tuple[str, Iterator[Row]]]:
    for model, secrets in _TABLES:
        yield model.__tablename__, rows(model, _is_theirs(model, subject), without=secrets)


def _erase(subject: Subject) -> Iterator[Erased]:
    for model, _ in _TABLES:
        yield run(model.__tablename__, "removed", delete(model).where(_is_theirs(model, subject)))


def _is_theirs(model: Any, subject: Subject) -> ColumnElement[bool]:
    condition: ColumnElement[bool] = model.user_id == subject.user_id
    return condition


NOTIFICATION_DATA = PersonalData(
    "notifications", frozenset(model.__tablename__ for model, _ in _TABLES), _export, _erase
)
