"""Webhooks as part of what is known of a person.

What was told of them to the team's endpoints goes with them, too.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import delete, select

from devforge_api.core.personal_data import Erased, PersonalData, Row, Subject, rows, run
from devforge_api.webhooks import queries
from devforge_api.webhooks.models import (
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookFilter,
    WebhookMessage,
)

TABLES = frozenset({
    "webhook_endpoints", "webhook_filters", "webhook_messages", "webhook_deliveries", "webhook_attempts",
})  # fmt: skip


def _export(subject: Subject) -> Iterator[tuple[str, Iterator[Row]]]:
    own = select(WebhookEndpoint.id).where(WebhookEndpoint.user_id == subject.user_id)
    deliveries = select(WebhookDelivery.id).where(WebhookDelivery.endpoint_id.in_(own))
    secret = frozenset({"secret", "previous_secret"})
    yield "endpoints", rows(WebhookEndpoint, WebhookEndpoint.user_id == subject.user_id, without=secret)
    yield "filters", rows(WebhookFilter, WebhookFilter.endpoint_id.in_(own))
    yield "messages", rows(WebhookMessage, WebhookMessage.user_id == subject.user_id)
    yield "deliveries", rows(WebhookDelivery, WebhookDelivery.endpoint_id.in_(own))
    yield "attempts", rows(WebhookAttempt, WebhookAttempt.delivery_id.in_(deliveries))


def _erase(subject: Subject) -> Iterator[Erased]:
    """Deliveries and attempts go with their endpoint or message, by the database."""
    # In the order in which everybody locks them.
    queries.lock_endpoints_of(subject.user_id)
    own = WebhookEndpoint.user_id == subject.user_id
    yield run("webhook_endpoints", "removed", delete(WebhookEndpoint).where(own))
    about = WebhookMessage.user_id == subject.user_id
    yield run("webhook_messages", "removed", delete(WebhookMessage).where(about))


WEBHOOK_DATA = PersonalData("webhooks", TABLES, _export, _erase)
