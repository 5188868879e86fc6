"""Addresses that no letter is sent to any more: they do not exist, or their reader complained."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from devforge_api.core.clock import utc_now
from devforge_api.core.db import Model, checked_enum


class SuppressionReason(StrEnum):
    """``bounced``: its server knows no such address. ``complained``: reported as unwanted."""

    BOUNCED = "bounced"
    COMPLAINED = "complained"
    MANUAL = "manual"


class MailSuppression(Model):
    """An address on the list, by a name that tells nobody the address."""

    __tablename__ = "mail_suppressions"

    counted_as: Mapped[str] = mapped_column(String(32), primary_key=True)
    reason: Mapped[SuppressionReason] = mapped_column(checked_enum(SuppressionReason))
    detail: Mapped[str | None] = mapped_column(Text)  # the server's words
    created_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)
