"""From news to notifications: rows, the feed of open windows, letters and push messages, at once.

All of it is written in the transaction that marks the news as heard, so exactly once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import insert

from devforge_api.core.clock import rfc3339, utc_now
from devforge_api.core.db import db, uuid7
from devforge_api.core.languages import language_of
from devforge_api.core.mail import outgoing
from devforge_api.core.mail.outgoing import Letter
from devforge_api.core.news import News
from devforge_api.core.outbox import emit
from devforge_api.core.realtime import feed
from devforge_api.notifications import catalogue, queries
from devforge_api.notifications.catalogue import ENTRIES, FEED_TYPES, Entry
from devforge_api.notifications.models import Channel, Notification
from devforge_api.notifications.queries import Reader
from devforge_api.notifications.service.unsubscribing import unsubscribe_url

EVERY = (Channel.IN_APP, Channel.MAIL, Channel.PUSH)


def tell(news: News) -> None:
    """Tell users a piece of news: their open windows, and by whatever channels they have chosen."""
    entry = ENTRIES.get(news.name)
    if entry is not None and entry.variant(news.data) is None:
        entry = None
    type_ = FEED_TYPES.get(news.name.partition(".")[0])
    if not news.users or (entry is None and type_ is None):
        return
    # Whoever was erased since is not told; whoever is told is not erased before the commit.
    readers = queries.lock_readers(news.users, entry.kind if entry else None)
    if type_ is not None:
        feed.append([reader.id for reader in readers], type_, {"event": news.name, **news.data})
    if entry is not None:
        _notify(news, entry, readers)


def _notify(news: News, entry: Entry, readers: Sequence[Reader]) -> None:
    now = utc_now()
    told: list[tuple[Reader, frozenset[Channel], Notification]] = []
    for reader in readers:
        channels = _channels(entry, reader)
        if channels:
            told.append((reader, channels, _notification(news, entry, reader, channels, now)))
    if not told:
        return
    db.session.execute(insert(Notification), [_row(notification) for _, _, notification in told])
    pushed = [reader.id for reader, channels, _ in told if Channel.PUSH in channels]
    browsers = queries.subscriptions_of(pushed) if pushed else {}
    letters = []
    for reader, channels, notification in told:
        if Channel.IN_APP in channels:
            feed.append([reader.id], "notification", shown(notification, reader.locale))
        if Channel.MAIL in channels:
            letters.append(_letter(notification, reader))
        for subscription_id in browsers.get(reader.id, ()) if Channel.PUSH in channels else ():
            ids = {"notification_id": str(notification.id), "subscription_id": str(subscription_id)}
            emit("notification.push_due", **ids)
    outgoing.send_all(letters)


def _channels(entry: Entry, reader: Reader) -> frozenset[Channel]:
    """By which channels somebody is to be told: possible, wished for, and leading to them."""
    leads = {Channel.IN_APP: True, Channel.MAIL: reader.reachable, Channel.PUSH: reader.active}
    found = set()
    for channel in catalogue.channels_of(entry):
        choice = catalogue.DEFAULTS[entry.kind][channel]
        wanted = choice.enabled if choice.fixed else reader.chosen.get(channel, choice.enabled)
        if wanted and leads[channel]:
            found.add(channel)
    return frozenset(found)


def _notification(
    news: News, entry: Entry, reader: Reader, channels: frozenset[Channel], now: Any
) -> Notification:
    return Notification(
        id=uuid7(),
        user_id=reader.id,
        kind=entry.kind,
        event=news.name,
        data=news.data,
        in_app=Channel.IN_APP in channels,
        read_at=None,
        created_at=now,
    )


def _row(notification: Notification) -> dict[str, Any]:
    names = ("id", "user_id", "kind", "event", "data", "in_app", "read_at", "created_at")
    return {name: getattr(notification, name) for name in names}


def _letter(notification: Notification, reader: Reader) -> Letter:
    words = catalogue.words_of(notification, reader.locale)
    url = unsubscribe_url(reader.id, notification.kind)
    return Letter(
        "notification",
        to=reader.email,
        locale=language_of(reader.locale),
        params={"title": words.title, "text": words.body, "link": url, "unsubscribe": url},
        mail_id=notification.id,
    )


def shown(notification: Notification, locale: str | None) -> dict[str, Any]:
    """A notification as JSON, the same as ``GET`` answers."""
    words, link = catalogue.words_of(notification, locale), catalogue.link_of(notification)
    return {
        "id": str(notification.id),
        "kind": notification.kind.value,
        "event": notification.event,
        "title": words.title,
        "body": words.body,
        "link": {"type": link.type, "id": link.id} if link else None,
        "data": notification.data,
        "read": notification.read_at is not None,
        "read_at": rfc3339(notification.read_at) if notification.read_at else None,
        "created_at": rfc3339(notification.created_at),
    }
