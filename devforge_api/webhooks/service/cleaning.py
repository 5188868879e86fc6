"""Forgetting what was sent long ago."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, or_, select

from devforge_api.core.db import affected, unedited
from devforge_api.webhooks.models import DeliveryStatus, WebhookDelivery, WebhookEndpoint, WebhookMessage

KEPT = timedelta(days=30)
BATCH = 5000  # rows of one run, which holds one transaction


def purge(now: datetime) -> int:
    """Delete deliveries and messages after their time; what is under way stays. Returns how many.

    Also what has been parked for so long: its endpoint has been disabled all the while.
    """
    done = or_(WebhookDelivery.status != DeliveryStatus.PENDING, WebhookDelivery.next_attempt_at.is_(None))
    old = select(WebhookDelivery.id).where(WebhookDelivery.created_at < now - KEPT, done)
    gone = affected(_unsynchronized(delete(WebhookDelivery).where(WebhookDelivery.id.in_(old.limit(BATCH)))))
    sent = select(WebhookDelivery.id).where(WebhookDelivery.message_id == WebhookMessage.id)
    unsent = select(WebhookMessage.id).where(WebhookMessage.created_at < now - KEPT, ~sent.exists())
    statement = delete(WebhookMessage).where(WebhookMessage.id.in_(unsent.limit(BATCH)))
    return gone + affected(_unsynchronized(statement))


def forget_secrets(now: datetime) -> None:
    """Secrets that were rotated away sign no more after their time, and are not kept either."""
    over = WebhookEndpoint.previous_secret_until <= now
    affected(unedited(WebhookEndpoint, over, previous_secret=None, previous_secret_until=None))


def _unsynchronized(statement: Any) -> Any:
    return statement.execution_options(synchronize_session=False)
