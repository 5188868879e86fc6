"""Sending on request: a test, or what was sent before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, or_, select

from devforge_api.core.clock import utc_now
from devforge_api.core.db import db
from devforge_api.core.errors import RateLimited
from devforge_api.webhooks import queries
from devforge_api.webhooks.errors import DeliveryNotFound, EndpointDisabled
from devforge_api.webhooks.models import (
    DeliveryStatus,
    EndpointStatus,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookMessage,
)
from devforge_api.webhooks.service.endpoints import not_edited
from devforge_api.webhooks.service.telling import PACE, ask_for, compose, endpoint_due, restart

TEST = "webhook.test"
MOST_TESTS = 10  # of one endpoint, in a minute: the address may be somebody else's
MOST_REPLAYED = 1000  # in one call


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many deliveries begin anew, and where a further call would go on; None: there are no more."""

    replayed: int
    next_since: datetime | None


def send_test(endpoint: WebhookEndpoint) -> WebhookDelivery:
    """Address a message that says nothing to an endpoint that this transaction has locked.

    :raises EndpointDisabled: nothing is sent there.
    :raises RateLimited: too many tests within a minute.
    """
    now = utc_now()
    _insist_on_enabled(endpoint)
    minute = timedelta(minutes=1)
    if queries.count_recent(endpoint.id, TEST, now - minute) >= MOST_TESTS:
        raise RateLimited(int(minute.total_seconds()))
    body = compose(TEST, {"endpoint_id": str(endpoint.id)}, now)
    message = WebhookMessage(event=TEST, body=body, user_id=endpoint.user_id)
    db.session.add(message)
    db.session.flush()
    delivery = WebhookDelivery(
        endpoint_id=endpoint.id, message_id=message.id, event=TEST, next_attempt_at=now
    )
    db.session.add(delivery)
    _wake(endpoint)
    db.session.flush()
    ask_for([delivery], now)
    return delivery


def replay_one(endpoint: WebhookEndpoint, delivery_id: UUID) -> Replayed:
    """Begin anew with one delivery, whatever became of it.

    :param endpoint: locked in this transaction.
    :raises DeliveryNotFound: unknown, or of another endpoint. :raises EndpointDisabled: see `send_test`.
    """
    _insist_on_enabled(endpoint)
    found = _locked(endpoint, 1, WebhookDelivery.id == delivery_id)
    if not found:
        raise DeliveryNotFound
    _wake(endpoint)
    restart(found, utc_now())
    return Replayed(1, None)


def replay_range(
    endpoint: WebhookEndpoint, *, since: datetime, until: datetime | None = None, everything: bool = False
) -> Replayed:
    """Begin anew with what was addressed to an endpoint within a time, oldest first.

    :param endpoint: locked in this transaction.
    :param until: the first moment that is too late; None: now.
    :param everything: also what was delivered, or waits for a later attempt; else only what was given
        up. What waits for nothing but its turn keeps that: asked for again with each call, it would be
        a thousand rows of the outbox for each of them.
    :raises EndpointDisabled: see `send_test`.
    """
    _insist_on_enabled(endpoint)
    now = utc_now()
    within = [WebhookDelivery.created_at >= since, WebhookDelivery.created_at < (until or now)]
    if everything:
        # Of what is parked nothing needs to be asked for either: the endpoint goes on with it.
        later = WebhookDelivery.next_attempt_at > now + MOST_REPLAYED * PACE
        within.append(or_(WebhookDelivery.status != DeliveryStatus.PENDING, later))
    else:
        within.append(WebhookDelivery.status == DeliveryStatus.FAILED)
    found = _locked(endpoint, MOST_REPLAYED + 1, *within)
    taken, beyond = found[:MOST_REPLAYED], found[MOST_REPLAYED:]
    _wake(endpoint)
    restart(taken, now)
    if everything and endpoint.id in queries.endpoints_with_parked(now, owner_id=endpoint.user_id):
        endpoint_due(endpoint.id, now)
    return Replayed(len(taken), beyond[0].created_at if beyond else None)


def _locked(endpoint: WebhookEndpoint, many: int, *which: ColumnElement[bool]) -> list[WebhookDelivery]:
    statement = select(WebhookDelivery).where(WebhookDelivery.endpoint_id == endpoint.id, *which)
    oldest = statement.order_by(WebhookDelivery.created_at, WebhookDelivery.id).limit(many)
    return list(db.session.scalars(oldest.with_for_update().execution_options(populate_existing=True)))


def _insist_on_enabled(endpoint: WebhookEndpoint) -> None:
    if endpoint.status is EndpointStatus.DISABLED:
        raise EndpointDisabled


def _wake(endpoint: WebhookEndpoint) -> None:
    """Somebody waits for it: a rest is over, but not the trial."""
    if endpoint.resting_until is not None:
        endpoint.resting_until = None
        not_edited(endpoint)
