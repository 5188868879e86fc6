"""Endpoints, messages, and their deliveries."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from devforge_api.core.clock import utc_now
from devforge_api.core.db import Model, Timestamps, checked_enum, uuid7


class Audience(StrEnum):
    """Whose news an endpoint gets: its owner's ``own``, or ``everybody``'s (admins)."""

    OWN = "own"
    EVERYBODY = "everybody"


class EndpointStatus(StrEnum):
    """``disabled``: nothing is sent."""

    ENABLED = "enabled"
    DISABLED = "disabled"


class DisabledReason(StrEnum):
    """Why nothing is sent.

    Its ``owner`` or the service's ``operator`` wants so, it is ``gone`` (410), or ``failing`` for days.
    """

    OWNER = "owner"
    OPERATOR = "operator"
    GONE = "gone"
    FAILING = "failing"


class WebhookEndpoint(Timestamps, Model):
    """An address to which news is sent."""

    __tablename__ = "webhook_endpoints"
    __table_args__ = (
        Index("ix_webhook_endpoints_user_id_created_at", "user_id", "created_at", "id"),
        Index("ix_webhook_endpoints_status_audience", "status", "audience"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    url: Mapped[str] = mapped_column(Text)
    description: Mapped[str | None]
    audience: Mapped[Audience] = mapped_column(checked_enum(Audience), default=Audience.OWN)
    status: Mapped[EndpointStatus] = mapped_column(
        checked_enum(EndpointStatus), default=EndpointStatus.ENABLED
    )
    disabled_reason: Mapped[DisabledReason | None] = mapped_column(checked_enum(DisabledReason))
    disabled_at: Mapped[datetime | None]
    secret: Mapped[str] = mapped_column(Text)  # encrypted
    previous_secret: Mapped[str | None] = mapped_column(Text)  # encrypted; signs too, for a while
    previous_secret_until: Mapped[datetime | None]
    failing_since: Mapped[datetime | None]  # since when no attempt has succeeded
    proven_at: Mapped[datetime | None]  # when it took its first message
    timeouts: Mapped[int] = mapped_column(
        default=0
    )  # one after the other; 1 also for an answer that was slow
    resting_until: Mapped[datetime | None]  # no attempt is made before
    # Somebody makes an attempt, and no other is made until then; for those that are on trial.
    busy_until: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(default=1)
    filters: Mapped[list[WebhookFilter]] = relationship(
        lazy="raise", cascade="all, delete-orphan", passive_deletes=True, order_by="WebhookFilter.event"
    )

    __mapper_args__ = {"version_id_col": version}

    @property
    def events(self) -> list[str]:
        """What it wants; none: everything."""
        return [one.event for one in self.filters]

    @property
    def on_trial(self) -> bool:
        """Whether it has yet to show, or to show again, that it answers in time."""
        return self.proven_at is None or self.timeouts > 0


class WebhookFilter(Model):
    """An event that an endpoint wants, or all of a kind, as ``license.*``."""

    __tablename__ = "webhook_filters"

    endpoint_id: Mapped[UUID] = mapped_column(
        ForeignKey("webhook_endpoints.id", ondelete="CASCADE"), primary_key=True
    )
    event: Mapped[str] = mapped_column(String(64), primary_key=True)


class WebhookMessage(Model):
    """One piece of news, as it is sent; its id is the ``webhook-id``."""

    __tablename__ = "webhook_messages"
    __table_args__ = (
        Index("ix_webhook_messages_created_at", "created_at"),
        Index("ix_webhook_messages_user_id", "user_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    # Whom alone it concerns: it goes with them, also where it was sent to others.
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    event: Mapped[str] = mapped_column(String(64))
    body: Mapped[str] = mapped_column(Text)  # JSON, sent as it is, so that signatures stay the same
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class DeliveryStatus(StrEnum):
    """``failed``: given up after the last attempt; a replay makes it ``pending`` again."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class WebhookDelivery(Model):
    """A message on its way to one endpoint."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        UniqueConstraint("endpoint_id", "message_id"),
        Index("ix_webhook_deliveries_endpoint_id_created_at", "endpoint_id", "created_at", "id"),
        Index("ix_webhook_deliveries_message_id", "message_id"),
        Index("ix_webhook_deliveries_endpoint_id_status", "endpoint_id", "status", "created_at", "id"),
        Index("ix_webhook_deliveries_endpoint_id_event", "endpoint_id", "event", "created_at", "id"),
        Index("ix_webhook_deliveries_status_next_attempt_at", "status", "next_attempt_at"),
        Index("ix_webhook_deliveries_created_at", "created_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    endpoint_id: Mapped[UUID] = mapped_column(ForeignKey("webhook_endpoints.id", ondelete="CASCADE"))
    message_id: Mapped[UUID] = mapped_column(ForeignKey("webhook_messages.id", ondelete="CASCADE"))
    event: Mapped[str] = mapped_column(String(64))
    status: Mapped[DeliveryStatus] = mapped_column(
        checked_enum(DeliveryStatus), default=DeliveryStatus.PENDING
    )
    of_others: Mapped[bool] = mapped_column(default=False)  # news of somebody else: for admins alone
    attempts: Mapped[int] = mapped_column(default=0)  # since it was sent, or replayed
    # When an event of the outbox asks for it; None of a pending one: parked, until its endpoint goes on.
    next_attempt_at: Mapped[datetime | None]
    claimed_until: Mapped[datetime | None]  # somebody is making an attempt
    response_status: Mapped[int | None]  # of the last attempt
    error: Mapped[str | None]  # likewise, a code
    delivered_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    log: Mapped[list[WebhookAttempt]] = relationship(
        lazy="raise", passive_deletes=True, order_by="WebhookAttempt.id"
    )


class WebhookAttempt(Model):
    """One call to an endpoint."""

    __tablename__ = "webhook_attempts"
    __table_args__ = (Index("ix_webhook_attempts_delivery_id", "delivery_id", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    delivery_id: Mapped[UUID] = mapped_column(ForeignKey("webhook_deliveries.id", ondelete="CASCADE"))
    response_status: Mapped[int | None]
    error: Mapped[str | None]  # a code: why there was no answer, or none that counts
    duration_ms: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
