"""What can be read about notifications."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.orm import with_expression

from devforge_api.core.db import db
from devforge_api.core.listing import Listing
from devforge_api.notifications.errors import NotificationNotFound, PushSubscriptionNotFound
from devforge_api.notifications.models import Channel, Kind, Notification, Preference, PushSubscription
from devforge_api.users.models import User, UserStatus

NOTIFICATIONS = Listing(
    "NotificationQuery",
    key=Notification.id,
    filters={
        "kind": Notification.kind,
        "event": Notification.event,
        "created_at": Notification.created_at,
    },
    sorts={"created_at": Notification.created_at},
    present={"read": Notification.read_at},
)
PUSH_SUBSCRIPTIONS = Listing(
    "PushSubscriptionQuery",
    key=PushSubscription.id,
    filters={"created_at": PushSubscription.created_at},
    sorts={"created_at": PushSubscription.created_at},
)


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody who may be told something, and what they have chosen for one kind."""

    id: UUID
    email: str
    locale: str | None
    reachable: bool  # they may act, and the address is known to be theirs
    active: bool
    chosen: dict[Channel, bool]


def notifications(user_id: UUID) -> Select[Notification]:
    """What a user has been told in the app, each with its reader's locale."""
    locale = select(User.locale).where(User.id == Notification.user_id).scalar_subquery()
    return (
        select(Notification)
        .where(Notification.user_id == user_id, Notification.in_app)
        .options(with_expression(Notification.locale, locale))
    )


def get_notification(notification_id: UUID, *, user_id: UUID, for_update: bool = False) -> Notification:
    """One of a user's notifications.

    :param for_update: lock the row until commit.
    :raises NotificationNotFound: it is another's, or there is none.
    """
    statement = notifications(user_id).where(Notification.id == notification_id)
    if for_update:
        statement = statement.with_for_update(of=Notification)
    found = db.session.scalar(statement)
    if found is None:
        raise NotificationNotFound
    return found


def count_unread(user_id: UUID) -> int:
    """How many notifications a user has not read."""
    unread = select(func.count()).where(
        Notification.user_id == user_id, Notification.in_app, Notification.read_at.is_(None)
    )
    return db.session.scalar(unread) or 0


def lock_readers(user_ids: Iterable[UUID], kind: Kind | None) -> list[Reader]:
    """Those of these users who still are, and will be until this transaction ends, by two queries."""
    ids = list(user_ids)
    people = (
        select(User.id, User.email, User.locale, User.status, User.email_verified_at)
        .where(User.id.in_(ids))
        .order_by(User.id)
        .with_for_update(read=True, key_share=True)
    )
    found = db.session.execute(people).all()
    chosen = preferences_of(ids, kind) if kind else {}
    return [
        Reader(
            id=row.id,
            email=row.email,
            locale=row.locale,
            reachable=row.status is UserStatus.ACTIVE and row.email_verified_at is not None,
            active=row.status is UserStatus.ACTIVE,
            chosen=chosen.get(row.id, {}),
        )
        for row in found
    ]


def lock_reader(user_id: UUID) -> None:
    """Hold a user's row against removal before locking notifications: their eraser takes it first, too."""
    held = select(User.id).where(User.id == user_id).with_for_update(read=True, key_share=True)
    db.session.execute(held)


def preferences_of(user_ids: Sequence[UUID], kind: Kind) -> dict[UUID, dict[Channel, bool]]:
    """What users have chosen for a kind."""
    statement = select(Preference.user_id, Preference.channel, Preference.enabled)
    chosen: dict[UUID, dict[Channel, bool]] = {}
    for user_id, channel, enabled in db.session.execute(
        statement.where(Preference.user_id.in_(user_ids), Preference.kind == kind)
    ):
        chosen.setdefault(user_id, {})[channel] = enabled
    return chosen


def all_preferences(user_id: UUID) -> dict[tuple[Kind, Channel], bool]:
    """Everything that a user has chosen."""
    statement = select(Preference.kind, Preference.channel, Preference.enabled)
    found = db.session.execute(statement.where(Preference.user_id == user_id))
    return {(kind, channel): enabled for kind, channel, enabled in found}


def push_subscriptions(user_id: UUID) -> Select[PushSubscription]:
    """A user's browsers."""
    return select(PushSubscription).where(PushSubscription.user_id == user_id)


def get_push_subscription(
    subscription_id: UUID, *, user_id: UUID, for_update: bool = False
) -> PushSubscription:
    """One of a user's browsers.

    :param for_update: lock the row until commit.
    :raises PushSubscriptionNotFound: it is another's, or there is none.
    """
    return _one(push_subscriptions(user_id).where(PushSubscription.id == subscription_id), for_update)


def get_push_subscription_at(
    endpoint_hash: str, *, user_id: UUID, for_update: bool = False
) -> PushSubscription:
    """One of a user's browsers by its endpoint.

    :param endpoint_hash: SHA-256 of the endpoint's address, in hexadecimal digits.
    :param for_update: lock the row until commit.
    :raises PushSubscriptionNotFound: it is another's, or there is none.
    """
    there = push_subscriptions(user_id).where(PushSubscription.endpoint_hash == endpoint_hash)
    return _one(there, for_update)


def _one(statement: Select[PushSubscription], for_update: bool) -> PushSubscription:
    found = db.session.scalar(statement.with_for_update() if for_update else statement)
    if found is None:
        raise PushSubscriptionNotFound
    return found


def subscriptions_of(user_ids: Sequence[UUID]) -> dict[UUID, list[UUID]]:
    """The ids of users' browsers."""
    statement = select(PushSubscription.user_id, PushSubscription.id)
    found: dict[UUID, list[UUID]] = {}
    for user_id, subscription_id in db.session.execute(
        statement.where(PushSubscription.user_id.in_(user_ids)).order_by(PushSubscription.id)
    ):
        found.setdefault(user_id, []).append(subscription_id)
    return found


@dataclass(frozen=True, slots=True)
class PushDue:
    """A message, the browser that it goes to, and its reader's locale."""

    notification: Notification
    subscription: PushSubscription
    locale: str | None


def push_due(notification_id: UUID, subscription_id: UUID) -> PushDue | None:
    """What a push message is made of; None: its reader is gone, banned, or another one uses the browser."""
    statement = (
        select(Notification, PushSubscription, User.locale)
        .join(PushSubscription, PushSubscription.user_id == Notification.user_id)
        .join(User, User.id == Notification.user_id)
        .where(
            Notification.id == notification_id,
            PushSubscription.id == subscription_id,
            User.status == UserStatus.ACTIVE,
        )
    )
    row = db.session.execute(statement).first()
    return None if row is None else PushDue(*row)
