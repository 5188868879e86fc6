"""What providers tell: stored once, answered at once, acted upon later."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, update

from devforge_api.billing.models import EventOutcome, ProviderEvent
from devforge_api.billing.service.providers.base import Told
from devforge_api.core.clock import utc_now
from devforge_api.core.db import affected, db, insert_into, uuid7
from devforge_api.core.encryption import decrypt, encrypt
from devforge_api.core.outbox import emit

KEPT = timedelta(days=90)  # Stripe's own list reaches back 30 days


def store(provider: str, told: Told) -> bool:
    """Keep an event for `subscribers.act_on_event`. False: it was told before.

    One insert decides; of a thousand repetitions one is acted upon.
    """
    row = {
        "id": uuid7(),
        "provider": provider,
        "event_id": told.event_id,
        "kind": told.kind,
        "payload": encrypt(json.dumps(told.payload)),
        "outcome": EventOutcome.WAITING,
        "received_at": utc_now(),
    }
    new = insert_into(ProviderEvent).values(row).on_conflict_do_nothing().returning(ProviderEvent.id)
    if db.session.scalar(new) is None:
        return False
    emit("billing.event_received", event_id=str(row["id"]))
    return True


def read(event_id: UUID) -> tuple[ProviderEvent, dict[str, Any]] | None:
    """An event that waits, and its payload; None: it is done with, or gone."""
    row = db.session.get(ProviderEvent, event_id)
    if row is None or row.outcome is not EventOutcome.WAITING:
        return None
    payload: dict[str, Any] = json.loads(decrypt(row.payload))
    return row, payload


def mark(event_id: UUID, outcome: EventOutcome, *, order_id: UUID | None = None) -> None:
    """Say, in the transaction of the work itself, what has become of an event."""
    values = {"outcome": outcome, "order_id": order_id, "handled_at": utc_now()}
    db.session.execute(update(ProviderEvent).where(ProviderEvent.id == event_id).values(values))


def purge(now: datetime) -> int:
    """Forget what was handled longer ago than it is kept. Returns how many."""
    old = ProviderEvent.received_at < now - KEPT
    return affected(delete(ProviderEvent).where(old, ProviderEvent.outcome != EventOutcome.WAITING))
