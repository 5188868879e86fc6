"""Deliveries that wait for their endpoint: while it is disabled, rests, or has to prove itself.

A parked delivery is asked for by no event. Whatever ends the endpoint's pause emits
``webhook.endpoint_due``, and a job looks for those whom everybody has forgotten.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from devforge_api.core.db import db
from devforge_api.webhooks import queries
from devforge_api.webhooks.models import EndpointStatus, WebhookDelivery, WebhookEndpoint
from devforge_api.webhooks.service.telling import PACE, ask_for, endpoint_due

BATCH = 200


def must_wait(endpoint: WebhookEndpoint, others: dict[UUID, WebhookEndpoint], now: datetime) -> bool:
    """Whether no attempt may be made at an endpoint now.

    Of a user's endpoints that are on trial only one is called at a time: whoever has many slow ones
    keeps one thread busy, and not all.

    :param others: all of its owner's endpoints, locked.
    """
    if endpoint.status is EndpointStatus.DISABLED or _is_later(endpoint.resting_until, now):
        return True
    if not endpoint.on_trial:
        return False
    return any(one.on_trial and _is_later(one.busy_until, now) for one in others.values())


def park(delivery: WebhookDelivery) -> None:
    """Let a delivery wait until its endpoint goes on; no attempt is counted."""
    delivery.next_attempt_at = None
    db.session.flush()


def go_on(endpoint_id: UUID, now: datetime) -> None:
    """Have attempted what is parked for an endpoint: one where it is on trial, else all.

    May be called too often: then nothing happens.
    """
    endpoint = queries.lock_endpoint(endpoint_id)
    if endpoint is None or must_wait(endpoint, {}, now):
        return
    many = 1 if endpoint.on_trial else BATCH
    found = queries.parked(endpoint_id, many + 1)
    ask_for(found[:many], now, pace=PACE)
    if len(found) > many and not endpoint.on_trial:
        endpoint_due(endpoint_id, now + many * PACE)


def let_others_go_on(owner_id: UUID, now: datetime) -> None:
    """An attempt at an endpoint on trial is over: whatever of its owner's waited for that may go on."""
    for endpoint_id in queries.endpoints_with_parked(now, owner_id=owner_id):
        endpoint_due(endpoint_id, now)


def wake_forgotten(now: datetime) -> None:
    """Ask for all endpoints that could go on; a net below what asks for each at its time."""
    for endpoint_id in queries.endpoints_with_parked(now):
        endpoint_due(endpoint_id, now)


def _is_later(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment > now
