"""One attempt: claimed in a transaction, made outside of any, recorded in another one.

Killed in between, it is made again by whoever gets the outbox' row after its lease: at least once,
with the same id.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import requests
from sqlalchemy import or_, update

from devforge_api.core import outbound
from devforge_api.core.clock import utc_now
from devforge_api.core.configured import duration
from devforge_api.core.db import affected, db
from devforge_api.core.outbound import DestinationRefused
from devforge_api.core.outbox import emit_at
from devforge_api.webhooks import queries
from devforge_api.webhooks.models import (
    DeliveryStatus,
    DisabledReason,
    EndpointStatus,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookMessage,
)
from devforge_api.webhooks.service import schedule, signing, waiting
from devforge_api.webhooks.service.endpoints import disable, not_edited
from devforge_api.webhooks.service.schedule import LONGEST_REST, delay_after, rest_after, retry_after
from devforge_api.webhooks.service.telling import DUE, endpoint_due, trusted_roles

GONE = 410
OVERLOADED = {429, 503}
FAILING_FOR = timedelta(days=5)  # of nothing but failure, after which an endpoint is disabled

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Call:
    """An attempt that nobody else makes meanwhile."""

    delivery_id: UUID
    endpoint_id: UUID
    message_id: UUID
    url: str
    body: bytes
    secrets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt went.

    :param error: a code; None: the message was taken.
    """

    status: int | None
    error: str | None
    duration_ms: int
    retry_after: timedelta | None = None


def claim(delivery_id: UUID, now: datetime) -> Call | None:
    """Take a delivery that is due; None: there is nothing to do, or somebody will be asked again."""
    delivery = db.session.get(WebhookDelivery, delivery_id)
    if delivery is None or delivery.status is not DeliveryStatus.PENDING:
        return None
    due = delivery.next_attempt_at
    if due is None or due > now:  # another event asks for it at its time
        return None
    endpoint = db.session.get(WebhookEndpoint, delivery.endpoint_id)
    message = db.session.get(WebhookMessage, delivery.message_id)
    if endpoint is None or message is None:
        return None
    if not _may_have(endpoint, delivery):
        _note(delivery, Outcome(None, "not_permitted", 0), now)
        _give_up(delivery)
        return None
    trial = endpoint.on_trial
    if trial or endpoint.status is EndpointStatus.DISABLED or endpoint.resting_until is not None:
        others = queries.lock_endpoints_of(endpoint.user_id)
        if endpoint.id not in others:
            return None
        if waiting.must_wait(endpoint, others, now):
            waiting.park(delivery)
            return None
        trial = endpoint.on_trial
    until = now + duration("OUTBOX_LEASE") / 2
    if not _take(delivery, now, until):
        # Somebody has it: should they be killed, or were it replayed meanwhile, it is due again then.
        emit_at(delivery.claimed_until or until, DUE, delivery_id=str(delivery.id))
        return None
    if trial:
        endpoint.busy_until = until
        not_edited(endpoint)
    return Call(
        delivery.id,
        endpoint.id,
        message.id,
        endpoint.url,
        message.body.encode(),
        signing.secrets_of(endpoint, now),
    )


def _may_have(endpoint: WebhookEndpoint, delivery: WebhookDelivery) -> bool:
    """Roles and bans may have changed since the message was addressed."""
    owner = queries.owner_of(endpoint)
    if owner is None or not owner.active:
        return False
    return not delivery.of_others or owner.role in trusted_roles()


def _take(delivery: WebhookDelivery, now: datetime, until: datetime) -> bool:
    own = WebhookDelivery
    take = (
        update(own)
        .where(
            own.id == delivery.id,
            own.status == DeliveryStatus.PENDING,
            own.next_attempt_at <= now,
            or_(own.claimed_until.is_(None), own.claimed_until <= now),
        )
        .values(claimed_until=until)
        .execution_options(synchronize_session=False)
    )
    return affected(take) == 1


def attempt(call: Call) -> Outcome:
    """Send the message; outside of any transaction, and never longer than ``OUTBOUND_SECONDS``."""
    began = time.monotonic()
    status, error, asked = None, None, None
    headers = {
        "Content-Type": "application/json",
        **signing.headers(call.message_id, call.body, call.secrets, utc_now()),
    }
    try:
        with outbound.session() as session:
            answer = session.post(call.url, data=call.body, headers=headers)
        status = answer.status_code
        error = _judged(status)
        if status in OVERLOADED:
            asked = retry_after(answer.headers.get("Retry-After"), utc_now())
    except DestinationRefused:
        error = "destination_refused"
    except requests.Timeout:
        error = "timed_out"
    except requests.exceptions.SSLError:
        error = "tls_failed"
    except (requests.RequestException, ValueError):
        error = "unreachable"
    except Exception:  # a fault of ours; uncounted, the attempt would be made again for ever
        log.exception("an attempt at a webhook failed here", extra={"delivery_id": str(call.delivery_id)})
        error = "failed_here"
    return Outcome(status, error, round((time.monotonic() - began) * 1000), asked)


def _judged(status: int) -> str | None:
    if 200 <= status < 300:
        return None
    if status == GONE:
        return "gone"
    return "redirected" if 300 <= status < 400 else "refused"


def record(call: Call, outcome: Outcome) -> None:
    """Write down how an attempt went, and what follows from it."""
    now = utc_now()
    endpoint = queries.lock_endpoint(call.endpoint_id)
    delivery = db.session.get(WebhookDelivery, call.delivery_id, with_for_update=True, populate_existing=True)
    if endpoint is None or delivery is None:  # deleted meanwhile
        return
    _note(delivery, outcome, now)
    trial = endpoint.on_trial
    if delivery.status is DeliveryStatus.PENDING:
        delivery.attempts += 1
        delivery.claimed_until = None
        if outcome.error is None:
            delivery.status, delivery.delivered_at = DeliveryStatus.DELIVERED, now
            delivery.next_attempt_at = None
        else:
            _put_off(delivery, outcome, now)
    _mark(endpoint, outcome, now)
    if trial:
        db.session.flush()
        waiting.let_others_go_on(endpoint.user_id, now)


def _note(delivery: WebhookDelivery, outcome: Outcome, now: datetime) -> None:
    delivery.response_status, delivery.error = outcome.status, outcome.error
    db.session.add(
        WebhookAttempt(
            delivery_id=delivery.id,
            response_status=outcome.status,
            error=outcome.error,
            duration_ms=outcome.duration_ms,
            created_at=now,
        )
    )


def _put_off(delivery: WebhookDelivery, outcome: Outcome, now: datetime) -> None:
    delay = delay_after(delivery.attempts, outcome.retry_after)
    if delay is None:
        _give_up(delivery)
        return
    delivery.next_attempt_at = now + delay
    emit_at(delivery.next_attempt_at, DUE, delivery_id=str(delivery.id))


def _give_up(delivery: WebhookDelivery) -> None:
    delivery.status, delivery.next_attempt_at, delivery.claimed_until = DeliveryStatus.FAILED, None, None


def _mark(endpoint: WebhookEndpoint, outcome: Outcome, now: datetime) -> None:
    """What an attempt tells of the endpoint itself; its owner has edited nothing."""
    not_edited(endpoint)
    endpoint.busy_until = None
    if outcome.error == "timed_out":
        endpoint.timeouts += 1
        _rest(endpoint, rest_after(endpoint.timeouts), now)
    else:
        endpoint.timeouts = 1 if outcome.duration_ms > schedule.SLOW_MS else 0
        endpoint.resting_until = None
        if outcome.retry_after:
            _rest(endpoint, min(outcome.retry_after, LONGEST_REST), now)
    if outcome.error is None:
        endpoint.proven_at, endpoint.failing_since = endpoint.proven_at or now, None
    else:
        endpoint.failing_since = endpoint.failing_since or now
    if endpoint.status is not EndpointStatus.ENABLED or outcome.error is None:
        return
    if outcome.status == GONE:
        disable(endpoint, DisabledReason.GONE, now)
    elif endpoint.failing_since is not None and endpoint.failing_since <= now - FAILING_FOR:
        disable(endpoint, DisabledReason.FAILING, now)


def _rest(endpoint: WebhookEndpoint, rest: timedelta, now: datetime) -> None:
    endpoint.resting_until = now + rest
    endpoint_due(endpoint.id, endpoint.resting_until)
