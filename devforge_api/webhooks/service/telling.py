"""Turning news into messages, and messages into deliveries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from devforge_api.auth.service.personal_tokens import grantable_scopes
from devforge_api.core.clock import rfc3339, utc_now
from devforge_api.core.db import db
from devforge_api.core.json import dump
from devforge_api.core.news import Data, News
from devforge_api.core.outbox import emit_at
from devforge_api.users.service import Role
from devforge_api.webhooks import queries
from devforge_api.webhooks.models import DeliveryStatus, WebhookDelivery, WebhookMessage

EVERYBODY = "webhooks:everybody"
LARGEST_BODY = 20_000  # bytes
DUE = "webhook.delivery_due"
# Of what goes on all at once; strangers' news is sent in between.
PACE = timedelta(milliseconds=100)


def trusted_roles() -> list[Role]:
    """The roles whose endpoints may be told everybody's news."""
    return [role for role in Role if EVERYBODY in grantable_scopes(role)]


def pass_on(news: News) -> None:
    """Address a piece of news to every endpoint that is to have it; flushes."""
    wanting = queries.wanting(news.name, news.users, trusted=trusted_roles())
    if not wanting:
        return
    # News of many, such as a new version, is nobody's own.
    alone = news.users[0] if len(news.users) == 1 else None
    subject = alone if alone is not None and queries.hold_user(alone) else None
    body = compose(news.name, news.data, news.at)
    message = WebhookMessage(event=news.name, body=body, user_id=subject)
    db.session.add(message)
    db.session.flush()
    now = utc_now()
    users = set(news.users)
    made = [
        WebhookDelivery(
            endpoint_id=one.endpoint_id,
            message_id=message.id,
            event=news.name,
            of_others=one.user_id not in users,
            next_attempt_at=now,
        )
        for one in wanting
    ]
    db.session.add_all(made)
    db.session.flush()
    ask_for(made, now)


def compose(event: str, data: Data, at: datetime) -> str:
    """The body, which stays as it is over all attempts.

    Data that would make it too large is left to its ids: whoever wants the rest asks the API.
    """
    body = _written(event, data, at)
    if len(body) >= LARGEST_BODY:
        ids = {name: value for name, value in data.items() if _is_id(name, value)}
        body = _written(event, {**ids, "trimmed": True}, at)
    if len(body) >= LARGEST_BODY:
        body = _written(event, {"trimmed": True}, at)
    return body.decode()


def _written(event: str, data: Data, at: datetime) -> bytes:
    return dump({"type": event, "timestamp": rfc3339(at), "data": data})


def _is_id(name: str, value: object) -> bool:
    return (name == "id" or name.endswith("_id")) and isinstance(value, str | int | None)


def ask_for(deliveries: Iterable[WebhookDelivery], begin: datetime, *, pace: timedelta | None = None) -> None:
    """Have deliveries attempted that stand ready: at once, or one after the other.

    :param pace: the time between two of them.
    """
    at = begin
    for delivery in deliveries:
        delivery.next_attempt_at = at
        emit_at(at, DUE, delivery_id=str(delivery.id))
        at += pace or timedelta(0)
    db.session.flush()


def restart(deliveries: Sequence[WebhookDelivery], now: datetime) -> None:
    """Begin anew with deliveries that this transaction has locked, whatever became of them."""
    for delivery in deliveries:
        delivery.status, delivery.attempts, delivery.delivered_at = DeliveryStatus.PENDING, 0, None
    ask_for(deliveries, now, pace=PACE)


def endpoint_due(endpoint_id: UUID, at: datetime) -> None:
    """Have what is parked for an endpoint looked at, from a moment on."""
    emit_at(at, "webhook.endpoint_due", endpoint_id=str(endpoint_id))
