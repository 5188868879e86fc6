"""Notifications, and how they reach their readers."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, query_expression

from devforge_api.core.clock import utc_now
from devforge_api.core.db import JsonValue, Model, Timestamps, checked_enum, uuid7


class Kind(StrEnum):
    """What notifications are about; preferences are kept by kind."""

    ACCOUNT = "account"
    LICENSES = "licenses"
    BILLING = "billing"
    RELEASES = "releases"
    FILES = "files"
    WEBHOOKS = "webhooks"


class Channel(StrEnum):
    """A way to the reader."""

    IN_APP = "in_app"
    MAIL = "mail"
    PUSH = "push"


class Notification(Model):
    """What one user is told. Its words are made when it is read, in the reader's language."""

    __tablename__ = "notifications"
    __table_args__ = (
        Index("ix_notifications_user_id_created_at", "user_id", "created_at", "id"),
        Index("ix_notifications_user_id_read_at", "user_id", "read_at", "created_at", "id"),
        Index("ix_notifications_user_id_kind", "user_id", "kind", "created_at", "id"),
        Index("ix_notifications_user_id_event", "user_id", "event", "created_at", "id"),
        Index("ix_notifications_created_at", "created_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    kind: Mapped[Kind] = mapped_column(checked_enum(Kind))
    event: Mapped[str] = mapped_column(String(64))  # the news' name
    data: Mapped[dict[str, Any]] = mapped_column(JsonValue)  # the news' data
    # Shown in the app's list: else it is only the source of a letter or a push message.
    in_app: Mapped[bool] = mapped_column(default=True)
    read_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    # Of its reader, where it was asked for with the row (queries.py).
    locale: Mapped[str | None] = query_expression()


class Preference(Model):
    """A user's own choice for a kind and a channel."""

    __tablename__ = "notification_preferences"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[Kind] = mapped_column(checked_enum(Kind, name="preference_kind"), primary_key=True)
    channel: Mapped[Channel] = mapped_column(checked_enum(Channel), primary_key=True)
    enabled: Mapped[bool]


class PushSubscription(Timestamps, Model):
    """A browser that takes push messages (RFC 8030, RFC 8291)."""

    __tablename__ = "push_subscriptions"
    __table_args__ = (Index("ix_push_subscriptions_user_id_created_at", "user_id", "created_at", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    endpoint_hash: Mapped[str] = mapped_column(String(64), unique=True)
    # Encrypted: whoever knows endpoint and keys may send to the browser.
    endpoint: Mapped[str] = mapped_column(Text)
    keys: Mapped[str] = mapped_column(Text)  # JSON: p256dh, auth
    user_agent: Mapped[str | None]
    last_delivered_at: Mapped[datetime | None]


class PushKey(Model):
    """What push services know this server by (VAPID, RFC 8292): one key pair, for ever.

    Subscriptions are made for it, and die with it.
    """

    __tablename__ = "push_keys"

    name: Mapped[str] = mapped_column(String(16), primary_key=True)
    private_key: Mapped[str] = mapped_column(Text)  # PEM of a P-256 key, encrypted under the master key
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class RealtimeTicket(Model):
    """Opens one stream."""

    __tablename__ = "realtime_tickets"
    __table_args__ = (
        Index("ix_realtime_tickets_expires_at", "expires_at"),
        Index("ix_realtime_tickets_user_id", "user_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    # Whose it is: a stream ends with the session, or with the tool's token, that asked for it.
    session_id: Mapped[UUID | None]
    token_id: Mapped[UUID | None]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
