"""What the authorization server remembers of devices without a browser (RFC 8628)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from devforge_api.core.clock import utc_now
from devforge_api.core.db import Model, checked_enum, uuid7


class GrantStatus(StrEnum):
    """``consumed``: exchanged for tokens."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    CONSUMED = "consumed"


class DeviceGrant(Model):
    """A device that waits until its user has typed the code that it shows."""

    __tablename__ = "device_grants"
    __table_args__ = (
        Index("ix_device_grants_expires_at", "expires_at"),
        Index("ix_device_grants_user_id", "user_id"),
        Index("ix_device_grants_session_id", "session_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    client_id: Mapped[str]
    scope: Mapped[str]
    device_code_hash: Mapped[str] = mapped_column(String(64), unique=True)
    user_code: Mapped[str] = mapped_column(String(16), unique=True)
    # Who approved it; what waits for a deleted user is worth nothing.
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    # The browser's session in which that was: when it ends before the exchange, so does the approval.
    session_id: Mapped[UUID | None] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"))
    address: Mapped[str | None]  # the device's, shown to whoever approves it
    status: Mapped[GrantStatus] = mapped_column(checked_enum(GrantStatus), default=GrantStatus.PENDING)
    interval: Mapped[int] = mapped_column(default=5)  # seconds between polls; grows by slow_down
    polled_at: Mapped[datetime | None]
    expires_at: Mapped[datetime]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
