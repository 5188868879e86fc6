"""What owners are told of their endpoints."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from devforge_api.core.db import db
from devforge_api.core.news import Data, tells
from devforge_api.webhooks.models import WebhookEndpoint


@tells("webhook.disabled")
def disabled(payload: dict[str, Any]) -> tuple[list[UUID], Data] | None:
    """That nothing comes any more, and why."""
    endpoint = db.session.get(WebhookEndpoint, UUID(payload["endpoint_id"]))
    if endpoint is None or endpoint.disabled_reason is None:
        return None
    data = {
        "endpoint_id": str(endpoint.id),
        # The whole address may hold a secret of the receiver's.
        "host": urlsplit(endpoint.url).hostname,
        "description": endpoint.description,
        "reason": endpoint.disabled_reason.value,
    }
    return [endpoint.user_id], data
