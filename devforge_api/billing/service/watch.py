"""What an operator should know of billing: when a provider was heard of last, and what waits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select

from devforge_api.billing.models import EventOutcome, ProviderEvent, Refund, RefundStatus
from devforge_api.core.db import db

LONG = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Watch:
    """How news come in.

    :param last_event_at: None: no provider has told anything yet.
    :param events_waiting: for long. :param refunds_waiting: for long, and the provider has not heard of.
    """

    last_event_at: datetime | None
    events_waiting: int
    refunds_waiting: int


def watch(now: datetime) -> Watch:
    """How news come in at present."""
    long_ago = now - LONG
    events = select(func.count()).where(
        ProviderEvent.outcome == EventOutcome.WAITING, ProviderEvent.received_at <= long_ago
    )
    refunds = select(func.count()).where(
        Refund.status == RefundStatus.REQUESTED, Refund.created_at <= long_ago
    )
    return Watch(
        db.session.scalar(select(func.max(ProviderEvent.received_at))),
        db.session.scalar(events) or 0,
        db.session.scalar(refunds) or 0,
    )
