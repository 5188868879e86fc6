"""Secrets that work once."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from devforge_api.core.clock import utc_now
from devforge_api.core.db import Model, checked_enum, uuid7


class Purpose(StrEnum):
    """What a one-time token is good for; nothing else takes it."""

    VERIFY_EMAIL = "verify_email"
    RESET_PASSWORD = "reset_password"  # noqa: S105 - a purpose
    CHANGE_EMAIL = "change_email"
    SECOND_FACTOR = "second_factor"  # a sign-in that waits for its code
    PROVIDER_STATE = "provider_state"  # a browser that was sent to an identity provider
    PROVIDER_RESULT = "provider_result"  # an identity that a provider has vouched for
    AUTHORIZATION_CODE = "authorization_code"  # RFC 6749 section 4.1


class OneTimeToken(Model):
    """A random secret, stored as its hash, which the first use consumes."""

    __tablename__ = "one_time_tokens"
    __table_args__ = (
        Index("ix_one_time_tokens_user_id_purpose", "user_id", "purpose"),
        Index("ix_one_time_tokens_expires_at", "expires_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    purpose: Mapped[Purpose] = mapped_column(checked_enum(Purpose))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    data: Mapped[str | None] = mapped_column(Text)  # encrypted JSON
    failures: Mapped[int] = mapped_column(default=0)
    expires_at: Mapped[datetime]
    consumed_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
