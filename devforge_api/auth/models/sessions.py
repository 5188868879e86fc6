"""Sessions."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from devforge_api.core.clock import utc_now
from devforge_api.core.db import Model, checked_enum, uuid7


class RevokeReason(StrEnum):
    """Why a session ended before its time."""

    LOGOUT = "logout"
    LOGOUT_ALL = "logout_all"
    REVOKED = "revoked"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a reason, not a password
    REUSE_DETECTED = "reuse_detected"


class Session(Model):
    """One sign-in on one device. The refresh token that is valid now follows from this row."""

    __tablename__ = "sessions"
    __table_args__ = (
        Index("ix_sessions_user_id_created_at", "user_id", "created_at", "id"),
        Index("ix_sessions_user_id_network_created_at", "user_id", "network", "created_at"),
        Index("ix_sessions_expires_at", "expires_at"),
        Index("ix_sessions_revoked_at", "revoked_at"),
        Index("ix_sessions_cookie_hash", "cookie_hash", unique=True),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    # A session is worth nothing without its user.
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    counter: Mapped[int] = mapped_column(default=0)
    issued_at: Mapped[datetime]  # of the refresh token that is valid now, whole seconds
    expires_at: Mapped[datetime]  # of the same; the idle lifetime, never past the absolute one
    absolute_expires_at: Mapped[datetime]
    device_name: Mapped[str]
    address: Mapped[str | None]  # where it was used last
    network: Mapped[str | None] = mapped_column(String(45))  # where it began: IPv6 by /64
    user_agent: Mapped[str | None]
    client_id: Mapped[str | None]  # of the OAuth client that it was opened for
    # Of the cookie by which a browser holds this session on the sign-in pages.
    cookie_hash: Mapped[str | None] = mapped_column(String(64))
    reauthenticated_at: Mapped[datetime | None]  # when the password was last proven again
    last_seen_at: Mapped[datetime] = mapped_column(default=utc_now)
    revoked_at: Mapped[datetime | None]
    revoke_reason: Mapped[RevokeReason | None] = mapped_column(checked_enum(RevokeReason))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    def is_live(self, at: datetime) -> bool:
        """Whether it still admits."""
        return self.revoked_at is None and self.expires_at > at
